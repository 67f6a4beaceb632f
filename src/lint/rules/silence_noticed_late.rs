//! It takes long until silence is noticed.

use crate::alarm::{TreatMissingData, evaluation_range};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "silence-noticed-late",
    severity: Severity::Note,
    summary: "it takes long until silence is noticed",
    why: "CloudWatch looks back further than N periods, so that datapoints count for a while after the last has come. \
          Shorter periods notice sooner.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 3600
EvaluationPeriods: 3
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    const LONG: i64 = 3_600;
    let Some((alarm, _)) = case.on_one_metric() else {
        return Vec::new();
    };
    let range = i64::from(evaluation_range(alarm.period, alarm.evaluation_periods));
    let seconds = range * alarm.period.seconds();
    if alarm.treatment() != TreatMissingData::Breaching || seconds <= LONG {
        return Vec::new();
    }
    hit(
        "Period",
        format!(
            "when the metric stops, its last datapoints count for {range} periods: the alarm goes off after up to {} minutes",
            seconds / 60
        ),
    )
}

//! Every datapoint has to breach, because `DatapointsToAlarm` is not set.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "all-datapoints-wanted",
    severity: Severity::Note,
    summary: "every datapoint has to breach, because `DatapointsToAlarm` is not set",
    why: "Without `DatapointsToAlarm` all N datapoints have to breach: one good minute in between, and the alarm does \
          not go off. Set it, to N if that is what is meant.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 5
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 5
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 3
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    const MANY: u32 = 3;
    match case.metric_alarm() {
        Some(alarm) if alarm.datapoints_to_alarm.is_none() && alarm.evaluation_periods > MANY => {
            hit(
                "EvaluationPeriods",
                format!(
                    "all {} datapoints have to breach, for `DatapointsToAlarm` is not set",
                    alarm.evaluation_periods
                ),
            )
        }
        _ => Vec::new(),
    }
}

//! The period is shorter than the metric has datapoints.

use super::super::{Case, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "period-below-native",
    severity: Severity::Warning,
    summary: "the period is shorter than the metric has datapoints",
    why: "EC2 has datapoints every five minutes unless detailed monitoring is on: of five one-minute periods four are \
          missing, and \"15 of 15\" is decided by three. Set the period to that of the metric, or switch detailed \
          monitoring on and allow this rule.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 60
EvaluationPeriods: 2
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
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let (period, native) = (alarm.period.seconds(), i64::from(entry.period));
    if period >= native {
        return Vec::new();
    }
    let detailed = match entry.namespace {
        "AWS/EC2" => " (every 60 with detailed monitoring)",
        _ => "",
    };
    hit(
        "Period",
        format!(
            "`{}` has a datapoint every {native} seconds{detailed}: of the periods of {period} seconds most are missing",
            stat.metric.name
        ),
    )
}

//! The end is told and the beginning is not.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "ok-without-alarm-action",
    severity: Severity::Note,
    summary: "the end is told and the beginning is not",
    why: "There are `OKActions` and no `AlarmActions`.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
OKActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
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
OKActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let actions = &case.alarm().actions;
    match !actions.ok.is_empty() && actions.alarm.is_empty() {
        true => hit(
            "OKActions",
            "the end of the alarm is told, its beginning is not",
        ),
        false => Vec::new(),
    }
}

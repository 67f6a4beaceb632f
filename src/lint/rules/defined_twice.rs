//! Another alarm is the same but for its name.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "defined-twice",
    severity: Severity::Warning,
    summary: "another alarm is the same but for its name",
    why: "Two alarms on the same metric with the same rule and the same actions cost twice and tell everything twice.",
    bad: r#"- AlarmName: cpu-high
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
- AlarmName: cpu-too-high
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
    good: r#"- AlarmName: cpu-high
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
- AlarmName: cpu-very-high
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 95
  ComparisonOperator: GreaterThanThreshold
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
  InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let alarm = case.alarm();
    let first = case
        .all
        .first_of_rule
        .get(&(alarm.fingerprint(), &alarm.actions));
    match first {
        Some(first) if **first != alarm.name => hit(
            "AlarmName",
            format!("`{first}` has the same rule and the same actions"),
        ),
        _ => Vec::new(),
    }
}

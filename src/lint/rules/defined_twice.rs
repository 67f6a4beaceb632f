//! Another alarm is the same but for its name.

use crate::definition::Definition;

use super::super::{Case, Hit, Rule, Severity, hit};

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
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let ours = case.alarm();
    let same = |other: &&Definition| {
        other.alarm.rule == ours.rule
            && other.alarm.actions == ours.actions
            && other.alarm.name < ours.name
    };
    match case.all.definitions.iter().find(same) {
        Some(other) => hit(
            "AlarmName",
            format!(
                "`{}` has the same rule and the same actions",
                other.alarm.name
            ),
        ),
        None => Vec::new(),
    }
}

//! A child and its parent tell the same people.

use super::super::{Case, Check, Hit, Rule, Severity, children, hit};

pub(super) const RULE: Rule = Rule {
    id: "paged-twice",
    severity: Severity::Warning,
    summary: "a child and its parent tell the same people",
    why: "A composite alarm is there so that one message is sent; if its children have the same actions, each sends its \
          own besides.",
    bad: r#"- AlarmName: both
  AlarmRule: ALARM(a) AND ALARM(b)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: a
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
- AlarmName: b
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 90
  ComparisonOperator: GreaterThanThreshold
  InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"- AlarmName: both
  AlarmRule: ALARM(a) AND ALARM(b)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: a
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 80
  ComparisonOperator: GreaterThanThreshold
  InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: b
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 90
  ComparisonOperator: GreaterThanThreshold
  InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let ours = &case.alarm().actions.alarm;
    let tells_the_same = |name: &&str| {
        let child = case.all.by_name.get(name).map(|found| &found.alarm.actions);
        child.is_some_and(|child| {
            child.enabled && child.alarm.iter().any(|action| ours.contains(action))
        })
    };
    match children(case.alarm()).find(tells_the_same) {
        Some(child) => hit(
            "AlarmActions",
            format!("`{child}` has the same action: both tell it"),
        ),
        None => Vec::new(),
    }
}

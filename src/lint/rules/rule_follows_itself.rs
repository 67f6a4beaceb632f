//! Composite alarms depend on each other in a circle.

use std::collections::BTreeSet;

use super::super::{Case, Check, Hit, Rule, Severity, children, hit};

pub(super) const RULE: Rule = Rule {
    id: "rule-follows-itself",
    severity: Severity::Error,
    summary: "composite alarms depend on each other in a circle",
    why: "CloudWatch stops judging them, and none of them can be deleted while the others are there.",
    bad: r#"- AlarmName: x
  AlarmRule: ALARM(y)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: y
  AlarmRule: ALARM(x)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
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
    let name = case.alarm().name.as_str();
    if !case.all.perhaps_circular.contains(name) {
        return Vec::new();
    }
    let (mut seen, mut to_do) = (BTreeSet::new(), vec![name]);
    while let Some(parent) = to_do.pop() {
        let Some(found) = case.all.by_name.get(parent) else {
            continue;
        };
        for child in children(&found.alarm) {
            if child == name {
                return hit("AlarmRule", "the alarm depends on itself");
            }
            if seen.insert(child) {
                to_do.push(child);
            }
        }
    }
    Vec::new()
}

//! A composite alarm names an alarm that is not here.

use std::collections::BTreeSet;

use super::super::{Case, Check, Hit, Rule, Severity, children, hit};

pub(super) const RULE: Rule = Rule {
    id: "child-unknown",
    severity: Severity::Warning,
    summary: "a composite alarm names an alarm that is not here",
    why: "CloudWatch refuses a rule that names an alarm that does not exist. If it is in another file, check both \
          together.",
    bad: r#"AlarmName: both
AlarmRule: ALARM(a) AND ALARM(b)
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
    let unknown: BTreeSet<&str> = children(case.alarm())
        .filter(|name| !case.all.has(name))
        .collect();
    let unknown: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
    let verb = match unknown.len() {
        0 => return Vec::new(),
        1 => "is",
        _ => "are",
    };
    hit(
        "AlarmRule",
        format!(
            "{} {verb} not among the alarms that are checked here",
            unknown.join(", ")
        ),
    )
}

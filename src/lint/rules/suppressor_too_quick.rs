//! The suppressor has no time to act.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "suppressor-too-quick",
    severity: Severity::Warning,
    summary: "the suppressor has no time to act",
    why: "Children and suppressor are judged once a minute and not at the same instant: with less than a minute of \
          waiting the actions are run before the suppressor is in ALARM, and with less of extension they are run when it \
          ends a little sooner.",
    bad: r#"- AlarmName: both
  AlarmRule: ALARM(a) AND ALARM(b)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
  ActionsSuppressor: a
  ActionsSuppressorWaitPeriod: 10
  ActionsSuppressorExtensionPeriod: 10
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
    good: r#"- AlarmName: both
  AlarmRule: ALARM(a) AND ALARM(b)
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
  ActionsSuppressor: a
  ActionsSuppressorWaitPeriod: 120
  ActionsSuppressorExtensionPeriod: 120
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
    const SHORTEST: i64 = 60;
    let Some(suppressor) = case.alarm().suppressor() else {
        return Vec::new();
    };
    let periods = [
        ("ActionsSuppressorWaitPeriod", suppressor.wait_period),
        (
            "ActionsSuppressorExtensionPeriod",
            suppressor.extension_period,
        ),
    ];
    match periods.iter().find(|(_, seconds)| *seconds < SHORTEST) {
        Some((member, seconds)) => hit(
            member,
            format!("`{member}` is {seconds} seconds, and alarms are judged once in {SHORTEST}"),
        ),
        None => Vec::new(),
    }
}

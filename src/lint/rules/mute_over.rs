//! A mute rule is over.

use crate::alarm::MuteStatus;

use super::super::{Check, Hit, MuteCase, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "mute-over",
    severity: Severity::Note,
    summary: "a mute rule is over",
    why: "It mutes nothing any more, and keeps counting towards the rules that an account may have. Delete it.",
    bad: r#"- Name: nights
  Rule: {Schedule: {Expression: at(2020-01-31T22:00), Duration: PT8H}}
  MuteTargets: {AlarmNames: [cpu-high]}
- AlarmName: cpu-high
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 80
  ComparisonOperator: GreaterThanThreshold
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"- Name: nights
  Rule: {Schedule: {Expression: at(2999-01-31T22:00), Duration: PT8H}}
  MuteTargets: {AlarmNames: [cpu-high]}
- AlarmName: cpu-high
  Namespace: AWS/EC2
  MetricName: CPUUtilization
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Average
  Period: 300
  EvaluationPeriods: 2
  Threshold: 80
  ComparisonOperator: GreaterThanThreshold
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::MuteRule(check),
};

fn check(case: &MuteCase<'_>) -> Vec<Hit> {
    match case.rule.status(case.now) {
        MuteStatus::Expired => hit("Rule", "its last window is over: it mutes nothing any more"),
        MuteStatus::Active | MuteStatus::Scheduled => Vec::new(),
    }
}

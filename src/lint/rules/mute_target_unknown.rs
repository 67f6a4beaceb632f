//! A mute rule names an alarm that is not here.

use crate::finding::did_you_mean;

use super::super::{Check, Hit, MuteCase, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "mute-target-unknown",
    severity: Severity::Warning,
    summary: "a mute rule names an alarm that is not here",
    why: "CloudWatch takes any name, and mutes nothing. If the alarm is in another file, check both together.",
    bad: r#"- Name: nights
  Rule: {Schedule: {Expression: cron(0 22 * * *), Duration: PT8H}}
  MuteTargets: {AlarmNames: [cpu-hihg]}
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
  Rule: {Schedule: {Expression: cron(0 22 * * *), Duration: PT8H}}
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
    let targets = case.rule.targets.iter();
    let unknown = targets.filter(|name| !case.all.has(name));
    let known = || case.all.by_name.keys().copied();
    let hits = unknown.map(|name| {
        let hint = did_you_mean(name, known());
        hit(
            "MuteTargets",
            format!("`{name}` is not among the alarms that are checked here{hint}"),
        )
    });
    hits.flatten().collect()
}

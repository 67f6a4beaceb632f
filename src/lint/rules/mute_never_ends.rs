//! A mute rule begins anew before it ends.

use super::super::{Check, Hit, MuteCase, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "mute-never-ends",
    severity: Severity::Warning,
    summary: "a mute rule begins anew before it ends",
    why: "Where the duration is longer than the schedule takes to come round, the alarms are muted all the time, and nobody \
          is ever told. Shorten `Duration`, or give the rule an `ExpireDate`.",
    bad: r#"- Name: nights
  Rule: {Schedule: {Expression: cron(0 22 * * *), Duration: P1D}}
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

/// So many windows without a gap are taken for no end.
const WINDOWS: usize = 60;

fn check(case: &MuteCase<'_>) -> Vec<Hit> {
    if case.rule.expire.is_some() {
        return Vec::new();
    }
    let Some(first) = case.rule.next_window(case.now) else {
        return Vec::new();
    };
    let mut last = first;
    for _ in 0..WINDOWS {
        match case.rule.window_at(last.to) {
            Some(next) if next.to > last.to => last = next,
            _ => return Vec::new(),
        }
    }
    hit(
        "Rule",
        format!(
            "each window of {} hours begins before the last one ends: from {} on the alarms stay muted",
            case.rule.duration.seconds() / 3_600,
            first.from
        ),
    )
}

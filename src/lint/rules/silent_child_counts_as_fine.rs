//! A child that has no data counts as not in ALARM.

use crate::alarm::{Rule as AlarmRule, TreatMissingData};

use super::super::{
    Case, Check, Hit, Rule, Severity,
    catalogue::{self, Kind},
    children, hit,
};

pub(super) const RULE: Rule = Rule {
    id: "silent-child-counts-as-fine",
    severity: Severity::Note,
    summary: "a child that has no data counts as not in ALARM",
    why: "`ALARM(x)` is false while x is in INSUFFICIENT_DATA: a host that is gone does not raise the composite alarm. \
          `NOT OK(x)` is true for both.",
    bad: r#"- AlarmName: both
  AlarmRule: ALARM(a)
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
"#,
    good: r#"- AlarmName: both
  AlarmRule: ALARM(a) OR INSUFFICIENT_DATA(a)
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
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let AlarmRule::Composite(composite) = &case.alarm().rule else {
        return Vec::new();
    };
    let text = composite.rule.to_string();
    if text.contains("INSUFFICIENT_DATA") || text.contains("OK(") {
        return Vec::new();
    }
    let falls_silent = |name: &&str| match case.all.by_name.get(name).map(|found| &found.alarm.rule)
    {
        Some(AlarmRule::Metric(child)) => {
            let is_continuous = child
                .stat()
                .and_then(|stat| catalogue::find(&stat.metric))
                .is_some_and(|entry| entry.kind == Kind::Continuous);
            is_continuous && child.treatment() == TreatMissingData::Missing
        }
        _ => false,
    };
    match children(case.alarm()).find(falls_silent) {
        Some(child) => hit(
            "AlarmRule",
            format!(
                "when the metric of `{child}` stops, that alarm goes to INSUFFICIENT_DATA, which counts as fine here"
            ),
        ),
        None => Vec::new(),
    }
}

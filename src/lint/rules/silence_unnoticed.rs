//! The metric always has datapoints, and nobody is told when they stop.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, catalogue::Kind, hit};
use super::on_instance;

pub(super) const RULE: Rule = Rule {
    id: "silence-unnoticed",
    severity: Severity::Warning,
    summary: "the metric always has datapoints, and nobody is told when they stop",
    why: "A host or publisher that is gone sends nothing. With `missing` the alarm goes to INSUFFICIENT_DATA, with \
          `notBreaching` to OK and with `ignore` it stays as it is: without an action on INSUFFICIENT_DATA nobody hears \
          of it. Set `TreatMissingData` to `breaching`, or give `InsufficientDataActions`.",
    bad: r#"AlarmName: cpu-high
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
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let is_told = !case.alarm().actions.insufficient_data.is_empty()
        && alarm.treatment() == TreatMissingData::Missing;
    if entry.kind == Kind::Sparse || is_told || alarm.treatment() == TreatMissingData::Breaching {
        return Vec::new();
    }
    let dimensions = stat.metric.dimensions();
    let is_told_elsewhere = !dimensions.is_empty() && case.all.silence_told.contains(dimensions);
    if is_told_elsewhere || acts_alone(case) || SILENT.contains(&entry.namespace) {
        return Vec::new();
    }
    let becomes = match alarm.treatment() {
        TreatMissingData::NotBreaching => "goes to OK",
        TreatMissingData::Ignore => "stays as it is",
        _ => "goes to INSUFFICIENT_DATA, which has no action",
    };
    hit(
        "TreatMissingData",
        format!(
            "when `{}` stops, the alarm {becomes}; nobody is told that the resource is silent",
            stat.metric.name
        ),
    )
}

/// Bills and gateways: nobody has to hear that they have nothing to say.
const SILENT: [&str; 2] = ["AWS/Billing", "AWS/NATGateway"];

/// Whether the alarm tells nobody, but stops, recovers or scales something; silence is no reason for that.
fn acts_alone(case: &Case<'_>) -> bool {
    let mut actions = case.actions().peekable();
    let scales = |action: &str| action.contains(":autoscaling:");
    actions.peek().is_some()
        && actions.all(|(_, action)| on_instance(action).is_some() || scales(action))
}

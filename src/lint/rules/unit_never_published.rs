//! The alarm asks for a unit in which the metric is not published.

use crate::alarm::TreatMissingData;

use super::super::{Case, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "unit-never-published",
    severity: Severity::Error,
    summary: "the alarm asks for a unit in which the metric is not published",
    why: "With `Unit` an alarm sees only datapoints of exactly that unit. If the metric is never published in it, the \
          alarm never has a datapoint: it stays in INSUFFICIENT_DATA, or is always breaching or always OK, whatever the \
          metric does. Leave `Unit` out.",
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
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Unit: Seconds
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
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let Some(unit) = stat.unit.filter(|unit| unit.name() != entry.unit) else {
        return Vec::new();
    };
    let stays = match alarm.treatment() {
        TreatMissingData::Breaching => "it is in ALARM for ever",
        TreatMissingData::NotBreaching => "it is OK for ever",
        _ => "it stays in INSUFFICIENT_DATA for ever",
    };
    hit(
        "Unit",
        format!(
            "`{}` is published in `{}`, and the alarm asks for `{}`: it never sees a datapoint, so that {stays}; leave `Unit` out",
            stat.metric.name,
            entry.unit,
            unit.name()
        ),
    )
}

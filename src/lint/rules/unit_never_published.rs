//! The alarm asks for a unit in which the metric is not published.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Read, Rule, Severity};

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
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    case.reads()
        .iter()
        .filter_map(|read| unit(case, read))
        .collect()
}

fn unit(case: &Case<'_>, read: &Read<'_>) -> Option<Hit> {
    let entry = read.known().filter(|entry| entry.has_fixed_unit())?;
    let unit = read.stat.unit.filter(|unit| unit.name() != entry.unit)?;
    let consequence = match (case.on_one_metric(), read.id) {
        (Some((alarm, _)), _) => match alarm.treatment() {
            TreatMissingData::Breaching => {
                "it never sees a datapoint, so that it is in ALARM for ever".to_owned()
            }
            TreatMissingData::NotBreaching => {
                "it never sees a datapoint, so that it is OK for ever".to_owned()
            }
            _ => "it never sees a datapoint, so that it stays in INSUFFICIENT_DATA for ever"
                .to_owned(),
        },
        (None, id) => format!("`{}` never has a datapoint", id.unwrap_or_default()),
    };
    Some(read.hit(
        "Unit",
        format!(
            "`{}` is published in `{}`, and the alarm asks for `{}`: {consequence}; leave `Unit` out",
            read.stat.metric.name,
            entry.unit,
            unit.name()
        ),
    ))
}

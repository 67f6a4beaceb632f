//! The alarm asks for a unit.

use super::super::{Case, Check, Hit, Read, Rule, Severity, catalogue::Entry};

pub(super) const RULE: Rule = Rule {
    id: "unit-set",
    severity: Severity::Note,
    summary: "the alarm asks for a unit",
    why: "With `Unit` an alarm sees only datapoints of exactly that unit. Should the publisher ever change it, or send \
          none, the alarm is blind. It is needed only for a metric that is published in several units.",
    bad: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Load
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Unit: Count
"#,
    good: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Load
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
    let is_unsure = |read: &&Read<'_>| {
        let is_known = read.known().is_some_and(Entry::has_fixed_unit);
        read.stat.unit.is_some() && !is_known
    };
    let reads = case.reads();
    let unsure = reads.iter().filter(is_unsure);
    let hit = |read: &Read<'_>| {
        read.hit(
            "Unit",
            "the alarm sees only datapoints of exactly this unit; without `Unit` it sees all of them",
        )
    };
    unsure.map(hit).collect()
}

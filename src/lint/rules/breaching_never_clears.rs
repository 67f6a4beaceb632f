//! Missing datapoints count as breaching and fewer than all make an alarm.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, catalogue::Kind, hit};

pub(super) const RULE: Rule = Rule {
    id: "breaching-never-clears",
    severity: Severity::Warning,
    summary: "missing datapoints count as breaching and fewer than all make an alarm",
    why: "With M below N and `breaching`, a metric that has datapoints only now and then has M breaching ones most of \
          the time: the alarm goes off without a reason and does not end. Use `missing` or `notBreaching`, or M = N.",
    bad: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Jobs
Statistic: Average
Period: 300
EvaluationPeriods: 3
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 2
TreatMissingData: breaching
"#,
    good: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Jobs
Statistic: Average
Period: 300
EvaluationPeriods: 3
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 2
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, _)) = case.on_one_metric() else {
        return Vec::new();
    };
    let is_continuous = case
        .known()
        .is_some_and(|(_, _, entry)| entry.kind == Kind::Continuous);
    let (m, n) = (alarm.minimum_to_alarm(), alarm.evaluation_periods);
    if is_continuous || m >= n || alarm.treatment() != TreatMissingData::Breaching {
        return Vec::new();
    }
    hit(
        "DatapointsToAlarm",
        format!(
            "{m} of {n} datapoints and `breaching`: where the metric has gaps, they alone make the alarm"
        ),
    )
}

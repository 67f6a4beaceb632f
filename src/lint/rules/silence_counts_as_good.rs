//! The alarm is there to notice that something stops, and silence counts as good.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::is_below;

pub(super) const RULE: Rule = Rule {
    id: "silence-counts-as-good",
    severity: Severity::Warning,
    summary: "the alarm is there to notice that something stops, and silence counts as good",
    why: "An alarm that goes off when a value is low is meant to notice that something stops. With `notBreaching` it is \
          OK when nothing comes at all.",
    bad: r#"AlarmName: heartbeat
Namespace: Custom
MetricName: Heartbeat
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 1
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: heartbeat
Namespace: Custom
MetricName: Heartbeat
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 1
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
WarmUpConfiguration: {WarmUpPeriodDurationInMinutes: 10}
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        // Of a metric that comes only when something happens, silence is good.
        Some(alarm)
            if is_below(alarm)
                && alarm.treatment() == TreatMissingData::NotBreaching
                && case.sparse().is_none() =>
        {
            hit(
                "TreatMissingData",
                "a low value raises the alarm, and no value at all counts as good",
            )
        }
        _ => Vec::new(),
    }
}

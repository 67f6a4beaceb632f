//! It goes off when it is created before its metric.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "alarm-at-creation",
    severity: Severity::Note,
    summary: "it goes off when it is created before its metric",
    why: "With `breaching` an alarm that is created before the first datapoint goes to ALARM within a minute or two. \
          `WarmUpConfiguration` holds it back.",
    bad: r#"AlarmName: heartbeat
Namespace: Custom
MetricName: Heartbeat
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 1
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
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
        Some(alarm)
            if alarm.treatment() == TreatMissingData::Breaching && alarm.warm_up.is_none() =>
        {
            hit(
                "TreatMissingData",
                "created before its metric has a datapoint, the alarm goes off at once; `WarmUpConfiguration` holds it back",
            )
        }
        _ => Vec::new(),
    }
}

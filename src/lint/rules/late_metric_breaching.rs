//! The metric comes later than the alarm waits.

use crate::alarm::{TreatMissingData, evaluation_range};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "late-metric-breaching",
    severity: Severity::Warning,
    summary: "the metric comes later than the alarm waits",
    why: "Storage and billing metrics have a datapoint every few hours or once a day: with `breaching` an alarm that \
          looks back less goes off between them.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/S3
MetricName: BucketSizeBytes
Dimensions: [{Name: BucketName, Value: b}, {Name: StorageType, Value: StandardStorage}]
Statistic: Average
Period: 3600
EvaluationPeriods: 1
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/S3
MetricName: BucketSizeBytes
Dimensions: [{Name: BucketName, Value: b}, {Name: StorageType, Value: StandardStorage}]
Statistic: Average
Period: 86400
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
    let range = i64::from(evaluation_range(alarm.period, alarm.evaluation_periods))
        * alarm.period.seconds();
    let apart = i64::from(entry.period);
    if alarm.treatment() != TreatMissingData::Breaching || apart < 3_600 || range > apart {
        return Vec::new();
    }
    hit(
        "Period",
        format!(
            "`{}` has a datapoint every {} hours, and the alarm looks back {}: in between it goes off",
            stat.metric.name,
            apart / 3_600,
            range / 3_600
        ),
    )
}

//! With few samples the alarm stays as it is.

use crate::alarm::LowSamplePercentile;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "low-samples-keep-alarm",
    severity: Severity::Note,
    summary: "with few samples the alarm stays as it is",
    why: "`EvaluateLowSampleCountPercentile: ignore` keeps the state while there are too few samples for the percentile: \
          an ALARM of a busy hour stays through a quiet night.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: TargetResponseTime
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Period: 60
EvaluationPeriods: 2
Threshold: 2
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
ExtendedStatistic: p99
EvaluateLowSampleCountPercentile: ignore
"#,
    good: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: TargetResponseTime
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Period: 60
EvaluationPeriods: 2
Threshold: 2
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
ExtendedStatistic: p99
EvaluateLowSampleCountPercentile: evaluate
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        Some(alarm) if alarm.low_sample_percentile == Some(LowSamplePercentile::Ignore) => hit(
            "EvaluateLowSampleCountPercentile",
            "while there are few samples the alarm keeps its state, also ALARM",
        ),
        _ => Vec::new(),
    }
}

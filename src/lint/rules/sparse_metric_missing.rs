//! The metric has datapoints only when something happens, and missing ones count as missing.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "sparse-metric-missing",
    severity: Severity::Warning,
    summary: "the metric has datapoints only when something happens, and missing ones count as missing",
    why: "Between events the alarm goes to INSUFFICIENT_DATA and back with every datapoint, and a single one may decide \
          (the premature rule). For counts of events `TreatMissingData: notBreaching` says what silence means.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.sparse_treated_as(TreatMissingData::Missing) {
        Some(metric) => hit(
            "TreatMissingData",
            format!(
                "`{}` has no datapoints while nothing happens: the alarm changes between OK and INSUFFICIENT_DATA; `notBreaching` is meant, most likely",
                metric.name
            ),
        ),
        None => Vec::new(),
    }
}

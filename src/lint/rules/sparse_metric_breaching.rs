//! The metric has datapoints only when something happens, and missing ones count as breaching.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "sparse-metric-breaching",
    severity: Severity::Warning,
    summary: "the metric has datapoints only when something happens, and missing ones count as breaching",
    why: "Without traffic the alarm is in ALARM, for ever or again and again. Only where there must always be traffic is \
          `breaching` right; then allow this rule there.",
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
TreatMissingData: breaching
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
    match case.sparse_treated_as(TreatMissingData::Breaching) {
        Some(metric) => hit(
            "TreatMissingData",
            format!(
                "`{}` has no datapoints while nothing happens: then the alarm goes to ALARM",
                metric.name
            ),
        ),
        None => Vec::new(),
    }
}

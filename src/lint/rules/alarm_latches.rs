//! Once in ALARM it stays there while the metric is silent.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "alarm-latches",
    severity: Severity::Warning,
    summary: "once in ALARM it stays there while the metric is silent",
    why: "With `ignore` the state is kept while there are no datapoints. A metric that has some only when something \
          happens leaves the alarm in ALARM until something happens again.",
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
TreatMissingData: ignore
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
    // That of DynamoDB's metrics is so without having been asked for.
    let is_asked = case
        .metric_alarm()
        .is_some_and(|alarm| alarm.treat_missing_data.is_some());
    match case.sparse_treated_as(TreatMissingData::Ignore) {
        Some(metric) if is_asked => hit(
            "TreatMissingData",
            format!(
                "after ALARM the alarm stays there until `{}` has datapoints again",
                metric.name
            ),
        ),
        _ => Vec::new(),
    }
}

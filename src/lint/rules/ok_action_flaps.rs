//! Every quiet period sends a message.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "ok-action-flaps",
    severity: Severity::Warning,
    summary: "every quiet period sends a message",
    why: "The metric has datapoints only when something happens, and missing ones count as missing: the alarm changes \
          between OK and INSUFFICIENT_DATA, and each time OKActions are run. Use `notBreaching`.",
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
TreatMissingData: missing
OKActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
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
OKActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.sparse_treated_as(TreatMissingData::Missing) {
        Some(_) if !case.alarm().actions.ok.is_empty() => hit(
            "OKActions",
            "they are run after every gap in the metric, when the alarm comes back from INSUFFICIENT_DATA",
        ),
        _ => Vec::new(),
    }
}

//! Errors below a threshold raise the alarm.

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::is_below;

pub(super) const RULE: Rule = Rule {
    id: "operator-inverted",
    severity: Severity::Note,
    summary: "errors below a threshold raise the alarm",
    why: "An alarm on a count of errors that goes off when there are few is the wrong way round, most likely.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
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
    const BAD: [&str; 6] = ["Error", "5XX", "4XX", "Throttle", "Failed", "Rejected"];
    match case.on_one_metric() {
        Some((alarm, stat))
            if is_below(alarm) && BAD.iter().any(|part| stat.metric.name.contains(part)) =>
        {
            hit(
                "ComparisonOperator",
                format!("the alarm goes off when `{}` is low", stat.metric.name),
            )
        }
        _ => Vec::new(),
    }
}

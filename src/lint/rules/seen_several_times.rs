//! One sample breaches several periods in a row.

use crate::metric::{BasicStatistic, Statistic};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "seen-several-times",
    severity: Severity::Warning,
    summary: "one sample breaches several periods in a row",
    why: "Windows slide by a minute: with a period of an hour one spike is in sixty windows, and the alarm stays in \
          ALARM for an hour after it, or flaps with each. On a metric with few samples use a short period and M out of \
          N.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Maximum
Period: 3600
EvaluationPeriods: 3
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
DatapointsToAlarm: 1
"#,
    good: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Maximum
Period: 60
EvaluationPeriods: 60
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
DatapointsToAlarm: 1
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, stat, entry)) = case.sparse() else {
        return Vec::new();
    };
    let is_maximum = stat.statistic == Statistic::Basic(BasicStatistic::Maximum);
    if !is_maximum
        || alarm.period.seconds() < 10 * i64::from(entry.period)
        || alarm.evaluation_periods == 1
    {
        return Vec::new();
    }
    hit(
        "Period",
        format!(
            "one sample is in the window of every evaluation for {} minutes",
            alarm.period.seconds() / 60
        ),
    )
}

//! The newest datapoint is filled in, and decides alone.

use crate::alarm::{MetricDataQuery, QueryContent, Source};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "fill-decides",
    severity: Severity::Warning,
    summary: "the newest datapoint is filled in, and decides alone",
    why: "The newest period is often not there yet when the alarm is judged: `FILL` puts its filler there, and with one \
          datapoint of one the alarm is judged by that. Ask for more datapoints, or leave `FILL` out.",
    bad: r#"AlarmName: error-rate
EvaluationPeriods: 1
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "FILL(errors, 0)"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: error-rate
EvaluationPeriods: 3
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "FILL(errors, 0)"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
DatapointsToAlarm: 2
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some(alarm) = case.metric_alarm() else {
        return Vec::new();
    };
    let Source::Math(math) = &alarm.source else {
        return Vec::new();
    };
    let fills = |query: &MetricDataQuery| matches!(&query.content, QueryContent::Expression(text) if text.contains("FILL("));
    match alarm.evaluation_periods == 1 && math.queries().iter().any(fills) {
        true => hit(
            "EvaluationPeriods",
            "the newest period may be no more than what `FILL` puts there, and it decides alone",
        ),
        false => Vec::new(),
    }
}

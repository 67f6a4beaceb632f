//! The value depends on how far CloudWatch looks back.

use crate::alarm::{QueryContent, Source};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "window-dependent-function",
    severity: Severity::Warning,
    summary: "the value depends on how far CloudWatch looks back",
    why: "AVG, MAX, MIN, SUM and STDDEV of one series, DATAPOINT_COUNT, RUNNING_SUM, RATE and REMOVE_EMPTY are computed \
          over all the datapoints that an evaluation retrieves, whose number AWS does not document: the same metric \
          gives other values than a graph shows. Compare the series itself, or use M out of N.",
    bad: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "errors - AVG(errors)"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "errors + requests"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    const FUNCTIONS: [&str; 6] = [
        "STDDEV(",
        "DATAPOINT_COUNT(",
        "RUNNING_SUM(",
        "RATE(",
        "REMOVE_EMPTY(",
        "SLICE(",
    ];
    let Some(Source::Math(math)) = case.metric_alarm().map(|alarm| &alarm.source) else {
        return Vec::new();
    };
    for query in math.queries() {
        let QueryContent::Expression(text) = &query.content else {
            continue;
        };
        let of_one = |name: &&str| {
            math.queries()
                .iter()
                .any(|other| text.contains(&format!("{name}{})", other.id)))
        };
        let scalar = ["AVG(", "MAX(", "MIN(", "SUM("];
        let found = FUNCTIONS
            .iter()
            .find(|name| text.contains(**name))
            .or_else(|| scalar.iter().find(|name| of_one(name)));
        if let Some(name) = found {
            return hit(
                "Metrics",
                format!(
                    "`{name})` in `{}` is computed over every datapoint that an evaluation retrieves, however many those are",
                    query.id
                ),
            );
        }
    }
    Vec::new()
}

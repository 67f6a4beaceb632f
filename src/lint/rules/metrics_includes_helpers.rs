//! `METRICS()` takes every metric of the alarm.

use crate::alarm::{MetricDataQuery, QueryContent, Source};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "metrics-includes-helpers",
    severity: Severity::Note,
    summary: "`METRICS()` takes every metric of the alarm",
    why: "`METRICS()` stands for all the metrics in the request, also for one that is only there for another expression. \
          Name the ones that are meant, as `[m1, m2]`, or give a part of their ids: `METRICS(\"m\")`.",
    bad: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "SUM(METRICS()) + requests"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "SUM([errors, requests])"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some(Source::Math(math)) = case.metric_alarm().map(|alarm| &alarm.source) else {
        return Vec::new();
    };
    let named_besides = |query: &&MetricDataQuery| match &query.content {
        QueryContent::Expression(text) => {
            text.contains("METRICS()")
                && math.queries().iter().any(|other| {
                    let rest = text.replace("METRICS()", "");
                    matches!(other.content, QueryContent::Stat(_))
                        && rest.contains(other.id.as_str())
                })
        }
        QueryContent::Stat(_) => false,
    };
    match math.queries().iter().find(named_besides) {
        Some(query) => hit(
            "Metrics",
            format!(
                "`METRICS()` in `{}` also holds the metrics that it names besides",
                query.id
            ),
        ),
        None => Vec::new(),
    }
}

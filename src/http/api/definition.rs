//! An alarm's rule as JSON, in CloudWatch's terms.

use serde::Serialize;

use crate::alarm::{
    BandOperator, Comparison, ComparisonOperator, CompositeAlarm, LogAlarm, MetricAlarm,
    MetricDataQuery, MetricStat, PromQlAlarm, QueryContent, Rule, Source, TreatMissingData,
};

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Definition<'a> {
    Metric(Box<Metric<'a>>),
    Composite(Composite<'a>),
    PromQl(PromQl<'a>),
    Log(Log<'a>),
}

#[derive(Serialize)]
pub(super) struct Metric<'a> {
    #[serde(flatten)]
    stat: Option<Stat<'a>>,
    /// The statistics and expressions of a math alarm, or its query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Query<'a>>,
    period: i64,
    evaluation_periods: u32,
    datapoints_to_alarm: Option<u32>,
    comparison_operator: &'static str,
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_metric_id: Option<&'a str>,
    treat_missing_data: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_clock: Option<String>,
}

#[derive(Serialize)]
struct Stat<'a> {
    metric: String,
    statistic: &'a str,
    unit: Option<&'static str>,
}

#[derive(Serialize)]
struct Query<'a> {
    id: &'a str,
    #[serde(flatten)]
    stat: Option<Stat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
    return_data: bool,
}

#[derive(Serialize)]
pub(super) struct Composite<'a> {
    alarm_rule: String,
    actions_suppressor: Option<&'a str>,
    actions_suppressor_wait_period: Option<i64>,
    actions_suppressor_extension_period: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct PromQl<'a> {
    query: &'a str,
    pending_period: i64,
    recovery_period: i64,
    evaluation_interval: i64,
}

#[derive(Serialize)]
pub(super) struct Log<'a> {
    query: &'a str,
    aggregation_expression: &'a str,
    schedule_expression: &'a str,
    query_results_to_evaluate: u32,
    query_results_to_alarm: u32,
    comparison_operator: &'static str,
    threshold: f64,
    treat_missing_data: Option<&'static str>,
}

impl<'a> Definition<'a> {
    pub(super) fn of(rule: &'a Rule) -> Self {
        match rule {
            Rule::Metric(alarm) => Self::Metric(Box::new(metric(alarm))),
            Rule::Composite(alarm) => Self::Composite(composite(alarm)),
            Rule::PromQl(alarm) => Self::PromQl(promql(alarm)),
            Rule::Log(alarm) => Self::Log(log(alarm)),
        }
    }
}

fn metric(alarm: &MetricAlarm) -> Metric<'_> {
    let (operator, threshold_metric_id) = match &alarm.comparison {
        Comparison::Threshold { operator, .. } => (ComparisonOperator::name(*operator), None),
        Comparison::Band {
            operator,
            threshold_metric_id,
        } => (
            BandOperator::name(*operator),
            Some(threshold_metric_id.as_str()),
        ),
    };
    Metric {
        stat: alarm.stat().map(stat),
        metrics: match &alarm.source {
            Source::Stat(_) => Vec::new(),
            Source::Math(math) => math.queries().iter().map(query).collect(),
            Source::Query { id, query } => vec![Query {
                id,
                stat: None,
                expression: Some(query),
                return_data: true,
            }],
        },
        period: alarm.period.seconds(),
        evaluation_periods: alarm.evaluation_periods,
        datapoints_to_alarm: alarm.datapoints_to_alarm,
        comparison_operator: operator,
        threshold: alarm.threshold(),
        threshold_metric_id,
        treat_missing_data: alarm.treat_missing_data.map(TreatMissingData::name),
        wall_clock: alarm.evaluation_window.zone_name(),
    }
}

fn query(query: &MetricDataQuery) -> Query<'_> {
    let (stat, expression) = match &query.content {
        QueryContent::Stat(of) => (Some(stat(of)), None),
        QueryContent::Expression(text) => (None, Some(text.as_str())),
    };
    Query {
        id: &query.id,
        stat,
        expression,
        return_data: query.returns_data,
    }
}

fn stat(stat: &MetricStat) -> Stat<'_> {
    Stat {
        metric: stat.metric.to_string(),
        statistic: stat.statistic.name(),
        unit: stat.unit.map(crate::metric::Unit::name),
    }
}

fn composite(alarm: &CompositeAlarm) -> Composite<'_> {
    let suppressor = alarm.suppressor.as_ref();
    Composite {
        alarm_rule: alarm.rule.to_string(),
        actions_suppressor: suppressor.map(|suppressor| suppressor.alarm.as_str()),
        actions_suppressor_wait_period: suppressor.map(|suppressor| suppressor.wait_period),
        actions_suppressor_extension_period: suppressor
            .map(|suppressor| suppressor.extension_period),
    }
}

fn promql(alarm: &PromQlAlarm) -> PromQl<'_> {
    PromQl {
        query: &alarm.query,
        pending_period: alarm.pending_period,
        recovery_period: alarm.recovery_period,
        evaluation_interval: alarm.evaluation_interval,
    }
}

fn log(alarm: &LogAlarm) -> Log<'_> {
    Log {
        query: &alarm.query.text,
        aggregation_expression: alarm.query.aggregation.text(),
        schedule_expression: &alarm.query.schedule,
        query_results_to_evaluate: alarm.results_to_evaluate,
        query_results_to_alarm: alarm.results_to_alarm,
        comparison_operator: alarm.operator.name(),
        threshold: alarm.threshold,
        treat_missing_data: alarm.treat_missing_data.map(TreatMissingData::name),
    }
}

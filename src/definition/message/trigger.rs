//! `Trigger`: the rule of a metric alarm in a message to an SNS topic (SPEC section 16.1).

use serde::Serialize;

use crate::alarm::{
    BandOperator, Comparison, ComparisonOperator, LowSamplePercentile, MetricAlarm,
    MetricDataQuery, MetricStat, QueryContent, Source,
};
use crate::metric::{BasicStatistic, Dimension, Period, Statistic, Unit};

use super::super::reason_data::Number;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Trigger<'a> {
    #[serde(flatten)]
    stat: Option<Stat<'a>>,
    period: i64,
    evaluation_periods: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<u32>,
    comparison_operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_metric_id: Option<&'a str>,
    treat_missing_data: &'static str,
    evaluate_low_sample_count_percentile: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Query<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat<'a> {
    metric_name: &'a str,
    namespace: &'a str,
    statistic_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<&'a str>,
    unit: Option<&'static str>,
    dimensions: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    value: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Query<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_stat: Option<QueryStat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    return_data: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryStat<'a> {
    metric: QueryMetric<'a>,
    period: i64,
    stat: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryMetric<'a> {
    dimensions: Vec<Pair<'a>>,
    metric_name: &'a str,
    namespace: &'a str,
}

impl<'a> Trigger<'a> {
    pub(super) fn of(alarm: &'a MetricAlarm) -> Self {
        let (comparison_operator, threshold_metric_id) = match &alarm.comparison {
            Comparison::Threshold { operator, .. } => (ComparisonOperator::name(*operator), None),
            Comparison::Band {
                operator,
                threshold_metric_id,
            } => (BandOperator::name(*operator), Some(&**threshold_metric_id)),
        };
        Self {
            stat: alarm.stat().map(stat),
            period: alarm.period.seconds(),
            evaluation_periods: alarm.evaluation_periods,
            datapoints_to_alarm: alarm.datapoints_to_alarm,
            comparison_operator,
            threshold: alarm.threshold().map(Number),
            threshold_metric_id,
            treat_missing_data: alarm.treatment().name(),
            evaluate_low_sample_count_percentile: match alarm.low_sample_percentile {
                None => "",
                Some(LowSamplePercentile::Evaluate) => "evaluate",
                Some(LowSamplePercentile::Ignore) => "ignore",
            },
            metrics: match &alarm.source {
                Source::Stat(_) => Vec::new(),
                Source::Math(math) => {
                    let queries = math.queries().iter();
                    queries.map(|it| query(it, alarm.period)).collect()
                }
                Source::Query { id, query } => vec![Query {
                    expression: Some(query),
                    id,
                    label: None,
                    metric_stat: None,
                    period: Some(alarm.period.seconds()),
                    return_data: true,
                }],
            },
        }
    }
}

fn stat(stat: &MetricStat) -> Stat<'_> {
    let (statistic, extended_statistic) = match &stat.statistic {
        Statistic::Basic(basic) => (Some(in_capitals(*basic)), None),
        Statistic::Extended(extended) => (None, Some(extended.name())),
    };
    Stat {
        metric_name: &stat.metric.name,
        namespace: &stat.metric.namespace,
        statistic_type: match statistic {
            Some(_) => "Statistic",
            None => "ExtendedStatistic",
        },
        statistic,
        extended_statistic,
        unit: stat.unit.map(Unit::name),
        dimensions: pairs(stat.metric.dimensions()),
    }
}

fn in_capitals(statistic: BasicStatistic) -> &'static str {
    match statistic {
        BasicStatistic::Average => "AVERAGE",
        BasicStatistic::Maximum => "MAXIMUM",
        BasicStatistic::Minimum => "MINIMUM",
        BasicStatistic::SampleCount => "SAMPLE_COUNT",
        BasicStatistic::Sum => "SUM",
    }
}

fn pairs(dimensions: &[Dimension]) -> Vec<Pair<'_>> {
    dimensions.iter().map(pair).collect()
}

fn pair(Dimension { name, value }: &Dimension) -> Pair<'_> {
    Pair { value, name }
}

fn query(query: &MetricDataQuery, period: Period) -> Query<'_> {
    let period = query.period.unwrap_or(period).seconds();
    let (expression, metric_stat) = match &query.content {
        QueryContent::Expression(text) => (Some(text.as_str()), None),
        QueryContent::Stat(stat) => (None, Some(stat)),
    };
    Query {
        expression,
        id: &query.id,
        label: query.label.as_deref(),
        metric_stat: metric_stat.map(|stat| QueryStat {
            metric: QueryMetric {
                dimensions: pairs(stat.metric.dimensions()),
                metric_name: &stat.metric.name,
                namespace: &stat.metric.namespace,
            },
            period,
            stat: stat.statistic.name(),
            unit: stat.unit.map(Unit::name),
        }),
        period: query
            .period
            .filter(|_| expression.is_some())
            .map(Period::seconds),
        return_data: query.returns_data,
    }
}

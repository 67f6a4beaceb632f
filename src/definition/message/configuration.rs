//! `configuration`: what an event and a payload say of the alarm itself (SPEC sections 16.2 and 16.3).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::alarm::{
    Alarm, CompositeAlarm, LogAlarm, MetricAlarm, MetricDataQuery, MetricStat, PromQlAlarm,
    QueryContent, Rule, Source,
};
use crate::metric::Period;

use super::super::uuid::uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(flatten)]
    rule: Configured<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Configured<'a> {
    Metrics { metrics: Vec<Query<'a>> },
    Composite(Composite<'a>),
    Log(Log<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Composite<'a> {
    alarm_rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_wait_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions_suppressor_extension_period: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Log<'a> {
    log_groups: &'a [String],
    query_string: &'a str,
    aggregation_expression: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_stat: Option<Stat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    return_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Stat<'a> {
    metric: Named<'a>,
    period: i64,
    stat: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
}

#[derive(Serialize)]
struct Named<'a> {
    namespace: &'a str,
    name: &'a str,
    dimensions: BTreeMap<&'a str, &'a str>,
}

impl<'a> Configuration<'a> {
    pub(super) fn of(alarm: &'a Alarm) -> Self {
        Self {
            description: alarm.description.as_deref(),
            rule: match &alarm.rule {
                Rule::Metric(rule) => Configured::Metrics {
                    metrics: metrics(&alarm.name, rule),
                },
                Rule::Composite(rule) => Configured::Composite(composite(rule)),
                Rule::PromQl(PromQlAlarm { query, .. }) => Configured::Metrics {
                    metrics: vec![expression("q1".to_owned(), query)],
                },
                Rule::Log(rule) => Configured::Log(log(rule)),
            },
        }
    }
}

/// The one statistic of an alarm has no id of its own: CloudWatch makes one up.
fn metrics<'a>(alarm: &str, rule: &'a MetricAlarm) -> Vec<Query<'a>> {
    match &rule.source {
        Source::Stat(of) => vec![Query {
            metric_stat: Some(stat(of, rule.period)),
            expression: None,
            ..expression(uuid(alarm), "")
        }],
        Source::Math(math) => {
            let queries = math.queries().iter();
            queries.map(|it| query(it, rule.period)).collect()
        }
        Source::Query { id, query } => vec![Query {
            period: Some(rule.period.seconds()),
            ..expression(id.clone(), query)
        }],
    }
}

fn expression(id: String, expression: &str) -> Query<'_> {
    Query {
        id,
        metric_stat: None,
        expression: Some(expression),
        label: None,
        return_data: true,
        period: None,
    }
}

fn query(query: &MetricDataQuery, period: Period) -> Query<'_> {
    let (metric_stat, expression) = match &query.content {
        QueryContent::Stat(of) => (Some(stat(of, query.period.unwrap_or(period))), None),
        QueryContent::Expression(text) => (None, Some(text.as_str())),
    };
    Query {
        id: query.id.clone(),
        metric_stat,
        expression,
        label: query.label.as_deref(),
        return_data: query.returns_data,
        period: query
            .period
            .filter(|_| expression.is_some())
            .map(Period::seconds),
    }
}

fn stat(stat: &MetricStat, period: Period) -> Stat<'_> {
    let dimensions = stat.metric.dimensions().iter();
    Stat {
        metric: Named {
            namespace: &stat.metric.namespace,
            name: &stat.metric.name,
            dimensions: dimensions.map(|it| (&*it.name, &*it.value)).collect(),
        },
        period: period.seconds(),
        stat: stat.statistic.name(),
        unit: stat.unit.map(crate::metric::Unit::name),
    }
}

fn composite(alarm: &CompositeAlarm) -> Composite<'_> {
    let suppressor = alarm.suppressor.as_ref();
    Composite {
        alarm_rule: alarm.rule.to_string(),
        actions_suppressor: suppressor.map(|it| &*it.alarm),
        actions_suppressor_wait_period: suppressor.map(|it| it.wait_period),
        actions_suppressor_extension_period: suppressor.map(|it| it.extension_period),
    }
}

fn log(alarm: &LogAlarm) -> Log<'_> {
    Log {
        log_groups: &alarm.query.log_groups,
        query_string: &alarm.query.text,
        aggregation_expression: alarm.query.aggregation.text(),
    }
}

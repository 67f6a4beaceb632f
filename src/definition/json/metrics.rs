//! The `Metrics` of PutMetricAlarm: metric math, a band, or a Metrics Insights query.

use std::sync::Arc;

use crate::alarm::{Comparison, MathSource, MetricDataQuery, MetricStat, QueryContent, Source};
use crate::finding::{Position, Report};
use crate::math::{ErrorKind, QueryError};
use crate::metric::{Metric, Period, Statistic};
use crate::tree::{Node, Value};

use super::metric::{dimensions, period, unit};
use super::reader::{Reader, has, place_of};

/// SPEC section 8.5.
const METRICS_MAX: usize = 10;
const EXPRESSIONS_MAX: usize = 10;
const EXPRESSION_CHARACTERS_MAX: usize = 2_048;
const ID_CHARACTERS_MAX: usize = 255;

const MEMBERS: [&str; 7] = [
    "AccountId",
    "Expression",
    "Id",
    "Label",
    "MetricStat",
    "Period",
    "ReturnData",
];

/// Reads the list; its elements say for themselves whether they return data.
pub(super) fn source(
    reader: &mut Reader<'_>,
    comparison: Option<&Comparison>,
) -> Option<(Source, Period)> {
    let nodes = reader.optional("Metrics", |report, what, node| {
        Some(report.list(what, node)?.to_vec())
    })?;
    let queries: Vec<Option<MetricDataQuery>> = nodes
        .iter()
        .map(|node| query(reader.report, node))
        .collect();
    counts(reader, &nodes);
    let has_threshold_id = reader.has("ThresholdMetricId");
    returned(reader, &nodes, has_threshold_id);
    let queries = queries
        .into_iter()
        .collect::<Option<Vec<MetricDataQuery>>>()?;
    let period = common_period(reader, &queries)?;
    if let Some(insights) = insights(&queries) {
        return Some((insights, period));
    }
    let math = MathSource::new(queries, comparison?);
    let errors = match math {
        Ok(math) => return Some((Source::Math(Box::new(math)), period)),
        Err(errors) => errors,
    };
    for error in errors {
        let place = place(reader.node, &nodes, &error);
        reader.report.add(place, message(&error));
    }
    None
}

fn query(report: &mut Report, node: &Node) -> Option<MetricDataQuery> {
    report.table("Metrics", node)?;
    report.unknown_keys("an element of `Metrics`", node, &MEMBERS);
    let id = match node.get("Id") {
        Some(id) => report.string("Id", id),
        None => {
            report.add(node.position, "an element of `Metrics` has no `Id`");
            None
        }
    };
    if let Some(id) = id
        .as_ref()
        .filter(|id| id.chars().count() > ID_CHARACTERS_MAX)
    {
        let length = id.chars().count();
        report.add(
            place_of(node, "Id"),
            format!("`Id` has {length} characters, but at most {ID_CHARACTERS_MAX} are allowed"),
        );
    }
    let label = node.get("Label").map(|label| report.string("Label", label));
    let returns_data = match node.get("ReturnData") {
        Some(returns) => report.boolean("ReturnData", returns)?,
        None => true,
    };
    let own_period = node.get("Period").filter(|node| node.value != Value::Null);
    let own_period = own_period.map(|own| period(report, "Period", own));
    let (content, period) = content(report, node)?;
    Some(MetricDataQuery {
        id: id?,
        label: label.flatten(),
        content,
        returns_data,
        period: period.or(own_period.flatten()),
    })
}

/// Either a statistic or an expression.
fn content(report: &mut Report, node: &Node) -> Option<(QueryContent, Option<Period>)> {
    match (has(node, "MetricStat"), has(node, "Expression")) {
        (true, true) => {
            let text = "The parameters MetricDataQuery Expression and MetricStat are mutually exclusive and you have specified both.";
            report.add(place_of(node, "Expression"), text);
            None
        }
        (false, false) => {
            report.add(node.position, "Period must not be null");
            None
        }
        (true, false) => {
            let (stat, period) = metric_stat(report, node.get("MetricStat")?)?;
            Some((QueryContent::Stat(stat), Some(period)))
        }
        (false, true) => {
            let node = node.get("Expression")?;
            let text = report.string("Expression", node)?;
            let length = text.chars().count();
            if length > EXPRESSION_CHARACTERS_MAX {
                report.add(node.position, format!("`Expression` has {length} characters, but at most {EXPRESSION_CHARACTERS_MAX} are allowed"));
                return None;
            }
            Some((QueryContent::Expression(text), None))
        }
    }
}

fn metric_stat(report: &mut Report, node: &Node) -> Option<(MetricStat, Period)> {
    report.table("MetricStat", node)?;
    report.unknown_keys("`MetricStat`", node, &["Metric", "Period", "Stat", "Unit"]);
    let mut required = |member: &str| {
        let found = node.get(member);
        if found.is_none() {
            report.add(node.position, format!("`{member}` is missing"));
        }
        found
    };
    let (metric_node, period_node, stat_node) =
        (required("Metric"), required("Period"), required("Stat"));
    let metric = metric_node.and_then(|node| metric(report, node));
    let period = period_node.and_then(|node| period(report, "Period", node));
    let unit = node.get("Unit").map(|node| unit(report, "Unit", node));
    let statistic = stat_node.and_then(|node| {
        let found = Statistic::from_name(&report.string("Stat", node)?);
        if found.is_none() {
            report.add(node.position, "Invalid metrics list");
        }
        found
    });
    let stat = MetricStat {
        metric: Arc::new(metric?),
        statistic: statistic?,
        unit: unit.map_or(Some(None), |unit| unit.map(Some))?,
    };
    Some((stat, period?))
}

fn metric(report: &mut Report, node: &Node) -> Option<Metric> {
    report.table("Metric", node)?;
    report.unknown_keys("`Metric`", node, &["Dimensions", "MetricName", "Namespace"]);
    let mut required = |member: &str| match node.get(member) {
        Some(node) => report.string(member, node),
        None => {
            report.add(node.position, format!("`{member}` is missing"));
            None
        }
    };
    let (namespace, name) = (required("Namespace"), required("MetricName"));
    let dimensions = match node.get("Dimensions") {
        Some(node) => dimensions(report, "Dimensions", node),
        None => Some(Vec::new()),
    };
    Some(Metric::new(namespace?, name?, dimensions?))
}

fn counts(reader: &mut Reader<'_>, nodes: &[Node]) {
    let count = |member| nodes.iter().filter(|node| has(node, member)).count();
    if count("MetricStat") > METRICS_MAX {
        reader.refuse(
            "Metrics",
            format!("Too many metrics in alarm, maximum is {METRICS_MAX}"),
        );
    }
    if count("Expression") > EXPRESSIONS_MAX {
        reader.refuse(
            "Metrics",
            format!("Too many expressions in alarm, maximum is {EXPRESSIONS_MAX}"),
        );
    }
}

/// One element returns the data that is judged, with a band another one the band. `ReturnData` is true unless it is set.
fn returned(reader: &mut Reader<'_>, nodes: &[Node], has_threshold_id: bool) {
    let returns = |node: &&Node| {
        !matches!(
            node.get("ReturnData").map(|node| &node.value),
            Some(Value::Bool(false))
        )
    };
    let returned: Vec<&Node> = nodes.iter().filter(returns).collect();
    let (wanted, text) = match has_threshold_id {
        true => (
            2,
            "Exactly two elements of the metrics list should return data.",
        ),
        false => (
            1,
            "Exactly one element of the metrics list should return data.",
        ),
    };
    if returned.len() != wanted {
        reader.refuse("Metrics", text);
    } else if has_threshold_id {
        let wanted = reader.get("ThresholdMetricId").map(|node| &node.value);
        let is_it = |node: &&&Node| node.get("Id").map(|node| &node.value) == wanted;
        if returned.iter().filter(is_it).count() != 1 {
            let text = "Metrics list must contain exactly one metric matching the ThresholdMetricId parameter";
            reader.refuse("ThresholdMetricId", text);
        }
    }
}

/// The period that all statistics have; that of the query where there is none.
fn common_period(reader: &mut Reader<'_>, queries: &[MetricDataQuery]) -> Option<Period> {
    let mut periods: Vec<Period> = queries.iter().filter_map(|query| query.period).collect();
    periods.sort_unstable();
    periods.dedup();
    match periods.as_slice() {
        [] => reader.refuse("Metrics", "no element of `Metrics` has a `Period`"),
        [period] => return Some(*period),
        several => {
            let several: Vec<String> = several.iter().map(ToString::to_string).collect();
            let text = format!(
                "the elements of `Metrics` have several periods ({}), but must have one",
                several.join(", ")
            );
            reader.refuse("Metrics", text);
        }
    }
    None
}

/// A query that only CloudWatch can run, if there is one.
fn insights(queries: &[MetricDataQuery]) -> Option<Source> {
    let is_query = |text: &str| {
        let word = text.split_whitespace().next();
        word.is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
    };
    queries.iter().find_map(|query| match &query.content {
        QueryContent::Expression(text) if is_query(text) => Some(Source::Query {
            id: query.id.clone(),
            query: text.clone(),
        }),
        _ => None,
    })
}

/// CloudWatch's own words where there are such, without more.
fn message(error: &QueryError) -> String {
    match error {
        QueryError::Expression { error, .. } if error.kind == ErrorKind::SearchInAlarm => {
            error.to_string()
        }
        error => error.to_string(),
    }
}

/// Where in the file an error in the expressions lies: in an expression that is written without escapes, where it points to.
fn place(alarm: &Node, nodes: &[Node], error: &QueryError) -> Position {
    let QueryError::Expression { id, error } = error else {
        return place_of(alarm, "Metrics");
    };
    let is_it = |node: &&Node| matches!(node.get("Id").map(|node| &node.value), Some(Value::String(found)) if found == id);
    let expression = nodes
        .iter()
        .find(is_it)
        .and_then(|node| node.get("Expression"));
    let Some(Node {
        position,
        value: Value::String(text),
    }) = expression
    else {
        return place_of(alarm, "Metrics");
    };
    let before = text.get(..error.span.start).unwrap_or_default();
    if before.contains(['"', '\\', '\n']) {
        return *position;
    }
    Position {
        line: position.line,
        column: position.column + 1 + before.chars().count() as u64,
    }
}

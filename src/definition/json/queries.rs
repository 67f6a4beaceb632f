//! Alarms on queries that only CloudWatch can run: PromQL in PutMetricAlarm, and PutLogAlarm.

use std::ops::RangeInclusive;

use crate::alarm::{LogAlarm, PromQlAlarm};
use crate::finding::Report;
use crate::tree::Node;

use super::metric::{MEMBERS, comparison_operator};
use super::reader::Reader;

/// What PromQL alarms do not have (SPEC sections 1 and 11).
const NOT_OF_PROMQL: [&str; 16] = [
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "EvaluationWindow",
    "ExtendedStatistic",
    "MetricName",
    "Metrics",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];

/// SPEC section 11.
const QUERY_CHARACTERS_MAX: usize = 10_000;
const CONTRIBUTOR_PERIOD_MAX: u32 = 86_400;
const INTERVAL_MAX: u32 = 3_600;

/// SPEC section 12.
const LOG_MEMBERS: [&str; 8] = [
    "ActionLogLineCount",
    "ActionLogLineRoleArn",
    "ComparisonOperator",
    "QueryResultsToAlarm",
    "QueryResultsToEvaluate",
    "ScheduledQueryConfiguration",
    "Threshold",
    "TreatMissingData",
];
const RESULTS_MAX: u32 = 100;
const LOG_GROUPS_MAX: usize = 50;
const LOG_LINES_MAX: u32 = 50;

pub(super) fn promql_alarm(reader: &mut Reader<'_>) -> Option<PromQlAlarm> {
    reader.unknown_members("PutMetricAlarm", &MEMBERS);
    reader.forbid(&NOT_OF_PROMQL, "EvaluationCriteria");
    let interval = reader.required("EvaluationInterval", evaluation_interval);
    let criteria = reader.get("EvaluationCriteria")?;
    let report = &mut *reader.report;
    report.table("EvaluationCriteria", criteria)?;
    report.unknown_keys("`EvaluationCriteria`", criteria, &["PromQLCriteria"]);
    let criteria = member(report, criteria, "PromQLCriteria")?;
    report.table("PromQLCriteria", criteria)?;
    report.unknown_keys(
        "`PromQLCriteria`",
        criteria,
        &["PendingPeriod", "Query", "RecoveryPeriod"],
    );
    let query = member(report, criteria, "Query").and_then(|node| {
        let query = report.string("Query", node)?;
        bounded(
            report,
            node,
            "Query",
            query.chars().count(),
            1..=QUERY_CHARACTERS_MAX,
            "characters",
        )?;
        Some(query)
    });
    let mut period = |name: &str| match criteria.get(name) {
        Some(node) => report.integer(name, node, 0..=CONTRIBUTOR_PERIOD_MAX),
        None => Some(0),
    };
    let (pending_period, recovery_period) = (period("PendingPeriod"), period("RecoveryPeriod"));
    Some(PromQlAlarm {
        query: query?,
        pending_period: i64::from(pending_period?),
        recovery_period: i64::from(recovery_period?),
        evaluation_interval: i64::from(interval?),
    })
}

fn evaluation_interval(report: &mut Report, what: &str, node: &Node) -> Option<u32> {
    let seconds = report.integer(what, node, 1..=u32::MAX)?;
    let allowed =
        matches!(seconds, 10 | 20 | 30) || seconds.is_multiple_of(60) && seconds <= INTERVAL_MAX;
    if !allowed {
        report.add(node.position, format!("`{what}` is {seconds}, but must be 10, 20, 30 or a multiple of 60 up to {INTERVAL_MAX}"));
    }
    allowed.then_some(seconds)
}

pub(super) fn log_alarm(reader: &mut Reader<'_>) -> Option<LogAlarm> {
    reader.unknown_members("PutLogAlarm", &LOG_MEMBERS);
    let results =
        |report: &mut Report, what: &str, node: &Node| report.integer(what, node, 1..=RESULTS_MAX);
    let results_to_evaluate = reader.required("QueryResultsToEvaluate", results);
    let results_to_alarm = reader.required("QueryResultsToAlarm", results);
    if let (Some(m), Some(n)) = (results_to_alarm, results_to_evaluate)
        && m > n
    {
        reader.refuse(
            "QueryResultsToAlarm",
            "QueryResultsToAlarm must be less than or equal to QueryResultsToEvaluate",
        );
    }
    let operator = reader.required("ComparisonOperator", comparison_operator);
    let threshold = reader.required("Threshold", Report::number);
    let treat_missing_data = reader.treat_missing_data();
    let lines = reader.optional("ActionLogLineCount", |report, what, node| {
        report.integer(what, node, 0..=LOG_LINES_MAX)
    });
    if lines.is_some_and(|lines| lines > 0) && !reader.has("ActionLogLineRoleArn") {
        reader.refuse(
            "ActionLogLineCount",
            "`ActionLogLineCount` needs `ActionLogLineRoleArn`, which is missing",
        );
    }
    let query = reader.required("ScheduledQueryConfiguration", scheduled_query);
    let (query, aggregation, schedule) = query?;
    Some(LogAlarm {
        query,
        aggregation,
        schedule,
        results_to_evaluate: results_to_evaluate?,
        results_to_alarm: results_to_alarm?,
        operator: operator?,
        threshold: threshold?,
        treat_missing_data,
    })
}

/// The query, its aggregation and its schedule, as they are written.
fn scheduled_query(
    report: &mut Report,
    what: &str,
    node: &Node,
) -> Option<(String, String, String)> {
    report.table(what, node)?;
    let query =
        member(report, node, "QueryString").and_then(|node| report.string("QueryString", node));
    let aggregation = member(report, node, "AggregationExpression")
        .and_then(|node| report.string("AggregationExpression", node));
    if let Some(groups) = node.get("LogGroupIdentifiers") {
        let count = report.strings("LogGroupIdentifiers", groups)?.len();
        bounded(
            report,
            groups,
            "LogGroupIdentifiers",
            count,
            1..=LOG_GROUPS_MAX,
            "log groups",
        )?;
    }
    let schedule =
        member(report, node, "ScheduleConfiguration").and_then(|node| schedule(report, node));
    Some((query?, aggregation?, schedule?))
}

/// `rate(…)` over a window that ends before it begins nowhere (SPEC section 12).
fn schedule(report: &mut Report, node: &Node) -> Option<String> {
    report.table("ScheduleConfiguration", node)?;
    let expression_node = member(report, node, "ScheduleExpression")?;
    let expression = report.string("ScheduleExpression", expression_node)?;
    if !(expression.starts_with("rate(") && expression.ends_with(')')) {
        let text = format!(
            "`ScheduleExpression` is `{expression}`, but must be of the form `rate(5 minutes)`"
        );
        report.add(expression_node.position, text);
    }
    let mut offset = |name: &str| {
        node.get(name)
            .map(|node| report.integer(name, node, 0..=u32::MAX - 1))
    };
    let (start, end) = (offset("StartTimeOffset"), offset("EndTimeOffset"));
    if let (Some(Some(start)), Some(Some(end))) = (start, end)
        && end >= start
    {
        report.add(
            node.position,
            format!("`EndTimeOffset` is {end}, but must be less than `StartTimeOffset`, {start}"),
        );
    }
    Some(expression)
}

/// A member that must be there.
fn member<'n>(report: &mut Report, node: &'n Node, name: &str) -> Option<&'n Node> {
    let found = node.get(name);
    if found.is_none() {
        report.add(node.position, format!("`{name}` is missing"));
    }
    found
}

fn bounded(
    report: &mut Report,
    node: &Node,
    what: &str,
    count: usize,
    allowed: RangeInclusive<usize>,
    noun: &str,
) -> Option<()> {
    if allowed.contains(&count) {
        return Some(());
    }
    let (least, most) = (allowed.start(), allowed.end());
    report.add(
        node.position,
        format!("`{what}` has {count} {noun}, but {least} to {most} are allowed"),
    );
    None
}

//! Alarms on queries that only CloudWatch can run: PromQL in PutMetricAlarm, and PutLogAlarm.

use std::ops::RangeInclusive;

use crate::alarm::{Aggregation, LogAlarm, PromQlAlarm, ScheduledQuery};
use crate::finding::Report;
use crate::tree::Node;

use super::metric::{MEMBERS, comparison_operator, warm_up};
use super::reader::Reader;

/// What PromQL alarms have of the members of metric alarms (SPEC sections 1 and 11).
const OF_PROMQL: [&str; 3] = [
    "EvaluationCriteria",
    "EvaluationInterval",
    "WarmUpConfiguration",
];

/// SPEC section 11, and the same for log alarms.
const QUERY_CHARACTERS_MAX: usize = 10_000;
const AGGREGATION_CHARACTERS_MAX: usize = 2_048;
const CONTRIBUTOR_PERIOD_MAX: u32 = 86_400;
const INTERVAL_MAX: u32 = 3_600;

/// SPEC section 12.
const LOG_MEMBERS: [&str; 9] = [
    "ActionLogLineCount",
    "ActionLogLineRoleArn",
    "ComparisonOperator",
    "QueryResultsToAlarm",
    "QueryResultsToEvaluate",
    "ScheduledQueryConfiguration",
    "Threshold",
    "TreatMissingData",
    "WarmUpConfiguration",
];
const RESULTS_MAX: u32 = 100;
const LOG_GROUPS_MAX: usize = 50;
const LOG_LINES_MAX: u32 = 50;

pub(super) fn promql_alarm(reader: &mut Reader<'_>) -> Option<PromQlAlarm> {
    reader.unknown_members("PutMetricAlarm", &MEMBERS);
    let others: Vec<&str> = MEMBERS
        .into_iter()
        .filter(|member| !OF_PROMQL.contains(member))
        .collect();
    reader.forbid(&others, "EvaluationCriteria");
    let interval = reader.required("EvaluationInterval", evaluation_interval);
    // CloudWatch takes it, and warms up metric and log alarms alone.
    let _ = warm_up(reader);
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
    let query = member(report, criteria, "Query")
        .and_then(|node| text(report, node, "Query", QUERY_CHARACTERS_MAX));
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
    let warm_up = warm_up(reader);
    let query = reader.required("ScheduledQueryConfiguration", scheduled_query);
    Some(LogAlarm {
        query: query?,
        results_to_evaluate: results_to_evaluate?,
        results_to_alarm: results_to_alarm?,
        operator: operator?,
        threshold: threshold?,
        treat_missing_data,
        warm_up,
    })
}

fn scheduled_query(report: &mut Report, what: &str, node: &Node) -> Option<ScheduledQuery> {
    report.table(what, node)?;
    let query = member(report, node, "QueryString")
        .and_then(|node| text(report, node, "QueryString", QUERY_CHARACTERS_MAX));
    let aggregation =
        member(report, node, "AggregationExpression").and_then(|node| aggregation(report, node));
    let log_groups = match node.get("LogGroupIdentifiers") {
        Some(node) => log_groups(report, node),
        None => Some(Vec::new()),
    };
    let schedule =
        member(report, node, "ScheduleConfiguration").and_then(|node| schedule(report, node));
    let (schedule, interval, offsets) = schedule?;
    Some(ScheduledQuery {
        text: query?,
        log_groups: log_groups?,
        aggregation: aggregation?,
        schedule,
        interval,
        offsets,
    })
}

/// A text of a bounded length.
fn text(report: &mut Report, node: &Node, what: &str, most: usize) -> Option<String> {
    let text = report.string(what, node)?;
    let length = text.chars().count();
    bounded(report, node, what, length, 1..=most, "characters")?;
    Some(text)
}

fn aggregation(report: &mut Report, node: &Node) -> Option<Aggregation> {
    let what = "AggregationExpression";
    let text = text(report, node, what, AGGREGATION_CHARACTERS_MAX)?;
    Aggregation::parse(&text)
        .map_err(|error| report.add(node.position, format!("`{what}`: {error}")))
        .ok()
}

fn log_groups(report: &mut Report, node: &Node) -> Option<Vec<String>> {
    let what = "LogGroupIdentifiers";
    let groups = report.strings(what, node)?;
    let allowed = 1..=LOG_GROUPS_MAX;
    bounded(report, node, what, groups.len(), allowed, "log groups")?;
    Some(groups)
}

/// The schedule as it is written, and how often the query runs by it, in seconds. Its window must begin before it ends (SPEC section 12).
#[expect(clippy::type_complexity, reason = "the parts of one schedule")]
fn schedule(report: &mut Report, node: &Node) -> Option<(String, i64, (Option<u32>, Option<u32>))> {
    report.table("ScheduleConfiguration", node)?;
    let expression_node = member(report, node, "ScheduleExpression")?;
    let expression = report.string("ScheduleExpression", expression_node)?;
    let interval = rate(&expression);
    if interval.is_none() {
        let text = format!(
            "`ScheduleExpression` is `{expression}`, but must be of the form `rate(5 minutes)`: a number and minutes, hours or days"
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
    Some((expression, interval?, (start.flatten(), end.flatten())))
}

/// The seconds of `rate(NUMBER UNIT)`.
fn rate(expression: &str) -> Option<i64> {
    let rate = expression.strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = rate.split_once(' ')?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let number = number.parse::<u32>().ok().filter(|number| *number > 0)?;
    Some(i64::from(number) * seconds)
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

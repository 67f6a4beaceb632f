//! Values as tools write them: numbers and truth values as texts, and texts as numbers.

use crate::finding::Report;
use crate::tree::{Node, Value};

/// Members that are numbers, wherever they stand in a request.
const NUMBERS: [&str; 15] = [
    "ActionLogLineCount",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "DatapointsToAlarm",
    "EndTimeOffset",
    "EvaluationInterval",
    "EvaluationPeriods",
    "PendingPeriod",
    "Period",
    "QueryResultsToAlarm",
    "QueryResultsToEvaluate",
    "RecoveryPeriod",
    "StartTimeOffset",
    "Threshold",
    "WarmUpPeriodDurationInMinutes",
];

/// Members that are one of some names.
const NAMES: [&str; 7] = [
    "ComparisonOperator",
    "EvaluateLowSampleCountPercentile",
    "ExtendedStatistic",
    "Stat",
    "Statistic",
    "TreatMissingData",
    "Unit",
];

/// Members that are read as expressions, of which a part may be a placeholder, but not the whole.
const EXPRESSIONS: [&str; 4] = ["AlarmRule", "Duration", "Expression", "Timezone"];

/// Members that may be numbers and may be texts.
const DATES: [&str; 2] = ["ExpireDate", "StartDate"];

/// Members that are lists, of which one placeholder may stand for all.
const LISTS: [&str; 3] = ["AlarmActions", "InsufficientDataActions", "OKActions"];

const TRUTH_VALUES: [&str; 3] = [
    "ActionsEnabled",
    "OnlyStartEvaluatingAfterWarmUpPeriodEnds",
    "ReturnData",
];

/// Gives every member the type that it has in the request. What a placeholder cannot stand for is reported, and `false`
/// returned.
pub(super) fn typed(node: &mut Node, report: &mut Report) -> bool {
    match &mut node.value {
        Value::List(items) => {
            let typed: Vec<bool> = items.iter_mut().map(|item| typed(item, report)).collect();
            typed.into_iter().all(|typed| typed)
        }
        Value::Table(entries) => {
            let mut all = true;
            for entry in entries {
                all &=
                    typed(&mut entry.node, report) && member(&entry.key, &mut entry.node, report);
            }
            all
        }
        _ => true,
    }
}

fn member(name: &str, node: &mut Node, report: &mut Report) -> bool {
    let (is_number, is_truth_value) = (NUMBERS.contains(&name), TRUTH_VALUES.contains(&name));
    let text = match &node.value {
        Value::String(text) => text,
        Value::Number(_) | Value::Bool(_)
            if !is_number && !is_truth_value && !DATES.contains(&name) =>
        {
            node.value = as_text(&node.value);
            return true;
        }
        _ => return true,
    };
    if LISTS.contains(&name) && text.contains("${") {
        node.value = Value::List(vec![node.clone()]);
        return true;
    }
    if (is_number || is_truth_value || NAMES.contains(&name)) && text.contains("${")
        || EXPRESSIONS.contains(&name) && is_placeholder(text)
    {
        let text = format!(
            "`{name}` is `{text}`, which is not known here, so that it cannot be read; `--parameter NAME=VALUE` gives a parameter of a template"
        );
        report.add_unresolved(node.position, text);
        return false;
    }
    let value = match text.trim() {
        "true" if is_truth_value => Some(Value::Bool(true)),
        "false" if is_truth_value => Some(Value::Bool(false)),
        text if is_number => text.parse().ok().map(Value::Number),
        _ => None,
    };
    if let Some(value) = value {
        node.value = value;
    }
    true
}

/// A name such as `500` that was not put in quotes.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        other => other.clone(),
    }
}

/// Whether nothing but one placeholder is there.
fn is_placeholder(text: &str) -> bool {
    let inner = text
        .trim()
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['{', '}']))
}

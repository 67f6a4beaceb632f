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

/// What may stand in for values that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIns {
    /// Nothing: what is not wholly known is not read.
    None,
    /// Any value that CloudWatch takes, so that all the rest can be looked at.
    Any,
}

/// Gives every member the type that it has in the request, and tells what is not known.
pub(super) struct Typing<'a> {
    pub(super) stand_ins: StandIns,
    /// How somebody may tell what is not known.
    pub(super) hint: &'static str,
    pub(super) report: &'a mut Report,
    /// The members that another value stands in for.
    pub(super) unknown: Vec<String>,
    /// Whether every member that has to be is known, or something stands in for it.
    pub(super) is_whole: bool,
}

impl Typing<'_> {
    pub(super) fn typed(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.typed(item)),
            Value::Table(entries) => {
                for entry in entries.iter_mut() {
                    self.typed(&mut entry.node);
                    self.member(&entry.key, &mut entry.node);
                }
                entries.retain(|entry| entry.node.value != Value::Null);
            }
            _ => {}
        }
    }

    fn member(&mut self, name: &str, node: &mut Node) {
        let (is_number, is_truth_value) = (NUMBERS.contains(&name), TRUTH_VALUES.contains(&name));
        let text = match &node.value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_)
                if !is_number && !is_truth_value && !DATES.contains(&name) =>
            {
                node.value = as_text(&node.value);
                return;
            }
            _ => return,
        };
        if LISTS.contains(&name) && text.contains("${") {
            node.value = Value::List(vec![node.clone()]);
            return;
        }
        let is_of_a_kind = is_number || is_truth_value || NAMES.contains(&name);
        if is_of_a_kind && text.contains("${")
            || EXPRESSIONS.contains(&name) && is_placeholder(text)
        {
            return self.stand_in(name, node);
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
    }

    /// Puts another value where one is not known, or tells that without it nothing can be said.
    fn stand_in(&mut self, name: &str, node: &mut Node) {
        let value = match self.stand_ins {
            StandIns::None => None,
            StandIns::Any => stand_in(name),
        };
        let Value::String(text) = &node.value else {
            return;
        };
        let hint = self.hint;
        let consequence = match value {
            Some(_) => ": what depends on it is not checked",
            None => ", so that it cannot be read",
        };
        let told = format!("`{name}` is `{text}`, which is not known here{consequence}{hint}");
        match value {
            Some(value) => {
                self.report.add_unknown(node.position, told);
                self.unknown.push(name.to_owned());
                node.value = value;
            }
            None => {
                self.report.add_unresolved(node.position, told);
                self.is_whole = false;
            }
        }
    }
}

/// A value that CloudWatch takes; none for an optional member, which is better left out.
fn stand_in(name: &str) -> Option<Value> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    match name {
        "ComparisonOperator" => text("GreaterThanThreshold"),
        "Statistic" | "Stat" => text("Maximum"),
        "ExtendedStatistic" => text("p90"),
        "Period" => Some(Value::Number(300.0)),
        "EvaluationPeriods" | "QueryResultsToEvaluate" | "QueryResultsToAlarm" => {
            Some(Value::Number(1.0))
        }
        "Threshold" => Some(Value::Number(1.0)),
        "EvaluationInterval" => Some(Value::Number(60.0)),
        _ if EXPRESSIONS.contains(&name) => None,
        // Taken out again.
        _ => Some(Value::Null),
    }
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

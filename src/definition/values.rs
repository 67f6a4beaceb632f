//! Values as tools write them: numbers and truth values as texts.

use crate::finding::Report;
use crate::tree::{Node, Value};

/// Members that are numbers, wherever they stand in a request.
const NUMBERS: [&str; 11] = [
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "DatapointsToAlarm",
    "EvaluationInterval",
    "EvaluationPeriods",
    "Period",
    "PendingPeriod",
    "RecoveryPeriod",
    "Threshold",
    "WaitPeriod",
    "WarmUpPeriodDurationInMinutes",
];

/// Members that are lists, of which one placeholder may stand for all.
const LISTS: [&str; 3] = ["AlarmActions", "InsufficientDataActions", "OKActions"];

const TRUTH_VALUES: [&str; 3] = [
    "ActionsEnabled",
    "OnlyStartEvaluatingAfterWarmUpPeriodEnds",
    "ReturnData",
];

/// Makes numbers of texts that are to be numbers, and truth values likewise. A text with a placeholder cannot be: that is
/// reported, and `false` returned.
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
    let Value::String(text) = &node.value else {
        return true;
    };
    if LISTS.contains(&name) && text.contains("${") {
        node.value = Value::List(vec![node.clone()]);
        return true;
    }
    let (is_number, is_truth_value) = (NUMBERS.contains(&name), TRUTH_VALUES.contains(&name));
    if (is_number || is_truth_value) && text.contains("${") {
        let text = format!(
            "`{name}` is `{text}`, which is not known here, so that the alarm cannot be read; `--parameter NAME=VALUE` gives a parameter"
        );
        report.add(node.position, text);
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

//! The input of SetAlarmState (SPEC section 18).

use crate::alarm::StateValue;
use crate::finding::{Finding, Report};
use crate::tree;

/// A state that is set from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRequest {
    pub alarm: String,
    pub state: StateValue,
    pub reason: String,
    pub reason_data: Option<String>,
}

/// SPEC section 18.
const REASON_CHARACTERS_MAX: usize = 1_023;
const REASON_DATA_CHARACTERS_MAX: usize = 4_000;

/// Reads `{"AlarmName": …, "StateValue": …, "StateReason": …}`, or says what is wrong with it.
pub fn set_alarm_state(file: &str, text: &str) -> Result<StateRequest, Vec<Finding>> {
    let mut report = Report::new(file);
    let request = tree::yaml(text, &mut report).and_then(|node| read(&node, &mut report));
    request
        .filter(|_| report.findings.is_empty())
        .ok_or(report.findings)
}

fn read(node: &tree::Node, report: &mut Report) -> Option<StateRequest> {
    report.table("the request", node)?;
    report.unknown_keys(
        "SetAlarmState",
        node,
        &["AlarmName", "StateReason", "StateReasonData", "StateValue"],
    );
    let mut string = |member: &str, most: usize| {
        let Some(found) = node.get(member) else {
            report.add(node.position, format!("`{member}` is missing"));
            return None;
        };
        let text = report.string(member, found)?;
        let length = text.chars().count();
        if length > most {
            report.add(
                found.position,
                format!("`{member}` has {length} characters, but at most {most} are allowed"),
            );
        }
        Some(text)
    };
    let alarm = string("AlarmName", 255);
    let reason = string("StateReason", REASON_CHARACTERS_MAX);
    let value = string("StateValue", usize::MAX);
    let reason_data = node
        .get("StateReasonData")
        .map(|_| string("StateReasonData", REASON_DATA_CHARACTERS_MAX));
    let value = value?;
    let state = StateValue::from_name(&value);
    if state.is_none() {
        let text = format!(
            "1 validation error detected: Value '{value}' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
        );
        report.add(node.get("StateValue")?.position, text);
    }
    Some(StateRequest {
        alarm: alarm?,
        state: state?,
        reason: reason?,
        reason_data: reason_data.unwrap_or_default(),
    })
}

//! History items as DescribeAlarmHistory shows them (SPEC section 6.5).

use serde::Serialize;

use crate::alarm::{Alarm, HistoryEvent, HistoryItem, Rule, StateSnapshot};

use super::reason_data;

/// `HistoryData` has at most 4095 characters; reason data that would exceed them is left out.
const DATA_CHARACTERS_MAX: usize = 4_095;

/// One element of `AlarmHistoryItems`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoryJson {
    alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_contributor_id: Option<String>,
    alarm_type: &'static str,
    timestamp: String,
    history_item_type: &'static str,
    history_summary: String,
    /// JSON as text.
    history_data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateUpdate<'a> {
    version: &'static str,
    old_state: State<'a>,
    new_state: State<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    state_value: &'static str,
    state_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_data: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct ConfigurationUpdate {
    version: &'static str,
    r#type: &'static str,
}

/// The item in that shape.
pub fn history_item(alarm: &Alarm, item: &HistoryItem) -> HistoryJson {
    let contributor = match &item.event {
        HistoryEvent::ContributorStateUpdate { contributor, .. } => Some(contributor.clone()),
        _ => None,
    };
    HistoryJson {
        alarm_name: alarm.name.clone(),
        alarm_contributor_id: contributor,
        alarm_type: match alarm.rule {
            Rule::Composite(_) => "CompositeAlarm",
            Rule::Log(_) => "LogAlarm",
            Rule::Metric(_) | Rule::PromQl(_) => "MetricAlarm",
        },
        timestamp: item.at.in_reason_data(),
        history_item_type: item.event.kind(),
        history_summary: item.event.summary(&alarm.name),
        history_data: data(&item.event),
    }
}

fn data(event: &HistoryEvent) -> String {
    let update = |r#type| {
        to_json(&ConfigurationUpdate {
            version: "1.0",
            r#type,
        })
    };
    let (old, new) = match event {
        HistoryEvent::Created => return update("Create"),
        HistoryEvent::Updated => return update("Update"),
        HistoryEvent::StateUpdate { old, new }
        | HistoryEvent::ContributorStateUpdate { old, new, .. } => (old, new),
    };
    let all = state_update(old, new, true);
    match all.chars().count() {
        0..=DATA_CHARACTERS_MAX => all,
        _ => state_update(old, new, false),
    }
}

fn state_update(old: &StateSnapshot, new: &StateSnapshot, with_data: bool) -> String {
    let state = |snapshot| state(snapshot, with_data);
    to_json(&StateUpdate {
        version: "1.0",
        old_state: state(old),
        new_state: state(new),
    })
}

fn state(snapshot: &StateSnapshot, with_data: bool) -> State<'_> {
    let data = snapshot.reason_data.as_ref().filter(|_| with_data);
    let value =
        |text: String| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
    State {
        state_value: snapshot.state.name(),
        state_reason: &snapshot.reason,
        state_reason_data: data.map(|data| value(reason_data(data))),
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

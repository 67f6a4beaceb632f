//! History items as DescribeAlarmHistory shows them (SPEC section 6.5).

use serde::Serialize;
use serde_json::value::RawValue;

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
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct State<'a> {
    state_value: &'static str,
    state_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_data: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct ConfigurationUpdate {
    version: &'static str,
    r#type: &'static str,
}

/// The item in that shape.
pub fn history_item(alarm: &Alarm, item: &HistoryItem) -> HistoryJson {
    let kind = match alarm.rule {
        Rule::Composite(_) => "CompositeAlarm",
        Rule::Log(_) => "LogAlarm",
        Rule::Metric(_) | Rule::PromQl(_) => "MetricAlarm",
    };
    of_kind(&alarm.name, kind, item)
}

/// The same of an alarm of which nothing is known but what happened to it.
pub fn past_item(alarm: &str, item: &HistoryItem) -> HistoryJson {
    let is_composite = match &item.event {
        HistoryEvent::StateUpdate { new, .. } => {
            let data = new.reason_data.as_deref().map(reason_data);
            data.is_some_and(|data| data.contains("triggeringAlarms"))
        }
        _ => false,
    };
    let kind = match is_composite {
        true => "CompositeAlarm",
        false => "MetricAlarm",
    };
    of_kind(alarm, kind, item)
}

fn of_kind(alarm: &str, alarm_type: &'static str, item: &HistoryItem) -> HistoryJson {
    let contributor = match &item.event {
        HistoryEvent::ContributorStateUpdate { contributor, .. } => Some(contributor.clone()),
        _ => None,
    };
    HistoryJson {
        alarm_name: alarm.to_owned(),
        alarm_contributor_id: contributor,
        alarm_type,
        timestamp: item.at.in_history(),
        history_item_type: item.event.kind(),
        history_summary: item.event.summary(alarm),
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
    State {
        state_value: snapshot.state.name(),
        state_reason: &snapshot.reason,
        state_reason_data: data.and_then(|data| raw(reason_data(data))),
    }
}

/// The text as it is, if it is JSON; as a string, if it is not.
fn raw(text: String) -> Option<Box<RawValue>> {
    let as_string = serde_json::to_string(&text);
    let json = RawValue::from_string(text).or_else(|_| RawValue::from_string(as_string?));
    json.ok()
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{ReasonData, StateValue};
    use crate::metric::Timestamp;
    use std::sync::Arc;

    fn item(reason_data: &str) -> HistoryJson {
        let snapshot = |state, reason_data: Option<&str>| StateSnapshot {
            state,
            reason: "r".into(),
            reason_data: reason_data.map(|data| Arc::new(ReasonData::Given(data.into()))),
        };
        let event = HistoryEvent::StateUpdate {
            old: snapshot(StateValue::InsufficientData, None),
            new: snapshot(StateValue::Alarm, Some(reason_data)),
        };
        let alarm = crate::definition::parse("a", crate::definition::BUILT_IN)
            .alarms
            .remove(0);
        let at = Timestamp::from_milliseconds(1_500);
        history_item(&alarm.alarm, &HistoryItem { at, event })
    }

    /// Recorded from CloudWatch (SPEC section 6.5).
    #[test]
    fn a_state_update_reads_as_recorded() {
        let item = item(r#"{"version":"1.0"}"#);
        assert_eq!(
            serde_json::to_string(&item).unwrap(),
            r#"{"AlarmName":"cpu-high","AlarmType":"MetricAlarm","Timestamp":"1970-01-01T00:00:01.500Z","HistoryItemType":"StateUpdate","HistorySummary":"Alarm updated from INSUFFICIENT_DATA to ALARM","HistoryData":"{\"version\":\"1.0\",\"oldState\":{\"stateValue\":\"INSUFFICIENT_DATA\",\"stateReason\":\"r\"},\"newState\":{\"stateValue\":\"ALARM\",\"stateReason\":\"r\",\"stateReasonData\":{\"version\":\"1.0\"}}}"}"#
        );
    }

    #[test]
    fn reason_data_that_does_not_fit_is_left_out() {
        assert!(
            item(&"7".repeat(3_900))
                .history_data
                .contains("stateReasonData")
        );
        assert!(
            !item(&"7".repeat(4_090))
                .history_data
                .contains("stateReasonData")
        );
        assert!(
            item("no JSON")
                .history_data
                .contains(r#""stateReasonData":"no JSON""#)
        );
    }
}

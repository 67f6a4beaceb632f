//! An alarm as it stood, as text: what the journal keeps from one run of the program to the next.

use serde::{Deserialize, Serialize};

use crate::alarm::{
    AlarmSnapshot, Certainty, GateSnapshot, Muted, ReasonData, StateValue, SuppressedBy, Withheld,
};
use crate::metric::Timestamp;

use super::reason_data;

/// Instants are in milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
struct Alarm {
    fingerprint: u64,
    state: String,
    reason: String,
    /// As CloudWatch would show it.
    reason_data: Option<String>,
    created_at: i64,
    transitioned_at: Option<i64>,
    certainty: String,
    ranges: Vec<u32>,
    warm_up_until: Option<i64>,
    transitions: [[u64; 3]; 3],
    withheld: Option<Suppressed>,
    muted: Option<MutedState>,
    repeat_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Suppressed {
    by: String,
    since: i64,
    until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct MutedState {
    state: String,
    until: i64,
}

/// The text of it, without the name and the history.
pub fn alarm_snapshot(snapshot: &AlarmSnapshot) -> String {
    let GateSnapshot {
        withheld,
        muted,
        repeat_at,
    } = snapshot.gate;
    let ranges = match &snapshot.certainty {
        Certainty::DependsOnRange(ranges) => ranges.clone(),
        _ => Vec::new(),
    };
    let alarm = Alarm {
        fingerprint: snapshot.fingerprint,
        state: snapshot.state.name().to_owned(),
        reason: snapshot.reason.to_string(),
        reason_data: snapshot.reason_data.as_deref().map(reason_data),
        created_at: snapshot.created_at.milliseconds(),
        transitioned_at: snapshot.transitioned_at.map(Timestamp::milliseconds),
        certainty: snapshot.certainty.name().to_owned(),
        ranges,
        warm_up_until: snapshot.warm_up_until.map(Timestamp::milliseconds),
        transitions: snapshot.transitions,
        withheld: withheld.map(|withheld| Suppressed {
            by: withheld.by.name().to_owned(),
            since: withheld.since.milliseconds(),
            until: withheld.until.map(Timestamp::milliseconds),
        }),
        muted: muted.map(|muted| MutedState {
            state: muted.state.name().to_owned(),
            until: muted.until.milliseconds(),
        }),
        repeat_at: repeat_at.map(Timestamp::milliseconds),
    };
    serde_json::to_string(&alarm).expect("strings and numbers are always JSON")
}

/// The alarm called `name` from such a text; `None` if it is none, such as one that another version wrote.
pub fn read_alarm_snapshot(name: &str, text: &str) -> Option<AlarmSnapshot> {
    let alarm: Alarm = serde_json::from_str(text).ok()?;
    let withheld = match alarm.withheld {
        Some(withheld) => Some(Withheld {
            by: suppressed_by(&withheld.by)?,
            since: Timestamp::from_milliseconds(withheld.since),
            until: withheld.until.map(Timestamp::from_milliseconds),
        }),
        None => None,
    };
    let muted = match alarm.muted {
        Some(muted) => Some(Muted {
            state: StateValue::from_name(&muted.state)?,
            until: Timestamp::from_milliseconds(muted.until),
        }),
        None => None,
    };
    Some(AlarmSnapshot {
        name: name.to_owned(),
        fingerprint: alarm.fingerprint,
        state: StateValue::from_name(&alarm.state)?,
        reason: alarm.reason.into(),
        reason_data: alarm.reason_data.map(|data| ReasonData::Given(data).into()),
        created_at: Timestamp::from_milliseconds(alarm.created_at),
        transitioned_at: alarm.transitioned_at.map(Timestamp::from_milliseconds),
        certainty: certainty(&alarm.certainty, alarm.ranges)?,
        warm_up_until: alarm.warm_up_until.map(Timestamp::from_milliseconds),
        transitions: alarm.transitions,
        gate: GateSnapshot {
            withheld,
            muted,
            repeat_at: alarm.repeat_at.map(Timestamp::from_milliseconds),
        },
        history: Vec::new(),
    })
}

fn suppressed_by(name: &str) -> Option<SuppressedBy> {
    SuppressedBy::ALL.into_iter().find(|by| by.name() == name)
}

fn certainty(name: &str, ranges: Vec<u32>) -> Option<Certainty> {
    let all = [
        Certainty::HistoryIncomplete,
        Certainty::Undetermined,
        Certainty::DependsOnRange(ranges),
        Certainty::NearThreshold,
        Certainty::MeasuredInGuest,
        Certainty::Determined,
    ];
    all.into_iter().find(|certainty| certainty.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn instant() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp::from_milliseconds)
    }

    fn gate() -> impl Strategy<Value = GateSnapshot> {
        let by = select(SuppressedBy::ALL.to_vec());
        let withheld = (by, instant(), prop::option::of(instant()));
        let withheld = withheld.prop_map(|(by, since, until)| Withheld { by, since, until });
        let muted = (select(StateValue::ALL.to_vec()), instant());
        let muted = muted.prop_map(|(state, until)| Muted { state, until });
        let all = (
            prop::option::of(withheld),
            prop::option::of(muted),
            prop::option::of(instant()),
        );
        all.prop_map(|(withheld, muted, repeat_at)| GateSnapshot {
            withheld,
            muted,
            repeat_at,
        })
    }

    fn snapshot() -> impl Strategy<Value = AlarmSnapshot> {
        let certainty = select(vec![
            Certainty::HistoryIncomplete,
            Certainty::Undetermined,
            Certainty::DependsOnRange(vec![3, 4]),
            Certainty::NearThreshold,
            Certainty::MeasuredInGuest,
            Certainty::Determined,
        ]);
        let state = select(StateValue::ALL.to_vec());
        let texts = (
            any::<String>(),
            any::<String>(),
            prop::option::of(any::<String>()),
        );
        let instants = (
            instant(),
            prop::option::of(instant()),
            prop::option::of(instant()),
        );
        let counts = any::<[[u64; 3]; 3]>();
        let all = (
            any::<u64>(),
            state,
            texts,
            instants,
            certainty,
            counts,
            gate(),
        );
        all.prop_map(
            |(fingerprint, state, texts, instants, certainty, transitions, gate)| AlarmSnapshot {
                name: texts.0,
                fingerprint,
                state,
                reason: texts.1.into(),
                reason_data: texts.2.map(|data| ReasonData::Given(data).into()),
                created_at: instants.0,
                transitioned_at: instants.1,
                certainty,
                warm_up_until: instants.2,
                transitions,
                gate,
                history: vec![],
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(snapshot in snapshot()) {
            let text = alarm_snapshot(&snapshot);
            prop_assert_eq!(read_alarm_snapshot(&snapshot.name, &text), Some(snapshot));
        }
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        assert_eq!(read_alarm_snapshot("a", "{}"), None);
        assert_eq!(read_alarm_snapshot("a", ""), None);
    }
}

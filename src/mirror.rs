//! CloudWatch's own alarms: which of them are about this host, and whether CloudWatch sees them as they are seen here.
//!
//! [`Mirror`] asks with DescribeAlarms at an interval, [`Selection`] takes what is about this host out of the answers, and
//! [`Comparisons`] holds CloudWatch's states against those found here. Nothing is changed in CloudWatch.

mod compare;
mod selection;
mod task;

use std::collections::{BTreeMap, BTreeSet};

use crate::alarm::{
    Alarm, AlarmSnapshot, Certainty, GateSnapshot, HistoryEvent, HistoryItem, StateValue,
};
use crate::aws::Described;
use crate::config;
use crate::definition::evaluated_datapoints;
use crate::metric::Timestamp;
use crate::sources::Sources;

pub use compare::{Agreement, Comparison, Comparisons, Disagreement, Why};
pub use selection::Selection;
pub use task::{FILE, Mirror, Outputs, kept};

/// What is asked for.
#[derive(Debug)]
pub struct Wanted {
    pub config: config::Mirror,
    /// What this host's metrics are, and its instance.
    pub sources: Sources,
    pub instance_id: Option<String>,
    /// The alarms of the files, by name: they are compared, whatever else is selected.
    pub configured: BTreeSet<String>,
}

/// CloudWatch's alarms that are about this host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub alarms: Vec<Alarm>,
    /// Their states there, from which an alarm that is new here goes on.
    pub states: Vec<AlarmSnapshot>,
}

/// What CloudWatch said when it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    pub asked_at: Timestamp,
    /// By the alarms' names.
    pub alarms: BTreeMap<String, View>,
}

/// What CloudWatch says of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// As it is defined there; `None` if that cannot be read here.
    pub alarm: Option<Alarm>,
    pub state: StateValue,
    pub since: Timestamp,
    pub reason: String,
    /// What the state was found from: the start of each datapoint, and its value.
    pub datapoints: Vec<(Timestamp, f64)>,
    /// Why CloudWatch could not judge it as it should, by the name that it has for that.
    pub evaluation_state: Option<String>,
}

impl View {
    /// `None` where the state is none that is known here.
    fn of(described: &Described, alarm: Option<Alarm>) -> Option<Self> {
        let data = described.reason_data.as_deref();
        Some(Self {
            alarm,
            state: StateValue::from_name(&described.state)?,
            since: Timestamp::from_milliseconds(described.state_since),
            reason: described.reason.clone(),
            datapoints: data.map(evaluated_datapoints).unwrap_or_default(),
            evaluation_state: described.evaluation_state.clone(),
        })
    }

    /// What an alarm that is new here goes on from: CloudWatch has judged it all the time.
    fn snapshot(&self, alarm: &Alarm) -> AlarmSnapshot {
        AlarmSnapshot {
            name: alarm.name.clone(),
            fingerprint: alarm.fingerprint(),
            state: self.state,
            reason: self.reason.as_str().into(),
            reason_data: None,
            created_at: self.since,
            transitioned_at: Some(self.since),
            certainty: Certainty::HistoryIncomplete,
            warm_up_until: None,
            transitions: Default::default(),
            gate: GateSnapshot::default(),
            history: vec![HistoryItem {
                at: self.since,
                event: HistoryEvent::Created,
            }],
        }
    }
}

#[cfg(test)]
mod tests;

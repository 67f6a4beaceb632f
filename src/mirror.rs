//! CloudWatch's own alarms: which of them are about this host, and whether CloudWatch sees them as they are seen here.
//!
//! [`Mirror`] asks with DescribeAlarms at an interval, [`Selection`] takes what is about this host out of the answers, and
//! [`Comparisons`] holds CloudWatch's states against those found here. Nothing is changed in CloudWatch.

mod compare;
mod selection;
mod task;

use std::collections::{BTreeMap, BTreeSet};

use crate::alarm::{Alarm, AlarmSnapshot, Certainty, GateSnapshot, StateValue};
use crate::aws::Described;
use crate::config;
use crate::definition::evaluated_datapoints;
use crate::metric::Timestamp;
use crate::sources::Sources;

pub use compare::{Agreement, Comparison, Comparisons, Disagreement, News, Told, Why};
pub use selection::Selection;
pub use task::{FILE, Mirror, Outputs, kept};

/// CloudWatch's name for an alarm that is not judged yet because it is new.
const WARMING_UP: &str = "IN_WARM_UP";

/// What is asked for.
#[derive(Debug)]
pub struct Wanted {
    pub config: config::Mirror,
    /// What this host's metrics are, and what they were made from.
    pub sources: Sources,
    pub publish: config::Publish,
    pub instance_id: Option<String>,
    /// What alarms that can only be read as text would name: the instance, or the host.
    pub names: Vec<String>,
    /// The alarms of the files, by name: they are compared, whatever else is selected.
    pub configured: BTreeSet<String>,
}

impl Found {
    /// What can be read of what was described.
    fn of(described: Vec<(String, Described)>) -> Self {
        let mut found = Self::default();
        for (name, alarm) in selection::read(&described) {
            let known = described.iter().find(|(known, _)| *known == name);
            let view = known.and_then(|(_, described)| View::of(described, None));
            let states = view.map(|view| view.snapshot(&alarm));
            found.states.extend(states);
            found.alarms.push(alarm);
        }
        found
    }
}

impl Wanted {
    /// Whether the same is asked for.
    pub fn is_as(&self, other: &Self) -> bool {
        let key = |wanted: &Self| (wanted.config.clone(), wanted.configured.clone());
        key(self) == key(other)
            && self.publish == other.publish
            && self.instance_id == other.instance_id
            && self.sources.here() == other.sources.here()
    }
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
            warm_up_until: self.warm_up_until(alarm),
            transitions: Default::default(),
            gate: GateSnapshot::default(),
            history: Vec::new(),
        }
    }

    /// While CloudWatch says that it warms up it has been in its state since it was made.
    fn warm_up_until(&self, alarm: &Alarm) -> Option<Timestamp> {
        if self.evaluation_state.as_deref() != Some(WARMING_UP) {
            return None;
        }
        let warm_up = alarm.warm_up()?;
        Some(self.since + i64::from(warm_up.minutes) * 60)
    }
}

#[cfg(test)]
mod tests;

//! What is known of an alarm, for whoever shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::contributors::Contributor;
use super::history::{HistoryEvent, HistoryItem, StateSnapshot};
use super::{Alarm, Certainty, Decision, Point, ReasonData, StateValue, SuppressedBy};

/// One alarm and what is known of its state.
#[derive(Clone, Debug)]
pub struct Status {
    pub alarm: Arc<Alarm>,
    pub arn: String,
    pub state: StateValue,
    /// Why the state was entered.
    pub reason: Arc<str>,
    pub reason_data: Option<Arc<ReasonData>>,
    pub transitioned_at: Option<Timestamp>,
    /// The newest evaluation; `None` before the first.
    pub evaluation: Option<Evaluation>,
    pub evaluation_state: Option<EvaluationState>,
    /// Why the alarm is not judged, if it is not.
    pub not_mirrored: Option<String>,
    /// How often each transition was seen.
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
    /// The series of an alarm on several.
    pub contributors: BTreeMap<String, Contributor>,
    /// What withholds the actions of a composite alarm, and since when.
    pub suppressed_by: Option<(SuppressedBy, Timestamp)>,
    /// Whether the alarm has an actions suppressor whose state is not known here: its actions are taken as not suppressed.
    pub suppressor_unknown: bool,
    /// Until when a mute rule withholds the actions of the current state.
    pub muted_until: Option<Timestamp>,
    /// The newest things that happened, oldest first.
    pub history: Vec<HistoryItem>,
}

/// The newest change of an alarm's state.
#[derive(Clone, Copy, Debug)]
pub struct StateChange<'a> {
    pub at: Timestamp,
    pub old: &'a StateSnapshot,
    /// Since when the alarm was in the old state, if that is still known.
    pub old_since: Option<Timestamp>,
    pub new: &'a StateSnapshot,
}

impl Status {
    /// The changes that are remembered, newest first.
    pub fn changes(&self) -> impl Iterator<Item = StateChange<'_>> {
        let places = (0..self.history.len()).rev();
        places.filter_map(|place| self.change(place))
    }

    fn change(&self, place: usize) -> Option<StateChange<'_>> {
        let HistoryItem { at, event } = &self.history[place];
        let HistoryEvent::StateUpdate { old, new } = event else {
            return None;
        };
        let mut before = self.history[..place].iter().rev();
        let since = before.find(|item| {
            let event = &item.event;
            matches!(
                event,
                HistoryEvent::StateUpdate { .. } | HistoryEvent::Created
            )
        });
        Some(StateChange {
            at: *at,
            old,
            old_since: since.map(|item| item.at),
            new,
        })
    }

    /// When the alarm was made or changed here, if that is still known.
    pub fn configured_at(&self) -> Option<Timestamp> {
        let is_configured =
            |event: &HistoryEvent| matches!(event, HistoryEvent::Created | HistoryEvent::Updated);
        let mut newest_first = self.history.iter().rev();
        let found = newest_first.find(|item| is_configured(&item.event));
        found.map(|item| item.at)
    }
}

/// One look at an alarm's evaluation range.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub at: Timestamp,
    /// The end of the newest period.
    pub end: Timestamp,
    /// Newest first; the newest [`POINTS_SHOWN_MAX`](super::POINTS_SHOWN_MAX) where all alarms are told.
    pub points: Vec<Point>,
    pub decision: Decision,
    pub certainty: Certainty,
}

/// Why the state may not be what the rule alone would have it be, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationState {
    /// Not everything that a query matched could be looked at.
    PartialData,
    /// The alarm is new and not judged yet (SPEC section 14).
    InWarmUp,
}

impl EvaluationState {
    pub fn name(self) -> &'static str {
        match self {
            Self::PartialData => "PARTIAL_DATA",
            Self::InWarmUp => "IN_WARM_UP",
        }
    }
}

/// A change of an alarm's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub alarm: Arc<Alarm>,
    pub at: Timestamp,
    pub from: StateValue,
    pub to: StateValue,
    pub reason: Arc<str>,
    pub reason_data: Option<Arc<ReasonData>>,
    pub certainty: Certainty,
}

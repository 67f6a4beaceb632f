//! What outlives the program of an alarm: everything that the datapoints and the queries do not tell.

use std::sync::Arc;

use crate::metric::Timestamp;

use super::super::actions::GateSnapshot;
use super::super::history::{HistoryEvent, HistoryItem};
use super::super::reason;
use super::super::suppression::Suppression;
use super::{
    Alarm, Certainty, EvaluationState, Kind, Options, ReasonData, Rule, StateValue, Tracked,
};

/// One alarm as it stood at some instant.
///
/// Windows and schedules are found again from the datapoints and the time; the newest evaluation is made anew. What queries
/// returned is not in it: alarms on them begin anew with the next answer, in the state that they had.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmSnapshot {
    pub name: String,
    /// Tells another definition from this one.
    pub fingerprint: u64,
    pub state: StateValue,
    pub reason: Arc<str>,
    pub reason_data: Option<Arc<ReasonData>>,
    pub created_at: Timestamp,
    pub transitioned_at: Option<Timestamp>,
    /// Of the newest evaluation.
    pub certainty: Certainty,
    pub warm_up_until: Option<Timestamp>,
    /// How often each transition was seen, by the places of the states in [`StateValue::ALL`].
    pub transitions: [[u64; 3]; 3],
    pub gate: GateSnapshot,
    /// The newest things that happened, oldest first.
    pub history: Vec<HistoryItem>,
}

impl Alarm {
    /// The same for the same rule, as long as the program is the same; another version may count an alarm as changed.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a.
        let rule = format!("{:?}", self.rule);
        rule.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

impl Tracked {
    pub(in crate::alarm) fn snapshot(&self) -> AlarmSnapshot {
        AlarmSnapshot {
            name: self.alarm.name.clone(),
            fingerprint: self.fingerprint,
            state: self.state,
            reason: Arc::clone(&self.reason),
            reason_data: self.reason_data.clone(),
            created_at: self.created_at,
            transitioned_at: self.transitioned_at,
            certainty: self.certainty(),
            warm_up_until: self.warm_up_until,
            transitions: self.transitions,
            gate: self.gate.snapshot(),
            history: self.history.iter().cloned().collect(),
        }
    }

    /// Goes on from a snapshot of `at`. With the same definition it is as if it had been here all the time; with another one
    /// it keeps its state until it is judged anew.
    pub(in crate::alarm) fn restore(
        &mut self,
        snapshot: &AlarmSnapshot,
        at: Timestamp,
        options: &Options,
    ) {
        self.state = snapshot.state;
        self.reason = Arc::clone(&snapshot.reason);
        self.reason_data.clone_from(&snapshot.reason_data);
        self.created_at = snapshot.created_at;
        self.transitioned_at = snapshot.transitioned_at;
        self.certainty_before = snapshot.certainty.clone();
        self.transitions = snapshot.transitions;
        self.gate.restore(&snapshot.gate);
        self.gate.redefined(&self.alarm);
        self.warm_up_until = snapshot.warm_up_until;
        self.evaluation_state = self.warm_up_until.map(|_| EvaluationState::InWarmUp);
        self.history = snapshot.history.iter().cloned().collect();
        if self.fingerprint != snapshot.fingerprint {
            self.remember(at, HistoryEvent::Updated);
            // What withheld its actions may have been another alarm.
            self.gate.suppression = Suppression::default();
            if matches!(self.alarm.rule, Rule::Log(_)) {
                // It may look at something else.
                self.state = StateValue::InsufficientData;
                self.explained(reason::INITIAL.into(), None);
            }
            if let Kind::Composite { is_new } = &mut self.kind {
                *is_new = false;
            }
            return;
        }
        match &mut self.kind {
            // What its children are in is restored as well, so that nothing has changed for it.
            // One that came to nothing yet is still to be judged.
            Kind::Composite { is_new } if snapshot.transitioned_at.is_some() => {
                *is_new = false;
                self.due = None;
            }
            Kind::Composite { .. } => {}
            Kind::Metric(_) | Kind::Queries(_) => self.schedule_after(at, options),
        }
    }
}

//! What is not in the journal yet: for a moment, or as long as there is none that can be written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::journal::{Append, OutOfRange, Recorded, Snapshot, Transition};
use crate::metric::{AGE_MAX, AHEAD_MAX, Datapoint, Timestamp};

use super::{Fate, Key, Outgoing, RequestLimits, Step};

/// The most datapoints held. With one metric a minute that is almost three days; beyond it the oldest go.
pub const PENDING_MAX: usize = 4_096;

/// The most transitions held; beyond it the oldest go.
const TRANSITIONS_MAX: usize = 256;

/// The most events for CloudWatch Logs; beyond it the oldest go.
const LOG_EVENTS_MAX: usize = 4_096;

/// The most of what is to be delivered.
const DELIVERIES_MAX: usize = 4_096;

/// A datapoint by its place in the order of sending: its start, and when it came.
pub(super) type Place = (Timestamp, u64);

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// What CloudWatch is to have.
    outbox: BTreeMap<Place, Waiting>,
    /// What it has, or is never to have.
    history: VecDeque<Datapoint>,
    transitions: VecDeque<Transition>,
    /// What is to be delivered, by key; `None` for what is no more.
    deliveries: BTreeMap<String, Option<String>>,
    /// What is to be written to CloudWatch Logs.
    log_events: VecDeque<(Timestamp, String)>,
    snapshot: Option<Snapshot>,
    came: u64,
    /// The start of the newest datapoint that was let go, which the journal does not know yet.
    forgotten_until: Option<Timestamp>,
}

/// How much had to go that is nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Datapoints that CloudWatch does not have.
    pub unpublished: usize,
    pub transitions: usize,
    /// Events for CloudWatch Logs.
    pub log_events: usize,
}

#[derive(Debug)]
struct Waiting {
    datapoint: Datapoint,
    in_flight: bool,
    /// It was sent before, and no answer told what became of it.
    answer_lost: bool,
}

impl Pending {
    pub(super) fn add(&mut self, step: Step) {
        for (datapoint, publish) in step.datapoints {
            if publish {
                self.came += 1;
                let place = (datapoint.start, self.came);
                let waiting = Waiting {
                    datapoint,
                    in_flight: false,
                    answer_lost: false,
                };
                self.outbox.insert(place, waiting);
            } else {
                self.history.push_back(datapoint);
            }
        }
        self.transitions.extend(step.transitions);
        self.deliveries.extend(step.deliveries);
        self.log_events.extend(step.log_events);
        self.forgotten_until = self.forgotten_until.max(step.forgotten_until);
        self.snapshot = match (step.snapshot, self.snapshot.take()) {
            (Some(newer), Some(older)) => Some(newer.or_alarms_of(older)),
            (newer, older) => newer.or(older),
        };
    }

    /// Lets go of the oldest of what is too much to be held.
    pub(super) fn make_room(&mut self) -> Forgotten {
        let transitions = self.transitions.len().saturating_sub(TRANSITIONS_MAX);
        self.transitions.drain(..transitions);
        let log_events = self.log_events.len().saturating_sub(LOG_EVENTS_MAX);
        self.log_events.drain(..log_events);
        // Whoever delivers has them, too: what goes here is not remembered over a restart.
        while self.deliveries.len() > DELIVERIES_MAX {
            self.deliveries.pop_first();
        }
        let surplus = (self.outbox.len() + self.history.len()).saturating_sub(PENDING_MAX);
        let of_history = surplus.min(self.history.len());
        let newest = self
            .history
            .drain(..of_history)
            .map(|datapoint| datapoint.start)
            .max();
        // What is in flight may be about to be accepted.
        let free = self.outbox.iter().filter(|(_, waiting)| !waiting.in_flight);
        let free = free.take(surplus - of_history);
        let lost: Vec<Place> = free.map(|(place, _)| *place).collect();
        for place in &lost {
            self.outbox.remove(place);
        }
        let newest = newest.max(lost.iter().map(|(start, _)| *start).max());
        self.forgotten_until = self.forgotten_until.max(newest);
        Forgotten {
            unpublished: lost.len(),
            transitions,
            log_events,
        }
    }

    pub(super) fn has_log_events(&self) -> bool {
        !self.log_events.is_empty()
    }

    /// The oldest events for CloudWatch Logs.
    pub(super) fn take_log_events(&mut self, most: usize) -> Vec<(Timestamp, String)> {
        let count = self.log_events.len().min(most);
        self.log_events.drain(..count).collect()
    }

    /// Keeps only what CloudWatch and CloudWatch Logs are to have: there will never be a journal.
    pub(super) fn forget_history(&mut self) {
        self.history.clear();
        self.transitions.clear();
        self.deliveries.clear();
        self.snapshot = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outbox.is_empty()
            && self.history.is_empty()
            && self.transitions.is_empty()
            && self.deliveries.is_empty()
            && self.log_events.is_empty()
            && self.snapshot.is_none()
            && self.forgotten_until.is_none()
    }

    /// How many datapoints CloudWatch is yet to have, and the start of the oldest.
    pub(super) fn waiting(&self) -> (usize, Option<Timestamp>) {
        let oldest = self.outbox.keys().next().map(|(start, _)| *start);
        (self.outbox.len(), oldest)
    }

    /// Gives everything to the journal, and forgets it if that succeeds. What is in flight stays here until its fate is known.
    pub(super) fn flush<E>(
        &mut self,
        append: impl FnOnce(Append<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let waiting = self.outbox.values().filter(|waiting| !waiting.in_flight);
        let waiting = waiting.map(|waiting| Recorded {
            datapoint: &waiting.datapoint,
            publish: true,
            answer_lost: waiting.answer_lost,
        });
        let history = self.history.iter().map(|datapoint| Recorded {
            datapoint,
            publish: false,
            answer_lost: false,
        });
        let datapoints: Vec<Recorded<'_>> = waiting.chain(history).collect();
        let deliveries: Vec<(String, Option<String>)> = self
            .deliveries
            .iter()
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect();
        append(Append {
            datapoints: &datapoints,
            transitions: self.transitions.make_contiguous(),
            deliveries: &deliveries,
            log_events: self.log_events.make_contiguous(),
            snapshot: self.snapshot.as_ref(),
            forgotten_until: self.forgotten_until,
        })?;
        self.forgotten_until = None;
        self.outbox.retain(|_, waiting| waiting.in_flight);
        self.history.clear();
        self.transitions.clear();
        self.deliveries.clear();
        self.log_events.clear();
        self.snapshot = None;
        Ok(())
    }

    /// Nobody will say any more what became of what is in flight.
    pub(super) fn lose_answers(&mut self) {
        for waiting in self.outbox.values_mut() {
            waiting.answer_lost |= waiting.in_flight;
            waiting.in_flight = false;
        }
    }

    /// What one request can carry of what starts `within` two instants, now in flight: first what starts at `newest` or later,
    /// then the rest from the oldest on.
    pub(super) fn take(
        &mut self,
        newest: Timestamp,
        within: (Timestamp, Timestamp),
        limits: RequestLimits,
    ) -> Vec<Outgoing> {
        let mut bytes = 0;
        let mut fits = |waiting: &Waiting| {
            bytes += waiting.datapoint.request_size();
            bytes <= limits.bytes
        };
        let newest = (newest, 0);
        let places = self
            .outbox
            .range(newest..)
            .chain(self.outbox.range(..newest));
        let is_within = |start| (within.0..=within.1).contains(&start);
        let free = places.filter(|((start, _), waiting)| is_within(*start) && !waiting.in_flight);
        let batch: Vec<Place> = free
            .take(limits.datapoints)
            .take_while(|(_, waiting)| fits(waiting))
            .map(|(place, _)| *place)
            .collect();
        batch
            .into_iter()
            .filter_map(|place| self.send(place))
            .collect()
    }

    fn send(&mut self, place: Place) -> Option<Outgoing> {
        let waiting = self.outbox.get_mut(&place)?;
        waiting.in_flight = true;
        Some(Outgoing {
            key: Key::Pending(place),
            datapoint: Arc::new(waiting.datapoint.clone()),
            answer_lost: waiting.answer_lost,
        })
    }

    /// Returns how many of them were still here.
    pub(super) fn settle(&mut self, places: &[Place], fate: Fate) -> usize {
        let settle = |place: &&Place| match fate {
            Fate::Accepted | Fate::Dropped(_) => {
                let gone = self.outbox.remove(place);
                let is_known = gone.is_some();
                self.history.extend(gone.map(|waiting| waiting.datapoint));
                is_known
            }
            Fate::AnswerLost | Fate::NotSent => self.outbox.get_mut(place).is_some_and(|waiting| {
                waiting.in_flight = false;
                waiting.answer_lost |= fate == Fate::AnswerLost;
                true
            }),
        };
        places.iter().filter(settle).count()
    }

    /// Forgets what CloudWatch would not take for its age, unless it is in flight.
    pub(super) fn drop_out_of_range(&mut self, now: Timestamp) -> OutOfRange {
        let mut dropped = OutOfRange::default();
        self.outbox.retain(|(start, _), waiting| {
            let (too_old, too_far_ahead) = (*start < now - AGE_MAX, *start > now + AHEAD_MAX);
            let goes = !waiting.in_flight && (too_old || too_far_ahead);
            dropped.too_old += usize::from(goes && too_old);
            dropped.too_far_ahead += usize::from(goes && too_far_ahead);
            !goes
        });
        dropped
    }
}

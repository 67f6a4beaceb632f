//! The whole of the daemon's behaviour, as a function of time and samples.
//!
//! `run`, `test` and `replay` are three sources of readings in front of this one step.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::alarm::{
    Alarm, AlarmSnapshot, Answer, Evaluator, Events, MuteRule, Options, StateValue, Status,
    Transition, Watched,
};
use crate::metric::{Datapoint, Metric, Reading, Timestamp};
use crate::store::{DatapointStore, DropReason, Need};

/// The store and the alarms, advanced one reading at a time.
#[derive(Debug, Default)]
pub struct Pipeline {
    store: DatapointStore,
    evaluator: Evaluator,
    clock: Option<Clock>,
}

/// When the first and the newest reading were taken.
#[derive(Clone, Copy, Debug)]
struct Clock {
    first: Timestamp,
    newest: Timestamp,
    /// The first reading of this program; `None` before it. What came earlier of metrics that others publish was not seen.
    resumed: Option<Timestamp>,
}

impl Clock {
    fn watched(self) -> Watched {
        Watched {
            since: self.first,
            elsewhere_since: self.first.max(self.resumed.unwrap_or(self.first)),
        }
    }
}

/// What outlives the program, beside the datapoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What was before is unknown.
    pub watched_since: Timestamp,
    /// The newest reading.
    pub at: Timestamp,
    pub alarms: Vec<AlarmSnapshot>,
}

/// What one reading brought about, for the sinks to carry out.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Slots that were closed, oldest first.
    pub datapoints: Vec<Datapoint>,
    /// What the alarms did.
    pub events: Events,
    /// Samples that were not recorded, each with its reason.
    pub dropped: Vec<DropReason>,
    /// By how many seconds the clock was set back, if it was set back out of the open minute.
    pub clock_set_back: Option<i64>,
    /// How many alarms were due.
    pub evaluated: usize,
}

impl Pipeline {
    pub fn new(options: Options) -> Self {
        Self {
            evaluator: Evaluator::new(options),
            ..Self::default()
        }
    }

    /// One that judges alarms and yields no datapoints.
    pub fn for_alarms_only(options: Options) -> Self {
        Self {
            store: DatapointStore::for_alarms_only(),
            ..Self::new(options)
        }
    }

    /// Replaces the alarms; see [`Evaluator::set_alarms`].
    pub fn set_alarms(&mut self, alarms: Vec<Alarm>, at: Timestamp) -> Vec<Transition> {
        let transitions = self.evaluator.set_alarms(alarms, at);
        self.store.keep_history(self.evaluator.history_needed());
        transitions
    }

    /// How much of each metric's history the alarms read.
    pub fn history_needed(&self) -> HashMap<Arc<Metric>, Need> {
        self.evaluator.history_needed()
    }

    /// Since when it is watched, and the newest reading; `None` before the first.
    pub fn watched(&self) -> Option<(Timestamp, Timestamp)> {
        self.clock.map(|clock| (clock.first, clock.newest))
    }

    /// What outlives the program; `None` before the first reading.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let Clock { first, newest, .. } = self.clock?;
        Some(Snapshot {
            watched_since: first,
            at: newest,
            alarms: self.evaluator.snapshots().collect(),
        })
    }

    /// Takes up a datapoint that was closed before the program began: oldest first, after the alarms were set and before
    /// [`Pipeline::restore`]. `until`: the instant of the snapshot.
    pub fn take_up(&mut self, datapoint: &Datapoint, until: Timestamp) {
        self.store.restore(datapoint, until);
    }

    /// Goes on from a snapshot after all datapoints closed until then were taken up: what an uninterrupted program would be
    /// that was fed the same readings, and then none until now.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.store.was_closed_until(snapshot.at);
        self.evaluator.restore(&snapshot.alarms, snapshot.at);
        self.clock = Some(Clock {
            first: snapshot.watched_since,
            newest: snapshot.at,
            resumed: None,
        });
    }

    /// Goes on with alarms from how they stand elsewhere, where they were judged before: after they were set.
    pub fn take_over(&mut self, alarms: &[AlarmSnapshot], at: Timestamp) {
        self.evaluator.take_over(alarms, at);
    }

    /// Replaces the rules that mute alarms; see [`Evaluator::set_mute_rules`].
    pub fn set_mute_rules(&mut self, mute_rules: Vec<MuteRule>, at: Timestamp) {
        self.evaluator.set_mute_rules(mute_rules, at);
    }

    /// See [`Evaluator::statuses`].
    pub fn statuses(&self) -> Vec<Arc<Status>> {
        self.evaluator.statuses()
    }

    /// See [`Evaluator::status`].
    pub fn status(&self, name: &str) -> Option<Status> {
        self.evaluator.status(name)
    }

    /// Sets an alarm's state, as SetAlarmState does; see [`Evaluator::set_state`]. `None` if there is no such alarm.
    pub fn set_state(
        &mut self,
        name: &str,
        state: StateValue,
        reason: &str,
        reason_data: Option<&str>,
        at: Timestamp,
    ) -> Option<Events> {
        let mut events = Events::default();
        self.evaluator
            .set_state(name, state, reason, reason_data, at, &mut events)
            .then_some(events)
    }

    /// Judges an alarm on what its query returned; see [`Evaluator::answer`]. `None` if no such alarm has a query.
    pub fn answer(&mut self, name: &str, answer: &Answer, at: Timestamp) -> Option<Events> {
        let mut events = Events::default();
        self.evaluator
            .answer(name, answer, at, &mut events)
            .then_some(events)
    }

    /// Records `reading`, closes the slots that have ended by then, and judges every alarm that was due up to then.
    ///
    /// An alarm that was due between two readings is judged on what was known at that time.
    pub fn advance(&mut self, reading: &Reading) -> Outcome {
        let mut outcome = Outcome::default();
        let is_first = self.clock.is_none();
        let (reading, clock) = self.on_schedule(reading, &mut outcome);
        let at = reading.at;
        let quiet_since = if is_first {
            Timestamp::MIN
        } else {
            clock.newest
        };
        self.catch_up(at, quiet_since, clock, &mut outcome);
        self.store.record(&reading, &mut outcome.dropped);
        self.judge(at, clock, &mut outcome);
        self.clock = Some(Clock {
            newest: at,
            ..clock
        });
        outcome
    }

    /// Closes what is open as it is, because nothing more will come.
    pub fn finish(&mut self) -> Vec<Datapoint> {
        self.store.close_all()
    }

    /// Judges what was due before `at`, after the newest reading.
    fn catch_up(
        &mut self,
        at: Timestamp,
        quiet_since: Timestamp,
        clock: Clock,
        outcome: &mut Outcome,
    ) {
        let is_due = |due: &Timestamp| *due < at;
        if !self.evaluator.next_due().as_ref().is_some_and(is_due) {
            return;
        }
        // Samples may be ahead of the clock.
        let open_until = self.store.open_until().unwrap_or(quiet_since);
        let quiet_since = quiet_since.max(open_until);
        loop {
            self.evaluator.skip_silence(quiet_since, at);
            let Some(due) = self.evaluator.next_due().filter(is_due) else {
                return;
            };
            self.judge(due, clock, outcome);
        }
    }

    fn judge(&mut self, at: Timestamp, clock: Clock, outcome: &mut Outcome) {
        outcome.datapoints.append(&mut self.store.close(at));
        outcome.evaluated +=
            self.evaluator
                .evaluate(&mut self.store, at, clock.watched(), &mut outcome.events);
    }

    /// A step of the clock back inside the open minute is ignored: its samples count as taken when the clock last stood
    /// farthest. A larger step restarts the schedule, with states kept.
    fn on_schedule<'a>(
        &mut self,
        reading: &'a Reading,
        outcome: &mut Outcome,
    ) -> (Cow<'a, Reading>, Clock) {
        let at = reading.at;
        let known = self.clock.unwrap_or(Clock {
            first: at,
            newest: at,
            resumed: None,
        });
        let clock = Clock {
            resumed: known.resumed.or(Some(at)),
            ..known
        };
        if at >= clock.newest {
            return (Cow::Borrowed(reading), clock);
        }
        if at.floor(60) == clock.newest.floor(60) {
            let mut clamped = Reading {
                at: clock.newest,
                ..reading.clone()
            };
            clamped
                .samples
                .iter_mut()
                .filter(|sample| sample.at == at)
                .for_each(|sample| sample.at = clock.newest);
            return (Cow::Owned(clamped), clock);
        }
        outcome.clock_set_back = Some(clock.newest - at);
        let forgotten = self.store.rewind(at);
        outcome
            .dropped
            .extend(std::iter::repeat_n(DropReason::ClockSteppedBack, forgotten));
        self.evaluator.restart(at);
        // What the clock said before cannot be relied on.
        (
            Cow::Borrowed(reading),
            Clock {
                first: at,
                newest: at,
                resumed: Some(at),
            },
        )
    }
}

#[cfg(test)]
mod tests;

//! What must not be lost, kept by one thread: in the journal, and in memory while that cannot be written.
//!
//! Everything that a step of the pipeline brought is appended as one. The publisher takes what CloudWatch is to have from
//! here, a request's worth at a time, and says what became of it. Whatever happens to the journal, the others do not wait
//! for it: what cannot be written stays in memory, within bounds, and is written once that is possible again.

mod logs;
mod pending;
mod task;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tracing::{info, warn};

use crate::journal::{
    self, Clock, Error, Id, Journal, Limits, LogProgress, Note, OpenError, Past, Reader,
};
use crate::metric::{AGE_MAX, AHEAD_MAX, Datapoint, Metric, Timestamp};
use crate::stats::Stats;

pub use pending::{Forgotten, PENDING_MAX};
use pending::{Pending, Place};
pub use task::{Handle, Kept, WeakHandle, start};
#[cfg(test)]
pub(crate) use task::{in_memory, stuck};

/// What one PutMetricData request may carry (SPEC section 2.2): a thousand datums and, not compressed, a megabyte, of which
/// a part is left for the envelope.
pub const REQUEST_MAX: RequestLimits = RequestLimits {
    datapoints: 1_000,
    bytes: 900_000,
};

/// The clock counts as right for so long before and after CloudWatch took something, in seconds: it refuses a signature that
/// is more than some minutes off.
const CLOCK_RIGHT: i64 = 3_600;

/// After so many steps, a day of minutes, the clock counts as steady: where nothing is published nothing else tells.
const STEADY_STEPS: u64 = 1_440;

/// How often the journal is pruned after one step: more waits for the next.
const PRUNED_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    pub datapoints: usize,
    pub bytes: usize,
}

/// What is to be delivered, by its key, as text; `None` for what is no more.
pub type Delivery = (String, Option<String>);

/// What one step of the pipeline brought.
#[derive(Debug, Default)]
pub struct Step {
    /// Each with whether CloudWatch is to have it.
    pub datapoints: Vec<(Datapoint, bool)>,
    pub transitions: Vec<journal::Transition>,
    /// What is to be delivered, by key; `None` for what is no more.
    pub deliveries: Vec<Delivery>,
    /// What is to be written to CloudWatch Logs, with its time.
    pub log_events: Vec<(Timestamp, String)>,
    pub snapshot: Option<journal::Snapshot>,
    /// The start of the newest datapoint that had to go before the keeper had it.
    pub forgotten_until: Option<Timestamp>,
}

impl Step {
    /// Takes up what the next step brought. Returns how much had to go for it.
    pub fn merge(&mut self, next: Self) -> Forgotten {
        self.datapoints.extend(next.datapoints);
        self.transitions.extend(next.transitions);
        self.snapshot = match (next.snapshot, self.snapshot.take()) {
            (Some(newer), Some(older)) => Some(newer.or_alarms_of(older)),
            (newer, older) => newer.or(older),
        };
        let surplus = self.datapoints.len().saturating_sub(PENDING_MAX);
        let gone: Vec<(Datapoint, bool)> = self.datapoints.drain(..surplus).collect();
        let newest = gone.iter().map(|(datapoint, _)| datapoint.start).max();
        self.forgotten_until = self.forgotten_until.max(next.forgotten_until).max(newest);
        let unpublished = gone.iter().filter(|(_, publish)| *publish).count();
        let transitions = self.transitions.len().saturating_sub(PENDING_MAX);
        self.transitions.drain(..transitions);
        self.deliveries.extend(next.deliveries);
        let surplus = self.deliveries.len().saturating_sub(PENDING_MAX);
        self.deliveries.drain(..surplus);
        self.log_events.extend(next.log_events);
        let log_events = self.log_events.len().saturating_sub(PENDING_MAX);
        self.log_events.drain(..log_events);
        Forgotten {
            unpublished,
            transitions,
            log_events,
        }
    }
}

/// A datapoint that is to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub key: Key,
    pub datapoint: Arc<Datapoint>,
    /// It was sent before, and no answer told what became of it.
    pub answer_lost: bool,
}

/// Where a datapoint waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Journal(Id),
    Pending(Place),
}

/// What became of datapoints that were to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accepted,
    /// They may have arrived: they wait again, and count as sent twice if they are sent.
    AnswerLost,
    /// They did not arrive: they wait again.
    NotSent,
    /// CloudWatch will never take them, for the reason given.
    Dropped(&'static str),
}

/// The journal, and what is not in it.
#[derive(Debug)]
pub struct Keeper {
    /// Where the journal is; `None` where there is no place for one.
    dir: Option<PathBuf>,
    limits: Limits,
    journal: Option<Journal>,
    pending: Pending,
    /// What became of datapoints in the journal, and could not be written yet.
    unsettled: Vec<(Vec<Id>, Fate)>,
    /// The minute of the newest datapoint.
    newest: Timestamp,
    /// When CloudWatch last took something, by this host's clock.
    accepted_at: Option<Timestamp>,
    /// How much waited in a journal that turned out to be corrupt, until it is set aside.
    waited_in_corrupt: usize,
    /// How many steps were kept.
    steps: u64,
    /// What is wrong with the journal, if something is.
    trouble: Option<String>,
    /// How far was got with CloudWatch Logs, as far as the journal does not know.
    progress: LogProgress,
    stats: Arc<Stats>,
}

impl Keeper {
    /// Opens the journal, or goes on without it until it can be opened. An error means that another process has it.
    pub fn open(
        dir: Option<PathBuf>,
        limits: Limits,
        stats: Arc<Stats>,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let mut keeper = Self {
            dir,
            limits,
            journal: None,
            pending: Pending::default(),
            unsettled: Vec::new(),
            newest: now.floor(60) - 60,
            accepted_at: None,
            waited_in_corrupt: 0,
            steps: 0,
            trouble: None,
            progress: LogProgress::default(),
            stats,
        };
        match keeper.try_open(now) {
            Err(in_use @ OpenError::InUse { .. }) => return Err(in_use),
            Err(error) => keeper.troubled(chain(&error)),
            Ok(()) => {}
        }
        keeper.show();
        Ok(keeper)
    }

    fn try_open(&mut self, now: Timestamp) -> Result<(), OpenError> {
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        let (journal, notes) = Journal::open(dir, self.limits, now)?;
        let mut saved = 0;
        for note in notes {
            warn!("{note}");
            if let Note::SetAside { saved: some, .. } = note {
                saved = some;
            }
        }
        let waited = std::mem::take(&mut self.waited_in_corrupt);
        self.lost("set_aside", waited.saturating_sub(saved));
        self.journal = Some(journal);
        Ok(())
    }

    /// What a pipeline goes on from, if there is anything, with so many transitions of each alarm; also from a journal that can
    /// only be read.
    pub fn past(&mut self, transitions: usize) -> Option<Past> {
        let read = match (&self.journal, self.reader()) {
            (Some(journal), _) => journal.past(transitions),
            (None, Some(reader)) => reader.past(transitions),
            (None, None) => return None,
        };
        self.checked(read).flatten()
    }

    /// A journal that cannot be written may still be read.
    fn reader(&self) -> Option<Reader> {
        match self.journal {
            Some(_) => None,
            None => Reader::open(self.dir.as_deref()?).ok(),
        }
    }

    /// Gives every datapoint of these metrics that starts at the instant given or later, and of all others that starts at
    /// `others` or later, oldest first, until `each` says that it is enough.
    pub fn datapoints_since(
        &mut self,
        since: &HashMap<Arc<Metric>, Timestamp>,
        others: Option<Timestamp>,
        each: impl FnMut(Datapoint) -> bool,
    ) {
        let Some(earliest) = since.values().copied().chain(others).min() else {
            return;
        };
        let wanted = |metric: &Metric, start: Timestamp| {
            let since = since.get(metric).copied().into_iter().chain(others).min();
            since.is_some_and(|since| start >= since)
        };
        let read = match (&self.journal, self.reader()) {
            (Some(journal), _) => journal.datapoints_of(earliest, wanted, each),
            (None, Some(reader)) => reader.datapoints_of(earliest, wanted, each),
            (None, None) => return,
        };
        if let Some(unreadable @ 1..) = self.checked(read) {
            warn!(
                unreadable,
                "datapoints in the journal cannot be read; they count as missing"
            );
        }
    }

    /// Keeps what a step brought.
    pub fn append(&mut self, step: Step, now: Timestamp) {
        let starts = step
            .datapoints
            .iter()
            .map(|(datapoint, _)| datapoint.start.floor(60));
        self.newest = starts
            .max()
            .map_or(self.newest, |newest| newest.max(self.newest));
        self.steps += 1;
        self.pending.add(step);
        self.flush(now);
        let Forgotten {
            unpublished,
            transitions,
            log_events,
        } = self.pending.make_room();
        self.lost("outbox_full", unpublished);
        if transitions > 0 {
            warn!(
                transitions,
                "transitions that the journal does not have are lost"
            );
        }
        self.no_room_for_log_events(log_events);
        self.prune(now);
        self.show();
    }

    /// Notes what became of what is to be delivered.
    pub fn deliver(&mut self, deliveries: Vec<Delivery>, now: Timestamp) {
        let step = Step {
            deliveries,
            ..Step::default()
        };
        self.pending.add(step);
        self.flush(now);
        self.show();
    }

    /// What is to be delivered: what an earlier program left.
    pub fn deliveries(&mut self) -> BTreeMap<String, String> {
        let read = match (&self.journal, self.reader()) {
            (Some(journal), _) => Some(journal.deliveries()),
            (None, Some(reader)) => Some(reader.deliveries()),
            (None, None) => None,
        };
        read.and_then(|read| self.checked(read)).unwrap_or_default()
    }

    /// The newest transitions, of one alarm or of all, newest first.
    pub fn transitions(&mut self, alarm: Option<&str>, most: usize) -> Vec<journal::Transition> {
        let read = match (&self.journal, self.reader()) {
            (Some(journal), _) => journal.transitions(alarm, most),
            (None, Some(reader)) => reader.transitions(alarm, most),
            (None, None) => return Vec::new(),
        };
        self.checked(read).unwrap_or_default()
    }

    /// A request's worth of datapoints that CloudWatch is to have and would take at this time: first the newest minute, then the
    /// rest from the oldest on. They are in flight until [`Keeper::settle`] says what became of them.
    pub fn take(&mut self, now: Timestamp, limits: RequestLimits) -> Vec<Outgoing> {
        self.flush(now);
        self.drop_out_of_range(now);
        // The clock may have been ahead.
        self.newest = self.newest.min(now.floor(60));
        let within = (now - AGE_MAX, now + AHEAD_MAX);
        let mut batch = self.pending.take(self.newest, within, limits);
        if batch.is_empty() && self.unsettled.is_empty() {
            batch = self.take_from_journal(within, limits).unwrap_or_default();
        }
        self.show();
        batch
    }

    fn take_from_journal(
        &mut self,
        within: (Timestamp, Timestamp),
        limits: RequestLimits,
    ) -> Option<Vec<Outgoing>> {
        let newest = self.newest;
        let journal = self.journal.as_mut()?;
        let read = journal.next_batch(newest, within, limits.datapoints, limits.bytes);
        let batch = self.checked(read)?;
        self.lost("unreadable", batch.unreadable);
        let ids: Vec<Id> = batch.outgoing.iter().map(|outgoing| outgoing.id).collect();
        let marked = self.journal.as_mut()?.mark_in_flight(&ids);
        self.checked(marked)?;
        let outgoing = batch.outgoing.into_iter().map(|outgoing| Outgoing {
            key: Key::Journal(outgoing.id),
            datapoint: Arc::new(outgoing.datapoint),
            answer_lost: outgoing.answer_lost,
        });
        Some(outgoing.collect())
    }

    /// Notes what became of datapoints that were taken.
    pub fn settle(&mut self, keys: &[Key], fate: Fate, now: Timestamp) {
        if fate == Fate::Accepted {
            self.accepted_at = Some(now);
        }
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                Key::Journal(id) => ids.push(*id),
                Key::Pending(place) => places.push(*place),
            }
        }
        let settled = self.pending.settle(&places, fate);
        self.count(fate, settled);
        if !ids.is_empty() {
            self.unsettled.push((ids, fate));
        }
        self.settle_in_journal();
        self.show();
    }

    /// Writes what is known, in the order in which it came to be known.
    fn settle_in_journal(&mut self) {
        while let Some((ids, fate)) = self.unsettled.first() {
            let fate = *fate;
            let Some(journal) = &mut self.journal else {
                return;
            };
            let written = match fate {
                Fate::Accepted => journal.accepted(ids),
                Fate::AnswerLost => journal.answer_lost(ids),
                Fate::NotSent => journal.not_sent(ids),
                Fate::Dropped(reason) => journal.dropped(ids, reason),
            };
            let Some(settled) = self.checked(written) else {
                return;
            };
            self.count(fate, settled);
            self.unsettled.remove(0);
        }
    }

    fn count(&self, fate: Fate, settled: usize) {
        match fate {
            Fate::Accepted => {
                self.stats.published.fetch_add(settled as u64, Relaxed);
            }
            Fate::Dropped(reason) => self.stats.dropped.add(reason, settled),
            Fate::AnswerLost | Fate::NotSent => {}
        }
    }

    /// Writes what is pending, if there is a journal or one can be opened.
    fn flush(&mut self, now: Timestamp) {
        if self.dir.is_none() {
            return self.pending.forget_history();
        }
        if self.journal.is_none()
            && let Err(error) = self.try_open(now)
        {
            return self.troubled(chain(&error));
        }
        self.settle_in_journal();
        self.write_progress();
        let Some(journal) = &mut self.journal else {
            return;
        };
        if self.pending.is_empty() {
            return;
        }
        let mut written = self.pending.flush(|append| journal.append(append));
        // What CloudWatch has goes before what it does not have.
        while let Err(Error::Full(_)) = written {
            match journal.give_up_history() {
                Ok(true) => written = self.pending.flush(|append| journal.append(append)),
                _ => break,
            }
        }
        if self.checked(written).is_some() {
            self.recovered();
        }
    }

    /// Whether what is too old by this host's clock is too old.
    fn clock(&self, now: Timestamp) -> Clock {
        let is_right = |at: Timestamp| (at - CLOCK_RIGHT..=at + CLOCK_RIGHT).contains(&now);
        match self.accepted_at.is_some_and(is_right) {
            true => Clock::Right,
            false if self.steps >= STEADY_STEPS => Clock::Steady,
            false => Clock::Unknown,
        }
    }

    fn prune(&mut self, now: Timestamp) {
        let clock = self.clock(now);
        for _ in 0..PRUNED_MAX {
            let Some(journal) = &mut self.journal else {
                return;
            };
            let pruned = journal.prune(now, clock);
            let Some(pruned) = self.checked(pruned) else {
                return;
            };
            self.lost("pruned", pruned.unpublished);
            self.lost_log_events("pruned", pruned.log_events);
            self.lost_log_events("too_old", pruned.old_log_events);
            if !pruned.more {
                return;
            }
        }
    }

    fn drop_out_of_range(&mut self, now: Timestamp) {
        if self.clock(now) != Clock::Right {
            return;
        }
        let mut dropped = self.pending.drop_out_of_range(now);
        if let Some(journal) = &mut self.journal {
            let of_journal = journal.drop_too_old(now);
            let of_journal = self.checked(of_journal).unwrap_or_default();
            dropped.too_old += of_journal.too_old;
            dropped.too_far_ahead += of_journal.too_far_ahead;
        }
        self.lost("too_old", dropped.too_old);
        self.lost("too_far_ahead", dropped.too_far_ahead);
    }

    fn lost(&self, reason: &'static str, count: usize) {
        if count > 0 {
            self.stats.dropped.add(reason, count);
            warn!(
                reason,
                datapoints = count,
                "datapoints that CloudWatch does not have are lost"
            );
        }
    }

    /// The result, unless it is an error. A corrupt journal is dropped, to be set aside when it is opened again.
    fn checked<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if matches!(error, Error::Corrupt(_))
                    && let Some(journal) = self.journal.take()
                {
                    // How much of it can be saved is known once it was set aside.
                    self.waited_in_corrupt = journal.waiting().count;
                }
                self.troubled(chain(&error));
                None
            }
        }
    }

    /// One line for each thing that goes wrong, however often it does.
    fn troubled(&mut self, error: String) {
        if self.trouble.as_ref() == Some(&error) {
            return;
        }
        warn!(
            error,
            at_most = PENDING_MAX,
            "the journal cannot be used; datapoints are held in memory"
        );
        self.trouble = Some(error);
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            info!("the journal is written again");
        }
    }

    /// Shows how things stand.
    fn show(&self) {
        let in_journal = self
            .journal
            .as_ref()
            .map(Journal::waiting)
            .unwrap_or_default();
        let (pending, oldest) = self.pending.waiting();
        let oldest = in_journal.oldest.into_iter().chain(oldest).min();
        let count = i64::try_from(in_journal.count + pending).unwrap_or(i64::MAX);
        self.stats.outbox.store(count, Relaxed);
        self.stats
            .outbox_oldest
            .store(oldest.map_or(0, Timestamp::seconds), Relaxed);
        let size = self.journal.as_ref().map_or(0, Journal::size);
        self.stats.journal.set(size, self.trouble.clone());
    }

    /// Ends: writes what is pending, and leaves one complete file.
    pub fn close(mut self, now: Timestamp) {
        self.pending.lose_answers();
        self.flush(now);
        let (pending, _) = self.pending.waiting();
        self.lost("shutdown", pending);
        let log_events = self.pending.take_log_events(usize::MAX).len();
        if log_events > 0 {
            self.lost_log_events("shutdown", log_events);
            warn!(
                log_events,
                "events that CloudWatch Logs does not have are lost"
            );
        }
        self.pending = Pending::default();
        self.show();
        if let Some(Err(error)) = self.journal.take().map(Journal::close) {
            warn!(
                error = chain(&error),
                "the journal could not be closed; it is recovered at the next start"
            );
        }
    }
}

/// An error with what brought it about.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

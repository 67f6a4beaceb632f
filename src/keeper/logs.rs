//! What is to be written to CloudWatch Logs, and how far others were read.

use std::collections::BTreeMap;

use crate::journal::{Journal, LogEvent, LogProgress};
use crate::metric::Timestamp;
use crate::stats::RECORD;

use super::{Keeper, Step};

impl Keeper {
    /// Keeps what is to be written to CloudWatch Logs.
    pub fn log(&mut self, log_events: Vec<(Timestamp, String)>, now: Timestamp) {
        let step = Step {
            log_events,
            ..Step::default()
        };
        self.pending.add(step);
        self.flush(now);
        let forgotten = self.pending.make_room();
        self.no_room_for_log_events(forgotten.log_events);
    }

    /// Those that memory had no room for, and those that the journal had none for.
    pub(super) fn no_room_for_log_events(&mut self, forgotten: usize) {
        let journal = self.journal.as_mut();
        let lost = journal.map_or(0, Journal::take_log_events_lost);
        self.lost_log_events("queue_full", forgotten + lost);
    }

    pub(super) fn lost_log_events(&self, reason: &'static str, events: usize) {
        self.stats.logs.dropped(RECORD, reason, events);
    }

    /// What is to be written and cannot be kept, oldest first. Whoever takes it has it alone.
    pub fn take_unkept_log_events(
        &mut self,
        most: usize,
        now: Timestamp,
    ) -> Vec<(Timestamp, String)> {
        if !self.pending.has_log_events() {
            return Vec::new();
        }
        self.flush(now);
        self.pending.take_log_events(most)
    }

    /// Notes how far was got with what is sent to CloudWatch Logs. Whether that is written; if not, it is as soon as it can be.
    pub fn log_progress(&mut self, progress: LogProgress, now: Timestamp) -> bool {
        if self.dir.is_none() {
            // There is no journal, and never will be.
            return true;
        }
        self.progress.add(progress);
        self.flush(now);
        self.progress.is_empty()
    }

    pub(super) fn write_progress(&mut self) {
        let Some(journal) = self.journal.as_mut().filter(|_| !self.progress.is_empty()) else {
            return;
        };
        let written = journal.log_progress(&self.progress);
        if self.checked(written).is_some() {
            self.progress = LogProgress::default();
        }
    }

    /// How far an earlier program got; `None` if that cannot be read now. Where there is no place for a journal, none did.
    pub fn log_positions(&mut self, now: Timestamp) -> Option<BTreeMap<String, String>> {
        if self.dir.is_none() {
            return Some(BTreeMap::new());
        }
        self.flush(now);
        let read = match (&self.journal, self.reader()) {
            (Some(journal), _) => journal.log_positions(),
            (None, Some(reader)) => reader.log_positions(),
            (None, None) => return None,
        };
        self.checked(read).map(|kept| self.progress.over(kept))
    }

    /// What is to be written, oldest first.
    pub fn log_events(&mut self, after: i64, most: usize) -> Vec<LogEvent> {
        let read = self.journal.as_ref();
        let read = read.map(|journal| journal.log_events(after, most));
        read.and_then(|read| self.checked(read)).unwrap_or_default()
    }
}

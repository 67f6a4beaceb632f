//! What is to be written to CloudWatch Logs, and how far others were read.

use std::collections::BTreeMap;

use crate::journal::{Journal, LogEvent, LogProgress};
use crate::metric::Timestamp;

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
        self.lost_log_events(forgotten.log_events);
    }

    /// Those that memory had no room for, and those that the journal had none for.
    pub(super) fn lost_log_events(&mut self, forgotten: usize) {
        let journal = self.journal.as_mut();
        let lost = journal.map_or(0, Journal::take_log_events_lost);
        let logs = &self.stats.logs;
        logs.dropped("record", "queue_full", forgotten + lost);
    }

    /// Notes how far was got with what is sent to CloudWatch Logs. Whether that is kept.
    pub fn log_progress(&mut self, progress: &LogProgress, now: Timestamp) -> bool {
        self.flush(now);
        if self.dir.is_none() {
            // There is no journal, and never will be.
            return true;
        }
        let written = self
            .journal
            .as_mut()
            .map(|journal| journal.log_progress(progress));
        written.and_then(|written| self.checked(written)).is_some()
    }

    /// How far an earlier program got.
    pub fn log_positions(&mut self) -> BTreeMap<String, String> {
        let read = self.journal.as_ref().map(Journal::log_positions);
        read.and_then(|read| self.checked(read)).unwrap_or_default()
    }

    /// What is to be written, oldest first.
    pub fn log_events(&mut self, after: i64, most: usize) -> Vec<LogEvent> {
        let read = self.journal.as_ref();
        let read = read.map(|journal| journal.log_events(after, most));
        read.and_then(|read| self.checked(read)).unwrap_or_default()
    }
}

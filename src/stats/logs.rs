//! What became of what goes to CloudWatch Logs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The source of what this program has to say itself.
pub const RECORD: &str = "record";

/// Counts of what goes to CloudWatch Logs.
#[derive(Debug, Default)]
pub struct Logs(Mutex<LogCounts>);

/// By source, and some by reason or outcome.
#[derive(Clone, Debug, Default)]
pub struct LogCounts {
    pub shipped: BTreeMap<&'static str, u64>,
    pub shipped_bytes: BTreeMap<&'static str, u64>,
    pub resent: BTreeMap<&'static str, u64>,
    pub dropped: BTreeMap<(&'static str, &'static str), u64>,
    /// Events that are sent though something is wrong with them.
    pub changed: BTreeMap<(&'static str, &'static str), u64>,
    pub requests: BTreeMap<&'static str, u64>,
    pub files: FileCounts,
    /// Files that were gone before everything was read.
    pub lost_files: u64,
    /// Times that systemd's journal could not be read on.
    pub journald_failures: u64,
}

/// Files as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    pub watched: usize,
    /// Those that are too many.
    pub ignored: usize,
    /// Files and folders.
    pub unreadable: usize,
    /// What is not sent yet.
    pub unread_bytes: u64,
}

impl Logs {
    /// What there is of a source is shown from the start.
    pub fn begin(&self, source: &'static str) {
        let mut counts = self.counts();
        counts.shipped_bytes.entry(source).or_default();
        counts.shipped.entry(source).or_default();
        counts.resent.entry(source).or_default();
    }

    pub fn shipped(&self, source: &'static str, events: usize, bytes: usize) {
        let mut counts = self.counts();
        *counts.shipped.entry(source).or_default() += events as u64;
        *counts.shipped_bytes.entry(source).or_default() += bytes as u64;
    }

    pub fn resent(&self, source: &'static str, events: usize) {
        *self.counts().resent.entry(source).or_default() += events as u64;
    }

    pub fn dropped(&self, source: &'static str, reason: &'static str, events: usize) {
        if events > 0 {
            let mut counts = self.counts();
            *counts.dropped.entry((source, reason)).or_default() += events as u64;
        }
    }

    pub fn changed(&self, source: &'static str, reason: &'static str, events: usize) {
        if events > 0 {
            let mut counts = self.counts();
            *counts.changed.entry((source, reason)).or_default() += events as u64;
        }
    }

    pub fn requested(&self, outcome: &'static str) {
        *self.counts().requests.entry(outcome).or_default() += 1;
    }

    pub fn set_files(&self, files: FileCounts) {
        self.counts().files = files;
    }

    pub fn journald_failed(&self) {
        self.counts().journald_failures += 1;
    }

    pub fn lost_file(&self) {
        self.counts().lost_files += 1;
    }

    pub fn get(&self) -> LogCounts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, LogCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the daemon counts about itself.

mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

pub use process::{Process, process};

/// Why datapoints or samples did not reach CloudWatch: the values of the label `reason`.
pub const DROP_REASONS: [&str; 8] = [
    "clock_stepped_back",
    "outbox_full",
    "queue_full",
    "rejected",
    "shutdown",
    "time_out_of_range",
    "too_old",
    "value_out_of_range",
];

/// How requests to CloudWatch ended: the values of the label `outcome`.
pub const OUTCOMES: [&str; 6] = [
    "accepted",
    "denied",
    "failed",
    "rejected",
    "throttled",
    "too_large",
];

/// Counters and gauges that the tasks share. Everything starts at 0 and is shown from the start.
#[derive(Debug)]
pub struct Stats {
    pub published: AtomicU64,
    pub resent: AtomicU64,
    /// Datapoints that wait to be published.
    pub outbox: AtomicI64,
    /// The start of the oldest of them, in seconds since the epoch; 0 when there is none.
    pub outbox_oldest: AtomicI64,
    pub dropped: Counters,
    pub requests: Counters,
    /// Whether the configuration in force is the one that was read last.
    pub reload_successful: AtomicBool,
    /// When it was read, in seconds since the epoch; 0 before the start is over.
    pub reloaded_at: AtomicI64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            published: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            outbox: AtomicI64::new(0),
            outbox_oldest: AtomicI64::new(0),
            dropped: Counters::of(&DROP_REASONS),
            requests: Counters::of(&OUTCOMES),
            reload_successful: AtomicBool::new(true),
            reloaded_at: AtomicI64::new(0),
        }
    }
}

impl Stats {
    /// Counts datapoints that leave the outbox without having been accepted.
    pub fn drop_from_outbox(&self, reason: &'static str, count: usize) {
        self.dropped.add(reason, count);
        self.outbox.fetch_sub(signed(count), Relaxed);
    }

    pub fn accept_from_outbox(&self, count: usize) {
        self.published.fetch_add(count as u64, Relaxed);
        self.outbox.fetch_sub(signed(count), Relaxed);
    }

    pub fn into_outbox(&self, count: usize) {
        self.outbox.fetch_add(signed(count), Relaxed);
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// One counter per label value.
#[derive(Debug)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    fn of(labels: &[&'static str]) -> Self {
        Self(Mutex::new(labels.iter().map(|label| (*label, 0)).collect()))
    }

    pub fn add(&self, label: &'static str, count: usize) {
        // A panic elsewhere cannot leave a count half done.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(label).or_default() += count as u64;
    }

    pub fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

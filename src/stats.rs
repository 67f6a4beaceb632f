//! What the daemon counts about itself.

mod logs;
mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};

pub use logs::{FileCounts, LogCounts, Logs, RECORD};
pub use process::{Process, process};

/// Why datapoints or samples did not reach CloudWatch: the values of the label `reason`.
pub const DROP_REASONS: [&str; 12] = [
    "clock_stepped_back",
    "outbox_full",
    "pruned",
    "queue_full",
    "rejected",
    "set_aside",
    "shutdown",
    "time_out_of_range",
    "too_far_ahead",
    "too_old",
    "unreadable",
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
    /// Requests for CloudWatch's alarms.
    pub mirror_requests: Counters,
    /// Alarms that are about this host and cannot be read.
    pub mirror_unreadable: AtomicU64,
    /// When they were answered last, in seconds since the epoch; 0 before the first answer.
    pub mirrored_at: AtomicI64,
    pub journal: Journal,
    pub instance: Instance,
    pub notifications: Notifications,
    pub logs: Logs,
    reach: Mutex<Reach>,
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
            mirror_requests: Counters::of(&OUTCOMES),
            mirror_unreadable: AtomicU64::new(0),
            mirrored_at: AtomicI64::new(0),
            journal: Journal::default(),
            instance: Instance::default(),
            notifications: Notifications::default(),
            logs: Logs::default(),
            reach: Mutex::default(),
            reload_successful: AtomicBool::new(true),
            reloaded_at: AtomicI64::new(0),
        }
    }
}

/// The EC2 instance, if this is one.
#[derive(Debug, Default)]
pub struct Instance(Mutex<About>);

/// What is known of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// By the names of labels.
    pub labels: Vec<(&'static str, String)>,
    /// What is about to be done with it, and when, in seconds since the epoch.
    pub interruption: Option<(String, i64)>,
    /// Since when it is at a higher risk of that.
    pub rebalance: Option<i64>,
}

impl Instance {
    pub fn set(&self, about: About) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = about;
    }

    pub fn get(&self) -> About {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The journal as it stands.
#[derive(Debug, Default)]
pub struct Journal(Mutex<(u64, Option<String>)>);

impl Journal {
    /// `size` in bytes; `trouble`: why it cannot be used, if it cannot.
    pub fn set(&self, size: u64, trouble: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (size, trouble);
    }

    pub fn size(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn trouble(&self) -> Option<String> {
        let journal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        journal.1.clone()
    }
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

/// Whether CloudWatch can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// When it last took something, or answered, in milliseconds since the epoch.
    pub reached_at: Option<i64>,
    /// Since when it has not, if it has not when it was asked last.
    pub unreachable_since: Option<i64>,
}

impl Stats {
    pub fn reach(&self) -> Reach {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that CloudWatch was asked for something, and whether it did that; `now` in milliseconds since the epoch.
    pub fn asked(&self, is_done: bool, now: i64) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        match is_done {
            true => {
                reach.reached_at = Some(now);
                reach.unreachable_since = None;
            }
            false => drop(reach.unreachable_since.get_or_insert(now)),
        }
    }
}

/// What became of notifications.
#[derive(Debug, Default)]
pub struct Notifications(Mutex<Told>);

/// By target, and some by reason.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub delivered: BTreeMap<String, u64>,
    pub failed: BTreeMap<String, u64>,
    pub resent: BTreeMap<String, u64>,
    pub dropped: BTreeMap<(String, &'static str), u64>,
    pub withheld: BTreeMap<(String, &'static str), u64>,
    pub waiting: BTreeMap<String, usize>,
}

impl Notifications {
    pub fn delivered(&self, target: &str) {
        *self.told().delivered.entry(target.to_owned()).or_default() += 1;
    }

    pub fn failed(&self, target: &str) {
        *self.told().failed.entry(target.to_owned()).or_default() += 1;
    }

    pub fn resent(&self, target: &str) {
        *self.told().resent.entry(target.to_owned()).or_default() += 1;
    }

    pub fn dropped(&self, target: &str, reason: &'static str) {
        let label = (target.to_owned(), reason);
        *self.told().dropped.entry(label).or_default() += 1;
    }

    pub fn withheld(&self, target: &str, reason: &'static str) {
        let label = (target.to_owned(), reason);
        *self.told().withheld.entry(label).or_default() += 1;
    }

    /// Targets that are not named have nothing that waits.
    pub fn set_waiting(&self, waiting: BTreeMap<String, usize>) {
        let mut told = self.told();
        told.waiting.values_mut().for_each(|count| *count = 0);
        told.waiting.extend(waiting);
    }

    /// Those who are told, of whom everything is shown from the start.
    pub fn begin<'a>(&self, targets: impl Iterator<Item = &'a str>) {
        let mut told = self.told();
        for target in targets {
            let Told {
                delivered,
                failed,
                resent,
                ..
            } = &mut *told;
            for counts in [delivered, failed, resent] {
                counts.entry(target.to_owned()).or_default();
            }
            told.waiting.entry(target.to_owned()).or_default();
        }
    }

    pub fn get(&self) -> Told {
        self.told().clone()
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

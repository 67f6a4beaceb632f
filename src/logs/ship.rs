//! Events on their way to CloudWatch Logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::aws::{Failure, Logs, NewEvent, NotPut, Rejected};
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::batch::{BYTES_MAX, Batch};
use super::groups::Groups;

/// How long one attempt may take, with everything that has to be created for it.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);

/// Waits after a failure: twice as long each time, up to this, in seconds.
const BACKOFF_MIN: i64 = 1;
const BACKOFF_MAX: i64 = 300;

/// Requests become no smaller than this, in bytes, where answers are lost.
const BYTES_LEAST: usize = 32 << 10;

/// The most streams of which something is remembered; beyond it that begins anew.
const KNOWN_MAX: usize = 20_000;

/// A stream, and what its group is created with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stream {
    pub(super) group: String,
    pub(super) name: String,
    /// In days.
    pub(super) retention: Option<i32>,
    pub(super) tags: BTreeMap<String, String>,
}

/// What became of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted(Rejected),
    /// They will never be taken, for the reason that the metrics give.
    Refused(&'static str),
    Failed {
        answer_lost: bool,
    },
}

/// Where CloudWatch Logs is, as soon as that is known.
pub(super) type Region = Arc<dyn Fn() -> Result<String, Failure> + Send + Sync>;

/// The way to CloudWatch Logs.
pub(super) struct Shipper {
    region: Region,
    logs: OnceCell<Logs>,
    stats: Arc<Stats>,
    groups: Groups,
    /// Streams that were written to.
    known: Mutex<BTreeSet<(String, String)>>,
    /// What was told to be wrong with each stream.
    troubles: Mutex<BTreeMap<(String, String), String>>,
}

impl Shipper {
    pub(super) fn new(region: Region, stats: Arc<Stats>, groups: Groups) -> Self {
        Self {
            region,
            logs: OnceCell::new(),
            stats,
            groups,
            known: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Tries once. `source`: what the metrics call where they are from.
    pub(super) async fn ship(&self, source: &'static str, stream: &Stream, batch: Batch) -> Fate {
        let (count, bytes) = (batch.len(), batch.bytes());
        let is_out = AtomicBool::new(false);
        let attempt = self.attempt(stream, batch.into_events(), &is_out);
        let answer = tokio::time::timeout(ATTEMPT_MAX, attempt).await;
        let late = |_| {
            Err(Failure::Failed {
                message: "no answer in time".to_owned(),
                answer_lost: is_out.load(Relaxed),
            })
        };
        let answer = answer.unwrap_or_else(late);
        let outcome = match &answer {
            Ok(_) => Some("accepted"),
            Err(failure) => failure.outcome(),
        };
        let logs = &self.stats.logs;
        outcome.inspect(|outcome| logs.requested(outcome));
        match answer {
            Ok(rejected) => {
                let Rejected {
                    too_old,
                    expired,
                    too_new,
                } = rejected;
                logs.shipped(
                    source,
                    count.saturating_sub(too_old + expired + too_new),
                    bytes,
                );
                logs.dropped(source, "too_old", too_old);
                logs.dropped(source, "expired", expired);
                logs.dropped(source, "too_new", too_new);
                self.recovered(stream);
                Fate::Accepted(rejected)
            }
            Err(failure) => self.failed(source, stream, count, &failure),
        }
    }

    fn failed(
        &self,
        source: &'static str,
        stream: &Stream,
        count: usize,
        failure: &Failure,
    ) -> Fate {
        let reason = match failure {
            Failure::Rejected(_) => Some("rejected"),
            Failure::TooLarge(_) => Some("too_large"),
            _ => None,
        };
        self.troubled(stream, failure.message(), reason.is_some());
        if let Some(reason) = reason {
            self.stats.logs.dropped(source, reason, count);
            return Fate::Refused(reason);
        }
        let answer_lost = matches!(
            failure,
            Failure::Failed {
                answer_lost: true,
                ..
            }
        );
        Fate::Failed { answer_lost }
    }

    /// `is_out`: whether events were sent that have no answer yet.
    async fn attempt(
        &self,
        stream: &Stream,
        events: Vec<NewEvent>,
        is_out: &AtomicBool,
    ) -> Result<Rejected, Failure> {
        let connect = || async {
            let region = (self.region)()?;
            Ok(Logs::connect_to_ship(&region, None).await)
        };
        let logs = self.logs.get_or_try_init(connect).await?;
        // Before events are sent: what is known of them must not wait for it.
        self.groups.set_retention(logs, &stream.group).await;
        let key = stream.key();
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = lock().contains(&key);
        // Only what may have to be written again is kept.
        let again = if is_known { None } else { Some(events.clone()) };
        is_out.store(true, Relaxed);
        let put = logs.put(&stream.group, &stream.name, events).await;
        is_out.store(false, Relaxed);
        let put = match (put, again) {
            (Err(NotPut::Missing), Some(events)) => {
                // What is wrong with the group or the stream is not wrong with the events, of which none was sent.
                let created = self.groups.create(logs, stream).await;
                created.map_err(|failure| match failure {
                    Failure::Rejected(message)
                    | Failure::TooLarge(message)
                    | Failure::Failed { message, .. } => Failure::Failed {
                        message,
                        answer_lost: false,
                    },
                    failure => failure,
                })?;
                is_out.store(true, Relaxed);
                logs.put(&stream.group, &stream.name, events).await
            }
            (put, _) => put,
        };
        match put {
            Ok(rejected) => {
                if !is_known {
                    let mut known = lock();
                    if known.len() >= KNOWN_MAX {
                        known.clear();
                    }
                    known.insert(key);
                }
                Ok(rejected)
            }
            Err(NotPut::Missing) => {
                // It was deleted, and is created by the next attempt.
                lock().remove(&key);
                Err(Failure::Failed {
                    message: "the stream is gone".to_owned(),
                    answer_lost: false,
                })
            }
            Err(NotPut::Failure(failure)) => Err(failure),
        }
    }

    /// One line for each thing that goes wrong with a stream, however often it does.
    fn troubled(&self, stream: &Stream, message: &str, is_lost: bool) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() >= KNOWN_MAX {
            troubles.clear();
        }
        let before = troubles.insert(stream.key(), message.to_owned());
        if before.as_deref() == Some(message) {
            return;
        }
        let (group, name) = (&stream.group, &stream.name);
        match is_lost {
            true => warn!(
                group,
                stream = name,
                error = message,
                "events are refused, and lost"
            ),
            false => warn!(
                group,
                stream = name,
                error = message,
                "events cannot be written; it is tried again"
            ),
        }
    }

    fn recovered(&self, stream: &Stream) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.remove(&stream.key()).is_some() {
            let (group, name) = (&stream.group, &stream.name);
            info!(group, stream = name, "events are written again");
        }
    }
}

impl Stream {
    pub(super) fn key(&self) -> (String, String) {
        (self.group.clone(), self.name.clone())
    }
}

/// How long it is waited after failures, and how much is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Timestamp>,
    bytes_max: usize,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            failures: 0,
            until: None,
            bytes_max: BYTES_MAX,
        }
    }
}

impl Backoff {
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        // The clock may have been set back.
        self.until
            .is_none_or(|until| until <= now || until > now + 2 * BACKOFF_MAX)
    }

    /// The most bytes of the next request.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Where no answer comes in time there may be too much for the way to AWS. What was under way with what failed before says
    /// nothing new.
    pub(super) fn failed(&mut self, now: Timestamp, answer_lost: bool) {
        if !self.is_over(now) {
            return;
        }
        if answer_lost {
            self.bytes_max = (self.bytes_max / 2).max(BYTES_LEAST);
        }
        let wait = BACKOFF_MIN << self.failures.min(16);
        self.until = Some(now + wait.min(BACKOFF_MAX));
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self {
            bytes_max: (self.bytes_max * 2).min(BYTES_MAX),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_five_minutes_and_a_clock_set_back_does_not_lengthen_them() {
        let now = Timestamp::from_seconds(1_000_000);
        let mut backoff = Backoff::default();
        assert!(backoff.is_over(now));
        backoff.failed(now, false);
        assert!(!backoff.is_over(now));
        assert!(backoff.is_over(now + 1));
        for _ in 0..40 {
            backoff.failed(now, true);
        }
        assert!(backoff.is_over(now + 1), "they were under way together");
        assert_eq!(backoff.bytes_max(), BYTES_MAX);
        let mut later = now;
        for _ in 0..40 {
            later = later + 1_000;
            backoff.failed(later, true);
        }
        assert_eq!(backoff.bytes_max(), BYTES_LEAST);
        assert!(!backoff.is_over(later + 299));
        assert!(backoff.is_over(later + 300));
        assert!(backoff.is_over(now - 100_000));
        backoff.succeeded();
        assert!(backoff.is_over(now));
    }
}

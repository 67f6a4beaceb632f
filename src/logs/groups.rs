//! Groups and streams that have to be created, and how long groups keep their events.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::aws::{Failure, Logs, NotPut};
use crate::journal::LogProgress;
use crate::keeper::Handle;

use super::ship::Stream;

/// How the key begins under which it is kept which retention a group is still to be given.
const RETENTION: &str = "retention ";

/// How often that is tried.
const RETENTION_INTERVAL: Duration = Duration::from_mins(5);

/// What groups that were created are still to be given. The journal has it, too: else a group that was created just before the
/// end of the program would keep its events for ever.
pub(super) struct Groups {
    keeper: Handle,
    due: Mutex<BTreeMap<String, Due>>,
    /// One after the other: who creates a group says how long it keeps its events.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    days: i32,
    /// `None` if it was not tried yet.
    tried_at: Option<Instant>,
}

impl Groups {
    pub(super) fn new(keeper: Handle, positions: &BTreeMap<String, String>) -> Self {
        let due = positions.iter().filter_map(|(key, days)| {
            let group = key.strip_prefix(RETENTION)?.to_owned();
            let (days, tried_at) = (days.parse().ok()?, None);
            Some((group, Due { days, tried_at }))
        });
        Self {
            keeper,
            due: Mutex::new(due.collect()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Creates a stream, and its group if need be.
    pub(super) async fn create(&self, logs: &Logs, stream: &Stream) -> Result<(), Failure> {
        let (group, name) = (&stream.group, &stream.name);
        if self.is_missing(logs, stream).await? {
            let turn = self.turn.lock().await;
            if self.is_missing(logs, stream).await? {
                self.create_group(logs, stream).await?;
                if self.is_missing(logs, stream).await? {
                    let message = "the group is gone".to_owned();
                    return Err(Failure::NotSent(message));
                }
            }
            drop(turn);
        }
        info!(group, stream = name, "created a stream");
        Ok(())
    }

    /// Creates a stream, unless its group is missing.
    async fn is_missing(&self, logs: &Logs, stream: &Stream) -> Result<bool, Failure> {
        match logs.create_stream(&stream.group, &stream.name).await {
            Ok(_) => Ok(false),
            Err(NotPut::Missing) => Ok(true),
            Err(NotPut::Failure(failure)) => Err(failure),
        }
    }

    async fn create_group(&self, logs: &Logs, stream: &Stream) -> Result<(), Failure> {
        let group = &stream.group;
        let was_due = self.due().contains_key(group);
        if stream.retention.is_some() {
            self.owe(group, stream.retention).await;
        }
        let created = logs.create_group(group, &stream.tags).await;
        match &created {
            Ok(true) => {
                info!(group, retention = stream.retention, "created a group");
                self.set_retention(logs, group).await;
            }
            Err(Failure::Failed {
                answer_lost: true, ..
            }) => {}
            // Whoever creates it says how long it keeps its events.
            _ if !was_due => self.owe(group, None).await,
            _ => {}
        }
        created.map(drop)
    }

    /// Gives a group its retention if that is still to be done. The events matter more than that it fails.
    pub(super) async fn set_retention(&self, logs: &Logs, group: &str) {
        let is_recent = |at: Instant| at.elapsed() < RETENTION_INTERVAL;
        let days = match self.due().get_mut(group) {
            Some(due) if !due.tried_at.is_some_and(is_recent) => {
                due.tried_at = Some(Instant::now());
                due.days
            }
            _ => return,
        };
        match logs.put_retention(group, days).await {
            Ok(()) => {
                info!(group, days, "set how long a group keeps its events");
                self.owe(group, None).await;
            }
            Err(failure) => {
                let error = failure.message();
                warn!(
                    group,
                    days,
                    error,
                    "a group keeps its events for ever: its retention could not be set; it is tried again"
                );
            }
        }
    }

    /// Notes what a group is still to be given.
    async fn owe(&self, group: &str, days: Option<i32>) {
        let tried_at = None;
        let before = match days {
            Some(days) => self
                .due()
                .insert(group.to_owned(), Due { days, tried_at })
                .map(|due| due.days),
            None => self.due().remove(group).map(|due| due.days),
        };
        if before != days {
            let days = days.map(|days| days.to_string());
            let progress = LogProgress {
                positions: [(format!("{RETENTION}{group}"), days)].into(),
                written: None,
            };
            self.keeper.log_progress(progress).await;
        }
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<String, Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the service manager is told: that the program is ready, reloads, lives, and stops. Without one nobody is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::debug;

pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

pub(super) fn reloading() {
    // The time tells the manager which `ready` ends the reload.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the monotonic clock cannot be read"),
    }
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}

/// Tells the service manager that looks at the host are judged, so that it restarts a program that hangs.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// `None` if nobody watches.
    interval: Option<Duration>,
    told_at: Option<Instant>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self {
            interval: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            told_at: None,
        }
    }

    /// Called with every look; tells twice in each limit.
    pub(super) fn look(&mut self) {
        let Some(interval) = self.interval else {
            return;
        };
        if self
            .told_at
            .is_none_or(|told_at| told_at.elapsed() >= interval)
        {
            self.told_at = Some(Instant::now());
            notify(&[NotifyState::Watchdog]);
        }
    }
}

//! Datapoints to CloudWatch: held until they are accepted, sent at this host's own time after the minute.

mod outbox;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::aws::Failure;
use crate::clock;
use crate::metric::{Datapoint, Timestamp};
use crate::stats::Stats;

pub use outbox::OUTBOX_MAX;
use outbox::{Entry, Outbox};

/// Hosts of a fleet publish at different times after the minute: at least the time that closing the minute takes, and at
/// most twenty seconds.
const PHASE_MIN: Duration = Duration::from_secs(1);
const PHASE_MAX: Duration = Duration::from_secs(20);

/// Waits between attempts while CloudWatch cannot be reached: full jitter up to twice as much each time.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// When this host publishes: at `phase` after every multiple of `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub interval: Duration,
    pub phase: Duration,
}

impl Schedule {
    /// The same host has the same phase after every start.
    pub fn of(host: &str, interval: Duration) -> Self {
        let mut hasher = DefaultHasher::new();
        host.hash(&mut hasher);
        let spread = PHASE_MAX.min(interval * 9 / 10).saturating_sub(PHASE_MIN);
        let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            interval,
            phase: PHASE_MIN + Duration::from_millis(hasher.finish() % millis),
        }
    }
}

/// Holds datapoints, and sends them through `put`.
#[derive(Debug)]
pub struct Publisher<P> {
    outbox: Outbox,
    put: P,
    schedule: Schedule,
    stats: Arc<Stats>,
    outage: Option<Outage>,
}

/// A time in which nothing could be sent.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    attempts: u32,
}

impl<P, F> Publisher<P>
where
    P: Fn(Vec<Arc<Datapoint>>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    pub fn new(put: P, schedule: Schedule, stats: Arc<Stats>) -> Self {
        Self {
            outbox: Outbox::default(),
            put,
            schedule,
            stats,
            outage: None,
        }
    }

    /// Publishes what arrives until the channel is closed, then tries once more to send what is left.
    pub async fn run(mut self, mut datapoints: mpsc::Receiver<Vec<Datapoint>>) {
        let mut due = self.next_due();
        loop {
            tokio::select! {
                received = datapoints.recv() => match received {
                    Some(datapoints) => self.hold(datapoints),
                    None => break,
                },
                () = tokio::time::sleep_until(due) => {
                    self.round().await;
                    due = self.next_due();
                }
            }
        }
        self.round().await;
    }

    fn next_due(&self) -> Instant {
        let until_phase = clock::until(
            clock::since_epoch(),
            self.schedule.interval,
            self.schedule.phase,
        );
        let wait = self.outage.map_or(until_phase, |outage| {
            backoff(outage.attempts, fastrand::f64())
        });
        Instant::now() + wait
    }

    fn hold(&mut self, datapoints: Vec<Datapoint>) {
        for datapoint in datapoints {
            if self.outbox.push(datapoint).is_some() {
                self.stats.drop_from_outbox("outbox_full", 1);
            }
        }
        self.show_oldest();
    }

    /// Sends everything there is: the current minute first, then the rest from the oldest on.
    async fn round(&mut self) {
        let too_old = self.outbox.remove_too_old(clock::now());
        self.stats.drop_from_outbox("too_old", too_old);
        let newest = self.outbox.newest_minute();
        while let Some(batch) = self.outbox.batch(newest) {
            if !self.send(batch).await {
                break;
            }
        }
        self.show_oldest();
    }

    /// Sends one batch, in halves where CloudWatch does not take it whole. Returns whether it is worth going on.
    async fn send(&mut self, batch: Vec<Entry>) -> bool {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            let resent = batch.iter().filter(|entry| entry.answer_lost).count();
            self.stats.resent.fetch_add(resent as u64, Relaxed);
            let answer = (self.put)(
                batch
                    .iter()
                    .map(|entry| Arc::clone(&entry.datapoint))
                    .collect(),
            )
            .await;
            self.count(answer.as_ref().err());
            match answer {
                Ok(()) => self.accepted(&batch),
                Err(Failure::Rejected(_) | Failure::TooLarge(_)) if batch.len() > 1 => {
                    let newer = batch.split_off(batch.len() / 2);
                    batches.extend([newer, batch]);
                }
                Err(Failure::Rejected(message) | Failure::TooLarge(message)) => {
                    self.rejected(&batch, &message);
                }
                Err(failure) => {
                    if matches!(
                        failure,
                        Failure::Failed {
                            answer_lost: true,
                            ..
                        }
                    ) {
                        self.outbox.mark_answer_lost(&batch);
                    }
                    self.failed(&failure);
                    return false;
                }
            }
        }
        true
    }

    fn count(&self, failure: Option<&Failure>) {
        if let Some(outcome) = failure.map_or(Some("accepted"), Failure::outcome) {
            self.stats.requests.add(outcome, 1);
        }
    }

    fn accepted(&mut self, batch: &[Entry]) {
        self.outbox.remove(batch);
        self.stats.accept_from_outbox(batch.len());
        if let Some(outage) = self.outage.take() {
            let lasted =
                humantime::format_duration(Duration::from_secs(outage.since.elapsed().as_secs()))
                    .to_string();
            info!(lasted, held = self.outbox.len(), "publishing resumed");
        }
    }

    fn rejected(&mut self, batch: &[Entry], message: &str) {
        self.outbox.remove(batch);
        self.stats.drop_from_outbox("rejected", batch.len());
        for Entry { datapoint, .. } in batch {
            warn!(metric = %datapoint.metric, start = %datapoint.start, message, "a datapoint was rejected by CloudWatch and dropped");
        }
    }

    /// Notes that nothing can be sent for now. One line for each outage, however long it lasts.
    pub fn failed(&mut self, failure: &Failure) {
        if let Some(outage) = &mut self.outage {
            outage.attempts += 1;
            return;
        }
        self.outage = Some(Outage {
            since: Instant::now(),
            attempts: 1,
        });
        let (held, at_most, error) = (self.outbox.len(), OUTBOX_MAX, failure.message());
        match failure {
            Failure::NotSent(_) => warn!(
                held,
                at_most, error, "nothing can be published yet; datapoints are held"
            ),
            _ => warn!(
                held,
                at_most, error, "publishing failed; datapoints are held and tried again"
            ),
        }
    }

    fn show_oldest(&self) {
        self.stats.outbox_oldest.store(
            self.outbox.oldest().map_or(0, |Timestamp(start)| start),
            Relaxed,
        );
    }
}

/// The wait before the attempt after `attempts` failed ones; `random` is between 0 and 1.
fn backoff(attempts: u32, random: f64) -> Duration {
    let ceiling = BACKOFF_MIN
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(BACKOFF_MAX);
    BACKOFF_MIN + ceiling.saturating_sub(BACKOFF_MIN).mul_f64(random)
}

#[cfg(test)]
mod tests;

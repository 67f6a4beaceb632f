//! Datapoints to CloudWatch: held until they are accepted, sent at this host's own time after the minute.

mod outbox;

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

/// Hosts of a fleet publish at different times after the minute: when the minute is certain to be closed, also if a look is
/// late, and at most twenty seconds later.
const PHASE_MIN: Duration = Duration::from_millis(2_500);
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
    /// The same host has the same phase after every start, of every build.
    pub fn of(host: &str, interval: Duration) -> Self {
        // FNV-1a, which spreads names that differ in their last letters.
        let hash = host.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let spread = PHASE_MAX.min(interval * 9 / 10).saturating_sub(PHASE_MIN);
        let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            interval,
            phase: PHASE_MIN + Duration::from_millis(hash % millis),
        }
    }
}

/// Holds datapoints, and sends them through `put`.
#[derive(Debug)]
pub struct Publisher<P> {
    incoming: mpsc::Receiver<Vec<Datapoint>>,
    outbox: Outbox,
    put: P,
    schedule: Schedule,
    stats: Arc<Stats>,
    outage: Option<Outage>,
}

/// A time in which not everything could be sent.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    attempts: u32,
    /// Whether it was told that datapoints are lost because of it.
    loss_told: bool,
}

impl<P, F> Publisher<P>
where
    P: Fn(Vec<Arc<Datapoint>>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    pub fn new(
        incoming: mpsc::Receiver<Vec<Datapoint>>,
        put: P,
        schedule: Schedule,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            incoming,
            outbox: Outbox::default(),
            put,
            schedule,
            stats,
            outage: None,
        }
    }

    /// Publishes what arrives until the channel is closed, then tries once more to send what is left.
    pub async fn run(mut self) {
        let mut due = self.next_due();
        loop {
            tokio::select! {
                received = self.incoming.recv() => match received {
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
        let wait = match self.outage {
            Some(outage) if self.outbox.len() > 0 => backoff(outage.attempts, fastrand::f64()),
            _ => until_phase,
        };
        Instant::now() + wait
    }

    fn hold(&mut self, datapoints: Vec<Datapoint>) {
        let room_made = datapoints
            .into_iter()
            .filter_map(|datapoint| self.outbox.push(datapoint))
            .count();
        self.lost("outbox_full", room_made);
        self.show_oldest();
    }

    /// Counts datapoints that have to go although CloudWatch does not have them. Told once for each outage.
    fn lost(&mut self, reason: &'static str, count: usize) {
        self.stats.drop_from_outbox(reason, count);
        if let Some(outage) = self
            .outage
            .as_mut()
            .filter(|outage| count > 0 && !outage.loss_told)
        {
            outage.loss_told = true;
            warn!(
                reason,
                at_most = OUTBOX_MAX,
                "datapoints are lost from now on, the oldest first"
            );
        }
    }

    /// Sends everything there is: the current minute first, then the rest from the oldest on.
    async fn round(&mut self) {
        let too_old = self.outbox.remove_too_old(clock::now());
        self.lost("too_old", too_old);
        let newest = self.outbox.newest_minute();
        let mut rejected = Rejected::default();
        // `None` while nothing was sent, which says nothing about whether it could be.
        let mut outcome = None;
        while let Some(batch) = self
            .outbox
            .batch(newest)
            .filter(|_| !matches!(outcome, Some(Err(_))))
        {
            outcome = Some(self.send(batch, &mut rejected).await);
        }
        rejected.tell();
        match outcome {
            None => {}
            Some(Ok(())) => self.recovered(),
            Some(Err(failure)) => self.failed(&failure),
        }
        self.show_oldest();
    }

    /// Sends one batch, in halves where CloudWatch does not take it whole. An error means that there is no point in going on.
    async fn send(&mut self, batch: Vec<Entry>, rejected: &mut Rejected) -> Result<(), Failure> {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            match self.request(&batch).await {
                Ok(()) => {
                    let accepted = self.outbox.remove(&batch);
                    self.stats.accept_from_outbox(accepted);
                }
                Err(Failure::Rejected(_) | Failure::TooLarge(_)) if batch.len() > 1 => {
                    let newer = batch.split_off(batch.len() / 2);
                    batches.extend([newer, batch]);
                }
                Err(Failure::Rejected(message) | Failure::TooLarge(message)) => {
                    let removed = self.outbox.remove(&batch);
                    self.stats.drop_from_outbox("rejected", removed);
                    rejected.add(&batch, message);
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
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// One request, and what arrives meanwhile.
    async fn request(&mut self, batch: &[Entry]) -> Result<(), Failure> {
        let resent = batch.iter().filter(|entry| entry.answer_lost).count();
        self.stats.resent.fetch_add(resent as u64, Relaxed);
        let put = (self.put)(
            batch
                .iter()
                .map(|entry| Arc::clone(&entry.datapoint))
                .collect(),
        );
        tokio::pin!(put);
        let answer = loop {
            tokio::select! {
                answer = &mut put => break answer,
                Some(datapoints) = self.incoming.recv() => self.hold(datapoints),
            }
        };
        if let Some(outcome) = answer
            .as_ref()
            .err()
            .map_or(Some("accepted"), Failure::outcome)
        {
            self.stats.requests.add(outcome, 1);
        }
        answer
    }

    /// Notes that everything there was could be sent.
    fn recovered(&mut self) {
        if let Some(outage) = self.outage.take() {
            let lasted = Duration::from_secs(outage.since.elapsed().as_secs());
            info!(lasted = %humantime::format_duration(lasted), "publishing resumed");
        }
    }

    /// Notes that not everything can be sent for now. One line for each outage, however long it lasts.
    pub fn failed(&mut self, failure: &Failure) {
        if let Some(outage) = &mut self.outage {
            outage.attempts += 1;
            return;
        }
        self.outage = Some(Outage {
            since: Instant::now(),
            attempts: 1,
            loss_told: false,
        });
        let (held, at_most, error) = (self.outbox.len(), OUTBOX_MAX, failure.message());
        match failure {
            Failure::NotSent(_) => warn!(
                held,
                at_most, error, "nothing can be published; datapoints are held"
            ),
            _ => warn!(
                held,
                at_most, error, "publishing failed; datapoints are held and tried again"
            ),
        }
    }

    fn show_oldest(&self) {
        self.stats
            .outbox_oldest
            .store(self.outbox.oldest().map_or(0, Timestamp::seconds), Relaxed);
    }
}

/// What CloudWatch did not take in one round: told in one line.
#[derive(Debug, Default)]
struct Rejected {
    count: usize,
    first: Option<(Arc<Datapoint>, String)>,
}

impl Rejected {
    fn add(&mut self, batch: &[Entry], message: String) {
        self.count += batch.len();
        if let (None, Some(entry)) = (&self.first, batch.first()) {
            self.first = Some((Arc::clone(&entry.datapoint), message));
        }
    }

    fn tell(self) {
        if let Some((datapoint, message)) = self.first {
            let (datapoints, metric, start) = (self.count, &datapoint.metric, datapoint.start);
            warn!(datapoints, %metric, %start, message, "datapoints were rejected by CloudWatch and dropped; the first of them is named");
        }
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

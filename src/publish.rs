//! Datapoints to CloudWatch: taken from the keeper, sent at this host's own time after the minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::aws::Failure;
use crate::clock;
use crate::keeper::{Fate, Handle, Outgoing, REQUEST_MAX};
use crate::metric::Datapoint;
use crate::stats::Stats;

/// Hosts of a fleet publish at different times after the minute: when the minute is certain to be closed, also if a look is
/// late, and at most twenty seconds later.
const PHASE_MIN: Duration = Duration::from_millis(2_500);
const PHASE_MAX: Duration = Duration::from_secs(20);

/// Waits between attempts while CloudWatch cannot be reached: full jitter up to twice as much each time.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// Between two requests: a fleet that comes back from an outage must not ask for more than CloudWatch gives.
const REQUEST_GAP: Duration = Duration::from_millis(200);

/// How many requests one batch may come to: enough to find a few bad datapoints among a thousand.
const REQUESTS_OF_BATCH_MAX: usize = 64;

/// How many requests are made once the program ends: the open minute, and a little of what waits. The rest is kept.
const LAST_REQUESTS_MAX: usize = 2;

/// When this host publishes: at `phase` after every multiple of `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub interval: Duration,
    pub phase: Duration,
}

impl Schedule {
    /// The same host has the same phase after every start, of every build.
    pub fn of(host: &str, interval: Duration) -> Self {
        let within = PHASE_MAX.min(interval * 9 / 10).saturating_sub(PHASE_MIN);
        Self {
            interval,
            phase: PHASE_MIN + spread(host, within),
        }
    }
}

/// A time below `within` at which this host does what others do at other times.
pub fn spread(host: &str, within: Duration) -> Duration {
    // FNV-1a, which spreads names that differ in their last letters.
    let hash = host.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hash % millis)
}

/// Sends what the keeper has through `put`.
#[derive(Debug)]
pub struct Publisher<P> {
    keeper: Handle,
    put: P,
    schedule: Schedule,
    stats: Arc<Stats>,
    outage: Option<Outage>,
    /// When the newest request ended.
    requested_at: Option<Instant>,
}

/// A time in which not everything could be sent.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    attempts: u32,
    /// Whether no request was made at all: then one datapoint is enough to find out whether that is still so.
    nothing_sent: bool,
}

impl<P, F> Publisher<P>
where
    P: Fn(Vec<Arc<Datapoint>>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    pub fn new(keeper: Handle, put: P, schedule: Schedule, stats: Arc<Stats>) -> Self {
        Self {
            keeper,
            put,
            schedule,
            stats,
            outage: None,
            requested_at: None,
        }
    }

    /// Publishes until nothing more comes, which `ended` tells, then tries once more to send what is newest.
    pub async fn run(mut self, mut ended: watch::Receiver<bool>) {
        while !*ended.borrow() {
            tokio::select! {
                changed = ended.changed() => if changed.is_err() { break },
                () = tokio::time::sleep_until(self.next_due()) => self.round(&ended).await,
            }
        }
        self.round(&ended).await;
    }

    fn next_due(&self) -> Instant {
        let until_phase = clock::until(
            clock::since_epoch(),
            self.schedule.interval,
            self.schedule.phase,
        );
        let wait = match self.outage {
            Some(outage) if self.stats.outbox.load(Relaxed) > 0 => {
                backoff(outage.attempts, fastrand::f64())
            }
            _ => until_phase,
        };
        Instant::now() + wait
    }

    /// Sends everything there is; only the newest of it once there will be no more.
    async fn round(&mut self, ended: &watch::Receiver<bool>) {
        let mut rejected = Rejected::default();
        // `None` while nothing was sent, which says nothing about whether it could be.
        let mut outcome = None;
        let mut last = 0;
        while last < LAST_REQUESTS_MAX && !matches!(outcome, Some(Err(_))) {
            let probes = self.outage.is_some_and(|outage| outage.nothing_sent) && outcome.is_none();
            let most = if probes { 1 } else { REQUEST_MAX.datapoints };
            let batch = self.keeper.take(most).await;
            if batch.is_empty() {
                break;
            }
            for batch in by_namespace(batch) {
                outcome = Some(match outcome {
                    Some(Err(failure)) => {
                        self.settle(&batch, Fate::NotSent).await;
                        Err(failure)
                    }
                    _ => self.send(batch, &mut rejected).await,
                });
            }
            last += usize::from(*ended.borrow());
        }
        rejected.tell();
        match outcome {
            None => {}
            Some(Ok(())) => self.recovered(),
            Some(Err(failure)) => self.failed(&failure),
        }
    }

    /// Sends one batch, in halves where CloudWatch does not take it whole. An error means that there is no point in going on.
    /// After many requests what is left waits for the next round, so that the newest minute need not wait for a search.
    async fn send(&mut self, batch: Vec<Outgoing>, rejected: &mut Rejected) -> Result<(), Failure> {
        let (mut batches, mut requests) = (vec![batch], 0);
        while let Some(mut batch) = batches.pop() {
            requests += 1;
            if requests > REQUESTS_OF_BATCH_MAX {
                self.settle(&batch, Fate::NotSent).await;
                continue;
            }
            match self.request(&batch).await {
                Ok(()) => self.settle(&batch, Fate::Accepted).await,
                Err(Failure::Rejected(_) | Failure::TooLarge(_)) if batch.len() > 1 => {
                    let newer = batch.split_off(batch.len() / 2);
                    batches.extend([newer, batch]);
                }
                Err(Failure::Rejected(message)) => {
                    self.settle(&batch, Fate::Dropped("rejected")).await;
                    rejected.add(&batch, message);
                }
                Err(failure) => {
                    self.settle(&batch, fate(&failure)).await;
                    for batch in batches {
                        self.settle(&batch, Fate::NotSent).await;
                    }
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    async fn settle(&self, batch: &[Outgoing], fate: Fate) {
        let keys = batch.iter().map(|outgoing| outgoing.key).collect();
        self.keeper.settle(keys, fate).await;
    }

    async fn request(&mut self, batch: &[Outgoing]) -> Result<(), Failure> {
        if let Some(last) = self.requested_at {
            tokio::time::sleep_until(last + REQUEST_GAP).await;
        }
        let datapoints = batch.iter().map(|outgoing| Arc::clone(&outgoing.datapoint));
        let answer = (self.put)(datapoints.collect()).await;
        self.requested_at = Some(Instant::now());
        let is_done = matches!(
            answer,
            Ok(()) | Err(Failure::Rejected(_) | Failure::TooLarge(_))
        );
        self.stats
            .asked(is_done, clock::precise_now().milliseconds());
        let arrived = match &answer {
            Ok(()) => true,
            Err(failure) => fate(failure) == Fate::AnswerLost,
        };
        let resent = batch
            .iter()
            .filter(|outgoing| arrived && outgoing.answer_lost);
        self.stats.resent.fetch_add(resent.count() as u64, Relaxed);
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
            outage.nothing_sent = matches!(failure, Failure::NotSent(_));
            return;
        }
        self.outage = Some(Outage {
            since: Instant::now(),
            attempts: 1,
            nothing_sent: matches!(failure, Failure::NotSent(_)),
        });
        let (held, error) = (self.stats.outbox.load(Relaxed), failure.message());
        match failure {
            Failure::NotSent(_) => {
                warn!(held, error, "nothing can be published; datapoints are held");
            }
            _ => warn!(
                held,
                error, "publishing failed; datapoints are held and tried again"
            ),
        }
    }
}

/// One request is for one namespace.
fn by_namespace(batch: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut namespaces: BTreeMap<String, Vec<Outgoing>> = BTreeMap::new();
    for outgoing in batch {
        let namespace = outgoing.datapoint.metric.namespace.clone();
        namespaces.entry(namespace).or_default().push(outgoing);
    }
    namespaces.into_values().collect()
}

fn fate(failure: &Failure) -> Fate {
    match failure {
        Failure::Failed {
            answer_lost: true, ..
        } => Fate::AnswerLost,
        _ => Fate::NotSent,
    }
}

/// What CloudWatch did not take in one round: told in one line.
#[derive(Debug, Default)]
struct Rejected {
    count: usize,
    first: Option<(Arc<Datapoint>, String)>,
}

impl Rejected {
    fn add(&mut self, batch: &[Outgoing], message: String) {
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

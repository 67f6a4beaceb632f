//! The queue at work: what is due is delivered, several at a time, and what becomes of it is noted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::alarm::Status;
use crate::clock;
use crate::config::Notify;
use crate::keeper::Handle;
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::policy::{CloudWatch, Known, Standing, Verdict, verdict};
use super::queue::{Dropped, Queue};
use super::{Delivery, Failed};

/// Deliveries that are under way at once, to one target: one that hangs holds up no other alarm.
const IN_FLIGHT_MAX: usize = 4;

/// The queue is looked at so often at least: time passes, and CloudWatch may be reached or not.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// And not more often than that.
const LOOK_GAP: Duration = Duration::from_millis(10);

/// When it is looked again whether actions are still suppressed, in seconds.
const WITHHELD_LOOK: i64 = 60;

/// Tests that are under way.
const TESTS_MAX: usize = 16;

/// How long the journal is waited for: without it nothing is remembered over a restart, and others are told all the same.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// How long what is under way may take once the program ends.
const END_MAX: Duration = Duration::from_secs(2);

/// What somebody hears who tests an alarm's notifications: each target, and what went wrong.
pub type Tested = Vec<(String, Result<(), String>)>;

/// What the notifier is told.
#[derive(Debug)]
pub enum News {
    Deliveries(Vec<Delivery>),
    Test(Vec<Delivery>, oneshot::Sender<Tested>),
}

/// What the notifier looks at beside its queue.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub targets: watch::Receiver<Arc<[Notify]>>,
    pub cloudwatch: watch::Receiver<CloudWatch>,
    /// How the alarms are; `None` until they are known.
    pub statuses: watch::Receiver<Option<Arc<[Arc<Status>]>>>,
}

/// Delivers through `send`.
#[derive(Debug)]
pub struct Notifier<S> {
    keeper: Handle,
    queue: Queue,
    inputs: Inputs,
    /// Since when CloudWatch is asked for things.
    begun_at: Timestamp,
    send: S,
    stats: Arc<Stats>,
    under_way: JoinSet<(u64, Result<(), Failed>)>,
    tests: Tests,
    /// Which targets fail, so that it is told once.
    failing: BTreeMap<String, u32>,
}

/// Who waits for tests, and what is known so far.
#[derive(Debug, Default)]
struct Tests(Vec<Test>);

#[derive(Debug)]
struct Test {
    keys: HashMap<String, String>,
    tested: Tested,
    answer: Option<oneshot::Sender<Tested>>,
}

impl Tests {
    fn heard(&mut self, key: &str, outcome: Result<(), String>) {
        for test in &mut self.0 {
            if let Some(target) = test.keys.remove(key) {
                test.tested.push((target, outcome.clone()));
            }
            if test.keys.is_empty()
                && let Some(answer) = test.answer.take()
            {
                // Whoever asked may have left.
                let _ = answer.send(std::mem::take(&mut test.tested));
            }
        }
        self.0.retain(|test| test.answer.is_some());
    }
}

impl<S, F> Notifier<S>
where
    S: Fn(Notify, Delivery) -> F,
    F: Future<Output = Result<(), Failed>> + Send + 'static,
{
    pub fn new(keeper: Handle, inputs: Inputs, send: S, stats: Arc<Stats>) -> Self {
        Self {
            keeper,
            queue: Queue::default(),
            inputs,
            begun_at: clock::precise_now(),
            send,
            stats,
            under_way: JoinSet::new(),
            tests: Tests::default(),
            failing: BTreeMap::new(),
        }
    }

    /// Delivers until no more news comes; what is left then is delivered after the next start.
    pub async fn run(mut self, mut news: mpsc::Receiver<News>) {
        let left = self.keeper.deliveries().await;
        self.queue = Queue::restore(left);
        let waiting = self.queue.waiting().values().sum::<usize>();
        if waiting > 0 {
            info!(waiting, "notifications of before are delivered");
        }
        loop {
            self.deliver().await;
            let next = self.next_look();
            tokio::select! {
                heard = news.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => break,
                },
                Some(done) = self.under_way.join_next() => self.ended(done),
                Ok(()) = self.inputs.targets.changed() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
        let all = async {
            while let Some(done) = self.under_way.join_next().await {
                self.ended(done);
            }
        };
        // What does not end by then may have arrived, and is told again after the next start.
        let _ = tokio::time::timeout(END_MAX, all).await;
        self.write().await;
    }

    fn next_look(&self) -> Duration {
        let due = self.queue.next_due().map(Timestamp::milliseconds);
        let wait = due.map(|due| due.saturating_sub(clock::precise_now().milliseconds()));
        let wait = wait.map(|wait| Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
        // What is due and cannot begin waits for what is under way.
        let least = match self.under_way.is_empty() {
            true => LOOK_GAP,
            false => Duration::from_secs(1),
        };
        wait.unwrap_or(LOOK_INTERVAL).clamp(least, LOOK_INTERVAL)
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Deliveries(deliveries) => {
                for delivery in deliveries {
                    self.add(delivery);
                }
            }
            News::Test(deliveries, answer) => {
                let problem = match self.tests.0.len() {
                    ..TESTS_MAX => None,
                    _ => Some("too many tests are under way"),
                };
                let keys = deliveries.iter();
                let keys = keys.map(|it| (it.key.clone(), it.target.clone()));
                let test = Test {
                    keys: keys.collect(),
                    tested: Vec::new(),
                    answer: Some(answer),
                };
                self.tests.0.push(test);
                for delivery in deliveries {
                    match problem {
                        Some(problem) => self.tests.heard(&delivery.key, Err(problem.to_owned())),
                        None => self.add(delivery),
                    }
                }
            }
        }
    }

    fn add(&mut self, delivery: Delivery) {
        let dropped = self.queue.add(delivery);
        self.count_dropped(dropped);
    }

    fn count_dropped(&mut self, dropped: impl IntoIterator<Item = Dropped>) {
        for Dropped {
            key,
            target,
            alarm,
            reason,
        } in dropped
        {
            self.tests.heard(&key, Err(reason.to_owned()));
            warn!(target, alarm, reason, "a notification is given up");
            self.stats.notifications.dropped(&target, reason);
        }
    }

    /// Begins with everything that is due and may be told. It is noted first that it is begun.
    async fn deliver(&mut self) {
        let now = clock::precise_now();
        let targets = Arc::clone(&self.inputs.targets.borrow());
        let by_name: HashMap<&str, &Notify> = targets.iter().map(|it| (&*it.name, it)).collect();
        let dropped = self.queue.expire(now, &by_name);
        self.count_dropped(dropped);
        self.queue.clock_is(now);
        let statuses = self.inputs.statuses.borrow().clone();
        let alarms: Option<HashMap<&str, &Arc<Status>>> = statuses
            .as_ref()
            .map(|all| all.iter().map(|it| (&*it.alarm.name, it)).collect());
        let standing = |alarm: &str| standing(alarms.as_ref()?.get(alarm)?, now);
        if let Some(alarms) = &alarms {
            self.queue.forget(|alarm| alarms.contains_key(alarm));
            self.queue.repeat(now, &by_name, standing);
        }
        let begun = self.choose(now, &by_name, standing);
        self.write().await;
        for (target, delivery) in begun {
            let (place, time) = (delivery.place, target.timeout);
            if delivery.answer_lost {
                self.stats.notifications.resent(&target.name);
            }
            let sent = (self.send)(target, delivery);
            self.under_way.spawn(async move {
                let outcome = tokio::time::timeout(time, sent).await;
                let late = || Failed::lost(format!("no answer within {time:?}"));
                (place, outcome.unwrap_or_else(|_| Err(late())))
            });
        }
        self.show();
    }

    /// What is due and may be told, now in flight.
    fn choose(
        &mut self,
        now: Timestamp,
        by_name: &HashMap<&str, &Notify>,
        standing: impl Fn(&str) -> Option<Standing>,
    ) -> Vec<(Notify, Delivery)> {
        let mut begun = Vec::new();
        let mut under_way: HashMap<String, usize> = HashMap::new();
        for delivery in self.queue.in_flight() {
            *under_way.entry(delivery.target.clone()).or_default() += 1;
        }
        let cloudwatch = Arc::clone(&self.inputs.cloudwatch.borrow());
        let known = Known {
            now,
            reach: self.stats.reach(),
            asked_since: self.begun_at,
            cloudwatch: &cloudwatch,
        };
        for place in self.queue.due(now) {
            let Some(delivery) = self.queue.get(place) else {
                continue;
            };
            let Some(target) = by_name.get(&*delivery.target) else {
                continue;
            };
            if delivery.is_silent {
                self.queue.end(place);
                continue;
            }
            let count = under_way.entry(delivery.target.clone()).or_default();
            if *count >= IN_FLIGHT_MAX {
                continue;
            }
            // What waited may have come to be muted or suppressed.
            let has_waited = delivery.settles > delivery.made && delivery.attempts == 0;
            let withheld = standing(&delivery.alarm).and_then(|it| it.withheld_until);
            if let Some(until) = withheld.filter(|_| has_waited) {
                self.queue.settle_later(place, until);
                continue;
            }
            match verdict(delivery, target, known) {
                Verdict::Wait(until) => self.queue.wait(place, until),
                Verdict::Withhold(reason) => {
                    let (target, alarm) = (&target.name, &delivery.alarm);
                    debug!(target, alarm, reason, "nobody is told");
                    self.stats.notifications.withheld(target, reason);
                    self.queue.withhold(place);
                }
                Verdict::Send => {
                    *count += 1;
                    let delivery = self.queue.begin(place);
                    begun.extend(delivery.map(|it| ((*target).clone(), it)));
                }
            }
        }
        begun
    }

    fn ended(&mut self, done: Result<(u64, Result<(), Failed>), tokio::task::JoinError>) {
        // A panic has been told on the way; nothing here panics on purpose.
        let Ok((place, outcome)) = done else { return };
        let Some(delivery) = self.queue.get(place).cloned() else {
            return;
        };
        let now = clock::precise_now();
        let Delivery {
            target,
            alarm,
            state,
            key,
            ..
        } = delivery;
        match outcome {
            Ok(()) => {
                let after = now.milliseconds() - delivery.period_end.milliseconds();
                let after = after.max(0) / 10;
                let after = format!("{}.{:02} s", after / 100, after % 100);
                match delivery.repeats {
                    0 => info!(target, alarm, state, after, "told of a state change"),
                    _ => debug!(target, alarm, state, "told again"),
                }
                if let Some(attempts) = self.failing.remove(&target) {
                    info!(target, attempts, "notifications arrive again");
                }
                self.stats.notifications.delivered(&target);
                let targets = Arc::clone(&self.inputs.targets.borrow());
                let target = targets.iter().find(|it| it.name == target);
                self.queue.succeed(place, now, target);
                self.tests.heard(&key, Ok(()));
            }
            Err(failed) => {
                let error = &failed.message;
                let attempts = self.failing.entry(target.clone()).or_default();
                *attempts += 1;
                match attempts {
                    1 => warn!(
                        target,
                        alarm, state, error, "a notification did not arrive; it is tried again"
                    ),
                    _ => debug!(target, alarm, state, error, "a notification did not arrive"),
                }
                self.stats.notifications.failed(&target);
                self.queue
                    .fail(place, now, failed.answer_lost, fastrand::f64());
                self.tests.heard(&key, Err(failed.message));
            }
        }
    }

    async fn write(&mut self) {
        let changes = self.queue.take_changes();
        if !changes.is_empty() {
            let written = self.keeper.deliver(changes);
            // A disk that hangs must not keep others from being told.
            let _ = tokio::time::timeout(WRITE_MAX, written).await;
        }
    }

    fn show(&self) {
        let waiting = self.queue.waiting().into_iter();
        let waiting = waiting.map(|(target, count)| (target.to_owned(), count));
        self.stats.notifications.set_waiting(waiting.collect());
    }
}

/// How an alarm is here; `None` where it is not judged.
fn standing(status: &Status, now: Timestamp) -> Option<Standing> {
    if status.not_mirrored.is_some() {
        return None;
    }
    let is_withheld = status.suppressed_by.is_some() || !status.alarm.actions.enabled;
    let later = is_withheld.then_some(now + WITHHELD_LOOK);
    Some(Standing {
        state: status.state,
        withheld_until: status.muted_until.filter(|until| *until > now).or(later),
    })
}

#[cfg(test)]
mod tests;

//! The notifier among others who answer, fail and hang.

use super::*;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::alarm::StateValue;
use crate::config::When;
use crate::keeper;
use crate::notify::Seen;
use crate::notify::queue::tests::{delivery, target};

/// A notifier, what it is told, and what arrived where.
struct World {
    news: mpsc::Sender<News>,
    arrived: Arc<Mutex<Vec<String>>>,
    stats: Arc<Stats>,
    cloudwatch: watch::Sender<CloudWatch>,
    _targets: watch::Sender<Arc<[Notify]>>,
}

/// `outcome` says what becomes of each attempt.
fn world<F>(
    targets: Vec<Notify>,
    outcome: impl Fn(&Delivery, u32) -> F + Send + Sync + 'static,
) -> World
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
{
    let stats = Arc::new(Stats::default());
    let (news, news_in) = mpsc::channel(8);
    let (targets, targets_in) = watch::channel(targets.into());
    let (cloudwatch, cloudwatch_in) = watch::channel(CloudWatch::default());
    let arrived: Arc<Mutex<Vec<String>>> = Arc::default();
    let (heard, attempts) = (Arc::clone(&arrived), AtomicU32::new(0));
    let send = move |_: Notify, delivery: Delivery| {
        let (heard, answer) = (
            Arc::clone(&heard),
            outcome(&delivery, attempts.fetch_add(1, Relaxed)),
        );
        async move {
            let outcome = answer.await;
            if outcome.is_ok() {
                let what = format!("{} {} {}", delivery.target, delivery.alarm, delivery.state);
                heard.lock().unwrap().push(what);
            }
            outcome
        }
    };
    let (_, statuses_in) = watch::channel(None);
    let inputs = Inputs {
        targets: targets_in,
        cloudwatch: cloudwatch_in,
        statuses: statuses_in,
    };
    let keeper = keeper::in_memory(Arc::clone(&stats));
    let notifier = Notifier::new(keeper, inputs, send, Arc::clone(&stats));
    tokio::spawn(notifier.run(news_in));
    World {
        news,
        arrived,
        stats,
        cloudwatch,
        _targets: targets,
    }
}

impl World {
    async fn tell(&self, deliveries: Vec<Delivery>) {
        self.news.send(News::Deliveries(deliveries)).await.unwrap();
    }

    async fn wait(&self, expected: &[&str]) {
        for _ in 0..500 {
            if *self.arrived.lock().unwrap() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} and not {expected:?}", self.arrived.lock().unwrap());
    }
}

fn now(alarm: &str, state: &str) -> Delivery {
    let at = clock::now();
    Delivery {
        at,
        made: at,
        due: at,
        settles: at,
        period_end: at,
        key: format!("{alarm} {state}"),
        ..delivery(alarm, state, 0)
    }
}

fn failed() -> Result<(), Failed> {
    Err(Failed::not_sent("no".to_owned()))
}

#[tokio::test]
async fn what_fails_is_told_later_and_in_order() {
    let world = world(vec![target("t")], |_, attempt| async move {
        match attempt {
            0 => failed(),
            _ => Ok(()),
        }
    });
    world.tell(vec![now("a", "ALARM"), now("a", "OK")]).await;
    world.wait(&["t a ALARM", "t a OK"]).await;
    let told = world.stats.notifications.get();
    assert_eq!((told.failed["t"], told.delivered["t"]), (1, 2));
}

/// Neither of other alarms at the same target, nor at another.
#[tokio::test]
async fn one_that_hangs_holds_up_no_others() {
    let mut hanging = target("hanging");
    hanging.timeout = Duration::from_secs(100);
    let world = world(vec![target("t"), hanging], |delivery, _| {
        let hangs = delivery.target == "hanging" && delivery.alarm == "a";
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let at_hanging = |alarm| Delivery {
        target: "hanging".to_owned(),
        key: format!("h {alarm}"),
        ..now(alarm, "ALARM")
    };
    world.tell(vec![at_hanging("a")]).await;
    world.tell(vec![at_hanging("b")]).await;
    world.wait(&["hanging b ALARM"]).await;
    world.tell(vec![now("a", "ALARM")]).await;
    world.wait(&["hanging b ALARM", "t a ALARM"]).await;
}

#[tokio::test]
async fn an_attempt_takes_no_longer_than_it_may() {
    let mut slow = target("t");
    slow.timeout = Duration::from_millis(50);
    let world = world(vec![slow], |_, attempt| async move {
        if attempt == 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    world.tell(vec![now("a", "ALARM")]).await;
    world.wait(&["t a ALARM"]).await;
    // It may have arrived the first time.
    assert_eq!(world.stats.notifications.get().resent["t"], 1);
}

#[tokio::test]
async fn whoever_is_told_ahead_is_not_told_what_cloudwatch_has_found() {
    let mut ahead = target("t");
    ahead.when = When::Ahead;
    let world = world(vec![ahead], |_, _| async { Ok(()) });
    let seen = |state, ago: i64| Seen {
        state,
        since: clock::now() - ago,
    };
    let states = [
        ("a".to_owned(), seen(StateValue::Alarm, 30)),
        ("b".to_owned(), seen(StateValue::Ok, 30)),
        // From before the alarm was in the state that it left now.
        ("c".to_owned(), seen(StateValue::Alarm, 300)),
    ];
    world.cloudwatch.send_replace(Arc::new(states.into()));
    let all = ["a", "b", "c"].map(|alarm| Delivery {
        before: clock::now() - 120,
        ..now(alarm, "ALARM")
    });
    world.tell(all.into()).await;
    for _ in 0..500 {
        if world.arrived.lock().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut arrived = world.arrived.lock().unwrap().clone();
    arrived.sort();
    assert_eq!(arrived, ["t b ALARM", "t c ALARM"]);
    let withheld = world.stats.notifications.get().withheld;
    assert_eq!(withheld[&("t".to_owned(), "cloudwatch_first")], 1);
}

#[tokio::test]
async fn whoever_is_told_while_cloudwatch_is_out_of_reach_is_told_then_alone() {
    let mut unreachable = target("t");
    unreachable.when = When::Unreachable;
    let world = world(vec![unreachable], |_, _| async { Ok(()) });
    // Out of reach for a while already.
    world
        .stats
        .asked(false, clock::now().milliseconds() - 60_000);
    world.tell(vec![now("a", "ALARM")]).await;
    world.wait(&["t a ALARM"]).await;
    // What CloudWatch takes after the state change tells that it can be reached.
    let mut later = now("b", "ALARM");
    world.stats.asked(true, clock::now().milliseconds() + 1_000);
    later.key = "b".to_owned();
    world.tell(vec![later]).await;
    for _ in 0..500 {
        if !world.stats.notifications.get().withheld.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let withheld = world.stats.notifications.get().withheld;
    assert_eq!(withheld[&("t".to_owned(), "cloudwatch_reachable")], 1);
    world.wait(&["t a ALARM"]).await;
}

#[tokio::test]
async fn whoever_tests_hears_what_became_of_it() {
    let targets = vec![target("t"), target("broken")];
    let world = world(targets, |delivery, _| {
        let is_broken = delivery.target == "broken";
        async move {
            match is_broken {
                true => failed(),
                false => Ok(()),
            }
        }
    });
    let test = |target: &str| Delivery {
        target: target.to_owned(),
        key: target.to_owned(),
        is_test: true,
        ..now("a", "ALARM")
    };
    let (answer, answered) = oneshot::channel();
    let tests = vec![test("t"), test("broken")];
    world.news.send(News::Test(tests, answer)).await.unwrap();
    let mut tested = answered.await.unwrap();
    tested.sort();
    let expected = [
        ("broken".to_owned(), Err("no".to_owned())),
        ("t".to_owned(), Ok(())),
    ];
    assert_eq!(tested, expected);
}

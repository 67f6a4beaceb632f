//! What is sent, held, split and dropped. Time is paused: everything here is in memory.

use super::*;
use crate::metric::{Metric, Resolution, StatisticSet, Unit};
use std::cell::RefCell;
use std::collections::VecDeque;

fn datapoint(start: Timestamp) -> Datapoint {
    Datapoint {
        metric: Arc::new(Metric::new("n", "m", vec![])),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        start,
        statistics: StatisticSet::of(1.0, 1.0),
        values: None,
    }
}

/// Starts of the datapoints, in minutes before now; answers in order, then success. Returns the requests by minutes before
/// now, and the publisher.
async fn rounds(
    rounds: usize,
    minutes_ago: &[i64],
    answers: Vec<Result<(), Failure>>,
) -> (Vec<Vec<i64>>, Arc<Stats>) {
    let now = clock::now().floor(60);
    let requests = RefCell::new(Vec::new());
    let answers = RefCell::new(VecDeque::from(answers));
    let put = |datapoints: Vec<Arc<Datapoint>>| {
        requests.borrow_mut().push(
            datapoints
                .iter()
                .map(|datapoint| (now - datapoint.start) / 60)
                .collect(),
        );
        std::future::ready(answers.borrow_mut().pop_front().unwrap_or(Ok(())))
    };
    let stats = Arc::new(Stats::default());
    let schedule = Schedule {
        interval: Duration::from_mins(1),
        phase: PHASE_MIN,
    };
    let mut publisher = Publisher::new(put, schedule, Arc::clone(&stats));
    stats.into_outbox(minutes_ago.len());
    publisher.hold(
        minutes_ago
            .iter()
            .map(|minutes| datapoint(now - minutes * 60))
            .collect(),
    );
    for _ in 0..rounds {
        publisher.round().await;
    }
    drop(publisher);
    (requests.into_inner(), stats)
}

fn lost() -> Result<(), Failure> {
    Err(Failure::Failed {
        message: "timed out".into(),
        answer_lost: true,
    })
}

fn rejected() -> Result<(), Failure> {
    Err(Failure::Rejected("bad".into()))
}

#[tokio::test(start_paused = true)]
async fn the_current_minute_goes_first_then_the_backlog() {
    let (requests, stats) = rounds(1, &[3, 1, 2], vec![]).await;
    assert_eq!(requests, [vec![1], vec![3, 2]]);
    assert_eq!(
        (
            stats.published.load(Relaxed),
            stats.outbox.load(Relaxed),
            stats.outbox_oldest.load(Relaxed)
        ),
        (3, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_held_and_sent_again() {
    let denied = Err(Failure::Denied("no".into()));
    let (requests, stats) = rounds(2, &[2, 1], vec![denied]).await;
    assert_eq!(requests, [vec![1], vec![1], vec![2]]);
    assert_eq!(
        (stats.published.load(Relaxed), stats.resent.load(Relaxed)),
        (2, 0)
    );
    assert_eq!(stats.requests.get()["denied"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_twice_for_want_of_an_answer_is_counted() {
    let (_, stats) = rounds(2, &[1], vec![lost()]).await;
    assert_eq!(
        (stats.published.load(Relaxed), stats.resent.load(Relaxed)),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_datapoint_does_not_hold_up_the_others() {
    // 5 4 3 2 as a whole, then 5 4, then 3 2 and its halves, of which the older is bad.
    let answers = vec![Ok(()), rejected(), Ok(()), rejected(), rejected(), Ok(())];
    let (requests, stats) = rounds(1, &[1, 2, 3, 4, 5], answers).await;
    assert_eq!(
        requests,
        [
            vec![1],
            vec![5, 4, 3, 2],
            vec![5, 4],
            vec![3, 2],
            vec![3],
            vec![2]
        ]
    );
    assert_eq!(
        (
            stats.published.load(Relaxed),
            stats.dropped.get()["rejected"],
            stats.outbox.load(Relaxed)
        ),
        (4, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_sent_when_the_source_ends() {
    let sent = RefCell::new(0);
    let put = |datapoints: Vec<Arc<Datapoint>>| {
        *sent.borrow_mut() += datapoints.len();
        std::future::ready(Ok(()))
    };
    let schedule = Schedule {
        interval: Duration::from_mins(1),
        phase: PHASE_MIN,
    };
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(vec![datapoint(clock::now())]).unwrap();
    drop(sender);
    Publisher::new(put, schedule, Arc::new(Stats::default()))
        .run(receiver)
        .await;
    assert_eq!(*sent.borrow(), 1);
}

#[test]
fn hosts_keep_their_phase_and_differ_in_it() {
    let minute = Duration::from_mins(1);
    let phases: Vec<Duration> = (0..100)
        .map(|host| Schedule::of(&format!("i-{host}"), minute).phase)
        .collect();
    assert_eq!(phases[7], Schedule::of("i-7", minute).phase);
    assert!(
        phases
            .iter()
            .all(|phase| (PHASE_MIN..PHASE_MAX).contains(phase))
    );
    let second = |phase: &Duration| phase.as_secs();
    let mut seconds: Vec<u64> = phases.iter().map(second).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(
        seconds.len() > 15,
        "a hundred hosts share {} seconds",
        seconds.len()
    );
    let ten = Duration::from_secs(10);
    assert!((0..100).all(|host| Schedule::of(&format!("i-{host}"), ten).phase < ten));
}

#[test]
fn waits_grow_and_are_bounded() {
    assert_eq!(backoff(1, 0.0), BACKOFF_MIN);
    assert_eq!(backoff(1, 1.0), Duration::from_secs(2));
    assert_eq!(backoff(3, 1.0), Duration::from_secs(8));
    assert_eq!(backoff(u32::MAX, 1.0), BACKOFF_MAX);
}

//! What is sent, held, split and dropped. Time is paused: everything here is in memory.

use super::*;
use crate::keeper::{PENDING_MAX, Step, in_memory};
use crate::metric::{Metric, Resolution, StatisticSet, Timestamp, Unit};
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

const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_mins(1),
    phase: PHASE_MIN,
};

fn keep(keeper: &Handle, starts: impl IntoIterator<Item = Timestamp>) {
    let starts = starts.into_iter();
    let step = Step {
        datapoints: starts.map(|start| (datapoint(start), true)).collect(),
        ..Step::default()
    };
    keeper.append(step).unwrap();
}

/// Lets a publisher send datapoints that start so many minutes ago, with these answers and success afterwards. Returns the
/// requests, each as the datapoints in it by minutes ago.
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
    let keeper = in_memory(Arc::clone(&stats));
    let start = |minutes: &i64| now - minutes * 60;
    keep(&keeper, minutes_ago.iter().map(start));
    let (_more, ended) = watch::channel(false);
    let mut publisher = Publisher::new(keeper, put, SCHEDULE, Arc::clone(&stats));
    for _ in 0..rounds {
        publisher.round(&ended).await;
    }
    // What was settled last is carried out before the next command.
    publisher.keeper.past(0).await;
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

fn denied() -> Result<(), Failure> {
    Err(Failure::Denied("no".into()))
}

#[tokio::test(start_paused = true)]
async fn everything_goes_in_one_request_where_it_fits() {
    let (requests, stats) = rounds(1, &[3, 1, 2], vec![]).await;
    assert_eq!(requests, [[1, 3, 2]]);
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
    let (requests, stats) = rounds(2, &[2, 1], vec![denied()]).await;
    assert_eq!(requests, [[1, 2], [1, 2]]);
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
    // The whole, its first half, its second half, and of that the first, which is bad.
    let answers = vec![rejected(), Ok(()), rejected(), rejected(), Ok(())];
    let (requests, stats) = rounds(1, &[1, 2, 3, 4], answers).await;
    assert_eq!(
        requests,
        [vec![1, 4, 3, 2], vec![1, 4], vec![3, 2], vec![3], vec![2]]
    );
    assert_eq!(
        (
            stats.published.load(Relaxed),
            stats.dropped.get()["rejected"],
            stats.outbox.load(Relaxed)
        ),
        (3, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_halved() {
    let too_large = || Err(Failure::TooLarge("a megabyte".into()));
    let answers = vec![too_large(), too_large(), Ok(()), Ok(()), Ok(())];
    let (requests, stats) = rounds(1, &[1, 2, 3, 4], answers).await;
    assert_eq!(
        requests,
        [vec![1, 4, 3, 2], vec![1, 4], vec![1], vec![4], vec![3, 2]]
    );
    assert_eq!(stats.published.load(Relaxed), 4);
}

/// Requests keep their distance, and a batch of nothing but bad datapoints is given up after so many.
#[tokio::test(start_paused = true)]
async fn a_search_for_bad_datapoints_is_bounded_and_polite() {
    let start = Instant::now();
    let minutes: Vec<i64> = (1..=500).collect();
    let answers = std::iter::repeat_with(rejected).take(REQUESTS_OF_BATCH_MAX);
    let (requests, stats) = rounds(1, &minutes, answers.collect()).await;
    let dropped = stats.dropped.get()["rejected"];
    assert!(
        (1..REQUESTS_OF_BATCH_MAX as u64).contains(&dropped),
        "{dropped}"
    );
    let then = &requests[REQUESTS_OF_BATCH_MAX];
    assert_eq!(
        then.len() as u64,
        500 - dropped,
        "it begins anew with what is left"
    );
    assert_eq!(start.elapsed(), REQUEST_GAP * (requests.len() as u32 - 1));
}

/// Sent, with no answer; then refused before anything was sent; then sent again.
#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_not_counted_as_sent_again() {
    let answers = vec![lost(), Err(Failure::NotSent("no credentials".into()))];
    let (requests, stats) = rounds(3, &[1, 2], answers).await;
    assert_eq!(requests, [vec![1, 2], vec![1, 2], vec![1], vec![2]]);
    assert_eq!(stats.resent.load(Relaxed), 2);
}

/// The second half is not tried where the first could not be sent, and waits again.
#[tokio::test(start_paused = true)]
async fn what_was_not_tried_waits() {
    let answers = vec![rejected(), lost(), Ok(())];
    let (requests, stats) = rounds(2, &[1, 2, 3, 4], answers).await;
    assert_eq!(requests, [vec![1, 4, 3, 2], vec![1, 4], vec![1, 4, 3, 2]]);
    let sent = (stats.published.load(Relaxed), stats.resent.load(Relaxed));
    assert_eq!(sent, (4, 2));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_counted() {
    let minutes: Vec<i64> = (0..PENDING_MAX as i64 + 5).rev().collect();
    let (_, stats) = rounds(1, &minutes, vec![denied()]).await;
    assert_eq!(
        (
            stats.dropped.get()["outbox_full"],
            stats.outbox.load(Relaxed)
        ),
        (5, PENDING_MAX as i64)
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_when_something_was_sent_and_not_before() {
    let put = |_| std::future::ready(Ok(()));
    let stats = Arc::new(Stats::default());
    let keeper = in_memory(Arc::clone(&stats));
    let (_more, ended) = watch::channel(false);
    let mut publisher = Publisher::new(keeper.clone(), put, SCHEDULE, stats);
    publisher.failed(&Failure::NotSent("no region".into()));
    publisher.round(&ended).await;
    assert!(publisher.outage.is_some());
    keep(&keeper, [clock::now()]);
    publisher.round(&ended).await;
    assert!(publisher.outage.is_none());
}

/// The times of the requests from the start on, with datapoints arriving all the while.
async fn times(answers: Vec<Result<(), Failure>>, count: usize) -> Vec<Duration> {
    let start = Instant::now();
    let times = RefCell::new(Vec::new());
    let answers = RefCell::new(VecDeque::from(answers));
    let stats = Arc::new(Stats::default());
    let keeper = in_memory(Arc::clone(&stats));
    let put = |_| {
        times.borrow_mut().push(start.elapsed());
        // Whatever arrives during a request is held.
        keep(&keeper, [clock::now()]);
        std::future::ready(answers.borrow_mut().pop_front().unwrap_or_else(denied))
    };
    keep(&keeper, [clock::now()]);
    let (_more, ended) = watch::channel(false);
    let publisher = Publisher::new(keeper.clone(), put, SCHEDULE, stats);
    let enough = async {
        while times.borrow().len() < count {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = publisher.run(ended) => {}
        () = enough => {}
    }
    times.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_out_at_the_phase_and_after_a_failure_with_growing_waits() {
    let until_phase = clock::until(clock::since_epoch(), SCHEDULE.interval, SCHEDULE.phase);
    let times = times(vec![], 12).await;
    // The clock goes on between the two, and may pass the phase.
    let off = times[0].abs_diff(until_phase);
    let off = off.min(off.abs_diff(SCHEDULE.interval));
    assert!(
        off < Duration::from_secs(2),
        "{times:?}, not {until_phase:?}"
    );
    let waits = times.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
    assert!(
        waits.max() > Some(BACKOFF_MIN * 3),
        "the waits do not grow: {times:?}"
    );
    for (attempts, pair) in times.windows(2).enumerate() {
        let (wait, most) = (pair[1].abs_diff(pair[0]), backoff(attempts as u32 + 1, 1.0));
        assert!(
            (BACKOFF_MIN..=most + Duration::from_millis(2)).contains(&wait),
            "wait {attempts} is {wait:?}, at most {most:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_sent_when_the_source_ends() {
    let sent = RefCell::new(0);
    let put = |datapoints: Vec<Arc<Datapoint>>| {
        *sent.borrow_mut() += datapoints.len();
        std::future::ready(Ok(()))
    };
    let stats = Arc::new(Stats::default());
    let keeper = in_memory(Arc::clone(&stats));
    keep(&keeper, [clock::now()]);
    let (more, ended) = watch::channel(false);
    more.send_replace(true);
    Publisher::new(keeper, put, SCHEDULE, stats)
        .run(ended)
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

//! What is kept, where, and what becomes of it.

mod model;

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::*;
use crate::metric::{Metric, Resolution, StatisticSet, Unit};

/// The instant at which the tests begin: a minute.
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_040);

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("keeper-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn open(dir: &Path) -> Keeper {
    let stats = Arc::new(Stats::default());
    Keeper::open(Some(dir.to_owned()), Limits::default(), stats, NOW).unwrap()
}

const YEAR: i64 = 365 * 86_400;

/// Datapoints that start so many minutes before [`NOW`].
fn step(minutes_ago: &[i64]) -> Step {
    let metric = Arc::new(Metric::new("n", "m", vec![]));
    let datapoint = |minutes: &i64| Datapoint {
        metric: Arc::clone(&metric),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        start: NOW - 60 * minutes,
        statistics: StatisticSet::of(1.0, 1.0),
        values: None,
    };
    Step {
        datapoints: minutes_ago
            .iter()
            .map(|minutes| (datapoint(minutes), true))
            .collect(),
        ..Step::default()
    }
}

/// A batch, as minutes before [`NOW`].
fn taken(batch: &[Outgoing]) -> Vec<i64> {
    let minutes = batch
        .iter()
        .map(|outgoing| (NOW - outgoing.datapoint.start) / 60);
    minutes.collect()
}

fn keys(batch: &[Outgoing]) -> Vec<Key> {
    batch.iter().map(|outgoing| outgoing.key).collect()
}

const TWO: RequestLimits = RequestLimits {
    datapoints: 2,
    ..REQUEST_MAX
};

/// The newest minute goes first, and stays the one that does while the backlog is sent from the oldest on.
fn check_order(keeper: &mut Keeper) {
    keeper.append(step(&[5, 4, 3, 2, 1]), NOW);
    let mut all = Vec::new();
    loop {
        let batch = keeper.take(NOW, TWO);
        if batch.is_empty() {
            break;
        }
        keeper.settle(&keys(&batch), Fate::Accepted, NOW);
        all.push(taken(&batch));
    }
    assert_eq!(all, [vec![1, 5], vec![4, 3], vec![2]]);
    assert_eq!(keeper.stats.published.load(Relaxed), 5);
    assert_eq!(keeper.stats.outbox.load(Relaxed), 0);
}

#[test]
fn the_newest_minute_is_taken_first_and_then_the_oldest() {
    let dir = Dir::new("order");
    check_order(&mut open(&dir.0));
    let stats = Arc::new(Stats::default());
    check_order(&mut Keeper::open(None, Limits::default(), stats, NOW).unwrap());
}

/// In the journal and in memory alike.
#[test]
fn what_was_not_accepted_is_taken_again() {
    let dir = Dir::new("again");
    let stats = Arc::new(Stats::default());
    let in_memory = Keeper::open(None, Limits::default(), stats, NOW).unwrap();
    for mut keeper in [open(&dir.0), in_memory] {
        keeper.append(step(&[1]), NOW);
        for (fate, answer_lost) in [
            (Fate::NotSent, false),
            (Fate::AnswerLost, true),
            (Fate::NotSent, true),
        ] {
            let batch = keeper.take(NOW, REQUEST_MAX);
            assert!(keeper.take(NOW, REQUEST_MAX).is_empty(), "it is in flight");
            keeper.settle(&keys(&batch), fate, NOW);
            let batch = keeper.take(NOW, REQUEST_MAX);
            assert_eq!(batch[0].answer_lost, answer_lost, "{fate:?}");
            keeper.settle(&keys(&batch), Fate::NotSent, NOW);
        }
        let batch = keeper.take(NOW, REQUEST_MAX);
        keeper.settle(&keys(&batch), Fate::Dropped("rejected"), NOW);
        assert!(keeper.take(NOW, REQUEST_MAX).is_empty());
        assert_eq!(keeper.stats.dropped.get()["rejected"], 1);
    }
}

#[test]
fn what_was_kept_is_there_after_the_end_however_that_came() {
    let dir = Dir::new("end");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[2, 1]), NOW);
    drop(keeper);
    let mut keeper = open(&dir.0);
    assert_eq!(keeper.stats.outbox.load(Relaxed), 2);
    assert_eq!(taken(&keeper.take(NOW, REQUEST_MAX)), [1, 2]);
    keeper.close(NOW);
    let mut keeper = open(&dir.0);
    let batch = keeper.take(NOW, REQUEST_MAX);
    assert!(
        batch.iter().all(|outgoing| outgoing.answer_lost),
        "{batch:?}"
    );
}

/// There is a file where the folder should be; later there is not.
#[test]
fn without_a_journal_everything_goes_on_in_memory_until_there_is_one() {
    let dir = Dir::new("none");
    let place = dir.0.join("state");
    fs::write(&place, "").unwrap();
    let mut keeper = open(&place);
    keeper.append(step(&[3, 2]), NOW);
    assert!(keeper.stats.journal.trouble().is_some());
    let batch = keeper.take(NOW, TWO);
    assert_eq!(taken(&batch), [3, 2]);
    keeper.settle(&keys(&batch[..1]), Fate::Accepted, NOW);
    keeper.settle(&keys(&batch[1..]), Fate::NotSent, NOW);
    fs::remove_file(&place).unwrap();
    keeper.append(step(&[1]), NOW);
    assert_eq!(keeper.stats.journal.trouble(), None);
    drop(keeper);
    let mut keeper = open(&place);
    assert_eq!(taken(&keeper.take(NOW, REQUEST_MAX)), [1, 2]);
    let mut all = Vec::new();
    let journal = keeper.journal.as_ref().unwrap();
    let each = |datapoint: Datapoint| all.push((NOW - datapoint.start) / 60);
    journal.datapoints(NOW - 3_600, each).unwrap();
    assert_eq!(all, [3, 2, 1], "what was accepted meanwhile is history");
}

/// How far was got with CloudWatch Logs is not taken to be nothing while it cannot be read, and written once it can.
#[test]
fn positions_wait_for_a_journal() {
    let dir = Dir::new("positions");
    let place = dir.0.join("state");
    let progress = |key: &str, text: Option<&str>| LogProgress {
        positions: [(key.to_owned(), text.map(str::to_owned))].into(),
        written: None,
    };
    let mut keeper = open(&place);
    assert!(keeper.log_progress(progress("a", Some("1")), NOW));
    assert!(keeper.log_progress(progress("b", Some("1")), NOW));
    drop(keeper);
    let away = dir.0.join("away");
    fs::rename(&place, &away).unwrap();
    fs::write(&place, "").unwrap();
    let mut keeper = open(&place);
    assert_eq!(keeper.log_positions(NOW), None);
    assert!(!keeper.log_progress(progress("a", Some("2")), NOW));
    assert!(!keeper.log_progress(progress("b", None), NOW));
    fs::remove_file(&place).unwrap();
    fs::rename(&away, &place).unwrap();
    let expected = BTreeMap::from([("a".to_owned(), "2".to_owned())]);
    assert_eq!(keeper.log_positions(NOW), Some(expected.clone()));
    drop(keeper);
    assert_eq!(open(&place).log_positions(NOW), Some(expected));
}

#[test]
fn what_has_no_room_in_memory_is_counted() {
    let stats = Arc::new(Stats::default());
    let mut keeper = Keeper::open(None, Limits::default(), stats, NOW).unwrap();
    let many: Vec<i64> = (1..=PENDING_MAX as i64 + 3).collect();
    keeper.append(step(&many), NOW);
    assert_eq!(keeper.stats.dropped.get()["outbox_full"], 3);
    assert_eq!(keeper.stats.outbox.load(Relaxed), PENDING_MAX as i64);
    keeper.close(NOW);
}

/// A disk that is full for a while, here a database that may not grow.
#[test]
fn a_full_disk_holds_nothing_up_and_is_recovered_from() {
    let dir = Dir::new("full");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[500]), NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1);
    for minute in (1..=400).rev() {
        keeper.append(step(&[minute]), NOW);
    }
    let trouble = keeper.stats.journal.trouble().unwrap();
    assert!(trouble.contains("there is no room"), "{trouble}");
    assert_eq!(keeper.stats.outbox.load(Relaxed), 401);
    let batch = keeper.take(NOW, TWO);
    assert_eq!(taken(&batch)[0], 1, "what is in memory can be sent");
    keeper.settle(&keys(&batch), Fate::Accepted, NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1_000_000);
    keeper.append(step(&[0]), NOW);
    assert_eq!(keeper.stats.journal.trouble(), None);
    assert_eq!(keeper.stats.outbox.load(Relaxed), 400);
    assert_eq!(keeper.stats.dropped.get().values().sum::<u64>(), 0);
}

#[test]
fn a_corrupt_journal_is_set_aside_and_another_begun() {
    let dir = Dir::new("corrupt");
    fs::write(dir.0.join("journal.sqlite3"), "no database at all").unwrap();
    let mut keeper = open(&dir.0);
    keeper.append(step(&[1]), NOW);
    assert_eq!(keeper.stats.journal.trouble(), None);
    assert_eq!(
        fs::read_dir(&dir.0)
            .unwrap()
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                fs::read_to_string(dir.0.join(name)).is_ok_and(|text| text == "no database at all")
            })
            .count(),
        1
    );
}

#[test]
fn what_cloudwatch_would_not_take_is_never_sent_and_dropped_once_the_clock_is_known_to_be_right() {
    let dir = Dir::new("range");
    let stats = Arc::new(Stats::default());
    let in_memory = Keeper::open(None, Limits::default(), stats, NOW).unwrap();
    for mut keeper in [open(&dir.0), in_memory] {
        keeper.append(step(&[15 * 1_440, -121, 1]), NOW);
        let batch = keeper.take(NOW, REQUEST_MAX);
        assert_eq!(taken(&batch), [1]);
        keeper.settle(&keys(&batch), Fate::NotSent, NOW);
        let batch = keeper.take(NOW, REQUEST_MAX);
        assert_eq!(keeper.stats.dropped.get().values().sum::<u64>(), 0);
        keeper.settle(&keys(&batch), Fate::Accepted, NOW);
        assert!(keeper.take(NOW, REQUEST_MAX).is_empty());
        let dropped = keeper.stats.dropped.get();
        assert_eq!((dropped["too_old"], dropped["too_far_ahead"]), (1, 1));
    }
}

/// A host whose clock is years ahead, or at its beginning, until it is set.
#[test]
fn a_clock_that_is_wrong_loses_nothing() {
    let dir = Dir::new("clock");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[2, 1]), NOW);
    let batch = keeper.take(NOW, REQUEST_MAX);
    keeper.settle(&keys(&batch[..1]), Fate::Accepted, NOW);
    keeper.settle(&keys(&batch[1..]), Fate::NotSent, NOW);
    for wrong in [NOW + 20 * YEAR, Timestamp::from_seconds(0)] {
        keeper.append(Step::default(), wrong);
        assert!(keeper.take(wrong, REQUEST_MAX).is_empty());
    }
    keeper.append(Step::default(), NOW + 60);
    assert_eq!(taken(&keeper.take(NOW + 60, REQUEST_MAX)), [2]);
    assert_eq!(keeper.stats.dropped.get().values().sum::<u64>(), 0);
}

#[test]
fn a_journal_has_one_keeper() {
    let dir = Dir::new("one");
    let _keeper = open(&dir.0);
    let stats = Arc::new(Stats::default());
    let second = Keeper::open(Some(dir.0.clone()), Limits::default(), stats, NOW);
    assert!(matches!(second, Err(OpenError::InUse { .. })));
}

/// It was sound when it was opened.
#[test]
fn what_waited_in_a_journal_that_turns_out_to_be_corrupt_is_counted() {
    let dir = Dir::new("turns-corrupt");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[3, 2, 1]), NOW);
    for file in ["journal.sqlite3", "journal.sqlite3-wal"] {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(dir.0.join(file))
            .unwrap();
        let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
        file.seek(SeekFrom::Start(100)).unwrap();
        file.write_all(&vec![0xff; length.saturating_sub(100)])
            .unwrap();
    }
    keeper.journal.as_ref().unwrap().forget_cache();
    keeper.append(step(&[0]), NOW);
    assert!(keeper.stats.journal.trouble().is_some());
    keeper.append(step(&[-1]), NOW);
    assert_eq!(keeper.stats.dropped.get()["set_aside"], 3);
    assert_eq!(keeper.stats.journal.trouble(), None);
    assert_eq!(taken(&keeper.take(NOW + 60, REQUEST_MAX)), [-1, 0]);
    let names = fs::read_dir(&dir.0).unwrap();
    let mut names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.contains("corrupt")));
}

/// A part of the file is damaged: what waits in the rest of it is taken over.
#[test]
fn what_can_be_read_of_a_corrupt_journal_is_taken_over() {
    let dir = Dir::new("salvage");
    let mut keeper = open(&dir.0);
    let many: Vec<i64> = (1..=2_000).rev().collect();
    keeper.append(step(&many), NOW);
    keeper.close(NOW);
    let path = dir.0.join("journal.sqlite3");
    let length = fs::metadata(&path).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(length - 4_096)).unwrap();
    file.write_all(&[0xff; 4_096]).unwrap();
    // As if the program had not ended well: then the file is checked.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute("UPDATE journal SET clean = 0", [])
        .unwrap();
    drop(connection);
    let keeper = open(&dir.0);
    let saved = keeper.stats.outbox.load(Relaxed);
    assert!((1_000..2_000).contains(&saved), "{saved}");
}

/// More than memory may hold, and a disk that takes it.
#[test]
fn what_the_journal_takes_is_not_bounded_by_memory() {
    let dir = Dir::new("bounds");
    let mut keeper = open(&dir.0);
    let transition = |i: i64| journal::Transition {
        alarm: "a".into(),
        at: NOW + i,
        from: "OK".into(),
        to: "ALARM".into(),
        reason: String::new(),
        reason_data: None,
        certainty: "determined".into(),
    };
    let many: Vec<i64> = (1..=PENDING_MAX as i64 + 3).collect();
    keeper.append(
        Step {
            transitions: (0..1_000).map(transition).collect(),
            snapshot: Some(journal::Snapshot {
                at: NOW,
                pipeline: String::new(),
                alarms: Some([("a".into(), String::new())].into()),
            }),
            ..step(&many)
        },
        NOW,
    );
    assert_eq!(keeper.stats.outbox.load(Relaxed), PENDING_MAX as i64 + 3);
    assert_eq!(keeper.past(2_000).unwrap().transitions.len(), 1_000);
}

/// Published history goes before anything that is not.
#[test]
fn a_full_disk_takes_what_is_new_for_what_is_published() {
    let dir = Dir::new("give-up");
    let mut keeper = open(&dir.0);
    let mut old = step(&(1_000..3_000).collect::<Vec<i64>>());
    old.datapoints
        .iter_mut()
        .for_each(|(_, publish)| *publish = false);
    keeper.append(old, NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1);
    keeper.append(step(&(0..400).collect::<Vec<i64>>()), NOW);
    assert_eq!(keeper.stats.journal.trouble(), None);
    assert_eq!(keeper.stats.outbox.load(Relaxed), 400);
}

/// What had to go while the disk was full is not known after a restart, and that is known.
#[test]
fn a_journal_with_a_hole_is_not_complete() {
    let dir = Dir::new("hole");
    let (stats, begun) = (Arc::new(Stats::default()), NOW - 60 * 10_000);
    let place = Some(dir.0.clone());
    let mut keeper = Keeper::open(place, Limits::default(), stats, begun).unwrap();
    let snapshot = || journal::Snapshot {
        at: NOW,
        pipeline: String::new(),
        alarms: None,
    };
    keeper.append(step(&[9_000]), NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1);
    let many: Vec<i64> = (1..=PENDING_MAX as i64 + 100).collect();
    keeper.append(step(&many), NOW);
    assert_eq!(keeper.stats.dropped.get()["outbox_full"], 100);
    keeper.journal.as_mut().unwrap().limit_pages(1_000_000);
    let last = Step {
        snapshot: Some(snapshot()),
        ..Step::default()
    };
    keeper.append(last, NOW);
    let complete_since = keeper.past(0).unwrap().complete_since;
    assert_eq!((NOW - complete_since + 59) / 60, PENDING_MAX as i64 + 1);
    // Nor if it had to go before it came here.
    let later = Step {
        forgotten_until: Some(NOW),
        ..Step::default()
    };
    keeper.append(later, NOW);
    assert!(keeper.past(0).unwrap().complete_since > NOW - 1);
}

/// While the disk was full an answer was lost; then there is room, and the program is killed.
#[test]
fn what_may_have_arrived_goes_into_the_journal_too() {
    let dir = Dir::new("lost");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[500]), NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1);
    let many: Vec<i64> = (1..400).collect();
    keeper.append(step(&many), NOW);
    assert!(keeper.stats.journal.trouble().is_some());
    let batch = keeper.take(NOW, TWO);
    keeper.settle(&keys(&batch), Fate::AnswerLost, NOW);
    keeper.journal.as_mut().unwrap().limit_pages(1_000_000);
    keeper.append(step(&[0]), NOW);
    drop(keeper);
    let mut keeper = open(&dir.0);
    let all = keeper.take(NOW, REQUEST_MAX);
    assert_eq!(all.len(), 401);
    assert_eq!(
        all.iter().filter(|outgoing| outgoing.answer_lost).count(),
        2
    );
}

/// Nobody will say what became of it: it is written at the end as sent with its answer lost.
#[test]
fn what_is_in_flight_at_the_end_is_written() {
    let dir = Dir::new("in-flight");
    let place = dir.0.join("state");
    fs::write(&place, "").unwrap();
    let mut keeper = open(&place);
    keeper.append(step(&[1]), NOW);
    assert_eq!(keeper.take(NOW, TWO).len(), 1);
    fs::remove_file(&place).unwrap();
    let stats = Arc::clone(&keeper.stats);
    keeper.close(NOW);
    assert_eq!(stats.dropped.get()["shutdown"], 0);
    let batch = open(&place).take(NOW, TWO);
    assert!(
        matches!(batch.as_slice(), [outgoing] if outgoing.answer_lost),
        "{batch:?}"
    );
}

#[test]
fn what_is_in_flight_is_not_dropped_to_make_room() {
    let stats = Arc::new(Stats::default());
    let mut keeper = Keeper::open(None, Limits::default(), stats, NOW).unwrap();
    let many: Vec<i64> = (2..PENDING_MAX as i64 + 2).collect();
    keeper.append(step(&many), NOW);
    let batch = keeper.take(NOW, REQUEST_MAX);
    keeper.append(step(&[1]), NOW);
    keeper.settle(&keys(&batch), Fate::Accepted, NOW);
    let accepted = keeper.stats.published.load(Relaxed);
    assert_eq!(accepted, batch.len() as u64);
    assert_eq!(keeper.stats.dropped.get()["outbox_full"], 1);
}

/// An hour ahead once, and then the clock is right.
#[test]
fn the_newest_minute_is_that_of_the_clock_once_that_is_right() {
    let dir = Dir::new("ahead");
    let mut keeper = open(&dir.0);
    keeper.append(step(&[-60, 9, 8]), NOW);
    keeper.append(step(&[0]), NOW);
    assert_eq!(taken(&keeper.take(NOW, TWO)), [0, -60]);
}

/// Steps that the keeper had no room for go with the next one.
#[test]
fn steps_are_merged_within_bounds() {
    let mut all = step(&(1..=PENDING_MAX as i64).collect::<Vec<i64>>());
    let snapshot = |at: i64, alarms: Option<&str>| journal::Snapshot {
        at: NOW + at,
        pipeline: String::new(),
        alarms: alarms.map(|text| [("a".into(), text.into())].into()),
    };
    all.snapshot = Some(snapshot(0, Some("1")));
    let next = Step {
        snapshot: Some(snapshot(60, None)),
        log_events: vec![(NOW, String::new())],
        ..step(&[0, 0])
    };
    all.log_events = vec![(NOW, String::new()); PENDING_MAX];
    let forgotten = Forgotten {
        unpublished: 2,
        transitions: 0,
        log_events: 1,
    };
    assert_eq!(all.merge(next), forgotten);
    assert_eq!(all.forgotten_until, Some(NOW - 60));
    assert_eq!(all.datapoints.len(), PENDING_MAX);
    assert_eq!(all.snapshot, Some(snapshot(60, Some("1"))));
}

/// Whoever sends them takes those that no journal has; what nobody took is written once it can be, or counted.
#[test]
fn events_for_cloudwatch_logs_can_be_had_without_a_journal() {
    let events = |texts: &[&str]| -> Vec<(Timestamp, String)> {
        texts.iter().map(|text| (NOW, (*text).to_owned())).collect()
    };
    let stats = Arc::new(Stats::default());
    let mut keeper = Keeper::open(None, Limits::default(), Arc::clone(&stats), NOW).unwrap();
    keeper.log(events(&["one", "two"]), NOW);
    keeper.append(step(&[0]), NOW);
    assert_eq!(keeper.take_unkept_log_events(1, NOW), events(&["one"]));
    assert_eq!(keeper.take_unkept_log_events(9, NOW), events(&["two"]));
    keeper.log(events(&["three"]), NOW);
    keeper.close(NOW);
    assert_eq!(stats.logs.get().dropped[&("record", "shutdown")], 1);

    let dir = Dir::new("log-events");
    let mut keeper = open(&dir.0);
    keeper.log(events(&["four"]), NOW);
    assert_eq!(keeper.take_unkept_log_events(9, NOW), []);
    assert_eq!(keeper.log_events(0, 9).len(), 1);
}

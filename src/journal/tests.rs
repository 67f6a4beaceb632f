use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;
use crate::metric::{Dimension, Distribution, Metric, Resolution, StatisticSet, Unit};

/// The instant at which the tests begin: a minute.
pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_700_000_040);

pub(super) const ALWAYS: (Timestamp, Timestamp) =
    (Timestamp::MIN, Timestamp::from_seconds(i64::MAX));

/// A directory of its own, gone with the test.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "journal-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Relaxed)
        );
        let dir = std::env::temp_dir().join(name);
        // What an earlier process with this number left.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// What is on the disk at this moment, as a process that ended would leave it.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::new();
        for file in fs::read_dir(&self.0).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.0.join(file.file_name())).unwrap();
        }
        copy
    }

    pub(super) fn open(&self) -> Journal {
        let (journal, notes) = Journal::open(&self.0, Limits::default(), NOW).unwrap();
        assert_eq!(notes, []);
        journal
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join(open::FILE)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// `count` datapoints, one a minute from `start` on.
pub(super) fn minutes(start: Timestamp, count: i64) -> Vec<Datapoint> {
    let metric = Arc::new(Metric::new(
        "n",
        "m",
        vec![Dimension::new("InstanceId", "i-1")],
    ));
    let minute = |minute| {
        let mut values = Distribution::new();
        (0..60).for_each(|i| values.add(f64::from(i) + 0.123_456_7 * minute as f64, 1.0));
        let mut statistics = StatisticSet::EMPTY;
        values
            .values()
            .iter()
            .for_each(|(value, count)| statistics.merge(&StatisticSet::of(*value, *count)));
        Datapoint {
            metric: Arc::clone(&metric),
            unit: Unit::PERCENT,
            resolution: Resolution::Standard,
            start: start + 60 * minute,
            statistics,
            values: Some(values),
        }
    };
    (0..count).map(minute).collect()
}

pub(super) fn append(journal: &mut Journal, datapoints: &[Datapoint], publish: bool) -> Result<()> {
    let recorded: Vec<Recorded<'_>> = datapoints
        .iter()
        .map(|datapoint| Recorded {
            datapoint,
            publish,
            answer_lost: false,
        })
        .collect();
    journal.append(Append {
        datapoints: &recorded,
        ..Append::default()
    })
}

pub(super) fn all(journal: &Journal) -> Vec<Datapoint> {
    since(journal, Timestamp::MIN)
}

fn since(journal: &Journal, since: Timestamp) -> Vec<Datapoint> {
    let mut all = Vec::new();
    assert_eq!(
        journal
            .datapoints(since, |datapoint| all.push(datapoint))
            .unwrap(),
        0
    );
    all
}

pub(super) fn transition(alarm: &str, at: Timestamp) -> Transition {
    Transition {
        alarm: alarm.into(),
        at,
        from: "OK".into(),
        to: "ALARM".into(),
        reason: "Threshold Crossed: 1 datapoint".into(),
        reason_data: Some("{}".into()),
        certainty: "determined".into(),
    }
}

fn snapshot(at: i64, alarms: &[(&str, &str)]) -> Snapshot {
    Snapshot {
        at: NOW + at,
        pipeline: format!("pipeline at {at}"),
        alarms: Some(
            alarms
                .iter()
                .map(|(name, text)| ((*name).into(), (*text).into()))
                .collect(),
        ),
    }
}

#[test]
fn what_is_to_be_delivered_is_kept_with_what_brought_it_about() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let (new, kept) = (
        [
            ("a".to_owned(), Some("1".to_owned())),
            ("b".to_owned(), Some("2".to_owned())),
        ],
        [
            ("a".to_owned(), None),
            ("b".to_owned(), Some("3".to_owned())),
        ],
    );
    for deliveries in [&new[..], &kept[..], &[]] {
        let append = Append {
            deliveries,
            ..Append::default()
        };
        journal.append(append).unwrap();
    }
    drop(journal);
    let left = dir.open().deliveries().unwrap();
    assert!(
        left.iter().eq([(&"b".to_owned(), &"3".to_owned())]),
        "{left:?}"
    );
}

#[test]
fn history_is_in_order_of_start_across_pages_and_states() {
    let (dir, all_datapoints) = (Dir::new(), minutes(NOW, 1_000));
    let mut journal = dir.open();
    let (even, odd): (Vec<_>, Vec<_>) = all_datapoints
        .iter()
        .cloned()
        .partition(|datapoint| datapoint.start.seconds() % 120 == 0);
    append(&mut journal, &odd, true).unwrap();
    append(&mut journal, &even, false).unwrap();
    assert_eq!(all(&journal), all_datapoints);
    assert_eq!(since(&journal, NOW + 60 * 990), all_datapoints[990..]);
    assert_eq!(journal.waiting().count, odd.len());
}

#[test]
fn datapoints_of_one_start_are_all_read() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let alike = vec![minutes(NOW, 1).remove(0); 1_000];
    append(&mut journal, &alike, false).unwrap();
    assert_eq!(all(&journal), alike);
}

#[test]
fn a_row_that_cannot_be_read_is_left_out() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 3), true).unwrap();
    journal
        .connection
        .execute("UPDATE datapoint SET content = x'ff' WHERE id = 1", [])
        .unwrap();
    journal
        .connection
        .execute("UPDATE datapoint SET metric = 99 WHERE id = 3", [])
        .unwrap();
    let mut read = Vec::new();
    assert_eq!(
        journal
            .datapoints(NOW, |datapoint| read.push(datapoint))
            .unwrap(),
        2
    );
    assert_eq!(read, minutes(NOW, 3)[1..2]);
    let batch = journal.next_batch(NOW, ALWAYS, 10, 900_000).unwrap();
    assert_eq!((batch.outgoing.len(), batch.unreadable), (1, 2));
    assert_eq!(
        journal.dropped_by_reason().unwrap(),
        [("unreadable".into(), 2)]
    );
    assert_eq!(journal.waiting().count, 1);
}

#[test]
fn a_snapshot_takes_the_place_of_the_one_before() {
    let dir = Dir::new();
    let mut journal = dir.open();
    assert_eq!(journal.past(0).unwrap(), None);
    let snapshots = [
        snapshot(0, &[("a", "1"), ("b", "2")]),
        snapshot(60, &[("b", "3"), ("c", "4")]),
        snapshot(120, &[]),
    ];
    for snapshot in &snapshots {
        let append = Append {
            snapshot: Some(snapshot),
            ..Append::default()
        };
        journal.append(append).unwrap();
        let past = journal.past(0).unwrap().unwrap();
        assert_eq!(past.snapshot, *snapshot);
    }
}

#[test]
fn the_past_has_the_latest_transitions_of_each_alarm() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let transitions = [("a", 0), ("b", 1), ("gone", 2), ("a", 3), ("a", 4)]
        .map(|(alarm, at)| transition(alarm, NOW + at));
    journal
        .append(Append {
            transitions: &transitions,
            snapshot: Some(&snapshot(60, &[("a", ""), ("b", ""), ("c", "")])),
            ..Append::default()
        })
        .unwrap();
    let reader = Reader::open(&dir.0).unwrap();
    for past in [journal.past(2).unwrap(), reader.past(2).unwrap()] {
        let [_, b, _, before, last] = transitions.clone();
        assert_eq!(past.unwrap().transitions, [before, last, b]);
    }
}

#[test]
fn a_journal_tells_since_when_it_is_complete() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let complete_since = |journal: &mut Journal| {
        let snapshot = snapshot(0, &[]);
        let append = Append {
            snapshot: Some(&snapshot),
            ..Append::default()
        };
        journal.append(append).unwrap();
        journal.past(0).unwrap().unwrap().complete_since
    };
    assert_eq!(complete_since(&mut journal), NOW);
    append(&mut journal, &minutes(NOW, 10), false).unwrap();
    let day = Duration::from_hours(24);
    journal.set_limits(Limits {
        max_age: day,
        ..Limits::default()
    });
    journal.prune(NOW + 86_400 + 150, Clock::Right).unwrap();
    let pruned = Timestamp::from_milliseconds((NOW + 120).milliseconds() + 1);
    assert_eq!(complete_since(&mut journal), pruned);
    journal.close().unwrap();
    // It was begun by a clock that was ahead.
    let before = NOW - 3_600;
    let (mut journal, _) = Journal::open(&dir.0, Limits::default(), before).unwrap();
    assert_eq!(complete_since(&mut journal), before);
}

#[test]
fn a_full_disk_leaves_the_journal_as_it_was_and_usable() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let (first, second) = (minutes(NOW, 100), minutes(NOW + 6_000, 900));
    append(&mut journal, &first, true).unwrap();
    let pages = |journal: &Journal, pages: i64| {
        journal
            .connection
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    };
    pages(&journal, 20);
    assert!(matches!(
        append(&mut journal, &second, true),
        Err(Error::Full(_))
    ));
    assert_eq!(journal.waiting().count, 100);
    assert_eq!(all(&journal), first);
    pages(&journal, 1_000_000);
    append(&mut journal, &second, true).unwrap();
    assert_eq!(all(&journal), [first, second].concat());
}

#[test]
fn a_reader_reads_while_the_writer_writes() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 600), true).unwrap();
    let reader = Reader::open(&dir.0).unwrap();
    let (mut read, mut written) = (0, 0);
    reader
        .datapoints(NOW, |_| {
            read += 1;
            if read % 100 == 0 {
                append(&mut journal, &minutes(NOW - 60, 1), true).unwrap();
                written += 1;
            }
        })
        .unwrap();
    assert_eq!((read, written), (600, 6));
    read = 0;
    reader.datapoints(Timestamp::MIN, |_| read += 1).unwrap();
    assert_eq!(read, 606);
    assert_eq!(reader.past(1).unwrap(), None);
}

#[test]
fn a_reader_needs_a_journal() {
    let dir = Dir::new();
    let is_missing = |dir: &Path| matches!(Reader::open(dir), Err(OpenError::Missing { .. }));
    assert!(is_missing(&dir.0));
    fs::write(dir.file(), "").unwrap();
    assert!(is_missing(&dir.0));
}

fn text() -> impl Strategy<Value = String> {
    let any_text = prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter);
    prop_oneof!["[A-Za-z0-9/_.-]{1,30}", any_text]
}

fn metrics() -> impl Strategy<Value = Metric> {
    let dimensions = prop::collection::vec(
        (text(), text()).prop_map(|(name, value)| Dimension { name, value }),
        0..4,
    );
    (text(), text(), dimensions)
        .prop_map(|(namespace, name, dimensions)| Metric::new(namespace, name, dimensions))
}

fn number() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        1.0,
        0.1,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        9_007_199_254_740_993.0,
    ]);
    let decimal = (-1_000_000..1_000_000_i32).prop_map(|n| f64::from(n) / 100.0);
    prop_oneof![
        special,
        decimal,
        prop::num::f64::NORMAL | prop::num::f64::NEGATIVE
    ]
}

fn set() -> impl Strategy<Value = StatisticSet> {
    let set = (number(), number(), number(), number()).prop_map(
        |(sample_count, sum, minimum, maximum)| StatisticSet {
            sample_count,
            sum,
            minimum,
            maximum,
        },
    );
    prop_oneof![Just(StatisticSet::EMPTY), set]
}

/// Values with counts, and either the set that they add up to or any other.
fn contents() -> impl Strategy<Value = (StatisticSet, Option<Distribution>)> {
    let count = prop_oneof![
        Just(1.0),
        (1..1_000_000_u32).prop_map(f64::from),
        0.0..1e300_f64
    ];
    let values = prop::collection::vec((number(), count), 0..150);
    let summed = |values: &[(f64, f64)]| {
        let mut set = StatisticSet::EMPTY;
        for (value, count) in values {
            set.merge(&StatisticSet::of(*value, *count));
        }
        set
    };
    (values, set(), any::<bool>(), 0..4).prop_map(move |(values, other, any_set, kind)| {
        let mut distribution = Distribution::new();
        for (value, count) in &values {
            distribution.add(*value, *count);
        }
        let set = if any_set { other } else { summed(&values) };
        (set, (kind > 0).then_some(distribution))
    })
}

fn datapoints() -> impl Strategy<Value = Vec<Datapoint>> {
    let unit =
        prop::sample::select(Unit::NAMES.to_vec()).prop_map(|name| Unit::from_name(name).unwrap());
    let resolution = prop::sample::select(vec![
        Resolution::High,
        Resolution::Standard,
        Resolution::Basic,
    ]);
    let start =
        prop_oneof![0..4_000_000_000_000_i64, any::<i64>()].prop_map(Timestamp::from_milliseconds);
    let datapoint = (metrics(), unit, resolution, start, contents()).prop_map(
        |(metric, unit, resolution, start, (statistics, values))| Datapoint {
            metric: Arc::new(metric),
            unit,
            resolution,
            start,
            statistics,
            values,
        },
    );
    prop::collection::vec(datapoint, 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_datapoint_comes_back_from_history_and_outbox(mut datapoints in datapoints()) {
        // Bit by bit, for a sum may be no number when infinities are added.
        let bits = |datapoints: &[Datapoint]| format!("{datapoints:?}");
        let dir = Dir::new();
        let mut journal = dir.open();
        append(&mut journal, &datapoints, true).unwrap();
        let journal = { journal.close().unwrap(); dir.open() };
        datapoints.sort_by_key(|datapoint| datapoint.start);
        prop_assert_eq!(bits(&all(&journal)), bits(&datapoints));
        let mut journal = journal;
        let batch = journal.next_batch(Timestamp::MIN, ALWAYS, 1_000, usize::MAX).unwrap();
        let sent: Vec<Datapoint> = batch.outgoing.into_iter().map(|outgoing| outgoing.datapoint).collect();
        prop_assert_eq!(bits(&sent), bits(&datapoints));
    }
}

/// What is to be written to CloudWatch Logs waits in order, within its bound, until it is told to be written.
#[test]
fn log_events_wait_until_they_are_written() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let events: Vec<(Timestamp, String)> = (0..3).map(|it| (NOW + it, it.to_string())).collect();
    let append = Append {
        log_events: &events,
        ..Append::default()
    };
    journal.append(append).unwrap();
    let mut progress = LogProgress {
        positions: [("a".to_owned(), Some("1".to_owned()))].into(),
        written: None,
    };
    journal.log_progress(&progress).unwrap();
    drop(journal);
    let mut journal = dir.open();
    assert_eq!(journal.log_positions().unwrap()["a"], "1");
    let waiting = journal.log_events(0, 2).unwrap();
    let texts: Vec<&str> = waiting.iter().map(|event| &*event.message).collect();
    assert_eq!(texts, ["0", "1"]);
    progress = LogProgress {
        positions: [("a".to_owned(), None)].into(),
        written: Some(waiting[1].id),
    };
    journal.log_progress(&progress).unwrap();
    assert!(journal.log_positions().unwrap().is_empty());
    assert_eq!(journal.log_events(0, 9).unwrap()[0].at, NOW + 2);
    let many = vec![(NOW, String::new()); usize::try_from(LOG_EVENTS_MAX).unwrap()];
    let append = Append {
        log_events: &many,
        ..Append::default()
    };
    journal.append(append).unwrap();
    assert_eq!(journal.take_log_events_lost(), 1);
    assert_eq!(journal.log_events(0, 1).unwrap()[0].at, NOW);
}

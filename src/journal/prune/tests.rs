use std::time::Duration;

use super::super::tests::{ALWAYS, Dir, NOW, all, append, minutes, transition};
use super::super::{Append, Id, LogProgress, RECORD_POSITION};
use super::*;

const DAY: i64 = 86_400;
const SIZE: u64 = 8_000_000;

fn limits(max_size: u64) -> Limits {
    Limits {
        max_age: Duration::from_hours(15 * 24),
        max_size,
    }
}

/// Prunes until the limits are kept.
fn prune(journal: &mut Journal, now: Timestamp) -> Pruned {
    let mut all = Pruned::default();
    loop {
        let pruned = journal.prune(now, Clock::Right).unwrap();
        all.published += pruned.published;
        all.unpublished += pruned.unpublished;
        all.transitions += pruned.transitions;
        all.log_events += pruned.log_events;
        all.old_log_events += pruned.old_log_events;
        if !pruned.more {
            return all;
        }
    }
}

fn publish_all(journal: &mut Journal) {
    loop {
        let batch = journal.next_batch(NOW, ALWAYS, 1_000, usize::MAX).unwrap();
        let ids: Vec<Id> = batch.outgoing.iter().map(|outgoing| outgoing.id).collect();
        if ids.is_empty() {
            return;
        }
        journal.accepted(&ids).unwrap();
    }
}

fn transitions(journal: &mut Journal, starts: impl Iterator<Item = i64>) {
    let transitions: Vec<_> = starts.map(|start| transition("a", NOW + start)).collect();
    journal
        .append(Append {
            transitions: &transitions,
            ..Append::default()
        })
        .unwrap();
}

fn file_length(dir: &Dir) -> u64 {
    std::fs::metadata(dir.file()).unwrap().len()
}

#[test]
fn what_is_too_old_goes_whatever_it_is() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 6_000), false).unwrap();
    append(&mut journal, &minutes(NOW, 300), true).unwrap();
    transitions(&mut journal, (0..300).map(|minute| 60 * minute));
    assert_eq!(
        journal.prune(NOW + 15 * DAY, Clock::Right).unwrap(),
        Pruned::default()
    );
    let first = journal
        .prune(NOW + 15 * DAY + 60 * 5_000, Clock::Right)
        .unwrap();
    assert!(first.more && first.published < 5_000, "{first:?}");
    let rest = prune(&mut journal, NOW + 15 * DAY + 60 * 5_000);
    assert_eq!(first.published + rest.published, 5_000);
    assert_eq!(first.unpublished + rest.unpublished, 300);
    assert_eq!(first.transitions + rest.transitions, 300);
    assert_eq!(all(&journal).len(), 1_000);
    assert_eq!(journal.waiting().count, 0);
    assert_eq!(
        journal.dropped_by_reason().unwrap(),
        [("pruned".into(), 300)]
    );
}

#[test]
fn published_history_goes_entirely_before_anything_unpublished() {
    for unpublished_first in [true, false] {
        let dir = Dir::new();
        let mut journal = dir.open();
        let (early, late) = (minutes(NOW, 4_000), minutes(NOW + 60 * 4_000, 4_000));
        let (published, unpublished) = if unpublished_first {
            (late, early)
        } else {
            (early, late)
        };
        append(&mut journal, &published, true).unwrap();
        publish_all(&mut journal);
        append(&mut journal, &unpublished, true).unwrap();
        transitions(&mut journal, (0..8_000).map(|minute| 60 * minute));

        journal.set_limits(limits(SIZE));
        let pruned = prune(&mut journal, NOW + DAY);
        assert!((1..4_000).contains(&pruned.published), "{pruned:?}");
        assert_eq!((pruned.unpublished, journal.waiting().count), (0, 4_000));
        let kept = published[0].start..=published[3_999].start;
        let mut left = all(&journal);
        left.retain(|datapoint| kept.contains(&datapoint.start));
        assert_eq!(left, published[pruned.published..], "the oldest goes first");

        journal.set_limits(limits(2_000_000));
        let pruned = prune(&mut journal, NOW + DAY);
        assert!((1..4_000).contains(&pruned.unpublished), "{pruned:?}");
        assert_eq!(all(&journal), unpublished[pruned.unpublished..]);
        let left: i64 = journal
            .connection
            .query_row("SELECT count(*) FROM transition", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
        let waiting = journal.waiting();
        assert_eq!(waiting.count, 4_000 - pruned.unpublished);
        assert_eq!(waiting.oldest, Some(unpublished[pruned.unpublished].start));
    }
}

#[test]
fn what_is_in_flight_stays() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 4_000), true).unwrap();
    let batch = journal.next_batch(NOW, ALWAYS, 10, usize::MAX).unwrap();
    let ids: Vec<Id> = batch.outgoing.iter().map(|outgoing| outgoing.id).collect();
    journal.mark_in_flight(&ids).unwrap();
    journal.set_limits(limits(0));
    assert_eq!(prune(&mut journal, NOW).unpublished, 3_990);
    assert_eq!(journal.accepted(&ids).unwrap(), 10);
}

#[test]
fn the_file_becomes_smaller() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 20_000), false).unwrap();
    journal
        .connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let before = file_length(&dir);
    assert!(before > 10_000_000);
    journal.set_limits(limits(SIZE));
    prune(&mut journal, NOW);
    journal
        .connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    assert!(file_length(&dir) <= SIZE, "{}", file_length(&dir));
    assert!(file_length(&dir) > SIZE / 4);
    prune(&mut journal, NOW + 20 * DAY + 60 * 20_000);
    journal.close().unwrap();
    assert!(file_length(&dir) <= SIZE, "{}", file_length(&dir));
}

#[test]
fn the_bound_on_the_size_holds_while_datapoints_come() {
    const MAX: u64 = 12_000_000;
    let dir = Dir::new();
    let mut journal = dir.open();
    journal.set_limits(limits(MAX));
    for minute in 0..400 {
        append(
            &mut journal,
            &minutes(NOW + 6_000 * minute, 100),
            minute % 2 == 0,
        )
        .unwrap();
        journal.prune(NOW, Clock::Right).unwrap();
        assert!(journal.size() <= MAX, "{} after {minute}", journal.size());
    }
    assert!(journal.size() > MAX / 2, "{}", journal.size());
    let waiting = journal.waiting();
    assert_eq!(waiting.newest, Some(NOW + 6_000 * 398 + 60 * 99));
}

#[test]
fn a_metric_goes_with_its_last_datapoint() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let metrics = |journal: &Journal| -> i64 {
        journal
            .connection
            .query_row("SELECT count(*) FROM metric", [], |row| row.get(0))
            .unwrap()
    };
    let mut other = minutes(NOW + DAY + 60, 1).remove(0);
    other.unit = crate::metric::Unit::NONE;
    append(&mut journal, &minutes(NOW, 1), false).unwrap();
    append(&mut journal, &[other.clone()], false).unwrap();
    append(&mut journal, &minutes(NOW + 3 * DAY, 1), false).unwrap();
    assert_eq!(metrics(&journal), 2);
    prune(&mut journal, NOW + 15 * DAY + 1);
    assert_eq!((metrics(&journal), all(&journal).len()), (2, 2));
    prune(&mut journal, NOW + 17 * DAY);
    assert_eq!(all(&journal), minutes(NOW + 3 * DAY, 1));
    assert_eq!(metrics(&journal), 1);
    other.start = NOW + 4 * DAY;
    append(&mut journal, &[other], false).unwrap();
    assert_eq!((metrics(&journal), all(&journal).len()), (2, 2));
}

/// However short the limit is.
#[test]
fn what_cloudwatch_would_take_is_not_removed_for_its_age() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 5), false).unwrap();
    append(&mut journal, &minutes(NOW, 5), true).unwrap();
    journal.set_limits(Limits {
        max_age: Duration::from_hours(1),
        ..Limits::default()
    });
    let pruned = prune(&mut journal, NOW + 13 * DAY);
    assert_eq!((pruned.published, pruned.unpublished), (5, 0));
    assert_eq!(prune(&mut journal, NOW + 15 * DAY).unpublished, 5);
}

fn log_events(journal: &mut Journal, at: Timestamp, count: usize) {
    let events = vec![(at, "x".repeat(1_000)); count];
    journal
        .append(Append {
            log_events: &events,
            ..Append::default()
        })
        .unwrap();
}

/// Of what waits for CloudWatch Logs there may be more than there is room for, and none of it outlives what is taken.
#[test]
fn events_go_before_datapoints_that_wait_and_once_they_are_too_old() {
    let dir = Dir::new();
    let mut journal = Journal::open(&dir.0, limits(SIZE), NOW).unwrap().0;
    append(&mut journal, &minutes(NOW, 3_000), true).unwrap();
    log_events(&mut journal, NOW, 20_000);
    let pruned = prune(&mut journal, NOW);
    assert_eq!(pruned.unpublished, 0);
    assert!((1..20_000).contains(&pruned.log_events), "{pruned:?}");
    let first = journal.log_events(0, 1).unwrap()[0].id;
    assert_eq!(first, i64::try_from(pruned.log_events).unwrap() + 1);

    let dir = Dir::new();
    let mut journal = dir.open();
    log_events(&mut journal, NOW, 300);
    log_events(&mut journal, NOW + 2, 1);
    let later = NOW + AGE_MAX + 1;
    assert_eq!(
        journal.prune(later, Clock::Steady).unwrap(),
        Pruned::default()
    );
    // Nobody knows yet what became of the first ten.
    let position = |text: Option<&str>| LogProgress {
        positions: [(RECORD_POSITION.to_owned(), text.map(str::to_owned))].into(),
        written: None,
    };
    journal.log_progress(&position(Some("10"))).unwrap();
    let pruned = prune(&mut journal, later);
    assert_eq!((pruned.old_log_events, pruned.log_events), (290, 0));
    assert_eq!(journal.log_events(0, 20).unwrap().len(), 11);
    journal.log_progress(&position(None)).unwrap();
    assert_eq!(prune(&mut journal, later).old_log_events, 10);
    assert_eq!(journal.log_events(0, 20).unwrap().len(), 1);
}

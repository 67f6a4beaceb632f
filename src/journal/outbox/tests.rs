use super::super::tests::{ALWAYS, Dir, NOW, all, append, minutes};
use super::super::{Limits, Note};
use super::*;

const DATUMS: usize = 1_000;
const BYTES: usize = 900_000;

fn starts(batch: &Batch) -> Vec<i64> {
    let minute = |outgoing: &Outgoing| (outgoing.datapoint.start - NOW) / 60;
    batch.outgoing.iter().map(minute).collect()
}

fn ids(batch: &Batch) -> Vec<Id> {
    batch.outgoing.iter().map(|outgoing| outgoing.id).collect()
}

fn lost(batch: &Batch) -> Vec<bool> {
    batch
        .outgoing
        .iter()
        .map(|outgoing| outgoing.answer_lost)
        .collect()
}

fn next(journal: &mut Journal, datums: usize) -> Batch {
    journal
        .next_batch(NOW + 60 * 4, ALWAYS, datums, BYTES)
        .unwrap()
}

#[test]
fn the_current_minute_goes_first_then_the_oldest() {
    let dir = Dir::new();
    let mut journal = dir.open();
    for minute in [3, 4, 0, 5, 2, 4, 1] {
        append(&mut journal, &minutes(NOW + 60 * minute, 1), true).unwrap();
    }
    append(&mut journal, &minutes(NOW, 5), false).unwrap();
    assert_eq!(starts(&next(&mut journal, DATUMS)), [4, 4, 5, 0, 1, 2, 3]);
    assert_eq!(starts(&next(&mut journal, 2)), [4, 4]);
    let waiting = Waiting {
        count: 7,
        oldest: Some(NOW),
        newest: Some(NOW + 300),
    };
    assert_eq!(journal.waiting(), waiting);
}

#[test]
fn a_batch_keeps_to_the_limits_but_is_never_stuck() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 1_500), true).unwrap();
    let mut len = |datums, bytes| {
        journal
            .next_batch(NOW, ALWAYS, datums, bytes)
            .unwrap()
            .outgoing
            .len()
    };
    assert_eq!(len(DATUMS, BYTES), 670, "of 1,342 bytes each");
    assert_eq!(len(100, BYTES), 100);
    assert_eq!(len(DATUMS, 1), 1);
    assert_eq!(len(0, BYTES), 0);
}

#[test]
fn what_is_in_flight_is_not_given_twice() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 4), true).unwrap();
    let first = next(&mut journal, 2);
    assert_eq!(journal.mark_in_flight(&ids(&first)).unwrap(), 2);
    let second = next(&mut journal, DATUMS);
    assert_eq!((starts(&first), starts(&second)), (vec![0, 1], vec![2, 3]));
    journal.mark_in_flight(&ids(&second)).unwrap();
    assert_eq!(next(&mut journal, DATUMS), Batch::default());
    assert_eq!(journal.waiting().count, 4);

    assert_eq!(journal.accepted(&ids(&second)).unwrap(), 2);
    assert_eq!(
        journal.accepted(&ids(&second)).unwrap(),
        0,
        "they are settled"
    );
    assert_eq!(journal.not_sent(&ids(&second)).unwrap(), 0);
    assert_eq!(journal.not_sent(&ids(&first)).unwrap(), 2);
    assert_eq!(lost(&next(&mut journal, DATUMS)), [false, false]);
    let waiting = Waiting {
        count: 2,
        oldest: Some(NOW),
        newest: Some(NOW + 60),
    };
    assert_eq!(journal.waiting(), waiting);
    assert_eq!(all(&journal), minutes(NOW, 4), "everything is history");
}

#[test]
fn a_lost_answer_is_remembered_until_one_comes() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 1), true).unwrap();
    let sent = ids(&next(&mut journal, DATUMS));
    for back in [
        Journal::answer_lost,
        Journal::not_sent,
        Journal::answer_lost,
    ] {
        journal.mark_in_flight(&sent).unwrap();
        assert_eq!(back(&mut journal, &sent).unwrap(), 1);
        assert_eq!(lost(&next(&mut journal, DATUMS)), [true]);
    }
    assert_eq!(journal.accepted(&sent).unwrap(), 1);
    assert_eq!(journal.waiting(), Waiting::default());
}

#[test]
fn the_end_of_the_process_loses_answers_and_nothing_else() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 5), true).unwrap();
    let batch = ids(&next(&mut journal, 4));
    journal.accepted(&batch[..1]).unwrap();
    journal.mark_in_flight(&batch[1..3]).unwrap();
    for dir in [dir.copy(), {
        drop(journal);
        dir
    }] {
        let (mut journal, notes) = Journal::open(&dir.0, Limits::default(), NOW).unwrap();
        assert_eq!(notes, [Note::AnswersLost(2)]);
        assert_eq!(all(&journal), minutes(NOW, 5));
        assert_eq!(journal.waiting().count, 4);
        let again = next(&mut journal, DATUMS);
        assert_eq!(starts(&again), [0, 1, 2, 3]);
        assert_eq!(lost(&again), [true, true, false, false]);
        assert_eq!(journal.accepted(&batch[1..2]).unwrap(), 1, "ids stay good");
    }
}

#[test]
fn what_is_dropped_is_history_and_counted() {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 3), true).unwrap();
    let batch = ids(&next(&mut journal, 2));
    assert_eq!(journal.dropped(&batch, "rejected").unwrap(), 2);
    assert_eq!(journal.dropped(&batch, "rejected").unwrap(), 0);
    assert_eq!(starts(&next(&mut journal, DATUMS)), [2]);
    assert_eq!(
        journal.dropped_by_reason().unwrap(),
        [("rejected".into(), 2)]
    );
    assert_eq!(all(&journal).len(), 3);
}

#[test]
fn ids_of_another_file_change_nothing() {
    let (first, second) = (Dir::new(), Dir::new());
    let mut journal = first.open();
    append(&mut journal, &minutes(NOW, 1), true).unwrap();
    let sent = ids(&next(&mut journal, DATUMS));
    let (mut journal, _) = Journal::open(&second.0, Limits::default(), NOW + 1).unwrap();
    append(&mut journal, &minutes(NOW, 1), true).unwrap();
    assert_eq!(journal.accepted(&sent).unwrap(), 0);
    assert_eq!(journal.waiting().count, 1);
}

#[test]
fn what_cloudwatch_would_not_take_is_dropped() {
    let dir = Dir::new();
    let mut journal = dir.open();
    let now = NOW + AGE_MAX + 60 * 1_500;
    append(&mut journal, &minutes(NOW, 1_502), true).unwrap();
    append(&mut journal, &minutes(now + AHEAD_MAX, 3), true).unwrap();
    let in_flight = ids(&journal.next_batch(now, ALWAYS, 2, BYTES).unwrap())[..1].to_vec();
    journal.mark_in_flight(&in_flight).unwrap();
    let dropped = OutOfRange {
        too_old: 1_500,
        too_far_ahead: 2,
    };
    assert_eq!(journal.drop_too_old(now).unwrap(), dropped);
    assert_eq!(journal.drop_too_old(now).unwrap(), OutOfRange::default());
    assert_eq!(journal.waiting().count, 3);
    let reasons = [("too_far_ahead".into(), 2), ("too_old".into(), 1_500)];
    assert_eq!(journal.dropped_by_reason().unwrap(), reasons);
    assert_eq!(all(&journal).len(), 1_505);
    assert_eq!(
        journal.drop_too_old(now + 180).unwrap(),
        OutOfRange {
            too_old: 2,
            too_far_ahead: 0
        }
    );
    let long_after = now + AHEAD_MAX + AGE_MAX + 60;
    assert_eq!(
        journal.drop_too_old(long_after).unwrap(),
        OutOfRange::default(),
        "it is in flight"
    );
    journal.not_sent(&in_flight).unwrap();
    assert_eq!(journal.drop_too_old(long_after).unwrap().too_old, 1);
}

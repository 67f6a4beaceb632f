use proptest::prelude::*;

use super::super::batch::BYTES_MAX;
use super::*;
use crate::config::{LogTarget, StartAt};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A section of a configuration.
pub(in crate::logs) fn files() -> LogFiles {
    LogFiles {
        target: LogTarget {
            group: "g".to_owned(),
            stream: "s".to_owned(),
            retention: None,
            tags: Vec::new(),
        },
        paths: Vec::new(),
        exclude_paths: Vec::new(),
        multi_line_start: None,
        timestamp_format: None,
        timezone: "UTC".to_owned(),
        filter: LogFilter::default(),
        start_at: StartAt::Beginning,
    }
}

fn take(files: &LogFiles, text: &[u8], place: Place, end: End) -> Taken {
    let mut rules = Rules::new(files);
    let mut assembler = Assembler::new(&mut rules, place, NOW, BYTES_MAX);
    let start = usize::try_from(place.offset).unwrap();
    assembler.feed(&text[start..]);
    assembler.end(end)
}

fn messages(taken: Taken) -> Vec<String> {
    let events = taken.batch.into_events().into_iter();
    events.map(|event| event.message).collect()
}

#[test]
fn a_line_is_an_event_once_it_has_its_end() {
    let text = b"one\r\n\ntwo\nthr";
    let taken = take(&files(), text, Place::default(), End::Quiet);
    assert_eq!(taken.place.offset, 10);
    assert_eq!(messages(taken), ["one", "two"]);
    let taken = take(&files(), text, Place::default(), End::Closed);
    assert_eq!(taken.place.offset, 13);
    assert_eq!(messages(taken), ["one", "two", "thr"]);
}

#[test]
fn lines_go_with_the_one_that_begins_their_event() {
    let text = b"  lost\n2027-01-15T07:59:00Z boom\n  at a\n  at b\n2027-01-15T07:59:01Z next\n";
    let multi = LogFiles {
        multi_line_start: Some(TIMESTAMP.to_owned()),
        timestamp_format: Some("rfc3339".to_owned()),
        ..files()
    };
    let open = take(&multi, text, Place::default(), End::Open);
    assert_eq!(open.place.offset, 47, "the last may go on");
    let expected = ["2027-01-15T07:59:00Z boom\n  at a\n  at b", "  lost"];
    assert_eq!(messages(open), expected, "in the order of time");
    let quiet = take(&multi, text, Place::default(), End::Quiet);
    assert_eq!(quiet.place.offset, text.len() as u64);
    let events = quiet.batch.into_events();
    assert_eq!(events[1].message, "2027-01-15T07:59:01Z next");
    assert_eq!(events[1].at, NOW - 59);
    let by_pattern = LogFiles {
        multi_line_start: Some("^[0-9]{4}-".to_owned()),
        ..files()
    };
    let quiet = take(&by_pattern, text, Place::default(), End::Quiet);
    assert_eq!(messages(quiet).len(), 3);
}

#[test]
fn what_is_too_old_or_ahead_or_not_wanted_is_counted_and_passed() {
    let text = b"2026-12-01T00:00:00Z old\n2027-01-16T07:59:00Z new\n2027-01-15T07:59:00Z debug\n2027-01-15T07:59:00Z info\n";
    let files = LogFiles {
        timestamp_format: Some("rfc3339".to_owned()),
        filter: LogFilter {
            include: vec!["[a-z]".to_owned()],
            exclude: vec!["debug".to_owned()],
        },
        ..files()
    };
    let taken = take(&files, text, Place::default(), End::Open);
    let expected = Counts {
        filtered: 1,
        too_old: 1,
        too_new: 1,
        ..Counts::default()
    };
    assert_eq!(taken.counts, expected);
    assert_eq!(taken.place.offset, text.len() as u64);
    assert_eq!(messages(taken), ["2027-01-15T07:59:00Z info"]);
}

#[test]
fn of_a_line_that_is_too_long_the_start_is_sent_once() {
    let mut text = vec![b'x'; EVENT_MAX + 10];
    let first = take(&files(), &text, Place::default(), End::Open);
    let place = first.place;
    assert!(place.is_inside);
    assert_eq!(place.offset, text.len() as u64);
    assert_eq!((first.batch.len(), first.counts.too_long), (1, 1));
    text.extend(b"yyy\nnext\n");
    let second = take(&files(), &text, place, End::Open);
    assert_eq!(second.place.offset, text.len() as u64);
    assert!(!second.place.is_inside);
    assert_eq!(messages(second), ["next"]);
}

#[test]
fn what_is_no_text_is_replaced_and_counted() {
    let taken = take(&files(), b"a\xffb\nfine\n", Place::default(), End::Open);
    assert_eq!(taken.counts.invalid_utf8, 1);
    assert_eq!(messages(taken), ["a\u{fffd}b", "fine"]);
}

/// What does not fit any more is whole in the next batch, also where nothing else is to come.
#[test]
fn a_full_batch_ends_between_events() {
    let multi = LogFiles {
        multi_line_start: Some("^a".to_owned()),
        ..files()
    };
    let long = format!("a{}", "x".repeat(300_000));
    let text = format!("{long}\na\n b\n").repeat(20);
    let (mut place, mut found) = (Place::default(), Vec::new());
    while place.offset < text.len() as u64 {
        let taken = take(&multi, text.as_bytes(), place, End::Quiet);
        assert!(taken.place.offset > place.offset);
        place = taken.place;
        found.extend(messages(taken));
    }
    // Those without a time have that of the reading.
    let lengths: Vec<usize> = found.iter().map(String::len).collect();
    assert_eq!(lengths, [300_001, 4].repeat(20));
}

proptest! {
    /// However a file is cut into readings, and wherever each begins anew, the events are the same.
    #[test]
    fn readings_in_parts_find_what_one_reading_finds(
        text in proptest::collection::vec(prop::sample::select(b"ab\n\n \xff".to_vec()), 0..200),
        cuts in proptest::collection::vec(0..200_usize, 0..6),
        is_multi in any::<bool>(),
    ) {
        let files = LogFiles {
            multi_line_start: is_multi.then(|| "^a".to_owned()),
            ..files()
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let (mut place, mut found) = (Place::default(), Vec::new());
        for cut in cuts {
            if cut as u64 >= place.offset {
                let taken = take(&files, &text[..cut], place, End::Open);
                place = taken.place;
                found.extend(messages(taken));
            }
        }
        let last = take(&files, &text, place, End::Closed);
        prop_assert_eq!(last.place.offset, text.len() as u64);
        found.extend(messages(last));
        let whole = take(&files, &text, Place::default(), End::Closed);
        prop_assert_eq!(found, messages(whole));
    }
}

/// A program that stops to write times is not for ever taken to speak of the last one.
#[test]
fn the_time_before_reaches_no_further_than_the_next_reading() {
    let files = LogFiles {
        timestamp_format: Some("rfc3339".to_owned()),
        ..files()
    };
    let text = b"2027-01-15T07:59:00Z boom\n  at a\n  at b\n  at c\n";
    let first = take(&files, &text[..26], Place::default(), End::Open);
    let second = take(&files, &text[..33], first.place, End::Open);
    let third = take(&files, &text[..40], second.place, End::Open);
    let fourth = take(&files, text, third.place, End::Open);
    let at = |taken: Taken| taken.batch.into_events()[0].at;
    assert_eq!([at(second), at(third), at(fourth)], [NOW - 60, NOW, NOW]);
}

/// However many lines are too much for one event.
#[test]
fn an_event_that_is_too_long_is_counted_once() {
    let files = LogFiles {
        multi_line_start: Some("^\\S".to_owned()),
        ..files()
    };
    let text = format!(
        "start\n{}next\n",
        format!(" {}\n", "x".repeat(999)).repeat(1_100)
    );
    let taken = take(&files, text.as_bytes(), Place::default(), End::Quiet);
    assert_eq!((taken.batch.len(), taken.counts.too_long), (1, 1));
}

/// What did not go into a batch is counted with the next one.
#[test]
fn what_is_read_again_is_counted_once() {
    let line = format!("{}\u{e9}\n", "x".repeat(EVENT_MAX));
    let text = [line.as_bytes(), line.as_bytes(), b"\xff\nend\n"].concat();
    let (mut place, mut counts) = (Place::default(), Vec::new());
    while place.offset < text.len() as u64 {
        let taken = take(&files(), &text, place, End::Quiet);
        place = taken.place;
        counts.push((taken.counts.too_long, taken.counts.invalid_utf8));
    }
    assert_eq!(counts, [(1, 0), (1, 0), (0, 1)]);
}

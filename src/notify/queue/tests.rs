//! Deliveries over time.

use super::*;

use crate::alarm::StateValue;
use crate::config::{Recipient, When};

/// What is told of an alarm that entered a state at a second.
pub(in crate::notify) fn delivery(alarm: &str, state: &str, at: i64) -> Delivery {
    let at = Timestamp::from_seconds(at);
    Delivery {
        key: format!("{alarm} {state} {at}"),
        target: "t".to_owned(),
        alarm: alarm.to_owned(),
        arn: format!("arn:aws:cloudwatch:us-east-1:123456789012:alarm:{alarm}"),
        state: state.to_owned(),
        certainty: "determined".to_owned(),
        host: "h".to_owned(),
        at,
        before: at,
        period_end: at,
        made: at,
        due: at,
        settles: at,
        place: NEW,
        phase: Phase::Waiting,
        attempts: 0,
        answer_lost: false,
        repeats: 0,
        is_silent: false,
        is_test: false,
        subject: format!("{state}: {alarm}"),
        body: "{}".to_owned(),
    }
}

pub(in crate::notify) fn target(name: &str) -> Notify {
    Notify {
        name: name.to_owned(),
        to: Recipient::Journald,
        alarms: Vec::new(),
        states: vec!["ALARM", "OK"],
        when: When::Always,
        certainties: vec!["determined"],
        delay_up: Duration::ZERO,
        delay_down: Duration::ZERO,
        repeat: None,
        repeat_max: 0,
        evidence_within: Duration::from_secs(90),
        timeout: Duration::from_secs(10),
        max_age: Duration::from_hours(1),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn delayed(delivery: Delivery, seconds: i64) -> Delivery {
    Delivery {
        due: delivery.made + seconds,
        settles: delivery.made + seconds,
        ..delivery
    }
}

/// How an alarm is.
fn stands(state: StateValue) -> Standing {
    Standing {
        state,
        withheld_until: None,
    }
}

/// What is told at a second, all of it with success, of an alarm that is in a state.
fn told_of(
    queue: &mut Queue,
    now: i64,
    target: &Notify,
    standing: Option<Standing>,
) -> Vec<String> {
    let by_name = HashMap::from([("t", target)]);
    queue.repeat(at(now), &by_name, |_| standing);
    let mut told = Vec::new();
    for place in queue.due(at(now)) {
        if queue.get(place).unwrap().is_silent {
            queue.end(place);
            continue;
        }
        let begun = queue.begin(place).unwrap();
        told.push(format!("{} {}", begun.alarm, begun.state));
        queue.succeed(place, at(now), Some(target));
    }
    told
}

fn told(queue: &mut Queue, now: i64, target: &Notify) -> Vec<String> {
    told_of(queue, now, target, Some(stands(StateValue::Alarm)))
}

#[test]
fn an_alarm_is_told_in_order_and_no_other_waits_for_it() {
    let (mut queue, target) = (Queue::default(), target("t"));
    for it in [
        delivery("a", "ALARM", 0),
        delivery("a", "OK", 1),
        delivery("b", "ALARM", 1),
    ] {
        assert_eq!(queue.add(it), None);
    }
    let due = queue.due(at(1));
    let first: Vec<&str> = due.iter().map(|it| &*queue.get(*it).unwrap().key).collect();
    assert_eq!(
        first,
        [
            "a ALARM 1970-01-01T00:00:00Z",
            "b ALARM 1970-01-01T00:00:01Z"
        ]
    );
    // While the first is under way, or waits to be tried again, the second waits.
    queue.begin(due[0]);
    assert_eq!(queue.due(at(1)).len(), 1);
    queue.fail(due[0], at(1), false, 1.0);
    assert_eq!(queue.due(at(1)).len(), 1);
    assert_eq!(told(&mut queue, 2, &target), ["a ALARM", "b ALARM"]);
    assert_eq!(told(&mut queue, 2, &target), ["a OK"]);
    assert_eq!(queue.next_due(), None);
}

#[test]
fn what_fails_is_tried_again_after_longer_and_longer_waits() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    let (mut now, mut waits) = (0, Vec::new());
    for _ in 0..11 {
        let place = queue.due(at(now))[0];
        queue.begin(place);
        queue.fail(place, at(now), false, 1.0);
        let next = queue.next_due().unwrap().seconds();
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
}

#[test]
fn what_is_too_old_or_has_nobody_to_go_to_is_given_up() {
    let (mut queue, target) = (Queue::default(), target("t"));
    queue.add(delivery("a", "ALARM", 0));
    let by_name = HashMap::from([("t", &target)]);
    assert_eq!(queue.expire(at(3_600), &by_name), []);
    let dropped = |key: &str, reason| Dropped {
        key: key.to_owned(),
        target: "t".to_owned(),
        alarm: "a".to_owned(),
        reason,
    };
    assert_eq!(
        queue.expire(at(3_601), &by_name),
        [dropped("a ALARM 1970-01-01T00:00:00Z", "too_old")]
    );
    queue.add(delivery("a", "OK", 1));
    assert_eq!(
        queue.expire(at(1), &HashMap::new()),
        [dropped("a OK 1970-01-01T00:00:01Z", "target_gone")]
    );
    assert_eq!(queue.waiting().len(), 0);
}

#[test]
fn the_oldest_go_where_there_are_too_many() {
    let mut queue = Queue::default();
    let alarms = 0..i64::try_from(DELIVERIES_MAX).unwrap() + 2;
    let dropped: Vec<String> = alarms
        .filter_map(|n| queue.add(delivery(&format!("a{n}"), "ALARM", n)))
        .map(|dropped| dropped.alarm)
        .collect();
    assert_eq!(dropped, ["a0", "a1"]);
}

#[test]
fn what_does_not_last_for_its_delay_is_never_told() {
    let mut queue = Queue::default();
    let target = Notify {
        delay_up: Duration::from_mins(2),
        ..target("t")
    };
    queue.add(delayed(delivery("a", "ALARM", 0), 120));
    assert_eq!(told(&mut queue, 60, &target), [""; 0]);
    queue.add(delivery("a", "OK", 60));
    // Nobody heard of the alarm, so that nobody need hear of its end.
    assert_eq!(told(&mut queue, 600, &target), [""; 0]);
    queue.add(delayed(delivery("a", "ALARM", 600), 120));
    assert_eq!(told(&mut queue, 720, &target), ["a ALARM"]);
    queue.add(delivery("a", "OK", 800));
    assert_eq!(told(&mut queue, 800, &target), ["a OK"]);
    // A second alarm within the delay after that is not told, nor that it is over.
    queue.add(delayed(delivery("a", "ALARM", 900), 120));
    queue.add(delivery("a", "OK", 960));
    assert_eq!(told(&mut queue, 2_000, &target), [""; 0]);
}

#[test]
fn an_alarm_that_lasts_is_told_again_until_it_is_over_or_was_told_often_enough() {
    let mut queue = Queue::default();
    let target = Notify {
        repeat: Some(Duration::from_mins(10)),
        repeat_max: 2,
        ..target("t")
    };
    queue.add(delivery("a", "ALARM", 0));
    let mut times = Vec::new();
    for now in (0..7_200).step_by(60) {
        times.extend(told(&mut queue, now, &target).iter().map(|_| now));
    }
    assert_eq!(times, [0, 600, 1_200]);
    // Out of ALARM, told or not, nothing is said again.
    queue.add(delivery("a", "OK", 7_200));
    assert_eq!(told(&mut queue, 7_200, &target), ["a OK"]);
    queue.add(delivery("a", "ALARM", 7_260));
    assert_eq!(told(&mut queue, 7_260, &target), ["a ALARM"]);
    queue.add(silent(delivery("a", "OK", 7_300)));
    let ok = Some(stands(StateValue::Ok));
    assert_eq!(told_of(&mut queue, 9_000, &target, ok), [""; 0]);
    assert_eq!(queue.next_due(), None);
}

fn silent(delivery: Delivery) -> Delivery {
    Delivery {
        is_silent: true,
        ..delivery
    }
}

fn repeating() -> Notify {
    Notify {
        repeat: Some(Duration::from_mins(1)),
        repeat_max: u32::MAX,
        ..target("t")
    }
}

/// Whether it was removed, or is no longer meant.
#[test]
fn nothing_is_told_again_of_an_alarm_that_is_gone() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    assert_eq!(told(&mut queue, 0, &repeating()), ["a ALARM"]);
    assert_eq!(told(&mut queue, 60, &repeating()), ["a ALARM"]);
    assert_eq!(told_of(&mut queue, 120, &repeating(), None), [""; 0]);
    assert_eq!(queue.next_due(), None);
    queue.add(delivery("b", "ALARM", 200));
    assert_eq!(told(&mut queue, 200, &repeating()), ["b ALARM"]);
    queue.forget(|alarm| alarm != "b");
    assert_eq!(queue.next_due(), None);
}

/// The end comes while the beginning could not be told yet.
#[test]
fn an_alarm_that_is_over_when_it_is_told_is_not_told_again() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    let place = queue.due(at(0))[0];
    queue.begin(place);
    queue.fail(place, at(0), false, 0.0);
    queue.add(silent(delivery("a", "OK", 60)));
    let ok = Some(stands(StateValue::Ok));
    assert_eq!(told_of(&mut queue, 100, &repeating(), ok), ["a ALARM"]);
    for now in [200, 300, 400] {
        assert_eq!(told_of(&mut queue, now, &repeating(), ok), [""; 0]);
    }
    assert_eq!(queue.next_due(), None);
}

/// With Alertmanager an alert that is not told again is over.
#[test]
fn an_end_that_does_not_last_ends_no_repeats() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    assert_eq!(told(&mut queue, 0, &repeating()), ["a ALARM"]);
    let ok = Some(stands(StateValue::Ok));
    queue.add(delayed(delivery("a", "OK", 30), 120));
    assert_eq!(told_of(&mut queue, 60, &repeating(), ok), ["a ALARM"]);
    queue.add(delivery("a", "ALARM", 100));
    assert_eq!(told(&mut queue, 120, &repeating()), ["a ALARM"]);
    assert_eq!(told(&mut queue, 180, &repeating()), ["a ALARM"]);
    // Nor does a silent one, of which nobody hears.
    queue.add(silent(delayed(delivery("a", "OK", 200), 120)));
    queue.add(delivery("a", "ALARM", 230));
    assert_eq!(told(&mut queue, 240, &repeating()), ["a ALARM"]);
    queue.add(delayed(delivery("a", "OK", 300), 120));
    assert_eq!(
        told_of(&mut queue, 420, &repeating(), ok),
        ["a ALARM", "a OK"][1..]
    );
    assert_eq!(told_of(&mut queue, 600, &repeating(), ok), [""; 0]);
}

/// Neither a test nor an outage ends what is told again and again.
#[test]
fn what_is_told_again_goes_on_after_a_test_and_after_an_outage() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    assert_eq!(told(&mut queue, 0, &repeating()), ["a ALARM"]);
    let test = Delivery {
        is_test: true,
        key: "test".to_owned(),
        ..delivery("a", "ALARM", 30)
    };
    queue.add(test);
    queue.begin(queue.due(at(30))[0]);
    assert_eq!(told(&mut queue, 60, &repeating()), ["a ALARM"]);
    // Nobody is there for longer than a repeat may wait.
    let target = repeating();
    let by_name = HashMap::from([("t", &target)]);
    for now in (120..8_000).step_by(60) {
        queue.repeat(at(now), &by_name, |_| Some(stands(StateValue::Alarm)));
        for place in queue.due(at(now)) {
            queue.begin(place);
            queue.fail(place, at(now), false, 0.0);
        }
        queue.expire(at(now), &by_name);
    }
    assert_eq!(told(&mut queue, 8_400, &repeating()), ["a ALARM"]);
}

#[test]
fn nothing_is_told_again_while_it_is_withheld() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    assert_eq!(told(&mut queue, 0, &repeating()), ["a ALARM"]);
    let muted = Standing {
        state: StateValue::Alarm,
        withheld_until: Some(at(1_000)),
    };
    assert_eq!(told_of(&mut queue, 60, &repeating(), Some(muted)), [""; 0]);
    assert_eq!(told(&mut queue, 120, &repeating()), ["a ALARM"]);
}

/// A failure while the clock was far ahead.
#[test]
fn a_clock_that_is_set_back_puts_off_nothing_for_long() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 40_000_000));
    let place = queue.due(at(40_000_000))[0];
    queue.begin(place);
    queue.fail(place, at(40_000_000), false, 0.0);
    queue.clock_is(at(1_000));
    assert_eq!(queue.next_due(), Some(at(1_300)));
}

#[test]
fn a_restart_goes_on_where_the_program_ended() {
    let mut queue = Queue::default();
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let keep = |queue: &mut Queue, kept: &mut BTreeMap<String, String>| {
        for (key, text) in queue.take_changes() {
            match text {
                Some(text) => drop(kept.insert(key, text)),
                None => drop(kept.remove(&key)),
            }
        }
    };
    queue.add(delivery("a", "ALARM", 0));
    queue.add(delivery("a", "OK", 1));
    let place = queue.due(at(1))[0];
    queue.begin(place);
    keep(&mut queue, &mut kept);
    // What is written with the state change, and not taken up.
    let new = delivery("b", "ALARM", 2);
    kept.insert(new.key.clone(), new.text());
    let mut queue = Queue::restore(kept);
    let due = queue.due(at(2));
    let lost: Vec<(&str, bool)> = due
        .iter()
        .map(|place| queue.get(*place).unwrap())
        .map(|it| (it.key.split(' ').next().unwrap(), it.answer_lost))
        .collect();
    assert_eq!(lost, [("a", true), ("b", false)]);
    let target = target("t");
    assert_eq!(told(&mut queue, 2, &target), ["a ALARM", "b ALARM"]);
    assert_eq!(told(&mut queue, 2, &target), ["a OK"]);
    let changes = queue.take_changes();
    assert!(
        changes.iter().all(|(_, text)| text.is_none()),
        "{changes:?}"
    );
}

#[test]
fn a_test_waits_for_nobody_and_is_tried_once() {
    let mut queue = Queue::default();
    queue.add(delivery("a", "ALARM", 0));
    let place = queue.due(at(0))[0];
    queue.begin(place);
    let test = Delivery {
        is_test: true,
        key: "test".to_owned(),
        ..delivery("a", "ALARM", 0)
    };
    queue.add(test);
    let place = queue.due(at(0))[0];
    assert!(queue.begin(place).unwrap().is_test);
    queue.fail(place, at(0), false, 0.0);
    assert!(queue.get(place).is_none());
}

/// Whatever happens, nothing is told twice unless an answer was lost or it failed, and nothing waits for ever.
#[test]
fn any_course_of_events_ends_with_everything_told_once() {
    use proptest::prelude::*;
    let event = (0..3_u8, 0..3_usize, 0..100_i64);
    proptest!(|(events in proptest::collection::vec(event, 0..60))| {
        let (mut queue, target) = (Queue::default(), target("t"));
        let (mut now, mut added, mut heard) = (0, 0, Vec::new());
        for (what, alarm, time) in events {
            now += time;
            match what {
                0 => {
                    added += 1;
                    queue.add(delivery(&format!("a{alarm}"), ["ALARM", "OK"][added % 2], now));
                }
                1 => {
                    for place in queue.due(at(now)) {
                        queue.begin(place);
                        queue.fail(place, at(now), false, 0.5);
                    }
                }
                _ => heard.extend(told(&mut queue, now, &target)),
            }
        }
        for _ in 0..added {
            now += 300;
            heard.extend(told(&mut queue, now, &target));
        }
        prop_assert_eq!(heard.len(), added);
        prop_assert_eq!(queue.next_due(), None);
    });
}

//! Mute rules as SPEC section 15 has them.

use expect_test::{Expect, expect};
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::from_seconds(text.parse::<jiff::Timestamp>().unwrap().as_second())
}

fn rule(expression: &str, duration: &str, zone: &str) -> MuteRule {
    MuteRule {
        name: "r".to_owned(),
        schedule: Schedule::parse(expression).unwrap(),
        duration: MuteDuration::parse(duration).unwrap(),
        zone: TimeZone::get(zone).unwrap(),
        zone_text: zone.to_owned(),
        targets: Vec::new(),
        start: None,
        expire: None,
    }
}

fn shown(window: Option<Window>) -> String {
    window.map_or_else(
        || "none".to_owned(),
        |window| format!("{} {}", window.from, window.to),
    )
}

/// The beginnings of the next three windows, in UTC.
#[track_caller]
fn check_next(expression: &str, zone: &str, from: &str, expected: [&str; 3]) {
    let rule = rule(expression, "PT1M", zone);
    let mut from = at(from);
    let found = [(); 3].map(|()| {
        let window = rule.next_window(from);
        from = window.map_or(from, |window| window.from + 1);
        window.map_or_else(|| "none".to_owned(), |window| window.from.to_string())
    });
    assert_eq!(found, expected, "{expression}");
}

#[track_caller]
fn check_error(expression: &str, expected: Expect) {
    let err = Schedule::parse(expression).unwrap_err();
    expected.assert_eq(&format!("{}..{}: {err}", err.span.start, err.span.end));
}

#[test]
fn the_user_guide_s_schedules() {
    let next =
        |expression, duration, from| shown(rule(expression, duration, "UTC").next_window(at(from)));
    assert_eq!(
        next("cron(0 2 * * SUN)", "PT4H", "2026-01-03T06:00:00Z"),
        "2026-01-04T02:00:00Z 2026-01-04T06:00:00Z"
    );
    assert_eq!(
        next("cron(0 1 1 * *)", "PT6H", "2026-01-31T05:00:00Z"),
        "2026-02-01T01:00:00Z 2026-02-01T07:00:00Z"
    );
    assert_eq!(
        next("cron(0 18 * * FRI)", "P2DT12H", "2026-01-01T22:00:00Z"),
        "2026-01-02T18:00:00Z 2026-01-05T06:00:00Z"
    );
    assert_eq!(
        next("cron(0 23 * * *)", "PT2H", "2026-01-01T23:00:00Z"),
        "2026-01-01T23:00:00Z 2026-01-02T01:00:00Z"
    );
    assert_eq!(
        next("at(2024-12-23T00:00)", "P7D", "2024-12-22T04:00:00Z"),
        "2024-12-23T00:00:00Z 2024-12-30T00:00:00Z"
    );
    assert_eq!(
        next("at(2024-12-23T00:00)", "P7D", "2024-12-23T00:00:01Z"),
        "none"
    );
}

#[test]
fn minutes_and_hours_take_lists_ranges_and_steps() {
    let from = "2026-01-01T09:50:00Z";
    let day = |time| format!("2026-01-01T{time}:00Z");
    for (expression, times) in [
        ("cron(*/25 * * * *)", ["09:50", "10:00", "10:25"]),
        ("cron(50/5 * * * *)", ["09:50", "09:55", "10:50"]),
        ("cron(1-5/2 10-11 * * *)", ["10:01", "10:03", "10:05"]),
        ("cron(7,3 8,10,12 * * *)", ["10:03", "10:07", "12:03"]),
    ] {
        let times = times.map(day);
        check_next(expression, "UTC", from, [&times[0], &times[1], &times[2]]);
    }
}

/// The dates of the next three windows from January 1st, 2026, a Thursday.
#[track_caller]
fn check_days(day: &str, month: &str, weekday: &str, expected: [&str; 3]) {
    let expression = format!("cron(0 0 {day} {month} {weekday})");
    let expected = expected.map(|date| format!("{date}T00:00:00Z"));
    let expected = [&*expected[0], &*expected[1], &*expected[2]];
    check_next(&expression, "UTC", "2026-01-01T00:00:00Z", expected);
}

#[test]
fn days_of_the_month() {
    check_days("31", "*", "*", ["2026-01-31", "2026-03-31", "2026-05-31"]);
    check_days("L", "*", "?", ["2026-01-31", "2026-02-28", "2026-03-31"]);
    check_days("L,15", "*", "*", ["2026-01-15", "2026-01-31", "2026-02-15"]);
    check_days("*/30", "*", "*", ["2026-01-01", "2026-01-31", "2026-02-01"]);
    check_days("29", "2", "*", ["2028-02-29", "2032-02-29", "2036-02-29"]);
    check_days(
        "1",
        "mar-MAY/2,dec",
        "*",
        ["2026-03-01", "2026-05-01", "2026-12-01"],
    );
}

#[test]
fn days_of_the_week() {
    for sunday in ["SUN", "sun", "0", "7"] {
        check_days("*", "*", sunday, ["2026-01-04", "2026-01-11", "2026-01-18"]);
    }
    check_days(
        "?",
        "*",
        "FRI-SUN",
        ["2026-01-02", "2026-01-03", "2026-01-04"],
    );
    check_days("*", "*", "6-7", ["2026-01-03", "2026-01-04", "2026-01-10"]);
    check_days(
        "*",
        "*",
        "SUN-MON",
        ["2026-01-04", "2026-01-05", "2026-01-11"],
    );
    check_days("*", "*", "L", ["2026-01-03", "2026-01-10", "2026-01-17"]);
    check_days("*", "*", "5L", ["2026-01-30", "2026-02-27", "2026-03-27"]);
    check_days("*", "*", "7L", ["2026-01-25", "2026-02-22", "2026-03-29"]);
    check_days(
        "*",
        "*",
        "SUN#4",
        ["2026-01-25", "2026-02-22", "2026-03-22"],
    );
    check_days(
        "*",
        "*",
        "2#1,thu#5",
        ["2026-01-06", "2026-01-29", "2026-02-03"],
    );
}

#[test]
fn of_two_restricted_fields_for_days_one_is_enough() {
    check_days("13", "*", "FRI", ["2026-01-02", "2026-01-09", "2026-01-13"]);
    check_days(
        "*/2",
        "*",
        "FRI",
        ["2026-01-09", "2026-01-23", "2026-02-13"],
    );
}

#[test]
fn the_rarest_dates_are_found_and_impossible_ones_are_not() {
    let never = rule("cron(0 0 30 2 *)", "PT1M", "UTC");
    assert_eq!(never.next_window(at("2026-01-01T00:00:00Z")), None);
    check_next(
        "cron(0 0 */28 2 WED#5)",
        "UTC",
        "1888-03-01T00:00:00Z",
        [
            "1928-02-29T00:00:00Z",
            "1956-02-29T00:00:00Z",
            "1984-02-29T00:00:00Z",
        ],
    );
}

#[test]
fn a_time_that_the_clock_leaves_out_is_later_by_as_much() {
    check_next(
        "cron(30 2 * * *)",
        "America/New_York",
        "2026-03-07T00:00:00Z",
        [
            "2026-03-07T07:30:00Z",
            "2026-03-08T07:30:00Z",
            "2026-03-09T06:30:00Z",
        ],
    );
    check_next(
        "cron(30 2,3 8 3 *)",
        "America/New_York",
        "2026-03-08T07:00:00Z",
        [
            "2026-03-08T07:30:00Z",
            "2027-03-08T07:30:00Z",
            "2027-03-08T08:30:00Z",
        ],
    );
}

#[test]
fn times_left_out_do_not_hide_earlier_ones() {
    check_next(
        "cron(0,30 2-3 8 3 *)",
        "America/New_York",
        "2026-03-08T07:01:00Z",
        [
            "2026-03-08T07:30:00Z",
            "2027-03-08T07:00:00Z",
            "2027-03-08T07:30:00Z",
        ],
    );
    check_next(
        "cron(5,45 0,23 * * *)",
        "Asia/Pyongyang",
        "2018-05-04T15:00:00Z",
        [
            "2018-05-04T15:05:00Z",
            "2018-05-04T15:15:00Z",
            "2018-05-04T15:45:00Z",
        ],
    );
    check_next(
        "cron(0 0,10 30,31 12 *)",
        "Pacific/Apia",
        "2011-12-30T09:59:00Z",
        [
            "2011-12-30T10:00:00Z",
            "2011-12-30T20:00:00Z",
            "2012-12-29T10:00:00Z",
        ],
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_occurs_once() {
    check_next(
        "cron(30 1 * * *)",
        "America/New_York",
        "2026-11-01T05:00:00Z",
        [
            "2026-11-01T05:30:00Z",
            "2026-11-02T06:30:00Z",
            "2026-11-03T06:30:00Z",
        ],
    );
    let rule = rule("cron(30 1 * * *)", "PT1H", "America/New_York");
    assert_eq!(
        shown(rule.window_at(at("2026-11-01T06:10:00Z"))),
        "2026-11-01T05:30:00Z 2026-11-01T06:30:00Z"
    );
    assert_eq!(rule.window_at(at("2026-11-01T06:40:00Z")), None);
}

#[test]
fn a_window_contains_its_start_but_not_its_end() {
    let rule = rule("cron(0 18 * * FRI)", "P2DT12H", "UTC");
    let inside = |time| rule.window_at(at(time)).is_some();
    assert!(!inside("2026-01-02T17:59:59Z"));
    assert!(inside("2026-01-02T18:00:00Z"));
    assert!(inside("2026-01-05T05:59:59Z"));
    assert!(!inside("2026-01-05T06:00:00Z"));
}

#[test]
fn of_overlapping_windows_the_last_one_counts() {
    let rule = rule("cron(0 0 * * *)", "P3D", "UTC");
    assert_eq!(
        shown(rule.window_at(at("2026-01-05T12:00:00Z"))),
        "2026-01-05T00:00:00Z 2026-01-08T00:00:00Z"
    );
}

#[test]
fn start_and_expiry_cut_windows_off() {
    let rule = MuteRule {
        start: Some(at("2026-01-04T03:00:00Z")),
        expire: Some(at("2026-01-11T05:00:00Z")),
        ..rule("cron(0 2 * * SUN)", "PT4H", "UTC")
    };
    let first = "2026-01-04T03:00:00Z 2026-01-04T06:00:00Z";
    let last = "2026-01-11T02:00:00Z 2026-01-11T05:00:00Z";
    assert_eq!(rule.window_at(at("2026-01-04T02:59:59Z")), None);
    assert_eq!(shown(rule.window_at(at("2026-01-04T03:00:00Z"))), first);
    assert_eq!(shown(rule.next_window(at("2025-01-01T00:00:00Z"))), first);
    assert_eq!(shown(rule.next_window(at("2026-01-04T03:00:00Z"))), first);
    assert_eq!(shown(rule.next_window(at("2026-01-04T03:00:01Z"))), last);
    assert_eq!(rule.window_at(at("2026-01-11T05:00:00Z")), None);
    assert_eq!(rule.next_window(at("2026-01-11T02:00:01Z")), None);
}

#[test]
fn a_start_between_windows_waits_for_the_next() {
    let rule = MuteRule {
        start: Some(at("2026-01-04T12:00:00Z")),
        ..rule("cron(0 2 * * SUN)", "PT4H", "UTC")
    };
    assert_eq!(
        shown(rule.next_window(at("2026-01-01T00:00:00Z"))),
        "2026-01-11T02:00:00Z 2026-01-11T06:00:00Z"
    );
}

#[test]
fn a_rule_is_scheduled_then_active_then_expired() {
    let once = rule("at(2024-05-10T14:00)", "PT4H", "UTC");
    assert_eq!(
        once.status(at("2024-05-10T13:59:59Z")),
        MuteStatus::Scheduled
    );
    assert_eq!(once.status(at("2024-05-10T14:00:00Z")), MuteStatus::Active);
    assert_eq!(once.status(at("2024-05-10T18:00:00Z")), MuteStatus::Expired);
    let never = rule("cron(0 0 30 2 *)", "PT4H", "UTC");
    assert_eq!(
        never.status(at("2024-05-10T18:00:00Z")),
        MuteStatus::Expired
    );
    assert_eq!(MuteStatus::Active.name(), "ACTIVE");
}

#[test]
fn everything_refused_is_told() {
    let rule = MuteRule {
        name: String::new(),
        targets: vec!["a".repeat(256); 101],
        start: Some(at("2026-01-02T00:00:00Z")),
        expire: Some(at("2026-01-01T00:00:00Z")),
        ..rule("cron(0 2 * * *)", "PT1H", "UTC")
    };
    let refusals = rule.refusals();
    assert_eq!(refusals.len(), 104);
    expect![[r#"
        Name has a name of 0 characters but must have from 1 to 255
        101 alarms found, but AlarmNames must have at most 100
        AlarmNames has a name of 256 characters but must have from 1 to 255
        ExpireDate is 2026-01-01T00:00:00Z but must be after StartDate, 2026-01-02T00:00:00Z"#]]
    .assert_eq(
        &[&refusals[0], &refusals[1], &refusals[2], &refusals[103]]
            .map(String::as_str)
            .join("\n"),
    );
}

#[test]
fn mistakes_point_at_the_field() {
    check_error(
        "cron(60 * * * *)",
        expect!["5..7: minute is `60` but must be 0 to 59 with `*`, `,`, `-` and `/`"],
    );
    check_error(
        "cron(0  24 * * *)",
        expect!["8..10: hour is `24` but must be 0 to 23 with `*`, `,`, `-` and `/`"],
    );
    check_error(
        "cron(0 0 15W * *)",
        expect![
            "9..12: day-of-month is `15W` but must be 1 to 31 with `*`, `?`, `,`, `-`, `/` and `L`"
        ],
    );
    check_error(
        "cron(0 0 * JUNE *)",
        expect![
            "11..15: month is `JUNE` but must be 1 to 12 or JAN to DEC with `*`, `,`, `-` and `/`"
        ],
    );
    check_error(
        "cron(0 0 * * */2)",
        expect![
            "13..16: day-of-week is `*/2` but must be 0 to 7 or SUN to SAT with `*`, `?`, `,`, `-`, `L` and `#`"
        ],
    );
    check_error(
        "cron(0 0 * * * *)",
        expect![
            "5..16: cron expression has 6 fields but must have 5: minute, hour, day-of-month, month and day-of-week"
        ],
    );
    check_error(
        "at(2024-12-23T00:00:00)",
        expect!["0..23: time is `2024-12-23T00:00:00` but must be of the form `yyyy-MM-ddThh:mm`"],
    );
    check_error(
        "at(2024-02-30T00:00)",
        expect!["0..20: time is `2024-02-30T00:00` but must be of the form `yyyy-MM-ddThh:mm`"],
    );
    check_error(
        "rate(1 day)",
        expect![
            "0..11: Expression is `rate(1 day)` but must be `cron(minute hour day-of-month month day-of-week)` or `at(yyyy-MM-ddThh:mm)`"
        ],
    );
}

#[test]
fn fields_take_nothing_else() {
    for fields in [
        "? * * * *",
        "* ? * * *",
        "* * * ? *",
        "L * * * *",
        "*/0 * * * *",
        "*/61 * * * *",
        "5-1 * * * *",
        "1,,2 * * * *",
        "+1 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "- * * * *",
        "*-5 * * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * L-3 * *",
        "* * ?,1 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * SAT-SUN#1",
        "* * * * 2#0",
        "* * * * 2#6",
        "* * * * #1",
        "* * * * MON-FRI/2",
        "* * * * FRI-MON",
        "* * * * 1#1L",
        "",
        "* * * *",
        "ä * * * *",
    ] {
        assert!(
            Schedule::parse(&format!("cron({fields})")).is_err(),
            "{fields}"
        );
    }
}

/// Whether a search agrees with looking at every minute.
fn minute_by_minute(rule: &MuteRule, from: Timestamp) -> Option<Timestamp> {
    let Schedule::Cron(cron) = &rule.schedule else {
        return None;
    };
    let minutes = (0..3 * 1440).map(|minute| from.ceil(60) + 60 * minute);
    minutes.into_iter().find(|minute| {
        let local = rule.zone.to_datetime(minute.calendar());
        cron.is_on(local.date()) && cron.times().any(|time| time == local.time())
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", fields in "[0-9*,/?L#A-Z -]{0,30}") {
        drop(Schedule::parse(&text));
        drop(Schedule::parse(&format!("at({text})")));
        drop(Schedule::parse(&format!("cron({fields})")));
        drop(MuteDuration::parse(&text));
    }

    #[test]
    fn a_rule_can_be_asked_at_any_time(milliseconds in any::<i64>()) {
        let rule = rule("cron(*/10 * L 2 *)", "P15D", "America/New_York");
        rule.status(Timestamp::from_milliseconds(milliseconds));
    }

    #[test]
    fn the_next_window_is_the_first_minute_that_matches(
        hour in 0..24, minute in 0..60, seconds in 1_767_225_600..1_798_761_600_i64,
    ) {
        let rule = rule(&format!("cron({minute},7 {hour} */2 * *)"), "PT1M", "Europe/Berlin");
        let from = Timestamp::from_seconds(seconds);
        let expected = minute_by_minute(&rule, from);
        let local = rule.zone.to_datetime(from.calendar()).date();
        prop_assume!(local < date(2026, 3, 25) || local > date(2026, 3, 30));
        prop_assume!(local < date(2026, 10, 20) || local > date(2026, 10, 26));
        prop_assert_eq!(rule.next_window(from).map(|window| window.from), expected);
    }

    #[test]
    fn the_window_at_an_instant_is_a_window_that_comes(seconds in 1_767_225_600..1_798_761_600_i64, hours in 1..100_i64) {
        let rule = rule("cron(15,45 2-4 * * *)", &format!("PT{hours}H"), "America/New_York");
        let now = Timestamp::from_seconds(seconds);
        if let Some(window) = rule.window_at(now) {
            prop_assert!(window.contains(now));
            prop_assert_eq!(rule.next_window(window.from), Some(window));
            prop_assert!(rule.next_window(window.from + 1).is_none_or(|next| next.from > now));
        }
    }
}

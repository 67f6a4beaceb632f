//! When actions are run, withheld and caught up on.

use cwbridge::alarm::{Account, MuteRule, StateValue, SuppressedBy};
use cwbridge::definition::parse_in;
use cwbridge::metric::Reading;
use expect_test::expect;

use super::{Play, above_50, actions, composite, mute_rule, replace};

#[test]
fn actions_go_on_when_their_suppressor_is_gone() {
    let c = composite(
        "c",
        "ALARM(a)",
        &format!(
            r#"{}, "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120"#,
            actions()
        ),
    );
    let alarms = [c, above_50("a", "x", ""), above_50("s", "y", "")];
    let mut play = Play::new(&[&alarms[0], &alarms[1], &alarms[2]]);
    play.values("y", 0, 60, "90 90 90")
        .values("x", 180, 60, "90");
    expect![[r#"
        Some(
            Alarm,
        )
    "#]]
    .assert_debug_eq(&play.status("c").suppressed_by.map(|(by, _)| by));
    replace(&mut play, &alarms[..2], 250);
    expect![[r#"
        Some(
            ExtensionPeriod,
        )
    "#]]
    .assert_debug_eq(&play.status("c").suppressed_by.map(|(by, _)| by));
    play.until(600);
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m s INSUFFICIENT_DATA -> ALARM (determined)
        4m a OK -> ALARM (determined)
        4m c OK -> ALARM (determined)
        10m a ALARM -> OK (depends on the evaluation range)
        10m c ALARM -> OK (depends on the evaluation range)
        6m c runs ALARM actions (StateChange)
    "#]]);
}

/// Muted from 00:02 to 00:06: the state changes, what it would do is done at the end if the state is still that one.
#[test]
fn a_mute_rule_withholds_actions_until_its_window_ends() {
    let alarms = [
        above_50("a", "x", &actions()),
        above_50("b", "x", &actions()),
        mute_rule("cron(2 0 * * *)", "PT4M"),
    ];
    let mut play = Play::new(&[&alarms[0], &alarms[1], &alarms[2]]);
    play.values("x", 0, 60, "10 90 90");
    assert_eq!(play.status("a").muted_until, Some(play.start + 360));
    play.values("x", 180, 60, "90 90 90 10");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m b INSUFFICIENT_DATA -> OK (determined)
        1m a runs OK actions (StateChange)
        1m b runs OK actions (StateChange)
        2m a OK -> ALARM (determined)
        2m b OK -> ALARM (determined)
        2m b runs ALARM actions (StateChange)
        6m a runs ALARM actions (MuteWindowEnd)
        7m a ALARM -> OK (determined)
        7m b ALARM -> OK (determined)
        7m a runs OK actions (StateChange)
        7m b runs OK actions (StateChange)
    "#]]);
}

#[test]
fn at_the_end_of_a_mute_window_the_state_of_then_acts() {
    let alarms = [
        above_50("a", "x", &actions()),
        mute_rule("at(2026-01-05T00:02)", "PT2M"),
    ];
    let mut play = Play::new(&[&alarms[0], &alarms[1]]);
    play.values("x", 0, 60, "10 90 10 10 90 90");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m a runs OK actions (StateChange)
        2m a OK -> ALARM (determined)
        3m a ALARM -> OK (determined)
        4m a runs OK actions (MuteWindowEnd)
        5m a OK -> ALARM (determined)
        5m a runs ALARM actions (StateChange)
    "#]]);
}

#[test]
fn without_its_mute_rule_an_alarm_acts_at_once() {
    let alarms = [
        above_50("a", "x", &actions()),
        mute_rule("cron(* * * * *)", "P1D"),
    ];
    let mut play = Play::new(&[&alarms[0], &alarms[1]]);
    play.values("x", 0, 60, "90");
    let none: Vec<MuteRule> = vec![];
    let at = play.start + 70;
    play.pipeline.set_mute_rules(none, at);
    play.until(71);
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        1m a runs ALARM actions (MuteWindowEnd)
    "#]]);
}

#[test]
fn switched_off_actions_are_never_caught_up_on() {
    let off = format!("{}, \"ActionsEnabled\": false", actions());
    let mut play = Play::new(&[&above_50("a", "x", &off)]);
    play.values("x", 0, 60, "90 90 10");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        3m a ALARM -> OK (determined)
    "#]]);
}

#[test]
fn auto_scaling_is_told_every_minute_while_the_state_lasts() {
    let scale = r#", "AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:i:autoScalingGroupName/g:policyName/p"]"#;
    let mut play = Play::new(&[&above_50("a", "x", scale)]);
    play.values("x", 0, 60, "10 90 90 90 10");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m a runs ALARM actions (StateChange)
        3m a runs ALARM actions (Repeat)
        4m a runs ALARM actions (Repeat)
        5m a ALARM -> OK (determined)
    "#]]);
}

/// Muted from 00:03 to 00:05.
#[test]
fn auto_scaling_is_not_told_while_a_mute_rule_withholds_it() {
    let scale = r#", "AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:i:autoScalingGroupName/g:policyName/p"]"#;
    let alarms = [
        above_50("a", "x", scale),
        mute_rule("cron(3 0 * * *)", "PT2M"),
    ];
    let mut play = Play::new(&[&alarms[0], &alarms[1]]);
    play.values("x", 0, 60, "90 90 90 90 90 90");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        1m a runs ALARM actions (StateChange)
        2m a runs ALARM actions (Repeat)
        5m a runs ALARM actions (Repeat)
        6m a runs ALARM actions (Repeat)
    "#]]);
}

fn suppressed(others: &str) -> String {
    let suppressor = r#", "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 120, "ActionsSuppressorExtensionPeriod": 60"#;
    composite(
        "c",
        "ALARM(a)",
        &format!("{}{suppressor}{others}", actions()),
    )
}

/// `c` follows `a`, on `x`, and is suppressed by `s`, on `y`.
fn with_suppressor() -> [String; 3] {
    [
        suppressed(""),
        above_50("a", "x", ""),
        above_50("s", "y", ""),
    ]
}

fn mute_rule_of_c(expression: &str, duration: &str) -> String {
    mute_rule(expression, duration).replace("[\"a\"]", "[\"c\"]")
}

/// Muted from 00:02 to 00:07, when the wait period of the newest change still runs.
#[test]
fn a_mute_window_that_ends_in_a_wait_period_does_not_cut_it_short() {
    let alarms = [
        suppressed(""),
        above_50("a", "x", ""),
        above_50("s", "y", ""),
        mute_rule_of_c("cron(2 0 * * *)", "PT5M"),
    ];
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("x", 0, 60, "10 90 90 90 10 90 90 90");
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m s INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m c OK -> ALARM (determined)
        5m a ALARM -> OK (determined)
        5m c ALARM -> OK (determined)
        6m a OK -> ALARM (determined)
        6m c OK -> ALARM (determined)
        8m c runs ALARM actions (StateChange)
    "#]]);
}

/// Muted until 00:06; the suppressor goes to ALARM at 00:05 and back at 00:08.
#[test]
fn what_is_suppressed_at_the_end_of_a_mute_window_stays_withheld() {
    let alarms = [
        suppressed(""),
        above_50("a", "x", ""),
        above_50("s", "y", ""),
        mute_rule_of_c("cron(2 0 * * *)", "PT4M"),
    ];
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("x", 0, 60, "10 90 90 90");
    for (minute, y) in ["90", "90", "90", "10", "10"].into_iter().enumerate() {
        let from = 240 + 60 * i64::try_from(minute).unwrap();
        play.values("x", from, 60, "90").values("y", from, 60, y);
    }
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m s INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m c OK -> ALARM (determined)
        5m s OK -> ALARM (determined)
        8m s ALARM -> OK (determined)
        9m c runs ALARM actions (StateChange)
    "#]]);
}

#[test]
fn a_suppressed_alarm_does_not_catch_up_on_switched_off_actions() {
    let switch = |on: bool| suppressed(&format!(r#", "ActionsEnabled": {on}"#));
    let others = [above_50("a", "x", ""), above_50("s", "y", "")];
    let mut play = Play::new(&[&switch(false), &others[0], &others[1]]);
    play.values("x", 0, 60, "90");
    let [a, s] = others;
    replace(&mut play, &[switch(true), a, s], 90);
    play.values("x", 120, 60, "90 90 90");
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        1m c OK -> ALARM (determined)
        1m s INSUFFICIENT_DATA -> OK (determined)
    "#]]);
}

/// The composite alarm changes while its suppressor is in ALARM.
#[test]
fn a_suppressor_suppresses_from_when_it_began_to() {
    let alarms = with_suppressor();
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("y", 0, 60, "90");
    let suppressed = |play: &Play| {
        let (by, since) = play.status("c").suppressed_by.unwrap();
        (by, (since - play.start) / 60)
    };
    let by = SuppressedBy::Alarm;
    assert_eq!(suppressed(&play), (by, 1));
    play.values("x", 60, 60, "90");
    assert_eq!(suppressed(&play), (by, 1));
    assert_eq!(play.status("c").state, StateValue::Alarm);
}

#[test]
fn actions_with_a_suppressor_that_is_not_known_here_say_so() {
    let alarms = [suppressed(""), above_50("a", "x", "")];
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    assert!(play.status("c").suppressor_unknown && !play.status("a").suppressor_unknown);
    play.values("x", 0, 60, "90");
    let ended = Reading {
        at: play.start + 180,
        samples: vec![],
    };
    let runs = play.pipeline.advance(&ended).events.actions;
    assert!(
        matches!(runs.as_slice(), [run] if run.suppressor_unknown),
        "{runs:?}"
    );
}

/// The suppressor is in ALARM, and then its metric comes in two units.
#[test]
fn a_suppressor_that_is_no_longer_judged_suppresses_no_longer() {
    let alarms = with_suppressor();
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("y", 0, 60, "90");
    let by = |play: &Play| play.status("c").suppressed_by.map(|(by, _)| by);
    assert_eq!(by(&play), Some(SuppressedBy::Alarm));
    play.percent("y", 60, 90.0);
    play.until(120);
    assert!(play.status("c").suppressor_unknown);
    assert_eq!(by(&play), Some(SuppressedBy::ExtensionPeriod));
}

/// While the program is down another suppressor is set.
#[test]
fn another_suppressor_after_a_restart_suppresses_nothing_that_was() {
    let alarms = with_suppressor();
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("y", 0, 60, "90");
    assert!(play.status("c").suppressed_by.is_some());
    let other = alarms[0].replace(
        "\"ActionsSuppressor\": \"s\"",
        "\"ActionsSuppressor\": \"a\"",
    );
    let parsed = parse_in("a", &other, &Account::default());
    play.alarms[0] = parsed.alarms[0].alarm.clone();
    play.restart();
    assert_eq!(play.status("c").suppressed_by, None);
}

/// An alarm over more than a day is judged once an hour.
#[test]
fn auto_scaling_is_told_every_minute_also_where_the_alarm_is_judged_less_often() {
    let scale = r#", "AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:p"]"#;
    let alarm = above_50("a", "x", scale).replace(
        "\"Period\": 60, \"EvaluationPeriods\": 1",
        "\"Period\": 3600, \"EvaluationPeriods\": 25, \"DatapointsToAlarm\": 1",
    );
    let mut play = Play::new(&[&alarm]);
    play.values("x", 3_540, 60, "90 90 90 90");
    play.check(expect![[r#"
        60m a INSUFFICIENT_DATA -> ALARM (determined)
        60m a runs ALARM actions (StateChange)
        61m a runs ALARM actions (Repeat)
        62m a runs ALARM actions (Repeat)
        63m a runs ALARM actions (Repeat)
    "#]]);
}

#[test]
fn actions_switched_off_while_the_program_is_down_are_not_withheld() {
    let alarms = with_suppressor();
    let mut play = Play::new(&alarms.each_ref().map(String::as_str));
    play.values("y", 0, 60, "90");
    assert!(play.status("c").suppressed_by.is_some());
    play.alarms[0].actions.enabled = false;
    play.restart();
    assert_eq!(play.status("c").suppressed_by, None);
}

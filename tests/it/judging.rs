//! Every kind of alarm, judged over time: definitions and values in, transitions and actions out.

use std::fmt::Write as _;
use std::sync::Arc;

use cwbridge::alarm::{
    Account, Alarm, Events, MuteRule, POINTS_SHOWN_MAX, Status, Transition, band_metrics,
};
use cwbridge::definition::parse_in;
use cwbridge::metric::{Content, Datapoint, Metric, Reading, Resolution, Sample, Timestamp, Unit};
use cwbridge::pipeline::Pipeline;
use expect_test::{Expect, expect};

mod actions;
mod queries;

/// Midnight before a Monday.
const START: i64 = 1_767_571_200;

/// Alarms on one pipeline, and what they have done so far.
struct Play {
    pipeline: Pipeline,
    start: Timestamp,
    written: String,
    alarms: Vec<Alarm>,
    mute_rules: Vec<MuteRule>,
    /// Everything that was closed.
    datapoints: Vec<Datapoint>,
    /// Whether the program ends after every reading, and begins again.
    restarts: bool,
}

impl Play {
    /// The alarms are created at `start`. What was before is known to have been nothing.
    fn at(start: i64, alarms: &[&str]) -> Self {
        let mut pipeline = Pipeline::default();
        let start = Timestamp::from_seconds(start);
        pipeline.advance(&Reading {
            at: start - 15 * 86_400,
            samples: vec![],
        });
        let parsed = parse_in(
            "alarms.json",
            &format!("[{}]", alarms.join(",")),
            &Account::default(),
        );
        assert_eq!(parsed.findings, []);
        let (alarms, mute_rules) = parsed.into_rules();
        pipeline.set_alarms(alarms.clone(), start);
        pipeline.set_mute_rules(mute_rules.clone(), start);
        Self {
            pipeline,
            start,
            written: String::new(),
            alarms,
            mute_rules,
            datapoints: Vec::new(),
            restarts: false,
        }
    }

    /// Ends, and begins again with what outlives it.
    fn restart(&mut self) {
        let snapshot = self.pipeline.snapshot().unwrap();
        self.datapoints.append(&mut self.pipeline.finish());
        self.pipeline = Pipeline::default();
        self.pipeline.set_alarms(self.alarms.clone(), snapshot.at);
        self.pipeline
            .set_mute_rules(self.mute_rules.clone(), snapshot.at);
        for datapoint in &self.datapoints {
            self.pipeline.take_up(datapoint, snapshot.at);
        }
        self.pipeline.restore(&snapshot);
    }

    fn new(alarms: &[&str]) -> Self {
        Self::at(START, alarms)
    }

    /// One value of the metric `n NAME` every `every` seconds from `from` seconds on, `_` for none; the last one is complete
    /// at the end.
    fn values(&mut self, name: &str, from: i64, every: i64, values: &str) -> &mut Self {
        let metric = Arc::new(Metric::new("n", name, vec![]));
        let values: Vec<&str> = values.split(' ').collect();
        for (i, value) in values.iter().enumerate() {
            let at = self.start + from + i as i64 * every;
            let samples = value
                .parse()
                .map(|value| sample(&metric, at, value))
                .into_iter();
            self.look(Reading {
                at,
                samples: samples.collect(),
            });
        }
        self.until(from + values.len() as i64 * every)
    }

    /// A value in percent of a metric that has no unit otherwise.
    fn percent(&mut self, name: &str, seconds: i64, value: f64) {
        let metric = Arc::new(Metric::new("n", name, vec![]));
        let at = self.start + seconds;
        let percent = Sample {
            unit: Unit::PERCENT,
            ..sample(&metric, at, value)
        };
        self.look(Reading {
            at,
            samples: vec![percent],
        });
    }

    fn until(&mut self, seconds: i64) -> &mut Self {
        self.look(Reading {
            at: self.start + seconds,
            samples: vec![],
        });
        self
    }

    fn look(&mut self, reading: Reading) {
        let mut outcome = self.pipeline.advance(&reading);
        self.datapoints.append(&mut outcome.datapoints);
        self.write(&outcome.events);
        if self.restarts {
            self.restart();
        }
    }

    fn write(&mut self, events: &Events) {
        for transition in &events.transitions {
            let (minute, alarm) = ((transition.at - self.start) / 60, &transition.alarm.name);
            let (from, to, certainty) =
                (transition.from, transition.to, transition.certainty.name());
            writeln!(
                self.written,
                "{minute}m {alarm} {from} -> {to} ({certainty})"
            )
            .unwrap();
        }
        for run in &events.actions {
            let (minute, alarm) = ((run.at - self.start) / 60, &run.alarm.name);
            if !run.alarm.actions.of(run.state).is_empty() {
                writeln!(
                    self.written,
                    "{minute}m {alarm} runs {} actions ({:?})",
                    run.state, run.occasion
                )
                .unwrap();
            }
        }
    }

    #[track_caller]
    fn check(&self, expected: Expect) {
        expected.assert_eq(&self.written);
    }

    fn status(&self, name: &str) -> Status {
        self.pipeline.status(name).unwrap()
    }
}

fn sample(metric: &Arc<Metric>, at: Timestamp, value: f64) -> Sample {
    Sample {
        metric: Arc::clone(metric),
        unit: Unit::NONE,
        resolution: Resolution::Standard,
        at,
        content: Content::Value(value),
    }
}

/// Average of a minute above 50, once, missing data not breaching; and whatever else is given.
fn above_50(name: &str, metric: &str, others: &str) -> String {
    format!(
        r#"{{"AlarmName": "{name}", "Namespace": "n", "MetricName": "{metric}", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1,
             "TreatMissingData": "notBreaching", "ComparisonOperator": "GreaterThanThreshold", "Threshold": 50{others}}}"#
    )
}

fn composite(name: &str, rule: &str, others: &str) -> String {
    format!(r#"{{"AlarmName": "{name}", "AlarmRule": "{rule}"{others}}}"#)
}

const SNS: &str = "arn:aws:sns:us-east-1:1:t";

fn mute_rule(expression: &str, duration: &str) -> String {
    format!(
        r#"{{"Name": "r", "MuteTargets": {{"AlarmNames": ["a"]}}, "Rule": {{"Schedule": {{"Expression": "{expression}", "Duration": "{duration}"}}}}}}"#
    )
}

fn actions() -> String {
    format!(r#", "AlarmActions": ["{SNS}"], "OKActions": ["{SNS}"]"#)
}

#[test]
fn a_composite_alarm_changes_with_its_child() {
    let mut play = Play::new(&[
        &composite("both", "ALARM(a) AND ALARM(b)", ""),
        &above_50("a", "x", ""),
        &above_50("b", "y", ""),
    ]);
    play.values("x", 0, 60, "10 90 90")
        .values("y", 180, 60, "90 90")
        .values("x", 300, 60, "10");
    play.check(expect![[r#"
        0m both INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m b INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        4m b OK -> ALARM (determined)
        4m both OK -> ALARM (determined)
        6m a ALARM -> OK (determined)
        6m both ALARM -> OK (determined)
    "#]]);
    expect![
        "arn:aws:cloudwatch:::alarm:a transitioned to OK at Monday 05 January, 2026 00:06:00 UTC"
    ]
    .assert_eq(&play.status("both").reason);
}

/// What follows the same alarm on two ways is judged after both.
#[test]
fn children_are_judged_before_their_parents_in_whatever_order_they_are_defined() {
    let alarms = [
        composite("never", "ALARM(left) AND NOT ALARM(right)", ""),
        composite("right", "ALARM(left)", ""),
        composite("left", "ALARM(a)", ""),
        above_50("a", "x", ""),
    ];
    let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
    let mut play = Play::new(&alarms);
    play.values("x", 0, 60, "10 90 10");
    play.check(expect![[r#"
        0m left INSUFFICIENT_DATA -> OK (history incomplete)
        0m right INSUFFICIENT_DATA -> OK (history incomplete)
        0m never INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m left OK -> ALARM (determined)
        2m right OK -> ALARM (determined)
        3m a ALARM -> OK (determined)
        3m left ALARM -> OK (determined)
        3m right ALARM -> OK (determined)
    "#]]);
}

#[test]
fn alarms_that_follow_themselves_are_not_judged_and_what_does_not_need_them_is() {
    let alarms = [
        composite("one", "ALARM(two) OR ALARM(a)", ""),
        composite("two", "NOT ALARM(one)", ""),
        composite("either", "ALARM(one) OR ALARM(a)", ""),
        above_50("a", "x", ""),
    ];
    let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
    let mut play = Play::new(&alarms);
    play.values("x", 0, 60, "10 90 10");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m either INSUFFICIENT_DATA -> ALARM (determined)
        3m a ALARM -> OK (determined)
    "#]]);
    let reasons: Vec<String> = play
        .pipeline
        .statuses()
        .iter()
        .filter_map(|status| status.not_mirrored.clone())
        .collect();
    expect![[r#"
        [
            "its alarm rule follows itself: `one` → `two` → `one`",
            "its alarm rule follows itself: `one` → `two` → `one`",
            "it depends on alarm `one`, which is not judged here",
        ]
    "#]]
    .assert_debug_eq(&reasons);
}

/// Two cycles that share an alarm, and one alarm that only follows them.
#[test]
fn every_alarm_of_every_cycle_is_found() {
    let play = Play::new(&[
        &composite("a", "ALARM(b)", ""),
        &composite("b", "ALARM(a) OR ALARM(c)", ""),
        &composite("c", "ALARM(b) OR ALARM(m)", ""),
        &composite("d", "ALARM(c) OR TRUE", ""),
        &above_50("m", "x", ""),
    ]);
    let why = |name| play.status(name).not_mirrored;
    expect![[r#"
        [
            Some(
                "its alarm rule follows itself: `a` → `b` → `a`",
            ),
            Some(
                "its alarm rule follows itself: `a` → `b` → `a`",
            ),
            Some(
                "its alarm rule follows itself: `c` → `b` → `c`",
            ),
            None,
        ]
    "#]]
    .assert_debug_eq(&["a", "b", "c", "d"].map(why));
}

#[test]
fn a_child_that_is_not_here_leaves_open_what_depends_on_it() {
    let mut play = Play::new(&[
        &composite("c", "ALARM(a) OR ALARM(elsewhere)", ""),
        &above_50("a", "x", ""),
    ]);
    play.values("x", 0, 60, "10");
    let why = play.status("c").not_mirrored;
    expect![[r#"
        Some(
            "it depends on alarm `elsewhere`, which is not judged here",
        )
    "#]]
    .assert_debug_eq(&why);
    play.values("x", 60, 60, "90");
    assert_eq!(play.status("c").not_mirrored, None);
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (determined)
        2m c INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    expect!["arn:aws:cloudwatch:::alarm:c was created and its alarm rule evaluates to ALARM"]
        .assert_eq(&play.status("c").reason);
}

#[test]
fn what_is_left_open_is_open_after_a_restart() {
    let c = composite("c", "ALARM(a) OR ALARM(elsewhere)", "");
    let mut play = Play::new(&[&c, &above_50("a", "x", "")]);
    play.values("x", 0, 60, "10").restart();
    play.until(61);
    assert!(play.status("c").not_mirrored.is_some());
}

#[test]
fn a_child_that_comes_to_be_judged_is_followed_at_once() {
    let promql = r#"{"AlarmName": "a", "EvaluationInterval": 60, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up == 0"}}}"#;
    let c = composite("c", "OK(a)", "");
    let mut play = Play::new(&[promql, &c]);
    assert!(play.status("c").not_mirrored.is_some());
    play.until(30);
    replace(&mut play, &[above_50("a", "x", ""), c], 40);
    play.until(41);
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> ALARM (history incomplete)
    "#]]);
}

/// A metric that comes in two units can no longer be judged, and neither can what follows the alarm.
#[test]
fn what_follows_an_alarm_that_is_no_longer_judged_is_not_judged_either() {
    let mut play = Play::new(&[
        &above_50("a", "x", ""),
        &composite("c", "ALARM(a)", ""),
        &composite("d", "NOT ALARM(c)", ""),
    ]);
    play.values("x", 0, 60, "90 90");
    play.percent("x", 120, 1.0);
    play.until(180);
    let why = |play: &Play, name: &str| play.status(name).not_mirrored;
    expect![[r#"
        [
            Some(
                "`n x` has samples in several units (`None`, `Percent`) and the alarm sets no `Unit`; set it to one of them",
            ),
            Some(
                "it depends on alarm `a`, which is not judged here",
            ),
            Some(
                "it depends on alarm `c`, which is not judged here",
            ),
        ]
    "#]].assert_debug_eq(&["a", "c", "d"].map(|name| why(&play, name)));
    play.until(3_600);
    assert_eq!(
        ["a", "c", "d"].map(|name| why(&play, name)),
        [None, None, None]
    );
}

/// It follows from what `b` did while `a` was unknown, and is known once `a` is, which did nothing.
#[test]
fn a_child_that_comes_to_be_known_is_not_said_to_have_changed() {
    let mut play = Play::new(&[
        &above_50("a", "x", ""),
        &above_50("b", "y", ""),
        &composite("c", "ALARM(a) OR ALARM(b)", ""),
    ]);
    let [x, y] = ["x", "y"].map(|name| Arc::new(Metric::new("n", name, vec![])));
    for minute in 0..3 {
        let at = play.start + 60 * minute;
        let unit = if minute == 1 {
            Unit::PERCENT
        } else {
            Unit::NONE
        };
        let x = Sample {
            unit,
            ..sample(&x, at, 10.0)
        };
        let y = sample(&y, at, if minute == 0 { 90.0 } else { 10.0 });
        play.look(Reading {
            at,
            samples: vec![x, y],
        });
    }
    play.until(3_600).check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (history incomplete)
        1m a INSUFFICIENT_DATA -> OK (determined)
        1m b INSUFFICIENT_DATA -> ALARM (determined)
        1m c OK -> ALARM (determined)
        2m b ALARM -> OK (determined)
        10m c ALARM -> OK (determined)
    "#]]);
    expect!["arn:aws:cloudwatch:::alarm:c was updated and its alarm rule evaluates to OK"]
        .assert_eq(&play.status("c").reason);
}

#[test]
fn a_replaced_rule_is_judged_at_once() {
    let alarms = [composite("c", "FALSE", ""), above_50("a", "x", "")];
    let mut play = Play::new(&[&alarms[0], &alarms[1]]);
    play.values("x", 0, 60, "90");
    let parsed = parse_in(
        "a",
        &format!("[{},{}]", composite("c", "ALARM(a)", ""), alarms[1]),
        &Account::default(),
    );
    let at = play.start + 90;
    play.pipeline.set_alarms(
        parsed
            .alarms
            .into_iter()
            .map(|definition| definition.alarm)
            .collect(),
        at,
    );
    play.until(91);
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> OK (determined)
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        1m c OK -> ALARM (determined)
    "#]]);
    expect!["arn:aws:cloudwatch:::alarm:c was updated and its alarm rule evaluates to ALARM"]
        .assert_eq(&play.status("c").reason);
}

/// Windows, states, transition times, suppression and muting are what they would be without the restarts.
#[test]
fn restarts_change_nothing() {
    let suppressed = format!(
        r#"{}, "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120"#,
        actions()
    );
    let warm_up = r#", "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 8}"#;
    let five = r#""Period": 300, "EvaluationPeriods": 2, "DatapointsToAlarm": 1"#;
    let alarms = [
        composite("c", "ALARM(a) OR ALARM(w)", &suppressed),
        above_50("a", "x", &actions()).replace("\"notBreaching\"", "\"missing\""),
        above_50("s", "y", ""),
        above_50("w", "x", warm_up),
        above_50("p", "x", "").replace(
            "\"Statistic\": \"Average\"",
            "\"ExtendedStatistic\": \"p90\"",
        ),
        above_50("f", "x", "").replace("\"Period\": 60, \"EvaluationPeriods\": 1", five),
        mute_rule("cron(3 0 * * *)", "PT4M"),
    ];
    let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
    let played = |restarts| {
        let mut play = Play::new(&alarms);
        play.restarts = restarts;
        play.values("x", 0, 60, "10 90 10 90 90")
            .values("y", 300, 60, "90 90 10")
            .values("x", 480, 20, "90 10 90 10 10 10 _ _ 90 90 10")
            .until(3_600);
        play.written
    };
    let whole = played(false);
    assert_eq!(played(true), whole);
    assert!(
        whole.contains("MuteWindowEnd") && whole.lines().count() > 20,
        "{whole}"
    );
}

/// Returns what that changes by itself.
fn replace(play: &mut Play, alarms: &[String], seconds: i64) -> Vec<Transition> {
    let parsed = parse_in("a", &format!("[{}]", alarms.join(",")), &Account::default());
    assert_eq!(parsed.findings, []);
    let alarms = parsed.alarms.into_iter().map(|definition| definition.alarm);
    let at = play.start + seconds;
    let changed = play.pipeline.set_alarms(alarms.collect(), at);
    play.until(seconds + 1);
    changed
}

#[test]
fn a_rule_is_judged_anew_when_there_are_other_children() {
    let either = composite("c", "NOT ALARM(a) OR ALARM(b)", "");
    let [a, b] = [above_50("a", "x", ""), above_50("b", "y", "")];
    let mut play = Play::new(&[&either, &a]);
    play.values("x", 0, 60, "90");
    assert!(play.status("c").not_mirrored.is_some());
    replace(&mut play, &[either, a, b], 90);
    assert_eq!(play.status("c").not_mirrored, None);
    replace(
        &mut play,
        &[
            composite("c", "ALARM(d)", ""),
            composite("d", "ALARM(c)", ""),
        ],
        100,
    );
    assert!(play.status("c").not_mirrored.is_some());
    replace(
        &mut play,
        &[composite("c", "ALARM(d)", ""), composite("d", "TRUE", "")],
        110,
    );
    assert_eq!(play.status("c").not_mirrored, None);
    play.check(expect![[r#"
        0m c INSUFFICIENT_DATA -> ALARM (history incomplete)
        1m a INSUFFICIENT_DATA -> ALARM (determined)
        1m c ALARM -> OK (history incomplete)
        1m d INSUFFICIENT_DATA -> ALARM (determined)
        1m c OK -> ALARM (determined)
    "#]]);
}

/// The day of the spring change has 23 hours in Berlin, and is judged when it is over there.
#[test]
fn a_day_on_the_wall_clock_ends_at_midnight_there() {
    let others = r#", "EvaluationWindow": {"WallClockWindow": {"Timezone": "Europe/Berlin"}}"#;
    let alarm = above_50("a", "x", others)
        .replace("\"Period\": 60", "\"Period\": 86400")
        .replace("Average", "Sum");
    // Saturday 2026-03-28, 23:00 UTC is Sunday's beginning.
    let mut play = Play::at(1_774_738_800, &[&alarm]);
    let hours = ["1"; 30].join(" ");
    play.values("x", 0, 3_600, &hours);
    let evaluation = play.status("a").evaluation.unwrap();
    assert_eq!(
        evaluation.points[0].value,
        Some(23.0),
        "one value in each of 23 hours"
    );
    assert_eq!(
        evaluation.points.len(),
        1,
        "no more than N periods are looked at"
    );
    assert_eq!(evaluation.end, play.start + 23 * 3_600);
}

#[test]
fn an_alarm_over_more_than_a_day_is_judged_at_full_hours() {
    let alarm = above_50("a", "x", "").replace(
        "\"Period\": 60, \"EvaluationPeriods\": 1",
        "\"Period\": 3600, \"EvaluationPeriods\": 25, \"DatapointsToAlarm\": 1",
    );
    let mut play = Play::new(&[&alarm]);
    play.values("x", 1_800, 60, "90");
    assert_eq!(play.status("a").evaluation, None);
    play.until(3 * 3_600);
    play.check(expect![[r#"
        60m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
}

/// A period of half a day slides by the minute, over the twelve-hour periods of a range of four.
#[test]
fn long_periods_slide_by_the_minute() {
    let alarm = above_50("a", "m", "").replace(
        "\"Period\": 60, \"EvaluationPeriods\": 1",
        "\"Period\": 43200, \"EvaluationPeriods\": 2, \"DatapointsToAlarm\": 1",
    );
    Play::new(&[&alarm])
        .values("m", 600, 60, "60")
        .until(3_000 * 60)
        .check(expect![[r#"
            10m a INSUFFICIENT_DATA -> OK (determined)
            11m a OK -> ALARM (determined)
            2891m a ALARM -> OK (determined)
        "#]]);
}

#[test]
fn a_new_alarm_warms_up_until_it_has_seen_enough() {
    let with = |others: &str| {
        let warm_up =
            format!(r#", "WarmUpConfiguration": {{"WarmUpPeriodDurationInMinutes": 60{others}}}"#);
        above_50("a", "x", &warm_up).replace("\"EvaluationPeriods\": 1", "\"EvaluationPeriods\": 3")
    };
    let values = ["90"; 70].join(" ");
    let mut early = Play::new(&[&with("")]);
    early.values("x", 240, 60, &values);
    early.check(expect![[r#"
        7m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    let mut late = Play::new(&[&with(
        r#", "OnlyStartEvaluatingAfterWarmUpPeriodEnds": true"#,
    )]);
    late.values("x", 240, 60, &values);
    late.check(expect![[r#"
        60m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    let mut silent = Play::new(&[&with("")]);
    silent.until(3_700);
    silent.check(expect![[r#"
        60m a INSUFFICIENT_DATA -> OK (determined)
    "#]]);
}

const BAND: &str = r#"{"AlarmName": "a", "EvaluationPeriods": 1, "ThresholdMetricId": "ad1", "ComparisonOperator": "LessThanLowerOrGreaterThanUpperThreshold", "Metrics": [
    {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "x"}, "Period": 60, "Stat": "Average"}},
    {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}]}"#;

#[test]
fn an_alarm_on_a_band_is_judged_when_the_band_is_supplied() {
    let mut play = Play::new(&[BAND]);
    play.values("x", 0, 60, "10 90");
    expect![[r#"
        Some(
            "anomaly detection needs a model that only CloudWatch has",
        )
    "#]]
    .assert_debug_eq(&play.status("a").not_mirrored);
    let bounds = band_metrics("a").map(Arc::new);
    for (minute, (lower, upper)) in [(5.0, 20.0), (5.0, 20.0), (95.0, 99.0)]
        .into_iter()
        .enumerate()
    {
        let at = play.start + 120 + minute as i64 * 60;
        let metric = Arc::new(Metric::new("n", "x", vec![]));
        let samples = vec![
            sample(&metric, at, 90.0 - 80.0 * f64::from(minute == 0)),
            sample(&bounds[0], at, lower),
            sample(&bounds[1], at, upper),
        ];
        play.look(Reading { at, samples });
    }
    play.until(300);
    play.check(expect![[r#"
        3m a INSUFFICIENT_DATA -> OK (determined)
        4m a OK -> ALARM (determined)
    "#]]);
    expect!["Thresholds Crossed: 1 datapoint [90.0 (05/01/26 00:03:00)] was less than the lower thresholds [5.0] or greater than the upper thresholds [20.0]."].assert_eq(&play.status("a").reason);
}

#[test]
fn metric_math_is_judged_like_a_metric() {
    let rate = r#"{"AlarmName": "a", "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 50, "TreatMissingData": "notBreaching", "Metrics": [
        {"Id": "e", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "errors"}, "Period": 60, "Stat": "Sum"}},
        {"Id": "r", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "requests"}, "Period": 60, "Stat": "Sum"}},
        {"Id": "rate", "Expression": "100 * e / r"}]}"#;
    let mut play = Play::new(&[rate]);
    let errors = Arc::new(Metric::new("n", "errors", vec![]));
    let requests = Arc::new(Metric::new("n", "requests", vec![]));
    for (minute, (e, r)) in [(1.0, 10.0), (9.0, 10.0), (9.0, 10.0), (1.0, 10.0)]
        .into_iter()
        .enumerate()
    {
        let at = play.start + minute as i64 * 60;
        play.look(Reading {
            at,
            samples: vec![sample(&errors, at, e), sample(&requests, at, r)],
        });
    }
    play.until(240);
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        3m a OK -> ALARM (determined)
        4m a ALARM -> OK (determined)
    "#]]);
    let evaluation = play.status("a").evaluation.unwrap();
    assert_eq!(evaluation.points[1].value, Some(90.0));
}

/// CloudWatch computes percentiles approximately: near the threshold the verdict is not certain.
#[test]
fn a_percentile_near_the_threshold_is_not_certain() {
    let p50 = above_50("a", "x", "").replace(
        "\"Statistic\": \"Average\"",
        "\"ExtendedStatistic\": \"p50\"",
    );
    let mut play = Play::new(&[&p50]);
    play.values("x", 0, 60, "10 52 10 90");
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        2m a OK -> ALARM (near the threshold of an approximate statistic)
        3m a ALARM -> OK (determined)
        4m a OK -> ALARM (determined)
    "#]]);
}

#[test]
fn too_few_samples_for_a_percentile_keep_the_state() {
    let low = above_50(
        "a",
        "x",
        ", \"EvaluateLowSampleCountPercentile\": \"ignore\"",
    )
    .replace(
        "\"Statistic\": \"Average\"",
        "\"ExtendedStatistic\": \"p50\"",
    );
    let mut play = Play::new(&[&low]);
    play.values("x", 0, 60, "90");
    let metric = Arc::new(Metric::new("n", "x", vec![]));
    let at = play.start + 60;
    let twenty = Sample {
        content: Content::Values(vec![(90.0, 20.0)]),
        ..sample(&metric, at, 0.0)
    };
    play.look(Reading {
        at,
        samples: vec![twenty],
    });
    play.until(120);
    play.values("x", 120, 60, "10");
    play.check(expect![[r#"
        2m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
}

/// AWS's documents contradict each other on whether DynamoDB's missing data can be treated otherwise than ignored.
#[test]
fn another_treatment_of_dynamo_db_is_undetermined() {
    let ignored = above_50("a", "x", "")
        .replace("\"Namespace\": \"n\"", "\"Namespace\": \"AWS/DynamoDB\"")
        .replace("\"TreatMissingData\": \"notBreaching\",", "");
    let treated =
        above_50("b", "x", "").replace("\"Namespace\": \"n\"", "\"Namespace\": \"AWS/DynamoDB\"");
    let mut play = Play::new(&[&ignored, &treated]);
    play.until(60);
    play.check(expect![[r#"
        1m b INSUFFICIENT_DATA -> OK (undetermined by AWS's documents)
    "#]]);
}

/// CloudWatch keeps datapoints of ten seconds for three hours.
#[test]
fn ten_second_datapoints_are_seen_for_three_hours() {
    let ten = above_50("a", "x", "").replace(
        "\"Period\": 60, \"EvaluationPeriods\": 1",
        "\"Period\": 10, \"EvaluationPeriods\": 2160, \"DatapointsToAlarm\": 1",
    );
    let mut play = Play::new(&[&ten]);
    let metric = Arc::new(Metric::new("n", "x", vec![]));
    let high = Sample {
        resolution: Resolution::High,
        ..sample(&metric, play.start, 90.0)
    };
    play.look(Reading {
        at: play.start,
        samples: vec![high],
    });
    play.until(4 * 3_600);
    play.check(expect![[r#"
        0m a INSUFFICIENT_DATA -> ALARM (undetermined by AWS's documents)
        180m a ALARM -> OK (undetermined by AWS's documents)
    "#]]);
}

#[test]
fn where_all_alarms_are_told_only_their_newest_datapoints_are() {
    let alarm = above_50("a", "m", "").replace("Periods\": 1", "Periods\": 300");
    let mut play = Play::new(&[&alarm]);
    play.values("m", 0, 60, "1 2 3");
    let points = |status: &Status| status.evaluation.clone().unwrap().points;
    let all = points(&play.status("a"));
    assert_eq!(all.len(), 305);
    let told = points(&play.pipeline.statuses()[0]);
    assert_eq!(told, all[..POINTS_SHOWN_MAX]);
}

/// The model of the band is not here, the alarm warms up, and the clock jumps ahead by decades.
#[test]
fn an_alarm_that_cannot_be_judged_costs_no_time_in_a_silence() {
    let band = r#"{"AlarmName": "a", "EvaluationPeriods": 1, "ThresholdMetricId": "b", "ComparisonOperator": "GreaterThanUpperThreshold",
        "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 60},
        "Metrics": [{"Id": "m", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}, "ReturnData": true},
                    {"Id": "b", "Expression": "ANOMALY_DETECTION_BAND(m)"}]}"#;
    let mut play = Play::new(&[band]);
    let at = play.start + 50 * 365 * 86_400;
    let later = Reading {
        at,
        samples: vec![],
    };
    let evaluated = play.pipeline.advance(&later).evaluated;
    assert!(evaluated < 100, "{evaluated} evaluations");
    assert_eq!(play.status("a").evaluation_state, None);
}

#[test]
fn samples_ahead_of_the_clock_are_judged_in_a_silence() {
    let metric = Arc::new(Metric::new("n", "m", vec![]));
    let mut play = Play::new(&[&above_50("a", "m", "")]);
    let at = play.start + 60;
    let samples = vec![sample(&metric, at + 3_600, 90.0)];
    play.values("m", 0, 60, "10").look(Reading { at, samples });
    play.until(2 * 3_600).check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        62m a OK -> ALARM (determined)
        68m a ALARM -> OK (depends on the evaluation range)
    "#]]);
}

/// Nothing comes after the first minute, and the clock alone makes the expression breach at noon.
#[test]
fn the_time_of_day_is_judged_through_a_silence() {
    let alarm = r#"{"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 12,
        "Metrics": [{"Id": "e", "Expression": "HOUR(m)"},
                    {"Id": "m", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "x"}, "Period": 60, "Stat": "Average"}}]}"#;
    let mut play = Play::new(&[alarm]);
    play.values("x", 0, 60, "1").until(14 * 3_600);
    play.check(expect![[r#"
        1m a INSUFFICIENT_DATA -> OK (determined)
        721m a OK -> ALARM (determined)
    "#]]);
}

/// 52 is near enough to 50 for a percentile to be on the other side, but that does not matter.
#[test]
fn a_percentile_that_is_not_judged_is_not_near_its_threshold() {
    let low = above_50(
        "a",
        "x",
        r#", "EvaluateLowSampleCountPercentile": "ignore""#,
    )
    .replace(r#""Statistic": "Average""#, r#""ExtendedStatistic": "p50""#);
    let mut play = Play::new(&[&low]);
    play.values("x", 0, 60, "52");
    let certainty = play.status("a").evaluation.unwrap().certainty;
    assert_eq!(certainty.name(), "determined");
}

//! Alarms on queries that only CloudWatch can run, on what these are said to have returned.

use std::ops::Range;

use cwbridge::alarm::{
    Answer, CONTRIBUTORS_MAX, Certainty, EvaluationState, Point, Rule, StateValue,
};
use cwbridge::metric::Reading;
use expect_test::expect;

use super::{Play, above_50, replace};

/// Whether a contributor changes at the very end of its pending period is undocumented.
#[test]
fn a_promql_alarm_on_the_boundary_is_undetermined() {
    let alarm = r#"{"AlarmName": "a", "EvaluationInterval": 60, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up == 0", "PendingPeriod": 120, "RecoveryPeriod": 60}}}"#;
    let mut play = Play::new(&[alarm]);
    for (at, returned) in [(0, "h1"), (120, "h1"), (180, ""), (300, "")] {
        let series = returned
            .split_whitespace()
            .map(|name| (name.to_owned(), vec![]));
        let answer = Answer {
            series: series.collect(),
        };
        let events = play.pipeline.answer("a", &answer, play.start + at).unwrap();
        play.write(&events);
    }
    play.check(expect![[r#"
        2m a OK -> ALARM (undetermined by AWS's documents)
        5m a ALARM -> OK (determined)
    "#]]);
    assert_eq!(
        play.status("a").contributors.len(),
        0,
        "what is over is forgotten"
    );
}

#[test]
fn a_log_alarm_goes_by_the_results_there_are() {
    let alarm = |treatment: &str| {
        format!(
            r#"{{"AlarmName": "a", "QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 2, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "{treatment}",
                "ScheduledQueryConfiguration": {{"QueryString": "fields @message", "AggregationExpression": "count(*)", "ScheduleConfiguration": {{"ScheduleExpression": "rate(5 minutes)"}}}}}}"#
        )
    };
    let mut play = Play::new(&[&alarm("ignore")]);
    for (i, value) in [Some(5.0), None, Some(5.0), Some(0.0), Some(0.0)]
        .into_iter()
        .enumerate()
    {
        let start = play.start + 300 * i as i64;
        let point = Point {
            start,
            value,
            sample_count: 1.0,
            band: None,
        };
        let answer = Answer {
            series: [(String::new(), vec![point])].into(),
        };
        let events = play.pipeline.answer("a", &answer, start).unwrap();
        play.write(&events);
    }
    play.check(expect![[r#"
        0m a INSUFFICIENT_DATA -> OK (determined)
        10m a OK -> ALARM (determined)
        15m a ALARM -> OK (determined)
    "#]]);
    expect!["Threshold Crossed: 1 out of the last 3 query results [0.0 (05/01/26 00:15:00)] was not greater than the threshold (1.0) (minimum 2 datapoints for ALARM -> OK transition)."].assert_eq(&play.status("a").reason);
    assert!(matches!(play.status("a").alarm.rule, Rule::Log(_)));
}

/// Absent from 00:03 on, and absent for the recovery period at 00:06.
#[test]
fn a_promql_contributor_stays_through_its_recovery_period() {
    let alarm = r#"{"AlarmName": "a", "EvaluationInterval": 60, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up == 0", "RecoveryPeriod": 170}}}"#;
    let mut play = Play::new(&[alarm]);
    for (at, returned) in [(60, "h1"), (180, ""), (240, ""), (300, ""), (360, "")] {
        let names = returned.split_whitespace();
        let answer = Answer {
            series: names.map(|name| (name.to_owned(), vec![])).collect(),
        };
        let events = play.pipeline.answer("a", &answer, play.start + at).unwrap();
        play.write(&events);
    }
    play.check(expect![[r#"
        1m a OK -> ALARM (determined)
        6m a ALARM -> OK (determined)
    "#]]);
}

/// Alarm `a` on log results every five minutes, 3 of 3 above 1.
fn log_alarm(groups: &str, others: &str) -> String {
    format!(
        r#"{{"AlarmName": "a", "QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 3, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"{others},
            "ScheduledQueryConfiguration": {{"QueryString": "fields @message", "AggregationExpression": "avg(x)", "LogGroupIdentifiers": ["{groups}"],
                                            "ScheduleConfiguration": {{"ScheduleExpression": "rate(5 minutes)"}}}}}}"#
    )
}

/// The alarm's query returned one value at a minute, or nothing.
fn log_result(play: &mut Play, minute: i64, value: Option<f64>) {
    let at = play.start + 60 * minute;
    let point = Point {
        start: at,
        value,
        sample_count: 1.0,
        band: None,
    };
    let answer = Answer {
        series: [(String::new(), vec![point])].into(),
    };
    let events = play.pipeline.answer("a", &answer, at).unwrap();
    play.write(&events);
}

/// First data at 00:05, so that three times five minutes later is 00:20; and the whole hour where that is asked for.
#[test]
fn a_log_alarm_warms_up() {
    let warm_up = |others: &str| {
        let others =
            format!(r#", "WarmUpConfiguration": {{"WarmUpPeriodDurationInMinutes": 60{others}}}"#);
        let mut play = Play::new(&[&log_alarm("g", &others)]);
        for minute in (0..=70).step_by(5) {
            log_result(&mut play, minute, (minute > 0).then_some(9.0));
        }
        play
    };
    warm_up("").check(expect![[r#"
        20m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    warm_up(r#", "OnlyStartEvaluatingAfterWarmUpPeriodEnds": true"#).check(expect![[r#"
        60m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
}

#[test]
fn a_log_alarm_that_looks_at_other_logs_begins_anew() {
    let mut play = Play::new(&[&log_alarm("g", "")]);
    for minute in [5, 10, 15] {
        log_result(&mut play, minute, Some(9.0));
    }
    let described = log_alarm("g", r#", "AlarmDescription": "d""#);
    assert_eq!(replace(&mut play, &[described], 1_000), []);
    assert_eq!(play.status("a").state.name(), "ALARM");
    let changed = replace(&mut play, &[log_alarm("h", "")], 1_001);
    let [reset] = changed.as_slice() else {
        panic!("{changed:?}");
    };
    assert_eq!(
        (reset.from.name(), reset.to.name()),
        ("ALARM", "INSUFFICIENT_DATA")
    );
    let status = play.status("a");
    assert_eq!(status.state.name(), "INSUFFICIENT_DATA");
    assert_eq!(&*status.reason, "Unchecked: Initial alarm creation");
    assert_eq!(status.transitioned_at, Some(play.start + 1_001));
}

/// What the query of alarm `a` returned at a minute: series by their numbers, each with a value, NaN for a missing one.
fn answer(play: &mut Play, minute: i64, values: impl IntoIterator<Item = (usize, f64)>) {
    let at = play.start + 60 * minute;
    let point = |value: f64| Point {
        start: at,
        value: Some(value).filter(|value| !value.is_nan()),
        sample_count: 1.0,
        band: None,
    };
    let values = values.into_iter();
    let series = values.map(|(number, value)| (format!("h{number:04}"), vec![point(value)]));
    let answer = Answer {
        series: series.collect(),
    };
    let events = play.pipeline.answer("a", &answer, at).unwrap();
    play.write(&events);
}

/// What the query of alarm `a` returned at a minute: the series numbered so, each with a value if there is one.
fn returned(
    play: &mut Play,
    minute: i64,
    numbers: Range<usize>,
    value: Option<f64>,
) -> Option<EvaluationState> {
    let at = play.start + 60 * minute;
    let point = |value| Point {
        start: at,
        value: Some(value),
        sample_count: 1.0,
        band: None,
    };
    let points: Vec<Point> = value.map(point).into_iter().collect();
    let series = numbers.map(|number| (format!("h{number:04}"), points.clone()));
    let answer = Answer {
        series: series.collect(),
    };
    let events = play.pipeline.answer("a", &answer, at).unwrap();
    play.write(&events);
    play.status("a").evaluation_state
}

const PROMQL: &str = r#"{"AlarmName": "a", "EvaluationInterval": 60, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up == 0", "RecoveryPeriod": 3600}}}"#;

const INSIGHTS: &str = r#"{"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1,
    "Metrics": [{"Id": "q", "Expression": "SELECT AVG(x) FROM n GROUP BY h", "Period": 60}]}"#;

/// Alarm `a` on log results by host, 1 of 3 above 1.
fn grouped(others: &str) -> String {
    log_alarm("g", others)
        .replace("avg(x)", "avg(x) by host")
        .replace("ToAlarm\": 3", "ToAlarm\": 1")
}

/// Whatever a query returns, five hundred series are looked at; what is more is said to be left out.
#[test]
fn five_hundred_contributors_are_looked_at() {
    for (alarm, value) in [
        (PROMQL, None),
        (INSIGHTS, Some(9.0)),
        (&grouped(""), Some(9.0)),
    ] {
        let mut play = Play::new(&[alarm]);
        assert_eq!(returned(&mut play, 5, 0..500, value), None);
        let partial = returned(&mut play, 10, 0..501, value);
        assert_eq!(partial, Some(EvaluationState::PartialData));
        assert_eq!(play.status("a").contributors.len(), CONTRIBUTORS_MAX);
        let history = play.status("a").history;
        let has = |kind| history.iter().any(|item| item.event.kind() == kind);
        assert!(
            has("StateUpdate") && has("AlarmContributorStateUpdate"),
            "{history:?}"
        );
        for minute in [180, 185, 190] {
            returned(&mut play, minute, 0..0, value);
        }
        assert_eq!(returned(&mut play, 195, 700..800, value), None);
        assert!(play.status("a").contributors.contains_key("h0700"));
    }
}

/// One that is known is looked at before others, or it would stay in ALARM for ever.
#[test]
fn a_known_contributor_is_not_crowded_out() {
    for alarm in [INSIGHTS, &grouped("")] {
        let mut play = Play::new(&[alarm]);
        returned(&mut play, 5, 600..601, Some(9.0));
        let values = (0..601).map(|number| (number, if number == 600 { 0.5 } else { 0.0 }));
        for minute in [10, 15, 20] {
            answer(&mut play, minute, values.clone());
        }
        assert_eq!(play.status("a").contributors["h0600"].state, StateValue::Ok);
        assert_eq!(play.status("a").state, StateValue::Ok);
    }
}

/// Host 1 vanishes from the results; what it was before does not count any more.
#[test]
fn a_group_that_is_not_returned_is_gone() {
    let mut play = Play::new(&[&grouped(r#", "TreatMissingData": "breaching""#)]);
    answer(&mut play, 5, [(1, 9.0)]);
    answer(&mut play, 10, [(2, 0.0)]);
    play.check(expect![[r#"
        5m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    assert_eq!(play.status("a").contributors.len(), 1);
}

/// A host that was in ALARM on two of three results, and then is not: `ignore` goes by what there is.
#[test]
fn groups_go_by_the_results_there_are_too() {
    let alarm =
        grouped(r#", "TreatMissingData": "ignore""#).replace("ToAlarm\": 1", "ToAlarm\": 2");
    let mut play = Play::new(&[&alarm]);
    for minute in [5, 10] {
        answer(&mut play, minute, [(1, 9.0)]);
    }
    for minute in [15, 20] {
        answer(&mut play, minute, [(1, f64::NAN)]);
    }
    play.check(expect![[r#"
        5m a INSUFFICIENT_DATA -> OK (determined)
        10m a OK -> ALARM (determined)
        20m a ALARM -> OK (determined)
    "#]]);
}

#[test]
fn the_verdict_on_a_query_is_no_more_certain_than_that_on_a_metric() {
    let mut play = Play::new(&[&log_alarm("g", "")]);
    log_result(&mut play, 5, Some(9.0));
    let certainty = |play: &Play| play.status("a").evaluation.unwrap().certainty;
    assert_eq!(certainty(&play), Certainty::Undetermined);
    let mut play = Play::new(&[&grouped("").replace("ToAlarm\": 1", "ToAlarm\": 3")]);
    answer(&mut play, 5, [(1, 9.0), (2, 0.0)]);
    assert_eq!(certainty(&play), Certainty::Undetermined);
}

#[test]
fn an_alarm_that_warms_up_no_more_is_judged() {
    let warm_up = r#", "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 2880}"#;
    let mut play = Play::new(&[&above_50("a", "x", warm_up)]);
    assert_eq!(
        play.status("a").evaluation_state,
        Some(EvaluationState::InWarmUp)
    );
    replace(&mut play, &[above_50("a", "x", "")], 10);
    assert_eq!(play.status("a").evaluation_state, None);
    play.values("x", 60, 60, "90");
    assert_eq!(play.status("a").state, StateValue::Alarm);
}

#[test]
fn a_count_over_nothing_is_zero() {
    let states = ["count(*)", "avg(x)"].map(|aggregation| {
        let alarm = log_alarm("g", "")
            .replace("avg(x)", aggregation)
            .replace("3,", "1,");
        let mut play = Play::new(&[&alarm]);
        let at = play.start + 300;
        let events = play.pipeline.answer("a", &Answer::default(), at).unwrap();
        play.write(&events);
        play.status("a").state
    });
    assert_eq!(states, [StateValue::Ok, StateValue::InsufficientData]);
}

/// First data at 00:05, so that three minutes later is 00:08; and the whole hour where that is asked for.
#[test]
fn an_insights_alarm_warms_up() {
    let warm_up = |others: &str| {
        let alarm = format!(
            r#"{{"AlarmName": "a", "EvaluationPeriods": 3, "DatapointsToAlarm": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1,
                "Metrics": [{{"Id": "q", "Expression": "SELECT AVG(x) FROM n", "Period": 60}}],
                "WarmUpConfiguration": {{"WarmUpPeriodDurationInMinutes": 60{others}}}}}"#
        );
        let mut play = Play::new(&[&alarm]);
        for minute in 0..70 {
            log_result(&mut play, minute, (minute >= 5).then_some(9.0));
        }
        play
    };
    warm_up("").check(expect![[r#"
        8m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
    warm_up(r#", "OnlyStartEvaluatingAfterWarmUpPeriodEnds": true"#).check(expect![[r#"
        60m a INSUFFICIENT_DATA -> ALARM (determined)
    "#]]);
}

#[test]
fn what_only_cloudwatch_can_compute_is_never_due() {
    let alarm = r#"{"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1,
        "Metrics": [{"Id": "e", "Expression": "LAMBDA(\"f\")", "Period": 60}]}"#;
    let mut play = Play::new(&[alarm]);
    let later = Reading {
        at: play.start + 600,
        samples: vec![],
    };
    assert_eq!(play.pipeline.advance(&later).evaluated, 0);
    assert!(play.status("a").not_mirrored.is_some());
}

//! Alarms over time: what is judged when, and from which samples.

mod laws;

use super::*;
use crate::alarm::{
    Actions, Certainty, Comparison, ComparisonOperator, EvaluationWindow, MetricAlarm, MetricStat,
    Rule, Source, Transition, TreatMissingData,
};
use crate::metric::{
    BasicStatistic, Content, Metric, Period, Resolution, Sample, Statistic, StatisticSet, Unit,
};
use expect_test::{Expect, expect};
use std::fmt::Write as _;

fn metric() -> Arc<Metric> {
    Arc::new(Metric::new("CWBridge", "m", vec![]))
}

fn stat(unit: Option<Unit>) -> Source {
    Source::Stat(MetricStat {
        metric: metric(),
        statistic: Statistic::Basic(BasicStatistic::Average),
        unit,
    })
}

fn above(threshold: f64) -> Comparison {
    Comparison::Threshold {
        operator: ComparisonOperator::GreaterThanThreshold,
        threshold,
    }
}

/// The article's alarm: Average of a minute above 50, two of two, missing data breaching.
fn rule() -> MetricAlarm {
    MetricAlarm {
        source: stat(None),
        period: Period::new(60).unwrap(),
        evaluation_periods: 2,
        datapoints_to_alarm: None,
        comparison: above(50.0),
        treat_missing_data: Some(TreatMissingData::Breaching),
        low_sample_percentile: None,
        evaluation_window: EvaluationWindow::Sliding,
        warm_up: None,
    }
}

fn treated(treatment: TreatMissingData) -> MetricAlarm {
    MetricAlarm {
        treat_missing_data: Some(treatment),
        ..rule()
    }
}

fn alarm(rule: MetricAlarm) -> Alarm {
    Alarm {
        name: "a".into(),
        description: None,
        actions: Actions::default(),
        rule: Rule::Metric(rule),
        arn: None,
        not_here: None,
    }
}

fn pipeline(rule: MetricAlarm) -> Pipeline {
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm(rule)], Timestamp::from_seconds(0));
    pipeline
}

fn sample(at: i64, value: f64) -> Sample {
    Sample {
        metric: metric(),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        at: Timestamp::from_seconds(at),
        content: Content::Value(value),
    }
}

fn reading(at: i64, samples: Vec<Sample>) -> Reading {
    Reading {
        at: Timestamp::from_seconds(at),
        samples,
    }
}

fn live(at: i64, value: f64) -> Reading {
    reading(at, vec![sample(at, value)])
}

/// Feeds one value per minute (`_` for none) and a last empty reading, and writes down every transition.
#[track_caller]
fn check(rule: MetricAlarm, values: &str, expected: Expect) {
    let mut pipeline = pipeline(rule);
    let mut written = String::new();
    let values: Vec<&str> = values.split(' ').collect();
    for (minute, value) in values.iter().chain(&["_"]).enumerate() {
        let at = minute as i64 * 60;
        let samples = value.parse().map(|value| sample(at, value)).into_iter();
        for transition in pipeline
            .advance(&reading(at, samples.collect()))
            .events
            .transitions
        {
            let Transition {
                at,
                from,
                to,
                certainty,
                ..
            } = transition;
            writeln!(
                written,
                "{}m {from} -> {to} {certainty:?}",
                at.seconds() / 60
            )
            .unwrap();
        }
    }
    expected.assert_eq(&written);
}

#[test]
fn two_hot_minutes_raise_the_alarm_and_one_cool_one_ends_it() {
    check(
        rule(),
        "10 10 90 90 90 20 90",
        expect![[r#"
            1m INSUFFICIENT_DATA -> OK HistoryIncomplete
            4m OK -> ALARM Determined
            6m ALARM -> OK Determined
        "#]],
    );
}

#[test]
fn a_silent_host_is_an_alarm_when_its_old_values_have_left_the_range() {
    check(
        rule(),
        "10 10 10 10 10 10 10 10 _ _ _ _ _ _ _ _",
        expect![[r#"
            1m INSUFFICIENT_DATA -> OK HistoryIncomplete
            15m OK -> ALARM DependsOnRange([8, 9])
        "#]],
    );
}

#[test]
fn a_silent_host_is_unknown_when_missing_is_missing() {
    check(
        treated(TreatMissingData::Missing),
        "10 10 10 10 10 10 10 10 _ _ _ _ _ _ _ _",
        expect![[r#"
            1m INSUFFICIENT_DATA -> OK HistoryIncomplete
            15m OK -> INSUFFICIENT_DATA DependsOnRange([8, 9])
        "#]],
    );
}

#[test]
fn what_was_before_the_first_reading_is_unknown_not_missing() {
    check(
        rule(),
        "90 _ _ _",
        expect![[r#"
            1m INSUFFICIENT_DATA -> ALARM HistoryIncomplete
        "#]],
    );
}

#[test]
fn a_new_alarm_is_first_judged_a_whole_interval_after_its_creation() {
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm(rule())], Timestamp::from_seconds(37));
    let judged: Vec<i64> = (37..=180)
        .filter(|&at| pipeline.advance(&live(at, 10.0)).evaluated > 0)
        .collect();
    assert_eq!(judged, [120, 180]);
}

#[test]
fn an_unchanged_alarm_keeps_its_state_and_a_new_threshold_waits_for_the_next_evaluation() {
    let mut pipeline = pipeline(rule());
    (0..4).for_each(|minute| drop(pipeline.advance(&live(minute * 60, 90.0))));
    assert_eq!(pipeline.statuses()[0].state, StateValue::Alarm);
    pipeline.set_alarms(vec![alarm(rule())], Timestamp::from_seconds(185));
    assert_eq!(pipeline.statuses()[0].state, StateValue::Alarm);
    assert!(pipeline.statuses()[0].evaluation.is_some());
    let higher = MetricAlarm {
        comparison: above(95.0),
        ..rule()
    };
    pipeline.set_alarms(vec![alarm(higher)], Timestamp::from_seconds(185));
    assert_eq!(pipeline.statuses()[0].state, StateValue::Alarm);
    let transitions = pipeline.advance(&live(300, 90.0)).events.transitions;
    assert_eq!(transitions[0].to, StateValue::Ok);
}

#[test]
fn a_late_sample_is_not_seen_before_it_arrived() {
    let mut pipeline = pipeline(treated(TreatMissingData::NotBreaching));
    pipeline.advance(&live(0, 90.0));
    let outcome = pipeline.advance(&reading(300, vec![sample(60, 90.0)]));
    let seen: Vec<_> = outcome
        .events
        .transitions
        .iter()
        .map(|t| (t.at.seconds(), t.to))
        .collect();
    assert_eq!(seen, [(60, StateValue::Ok), (300, StateValue::Alarm)]);
}

#[test]
fn an_alarm_with_a_unit_that_is_never_published_sees_nothing() {
    let seconds = MetricAlarm {
        source: stat(Unit::from_name("Seconds")),
        ..rule()
    };
    check(
        seconds,
        "10 10 10 10 10 10 10 10 10 10",
        expect![[r#"
            1m INSUFFICIENT_DATA -> ALARM HistoryIncomplete
        "#]],
    );
}

#[test]
fn several_units_without_one_asked_for_are_not_judged() {
    let mut pipeline = pipeline(rule());
    let bytes = Sample {
        unit: Unit::NONE,
        ..sample(0, 90.0)
    };
    pipeline.advance(&reading(0, vec![sample(0, 90.0), bytes]));
    assert_eq!(
        pipeline.advance(&reading(60, vec![])).events.transitions,
        []
    );
    expect![
        "`CWBridge m` has samples in several units (`Percent`, `None`) and the alarm sets no `Unit`; set it to one of them"
    ]
    .assert_eq(pipeline.statuses()[0].not_mirrored.as_ref().unwrap());
}

#[test]
fn ten_second_alarms_are_judged_every_ten_seconds_on_one_second_slots() {
    let rule = MetricAlarm {
        period: Period::new(10).unwrap(),
        ..rule()
    };
    let mut pipeline = pipeline(rule);
    let mut transitions = Vec::new();
    for at in 0..60 {
        let value = if (20..40).contains(&at) { 90.0 } else { 10.0 };
        let sample = Sample {
            resolution: Resolution::High,
            ..sample(at, value)
        };
        transitions.append(
            &mut pipeline
                .advance(&reading(at, vec![sample]))
                .events
                .transitions,
        );
    }
    let seen: Vec<_> = transitions.iter().map(|t| (t.at.seconds(), t.to)).collect();
    let expected = [
        (10, StateValue::Ok),
        (40, StateValue::Alarm),
        (50, StateValue::Ok),
    ];
    assert_eq!(seen, expected);
    assert_eq!(transitions[0].certainty, Certainty::HistoryIncomplete);
    assert_eq!(transitions[1].certainty, Certainty::Determined);
}

#[test]
fn a_small_step_back_of_the_clock_is_clamped() {
    let mut pipeline = pipeline(rule());
    for at in [60, 100, 90, 119, 120] {
        let outcome = pipeline.advance(&live(at, 1.0));
        assert_eq!(
            (outcome.dropped, outcome.clock_set_back),
            (vec![], None),
            "at {at}"
        );
    }
    let datapoints = pipeline.finish();
    assert_eq!(datapoints.len(), 1, "the first minute was closed in time");
}

#[test]
fn a_large_step_back_keeps_states_and_counts_no_sample_twice() {
    let mut pipeline = pipeline(rule());
    (0..=300).for_each(|at| drop(pipeline.advance(&live(at, 90.0))));
    let back = pipeline.advance(&live(120, 90.0));
    assert_eq!(back.clock_set_back, Some(180));
    assert_eq!(
        back.dropped,
        [DropReason::ClockSteppedBack; 2],
        "this one, and the one of the open minute ahead"
    );
    assert_eq!(pipeline.statuses()[0].state, StateValue::Alarm);
    let again: Vec<Outcome> = (121..=420)
        .map(|at| pipeline.advance(&live(at, 90.0)))
        .collect();
    let datapoints: Vec<i64> = again
        .iter()
        .flat_map(|o| &o.datapoints)
        .map(|d| d.start.seconds())
        .collect();
    assert_eq!(
        datapoints,
        [300, 360],
        "slots closed before are not closed again"
    );
    assert!(
        again
            .iter()
            .all(|outcome| outcome.events.transitions.is_empty())
    );
}

#[test]
fn a_clock_that_jumps_decades_ahead_costs_no_time() {
    let mut pipeline = pipeline(rule());
    pipeline.advance(&live(0, 10.0));
    let outcome = pipeline.advance(&live(60 * 365 * 86_400, 10.0));
    assert!(outcome.evaluated < 30, "{} evaluations", outcome.evaluated);
    assert_eq!(pipeline.statuses()[0].state, StateValue::Alarm);
}

/// What was forgotten is not known to be missing, and what was closed is there again when its time has come.
#[test]
fn a_clock_set_back_by_an_hour_makes_no_false_alarm_certain() {
    let mut pipeline = pipeline(rule());
    (0..=7_200).for_each(|at| drop(pipeline.advance(&live(at, 10.0))));
    let certainty = |pipeline: &Pipeline| {
        let status = &pipeline.statuses()[0];
        (
            status.state,
            status.evaluation.as_ref().unwrap().certainty.clone(),
        )
    };
    assert_eq!(
        certainty(&pipeline),
        (StateValue::Ok, Certainty::Determined)
    );
    (3_600..=4_500).for_each(|at| drop(pipeline.advance(&live(at, 10.0))));
    assert_eq!(certainty(&pipeline).1, Certainty::HistoryIncomplete);
    pipeline.advance(&live(7_200, 10.0));
    assert_eq!(certainty(&pipeline).0, StateValue::Ok);
}

/// The hypervisor went on while this program did not run.
#[test]
fn silence_while_the_program_was_away_is_not_certain_where_others_publish() {
    for (namespace, expected) in [
        ("CWBridge", Certainty::Determined),
        ("AWS/EC2", Certainty::HistoryIncomplete),
    ] {
        let mut rule = rule();
        let Source::Stat(stat) = &mut rule.source else {
            panic!("it is on one metric");
        };
        stat.metric = Arc::new(Metric::new(namespace, "m", vec![]));
        let mut before = pipeline(rule.clone());
        before.advance(&reading(0, vec![]));
        before.advance(&reading(600, vec![]));
        let mut after = pipeline(rule);
        after.restore(&before.snapshot().unwrap());
        after.advance(&reading(7_200, vec![]));
        let status = &after.statuses()[0];
        assert_eq!(status.state, StateValue::Alarm);
        assert_eq!(status.evaluation.as_ref().unwrap().certainty, expected);
    }
}

/// A clock that stood two hours ahead for a minute costs what was seen then, and nothing after.
#[test]
fn a_clock_that_was_ahead_does_not_blind_the_alarm() {
    let mut pipeline = pipeline(rule());
    (0..=300).for_each(|at| drop(pipeline.advance(&live(at, 10.0))));
    (7_500..=7_565).for_each(|at| drop(pipeline.advance(&live(at, 10.0))));
    let back = pipeline.advance(&live(366, 10.0));
    assert_eq!(back.clock_set_back, Some(7_199));
    let after: Vec<Outcome> = (367..=600)
        .map(|at| pipeline.advance(&live(at, 10.0)))
        .collect();
    assert!(after.iter().all(|outcome| outcome.dropped.is_empty()));
    assert_eq!(pipeline.statuses()[0].state, StateValue::Ok);
    assert_eq!(
        pipeline.statuses()[0]
            .evaluation
            .as_ref()
            .unwrap()
            .certainty,
        Certainty::Determined
    );
}

/// SPEC section 4.2, three periods of five minutes: at 10:25 the window begins at 10:00 and holds the sample of 10:00:30,
/// at 10:26 it begins at 10:01.
#[test]
fn windows_slide_by_the_minute() {
    let rule = MetricAlarm {
        period: Period::new(300).unwrap(),
        evaluation_periods: 3,
        datapoints_to_alarm: Some(3),
        ..rule()
    };
    let mut pipeline = pipeline(rule);
    pipeline.advance(&live(30, 10.0));
    let transitions = pipeline.advance(&reading(3_600, vec![])).events.transitions;
    let seen: Vec<_> = transitions
        .iter()
        .map(|t| (t.at.seconds() / 60, t.to))
        .collect();
    assert_eq!(seen, [(1, StateValue::Ok), (26, StateValue::Alarm)]);
}

#[test]
fn an_unknown_part_of_a_period_is_not_taken_for_all_of_it() {
    let rule = MetricAlarm {
        period: Period::new(3_600).unwrap(),
        evaluation_periods: 1,
        ..rule()
    };
    let mut pipeline = pipeline(rule);
    (0..=300).for_each(|at| drop(pipeline.advance(&live(at, 10.0))));
    let evaluation = pipeline.statuses()[0].evaluation.clone().unwrap();
    assert_eq!(
        (evaluation.decision.basis.filled, &evaluation.certainty),
        (0, &Certainty::HistoryIncomplete)
    );
}

#[test]
fn an_alarm_added_later_knows_how_far_back_it_sees() {
    let mut pipeline = pipeline(MetricAlarm {
        evaluation_periods: 1,
        ..rule()
    });
    (0..=120).for_each(|minute| drop(pipeline.advance(&live(minute * 60, 90.0))));
    let longer = MetricAlarm {
        period: Period::new(300).unwrap(),
        evaluation_periods: 3,
        ..treated(TreatMissingData::NotBreaching)
    };
    pipeline.set_alarms(vec![alarm(longer)], Timestamp::from_seconds(7_200));
    pipeline.advance(&live(7_260, 90.0));
    assert_eq!(
        pipeline.statuses()[0]
            .evaluation
            .as_ref()
            .unwrap()
            .certainty,
        Certainty::HistoryIncomplete
    );
}

#[test]
fn what_the_documents_leave_open_is_said_to_be_open() {
    let rule = MetricAlarm {
        period: Period::new(300).unwrap(),
        evaluation_periods: 3,
        ..treated(TreatMissingData::Missing)
    };
    let mut pipeline = pipeline(rule);
    pipeline.advance(&reading(-86_400, vec![]));
    pipeline.advance(&live(0, 90.0));
    pipeline.advance(&reading(300, vec![]));
    let status = &pipeline.statuses()[0];
    assert_eq!(status.state, StateValue::InsufficientData);
    assert_eq!(
        status.evaluation.as_ref().unwrap().certainty,
        Certainty::Undetermined
    );
}

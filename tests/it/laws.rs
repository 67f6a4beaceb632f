//! What holds for every alarm and every stream of samples, whatever else is right.
//!
//! Laws of one module stand next to it. These are of the whole step, and each says how far it goes.

mod arbitrary;

use std::sync::Arc;

use cwbridge::alarm::{
    Alarm, Answer, Decision, Evaluation, Events, MetricAlarm, MetricStat, Occasion, Options, Point,
    Rule, Source, StateValue, Status, TreatMissingData,
};
use cwbridge::metric::{
    BasicStatistic, Content, Datapoint, Reading, Resolution, Sample, Statistic,
};
use cwbridge::pipeline::Pipeline;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use arbitrary::{above, alarm, at, live_readings, metric_alarm, sample, stat};

/// A pipeline that has watched since 0, with these alarms since then.
fn pipeline(alarms: Vec<Alarm>) -> Pipeline {
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(alarms, at(0));
    pipeline.advance(&empty(0));
    pipeline
}

fn empty(second: i64) -> Reading {
    Reading {
        at: at(second),
        samples: Vec::new(),
    }
}

/// What happened and what is known in the end.
#[derive(Debug, PartialEq)]
struct Run {
    events: Events,
    datapoints: Vec<Datapoint>,
    ends: Vec<(StateValue, Option<Evaluation>)>,
}

fn run<'a>(mut pipeline: Pipeline, readings: impl IntoIterator<Item = &'a Reading>) -> Run {
    let (mut events, mut datapoints) = (Events::default(), Vec::new());
    for reading in readings {
        let mut outcome = pipeline.advance(reading);
        datapoints.append(&mut outcome.datapoints);
        events.transitions.append(&mut outcome.events.transitions);
        events.actions.append(&mut outcome.events.actions);
    }
    let end = |status: Arc<Status>| (status.state, status.evaluation.clone());
    Run {
        events,
        datapoints,
        ends: pipeline.statuses().into_iter().map(end).collect(),
    }
}

/// Each reading's samples one by one, as readings of the same instant.
fn torn(readings: &[Reading]) -> Vec<Reading> {
    let parts = |reading: &Reading| {
        let one = |sample: &Sample| Reading {
            at: reading.at,
            samples: vec![sample.clone()],
        };
        let parts: Vec<Reading> = reading.samples.iter().map(one).collect();
        match parts.is_empty() {
            true => vec![reading.clone()],
            false => parts,
        }
    };
    readings.iter().flat_map(parts).collect()
}

/// The values of a day's minutes: missing, low or high for a while each.
fn day() -> impl Strategy<Value = Vec<Option<f64>>> {
    let stretch = (
        1..90_usize,
        prop::option::of(select(vec![10.0, 60.0, 90.0])),
    );
    vec(stretch, 20..60).prop_map(|stretches| {
        let minutes = stretches
            .into_iter()
            .flat_map(|(length, value)| vec![value; length]);
        minutes.take(1_440).collect()
    })
}

fn minutes(day: &[Option<f64>]) -> impl Iterator<Item = Sample> {
    let samples = (0..).zip(day);
    samples
        .filter_map(|(minute, value)| Some(sample(0, minute * 60, (*value)?, Resolution::Standard)))
}

/// What an alarm looked at last, and what that says by itself.
fn looked_at(pipeline: &Pipeline) -> Vec<(Vec<Point>, Decision)> {
    let statuses = pipeline.statuses().into_iter();
    let evaluations = statuses.filter_map(|status| status.evaluation.clone());
    evaluations
        .map(|evaluation| (evaluation.points, evaluation.decision))
        .collect()
}

/// Alarms on the first metric, in basic statistics, whose verdict does not depend on the state before.
fn forgetful() -> impl Strategy<Value = MetricAlarm> {
    let statistic = select(BasicStatistic::ALL.to_vec());
    let source = statistic.prop_map(|statistic| {
        Source::Stat(MetricStat {
            metric: arbitrary::metric(0),
            statistic: Statistic::Basic(statistic),
            unit: None,
        })
    });
    let treatment = select(vec![
        TreatMissingData::Breaching,
        TreatMissingData::NotBreaching,
    ]);
    let alarm = metric_alarm(source, Just(above(50.0)));
    (alarm, treatment).prop_map(|(alarm, treatment)| MetricAlarm {
        treat_missing_data: Some(treatment),
        ..alarm
    })
}

fn numbered(rules: impl IntoIterator<Item = MetricAlarm>) -> Vec<Alarm> {
    let rules = rules.into_iter().map(Rule::Metric).enumerate();
    rules.map(|(i, rule)| alarm(i, rule)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The same samples at the same instants, in one reading or in several, with any number of empty readings in between, do
    /// the same. Where a reading ends is no part of what happened. Holds for alarms of every kind, but not for the actions
    /// that Auto Scaling has repeated every minute: a silence that nobody looked into is passed over without them.
    #[test]
    fn readings_may_be_torn_and_others_put_between(
        alarms in arbitrary::alarms(), mute_rules in arbitrary::mute_rules(), readings in live_readings(), looks in vec(0..9_000_i64, 0..60)
    ) {
        let make = || {
            let mut pipeline = pipeline(alarms.clone());
            pipeline.set_mute_rules(mute_rules.clone(), at(0));
            pipeline
        };
        let end = readings.last().unwrap().at.seconds() + 3_600;
        let readings: Vec<Reading> = readings.into_iter().chain([empty(end)]).collect();
        let mut looked: Vec<Reading> = looks.into_iter().filter(|look| *look < end).map(empty).collect();
        looked.extend(torn(&readings));
        looked.sort_by_key(|reading| reading.at);
        let mut runs = [run(make(), &readings), run(make(), &looked)];
        for run in &mut runs {
            run.events.actions.retain(|action| action.occasion != Occasion::Repeat);
        }
        let [whole, looked] = runs;
        prop_assert_eq!(whole, looked);
    }

    /// A day told minute by minute, hour by hour or all at once, the samples being late then, comes to the same once it has
    /// all been told: the same datapoints are looked at, they say the same, and the state is the same where nothing but they
    /// decide. What happened meanwhile is not the same, because nobody sees a sample before it arrives.
    #[test]
    fn a_day_told_late_is_the_same_day(rules in vec(forgetful(), 1..5), day in day(), chunk in select(vec![7_i64, 60, 1_440])) {
        let (mut live, mut late) = (pipeline(numbered(rules.clone())), pipeline(numbered(rules)));
        let end = 1_440 * 60;
        minutes(&day).for_each(|sample| drop(live.advance(&Reading { at: sample.at, samples: vec![sample] })));
        live.advance(&empty(end));
        let mut rest = minutes(&day).peekable();
        for told in (0..end).step_by(usize::try_from(chunk * 60).unwrap()).skip(1).chain([end]) {
            let samples = std::iter::from_fn(|| rest.next_if(|sample| sample.at < at(told))).collect();
            late.advance(&Reading { at: at(told), samples });
        }
        prop_assert_eq!(looked_at(&live), looked_at(&late));
        let states = |pipeline: &Pipeline| pipeline.statuses().iter().map(|status| status.state).collect::<Vec<_>>();
        prop_assert_eq!(states(&live), states(&late));
    }

    /// Every sample that is old enough to be seen lies in exactly one period of the range: the sums of all periods add up to
    /// the samples from the start of the oldest period to the end of the newest, wherever periods begin and slots end.
    #[test]
    fn every_sample_lies_in_one_period(rule in forgetful(), readings in live_readings(), until in 1..4_000_i64) {
        let sum = Source::Stat(MetricStat {
            metric: arbitrary::metric(0),
            statistic: Statistic::Basic(BasicStatistic::Sum),
            unit: None,
        });
        let mut pipeline = pipeline(numbered([MetricAlarm { source: sum, ..rule }]));
        for reading in &readings {
            pipeline.advance(reading);
        }
        let now = readings.last().unwrap().at.seconds() + until;
        pipeline.advance(&empty(now));
        let Some(evaluation) = pipeline.statuses().remove(0).evaluation.clone() else {
            return Ok(());
        };
        let (oldest, now) = (evaluation.points.last().unwrap().start, evaluation.at);
        let is_inside = |sample: &&Sample| {
            // No period is read more finely than by ten seconds, and a slot is seen when it is over.
            let slot = sample.resolution.seconds().max(10);
            let start = sample.at.floor(slot);
            sample.metric == arbitrary::metric(0) && start >= oldest && start < evaluation.end && start + slot <= now
        };
        let value = |sample: &Sample| match sample.content {
            Content::Value(value) => value,
            _ => unreachable!("live readings hold values"),
        };
        let samples = readings.iter().flat_map(|reading| &reading.samples);
        let given: f64 = samples.filter(is_inside).map(value).sum();
        let seen: f64 = evaluation.points.iter().filter_map(|point| point.value).sum();
        prop_assert_eq!(given, seen);
    }

    /// For `>`, whatever the statistic, the period and the clock that periods go by.
    #[test]
    fn a_higher_threshold_never_turns_ok_into_alarm(rule in metric_alarm(stat().prop_map(Source::Stat), Just(above(45.0))), readings in live_readings()) {
        let higher = MetricAlarm { comparison: above(70.0), ..rule.clone() };
        let mut both = pipeline(numbered([rule, higher]));
        for reading in readings {
            both.advance(&reading);
            let statuses = both.statuses();
            let states = (statuses[0].state, statuses[1].state);
            prop_assert!(states != (StateValue::Ok, StateValue::Alarm), "at {}: {states:?}", reading.at);
        }
    }

    /// Which of a minute's samples came first is no part of a datapoint. Values are whole, so that sums are exact.
    #[test]
    fn the_order_inside_a_minute_does_not_matter(
        alarms in arbitrary::alarms(),
        minutes in vec(vec(select(vec![10.0, 40.0, 60.0, 90.0]), 0..6), 1..60),
        turn in 0..6_usize,
    ) {
        let readings = |turn: usize| {
            let minute = |(minute, values): (i64, &Vec<f64>)| {
                let mut values = values.clone();
                let turn = turn.min(values.len());
                values.rotate_left(turn);
                let sample = |(k, value): (i64, f64)| sample(0, minute * 60 + 9 * k, value, Resolution::Standard);
                let reading = |sample: Sample| Reading { at: sample.at, samples: vec![sample] };
                (0..).zip(values).map(sample).map(reading).collect::<Vec<_>>()
            };
            let mut readings: Vec<Reading> = (0..).zip(&minutes).flat_map(minute).collect();
            readings.push(empty(7_200));
            readings
        };
        prop_assert_eq!(run(pipeline(alarms.clone()), &readings(0)), run(pipeline(alarms), &readings(turn)));
    }

    /// A sample that is much too late for any alarm still makes every range of its metric be gathered anew. It must change
    /// nothing that an alarm says.
    #[test]
    fn continuing_a_range_is_gathering_it_anew(alarms in arbitrary::alarms(), readings in live_readings()) {
        let week = 7 * 86_400;
        let later = |reading: &Reading| Reading {
            at: reading.at + 2 * week,
            samples: reading.samples.iter().map(|sample| Sample { at: sample.at + 2 * week, ..sample.clone() }).collect(),
        };
        let readings: Vec<Reading> = readings.iter().map(later).collect();
        let disturbed = |reading: &Reading| {
            let too_late = |sample: &Sample| Sample { at: sample.at - 13 * 86_400, ..sample.clone() };
            let samples = reading.samples.iter().flat_map(|sample| [sample.clone(), too_late(sample)]);
            Reading { at: reading.at, samples: samples.collect() }
        };
        let make = || {
            let mut pipeline = Pipeline::default();
            pipeline.advance(&empty(0));
            pipeline.set_alarms(alarms.clone(), at(2 * week));
            pipeline
        };
        let disturbed: Vec<Reading> = readings.iter().map(disturbed).collect();
        let (continued, anew) = (run(make(), &readings), run(make(), &disturbed));
        prop_assert_eq!(continued.events, anew.events);
        prop_assert_eq!(continued.ends, anew.ends);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nothing that can be fed in ends the program: alarms that follow themselves, clocks that jump by ages, numbers that are
    /// none. Alarms are replaced, set and answered on the way.
    #[test]
    fn no_input_does_harm(
        alarms in arbitrary::alarms(),
        others in arbitrary::alarms(),
        mute_rules in arbitrary::mute_rules(),
        readings in arbitrary::wild_readings(),
        range in prop::option::of(1..40_u32),
        evaluation_offset in any::<i64>(),
    ) {
        let mut pipeline = Pipeline::new(Options { evaluation_range: range, evaluation_offset, ..Options::default() });
        pipeline.set_alarms(alarms, readings[0].at);
        pipeline.set_mute_rules(mute_rules, readings[0].at);
        let middle = readings.len() / 2;
        for (k, reading) in readings.iter().enumerate() {
            pipeline.advance(reading);
            if k == middle {
                pipeline.set_alarms(others.clone(), reading.at);
            }
            let name = format!("a{}", k % 7);
            pipeline.set_state(&name, StateValue::ALL[k % 3], "set", None, reading.at);
            pipeline.answer(&name, &Answer { series: [("s".to_owned(), point(reading, k))].into() }, reading.at);
            pipeline.statuses();
        }
        pipeline.finish();
    }
}

fn point(reading: &Reading, k: usize) -> Vec<Point> {
    let value = [None, Some(f64::NAN), Some(90.0), Some(10.0)][k % 4];
    vec![Point {
        start: reading.at,
        value,
        sample_count: 1.0,
        band: None,
    }]
}

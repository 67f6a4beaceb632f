//! Alarms over time: which windows they see, and when.

use std::sync::Arc;

use cwbridge::alarm::{Alarm, Options, Rule};
use cwbridge::definition::parse;
use cwbridge::metric::{Content, Reading, Resolution, Sample, Timestamp, Unit};
use cwbridge::pipeline::Pipeline;
use serde_json::Value;

use super::Differences;
use super::case::{Case, same, state, time};

/// The windows that an alarm sees at given times.
pub(super) fn windows(case: &Case) -> Differences {
    let alarm = case.alarm();
    let mut differences = Vec::new();
    let looks = case.list("windows").iter().chain(case.list("evaluations"));
    for look in looks {
        let at = time(look["at"].as_str().unwrap());
        let (end, slots) = look_at(&alarm, at);
        if let Some(expected) = look["data_considered_up_to"].as_str() {
            differences.extend(same(&format!("end at {at}"), &time(expected), &end));
        }
        for (i, expected) in look["expected_slots"]
            .as_array()
            .into_iter()
            .flatten()
            .rev()
            .enumerate()
        {
            let expected = ["from", "to"].map(|side| time(expected[side].as_str().unwrap()));
            let got = [slots[i], if i == 0 { end } else { slots[i - 1] }];
            differences.extend(same(&format!("slot {} at {at}", i + 1), &expected, &got));
        }
    }
    if let Some(at) = case.get("evaluated_at").as_str() {
        let (end, slots) = look_at(&alarm, time(at));
        let expected =
            ["from", "to"].map(|side| time(case.get("expected_window")[side].as_str().unwrap()));
        differences.extend(same("window", &expected, &[slots[0], end]));
    }
    differences
}

/// The end of the newest period, and the starts of all, newest first.
fn look_at(alarm: &Alarm, at: Timestamp) -> (Timestamp, Vec<Timestamp>) {
    let interval = interval(alarm);
    let mut pipeline = pipeline(alarm, at, at - interval);
    pipeline.advance(&Reading {
        at,
        samples: vec![],
    });
    let evaluation = pipeline
        .status(&alarm.name)
        .unwrap()
        .evaluation
        .expect("it was evaluated");
    (
        evaluation.end,
        evaluation.points.iter().map(|point| point.start).collect(),
    )
}

fn interval(alarm: &Alarm) -> i64 {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("not on a metric")
    };
    rule.evaluation_interval()
}

fn pipeline(alarm: &Alarm, first: Timestamp, created_at: Timestamp) -> Pipeline {
    let mut pipeline = Pipeline::new(Options {
        evaluation_offset: first.milliseconds().rem_euclid(interval(alarm) * 1_000),
        ..Options::default()
    });
    pipeline.set_alarms(vec![alarm.clone()], created_at);
    pipeline
}

/// Samples that come in time, and the states in between.
pub(super) fn samples(case: &Case) -> Differences {
    let alarm = case.alarm();
    let evaluations = case.list("evaluations");
    let at = |evaluation: &Value| time(evaluation["at"].as_str().unwrap());
    let (first, last) = (at(&evaluations[0]), at(&evaluations[evaluations.len() - 1]));
    let created_at = case
        .get("created_at")
        .as_str()
        .map_or(first - interval(&alarm), time);
    let mut pipeline = pipeline(&alarm, first, created_at);
    if let Some(previous) = case.previous_states()[0] {
        pipeline
            .set_state(&alarm.name, previous, "before", None, created_at)
            .unwrap();
    }
    let mut samples = case_samples(case, &alarm, last).into_iter().peekable();
    let mut differences = Vec::new();
    for evaluation in evaluations {
        let at = at(evaluation);
        while let Some(sample) = samples.next_if(|sample| sample.at < at && sample.at >= created_at)
        {
            pipeline.advance(&Reading {
                at: sample.at,
                samples: vec![sample],
            });
        }
        // What is older than the alarm has been there all along.
        let earlier: Vec<Sample> =
            std::iter::from_fn(|| samples.next_if(|sample| sample.at < at)).collect();
        pipeline.advance(&Reading {
            at,
            samples: earlier,
        });
        let status = pipeline.status(&alarm.name).unwrap();
        if let Some(expected) = evaluation["expected_state"].as_str() {
            differences.extend(same(
                &format!("state at {at}"),
                &state(expected),
                &status.state,
            ));
        }
        if let Some(expected) = evaluation["expected_evaluation_state"].as_str() {
            let got = status.evaluation_state.map_or("none", |state| state.name());
            differences.extend(same(&format!("evaluation state at {at}"), &expected, &got));
        }
    }
    if let Some(expected) = case.get("expected_state").as_str() {
        let got = pipeline.status(&alarm.name).unwrap().state;
        differences.extend(same("state at last", &state(expected), &got));
    }
    differences
}

/// Single samples at `t`, or one `every` so many seconds `from` a time on; in order of time.
fn case_samples(case: &Case, alarm: &Alarm, until: Timestamp) -> Vec<Sample> {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("not on a metric")
    };
    let stat = rule.stat().unwrap();
    let sample = |at: Timestamp, value: f64| Sample {
        metric: Arc::clone(&stat.metric),
        unit: stat.unit.unwrap_or(Unit::NONE),
        resolution: if rule.period.seconds() < 60 {
            Resolution::High
        } else {
            Resolution::Standard
        },
        at,
        content: Content::Value(value),
    };
    let mut samples = Vec::new();
    for given in case.list("samples") {
        let value = given["value"].as_f64().unwrap();
        if let Some(at) = given["t"].as_str() {
            samples.push(sample(time(at), value));
            continue;
        }
        let every = given["every"].as_i64().unwrap();
        let end = given["to"].as_str().map_or(until, time);
        let mut at = time(given["from"].as_str().unwrap());
        while at <= end {
            samples.push(sample(at, value));
            at = at + every;
        }
    }
    samples.sort_by_key(|sample| sample.at);
    samples
}

pub(super) fn mute_window(case: &Case) -> Differences {
    let parsed = parse("case", &case.get("alarm").to_string());
    assert!(
        parsed.findings.is_empty(),
        "the rule is refused: {:?}",
        parsed.findings
    );
    let window = parsed.mute_rules[0]
        .rule
        .next_window(time(case.get("search_from").as_str().unwrap()));
    let expected = case.get("expected_next_window");
    let expected = expected["from"]
        .as_str()
        .map(|from| (time(from), time(expected["to"].as_str().unwrap())));
    same(
        "window",
        &expected,
        &window.map(|window| (window.from, window.to)),
    )
    .into_iter()
    .collect()
}

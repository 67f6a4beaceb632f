//! Metric alarms, judged once or step by step on given datapoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use cwbridge::alarm::{
    Alarm, Answer, Comparison, Options, Point, Rule, SINGLE, Source, StateValue, Status, Verdict,
    band_metrics,
};
use cwbridge::definition::reason_data;
use cwbridge::metric::{Content, Metric, Reading, Resolution, Sample, Timestamp, Unit};
use cwbridge::pipeline::Pipeline;
use serde_json::Value;

use super::Differences;
use super::case::{Case, matches, numbers, read, same, state, time};

/// When an alarm is judged whose case does not say when: on every boundary there is.
const NOON: &str = "2026-01-05T00:00:00Z";

/// One evaluation of an alarm on datapoints that are given, oldest first.
struct Evaluation<'a> {
    alarm: &'a Alarm,
    datapoints: Vec<Option<f64>>,
    /// Lower and upper bounds.
    band: Option<[Vec<Option<f64>>; 2]>,
    /// Samples in each datapoint.
    sample_count: f64,
    range: Option<u32>,
    at: Timestamp,
}

pub(super) fn evaluation(case: &Case) -> Differences {
    let alarm = case.alarm();
    let evaluation = Evaluation {
        at: evaluated_at(case, &alarm),
        datapoints: numbers(case.get("datapoints")),
        ..Evaluation::of(case, &alarm)
    };
    let states = case.previous_states();
    states
        .into_iter()
        .flat_map(|previous| compare(case, &evaluation, previous))
        .collect()
}

impl<'a> Evaluation<'a> {
    fn of(case: &Case, alarm: &'a Alarm) -> Self {
        let band = case.get("band");
        Self {
            alarm,
            datapoints: Vec::new(),
            band: (!band.is_null()).then(|| [numbers(&band["lower"]), numbers(&band["upper"])]),
            sample_count: 1.0,
            range: range(case),
            at: time(NOON),
        }
    }

    /// The state of the alarm after its evaluation, having been in `previous`.
    fn status(&self, previous: Option<StateValue>) -> Status {
        let mut pipeline = new_pipeline(self.alarm, previous, self.range, self.at);
        let samples = self.samples();
        if let Rule::Metric(rule) = &self.alarm.rule
            && matches!(rule.source, Source::Query { .. })
        {
            let starts = starts(self.alarm, self.at, self.datapoints.len());
            let points = starts
                .into_iter()
                .zip(&self.datapoints)
                .map(|(start, value)| point(start, *value));
            let series = BTreeMap::from([(SINGLE.to_owned(), points.collect())]);
            pipeline
                .answer(&self.alarm.name, &Answer { series }, self.at)
                .unwrap();
        } else {
            pipeline.advance(&Reading {
                at: self.at,
                samples,
            });
        }
        pipeline.status(&self.alarm.name).unwrap()
    }

    /// One sample for every datapoint, as it is to be read.
    fn samples(&self) -> Vec<Sample> {
        let Rule::Metric(rule) = &self.alarm.rule else {
            panic!("not on a metric")
        };
        let starts = starts(self.alarm, self.at, self.datapoints.len());
        let resolution = match rule.period.seconds() {
            60.. => Resolution::Standard,
            _ => Resolution::High,
        };
        let stats = rule.stats();
        let sample = |metric: &Arc<Metric>, unit, start: &Timestamp, value: &Option<f64>| {
            value.map(|value| Sample {
                metric: Arc::clone(metric),
                unit,
                resolution,
                at: *start,
                content: Content::Values(vec![(value, self.sample_count)]),
            })
        };
        let mut samples: Vec<Sample> = Vec::new();
        for stat in stats.iter().take(1) {
            let unit = stat.unit.unwrap_or(Unit::NONE);
            let of = |(start, value)| sample(&stat.metric, unit, start, value);
            samples.extend(starts.iter().zip(&self.datapoints).filter_map(of));
        }
        for (metric, bounds) in band_metrics(&self.alarm.name)
            .into_iter()
            .zip(self.band.iter().flatten())
        {
            let metric = Arc::new(metric);
            let of = |(start, value)| sample(&metric, Unit::NONE, start, value);
            samples.extend(starts.iter().zip(bounds).filter_map(of));
        }
        samples
    }
}

fn range(case: &Case) -> Option<u32> {
    case.get("evaluation_range")
        .as_u64()
        .map(|range| range.try_into().unwrap())
}

/// Judged first at `at`, having been put into `previous` before.
fn new_pipeline(
    alarm: &Alarm,
    previous: Option<StateValue>,
    range: Option<u32>,
    at: Timestamp,
) -> Pipeline {
    let interval = interval(alarm);
    let mut pipeline = Pipeline::new(Options {
        evaluation_range: range,
        evaluation_offset: at.milliseconds().rem_euclid(interval * 1_000),
        ..Options::default()
    });
    let created_at = at - interval;
    pipeline.set_alarms(vec![alarm.clone()], created_at);
    if let Some(previous) = previous {
        pipeline
            .set_state(&alarm.name, previous, "before", None, created_at)
            .unwrap();
    }
    pipeline
}

fn interval(alarm: &Alarm) -> i64 {
    match &alarm.rule {
        Rule::Metric(rule) => rule.evaluation_interval(),
        _ => 60,
    }
}

/// The starts of the periods that an alarm looks at, oldest first, as it sees them itself.
fn starts(alarm: &Alarm, at: Timestamp, count: usize) -> Vec<Timestamp> {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("not on a metric")
    };
    if matches!(rule.source, Source::Query { .. }) || rule.threshold().is_none() {
        let newest = at.floor(interval(alarm));
        let start = |age: i64| newest - age * rule.period.seconds();
        return (1..=count as i64).rev().map(start).collect();
    }
    let mut pipeline = new_pipeline(alarm, None, Some(count.try_into().unwrap()), at);
    pipeline.advance(&Reading {
        at,
        samples: vec![],
    });
    let evaluation = pipeline.status(&alarm.name).unwrap().evaluation.unwrap();
    evaluation
        .points
        .iter()
        .rev()
        .map(|point| point.start)
        .collect()
}

/// When the case says, or else when its newest datapoint is complete, or else at noon.
fn evaluated_at(case: &Case, alarm: &Alarm) -> Timestamp {
    if let Some(at) = case.get("evaluated_at").as_str() {
        return time(at);
    }
    let newest = case
        .list("datapoint_timestamps")
        .last()
        .and_then(Value::as_str);
    match (newest, &alarm.rule) {
        (Some(newest), Rule::Metric(rule)) => time(newest) + rule.period.seconds(),
        _ => time(NOON),
    }
}

fn point(start: Timestamp, value: Option<f64>) -> Point {
    Point {
        start,
        value,
        sample_count: 1.0,
        band: None,
    }
}

fn compare(case: &Case, evaluation: &Evaluation<'_>, previous: Option<StateValue>) -> Differences {
    let status = evaluation.status(previous);
    let mut differences = states(case, &status, previous);
    if case.get("retained").as_bool() == Some(true) {
        let verdict = status.evaluation.as_ref().unwrap().decision.verdict;
        differences.extend(same("verdict", &Verdict::Retain, &verdict));
    }
    if previous != Some(status.state) {
        differences.extend(reasons(case, &status));
    }
    differences
}

fn states(case: &Case, status: &Status, previous: Option<StateValue>) -> Differences {
    let mut differences = Vec::new();
    let from = previous.map_or("no state", StateValue::name);
    if let Some(expected) = case.get("expected_state").as_str() {
        differences.extend(same(
            &format!("state from {from}"),
            &expected,
            &status.state.name(),
        ));
    }
    if case
        .list("expected_state_not")
        .iter()
        .any(|not| not.as_str() == Some(status.state.name()))
    {
        differences.push(format!("state from {from}: expected not {}", status.state));
    }
    differences
}

/// The reason and its data, where the case has them.
pub(super) fn reasons(case: &Case, status: &Status) -> Differences {
    let mut differences = Vec::new();
    if let Some(expected) = case.get("expected_reason").as_str() {
        differences.extend(same("reason", &expected, &&*status.reason));
    }
    let expected = case.get("expected_reason_data");
    if !expected.is_null() {
        let data = status
            .reason_data
            .as_ref()
            .map(|data| reason_data(data))
            .unwrap_or_default();
        let mut got: Value = serde_json::from_str(&data).unwrap_or_default();
        // Samples that are older than this member lack it.
        if expected.get("evaluatedDatapoints").is_none() && got.is_object() {
            got.as_object_mut().unwrap().remove("evaluatedDatapoints");
        }
        if !matches(expected, &got) {
            differences.push(format!("reason data: expected {expected}, got {got}"));
        }
    }
    differences
}

/// One alarm over several evaluations, each on datapoints of its own.
pub(super) fn sequence(case: &Case) -> Differences {
    let alarm = case.alarm();
    let mut previous = case.previous_states().remove(0);
    let mut differences = Vec::new();
    for (i, step) in case.list("steps").iter().enumerate() {
        let evaluation = Evaluation {
            datapoints: numbers(&step["datapoints"]),
            ..Evaluation::of(case, &alarm)
        };
        let status = evaluation.status(previous);
        let expected = step["expected_state"].as_str().unwrap();
        differences.extend(same(&format!("step {i}"), &expected, &status.state.name()));
        previous = Some(status.state);
    }
    differences
}

pub(super) fn low_sample(case: &Case) -> Differences {
    let alarm = case.alarm();
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("not on a metric")
    };
    let breaching = rule.threshold().unwrap() + 1.0;
    let mut differences = Vec::new();
    for check in case.list("checks") {
        let count = check["sample_count"].as_f64().unwrap();
        let evaluation = Evaluation {
            datapoints: vec![Some(breaching); 1],
            sample_count: count,
            ..Evaluation::of(case, &alarm)
        };
        for previous in StateValue::ALL {
            let status = evaluation.status(Some(previous));
            let retained = status.evaluation.unwrap().decision.verdict == Verdict::Retain;
            let got = match retained && status.state == previous {
                true => "state retained",
                false => "evaluated",
            };
            let expected = check["expected"].as_str().unwrap();
            differences.extend(same(
                &format!("{count} samples from {previous}"),
                &expected,
                &got,
            ));
        }
    }
    differences
}

pub(super) fn promql(case: &Case) -> Differences {
    let alarm = case.alarm();
    let mut pipeline = Pipeline::default();
    let base = time(NOON);
    pipeline.set_alarms(vec![alarm.clone()], base);
    if let Some(previous) = case.previous_states()[0] {
        pipeline
            .set_state(&alarm.name, previous, "before", None, base)
            .unwrap();
    }
    let mut differences = Vec::new();
    for evaluation in case.list("evaluations") {
        let t = evaluation["t"].as_i64().unwrap();
        let returned = evaluation["returned"].as_array().unwrap().iter();
        let series = returned
            .map(|name| (name.as_str().unwrap().to_owned(), vec![]))
            .collect();
        pipeline
            .answer(&alarm.name, &Answer { series }, base + t)
            .unwrap();
        let status = pipeline.status(&alarm.name).unwrap();
        if let Some(expected) = evaluation["expected_state"].as_str() {
            differences.extend(same(&format!("at {t}"), &expected, &status.state.name()));
        }
        differences.extend(contributors(&evaluation["expected_contributors"], &status));
    }
    let status = pipeline.status(&alarm.name).unwrap();
    differences.extend(states(case, &status, None));
    differences.extend(reasons(case, &status));
    differences
}

/// Metrics Insights with several series. States that contributors had before are brought about by datapoints.
pub(super) fn insights(case: &Case) -> Differences {
    let alarm = case.alarm();
    let at = time(NOON);
    let mut pipeline = new_pipeline(&alarm, None, range(case), at);
    let before = contributors_before(case, &alarm, at - 120);
    if !before.is_empty() {
        let answer = Answer { series: before };
        pipeline.answer(&alarm.name, &answer, at - 60).unwrap();
    }
    if let Some(previous) = case.previous_states()[0] {
        pipeline
            .set_state(&alarm.name, previous, "before", None, at - 60)
            .unwrap();
    }
    let given = case.get("series").as_object().into_iter().flatten();
    let series = given.map(|(name, values)| {
        let values = numbers(values);
        let starts = starts(&alarm, at, values.len()).into_iter();
        let points = starts.zip(values).map(|(start, value)| point(start, value));
        (name.clone(), points.collect())
    });
    let answer = Answer {
        series: series.collect(),
    };
    pipeline.answer(&alarm.name, &answer, at).unwrap();
    let status = pipeline.status(&alarm.name).unwrap();
    let mut differences = states(case, &status, None);
    differences.extend(contributors(case.get("expected_contributors"), &status));
    differences.extend(reasons(case, &status));
    let expected = case.get("expected_contributor_reason").as_object();
    for (name, expected) in expected.into_iter().flatten() {
        let got = vanished_or_known(&status, name).1;
        let what = format!("reason of {name}");
        differences.extend(same(&what, &expected.as_str().unwrap(), &got.as_str()));
    }
    differences
}

/// Datapoints that put every contributor into the state it had before.
fn contributors_before(
    case: &Case,
    alarm: &Alarm,
    start: Timestamp,
) -> BTreeMap<String, Vec<Point>> {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("not on a metric")
    };
    let value = |breaching: bool| match &rule.comparison {
        Comparison::Threshold {
            operator,
            threshold,
        } => {
            let values = [threshold - 1.0, threshold + 1.0];
            let fits = |value: &f64| operator.is_breaching(*value, *threshold) == breaching;
            values.into_iter().find(fits)
        }
        Comparison::Band { .. } => None,
    };
    let before = case.get("previous_contributors").as_object();
    let point = |state: &Value| point(start, value(state.as_str() == Some("ALARM")));
    before
        .into_iter()
        .flatten()
        .map(|(name, state)| {
            (
                name.clone(),
                vec![point(state); rule.evaluation_periods as usize],
            )
        })
        .collect()
}

fn contributors(expected: &Value, status: &Status) -> Differences {
    let expected = expected.as_object().into_iter().flatten();
    expected
        .filter_map(|(name, expected)| {
            let got = vanished_or_known(status, name);
            same(
                &format!("contributor {name}"),
                &state(expected.as_str().unwrap()),
                &got.0,
            )
        })
        .collect()
}

/// The state and reason of a contributor; of one that is known no longer, those it was left with.
fn vanished_or_known(status: &Status, name: &str) -> (StateValue, String) {
    use cwbridge::alarm::HistoryEvent::ContributorStateUpdate;
    if let Some(known) = status.contributors.get(name) {
        return (known.state, known.reason.to_string());
    }
    let last = status
        .history
        .iter()
        .rev()
        .find_map(|item| match &item.event {
            ContributorStateUpdate {
                contributor, new, ..
            } if contributor == name => Some(new),
            _ => None,
        });
    last.map_or((StateValue::Ok, String::new()), |new| {
        (new.state, new.reason.to_string())
    })
}

pub(super) fn log(case: &Case) -> Differences {
    let mut request = case.get("alarm").clone();
    // The cases leave out what has no part in the state.
    if request["ScheduledQueryConfiguration"].is_null() {
        request["ScheduledQueryConfiguration"] = serde_json::json!({
            "QueryString": "fields @message", "AggregationExpression": "count(*)",
            "ScheduleConfiguration": {"ScheduleExpression": "rate(5 minutes)"},
        });
    }
    let alarm = read(&request);
    let mut differences = Vec::new();
    // One series without a name, or a name for each of several.
    let series: Vec<(String, Vec<Option<f64>>)> = match case.get("series").as_object() {
        Some(series) => series
            .iter()
            .map(|(name, values)| (name.clone(), numbers(values)))
            .collect(),
        None => vec![(SINGLE.to_owned(), numbers(case.get("datapoints")))],
    };
    let count = series.iter().map(|(_, values)| values.len()).max();
    for previous in case.previous_states() {
        let stamps = case.list("datapoint_timestamps");
        let at = |i: usize| match stamps.get(i).and_then(Value::as_str) {
            Some(stamp) => time(stamp),
            None => time(NOON) + 300 * i as i64,
        };
        let mut pipeline = new_pipeline(&alarm, previous, None, at(0));
        let results = |(name, values): &(String, Vec<Option<f64>>)| {
            let points = values.iter().enumerate();
            (
                name.clone(),
                points.map(|(i, value)| point(at(i), *value)).collect(),
            )
        };
        // All at once: the state before is that before the newest result.
        let answer = Answer {
            series: series.iter().map(results).collect(),
        };
        let newest = at(count.unwrap_or(1) - 1);
        pipeline.answer(&alarm.name, &answer, newest).unwrap();
        let status = pipeline.status(&alarm.name).unwrap();
        differences.extend(states(case, &status, previous));
        differences.extend(reasons(case, &status));
    }
    differences
}

//! Alarms that are a little wrong: a test that does not notice leaves something untested.

use std::collections::{HashMap, HashSet};

use crate::alarm::{Alarm, Comparison, ComparisonOperator, MetricAlarm, Rule, TreatMissingData};

use super::run::{below, play, until, with_stubs};
use super::{Subject, Test};

/// How far a threshold is moved, as a share of it.
const THRESHOLD_STEP: f64 = 0.1;

/// A whole threshold below is moved by one.
const WHOLE_BELOW: f64 = 10.0;

/// A change that no test notices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unnoticed {
    pub alarm: String,
    pub change: String,
}

/// The changes of the alarms that the tests do not notice. All tests have to pass as it is.
pub fn unnoticed(subject: Subject<'_>, tests: &[Test]) -> Vec<Unnoticed> {
    let below = Below::new(subject.alarms);
    let mut found = Vec::new();
    for alarm in subject.alarms {
        let tests: Vec<Test> = tests
            .iter()
            .filter(|test| expecting(test).any(|name| below.of(name).contains(&*alarm.name)))
            .map(|test| Test {
                // It is to take as long without the alarms that have nothing to do with it.
                until: Some(until(test, subject)),
                ..test.clone()
            })
            .collect();
        let names = tests.iter().flat_map(named);
        let needed: HashSet<&str> = names.flat_map(|name| below.of(name)).collect();
        let is_needed = |other: &&Alarm| needed.contains(&*other.name);
        let mut alarms: Vec<Alarm> = subject.alarms.iter().filter(is_needed).cloned().collect();
        let place = alarms.iter().position(|other| other.name == alarm.name);
        for (change, mutant) in mutants(alarm) {
            if let Some(place) = place {
                alarms[place] = mutant;
            }
            let subject = Subject {
                alarms: &alarms,
                ..subject
            };
            let passes = |test: &Test| {
                let alarms = with_stubs(test, subject.alarms);
                let subject = Subject {
                    alarms: &alarms,
                    ..subject
                };
                play(test, subject, &mut |_| {}).is_empty()
            };
            if tests.iter().all(passes) {
                found.push(Unnoticed {
                    alarm: alarm.name.clone(),
                    change,
                });
            }
        }
    }
    found
}

/// The alarms of which a test expects something.
fn expecting(test: &Test) -> impl Iterator<Item = &str> {
    let lines = test.expect_transitions.iter().chain(&test.expect_actions);
    let lines = lines.map(|expected| expected.alarm.as_str());
    lines.chain(test.expect.iter().map(|expect| expect.alarm.as_str()))
}

/// The alarms that a test names.
fn named(test: &Test) -> impl Iterator<Item = &str> {
    let set = test.set_states.iter().map(|set| set.alarm.as_str());
    let initial = test.initial_state.keys().map(String::as_str);
    expecting(test).chain(set).chain(initial)
}

/// What alarms depend on.
struct Below<'a>(HashMap<&'a str, Vec<&'a str>>);

impl<'a> Below<'a> {
    fn new(alarms: &'a [Alarm]) -> Self {
        let parents = alarms.iter().map(|alarm| (&*alarm.name, below(alarm)));
        Self(parents.collect())
    }

    /// The alarm and everything that it depends on.
    fn of<'n>(&self, name: &'n str) -> HashSet<&'n str>
    where
        'a: 'n,
    {
        let (mut found, mut open) = (HashSet::new(), vec![name]);
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(self.0.get(name).into_iter().flatten());
            }
        }
        found
    }
}

/// Every change of the alarm's rule, with what it is.
pub(super) fn mutants(alarm: &Alarm) -> Vec<(String, Alarm)> {
    let Rule::Metric(rule) = &alarm.rule else {
        return Vec::new();
    };
    let changed = (thresholds(rule).into_iter())
        .chain(operators(rule))
        .chain(counts(rule))
        .chain(treatments(rule));
    let mutant = |(what, rule): (String, MetricAlarm)| {
        let alarm = Alarm {
            rule: Rule::Metric(rule),
            ..alarm.clone()
        };
        (what, alarm)
    };
    changed.map(mutant).collect()
}

type Changed = Vec<(String, MetricAlarm)>;

fn compared(rule: &MetricAlarm, operator: ComparisonOperator, threshold: f64) -> MetricAlarm {
    MetricAlarm {
        comparison: Comparison::Threshold {
            operator,
            threshold,
        },
        ..rule.clone()
    }
}

fn thresholds(rule: &MetricAlarm) -> Changed {
    let Comparison::Threshold {
        operator,
        threshold,
    } = rule.comparison
    else {
        return Vec::new();
    };
    let step = match threshold.abs() * THRESHOLD_STEP {
        // What is counted has no tenths.
        _ if threshold.fract() == 0.0 && threshold.abs() < WHOLE_BELOW => 1.0,
        step => step,
    };
    // 0.3 and a tenth of it is 0.33.
    let round = |value: f64| (value * 1e9).round() / 1e9;
    let moved = [threshold + step, threshold - step].map(round);
    let changed = |moved: f64| {
        (
            format!("Threshold {threshold} -> {moved}"),
            compared(rule, operator, moved),
        )
    };
    moved.into_iter().map(changed).collect()
}

fn operators(rule: &MetricAlarm) -> Changed {
    let Comparison::Threshold {
        operator,
        threshold,
    } = rule.comparison
    else {
        return Vec::new();
    };
    let others = ComparisonOperator::ALL
        .into_iter()
        .filter(|other| *other != operator);
    let changed = |other: ComparisonOperator| {
        (
            format!("ComparisonOperator {} -> {}", operator.name(), other.name()),
            compared(rule, other, threshold),
        )
    };
    others.map(changed).collect()
}

/// N and M, each one more and one less, as far as M stays within N.
fn counts(rule: &MetricAlarm) -> Changed {
    let (n, m) = (rule.evaluation_periods, rule.minimum_to_alarm());
    let mut all = Vec::new();
    for other in [n.saturating_add(1), n.saturating_sub(1)] {
        if other >= 1 && (rule.datapoints_to_alarm.is_none() || other >= m) {
            let changed = MetricAlarm {
                evaluation_periods: other,
                ..rule.clone()
            };
            all.push((format!("EvaluationPeriods {n} -> {other}"), changed));
        }
    }
    for other in [m.saturating_add(1), m.saturating_sub(1)] {
        if (1..=n).contains(&other) {
            let changed = MetricAlarm {
                datapoints_to_alarm: Some(other),
                ..rule.clone()
            };
            all.push((format!("DatapointsToAlarm {m} -> {other}"), changed));
        }
    }
    all
}

fn treatments(rule: &MetricAlarm) -> Changed {
    let now = rule.treatment();
    let others = TreatMissingData::ALL
        .into_iter()
        .filter(|other| *other != now);
    let changed = |other: TreatMissingData| {
        let changed = MetricAlarm {
            treat_missing_data: Some(other),
            ..rule.clone()
        };
        (
            format!("TreatMissingData {} -> {}", now.name(), other.name()),
            changed,
        )
    };
    others.map(changed).collect()
}

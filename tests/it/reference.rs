//! The decision algorithm a second time, as literally as SPEC section 5 states it, against the real one on everything that
//! eight slots can hold.
//!
//! Nothing of the program is used to find what is expected, not even its names for states.

use std::sync::Arc;
use std::thread;

use cwbridge::alarm::{
    Actions, Alarm, Certainty, Comparison, ComparisonOperator, EvaluationWindow, MetricAlarm,
    MetricStat, Options, Rule, Source, StateValue, Transition, TreatMissingData,
};
use cwbridge::metric::{
    BasicStatistic, Content, Metric, Period, Reading, Resolution, Sample, Statistic, Timestamp,
    Unit,
};
use cwbridge::pipeline::Pipeline;

const RANGE_MAX: usize = 8;

const TREATMENTS: [&str; 4] = ["missing", "ignore", "breaching", "notBreaching"];
const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Missing,
    NotBreaching,
    Breaching,
}

/// What SPEC says of one evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    state: &'static str,
    /// Whether AWS's documents leave it open: the leaf without a documented state, and the pattern that section 5.3 flags.
    is_open: bool,
}

/// SPEC section 5.2, line by line; `slots[0]` is the newest.
fn evaluate(
    slots: &[Slot],
    n: usize,
    m: usize,
    treatment: &str,
    previous: &'static str,
) -> Expected {
    let sure = |state| Expected {
        state,
        is_open: false,
    };
    let mut real: Vec<(usize, bool)> = Vec::new();
    for k in 1..=slots.len() {
        if slots[k - 1] != Slot::Missing {
            real.push((k, slots[k - 1] == Slot::Breaching));
        }
    }
    if real.len() >= n {
        let used = &real[0..n];
        return sure(if count_breaching(used) >= m {
            "ALARM"
        } else {
            "OK"
        });
    }
    let fill = n - real.len();
    let b = count_breaching(&real);
    match treatment {
        "breaching" => sure(if b + fill >= m { "ALARM" } else { "OK" }),
        "notBreaching" => sure(if b >= m { "ALARM" } else { "OK" }),
        _ if real.is_empty() => sure(missing_or_ignore(treatment, "INSUFFICIENT_DATA", previous)),
        _ if b >= m => sure("ALARM"),
        _ if b < real.len() => sure("OK"),
        _ => {
            let age = real.iter().map(|(k, _)| *k).max().unwrap();
            if age < m {
                // Only "not ALARM" is documented; recommended is to keep the state.
                return Expected {
                    state: previous,
                    is_open: true,
                };
            }
            Expected {
                state: missing_or_ignore(treatment, "ALARM", previous),
                is_open: !real.iter().any(|(k, _)| *k >= m && *k <= n),
            }
        }
    }
}

fn missing_or_ignore(
    treatment: &str,
    missing: &'static str,
    previous: &'static str,
) -> &'static str {
    match treatment {
        "missing" => missing,
        "ignore" => previous,
        _ => unreachable!("{treatment} was dealt with"),
    }
}

fn count_breaching(points: &[(usize, bool)]) -> usize {
    points.iter().filter(|(_, breaching)| *breaching).count()
}

/// A stream that holds every pattern of so many slots once (a de Bruijn sequence, by preferring what is listed first), so that
/// one more slot is one more pattern.
fn every_pattern(range: usize) -> Vec<Slot> {
    let slots = [Slot::Breaching, Slot::NotBreaching, Slot::Missing];
    let patterns = slots.len().pow(u32::try_from(range).unwrap());
    let mut stream = vec![Slot::Missing; range];
    let mut seen = vec![false; patterns];
    let mut newest = patterns - 1;
    seen[newest] = true;
    loop {
        let next = |digit: &usize| (newest * slots.len() + digit) % patterns;
        let Some(digit) = (0..slots.len()).find(|digit| !seen[next(digit)]) else {
            return stream;
        };
        newest = next(&digit);
        seen[newest] = true;
        stream.push(slots[digit]);
    }
}

/// One alarm, which is in the same state before each evaluation.
struct Case {
    name: String,
    n: usize,
    m: usize,
    treatment: &'static str,
    previous: &'static str,
}

impl Case {
    fn all(n: usize, m: usize) -> Vec<Self> {
        let pairs = TREATMENTS.map(|treatment| STATES.map(|previous| (treatment, previous)));
        let case = |(treatment, previous)| Self {
            name: format!("{treatment} from {previous}"),
            n,
            m,
            treatment,
            previous,
        };
        pairs.into_iter().flatten().map(case).collect()
    }

    fn alarm(&self, metric: &Arc<Metric>) -> Alarm {
        let rule = MetricAlarm {
            source: Source::Stat(MetricStat {
                metric: Arc::clone(metric),
                statistic: Statistic::Basic(BasicStatistic::Average),
                unit: None,
            }),
            period: Period::new(60).unwrap(),
            evaluation_periods: u32::try_from(self.n).unwrap(),
            datapoints_to_alarm: Some(u32::try_from(self.m).unwrap()),
            comparison: Comparison::Threshold {
                operator: ComparisonOperator::GreaterThanThreshold,
                threshold: 50.0,
            },
            treat_missing_data: TreatMissingData::from_name(self.treatment),
            low_sample_percentile: None,
            evaluation_window: EvaluationWindow::Sliding,
            warm_up: None,
        };
        Alarm {
            name: self.name.clone(),
            arn: None,
            description: None,
            actions: Actions::default(),
            rule: Rule::Metric(rule),
            not_here: None,
        }
    }

    fn previous(&self) -> StateValue {
        let mut states = StateValue::ALL.into_iter();
        states.find(|state| state.name() == self.previous).unwrap()
    }

    /// What differs from SPEC, if anything does, when the slots are these, newest first. `transition` is what the evaluation
    /// brought about.
    fn differs(
        &self,
        slots: &[Slot],
        transition: Option<&Transition>,
        pipeline: &Pipeline,
    ) -> Option<String> {
        let Self {
            name,
            n,
            m,
            treatment,
            previous,
        } = self;
        let expected = evaluate(slots, *n, *m, treatment, previous);
        let state = transition.map_or(*previous, |transition| transition.to.name());
        let certainty = match transition {
            Some(transition) => Some(transition.certainty.clone()),
            None if expected.is_open => {
                let evaluation = pipeline.status(name).unwrap().evaluation;
                Some(evaluation.unwrap().certainty)
            }
            // Asking costs more than judging, and what is certain and brings nothing about is told by the other two states.
            None => None,
        };
        let is_certain = match expected.is_open {
            true => Certainty::Undetermined,
            false => Certainty::Determined,
        };
        let agrees =
            state == expected.state && certainty.as_ref().is_none_or(|got| *got == is_certain);
        (!agrees).then(|| {
            let pattern: String = slots.iter().rev().copied().map(letter).collect();
            format!(
                "`{pattern}`, {m} of {n}, {name}: expected {expected:?}, got {state} {certainty:?}"
            )
        })
    }
}

/// As the tables of SPEC section 5.4 write it, the newest slot last.
fn letter(slot: Slot) -> char {
    match slot {
        Slot::Missing => '-',
        Slot::NotBreaching => '0',
        Slot::Breaching => 'X',
    }
}

fn samples(metric: &Arc<Metric>, at: Timestamp, slot: Slot) -> Vec<Sample> {
    let value = match slot {
        Slot::Missing => return Vec::new(),
        Slot::NotBreaching => 10.0,
        Slot::Breaching => 90.0,
    };
    vec![Sample {
        metric: Arc::clone(metric),
        unit: Unit::NONE,
        resolution: Resolution::Standard,
        at,
        content: Content::Value(value),
    }]
}

/// Judges every pattern of `range` slots by every alarm with these N and M, and tells what differs from SPEC.
fn differences(range: usize, n: usize, m: usize) -> Vec<String> {
    let metric = Arc::new(Metric::new("CWBridge", "m", vec![]));
    let cases = Case::all(n, m);
    let mut pipeline = Pipeline::new(Options {
        evaluation_range: u32::try_from(range).ok(),
        ..Options::default()
    });
    let mut at = Timestamp::from_seconds(86_400);
    // Watched for a day, so that what is missing is known to be.
    pipeline.advance(&Reading {
        at: Timestamp::from_seconds(0),
        samples: vec![],
    });
    pipeline.set_alarms(cases.iter().map(|case| case.alarm(&metric)).collect(), at);
    let put_back = |pipeline: &mut Pipeline, case: &Case, at| {
        pipeline.set_state(&case.name, case.previous(), "", None, at);
    };
    for case in &cases {
        put_back(&mut pipeline, case, at);
    }
    let stream = every_pattern(range);
    let mut found = Vec::new();
    for newest in 0..stream.len() {
        let samples = samples(&metric, at, stream[newest]);
        at = at + 60;
        let outcome = pipeline.advance(&Reading { at, samples });
        assert_eq!(outcome.evaluated, cases.len());
        let newest_first = stream[..=newest].iter().rev().take(range);
        let mut slots: Vec<Slot> = newest_first.copied().collect();
        slots.resize(range, Slot::Missing);
        let mut transitions = outcome.events.transitions.iter().peekable();
        for case in &cases {
            let transition = transitions.next_if(|transition| transition.alarm.name == case.name);
            found.extend(case.differs(&slots, transition, &pipeline));
            if transition.is_some() {
                put_back(&mut pipeline, case, at);
            }
        }
    }
    found
}

#[test]
fn every_pattern_of_eight_slots_is_judged_as_the_specification_says() {
    let found: Vec<String> = thread::scope(|scope| {
        let cases = (1..=RANGE_MAX).flat_map(|range| (1..=range).map(move |n| (range, n)));
        let all_m = |(range, n)| move || (1..=n).flat_map(move |m| differences(range, n, m));
        let threads: Vec<_> = cases
            .map(|case| scope.spawn(move || all_m(case)().collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let shown: Vec<&str> = found.iter().take(10).map(String::as_str).collect();
    assert!(
        found.is_empty(),
        "{} evaluations differ, such as\n{}",
        found.len(),
        shown.join("\n")
    );
}

#[test]
fn a_stream_of_every_pattern_holds_each_of_them_once() {
    let stream = every_pattern(4);
    let mut patterns: Vec<String> = stream
        .windows(4)
        .map(|slots| slots.iter().copied().map(letter).collect())
        .collect();
    assert_eq!(patterns.len(), 81);
    patterns.sort();
    patterns.dedup();
    assert_eq!(patterns.len(), 81);
}

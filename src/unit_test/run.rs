//! Running one test.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::alarm::{
    ActionRun, Actions, Alarm, ChildRef, Comparison, ComparisonOperator, EvaluationWindow, Events,
    MetricAlarm, MetricStat, MuteRule, Occasion, Options, Rule, Source, Status, Transition,
    TreatMissingData, alarm_name,
};
use crate::finding::{Position, did_you_mean};
use crate::metric::{
    BasicStatistic, Datapoint, Metric, Period, Reading, Sample, Statistic, Timestamp,
};
use crate::pipeline::{Pipeline, Snapshot};
use crate::store::DropReason;

use super::{Expectation, Expected, Test, time};

/// What is tested.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub alarms: &'a [Alarm],
    pub mute_rules: &'a [MuteRule],
}

/// Something that is not as it was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub position: Position,
    /// In one line, and then what helps to see why.
    pub message: String,
}

/// What happens on the way: where an alarm stands after a step, and how it came there.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    Status(&'a Status),
    Transition(&'a Transition),
}

/// Runs a test; everything that is not as expected is told. `seen` is shown every alarm after each step.
pub fn run(test: &Test, subject: Subject<'_>, seen: &mut dyn FnMut(Seen<'_>)) -> Vec<Failure> {
    let known = subject.alarms.len();
    let alarms = with_stubs(test, subject.alarms);
    let subject = Subject {
        alarms: &alarms,
        ..subject
    };
    let mut unknown = unknown_alarms(test, subject);
    unknown.extend(unread_series(test, subject));
    if !unknown.is_empty() {
        return unknown;
    }
    let known = &subject.alarms[..known];
    play(test, subject, &mut |it| {
        let alarm = match it {
            Seen::Status(status) => &status.alarm,
            Seen::Transition(transition) => &transition.alarm,
        };
        if known.iter().any(|known| known.name == alarm.name) {
            seen(it);
        }
    })
}

/// The alarms, and one for each child that is in no file and that the test sets the state of: it keeps what is set.
pub(super) fn with_stubs<'a>(test: &Test, alarms: &'a [Alarm]) -> Cow<'a, [Alarm]> {
    let known: BTreeSet<&str> = alarms.iter().map(|alarm| alarm.name.as_str()).collect();
    let children: BTreeSet<&str> = alarms.iter().flat_map(below).collect();
    let set = test.set_states.iter().map(|set| &set.alarm);
    let named: BTreeSet<&String> = set.chain(test.initial_state.keys()).collect();
    let is_stub =
        |name: &&&String| children.contains(name.as_str()) && !known.contains(name.as_str());
    let stubs: Vec<Alarm> = named
        .iter()
        .filter(is_stub)
        .map(|name| stub(name))
        .collect();
    match stubs.is_empty() {
        true => Cow::Borrowed(alarms),
        false => Cow::Owned([alarms, &stubs].concat()),
    }
}

/// The alarms that an alarm's rule and its suppressor name.
pub(super) fn below(alarm: &Alarm) -> Vec<&str> {
    let Rule::Composite(composite) = &alarm.rule else {
        return Vec::new();
    };
    let children = composite.rule.children().into_iter().map(ChildRef::name);
    let suppressor = composite.suppressor.as_ref();
    let suppressor = suppressor.map(|suppressor| alarm_name(&suppressor.alarm));
    children.chain(suppressor).collect()
}

/// An alarm whose state is found elsewhere: it never has data, and keeps its state.
fn stub(name: &str) -> Alarm {
    let metric = Metric::new("stub", name, Vec::new());
    Alarm {
        name: name.to_owned(),
        arn: None,
        description: None,
        actions: Actions::default(),
        rule: Rule::Metric(MetricAlarm {
            source: Source::Stat(MetricStat {
                metric: Arc::new(metric),
                statistic: Statistic::Basic(BasicStatistic::Sum),
                unit: None,
            }),
            period: Period::MINUTE,
            evaluation_periods: 1,
            datapoints_to_alarm: None,
            comparison: Comparison::Threshold {
                operator: ComparisonOperator::GreaterThanThreshold,
                threshold: 0.0,
            },
            treat_missing_data: Some(TreatMissingData::Ignore),
            low_sample_percentile: None,
            evaluation_window: EvaluationWindow::Sliding,
            warm_up: None,
        }),
        not_here: None,
    }
}

/// The same, of a test that fits what is tested.
pub(super) fn play(
    test: &Test,
    subject: Subject<'_>,
    seen: &mut dyn FnMut(Seen<'_>),
) -> Vec<Failure> {
    let mut bench = Bench::new(test, subject);
    for at in bench.instants() {
        bench.step(at, seen);
    }
    for (expected, happened) in [
        (&test.expect_transitions, &bench.transitions),
        (&test.expect_actions, &bench.actions),
    ] {
        for expected in expected {
            let Some(mut failure) = differs(expected, happened) else {
                continue;
            };
            let status = bench.pipeline.status(&expected.alarm);
            if let Some(strip) = status.and_then(|status| strip(&status, test.start)) {
                let _ = write!(failure.message, "\n{strip}");
            }
            bench.failures.push(failure);
        }
    }
    bench.failures
}

/// A test that names an alarm that there is not.
fn unknown_alarms(test: &Test, subject: Subject<'_>) -> Vec<Failure> {
    let expect = test.expect.iter().map(|it| (&it.alarm, it.position));
    let lines = test
        .expect_transitions
        .iter()
        .chain(&test.expect_actions)
        .map(|it| (&it.alarm, it.position));
    let set = test.set_states.iter().map(|it| (&it.alarm, it.position));
    let initial = test
        .initial_state
        .keys()
        .map(|alarm| (alarm, test.position));
    let named = expect.chain(lines).chain(set).chain(initial);
    let is_unknown = |(alarm, _): &(&String, Position)| {
        !subject.alarms.iter().any(|known| known.name == **alarm)
    };
    named
        .filter(is_unknown)
        .map(|(alarm, position)| Failure {
            position,
            message: format!(
                "there is no alarm `{alarm}`{}",
                did_you_mean(alarm, subject.alarms.iter().map(|known| &*known.name))
            ),
        })
        .collect()
}

/// A series that no alarm reads: most likely its name or its dimensions are not those of the alarm.
fn unread_series(test: &Test, subject: Subject<'_>) -> Vec<Failure> {
    let read: BTreeSet<String> = subject
        .alarms
        .iter()
        .filter_map(|alarm| match &alarm.rule {
            Rule::Metric(rule) => Some(rule.stats()),
            _ => None,
        })
        .flatten()
        .map(|stat| stat.metric.to_string())
        .collect();
    let series = test.series.iter().map(|(metric, position)| {
        let name = metric.to_string();
        (!read.contains(&name)).then(|| Failure {
            position: *position,
            message: format!(
                "no alarm reads `{name}`{}",
                did_you_mean(&name, read.iter().map(String::as_str))
            ),
        })
    });
    series.flatten().collect()
}

/// A test on its way.
struct Bench<'a> {
    test: &'a Test,
    subject: Subject<'a>,
    pipeline: Pipeline,
    is_created: bool,
    /// Everything closed so far: what is there after a restart.
    datapoints: Vec<Datapoint>,
    /// By the instant at which they come.
    samples: BTreeMap<i64, Vec<Sample>>,
    /// What happened to each alarm, as lines.
    transitions: BTreeMap<String, Vec<String>>,
    actions: BTreeMap<String, Vec<String>>,
    failures: Vec<Failure>,
}

impl<'a> Bench<'a> {
    fn new(test: &'a Test, subject: Subject<'a>) -> Self {
        let mut samples: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
        for input in &test.samples {
            samples.entry(input.comes_at).or_default().push(Sample {
                metric: Arc::clone(&input.metric),
                unit: input.unit,
                resolution: input.resolution,
                at: test.start + input.at,
                content: input.content.clone(),
            });
        }
        Self {
            test,
            subject,
            pipeline: Pipeline::new(Options::default()),
            is_created: false,
            datapoints: Vec::new(),
            samples,
            transitions: BTreeMap::new(),
            actions: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// When something comes, is looked at, or is judged.
    fn instants(&self) -> BTreeSet<i64> {
        let test = self.test;
        let until = until(test, self.subject);
        let mut instants: BTreeSet<i64> = self.samples.keys().copied().collect();
        instants.extend(test.restarts.iter().copied());
        instants.extend(test.set_states.iter().map(|set| set.at));
        instants.extend(test.expect.iter().map(|expect| expect.at));
        instants.extend([test.created_at, until]);
        // Everything in between is judged one by one, for whoever watches.
        let evaluations = (1..).map(|i| test.created_at + i * self.interval());
        instants.extend(evaluations.take_while(|at| *at < until));
        instants.retain(|at| *at <= until);
        instants
    }

    /// The shortest time between two evaluations.
    fn interval(&self) -> i64 {
        let interval = |alarm: &Alarm| match &alarm.rule {
            Rule::Metric(alarm) => alarm.evaluation_interval(),
            _ => 60,
        };
        self.subject.alarms.iter().map(interval).min().unwrap_or(60)
    }

    fn at(&self, seconds: i64) -> Timestamp {
        self.test.start + seconds
    }

    fn step(&mut self, at: i64, seen: &mut dyn FnMut(Seen<'_>)) {
        let test = self.test;
        if at >= test.created_at && !self.is_created {
            self.begin(at);
            self.create();
        } else if self.is_created && test.restarts.contains(&at) {
            self.restart();
        }
        let reading = Reading {
            at: self.at(at),
            samples: self.samples.remove(&at).unwrap_or_default(),
        };
        let mut outcome = self.pipeline.advance(&reading);
        self.datapoints.append(&mut outcome.datapoints);
        for reason in &outcome.dropped {
            self.failures.push(not_taken(test.position, at, *reason));
        }
        for transition in &outcome.events.transitions {
            seen(Seen::Transition(transition));
        }
        self.note(outcome.events);
        if self.is_created {
            for status in self.pipeline.statuses() {
                seen(Seen::Status(&status));
            }
        }
        for set in test.set_states.iter().filter(|set| set.at == at) {
            let now = self.at(at);
            let events =
                self.pipeline
                    .set_state(&set.alarm, set.state, "set by the test", None, now);
            let events = events.unwrap_or_default();
            // What is set is no doing of the alarm's; what others make of it is theirs.
            let others = events.transitions.iter();
            for transition in others.filter(|other| other.alarm.name != set.alarm) {
                seen(Seen::Transition(transition));
            }
            self.note(events);
        }
        for expect in test.expect.iter().filter(|expect| expect.at == at) {
            let failure = match self.pipeline.status(&expect.alarm) {
                Some(status) => check(expect, &status, self.test.start),
                None => Some(Failure {
                    position: expect.position,
                    message: format!(
                        "at {} alarm `{}` is not there yet",
                        time(expect.at),
                        expect.alarm
                    ),
                }),
            };
            self.failures.extend(failure);
        }
    }

    /// What came before the alarms were created is there when they are.
    fn begin(&mut self, at: i64) {
        let now = self.at(at);
        self.datapoints.append(&mut self.pipeline.finish());
        self.pipeline = Pipeline::new(Options::default());
        self.pipeline.set_alarms(self.subject.alarms.to_vec(), now);
        self.pipeline
            .set_mute_rules(self.subject.mute_rules.to_vec(), now);
        self.go_on(&Snapshot {
            // Before the test there was nothing, and that is known.
            watched_since: Timestamp::MIN,
            at: now,
            alarms: Vec::new(),
        });
    }

    fn create(&mut self) {
        self.is_created = true;
        let now = self.at(self.test.created_at);
        for (alarm, state) in &self.test.initial_state {
            self.pipeline
                .set_state(alarm, *state, "set by the test", None, now);
        }
    }

    /// Stops, and starts again with what outlives that.
    fn restart(&mut self) {
        let Some(snapshot) = self.pipeline.snapshot() else {
            return;
        };
        self.datapoints.append(&mut self.pipeline.finish());
        self.pipeline = Pipeline::new(Options::default());
        self.pipeline
            .set_alarms(self.subject.alarms.to_vec(), snapshot.at);
        self.pipeline
            .set_mute_rules(self.subject.mute_rules.to_vec(), snapshot.at);
        self.go_on(&snapshot);
    }

    fn go_on(&mut self, snapshot: &Snapshot) {
        self.datapoints.sort_by_key(|datapoint| datapoint.start);
        for datapoint in &self.datapoints {
            self.pipeline.take_up(datapoint, snapshot.at);
        }
        self.pipeline.restore(snapshot);
    }

    fn note(&mut self, events: Events) {
        for transition in events.transitions {
            let line = format!(
                "{} {} -> {}",
                time(transition.at - self.test.start),
                transition.from,
                transition.to
            );
            self.transitions
                .entry(transition.alarm.name.clone())
                .or_default()
                .push(line);
        }
        let has_actions = |run: &ActionRun| !run.alarm.actions.of(run.state).is_empty();
        for run in events.actions.into_iter().filter(has_actions) {
            let why = match run.occasion {
                Occasion::StateChange => "",
                Occasion::MuteWindowEnd => " after mute",
                Occasion::Repeat => " repeated",
            };
            let line = format!("{} {}{why}", time(run.at - self.test.start), run.state);
            self.actions
                .entry(run.alarm.name.clone())
                .or_default()
                .push(line);
        }
    }
}

/// When the test ends.
pub(super) fn until(test: &Test, subject: Subject<'_>) -> i64 {
    let last = test.samples.iter().map(|sample| sample.comes_at).max();
    let period = |alarm: &Alarm| match &alarm.rule {
        Rule::Metric(alarm) => alarm.period.seconds(),
        _ => 60,
    };
    let period = subject.alarms.iter().map(period).max().unwrap_or(60);
    let expected = test.expect.iter().map(|expect| expect.at);
    let set = test.set_states.iter().map(|set| set.at + period);
    let restarted = test.restarts.iter().map(|at| at + period);
    let end = expected.chain(set).chain(restarted).max();
    let end = end.max(Some(last.unwrap_or(0) + period));
    test.until.or(end).unwrap_or(0)
}

fn not_taken(position: Position, at: i64, reason: DropReason) -> Failure {
    let why = match reason {
        DropReason::ValueOutOfRange => {
            "a value is beyond 2^360 or -2^360, or a count is not above 0"
        }
        DropReason::TimeOutOfRange => "it comes more than two weeks late",
        DropReason::ClockSteppedBack => "its minute is over",
    };
    Failure {
        position,
        message: format!("a sample that comes at {} is not taken: {why}", time(at)),
    }
}

/// All that happened to an alarm beside all that was expected.
fn differs(expected: &Expected, happened: &BTreeMap<String, Vec<String>>) -> Option<Failure> {
    let got = happened.get(&expected.alarm).map_or(&[][..], Vec::as_slice);
    if got == expected.lines {
        return None;
    }
    let mut message = format!(
        "alarm `{}` did not do what was expected (- expected, + done)",
        expected.alarm
    );
    let (same, mut left) = (matched(&expected.lines, got), 0);
    for (i, line) in expected.lines.iter().enumerate() {
        let Some((_, at)) = same.iter().find(|(place, _)| *place == i) else {
            let _ = write!(message, "\n- {line}");
            continue;
        };
        for extra in &got[left..*at] {
            let _ = write!(message, "\n+ {extra}");
        }
        let _ = write!(message, "\n  {line}");
        left = at + 1;
    }
    for extra in &got[left..] {
        let _ = write!(message, "\n+ {extra}");
    }
    Some(Failure {
        position: expected.position,
        message,
    })
}

/// The places of lines that are alike in both, in order: each line of the one with the next like it in the other.
fn matched(expected: &[String], got: &[String]) -> Vec<(usize, usize)> {
    let (mut pairs, mut from) = (Vec::new(), 0);
    for (i, line) in expected.iter().enumerate() {
        if let Some(found) = got[from..].iter().position(|other| other == line) {
            pairs.push((i, from + found));
            from += found + 1;
        }
    }
    pairs
}

fn check(expect: &Expectation, status: &Status, start: Timestamp) -> Option<Failure> {
    let mut wrong = Vec::new();
    if let Some(state) = expect.state.filter(|state| *state != status.state) {
        wrong.push(format!("is in {}, not in {state}", status.state));
    }
    let certainty = status
        .evaluation
        .as_ref()
        .map_or("not judged", |evaluation| evaluation.certainty.name());
    let told = [
        (&expect.reason, &*status.reason, "its reason", true),
        (
            &expect.reason_contains,
            &*status.reason,
            "its reason",
            false,
        ),
        (&expect.certainty, certainty, "its certainty", true),
    ];
    for (expected, got, what, whole) in told {
        let Some(expected) = expected else {
            continue;
        };
        let (is_right, verb) = match whole {
            true => (got == expected, "is"),
            false => (got.contains(expected.as_str()), "contains"),
        };
        if !is_right {
            wrong.push(format!(
                "{what} is `{got}`, expected was that it {verb} `{expected}`"
            ));
        }
    }
    if wrong.is_empty() {
        return None;
    }
    let mut message = format!(
        "at {} alarm `{}` {}",
        time(expect.at),
        expect.alarm,
        wrong.join("; ")
    );
    if expect.state.is_some_and(|state| state != status.state) {
        let _ = write!(message, "\nreason: {}", status.reason);
    }
    if let Some(strip) = strip(status, start) {
        let _ = write!(message, "\n{strip}");
    }
    Some(Failure {
        position: expect.position,
        message,
    })
}

/// The datapoints of the evaluation range, oldest first: `_` for a missing one, `!` after one that is breaching.
fn strip(status: &Status, start: Timestamp) -> Option<String> {
    let Rule::Metric(alarm) = &status.alarm.rule else {
        return None;
    };
    let evaluation = status.evaluation.as_ref()?;
    let point = |point: &crate::alarm::Point| match point.value {
        None => "_".to_owned(),
        Some(value) => {
            let mark = match alarm.comparison.is_breaching(value, point.band) {
                Some(true) => "!",
                _ => "",
            };
            format!("{value}{mark}")
        }
    };
    let points: Vec<String> = evaluation.points.iter().rev().map(point).collect();
    Some(format!(
        "datapoints up to {}: {}",
        time(evaluation.end - start),
        points.join(" ")
    ))
}

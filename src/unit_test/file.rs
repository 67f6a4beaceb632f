//! Reading the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::StateValue;
use crate::finding::{Report, one_of};
use crate::metric::{Dimension, Metric, Resolution, Timestamp, Unit};
use crate::tree::{self, Entry, Node, Value};

use super::series::values;
use super::{Expectation, Expected, InputSample, SetState, Test, TestFile, time};

/// Longer times are mistakes, in seconds: 63 days are more than any alarm looks back.
const TIME_MAX: i64 = 63 * 86_400;

const FILE_KEYS: [&str; 2] = ["alarms", "tests"];
const TEST_KEYS: [&str; 12] = [
    "name",
    "start",
    "interval",
    "input_series",
    "initial_state",
    "created_at",
    "until",
    "restarts",
    "set_states",
    "expect",
    "expect_transitions",
    "expect_actions",
];
const SERIES_KEYS: [&str; 4] = ["metric", "unit", "high_resolution", "values"];
const EXPECT_KEYS: [&str; 6] = [
    "at",
    "alarm",
    "state",
    "reason",
    "reason_contains",
    "certainty",
];

/// Reads a file of tests; `None` where it is none at all. What is wrong is reported, all of it.
pub fn parse(text: &str, report: &mut Report) -> Option<TestFile> {
    let document = tree::yaml(text, report)?;
    report.table("the file", &document)?;
    report.unknown_keys("a test file", &document, &FILE_KEYS);
    let alarms = alarm_files(&document, report);
    let tests = match document.get("tests") {
        Some(tests) => report.list("tests", tests)?,
        None => {
            report.add(document.position, "`tests` is missing");
            return None;
        }
    };
    let tests = tests.iter().filter_map(|node| test(node, report)).collect();
    Some(TestFile { alarms, tests })
}

fn alarm_files(document: &Node, report: &mut Report) -> Vec<(String, crate::finding::Position)> {
    let Some(node) = document.get("alarms") else {
        report.add(
            document.position,
            "`alarms` is missing: the files that the alarms are in",
        );
        return Vec::new();
    };
    let files = report.list("alarms", node).unwrap_or_default();
    let file = |node: &Node| Some((report.string("alarms", node)?, node.position));
    files.iter().filter_map(file).collect()
}

/// A test that is read in part is not run.
fn test(node: &Node, report: &mut Report) -> Option<Test> {
    let sound = report.findings.len();
    report.table("a test", node)?;
    let name = node
        .get("name")
        .and_then(|name| report.string("name", name));
    report.subject = format!("test `{}`", name.as_deref().unwrap_or("?"));
    report.unknown_keys("a test", node, &TEST_KEYS);
    let interval = node
        .get("interval")
        .and_then(|at| seconds("interval", at, report));
    let interval = interval.unwrap_or(60);
    if interval == 0 {
        report.add(node.position, "`interval` must be a second at least");
    }
    let mut times = |key: &str| node.get(key).and_then(|at| seconds(key, at, report));
    let (created_at, until) = (times("created_at"), times("until"));
    let (mut samples, mut series) = (Vec::new(), Vec::new());
    for node in items(node, "input_series", report) {
        if let Some((metric, mut of_series)) = self::series(node, interval, report) {
            series.push((metric, node.position));
            samples.append(&mut of_series);
        }
    }
    let test = Test {
        name: name.unwrap_or_else(|| format!("line {}", node.position.line)),
        position: node.position,
        start: start(node, report),
        samples,
        series,
        initial_state: initial_state(node, report),
        created_at: created_at.unwrap_or(0),
        until,
        restarts: items(node, "restarts", report)
            .iter()
            .filter_map(|at| seconds("restarts", at, report))
            .collect(),
        set_states: items(node, "set_states", report)
            .iter()
            .filter_map(|node| set_state(node, report))
            .collect(),
        expect: items(node, "expect", report)
            .iter()
            .filter_map(|node| expectation(node, report))
            .collect(),
        expect_transitions: expected(node, "expect_transitions", "transitions", report),
        expect_actions: expected(node, "expect_actions", "actions", report),
    };
    if [
        test.expect.is_empty(),
        test.expect_transitions.is_empty(),
        test.expect_actions.is_empty(),
    ] == [true; 3]
    {
        report.add(
            node.position,
            "it expects nothing: `expect`, `expect_transitions` or `expect_actions` is wanted",
        );
    }
    check_times(&test, node, report);
    let is_sound = report.findings.len() == sound;
    report.subject.clear();
    is_sound.then_some(test)
}

/// What lies outside the time of a test would never be looked at.
fn check_times(test: &Test, node: &Node, report: &mut Report) {
    let expect = test
        .expect
        .iter()
        .map(|expect| ("expect", expect.at, expect.position));
    let set = test
        .set_states
        .iter()
        .map(|set| ("set_states", set.at, set.position));
    let restarts = test
        .restarts
        .iter()
        .map(|at| ("restarts", *at, node.position));
    let latest = test.until.unwrap_or(TIME_MAX);
    for (what, at, position) in expect.chain(set).chain(restarts) {
        if !(test.created_at..=latest).contains(&at) {
            let (at, from, to) = (time(at), time(test.created_at), time(latest));
            report.add(
                position,
                format!("`{what}` at {at} is not in the time of the test, from {from} to {to}"),
            );
        }
    }
    let last = test.samples.iter().map(|sample| sample.comes_at).max();
    if last.is_some_and(|last| last > TIME_MAX) {
        report.add(node.position, "its samples come later than 63 days after the start, which is more than a test may take");
    }
}

fn items<'n>(node: &'n Node, key: &str, report: &mut Report) -> &'n [Node] {
    let Some(list) = node.get(key) else {
        return &[];
    };
    report.list(key, list).unwrap_or_default()
}

/// `6m`, `1h30m`, or a number of seconds.
fn seconds(what: &str, node: &Node, report: &mut Report) -> Option<i64> {
    let read = match &node.value {
        Value::String(text) if text == "0m" => Some(0),
        Value::String(text) => humantime::parse_duration(text)
            .ok()
            .and_then(|time| i64::try_from(time.as_secs()).ok()),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and in the range"
        )]
        Value::Number(number) if number.fract() == 0.0 && (0.0..1e9).contains(number) => {
            Some(*number as i64)
        }
        _ => None,
    };
    let read = read.filter(|seconds| (0..=TIME_MAX).contains(seconds));
    if read.is_none() {
        report.add(
            node.position,
            format!(
                "`{what}` is {}, but must be a time like `6m` or `1h30m`, at most 63 days",
                node.value
            ),
        );
    }
    read
}

fn start(node: &Node, report: &mut Report) -> Timestamp {
    let epoch = Timestamp::from_seconds(0);
    let Some(node) = node.get("start") else {
        return epoch;
    };
    let Some(text) = report.string("start", node) else {
        return epoch;
    };
    match humantime::parse_rfc3339_weak(&text)
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
    {
        Some(since) => Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(0)),
        None => {
            report.add(
                node.position,
                format!("`start` is `{text}`, but must be an instant like `2026-01-05T00:00:00Z`"),
            );
            epoch
        }
    }
}

fn series(
    node: &Node,
    interval: i64,
    report: &mut Report,
) -> Option<(Arc<Metric>, Vec<InputSample>)> {
    report.unknown_keys("a series", node, &SERIES_KEYS);
    let metric = match node.get("metric") {
        Some(metric) => self::metric(metric, report),
        None => {
            report.add(node.position, "`metric` is missing");
            None
        }
    };
    let unit = match node.get("unit") {
        Some(unit) => self::unit(unit, report),
        None => Some(Unit::NONE),
    };
    let high = node
        .get("high_resolution")
        .and_then(|high| report.boolean("high_resolution", high));
    let resolution = match high.unwrap_or(interval < 60) {
        true => Resolution::High,
        false => Resolution::Standard,
    };
    let text = match node.get("values") {
        Some(Node {
            value: Value::Number(number),
            ..
        }) => Some(number.to_string()),
        Some(values) => report.string("values", values),
        None => {
            report.add(node.position, "`values` is missing");
            None
        }
    };
    let read = text.and_then(|text| {
        let place = node.get("values").map(|values| values.position);
        let read = values(&text);
        read.map_err(|message| report.add(place.unwrap_or_default(), message))
            .ok()
    });
    let (metric, unit, read) = (metric?, unit?, read?);
    let sample = |(k, value): (i64, super::series::Value)| {
        let (content, late) = value?;
        Some(InputSample {
            metric: Arc::clone(&metric),
            unit,
            resolution,
            at: k.saturating_mul(interval),
            comes_at: k.saturating_mul(interval).saturating_add(late),
            content,
        })
    };
    let samples = (0..).zip(read).filter_map(sample).collect();
    Some((metric, samples))
}

fn unit(node: &Node, report: &mut Report) -> Option<Unit> {
    let name = report.string("unit", node)?;
    let unit = Unit::from_name(&name);
    if unit.is_none() {
        report.add(
            node.position,
            format!("`unit` is `{name}`, but must be a unit that CloudWatch knows"),
        );
    }
    unit
}

/// `AWS/EC2 CPUUtilization {InstanceId=i-0}`, or its parts.
fn metric(node: &Node, report: &mut Report) -> Option<Arc<Metric>> {
    if let Value::Table(_) = node.value {
        return metric_of_parts(node, report);
    }
    let text = report.string("metric", node)?;
    let metric = Metric::from_notation(&text);
    if metric.is_none() {
        report.add(node.position, format!("`metric` is `{text}`, but must be like `AWS/EC2 CPUUtilization {{InstanceId=i-0123456789abcdef0}}`"));
    }
    metric.map(Arc::new)
}

fn metric_of_parts(node: &Node, report: &mut Report) -> Option<Arc<Metric>> {
    report.unknown_keys("a metric", node, &["namespace", "name", "dimensions"]);
    let mut part = |key: &str| match node.get(key) {
        Some(part) => report.string(key, part),
        None => {
            report.add(node.position, format!("`{key}` is missing"));
            None
        }
    };
    let (namespace, name) = (part("namespace"), part("name"));
    let dimensions = node.get("dimensions").map_or(&[][..], Node::entries);
    let dimension = |entry: &Entry| {
        let value = report.string(&entry.key, &entry.node)?;
        Some(Dimension::new(&entry.key, value))
    };
    let dimensions: Option<Vec<Dimension>> = dimensions.iter().map(dimension).collect();
    Some(Arc::new(Metric::new(namespace?, name?, dimensions?)))
}

fn state(what: &str, node: &Node, report: &mut Report) -> Option<StateValue> {
    let name = report.string(what, node)?;
    let state = StateValue::from_name(&name);
    if state.is_none() {
        let allowed = one_of(StateValue::ALL.map(StateValue::name));
        report.add(
            node.position,
            format!("`{what}` is `{name}`, but must be {allowed}"),
        );
    }
    state
}

fn initial_state(node: &Node, report: &mut Report) -> BTreeMap<String, StateValue> {
    let entries = node.get("initial_state").map_or(&[][..], Node::entries);
    let one = |entry: &Entry| Some((entry.key.clone(), state(&entry.key, &entry.node, report)?));
    entries.iter().filter_map(one).collect()
}

/// `at` and `alarm`, which everything has that names an alarm at a time.
fn at_alarm(node: &Node, report: &mut Report) -> Option<(i64, String)> {
    let mut required = |key: &str| {
        let found = node.get(key);
        if found.is_none() {
            report.add(node.position, format!("`{key}` is missing"));
        }
        found
    };
    let (at, alarm) = (required("at"), required("alarm"));
    let at = at.and_then(|at| seconds("at", at, report));
    let alarm = alarm.and_then(|alarm| report.string("alarm", alarm));
    Some((at?, alarm?))
}

fn set_state(node: &Node, report: &mut Report) -> Option<SetState> {
    report.unknown_keys("a state to be set", node, &["at", "alarm", "state"]);
    let (at, alarm) = at_alarm(node, report)?;
    let Some(state) = node.get("state") else {
        report.add(node.position, "`state` is missing");
        return None;
    };
    Some(SetState {
        at,
        alarm,
        position: node.position,
        state: self::state("state", state, report)?,
    })
}

fn expectation(node: &Node, report: &mut Report) -> Option<Expectation> {
    report.unknown_keys("an expectation", node, &EXPECT_KEYS);
    let (at, alarm) = at_alarm(node, report)?;
    let mut text = |key: &str| node.get(key).and_then(|node| report.string(key, node));
    let (reason, reason_contains, certainty) =
        (text("reason"), text("reason_contains"), text("certainty"));
    let state = node
        .get("state")
        .and_then(|node| state("state", node, report));
    if state.is_none() && reason.is_none() && reason_contains.is_none() && certainty.is_none() {
        report.add(
            node.position,
            "it expects nothing: `state`, `reason`, `reason_contains` or `certainty` is wanted",
        );
    }
    Some(Expectation {
        at,
        alarm,
        position: node.position,
        state,
        reason,
        reason_contains,
        certainty,
    })
}

fn expected(node: &Node, key: &str, lines: &str, report: &mut Report) -> Vec<Expected> {
    let mut all = Vec::new();
    for node in items(node, key, report) {
        report.unknown_keys("an expectation", node, &["alarm", lines]);
        let alarm = node
            .get("alarm")
            .and_then(|alarm| report.string("alarm", alarm));
        let listed = node
            .get(lines)
            .and_then(|lines_of| report.strings(lines, lines_of));
        let (Some(alarm), Some(listed)) = (alarm, listed) else {
            report.add(node.position, format!("`alarm` and `{lines}` are wanted"));
            continue;
        };
        all.push(Expected {
            alarm,
            position: node.position,
            lines: listed.iter().map(|line| normal(line)).collect(),
        });
    }
    all
}

/// A line with single spaces, and its time as it is told: `120s OK  -> ALARM` as `2m OK -> ALARM`.
fn normal(line: &str) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if let Some(first) = words.first_mut()
        && let Ok(at) = humantime::parse_duration(first)
        && let Ok(seconds) = i64::try_from(at.as_secs())
    {
        *first = time(seconds);
    }
    words.join(" ")
}

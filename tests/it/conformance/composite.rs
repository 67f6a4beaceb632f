//! Composite alarms over children whose states are set.

use cwbridge::alarm::{Alarm, Events, Options, ReasonData, Rule, StateValue, alarm_name};
use cwbridge::metric::{Reading, Timestamp};
use cwbridge::pipeline::Pipeline;
use serde_json::{Value, json};

use super::Differences;
use super::case::{Case, matches, read, same, state, time};

/// A composite alarm with its children.
struct World {
    pipeline: Pipeline,
    composite: Alarm,
}

impl World {
    /// Everything is created at `at`, with children in the states given.
    fn new(case: &Case, children: &[(String, StateValue)], at: Timestamp) -> Self {
        let composite = case.alarm();
        let mut pipeline = Pipeline::new(Options {
            region: case.context("region"),
            account: case.context("account"),
            ..Options::default()
        });
        let child = |(name, _): &(String, StateValue)| child(name);
        let alarms = children
            .iter()
            .map(child)
            .chain([composite.clone()])
            .collect();
        pipeline.set_alarms(alarms, at);
        for (name, state) in children {
            pipeline.set_state(name, *state, "set", None, at).unwrap();
        }
        Self {
            pipeline,
            composite,
        }
    }

    fn look(&mut self, at: Timestamp) -> Events {
        self.pipeline
            .advance(&Reading {
                at,
                samples: vec![],
            })
            .events
    }

    fn set(&mut self, name: &str, state: StateValue, at: Timestamp) -> Events {
        self.pipeline
            .set_state(alarm_name(name), state, "set", None, at)
            .unwrap()
    }

    fn status(&self) -> cwbridge::alarm::Status {
        self.pipeline.status(&self.composite.name).unwrap()
    }
}

/// An alarm whose state is only ever set: it has no data, and keeps its state without.
pub(super) fn child(name: &str) -> Alarm {
    read(&json!({
        "AlarmName": name, "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore",
    }))
}

/// The children with their states; a child is known by its name.
fn children(case: &Case) -> Vec<(String, StateValue)> {
    let children = case.get("children").as_object().into_iter().flatten();
    children
        .map(|(name, value)| (alarm_name(name).to_owned(), state(value.as_str().unwrap())))
        .collect()
}

const START: &str = "10:00:00";

pub(super) fn evaluation(case: &Case) -> Differences {
    let mut differences = Vec::new();
    for previous in case.previous_states() {
        let mut world = World::new(case, &children(case), time(START));
        let name = world.composite.name.clone();
        if let Some(previous) = previous {
            world.set(&name, previous, time(START));
        }
        world.look(time(START));
        let status = world.status();
        let from = previous.map_or("no state", StateValue::name);
        if let Some(expected) = case.get("expected_state").as_str() {
            differences.extend(same(
                &format!("state from {from}"),
                &expected,
                &status.state.name(),
            ));
        }
        differences.extend(
            status
                .not_mirrored
                .map(|why| format!("not mirrored: {why}")),
        );
    }
    differences
}

pub(super) fn reason(case: &Case) -> Differences {
    let transition = case.get("child_transition");
    let Some(moved) = transition["alarm"].as_str() else {
        let mut world = World::new(case, &children(case), time(START));
        world.look(time(START));
        return compare(case, &world);
    };
    let (to, at) = (
        state(transition["to"].as_str().unwrap()),
        time(transition["at"].as_str().unwrap()),
    );
    let before = if to == StateValue::Ok {
        StateValue::Alarm
    } else {
        StateValue::Ok
    };
    let mut states = children(case);
    for (name, state) in &mut states {
        if name == alarm_name(moved) {
            *state = before;
        }
    }
    let created_at = at.floor(60) - 3_600;
    let mut world = World::new(case, &states, created_at);
    world.look(created_at);
    world.set(moved, to, at);
    compare(case, &world)
}

/// State and reason; the triggering alarms come in any order.
fn compare(case: &Case, world: &World) -> Differences {
    let status = world.status();
    let mut differences = Vec::new();
    if let Some(expected) = case.get("expected_state").as_str() {
        differences.extend(same("state", &expected, &status.state.name()));
    }
    if let Some(expected) = case.get("expected_reason").as_str() {
        differences.extend(same("reason", &expected, &&*status.reason));
    }
    let expected = case.get("expected_reason_data");
    let data = status
        .reason_data
        .as_ref()
        .map(|data| cwbridge::definition::reason_data(data));
    let got: Value = serde_json::from_str(&data.unwrap_or_default()).unwrap_or_default();
    if !expected.is_null() && !matches(&sorted(expected), &sorted(&got)) {
        differences.push(format!("reason data: expected {expected}, got {got}"));
    }
    differences
}

fn sorted(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(alarms) = data["triggeringAlarms"].as_array_mut() {
        alarms.sort_by_key(|alarm| alarm["arn"].as_str().unwrap_or_default().to_owned());
    }
    data
}

pub(super) fn sequence(case: &Case) -> Differences {
    let mut at = time(START);
    let mut world = World::new(case, &children(case), at);
    world.look(at);
    let mut differences = Vec::new();
    for (i, step) in case.list("steps").iter().enumerate() {
        at = at + 1;
        let mut actions = 0;
        for (name, value) in step["set"].as_object().into_iter().flatten() {
            let events = world.set(name, state(value.as_str().unwrap()), at);
            actions += events
                .actions
                .iter()
                .filter(|run| run.alarm.name == world.composite.name)
                .count();
        }
        let status = world.status();
        let expected = step["expected_state"].as_str().unwrap();
        differences.extend(same(
            &format!("state after step {i}"),
            &expected,
            &status.state.name(),
        ));
        if let Some(expected) = step["triggering"].as_array() {
            let expected: Vec<&str> = expected.iter().filter_map(Value::as_str).collect();
            let got: Vec<&str> = match status.reason_data.as_deref() {
                Some(ReasonData::TriggeringAlarms(alarms)) => {
                    alarms.iter().map(|alarm| alarm.arn.as_str()).collect()
                }
                _ => vec![],
            };
            differences.extend(same(&format!("triggering after step {i}"), &expected, &got));
        }
        if let Some(expected) = step["actions_run"].as_bool() {
            differences.extend(same(
                &format!("actions after step {i}"),
                &expected,
                &(actions > 0),
            ));
        }
    }
    differences
}

/// Seconds before the first event, in which everything that follows creation comes to an end.
const SETTLING: i64 = 86_400;

pub(super) fn suppression(case: &Case) -> Differences {
    let composite = case.alarm();
    let Rule::Composite(rule) = &composite.rule else {
        panic!("not composite")
    };
    let suppressor = rule.suppressor.as_ref().unwrap();
    let mut stage = Stage::new(
        case,
        rule.rule.children()[0].name(),
        alarm_name(&suppressor.alarm),
    );
    let last = case
        .list("events")
        .iter()
        .filter_map(|event| event["t"].as_i64())
        .max();
    let settled = suppressor.wait_period + suppressor.extension_period;
    for t in 0..=last.unwrap_or(0) + settled + 2 {
        stage.second(case, t);
    }
    let withheld: Vec<Value> = stage
        .withheld
        .into_iter()
        .map(|Withheld { value, from, to }| json!({"from": from, "to": to, "value": value}))
        .collect();
    let mut differences = Vec::new();
    differences.extend(same(
        "actions",
        case.get("expected_action_times"),
        &stage.actions.into(),
    ));
    if case.has("expected_suppressed_by") {
        differences.extend(same(
            "suppressed by",
            case.get("expected_suppressed_by"),
            &withheld.into(),
        ));
    }
    differences
}

/// A composite alarm that follows one child, and its suppressor, second by second.
struct Stage {
    world: World,
    child: String,
    suppressor: String,
    base: Timestamp,
    actions: Vec<Value>,
    withheld: Vec<Withheld>,
}

impl Stage {
    fn new(case: &Case, child: &str, suppressor: &str) -> Self {
        let base = time(START);
        let initial = |who: &str| {
            case.get("initial")[who]
                .as_str()
                .map_or(StateValue::Ok, state)
        };
        let quiet = [
            (child.to_owned(), initial("composite")),
            (suppressor.to_owned(), StateValue::Ok),
        ];
        let mut world = World::new(case, &quiet, base - SETTLING);
        world.look(base - SETTLING);
        world.look(base - SETTLING / 2);
        world.set(suppressor, initial("suppressor"), base - SETTLING / 2);
        world.look(base - 1);
        Self {
            world,
            child: child.to_owned(),
            suppressor: suppressor.to_owned(),
            base,
            actions: Vec::new(),
            withheld: Vec::new(),
        }
    }

    /// Carries out the events of the second `t`, and notes what followed.
    fn second(&mut self, case: &Case, t: i64) {
        let at = self.base + t;
        let mut runs = Vec::new();
        for event in case
            .list("events")
            .iter()
            .filter(|event| event["t"].as_i64() == Some(t))
        {
            for (who, name) in [("suppressor", &self.suppressor), ("composite", &self.child)] {
                if let Some(to) = event[who].as_str() {
                    runs.append(&mut self.world.set(name, state(to), at).actions);
                }
            }
        }
        runs.append(&mut self.world.look(at).actions);
        let own = runs
            .iter()
            .filter(|run| run.alarm.name == self.world.composite.name);
        let base = self.base;
        self.actions
            .extend(own.map(|run| json!({"t": run.at - base, "state": run.state.name()})));
        let now = self.world.status().suppressed_by;
        note(
            &mut self.withheld,
            now.map(|(by, since)| (by.name(), since - base)),
            t,
        );
    }
}

/// What withheld the actions, from one second to another.
struct Withheld {
    value: &'static str,
    from: i64,
    to: Option<i64>,
}

/// Continues, ends or begins an entry at the second `t`.
fn note(all: &mut Vec<Withheld>, now: Option<(&'static str, i64)>, t: i64) {
    let open = all.last_mut().filter(|entry| entry.to.is_none());
    match (open, now) {
        (Some(open), Some((value, since))) if open.value == value && open.from == since => return,
        (Some(open), _) => open.to = Some(t),
        (None, _) => {}
    }
    all.extend(now.map(|(value, from)| Withheld {
        value,
        from,
        to: None,
    }));
}

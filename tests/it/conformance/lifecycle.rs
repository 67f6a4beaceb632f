//! What an alarm's state does when the alarm is created, changed, or set from outside.

use cwbridge::alarm::{Alarm, Events};
use cwbridge::definition::set_alarm_state;
use cwbridge::metric::Timestamp;
use cwbridge::pipeline::Pipeline;
use serde_json::Value;

use super::Differences;
use super::case::{Case, read, same, time};

pub(super) fn run(case: &Case) -> Differences {
    let mut request = case.get("alarm").clone();
    let alarm = case.alarm();
    let mut at = time("10:00:00");
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm.clone()], at);
    if let Some(previous) = case.previous_states()[0] {
        pipeline
            .set_state(&alarm.name, previous, "before", None, at)
            .unwrap();
    }
    let mut events = Events::default();
    let mut differences = Vec::new();
    for (i, call) in case.list("api_calls").iter().enumerate() {
        at = at + 1;
        let mut new = act(&mut pipeline, &mut request, &alarm, call, at);
        events.transitions.append(&mut new.transitions);
        events.actions.append(&mut new.actions);
        let status = pipeline.status(&alarm.name).unwrap();
        if let Some(expected) = case.list("expected_states").get(i).and_then(Value::as_str) {
            differences.extend(same(
                &format!("state after call {i}"),
                &expected,
                &status.state.name(),
            ));
        }
    }
    let status = pipeline.status(&alarm.name).unwrap();
    if let Some(expected) = case.get("expected_state").as_str() {
        differences.extend(same("state", &expected, &status.state.name()));
    }
    differences.extend(super::metric::reasons(case, &status));
    if case.has("expected_actions_run") {
        let expected: Vec<&str> = case
            .list("expected_actions_run")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let run: Vec<&str> = events.actions.iter().map(|run| run.state.name()).collect();
        differences.extend(same("actions run", &expected, &run));
    }
    differences
}

/// Carries out one call of the API.
fn act(
    pipeline: &mut Pipeline,
    request: &mut Value,
    alarm: &Alarm,
    call: &Value,
    at: Timestamp,
) -> Events {
    let (action, parameters) = call
        .as_object()
        .and_then(|call| call.iter().next())
        .expect("an API call");
    match action.as_str() {
        "SetAlarmState" => {
            let mut parameters = parameters.clone();
            parameters["AlarmName"] = alarm.name.clone().into();
            let set = set_alarm_state("case", &parameters.to_string()).expect("it is sound");
            let data = set.reason_data.as_deref();
            return pipeline
                .set_state(&set.alarm, set.state, &set.reason, data, at)
                .unwrap();
        }
        "PutMetricAlarm" | "PutCompositeAlarm" | "PutLogAlarm" => merge(request, parameters),
        "EnableAlarmActions" => request["ActionsEnabled"] = true.into(),
        "DisableAlarmActions" => request["ActionsEnabled"] = false.into(),
        other => panic!("nothing is known of the call `{other}`"),
    }
    pipeline.set_alarms(vec![read(request)], at);
    Events::default()
}

fn merge(request: &mut Value, parameters: &Value) {
    for (member, value) in parameters.as_object().expect("members") {
        request[member] = value.clone();
    }
}

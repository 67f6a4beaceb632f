//! Requests as JSON, in a form in which those that mean the same are the same.

use serde_json::{Map, Number, Value};

use crate::alarm::AlarmRule;
use crate::tree::{Node, Value as Tree};

/// What only descriptions of alarms and mute rules have.
const DESCRIBED: [&str; 18] = [
    "ActionsSuppressedBy",
    "ActionsSuppressedReason",
    "AlarmArn",
    "AlarmConfigurationUpdatedTimestamp",
    "AlarmMuteRuleArn",
    "EvaluationState",
    "LastUpdatedTimestamp",
    "MuteType",
    "QueryARN",
    "ResponseMetadata",
    "StateReason",
    "StateReasonData",
    "StateReasonSummary",
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "StateValue",
    "Status",
    "VersionId",
];

/// The node as the request that makes it: of a description without what is no part of one.
pub(super) fn request(node: &Node) -> Value {
    let Value::Object(members) = json(node) else {
        return Value::Null;
    };
    let kept = members
        .into_iter()
        .filter(|(name, _)| !DESCRIBED.contains(&name.as_str()));
    Value::Object(kept.collect())
}

fn json(node: &Node) -> Value {
    match &node.value {
        Tree::Null => Value::Null,
        Tree::Bool(truth) => Value::Bool(*truth),
        Tree::Number(value) => number(*value),
        Tree::String(text) => Value::String(text.clone()),
        Tree::List(items) => Value::Array(items.iter().map(json).collect()),
        Tree::Table(entries) => {
            let entry = |entry: &crate::tree::Entry| (entry.key.clone(), json(&entry.node));
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// Whole numbers without a point.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and in the range"
)]
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// What CloudWatch takes for granted.
fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "ActionsEnabled" => *value == Value::Bool(true),
        "TreatMissingData" => value == "missing",
        _ => false,
    }
}

/// The request with what CloudWatch takes for granted left out, and in one order; without its tags, which CloudWatch does not
/// describe, and only takes when it creates.
pub fn canonical(request: &Value) -> Value {
    let Value::Object(members) = request else {
        return request.clone();
    };
    let mut kept = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("Tags", _) => continue,
            ("AlarmRule", Value::String(text)) => rule(text),
            ("Dimensions", Value::Array(items)) => dimensions(items),
            ("Metrics", Value::Array(items)) => queries(items),
            ("EvaluationWindow", window) if window.get("WallClockWindow").is_none() => continue,
            (_, value) => clean(value),
        };
        if !is_default(name, &value) && !is_empty(&value) {
            kept.insert(name.clone(), value);
        }
    }
    Value::Object(kept)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Members that are set, and numbers in one form.
fn clean(value: &Value) -> Value {
    match value {
        Value::Number(found) => found.as_f64().map_or(Value::Null, number),
        Value::Array(items) => Value::Array(items.iter().map(clean).collect()),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), clean(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other.clone(),
    }
}

/// The rule of a composite alarm as it is read.
fn rule(text: &str) -> Value {
    match AlarmRule::parse(text) {
        Ok(rule) => Value::String(rule.to_string()),
        Err(_) => Value::String(text.to_owned()),
    }
}

fn dimensions(items: &[Value]) -> Value {
    let mut items: Vec<Value> = items.iter().map(clean).collect();
    items.sort_by_key(|item| item.get("Name").map(Value::to_string));
    Value::Array(items)
}

/// CloudWatch keeps no order of queries.
fn queries(items: &[Value]) -> Value {
    let query = |item: &Value| {
        let mut query = clean(item);
        if let Some(found) = query.pointer_mut("/MetricStat/Metric/Dimensions")
            && let Value::Array(items) = &*found
        {
            *found = dimensions(items);
        }
        if query.get("ReturnData") == Some(&Value::Bool(true))
            && let Value::Object(members) = &mut query
        {
            members.remove("ReturnData");
        }
        query
    };
    let mut items: Vec<Value> = items.iter().map(query).collect();
    items.sort_by_key(|item| item.get("Id").map(Value::to_string));
    Value::Array(items)
}

/// The members in which two requests differ, with what each has.
pub fn differences(ours: &Value, theirs: &Value) -> Vec<(String, Value, Value)> {
    let (ours, theirs) = (canonical(ours), canonical(theirs));
    let (Value::Object(ours), Value::Object(theirs)) = (&ours, &theirs) else {
        return Vec::new();
    };
    let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |members: &Map<String, Value>, name: &str| {
        members.get(name).cloned().unwrap_or(Value::Null)
    };
    names
        .into_iter()
        .map(|name| (name.clone(), of(ours, name), of(theirs, name)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_means_the_same_is_the_same() {
        let ours = json!({"AlarmName": "a", "Threshold": 50, "Dimensions": [{"Name": "b", "Value": "1"}, {"Name": "a", "Value": "2"}],
            "TreatMissingData": "missing", "OKActions": [], "Tags": [{"Key": "k", "Value": "v"}], "Unit": null,
            "Metrics": [{"Id": "b", "ReturnData": true, "Expression": "a * 2"}, {"Id": "a", "ReturnData": false}]});
        let theirs = json!({"AlarmName": "a", "Threshold": 50.0, "Dimensions": [{"Name": "a", "Value": "2"}, {"Value": "1", "Name": "b"}],
            "ActionsEnabled": true, "Metrics": [{"Id": "a", "ReturnData": false}, {"Id": "b", "Expression": "a * 2"}]});
        assert_eq!(differences(&ours, &theirs), []);
        let other = json!({"AlarmName": "a", "Threshold": 60, "ActionsEnabled": false});
        let names: Vec<String> = differences(&ours, &other)
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert_eq!(
            names,
            ["ActionsEnabled", "Dimensions", "Metrics", "Threshold"]
        );
    }

    #[test]
    fn rules_are_compared_as_they_are_read() {
        let of = |rule: &str| json!({"AlarmName": "a", "AlarmRule": rule});
        assert_eq!(
            differences(
                &of("ALARM(x)  OR (OK(\"y\"))"),
                &of("ALARM(\"x\") OR OK(y)")
            ),
            []
        );
        assert_eq!(differences(&of("ALARM(x)"), &of("OK(x)")).len(), 1);
    }
}

//! What CloudWatch's requests refuse, and in which words. Error codes are left to whoever answers requests.

use cwbridge::alarm::Account;
use cwbridge::definition::{metric_data, parse_in, set_alarm_state};
use cwbridge::finding::Finding;
use cwbridge::pipeline::Pipeline;
use serde_json::Value;

use super::Differences;
use super::case::{Case, time};
use super::composite::child;

pub(super) fn run(case: &Case) -> Differences {
    let messages = refused(case);
    let accepted = case.get("accepted").as_bool().unwrap();
    if accepted != messages.is_empty() {
        return vec![format!(
            "expected {}, got {messages:?}",
            if accepted {
                "to be accepted"
            } else {
                "a refusal"
            }
        )];
    }
    let Some(expected) = case.get("expected_error").as_str() else {
        return vec![];
    };
    let fits = |message: &String| match case.get("match").as_str() {
        Some("prefix") => message.starts_with(expected),
        Some("contains") => message.contains(expected),
        _ => message == expected,
    };
    if messages.iter().any(fits) {
        vec![]
    } else {
        vec![format!("expected `{expected}`, got {messages:?}")]
    }
}

/// Why the request is refused; nothing if it is accepted.
fn refused(case: &Case) -> Vec<String> {
    let request = case.get("alarm").to_string();
    let findings = match case.topic() {
        "SetAlarmState" => return set_state(case, &request),
        "PutMetricData" => metric_data("case", &request, time("10:00:00"))
            .err()
            .unwrap_or_default(),
        _ => parse_in("case", &request, &account(case)).findings,
    };
    findings.iter().map(message).collect()
}

/// A message without the name of the alarm that it is about.
fn message(finding: &Finding) -> String {
    let message = &finding.message;
    let subject = ["alarm `", "the alarm: ", "mute rule `", "the mute rule: "];
    match message.split_once(": ") {
        Some((before, after))
            if subject.iter().any(|subject| message.starts_with(subject))
                && !before.contains(' ') =>
        {
            after.to_owned()
        }
        Some((before, after))
            if subject
                .iter()
                .any(|subject| format!("{before}: ").starts_with(subject)) =>
        {
            after.to_owned()
        }
        _ => message.clone(),
    }
}

/// What stands for masked account numbers in the cases.
const ACCOUNT: &str = "111111111111";

/// What is known of the account: its Region, and the alarms in it, be it every one that the rule names.
fn account(case: &Case) -> Account {
    let existing = &case.get("context")["existing_alarms"];
    let names = existing
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    Account {
        region: case.context("region"),
        id: case.context("account").or_else(|| Some(ACCOUNT.to_owned())),
        alarms: existing
            .is_array()
            .then(|| names.map(str::to_owned).collect()),
    }
}

/// An unknown alarm is refused without a text.
fn set_state(case: &Case, request: &str) -> Vec<String> {
    let set = match set_alarm_state("case", request) {
        Ok(set) => set,
        Err(findings) => return findings.iter().map(message).collect(),
    };
    let known = account(case).alarms.unwrap_or_default();
    let at = time("10:00:00");
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(known.iter().map(|name| child(name)).collect(), at);
    match pipeline.set_state(
        &set.alarm,
        set.state,
        &set.reason,
        set.reason_data.as_deref(),
        at,
    ) {
        Some(_) => vec![],
        None => vec![String::new()],
    }
}

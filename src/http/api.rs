//! The alarms as JSON.

mod definition;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::alarm::{
    Certainty, Contributor, Evaluation, EvaluationState, MetricAlarm, Outlook, StateValue, Status,
    SuppressedBy, outlook,
};
use crate::definition::{HistoryJson, history_item, reason_data};
use crate::journal;
use crate::mirror::{Agreement, Comparison};
use crate::notify::Tested;

use definition::Definition;

pub(super) const OTHER_DEFINITION: &str = "CloudWatch has another definition";

pub(super) const JSON: &str = "application/json";

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    reasons: Vec<&'a str>,
    /// What does not work as it should, although the daemon does its work.
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct Problems<'a> {
    error: &'a str,
    problems: &'a [String],
}

#[derive(Serialize)]
struct Alarms<'a> {
    alarms: Vec<Alarm<'a>>,
}

/// One alarm with what happened to it.
#[derive(Serialize)]
struct WithHistory<'a> {
    #[serde(flatten)]
    alarm: Alarm<'a>,
    /// As DescribeAlarmHistory shows it, newest first.
    history: Vec<HistoryJson>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Alarm<'a> {
    name: &'a str,
    arn: &'a str,
    description: Option<&'a str>,
    mirrored: bool,
    not_mirrored_reason: Option<&'a str>,
    /// `null` for an alarm that is not mirrored.
    state: Option<&'static str>,
    state_reason: Option<&'a str>,
    /// The JSON text that CloudWatch would show.
    state_reason_data: Option<String>,
    state_transitioned_at: Option<String>,
    evaluation_state: Option<&'static str>,
    certainty: Option<&'static str>,
    /// The evaluation ranges with which the state would be another.
    certainty_depends_on_ranges: Option<&'a [u32]>,
    evaluated_at: Option<String>,
    evaluation: Option<Judged>,
    contributors: BTreeMap<&'a str, ContributorState<'a>>,
    definition: Definition<'a>,
    actions_enabled: bool,
    actions_suppressed_by: Option<&'static str>,
    actions_suppressed_reason: Option<String>,
    /// Whether there is an actions suppressor that is not judged here.
    actions_suppressor_unknown: bool,
    actions_muted_until: Option<String>,
    alarm_actions: &'a [String],
    ok_actions: &'a [String],
    insufficient_data_actions: &'a [String],
    /// `null` where CloudWatch is not asked, or has no such alarm.
    cloudwatch: Option<CloudWatch<'a>>,
}

/// What CloudWatch says of an alarm.
#[derive(Serialize)]
struct CloudWatch<'a> {
    state: &'static str,
    state_reason: &'a str,
    state_transitioned_at: String,
    asked_at: String,
    /// `null` where the state changed here since CloudWatch was asked, for an alarm that is not mirrored or not judged yet, and
    /// where CloudWatch has another one of this name.
    agrees: Option<bool>,
    disagreement: Option<&'static str>,
    disagreement_reason: Option<String>,
    /// How long before CloudWatch the state was found here, the last time that both entered the same one.
    lead_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Judged {
    /// Which rule decided.
    rule: String,
    datapoints_used: usize,
    datapoints_breaching: usize,
    datapoints_filled: usize,
    /// Newest first; of the evaluation range the newest [`POINTS_SHOWN_MAX`](crate::alarm::POINTS_SHOWN_MAX).
    datapoints: Vec<Point>,
    /// `null` where not all datapoints of the evaluation range are at hand.
    outlook: Option<Vec<Coming>>,
}

/// The state that the alarm enters if all datapoints to come are alike.
#[derive(Serialize)]
struct Coming {
    next_datapoints: &'static str,
    count: usize,
    state: &'static str,
    earliest: String,
    latest: String,
}

#[derive(Serialize)]
struct Point {
    timestamp: String,
    /// `null` when it is missing.
    value: Option<f64>,
    sample_count: f64,
    breaching: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_threshold: Option<f64>,
}

#[derive(Serialize)]
struct ContributorState<'a> {
    state: &'static str,
    reason: &'a str,
}

pub(super) fn alarms(
    statuses: &[std::sync::Arc<Status>],
    cloudwatch: &BTreeMap<String, Comparison>,
) -> String {
    let alarms = statuses.iter().map(|status| Alarm {
        cloudwatch: cloudwatch.get(&status.alarm.name).map(compared),
        ..describe(status)
    });
    to_json(&Alarms {
        alarms: alarms.collect(),
    })
}

pub(super) fn alarm(status: &Status, cloudwatch: Option<&Comparison>) -> String {
    let history = status.history.iter().rev();
    to_json(&WithHistory {
        alarm: Alarm {
            cloudwatch: cloudwatch.map(compared),
            ..describe(status)
        },
        history: history
            .map(|item| history_item(&status.alarm, item))
            .collect(),
    })
}

#[derive(Serialize)]
struct TestedTargets<'a> {
    targets: Vec<TestedTarget<'a>>,
}

#[derive(Serialize)]
struct TestedTarget<'a> {
    target: &'a str,
    delivered: bool,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Transitions<'a> {
    transitions: Vec<Transition<'a>>,
}

/// A change of state as the journal has it.
#[derive(Serialize)]
struct Transition<'a> {
    alarm: &'a str,
    timestamp: String,
    from: &'a str,
    to: &'a str,
    reason: &'a str,
    /// The JSON text that CloudWatch would show.
    reason_data: Option<&'a str>,
    certainty: &'a str,
}

pub(super) fn history(transitions: &[journal::Transition]) -> String {
    let transitions = transitions.iter().map(|it| Transition {
        alarm: &it.alarm,
        timestamp: it.at.in_history(),
        from: &it.from,
        to: &it.to,
        reason: &it.reason,
        reason_data: it.reason_data.as_deref(),
        certainty: &it.certainty,
    });
    to_json(&Transitions {
        transitions: transitions.collect(),
    })
}

/// What became of a test of notifications.
pub(super) fn tested(tested: &Tested) -> String {
    let targets = tested.iter().map(|(target, outcome)| TestedTarget {
        target,
        delivered: outcome.is_ok(),
        error: outcome.as_ref().err().map(String::as_str),
    });
    to_json(&TestedTargets {
        targets: targets.collect(),
    })
}

pub(super) fn readiness(reason: Option<&str>, warnings: &[String]) -> String {
    to_json(&Readiness {
        ready: reason.is_none(),
        reasons: reason.into_iter().collect(),
        warnings,
    })
}

pub(super) fn error(message: &str) -> String {
    to_json(&Error { error: message })
}

pub(super) fn problems(problems: &[String]) -> String {
    to_json(&Problems {
        error: "the configuration was not reloaded; the old one stays in force",
        problems,
    })
}

fn to_json(value: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string_pretty(value).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

fn describe(status: &Status) -> Alarm<'_> {
    let mirrored = status.not_mirrored.is_none();
    let evaluation = status.evaluation.as_ref().filter(|_| mirrored);
    let actions = &status.alarm.actions;
    let suppressed_by = status.suppressed_by.map(|(by, _)| by);
    Alarm {
        name: &status.alarm.name,
        arn: &status.arn,
        description: status.alarm.description.as_deref(),
        mirrored,
        not_mirrored_reason: status.not_mirrored.as_deref(),
        state: mirrored.then(|| status.state.name()),
        state_reason: mirrored.then_some(&*status.reason),
        state_reason_data: status
            .reason_data
            .as_ref()
            .filter(|_| mirrored)
            .map(|data| reason_data(data)),
        state_transitioned_at: status.transitioned_at.map(|at| at.to_string()),
        evaluation_state: status.evaluation_state.map(EvaluationState::name),
        certainty: evaluation.map(|evaluation| evaluation.certainty.name()),
        certainty_depends_on_ranges: evaluation.and_then(ranges),
        evaluated_at: evaluation.map(|evaluation| evaluation.at.to_string()),
        evaluation: evaluation
            .zip(status.alarm.metric_rule())
            .map(|(evaluation, rule)| judged(evaluation, rule, status.state)),
        contributors: status.contributors.iter().map(contributor).collect(),
        definition: Definition::of(&status.alarm.rule),
        actions_enabled: actions.enabled,
        actions_suppressed_by: suppressed_by.map(SuppressedBy::name),
        actions_suppressed_reason: suppressed_by.map(SuppressedBy::reason),
        actions_suppressor_unknown: status.suppressor_unknown,
        actions_muted_until: status.muted_until.map(|until| until.to_string()),
        alarm_actions: &actions.alarm,
        ok_actions: &actions.ok,
        insufficient_data_actions: &actions.insufficient_data,
        cloudwatch: None,
    }
}

fn compared(comparison: &Comparison) -> CloudWatch<'_> {
    let disagreement = match &comparison.agreement {
        Some(Agreement::Disagrees(disagreement)) => Some(disagreement),
        _ => None,
    };
    CloudWatch {
        state: comparison.state.name(),
        state_reason: &comparison.reason,
        state_transitioned_at: comparison.since.to_string(),
        asked_at: comparison.asked_at.to_string(),
        agrees: match comparison.agreement {
            Some(Agreement::Agrees) => Some(true),
            Some(Agreement::Disagrees(_)) => Some(false),
            Some(Agreement::NotAskedSince | Agreement::OtherDefinition) | None => None,
        },
        disagreement: disagreement.map(|disagreement| disagreement.why.label()),
        disagreement_reason: match comparison.agreement {
            Some(Agreement::OtherDefinition) => Some(OTHER_DEFINITION.to_owned()),
            _ => disagreement.map(ToString::to_string),
        },
        lead_seconds: comparison.lead_seconds(),
    }
}

fn ranges(evaluation: &Evaluation) -> Option<&[u32]> {
    match &evaluation.certainty {
        Certainty::DependsOnRange(ranges) => Some(ranges),
        _ => None,
    }
}

fn contributor<'a>(
    (name, contributor): (&'a String, &'a Contributor),
) -> (&'a str, ContributorState<'a>) {
    let state = ContributorState {
        state: contributor.state.name(),
        reason: &contributor.reason,
    };
    (name, state)
}

fn judged(evaluation: &Evaluation, rule: &MetricAlarm, state: StateValue) -> Judged {
    let point = |point: &crate::alarm::Point| Point {
        timestamp: point.start.to_string(),
        value: point.value,
        sample_count: point.sample_count,
        breaching: Evaluation::is_breaching(rule, point),
        lower_threshold: point.band.map(|band| band.lower),
        upper_threshold: point.band.map(|band| band.upper),
    };
    let basis = evaluation.decision.basis;
    let coming = |outlook: &Outlook| Coming {
        next_datapoints: outlook.next.name(),
        count: outlook.datapoints,
        state: outlook.state.name(),
        earliest: outlook.earliest.to_string(),
        latest: outlook.latest.to_string(),
    };
    let outlook = outlook(rule, state, evaluation);
    Judged {
        rule: evaluation.rule(rule),
        datapoints_used: basis.used,
        datapoints_breaching: basis.breaching,
        datapoints_filled: basis.filled,
        datapoints: evaluation.points.iter().map(point).collect(),
        outlook: outlook.map(|all| all.iter().map(coming).collect()),
    }
}

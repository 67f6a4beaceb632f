//! The alarms as JSON.

use serde::Serialize;

use crate::alarm::{
    Certainty, ComparisonOperator, Evaluation, MetricAlarm, Rule, Status, TreatMissingData,
};
use crate::definition::reason_data;

pub(super) const JSON: &str = "application/json";

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    reasons: Vec<&'a str>,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct Alarms<'a> {
    alarms: Vec<Alarm<'a>>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Alarm<'a> {
    name: &'a str,
    description: Option<&'a str>,
    mirrored: bool,
    not_mirrored_reason: Option<&'a str>,
    /// `null` for an alarm that is not mirrored.
    state: Option<&'static str>,
    state_reason: Option<&'a str>,
    /// The JSON text that CloudWatch would show.
    state_reason_data: Option<String>,
    state_transitioned_at: Option<String>,
    certainty: Option<&'static str>,
    /// The evaluation ranges with which the state would be another.
    certainty_depends_on_ranges: Option<&'a [u32]>,
    evaluated_at: Option<String>,
    evaluation: Option<Judged>,
    definition: Option<Definition<'a>>,
    actions_enabled: bool,
    alarm_actions: &'a [String],
    ok_actions: &'a [String],
    insufficient_data_actions: &'a [String],
}

#[derive(Serialize)]
struct Judged {
    datapoints_used: usize,
    datapoints_breaching: usize,
    datapoints_filled: usize,
    /// Newest first, the whole evaluation range.
    datapoints: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    timestamp: String,
    /// `null` when it is missing.
    value: Option<f64>,
    sample_count: f64,
}

#[derive(Serialize)]
struct Definition<'a> {
    metric: String,
    statistic: &'static str,
    unit: Option<&'static str>,
    period: i64,
    evaluation_periods: u32,
    datapoints_to_alarm: Option<u32>,
    comparison_operator: &'static str,
    threshold: f64,
    treat_missing_data: Option<&'a str>,
}

pub(super) fn alarms(statuses: &[std::sync::Arc<Status>]) -> String {
    to_json(&Alarms {
        alarms: statuses.iter().map(|status| describe(status)).collect(),
    })
}

pub(super) fn alarm(status: &Status) -> String {
    to_json(&describe(status))
}

pub(super) fn readiness(reason: Option<&str>) -> String {
    to_json(&Readiness {
        ready: reason.is_none(),
        reasons: reason.into_iter().collect(),
    })
}

pub(super) fn error(message: &str) -> String {
    to_json(&Error { error: message })
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
    Alarm {
        name: &status.alarm.name,
        description: status.alarm.description.as_deref(),
        mirrored,
        not_mirrored_reason: status.not_mirrored.as_deref(),
        state: mirrored.then(|| status.state.name()),
        state_reason: mirrored.then_some(status.reason.as_str()),
        state_reason_data: status
            .reason_data
            .as_ref()
            .filter(|_| mirrored)
            .map(|data| reason_data(data)),
        state_transitioned_at: status.transitioned_at.map(|at| at.to_string()),
        certainty: evaluation.map(|evaluation| evaluation.certainty.name()),
        certainty_depends_on_ranges: evaluation.and_then(|evaluation| {
            match &evaluation.certainty {
                Certainty::DependsOnRange(ranges) => Some(ranges.as_slice()),
                _ => None,
            }
        }),
        evaluated_at: evaluation.map(|evaluation| evaluation.at.to_string()),
        evaluation: evaluation.map(|evaluation| judged(evaluation)),
        definition: match &status.alarm.rule {
            Rule::Metric(rule) => Some(definition(rule)),
            Rule::NotMirrored(_) => None,
        },
        actions_enabled: actions.enabled,
        alarm_actions: &actions.alarm,
        ok_actions: &actions.ok,
        insufficient_data_actions: &actions.insufficient_data,
    }
}

fn judged(evaluation: &Evaluation) -> Judged {
    let point = |point: &crate::alarm::Point| Point {
        timestamp: point.start.to_string(),
        value: point.value,
        sample_count: point.sample_count,
    };
    let basis = evaluation.decision.basis;
    Judged {
        datapoints_used: basis.used,
        datapoints_breaching: basis.breaching,
        datapoints_filled: basis.filled,
        datapoints: evaluation.points.iter().map(point).collect(),
    }
}

fn definition(rule: &MetricAlarm) -> Definition<'_> {
    Definition {
        metric: rule.metric.to_string(),
        statistic: rule.statistic.name(),
        unit: rule.unit.map(crate::metric::Unit::name),
        period: rule.period.seconds(),
        evaluation_periods: rule.evaluation_periods,
        datapoints_to_alarm: rule.datapoints_to_alarm,
        comparison_operator: ComparisonOperator::name(rule.comparison_operator),
        threshold: rule.threshold,
        treat_missing_data: rule.treat_missing_data.map(TreatMissingData::name),
    }
}

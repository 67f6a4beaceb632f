//! `cwbridge alarms explain`

use std::fmt::Write as _;
use std::io::Write;

use serde::Deserialize;
use serde_json::Value;

use crate::web;

use super::super::{Exit, runtime};
use super::{Trouble, cannot_write};

/// How many datapoints are written with their values.
const DATAPOINTS_MAX: usize = 20;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The alarm
    name: String,
    /// Where the daemon answers
    #[arg(long, default_value = super::DAEMON)]
    url: String,
}

#[derive(Deserialize)]
struct Alarm {
    name: String,
    #[serde(default)]
    not_mirrored_reason: Option<String>,
    state: Option<String>,
    state_reason: Option<String>,
    state_reason_data: Option<String>,
    state_transitioned_at: Option<String>,
    certainty: Option<String>,
    certainty_depends_on_ranges: Option<Vec<u32>>,
    evaluated_at: Option<String>,
    evaluation: Option<Evaluation>,
    definition: Value,
    actions_enabled: bool,
    actions_suppressed_reason: Option<String>,
    actions_muted_until: Option<String>,
    cloudwatch: Option<CloudWatch>,
}

#[derive(Deserialize)]
struct Evaluation {
    rule: String,
    datapoints: Vec<Datapoint>,
    outlook: Option<Vec<Coming>>,
}

#[derive(Deserialize)]
struct Datapoint {
    timestamp: String,
    value: Option<f64>,
    breaching: Option<bool>,
}

#[derive(Deserialize)]
struct Coming {
    next_datapoints: String,
    count: usize,
    state: String,
    earliest: String,
    latest: String,
}

#[derive(Deserialize)]
struct CloudWatch {
    state: String,
    asked_at: String,
    disagreement_reason: Option<String>,
}

pub(super) fn run(args: &Args, out: &mut impl Write) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let (url, name) = (args.url.trim_end_matches('/'), super::in_path(&args.name));
    let url = format!("{url}/api/v1/alarms/{name}");
    let answer = runtime
        .block_on(web::get(&url))
        .map_err(|error| vec![error])?;
    let read = serde_json::from_str::<Alarm>(&answer);
    let alarm = read.map_err(|error| {
        vec![format!(
            "{}: the answer is not a daemon's: {error}",
            web::shown(&url)
        )]
    })?;
    out.write_all(explained(&alarm).as_bytes())
        .map_err(cannot_write)?;
    Ok(Exit::Done)
}

/// Writing to a string does not fail.
fn explained(alarm: &Alarm) -> String {
    let mut text = String::new();
    let name = &alarm.name;
    if let Some(reason) = &alarm.not_mirrored_reason {
        let _ = writeln!(text, "{name} is not judged here: {reason}");
        return text;
    }
    let state = alarm.state.as_deref().unwrap_or("no state");
    let since = match &alarm.state_transitioned_at {
        Some(at) => format!(" since {at}"),
        None => String::new(),
    };
    let _ = writeln!(text, "{name} is in {state}{since}");
    if let Some(reason) = &alarm.state_reason {
        let _ = writeln!(text, "  {reason}");
    }
    let ranges = alarm
        .certainty_depends_on_ranges
        .as_deref()
        .unwrap_or_default();
    if let Some(certainty) = &alarm.certainty {
        let _ = match ranges {
            [] => writeln!(text, "certainty: {certainty}"),
            _ => writeln!(
                text,
                "certainty: {certainty}; with {ranges:?} periods it would be another state"
            ),
        };
    }
    if let Some(rule) = alarm.definition.get("alarm_rule").and_then(Value::as_str) {
        let _ = writeln!(text, "rule: {rule}");
        if let Some(data) = &alarm.state_reason_data {
            let _ = writeln!(text, "brought about by: {data}");
        }
    }
    match (&alarm.evaluation, &alarm.evaluated_at) {
        (Some(evaluation), Some(at)) => evaluated(&mut text, alarm, evaluation, at),
        _ if alarm.definition.get("alarm_rule").is_some() => {}
        _ => text.push_str("it has not been judged yet\n"),
    }
    actions(&mut text, alarm);
    text
}

fn evaluated(text: &mut String, alarm: &Alarm, evaluation: &Evaluation, at: &str) {
    let _ = writeln!(text, "judged at {at}: {}", evaluation.rule);
    let strip: String = evaluation
        .datapoints
        .iter()
        .rev()
        .map(Datapoint::sign)
        .collect();
    let _ = writeln!(
        text,
        "datapoints, oldest first: {strip}  (X breaching, o not, - missing)"
    );
    let threshold = alarm.definition.get("threshold").and_then(Value::as_f64);
    let operator = alarm.definition.get("comparison_operator");
    if let (Some(threshold), Some(operator)) = (threshold, operator.and_then(Value::as_str)) {
        let _ = writeln!(text, "compared: {operator} {threshold}");
    }
    for datapoint in evaluation.datapoints.iter().take(DATAPOINTS_MAX) {
        let value = datapoint
            .value
            .map_or("missing".to_owned(), |value| value.to_string());
        let _ = writeln!(
            text,
            "  {} {} {value}",
            datapoint.timestamp,
            datapoint.sign()
        );
    }
    match evaluation.outlook.as_deref() {
        None => text.push_str("what would change it is not computed for so many datapoints\n"),
        Some([]) => text.push_str("no datapoints to come would change it\n"),
        Some(outlook) => {
            text.push_str("what would change it:\n");
            for coming in outlook {
                let _ = writeln!(text, "  {coming}");
            }
        }
    }
}

impl Datapoint {
    fn sign(&self) -> char {
        match self.breaching {
            Some(true) => 'X',
            Some(false) => 'o',
            None => '-',
        }
    }
}

impl std::fmt::Display for Coming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            next_datapoints: kind,
            count,
            state,
            earliest,
            latest,
        } = self;
        let what = match count {
            1 => format!("the next datapoint {kind}"),
            _ => format!("the next {count} datapoints {kind}"),
        };
        match earliest == latest {
            true => write!(f, "{what}: {state} at {latest}"),
            false => write!(f, "{what}: {state} between {earliest} and {latest}"),
        }
    }
}

fn actions(text: &mut String, alarm: &Alarm) {
    if !alarm.actions_enabled {
        text.push_str("its actions are switched off\n");
    }
    if let Some(reason) = &alarm.actions_suppressed_reason {
        let _ = writeln!(text, "{reason}");
    }
    if let Some(until) = &alarm.actions_muted_until {
        let _ = writeln!(text, "its actions are muted until {until}");
    }
    if let Some(CloudWatch {
        state,
        asked_at,
        disagreement_reason,
    }) = &alarm.cloudwatch
    {
        let why = disagreement_reason.as_deref().map(|why| format!(": {why}"));
        let why = why.unwrap_or_default();
        let _ = writeln!(text, "CloudWatch had it in {state} at {asked_at}{why}");
    }
}

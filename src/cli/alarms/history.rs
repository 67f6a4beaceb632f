//! `cwbridge alarms history`

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alarm::{
    HistoryEvent, HistoryItem, INITIAL_REASON, ReasonData, StateSnapshot, StateValue,
};
use crate::definition::{HistoryJson, past_item};
use crate::journal::Reader;
use crate::metric::Timestamp;
use crate::web;

use super::super::{Environment, Exit, is_root, runtime};
use super::{Trouble, cannot_write};

/// What a daemon tells at once.
const LIMIT_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The alarm [default: all]
    name: Option<String>,
    /// How many changes at most
    #[arg(long, default_value_t = 100, value_parser = limit)]
    limit: usize,
    /// Where the daemon answers
    #[arg(long, default_value = super::DAEMON)]
    url: String,
    /// State folder to read where no daemon answers [default: that of the service, root or the user]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err(format!("it must be from 1 to {LIMIT_MAX}")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// As `aws cloudwatch describe-alarm-history` prints it
    Json,
}

#[derive(Deserialize)]
struct Answer {
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
struct Transition {
    alarm: String,
    timestamp: String,
    from: String,
    to: String,
    reason: String,
    reason_data: Option<String>,
    certainty: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmHistory {
    alarm_history_items: Vec<HistoryJson>,
}

pub(super) fn run(
    args: &Args,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<Exit, Trouble> {
    let transitions = transitions(args, environment)?;
    match args.format {
        Format::Json => {
            let items = AlarmHistory {
                alarm_history_items: items(&transitions, args.limit),
            };
            let text = serde_json::to_string_pretty(&items);
            let text = text.map_err(|error| vec![error.to_string()])?;
            writeln!(out, "{text}").map_err(cannot_write)?;
        }
        Format::Text => {
            for it in &transitions {
                let Transition {
                    alarm, from, to, ..
                } = it;
                let (at, certainty, reason) = (&it.timestamp, &it.certainty, &it.reason);
                writeln!(
                    out,
                    "{at} {alarm}: {from} -> {to} ({certainty})\n    {reason}"
                )
                .map_err(cannot_write)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Of the daemon, or of its state folder where none answers.
fn transitions(args: &Args, environment: &Environment) -> Result<Vec<Transition>, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let alarm = args.name.as_deref().map(super::in_path);
    let alarm = alarm.map_or_else(String::new, |alarm| format!("&alarm={alarm}"));
    let url = args.url.trim_end_matches('/');
    let url = format!("{url}/api/v1/history?limit={}{alarm}", args.limit);
    let unreachable = match runtime.block_on(web::get(&url)) {
        Ok(answer) => {
            let read = serde_json::from_str::<Answer>(&answer);
            let not_ours = |error| {
                format!(
                    "{}: the answer is not a daemon's: {error}",
                    web::shown(&url)
                )
            };
            return read
                .map(|it| it.transitions)
                .map_err(|error| vec![not_ours(error)]);
        }
        Err(error) => error,
    };
    let state_dir = args.state_dir.clone();
    let state_dir = state_dir.or_else(|| environment.state.choose(is_root()));
    let kept = state_dir.map(|dir| kept(&dir, args));
    match kept {
        Some(Ok(transitions)) => {
            super::complain(&[format!("{unreachable}; this is what the state folder has")]);
            Ok(transitions)
        }
        Some(Err(problem)) => Err(vec![unreachable, problem]),
        None => Err(vec![unreachable]),
    }
}

fn kept(dir: &Path, args: &Args) -> Result<Vec<Transition>, String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let transitions = reader.transitions(args.name.as_deref(), args.limit);
    let transitions = transitions.map_err(|error| error.to_string())?.into_iter();
    let transition = |it: crate::journal::Transition| Transition {
        alarm: it.alarm,
        timestamp: it.at.in_history(),
        from: it.from,
        to: it.to,
        reason: it.reason,
        reason_data: it.reason_data,
        certainty: it.certainty,
    };
    Ok(transitions.map(transition).collect())
}

/// The reason of an old state is that of the change before, which may be beyond the limit.
fn items(transitions: &[Transition], limit: usize) -> Vec<HistoryJson> {
    let first = match transitions.len() < limit {
        true => INITIAL_REASON,
        false => "",
    };
    let mut before: HashMap<&str, StateSnapshot> = HashMap::new();
    let mut items = Vec::new();
    for it in transitions.iter().rev() {
        let states = [&it.from, &it.to].map(|state| StateValue::from_name(state));
        let ([Some(from), Some(to)], Some(at)) = (states, Timestamp::from_rfc3339(&it.timestamp))
        else {
            continue;
        };
        let unknown = || StateSnapshot {
            state: from,
            reason: first.into(),
            reason_data: None,
        };
        let data = it.reason_data.clone().map(ReasonData::Given);
        let new = StateSnapshot {
            state: to,
            reason: it.reason.as_str().into(),
            reason_data: data.map(Arc::new),
        };
        let old = before
            .insert(&it.alarm, new.clone())
            .unwrap_or_else(unknown);
        let event = HistoryEvent::StateUpdate { old, new };
        items.push(past_item(&it.alarm, &HistoryItem { at, event }));
    }
    items.reverse();
    items
}

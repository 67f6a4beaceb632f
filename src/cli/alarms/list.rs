//! `cwbridge alarms list`

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::definition::read_alarm_snapshot;
use crate::journal::Reader;
use crate::web;

use super::super::{Environment, Exit, is_root, runtime};
use super::{Trouble, cannot_write};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the daemon answers
    #[arg(long, default_value = super::DAEMON)]
    url: String,
    /// State folder to read where no daemon answers [default: that of the service, root or the user]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// As `/api/v1/alarms` has it
    Json,
}

#[derive(Deserialize)]
struct Alarms {
    alarms: Vec<Alarm>,
}

#[derive(Deserialize, Serialize)]
struct Alarm {
    name: String,
    state: Option<String>,
    #[serde(default)]
    state_transitioned_at: Option<String>,
    #[serde(default)]
    certainty: Option<String>,
    #[serde(default)]
    not_mirrored_reason: Option<String>,
    #[serde(default)]
    cloudwatch: Option<CloudWatch>,
}

#[derive(Deserialize, Serialize)]
struct CloudWatch {
    state: String,
    #[serde(default)]
    disagreement_reason: Option<String>,
}

/// ``OK: data not yet arrived`` where it disagrees
impl fmt::Display for CloudWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state)?;
        match &self.disagreement_reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

pub(super) fn run(
    args: &Args,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let url = format!("{}/api/v1/alarms", args.url.trim_end_matches('/'));
    let unreachable = match runtime.block_on(web::get(&url)) {
        Ok(answer) => {
            answered(&answer, &web::shown(&url), args.format, out)?;
            return Ok(Exit::Done);
        }
        Err(error) => error,
    };
    let state_dir = args.state_dir.clone();
    let state_dir = state_dir.or_else(|| environment.state.choose(is_root()));
    match state_dir.map(|dir| last_known(&dir)) {
        Some(Ok(alarms)) => match args.format {
            Format::Text => table(&alarms, out).map_err(cannot_write)?,
            Format::Json => {
                let alarms = serde_json::json!({ "alarms": alarms });
                writeln!(out, "{alarms:#}").map_err(cannot_write)?;
            }
        },
        Some(Err(problem)) => return Err(vec![unreachable, problem]),
        None => return Err(vec![unreachable]),
    }
    super::complain(&[format!("{unreachable}; this is what the state folder has")]);
    Ok(Exit::Done)
}

fn answered(answer: &str, url: &str, format: Format, out: &mut impl Write) -> Result<(), Trouble> {
    if format == Format::Json {
        return writeln!(out, "{answer}").map_err(cannot_write);
    }
    let read = serde_json::from_str::<Alarms>(answer);
    let Alarms { alarms } =
        read.map_err(|error| vec![format!("{url}: the answer is not a daemon's: {error}")])?;
    table(&alarms, out).map_err(cannot_write)
}

/// What the daemon that ran last had found.
fn last_known(dir: &Path) -> Result<Vec<Alarm>, String> {
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    let past = reader.past(0).map_err(|error| error.to_string())?;
    let alarms = past
        .and_then(|past| past.snapshot.alarms)
        .unwrap_or_default();
    let known = alarms.iter().filter_map(|(name, text)| {
        let snapshot = read_alarm_snapshot(name, text)?;
        Some(Alarm {
            name: name.clone(),
            state: Some(snapshot.state.name().to_owned()),
            state_transitioned_at: snapshot.transitioned_at.map(|at| at.to_string()),
            certainty: None,
            not_mirrored_reason: None,
            cloudwatch: None,
        })
    });
    Ok(known.collect())
}

fn table(alarms: &[Alarm], out: &mut impl Write) -> io::Result<()> {
    let mut lines = vec![["alarm", "state", "since", "certainty", "CloudWatch"].map(str::to_owned)];
    lines.extend(alarms.iter().map(|alarm| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let certainty = alarm
            .not_mirrored_reason
            .as_ref()
            .or(alarm.certainty.as_ref());
        [
            alarm.name.clone(),
            alarm
                .state
                .clone()
                .unwrap_or_else(|| "not judged".to_owned()),
            or_none(&alarm.state_transitioned_at),
            or_none(&certainty.cloned()),
            alarm
                .cloudwatch
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string),
        ]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
    for line in &lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

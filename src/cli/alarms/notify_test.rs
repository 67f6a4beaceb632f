//! `cwbridge alarms notify-test`

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use crate::web::{self, Request, WebClient};

use super::super::{Exit, runtime};
use super::{Trouble, cannot_write};

/// Longer than an attempt may take.
const TIMEOUT: Duration = Duration::from_mins(6);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The alarm
    name: String,
    /// Where the daemon answers
    #[arg(long, default_value = super::DAEMON)]
    url: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    target: String,
    error: Option<String>,
}

/// The exit code is 1 if somebody could not be told.
pub(super) fn run(args: &Args, out: &mut impl Write) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let path = format!("/api/v1/alarms/{}/notify-test", super::in_path(&args.name));
    let url = format!("{}{path}", args.url.trim_end_matches('/'));
    let client = WebClient::default();
    let request = Request {
        method: "POST",
        url: &url,
        headers: &[],
        body: Vec::new(),
    };
    let shown = web::shown(&url);
    let asked = async { tokio::time::timeout(TIMEOUT, client.ask(request)).await };
    let answered = runtime.block_on(asked);
    let late = |_| vec![format!("{shown}: no answer within {TIMEOUT:?}")];
    let answered = answered.map_err(late)?;
    let answered = answered.map_err(|error| vec![format!("{shown}: {}", error.message)])?;
    let read = serde_json::from_str::<Answer>(&answered.body);
    let Answer { error, targets } =
        read.map_err(|_| vec![format!("{shown}: the answer is not a daemon's")])?;
    if let Some(error) = error {
        return Err(vec![error]);
    }
    for Target { target, error } in &targets {
        match error {
            None => writeln!(out, "{target}: delivered"),
            Some(error) => writeln!(out, "{target}: failed: {error}"),
        }
        .map_err(cannot_write)?;
    }
    match targets.iter().all(|target| target.error.is_none()) {
        true => Ok(Exit::Done),
        false => Ok(Exit::Failed),
    }
}

//! `cwbridge replay`

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::alarm::{Alarm, MuteRule, Rule, StateValue, Transition};
use crate::definition::{Inputs, Placeholders, duplicates, read_alarm_snapshot, substitute};
use crate::journal::Reader;
use crate::metric::{Content, Datapoint, Metric, Timestamp, Unit};
use crate::replay::{Csv, Replay, Row, Summary, Wrong, instant, json_rows};
use crate::unit_test::time;

use super::load::{self, Read, read};
use super::{Exit, complain};

/// Mistakes in a history that are told; more are of the same kind.
const MISTAKES_MAX: usize = 10;

/// A host has its first datapoint so soon after it created its alarms, in seconds.
const BEGINS_WITHIN: i64 = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Alarm files in any format that `check` reads
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    history: History,
    /// Leave out what was before, as `2026-01-05T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<Timestamp>,
    /// End then, also if there is nothing until then [default: one period after the last row]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    end: Option<Timestamp>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Value of a parameter of a CloudFormation template
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = load::parameter)]
    parameters: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct History {
    /// CSV with a header: `timestamp`, `value` and, where the alarms read several metrics, `metric`; and `unit` if need be
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// What `get-metric-data`, `get-metric-statistics` or Prometheus' `query_range` print, of one series
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// State folder of a host
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// One object in each line: the transitions, then the summary of each alarm
    Json,
}

/// What goes wrong on the way.
type Trouble = Vec<String>;

pub(super) fn run(args: Args, out: &mut impl Write) -> Exit {
    let (alarms, mute_rules) = match alarms(&args) {
        Ok(alarms) => alarms,
        Err(problems) => {
            complain(&problems);
            return Exit::CouldNotStart;
        }
    };
    let mut player = Player {
        alarms: Some((alarms, mute_rules)),
        replay: None,
        newest: None,
        created_at: Timestamp::MIN,
        start: args.start,
        end: args.end,
        format: args.format,
        out: io::BufWriter::new(out),
        mistakes: Vec::new(),
    };
    match player.play(&args.history) {
        Ok(()) => Exit::Done,
        Err(problems) => {
            complain(&problems);
            Exit::CouldNotStart
        }
    }
}

fn alarms(args: &Args) -> Result<(Vec<Alarm>, Vec<MuteRule>), Trouble> {
    let inputs = Inputs {
        parameters: args.parameters.iter().cloned().collect(),
        ..Inputs::default()
    };
    let (mut all, mut problems) = (Read::default(), Vec::new());
    for path in &args.files {
        match read(path.clone()) {
            Ok((path, text)) => all.add(&path.display().to_string(), &text, &inputs),
            Err(message) => problems.push(message),
        }
    }
    let undeclared = all.undeclared(&inputs);
    let wrong = all.unreadable.iter().chain(all.parsed.problems());
    problems.extend(wrong.map(ToString::to_string));
    problems.extend(undeclared);
    problems.extend(
        duplicates(&all.parsed.alarms)
            .iter()
            .map(ToString::to_string),
    );
    match problems.is_empty() {
        true => Ok(all.parsed.into_rules()),
        false => Err(problems),
    }
}

/// The metric that the alarms read, if it is one, in the unit that they ask for.
fn only_metric(alarms: &[Alarm]) -> Option<(Arc<Metric>, Unit)> {
    let mut metrics = BTreeSet::new();
    let mut found = None;
    for alarm in alarms {
        if let Rule::Metric(rule) = &alarm.rule {
            for stat in rule.stats() {
                metrics.insert(stat.metric.to_string());
                found = Some((Arc::clone(&stat.metric), stat.unit.unwrap_or(Unit::NONE)));
            }
        }
    }
    found.filter(|_| metrics.len() == 1)
}

struct Player<W: Write> {
    /// Until the first row says when they begin.
    alarms: Option<(Vec<Alarm>, Vec<MuteRule>)>,
    replay: Option<Replay>,
    newest: Option<Timestamp>,
    /// When the host created the alarms.
    created_at: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    format: Format,
    out: io::BufWriter<W>,
    mistakes: Vec<String>,
}

impl<W: Write> Player<W> {
    fn play(&mut self, history: &History) -> Result<(), Trouble> {
        match history {
            History {
                csv: Some(path), ..
            } => self.csv(path)?,
            History {
                json: Some(path), ..
            } => self.json(path)?,
            History {
                journal: Some(dir), ..
            } => self.journal(dir)?,
            _ => {
                return Err(vec![
                    "a history is wanted: `--csv`, `--json` or `--journal`".to_owned(),
                ]);
            }
        }
        if !self.mistakes.is_empty() {
            return Err(std::mem::take(&mut self.mistakes));
        }
        self.finish()
    }

    fn csv(&mut self, path: &Path) -> Result<(), Trouble> {
        let file = File::open(path)
            .map_err(|error| vec![format!("`{}` cannot be read: {error}", path.display())])?;
        let named = |wrong: Wrong| format!("{}:{wrong}", path.display());
        let metric = self
            .alarms
            .as_ref()
            .and_then(|(alarms, _)| only_metric(alarms));
        let mut csv = Csv::new(BufReader::with_capacity(1 << 16, file), metric)
            .map_err(|wrong| vec![named(wrong)])?;
        while let Some(row) = csv.next_row() {
            match row {
                Ok(row) => self.row(row)?,
                Err(wrong) => {
                    self.mistakes.push(named(wrong));
                    if self.mistakes.len() == MISTAKES_MAX {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn json(&mut self, path: &Path) -> Result<(), Trouble> {
        let (path, text) = read(path.to_owned()).map_err(|message| vec![message])?;
        let metric = self
            .alarms
            .as_ref()
            .and_then(|(alarms, _)| only_metric(alarms));
        let Some((metric, unit)) = metric else {
            return Err(vec![
                "`--json` is for alarms that read one metric; `--csv` has a column for several"
                    .to_owned(),
            ]);
        };
        let rows = json_rows(&text, &metric, unit);
        for row in rows.map_err(|wrong| vec![format!("{}:{wrong}", path.display())])? {
            self.row(row)?;
        }
        Ok(())
    }

    fn journal(&mut self, dir: &Path) -> Result<(), Trouble> {
        let reader = Reader::open(dir).map_err(|error| vec![error.to_string()])?;
        if let Some((alarms, _)) = &mut self.alarms {
            let here = here(&reader);
            self.created_at = created_at(&reader).unwrap_or(Timestamp::MIN);
            let filled = std::mem::take(alarms).into_iter();
            *alarms = filled.map(|alarm| substitute(alarm, &here)).collect();
        }
        let since = self.start.unwrap_or(Timestamp::MIN);
        let mut failed = None;
        let each = |datapoint: Datapoint| {
            failed = self.row(row(datapoint)).err();
            failed.is_none()
        };
        let read = reader.datapoints_of(since, |_, _| true, each);
        let unreadable = read.map_err(|error| vec![error.to_string()])?;
        if unreadable > 0 {
            self.mistakes.push(format!(
                "{unreadable} datapoints in the journal cannot be read"
            ));
        }
        failed.map_or(Ok(()), Err)
    }

    fn row(&mut self, row: Row) -> Result<(), Trouble> {
        let is_before = self.start.is_some_and(|start| row.at < start);
        let is_after = self.end.is_some_and(|end| row.at > end);
        if is_before || is_after || !self.mistakes.is_empty() {
            return Ok(());
        }
        if let Some((alarms, mute_rules)) = self.alarms.take() {
            // Of a journal that was pruned the beginning is not there any more.
            let begun = match row.at - self.created_at {
                ..=BEGINS_WITHIN => self.created_at,
                _ => row.at,
            };
            let start = self.start.unwrap_or(begun);
            self.replay = Some(Replay::new(alarms, mute_rules, start));
        }
        self.newest = self.newest.max(Some(row.at));
        let done = self.replay.as_mut().map(|replay| replay.row(row));
        self.tell(&done.unwrap_or_default())
    }

    fn tell(&mut self, transitions: &[Transition]) -> Result<(), Trouble> {
        for transition in transitions {
            let Transition {
                alarm,
                at,
                from,
                to,
                reason,
                certainty,
                ..
            } = transition;
            let written = match self.format {
                Format::Text => writeln!(
                    self.out,
                    "{at} {} {from} -> {to} ({}): {reason}",
                    alarm.name,
                    certainty.name()
                ),
                Format::Json => {
                    let line = json!({"at": at.to_string(), "alarm": alarm.name, "from": from.name(), "to": to.name(), "reason": &**reason, "certainty": certainty.name()});
                    writeln!(self.out, "{line}")
                }
            };
            written.map_err(cannot_write)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        let (Some(mut replay), Some(newest)) = (self.replay.take(), self.newest) else {
            return Err(vec!["the history has no rows in that time".to_owned()]);
        };
        let done = replay.end(self.end.unwrap_or(newest + 60));
        self.tell(&done)?;
        for (alarm, reason) in replay.not_mirrored() {
            complain(&[format!("alarm `{alarm}` was not judged: {reason}")]);
        }
        let told = match self.format {
            Format::Text => text(&replay, &mut self.out),
            Format::Json => summaries(&replay, &mut self.out),
        };
        told.and_then(|()| self.out.flush()).map_err(cannot_write)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn cannot_write(error: io::Error) -> Trouble {
    vec![format!("cannot write the results: {error}")]
}

/// When the first of the alarms was created that a host judges.
fn created_at(reader: &Reader) -> Option<Timestamp> {
    let past = reader.past(0).ok()??;
    let alarms = past.snapshot.alarms?;
    let read = alarms
        .iter()
        .filter_map(|(name, text)| read_alarm_snapshot(name, text));
    read.map(|alarm| alarm.created_at).min()
}

/// The host that a journal is of, by the dimensions of what it published.
fn here(reader: &Reader) -> Placeholders {
    const LOOKED_AT_MAX: usize = 10_000;
    let (mut instance_id, mut hostname, mut looked_at) = (None, None, 0);
    let each = |datapoint: Datapoint| {
        for dimension in datapoint.metric.dimensions() {
            match dimension.name.as_str() {
                "InstanceId" => instance_id = Some(dimension.value.clone()),
                "host" => hostname = Some(dimension.value.clone()),
                _ => {}
            }
        }
        looked_at += 1;
        looked_at < LOOKED_AT_MAX && (instance_id.is_none() || hostname.is_none())
    };
    // What cannot be read is told when it is replayed.
    let _ = reader.datapoints_of(Timestamp::MIN, |_, _| true, each);
    Placeholders {
        instance_id,
        hostname: hostname.unwrap_or_default(),
    }
}

/// As it came when it was open.
fn row(datapoint: Datapoint) -> Row {
    Row {
        at: datapoint.start,
        metric: datapoint.metric,
        unit: datapoint.unit,
        resolution: datapoint.resolution,
        content: match datapoint.values {
            Some(values) => Content::Values(values.values()),
            None => Content::StatisticSet(datapoint.statistics),
        },
    }
}

fn text(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    for (alarm, summary) in replay.summaries() {
        let share = |state: StateValue| match summary.total() {
            0 => 0.0,
            total => 100.0 * float(summary.seconds(state)) / float(total),
        };
        writeln!(
            out,
            "{alarm}: {} times in ALARM ({:.1} a week, {} within an hour of the last), {} at the longest; OK {:.1} %, ALARM {:.1} %, INSUFFICIENT_DATA {:.1} %",
            summary.alarms,
            summary.alarms_a_week(),
            summary.flaps,
            time(summary.longest),
            share(StateValue::Ok),
            share(StateValue::Alarm),
            share(StateValue::InsufficientData),
        )?;
    }
    let more = [
        (replay.disordered, "came out of order"),
        (replay.dropped, "were dropped as CloudWatch would have"),
    ];
    let more: Vec<String> = more
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!(", {count} {what}"))
        .collect();
    writeln!(
        out,
        "{} rows{}, {} evaluations",
        replay.rows,
        more.concat(),
        replay.evaluated
    )
}

#[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
fn float(seconds: i64) -> f64 {
    seconds as f64
}

#[derive(Serialize)]
struct SummaryJson<'a> {
    alarm: &'a str,
    transitions: u64,
    alarms: u64,
    alarms_a_week: f64,
    flaps: u64,
    longest_seconds: i64,
    seconds_ok: i64,
    seconds_alarm: i64,
    seconds_insufficient_data: i64,
}

fn summaries(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    for (alarm, summary) in replay.summaries() {
        let line = summary_json(alarm, summary);
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

fn summary_json<'a>(alarm: &'a str, summary: &Summary) -> SummaryJson<'a> {
    SummaryJson {
        alarm,
        transitions: summary.transitions,
        alarms: summary.alarms,
        alarms_a_week: summary.alarms_a_week(),
        flaps: summary.flaps,
        longest_seconds: summary.longest,
        seconds_ok: summary.seconds(StateValue::Ok),
        seconds_alarm: summary.seconds(StateValue::Alarm),
        seconds_insufficient_data: summary.seconds(StateValue::InsufficientData),
    }
}

//! `cwbridge replay`

mod report;
mod source;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::alarm::{Alarm, MetricAlarm, MetricStat, MuteRule, Transition};
use crate::definition::{Inputs, duplicates};
use crate::metric::{Metric, Sample, Timestamp, Unit};
use crate::replay::{
    Axis, Incident, Only, Replay, Variant, axis, heat_svg, incidents, instant, svg, variants,
};

use super::load::{self, Read, read};
use super::{Exit, cannot_write, complain};
use source::{From, Server};

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
    #[command(flatten)]
    server: Server,
    /// Leave out what was before, as `2026-01-05T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<Timestamp>,
    /// End then, also if there is nothing until then [default: one period after the last row]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    end: Option<Timestamp>,
    /// Draw samples, datapoints, threshold and states; of a sweep how often the alarm went off
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Try other settings, such as `threshold=40..90:5`, `datapoints_to_alarm=1..3` or `period=60,300`; several for every combination
    #[arg(long, value_name = "SETTINGS", value_parser = axis)]
    sweep: Vec<Axis>,
    /// CSV with `start` and `end` of what went wrong: which of it the alarms tell, and how early
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,
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
    /// A Prometheus server to ask for `--query`, or a file of what its `query_range` answered
    #[arg(long, value_name = "URL|FILE")]
    prometheus: Option<String>,
    /// Ask CloudWatch for the metrics that the alarms read
    #[arg(long, value_enum)]
    from: Option<From>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// One object in each line: the transitions, then the summary of each alarm
    Json,
}

/// What goes wrong on the way.
type Trouble = Vec<String>;

/// `endpoint_url`: that of the environment.
pub(super) fn run(mut args: Args, endpoint_url: Option<String>, out: &mut impl Write) -> Exit {
    let service = &mut args.server.service;
    service.endpoint_url = service.endpoint_url.take().or(endpoint_url);
    match play(&args, out) {
        Ok(()) => Exit::Done,
        Err(problems) => {
            complain(&problems);
            Exit::CouldNotStart
        }
    }
}

fn play(args: &Args, out: &mut impl Write) -> Result<(), Trouble> {
    if let (Some(start), Some(end)) = (args.start, args.end)
        && start >= end
    {
        return Err(vec![format!(
            "`--start` is {start}, which is not before {end}"
        )]);
    }
    let (alarms, mute_rules) = alarms(args)?;
    let incidents = args.incidents.as_deref().map(known_incidents).transpose()?;
    let (metrics, only_metric) = (metrics(&alarms), only_metric(&alarms));
    let period = alarms
        .iter()
        .filter_map(|alarm| Some(alarm.metric_rule()?.period.seconds()));
    let (shortest_period, period) = (period.clone().min(), period.max().unwrap_or(60));
    let sweep = sweep(args, &alarms)?;
    let alarms = match sweep.is_empty() {
        true => alarms,
        false => sweep.iter().flat_map(Swept::alarms).collect(),
    };
    let mut player = Player {
        alarms: Some((alarms, mute_rules)),
        metrics,
        only_metric,
        unread: Vec::new(),
        metrics_seen: 0,
        period,
        shortest_period: shortest_period.unwrap_or(60),
        incidents,
        replay: None,
        newest: None,
        created_at: Timestamp::MIN,
        args,
        out: io::BufWriter::new(out),
        mistakes: Vec::new(),
    };
    player.read()?;
    if !player.mistakes.is_empty() {
        return Err(player.mistakes);
    }
    player.finish(&sweep)
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

fn known_incidents(path: &Path) -> Result<Arc<[Incident]>, Trouble> {
    let file = fs::File::open(path)
        .map_err(|error| vec![format!("`{}` cannot be read: {error}", path.display())])?;
    match incidents(file) {
        Ok(incidents) => Ok(incidents.into()),
        Err(wrong) => Err(wrong
            .iter()
            .map(|wrong| format!("{}:{wrong}", path.display()))
            .collect()),
    }
}

/// Every metric that the alarms read, with the unit that they ask for.
fn metrics(alarms: &[Alarm]) -> HashMap<Metric, Unit> {
    let stats = alarms
        .iter()
        .filter_map(Alarm::metric_rule)
        .flat_map(MetricAlarm::stats);
    let metrics = stats.map(|stat| ((*stat.metric).clone(), stat.unit.unwrap_or(Unit::NONE)));
    metrics.collect()
}

/// The metric that the alarms read, if it is one, and what they ask for of it; or why there is none.
fn only_metric(alarms: &[Alarm]) -> Result<Only, &'static str> {
    let stats = alarms
        .iter()
        .filter_map(Alarm::metric_rule)
        .flat_map(MetricAlarm::stats);
    let stats: Vec<&MetricStat> = stats.collect();
    let Some(first) = stats.first() else {
        return Err("the alarms read no metric");
    };
    if stats.iter().any(|stat| stat.metric != first.metric) {
        return Err("the alarms read several metrics");
    }
    let is_one = stats.iter().all(|stat| stat.statistic == first.statistic);
    Ok(Only {
        metric: Arc::clone(&first.metric),
        unit: first.unit.unwrap_or(Unit::NONE),
        statistic: is_one.then(|| first.statistic.clone()),
    })
}

/// An alarm with every combination of its settings.
struct Swept {
    name: String,
    variants: Vec<Variant>,
}

impl Swept {
    fn alarms(&self) -> impl Iterator<Item = Alarm> {
        let accepted = self.variants.iter().filter_map(|it| it.alarm.as_ref().ok());
        accepted.cloned()
    }
}

/// Every alarm on metrics with every combination of settings; of a composite alarm there are none.
fn sweep(args: &Args, alarms: &[Alarm]) -> Result<Vec<Swept>, Trouble> {
    if args.sweep.is_empty() {
        return Ok(Vec::new());
    }
    if args.plot.is_some() && args.sweep.len() != 2 {
        return Err(vec![
            "the plot of a sweep has two settings, one down and one across".to_owned(),
        ]);
    }
    let parameters = args.sweep.iter().map(|axis| axis.parameter);
    if let Some((place, twice)) = parameters
        .clone()
        .enumerate()
        .find(|(place, of)| parameters.clone().take(*place).any(|other| other == *of))
    {
        let nth = place + 1;
        return Err(vec![format!(
            "`{}` is swept twice: once more by the {nth}. `--sweep`",
            twice.name()
        )]);
    }
    for alarm in alarms.iter().filter(|alarm| alarm.metric_rule().is_none()) {
        complain(&[format!(
            "alarm `{}` has no settings to sweep, and is left out",
            alarm.name
        )]);
    }
    let on_metrics = alarms.iter().filter(|alarm| alarm.metric_rule().is_some());
    let mut swept = Vec::new();
    for alarm in on_metrics {
        let variants = variants(alarm, &args.sweep);
        swept.push(Swept {
            name: alarm.name.clone(),
            variants: variants
                .map_err(|message| vec![format!("alarm `{}`: {message}", alarm.name)])?,
        });
    }
    match swept.iter().flat_map(Swept::alarms).count() {
        1.. => Ok(swept),
        0 => {
            let mut variants = swept.iter().flat_map(|swept| &swept.variants);
            let why = variants.find_map(|variant| variant.alarm.as_ref().err());
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            Err(vec![format!(
                "no alarm here has settings that CloudWatch would take{why}"
            )])
        }
    }
}

struct Player<'a, W: Write> {
    /// Until the first row says when they begin.
    alarms: Option<(Vec<Alarm>, Vec<MuteRule>)>,
    /// Every metric that the alarms read, with the unit that is asked for.
    metrics: HashMap<Metric, Unit>,
    only_metric: Result<Only, &'static str>,
    /// Metrics in the history that no alarm reads.
    unread: Vec<String>,
    metrics_seen: usize,
    /// The longest that an alarm has, in seconds.
    period: i64,
    shortest_period: i64,
    incidents: Option<Arc<[Incident]>>,
    replay: Option<Replay>,
    newest: Option<Timestamp>,
    /// When the host created the alarms.
    created_at: Timestamp,
    args: &'a Args,
    out: io::BufWriter<W>,
    mistakes: Vec<String>,
}

impl<W: Write> Player<'_, W> {
    fn row(&mut self, row: &Sample) -> Result<(), Trouble> {
        let is_before = self.args.start.is_some_and(|start| row.at < start);
        let is_after = self.args.end.is_some_and(|end| row.at > end);
        if is_before || is_after || !self.mistakes.is_empty() {
            return Ok(());
        }
        if let Some((alarms, mute_rules)) = self.alarms.take() {
            self.begin(alarms, mute_rules, row.at);
        }
        self.newest = self.newest.max(Some(row.at));
        let done = self.replay.as_mut().map(|replay| replay.row(row));
        self.tell(&done.unwrap_or_default())
    }

    fn begin(&mut self, alarms: Vec<Alarm>, mute_rules: Vec<MuteRule>, first: Timestamp) {
        // Of a journal that was pruned the beginning is not there any more.
        let begun = match first - self.created_at {
            ..=BEGINS_WITHIN => self.created_at,
            _ => first,
        };
        let start = self.args.start.unwrap_or(begun);
        let mut replay = Replay::new(alarms, mute_rules, start, self.incidents.as_ref());
        if self.args.plot.is_some() && self.args.sweep.is_empty() {
            replay.draw(start.max(first.floor(60)));
        }
        self.replay = Some(replay);
    }

    #[inline(always)]
    fn tell(&mut self, transitions: &[Transition]) -> Result<(), Trouble> {
        if !self.args.sweep.is_empty() {
            return Ok(());
        }
        let mut each = transitions.iter();
        let format = self.args.format;
        each.try_for_each(|transition| report::transition(transition, format, &mut self.out))
            .map_err(cannot_write)
    }

    fn finish(&mut self, sweep: &[Swept]) -> Result<(), Trouble> {
        let (Some(mut replay), Some(newest)) = (self.replay.take(), self.newest) else {
            return Err(vec!["the history has no rows in that time".to_owned()]);
        };
        if !self.unread.is_empty() {
            let names: Vec<String> = self
                .unread
                .iter()
                .take(MISTAKES_MAX)
                .map(|name| format!("`{name}`"))
                .collect();
            let told = format!("no alarm reads {}", names.join(", "));
            match self.unread.len() == self.metrics_seen {
                true => return Err(vec![format!("of the whole history {told}")]),
                false => complain(&[told]),
            }
        }
        // One period after the last row.
        let last = (newest + 1).ceil(self.period).max(newest + 60);
        let done = replay.end(self.args.end.unwrap_or(last));
        self.tell(&done)?;
        for (alarm, reason) in replay.not_mirrored() {
            complain(&[format!("alarm `{alarm}` was not judged: {reason}")]);
        }
        let (axes, out) = (&self.args.sweep, &mut self.out);
        let told = match (sweep, self.args.format) {
            ([], Format::Text) => report::text(&replay, out),
            ([], Format::Json) => report::json(&replay, out),
            (sweep, Format::Text) => report::grids(sweep, axes, &replay, out),
            (sweep, Format::Json) => report::grids_json(sweep, axes, &replay, out),
        };
        told.and_then(|()| self.out.flush()).map_err(cannot_write)?;
        let Some(path) = &self.args.plot else {
            return Ok(());
        };
        let picture = match sweep {
            [] => svg(&replay.charts()),
            sweep => heat_svg(&report::heat(sweep, axes, &replay)),
        };
        fs::write(path, picture)
            .map_err(|error| vec![format!("`{}` cannot be written: {error}", path.display())])
    }
}

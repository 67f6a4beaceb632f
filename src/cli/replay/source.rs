//! Where a history comes from.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use indicatif::{ProgressBar, ProgressStyle};

use crate::alarm::{Alarm, Rule};
use crate::aws::{self, History as CloudWatch, Window};
use crate::clock;
use crate::definition::{Placeholders, read_alarm_snapshot, substitute};
use crate::journal::Reader;
use crate::metric::{
    BasicStatistic, Content, Datapoint, Metric, Resolution, Sample, Statistic, StatisticSet,
    Timestamp, Unit,
};
use crate::replay::{Csv, Reads, Table, Wrong, json_rows};
use crate::web;

use super::super::{Service, consents, runtime};
use super::{History, MISTAKES_MAX, Player, Trouble, read};

/// Batches of rows that are read ahead, at most.
const BATCHES_MAX: usize = 4;

/// Prometheus refuses a query for more than 11,000 points of a series.
const STEPS_MAX: i64 = 10_000;

/// What may be spent on requests without being asked, in dollars.
const DOLLARS_MAX: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum From {
    Cloudwatch,
}

#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// What to ask Prometheus for: an expression of one series
    #[arg(long, value_name = "PROMQL")]
    query: Option<String>,
    #[command(flatten)]
    pub(super) service: Service,
    /// Ask CloudWatch also where that costs more than a dollar
    #[arg(long)]
    yes: bool,
}

impl<W: Write> Player<'_, W> {
    /// Takes up the whole history.
    pub(super) fn read(&mut self) -> Result<(), Trouble> {
        match &self.args.history {
            History {
                csv: Some(path), ..
            } => self.csv(path),
            History {
                json: Some(path), ..
            } => self.json(path),
            History {
                journal: Some(dir), ..
            } => self.journal(dir),
            History {
                prometheus: Some(place),
                ..
            } => match place.contains("://") {
                true => self.prometheus(place),
                false => self.json(Path::new(place)),
            },
            History { .. } => self.cloudwatch(),
        }
    }

    /// The file is read by one thread while another judges what was read.
    fn csv(&mut self, path: &Path) -> Result<(), Trouble> {
        let cannot =
            |error: io::Error| vec![format!("`{}` cannot be read: {error}", path.display())];
        let named = |wrong: &Wrong| wrong.of(&path.display().to_string());
        let file = File::open(path).map_err(cannot)?;
        let size = file.metadata().map_err(cannot)?.len();
        let input = BufReader::with_capacity(1 << 16, file);
        let reads = Reads {
            metrics: self.metrics.clone(),
            only: self.only_metric.clone(),
        };
        let mut csv = Csv::new(input, reads).map_err(|wrong| vec![named(&wrong)])?;
        let bar = progress(size, "{bytes} of {total_bytes}");
        let done = std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(BATCHES_MAX);
            let (used, emptied) = sync_channel(BATCHES_MAX);
            scope.spawn(move || {
                while let Some(batch) = csv.batch(emptied.try_recv().ok()) {
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
            });
            let mut table = Table::default();
            for mut batch in batches {
                self.unread.append(&mut batch.unread);
                self.metrics_seen += batch.new_metrics();
                table.each(&mut batch, |row| self.row(row))?;
                self.mistakes.extend(batch.wrong.iter().map(named));
                self.mistakes.truncate(MISTAKES_MAX);
                if self.mistakes.len() == MISTAKES_MAX {
                    break;
                }
                bar.set_position(batch.bytes);
                // If there is no room, it is given up.
                let _ = used.try_send(batch);
            }
            Ok(())
        });
        bar.finish_and_clear();
        done
    }

    fn json(&mut self, path: &Path) -> Result<(), Trouble> {
        let (path, text) = read(path.to_owned()).map_err(|message| vec![message])?;
        self.series(&text, &path.display().to_string())
    }

    /// The one series that a JSON text holds.
    fn series(&mut self, text: &str, of: &str) -> Result<(), Trouble> {
        let only = match self.only_metric.clone() {
            Ok(only) => only,
            Err(why) => {
                return Err(vec![format!(
                    "{why}: a series without a name is for alarms that read one metric, and `--csv` has a column for several"
                )]);
            }
        };
        let rows = json_rows(text, &only);
        for row in rows.map_err(|wrong| vec![wrong.of(of)])? {
            self.row(&row)?;
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
        let since = self.args.start.unwrap_or(Timestamp::MIN);
        let bar = progress(0, "{pos} datapoints");
        let mut failed = None;
        let each = |datapoint: Datapoint| {
            bar.inc(1);
            failed = self.row(&row(datapoint)).err();
            failed.is_none()
        };
        let read = reader.datapoints_of(since, |_, _| true, each);
        bar.finish_and_clear();
        let unreadable = read.map_err(|error| vec![error.to_string()])?;
        if unreadable > 0 {
            self.mistakes.push(format!(
                "{unreadable} datapoints in the journal cannot be read"
            ));
        }
        failed.map_or(Ok(()), Err)
    }

    /// When the history begins and ends of what has no beginning.
    fn between(&self) -> Result<(Timestamp, Timestamp), Trouble> {
        let end = self.args.end.unwrap_or_else(clock::now);
        match self.args.start {
            Some(start) if start < end => Ok((start.floor(60), end)),
            Some(start) => Err(vec![format!(
                "`--start` is {start}, which is not before {end}"
            )]),
            None => Err(vec!["`--start` says since when; it is missing".to_owned()]),
        }
    }

    /// A minute a step, or less where an alarm has a shorter period, as many at once as a server takes.
    fn prometheus(&mut self, url: &str) -> Result<(), Trouble> {
        let (start, end) = self.between()?;
        let Some(query) = self.args.server.query.as_deref() else {
            return Err(vec![
                "`--query` says what to ask the server for; it is missing".to_owned(),
            ]);
        };
        let runtime = runtime().map_err(|error| vec![error])?;
        let bar = progress(
            u64::try_from((end - start) / 60).unwrap_or(0),
            "{pos} of {len} minutes",
        );
        let step = self.shortest_period.min(60);
        let mut from = start;
        while from <= end {
            let to = end.min(from + (STEPS_MAX - 1) * step);
            let asked = web::query_range(url, query, from, to, step);
            let answer = runtime.block_on(asked).map_err(|error| vec![error])?;
            self.series(&answer, &web::shown(url))?;
            if let Some(warning) = web::partial(&answer) {
                self.mistakes.push(format!(
                    "{}: the answer from {from} to {to} is not whole: {warning}",
                    web::shown(url)
                ));
                break;
            }
            bar.set_position(u64::try_from((to - start) / 60).unwrap_or(0));
            from = to + step;
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn cloudwatch(&mut self) -> Result<(), Trouble> {
        let (start, end) = self.between()?;
        let alarms = self.alarms.as_ref().map_or(&[][..], |(alarms, _)| alarms);
        let series = asked(alarms);
        let windows = aws::windows(start, end, clock::now());
        too_coarse(alarms, &windows)?;
        let requests = windows.len() * series.len();
        let metrics: usize =
            series.iter().map(|of| of.statistics().len()).sum::<usize>() * windows.len();
        let dollars = crate::cost::get_metric_data(metrics);
        let price = match dollars {
            ..0.01 => "less than a cent".to_owned(),
            dollars => format!("about ${dollars:.2}"),
        };
        let times = if requests == 1 {
            "once"
        } else {
            &format!("{requests} times")
        };
        let told = format!("CloudWatch is asked {times}, which costs {price}");
        let _ = writeln!(io::stderr(), "{told}");
        self.consent(dollars)?;
        let runtime = runtime().map_err(|error| vec![error])?;
        let service = &self.args.server.service;
        let client = runtime.block_on(async {
            let region = service.region().await?;
            let endpoint = service.endpoint_url.as_deref();
            Ok::<_, String>(CloudWatch::connect(&region, endpoint).await)
        });
        let client = client.map_err(|error| vec![error])?;
        let bar = progress(
            u64::try_from(requests).unwrap_or(0),
            "{pos} of {len} requests",
        );
        for window in windows {
            let mut rows = Vec::new();
            for of in &series {
                let answer = runtime.block_on(client.statistics(
                    &of.metric,
                    of.unit,
                    &of.statistics(),
                    window,
                ));
                rows.extend(of.rows(&answer.map_err(|failure| vec![failure])?));
                bar.inc(1);
            }
            rows.sort_by_key(|row| row.at);
            rows.iter().try_for_each(|row| self.row(row))?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Asks whether that much may be spent.
    fn consent(&self, dollars: f64) -> Result<(), Trouble> {
        if dollars <= DOLLARS_MAX || self.args.server.yes || consents("go on?") {
            return Ok(());
        }
        Err(vec![format!(
            "${dollars:.2} is more than ${DOLLARS_MAX}; `--yes` allows it"
        )])
    }
}

/// CloudWatch keeps less and less of what is old: of that an alarm with a shorter period would see but a part.
fn too_coarse(alarms: &[Alarm], windows: &[Window]) -> Result<(), Trouble> {
    let period = |alarm: &Alarm| Some(alarm.metric_rule()?.period.seconds());
    let told = alarms.iter().filter_map(|alarm| {
        let period = period(alarm)?;
        let coarse = windows.iter().rfind(|window| window.period > period)?;
        let Window {
            period: kept, end, ..
        } = coarse;
        let fix = match windows.last() {
            Some(last) if last.period <= period => format!("`--start {end}` leaves that out"),
            _ => "`--csv` takes what was kept elsewhere".to_owned(),
        };
        Some(format!(
            "alarm `{}` has a period of {period} s, and of before {end} CloudWatch has one datapoint in {kept} s; {fix}",
            alarm.name
        ))
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => Ok(()),
        false => Err(told),
    }
}

/// Told on a terminal alone, and cleared when it is done.
fn progress(length: u64, template: &str) -> ProgressBar {
    let bar = match length {
        0 => ProgressBar::new_spinner(),
        length => ProgressBar::new(length),
    };
    match ProgressStyle::with_template(&format!("{{wide_bar}} {template} {{eta}}")) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One series that CloudWatch is asked for.
struct Asked {
    metric: Arc<Metric>,
    unit: Option<Unit>,
    /// Extended statistics come as CloudWatch computes them; of the others what they are made of.
    extended: Option<String>,
}

impl Asked {
    fn statistics(&self) -> Vec<String> {
        const SET: [BasicStatistic; 4] = [
            BasicStatistic::SampleCount,
            BasicStatistic::Sum,
            BasicStatistic::Minimum,
            BasicStatistic::Maximum,
        ];
        match &self.extended {
            Some(statistic) => vec![statistic.clone()],
            None => SET.map(|statistic| statistic.name().to_owned()).to_vec(),
        }
    }

    /// The datapoints of the answer, which has values in the order of the statistics.
    fn rows(&self, answer: &[(Timestamp, Vec<f64>)]) -> Vec<Sample> {
        let content = |values: &[f64]| match *values {
            [value] => Some(Content::Value(value)),
            [sample_count, sum, minimum, maximum] => Some(Content::StatisticSet(StatisticSet {
                sample_count,
                sum,
                minimum,
                maximum,
            })),
            _ => None,
        };
        let row = |(at, values): &(Timestamp, Vec<f64>)| {
            Some(Sample {
                at: *at,
                metric: Arc::clone(&self.metric),
                unit: self.unit.unwrap_or(Unit::NONE),
                resolution: Resolution::Standard,
                content: content(values)?,
            })
        };
        answer.iter().filter_map(row).collect()
    }
}

/// Each series that the alarms read, once.
fn asked(alarms: &[Alarm]) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for alarm in alarms {
        let Rule::Metric(rule) = &alarm.rule else {
            continue;
        };
        for stat in rule.stats() {
            let extended = match &stat.statistic {
                Statistic::Extended(extended) => Some(extended.name().to_owned()),
                Statistic::Basic(_) => None,
            };
            let is_known = all.iter().any(|known| {
                known.metric == stat.metric && known.unit == stat.unit && known.extended == extended
            });
            if !is_known {
                all.push(Asked {
                    metric: Arc::clone(&stat.metric),
                    unit: stat.unit,
                    extended,
                });
            }
        }
    }
    all
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
        ..Placeholders::default()
    }
}

/// As it came when it was open.
fn row(datapoint: Datapoint) -> Sample {
    Sample {
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

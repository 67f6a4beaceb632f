//! Histories as files: CSV, and what `aws cloudwatch get-metric-data`, `get-metric-statistics` and Prometheus' `query_range` print.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::metric::{
    BasicStatistic, Content, Metric, Resolution, Sample, Statistic, StatisticSet, Timestamp, Unit,
};

/// What cannot be read of a history, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// 0 where there is no line.
    pub line: u64,
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "{line}: {}", self.message),
        }
    }
}

impl Wrong {
    /// With the file that it is in.
    pub fn of(&self, file: &str) -> String {
        match self.line {
            0 => format!("{file}: {}", self.message),
            _ => format!("{file}:{self}"),
        }
    }
}

/// The one metric that alarms read, with what they ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Only {
    pub metric: Arc<Metric>,
    pub unit: Unit,
    /// If it is one.
    pub statistic: Option<Statistic>,
}

/// What alarms read of a history.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Every metric, with the unit that is asked for.
    pub metrics: HashMap<Metric, Unit>,
    /// The only one, or why there is none.
    pub only: Result<Only, &'static str>,
}

pub(super) fn wrong(line: u64, message: impl Into<String>) -> Wrong {
    Wrong {
        line,
        message: message.into(),
    }
}

/// A row that is older than the newest one by more seconds than this is not merely late.
const LATE_MAX: i64 = 600;

/// The end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

/// The columns of a CSV file.
const COLUMNS: [&str; 4] = ["timestamp", "value", "metric", "unit"];

/// Rows of a CSV file with a header: `timestamp` and `value`, and `metric` and `unit` where they are not one for all.
pub struct Csv<R> {
    reader: csv::Reader<R>,
    record: csv::ByteRecord,
    /// The places of [`COLUMNS`].
    columns: [Option<usize>; 4],
    /// The unit of each metric where rows do not say it.
    units: Vec<Unit>,
    reads: HashMap<Metric, Unit>,
    /// Metrics that no alarm reads, since the last batch.
    unread: Vec<String>,
    /// The newest row so far, with its line.
    newest: (Timestamp, u64),
    known: HashMap<String, usize>,
    /// Every metric so far.
    metrics: Vec<Arc<Metric>>,
    /// How many of them a batch has handed on.
    handed_on: usize,
}

/// One row, whose metric is known by its place. Rows go from one thread to another, and counting who holds a metric would cost
/// both of them more than all the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Record {
    at: Timestamp,
    metric: usize,
    unit: Unit,
    value: f64,
}

/// The most rows in a batch.
const BATCH_ROWS: usize = 4_096;

/// Rows that follow one another, to go from one thread to another.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Record>,
    /// The metrics that appeared with them.
    metrics: Vec<Arc<Metric>>,
    pub wrong: Vec<Wrong>,
    /// Metrics that appeared and that no alarm reads.
    pub unread: Vec<String>,
    /// How far into the file they end.
    pub bytes: u64,
}

impl Batch {
    /// How many metrics appeared with them for the first time.
    pub fn new_metrics(&self) -> usize {
        self.metrics.len()
    }
}

/// The newest row of every metric in the batches so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Sample>);

impl Table {
    /// Lends each row of the next batch until there is trouble.
    #[inline(always)]
    pub fn each<T>(
        &mut self,
        batch: &mut Batch,
        mut row: impl FnMut(&Sample) -> Result<(), T>,
    ) -> Result<(), T> {
        self.0.extend(batch.metrics.drain(..).map(|metric| Sample {
            metric,
            unit: Unit::NONE,
            resolution: Resolution::Standard,
            at: Timestamp::MIN,
            content: Content::Value(0.0),
        }));
        batch.records.iter().try_for_each(|record| {
            let newest = &mut self.0[record.metric];
            newest.at = record.at;
            newest.unit = record.unit;
            newest.content = Content::Value(record.value);
            row(newest)
        })
    }
}

impl<R> fmt::Debug for Csv<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csv")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Csv<R> {
    pub fn new(input: R, reads: Reads) -> Result<Self, Wrong> {
        let mut reader = csv::ReaderBuilder::new()
            // Of each row would make a copy.
            .trim(csv::Trim::Headers)
            .from_reader(input);
        let header = reader
            .headers()
            .map_err(|error| wrong(1, error.to_string()))?;
        let columns = COLUMNS.map(|column| header.iter().position(|found| found == column));
        let unknown: Vec<String> = header
            .iter()
            .filter(|found| !COLUMNS.contains(found))
            .map(|found| format!("`{found}`"))
            .collect();
        if !unknown.is_empty() {
            return Err(wrong(
                1,
                format!(
                    "the header has {}, but only `timestamp`, `value`, `metric` and `unit` are known",
                    unknown.join(", ")
                ),
            ));
        }
        if columns[0].is_none() || columns[1].is_none() {
            return Err(wrong(1, "the header must have `timestamp` and `value`"));
        }
        let is_twice =
            |column: &&&str| header.iter().filter(|found| *found == **column).count() > 1;
        if let Some(twice) = COLUMNS.iter().find(is_twice) {
            return Err(wrong(1, format!("the header has `{twice}` twice")));
        }
        let only = match (columns[2], reads.only) {
            (Some(_), _) => None,
            (None, Ok(only)) => Some(only),
            (None, Err(why)) => {
                let text = format!(
                    "{why}: the header must have `metric`, as `Namespace Name {{Dimension=value}}`"
                );
                return Err(wrong(1, text));
            }
        };
        Ok(Self {
            reader,
            record: csv::ByteRecord::new(),
            columns,
            known: HashMap::new(),
            metrics: only.iter().map(|only| Arc::clone(&only.metric)).collect(),
            handed_on: 0,
            units: only.iter().map(|only| only.unit).collect(),
            reads: reads.metrics,
            unread: Vec::new(),
            newest: (Timestamp::MIN, 0),
        })
    }

    /// The next rows; `None` at the end. `used` is a batch that nobody reads any more, whose memory is used again: threads that
    /// give each other memory wait for one another.
    pub fn batch(&mut self, used: Option<Batch>) -> Option<Batch> {
        let mut batch = used.unwrap_or_default();
        batch.records.clear();
        batch.records.reserve_exact(BATCH_ROWS);
        batch.wrong.clear();
        while batch.records.len() + batch.wrong.len() < BATCH_ROWS {
            match self.next_record() {
                Some(Ok(record)) => batch.records.push(record),
                Some(Err(wrong)) => batch.wrong.push(wrong),
                None if batch.records.is_empty() && batch.wrong.is_empty() => return None,
                None => break,
            }
        }
        batch.unread = std::mem::take(&mut self.unread);
        batch.metrics = self.metrics[self.handed_on..].to_vec();
        self.handed_on = self.metrics.len();
        batch.bytes = self.reader.position().byte();
        Some(batch)
    }

    /// The next row; `None` at the end. An empty value is a gap, and left out.
    fn next_record(&mut self) -> Option<Result<Record, Wrong>> {
        loop {
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    return Some(Err(wrong(line, error.to_string())));
                }
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            match self.row() {
                Ok(None) => {}
                Ok(Some(row)) => return Some(self.in_order(row, line)),
                Err(message) => return Some(Err(wrong(line, message))),
            }
        }
    }

    /// What comes later than CloudWatch would take it into account would only be lost.
    fn in_order(&mut self, record: Record, line: u64) -> Result<Record, Wrong> {
        let (newest, newest_line) = self.newest;
        if record.at > newest {
            self.newest = (record.at, line);
        } else if newest - record.at > LATE_MAX {
            let text = format!(
                "the row is of {}, and line {newest_line} of {newest}: rows must be in the order of time, and none more than {LATE_MAX} s late",
                record.at
            );
            return Err(wrong(line, text));
        }
        Ok(record)
    }

    fn row(&mut self) -> Result<Option<Record>, String> {
        let columns = self.columns;
        let field = |column: usize| -> Result<&str, String> {
            let bytes = columns[column]
                .and_then(|place| self.record.get(place))
                .unwrap_or_default();
            std::str::from_utf8(bytes.trim_ascii())
                .map_err(|_| format!("`{}` is no text", COLUMNS[column]))
        };
        let (at, value) = (instant(field(0)?)?, field(1)?);
        if value.is_empty() || value.eq_ignore_ascii_case("nan") {
            return Ok(None);
        }
        let value: f64 = value
            .parse()
            .map_err(|_| format!("`value` is `{value}`, but must be a number"))?;
        let metric = match columns[2] {
            None => 0,
            Some(_) => {
                let text = field(2)?;
                match self.known.get(text) {
                    Some(place) => *place,
                    None => {
                        let metric = Metric::from_notation(text).ok_or_else(|| format!("`metric` is `{text}`, but must be like `Namespace Name {{Dimension=value}}`"))?;
                        self.known.insert(text.to_owned(), self.metrics.len());
                        if !self.reads.contains_key(&metric) {
                            self.unread.push(text.to_owned());
                        }
                        self.units
                            .push(self.reads.get(&metric).copied().unwrap_or(Unit::NONE));
                        self.metrics.push(Arc::new(metric));
                        self.metrics.len() - 1
                    }
                }
            }
        };
        let unit = match columns[3].map(|_| field(3)).transpose()? {
            None | Some("") => self.units[metric],
            Some(name) => Unit::from_name(name).ok_or_else(|| {
                format!("`unit` is `{name}`, but must be a unit that CloudWatch knows")
            })?,
        };
        Ok(Some(Record {
            at,
            metric,
            unit,
            value,
        }))
    }
}

/// `2026-01-05T00:00:00Z`, any other offset, or seconds since the epoch.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        if seconds.abs() > SECONDS_MAX {
            return Err(format!(
                "`{text}` is beyond the year 9999; seconds since 1970 are wanted, and these look like milliseconds"
            ));
        }
        return Ok(Timestamp::from_seconds(seconds));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_milliseconds(at.as_millisecond()));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be in the range of instants"
    )]
    match text.parse::<f64>() {
        Ok(seconds) if seconds.abs() < 1e11 => {
            Ok(Timestamp::from_milliseconds((seconds * 1e3) as i64))
        }
        _ if text.parse::<jiff::civil::DateTime>().is_ok() => {
            let time = if text.contains(':') { "" } else { "T00:00:00" };
            Err(format!(
                "`{text}` has no time zone; `{text}{time}Z` is in UTC"
            ))
        }
        _ => Err(format!(
            "`{text}` is no instant; `2026-01-05T00:00:00Z` and seconds since 1970 are"
        )),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricData {
    metric_data_results: Vec<MetricDataResult>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult {
    timestamps: Vec<String>,
    values: Vec<f64>,
    status_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStatistics {
    datapoints: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct QueryRange {
    #[serde(default)]
    error: Option<String>,
    data: Option<Matrix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Matrix {
    result_type: String,
    #[serde(default)]
    result: Vec<Value>,
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

/// A value with its instant, and the unit where that is said.
type Point = (Timestamp, f64, Option<Unit>);

/// The rows of a JSON file, all of one metric, in order of time. Values are taken as they are: of a statistic of periods as one
/// sample for each.
pub fn json_rows(text: &str, only: &Only) -> Result<Vec<Sample>, Wrong> {
    let mut points = points(text, only)?;
    points.sort_by_key(|(at, ..)| *at);
    // How many samples there were is not the value of one.
    let counts = only.statistic == Some(Statistic::Basic(BasicStatistic::SampleCount));
    let content = |value: f64| match counts {
        false => Content::Value(value),
        true => Content::StatisticSet(StatisticSet {
            sample_count: value,
            sum: 0.0,
            minimum: 0.0,
            maximum: 0.0,
        }),
    };
    let row = |(at, value, unit): Point| Sample {
        at,
        metric: Arc::clone(&only.metric),
        unit: unit.unwrap_or(only.unit),
        resolution: Resolution::Standard,
        content: content(value),
    };
    let finite = points.into_iter().filter(|(_, value, _)| value.is_finite());
    Ok(finite.map(row).collect())
}

/// By the member that tells whose answer it is.
fn points(text: &str, only: &Only) -> Result<Vec<Point>, Wrong> {
    let json = serde_json::from_str::<Value>(text);
    let json = json.map_err(|error| {
        let line = u64::try_from(error.line()).unwrap_or(0);
        wrong(line, format!("this is no JSON: {error}"))
    })?;
    let has = |member: &str| json.get(member).is_some();
    if has("MetricDataResults") {
        metric_data(read(json.clone())?)
    } else if has("Datapoints") {
        let MetricStatistics { datapoints } = read(json.clone())?;
        let datapoints = datapoints.iter().enumerate();
        let read = |(place, datapoint)| {
            statistic(datapoint, only)
                .map_err(|message| wrong(0, format!("Datapoints[{place}]: {message}")))
        };
        datapoints.map(read).collect()
    } else if has("status") || has("data") {
        query_range(read(json.clone())?)
    } else {
        let text = "this is neither what `get-metric-data`, `get-metric-statistics` nor `query_range` print: it has none of `MetricDataResults`, `Datapoints` and `data`";
        Err(wrong(0, text))
    }
}

fn read<T: serde::de::DeserializeOwned>(json: Value) -> Result<T, Wrong> {
    serde_json::from_value(json).map_err(|error| wrong(0, error.to_string()))
}

fn several(count: usize) -> Wrong {
    wrong(0, format!("{count} series are in it, but one is wanted"))
}

fn metric_data(data: MetricData) -> Result<Vec<Point>, Wrong> {
    if data.next_token.is_some() {
        let text = "it is not all: `NextToken` says that there is more, which `aws cloudwatch get-metric-data` without `--no-paginate` fetches";
        return Err(wrong(0, text));
    }
    let [result] = &data.metric_data_results[..] else {
        return Err(several(data.metric_data_results.len()));
    };
    let of = "MetricDataResults[0]";
    if let Some(code) = result
        .status_code
        .as_ref()
        .filter(|code| *code != "Complete")
    {
        return Err(wrong(
            0,
            format!("{of}: it is not all: `StatusCode` is `{code}`"),
        ));
    }
    let (timestamps, values) = (result.timestamps.len(), result.values.len());
    if timestamps != values {
        let text = format!("{of} has {timestamps} `Timestamps` and {values} `Values`");
        return Err(wrong(0, text));
    }
    let points = result.timestamps.iter().zip(&result.values).enumerate();
    let point = |(place, (text, value)): (usize, (&String, &f64))| {
        let at = instant(text);
        let at = at.map_err(|message| wrong(0, format!("{of}.Timestamps[{place}]: {message}")))?;
        Ok((at, *value, None))
    };
    points.map(point).collect()
}

fn query_range(answer: QueryRange) -> Result<Vec<Point>, Wrong> {
    if let Some(error) = answer.error {
        return Err(wrong(0, format!("the server refused: {error}")));
    }
    let Some(data) = answer.data else {
        return Err(wrong(0, "the answer has no `data`"));
    };
    if data.result_type != "matrix" {
        let text = format!(
            "the result is a `{}`, but a `matrix` is wanted, of `query_range`",
            data.result_type
        );
        return Err(wrong(0, text));
    }
    // Of a time without data a server has no series.
    if data.result.len() > 1 {
        return Err(several(data.result.len()));
    }
    let mut points = Vec::new();
    for series in data.result {
        let Series { values } = read(series)?;
        for (place, (seconds, value)) in values.into_iter().enumerate() {
            let of =
                |message: String| wrong(0, format!("data.result[0].values[{place}]: {message}"));
            let at = instant(&seconds.to_string()).map_err(of)?;
            let number = value.parse();
            let number = number.map_err(|_| of(format!("`{value}` is no number")))?;
            points.push((at, number, None));
        }
    }
    Ok(points)
}

/// A datapoint of get-metric-statistics: of the statistics in it that which the alarm reads.
fn statistic(datapoint: &Map<String, Value>, only: &Only) -> Result<Point, String> {
    let at = datapoint.get("Timestamp").and_then(Value::as_str);
    let at = instant(at.ok_or("it has no `Timestamp`")?)?;
    let unit = match datapoint.get("Unit").and_then(Value::as_str) {
        None => None,
        Some(name) => Some(Unit::from_name(name).ok_or_else(|| format!("`{name}` is no unit"))?),
    };
    let extended = datapoint
        .get("ExtendedStatistics")
        .and_then(Value::as_object);
    let numbers = datapoint.iter().chain(extended.into_iter().flatten());
    let mut numbers = numbers.filter_map(|(name, value)| Some((name, value.as_f64()?)));
    let value = match &only.statistic {
        Some(wanted) => {
            let wanted = wanted.to_string();
            let found = numbers.find(|(name, _)| **name == wanted);
            let (_, value) =
                found.ok_or_else(|| format!("it has no `{wanted}`, which the alarm reads"))?;
            value
        }
        None => match (numbers.next(), numbers.next()) {
            (Some((_, value)), None) => value,
            _ => return Err("it must have one statistic: ask for one".to_owned()),
        },
    };
    Ok((at, value, unit))
}

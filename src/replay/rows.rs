//! Histories as files: CSV, and what `aws cloudwatch get-metric-data`, `get-metric-statistics` and Prometheus' `query_range` print.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;

use crate::metric::{Content, Metric, Resolution, Timestamp, Unit};

use super::Row;

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

pub(super) fn wrong(line: u64, message: impl Into<String>) -> Wrong {
    Wrong {
        line,
        message: message.into(),
    }
}

/// The columns of a CSV file.
const COLUMNS: [&str; 4] = ["timestamp", "value", "metric", "unit"];

/// Rows of a CSV file with a header: `timestamp` and `value`, and `metric` and `unit` where they are not one for all.
pub struct Csv<R> {
    reader: csv::Reader<R>,
    record: csv::ByteRecord,
    /// The places of [`COLUMNS`].
    columns: [Option<usize>; 4],
    /// The unit of the first metric, which is that of rows that name none.
    unit: Option<Unit>,
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
    /// How far into the file they end.
    pub bytes: u64,
}

/// The metrics of the batches so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Arc<Metric>>);

impl Table {
    /// The rows of the next batch.
    pub fn rows(&mut self, batch: &mut Batch) -> impl Iterator<Item = Row> {
        self.0.append(&mut batch.metrics);
        batch.records.iter().map(|record| Row {
            at: record.at,
            metric: Arc::clone(&self.0[record.metric]),
            unit: record.unit,
            resolution: Resolution::Standard,
            content: Content::Value(record.value),
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
    /// `metric`: the one that the alarms read, if that is one only.
    pub fn new(input: R, metric: Option<(Arc<Metric>, Unit)>) -> Result<Self, Wrong> {
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
        if columns[2].is_none() && metric.is_none() {
            return Err(wrong(
                1,
                "the alarms read several metrics: the header must have `metric`, as `Namespace Name {Dimension=value}`",
            ));
        }
        Ok(Self {
            reader,
            record: csv::ByteRecord::new(),
            columns,
            known: HashMap::new(),
            metrics: metric
                .iter()
                .map(|(metric, _)| Arc::clone(metric))
                .collect(),
            handed_on: 0,
            unit: metric.map(|(_, unit)| unit),
        })
    }

    /// The next rows; `None` at the end.
    pub fn batch(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        batch.records.reserve_exact(BATCH_ROWS);
        while batch.records.len() + batch.wrong.len() < BATCH_ROWS {
            match self.next_record() {
                Some(Ok(record)) => batch.records.push(record),
                Some(Err(wrong)) => batch.wrong.push(wrong),
                None if batch.records.is_empty() && batch.wrong.is_empty() => return None,
                None => break,
            }
        }
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
                Ok(Some(row)) => return Some(Ok(row)),
                Err(message) => return Some(Err(wrong(line, message))),
            }
        }
    }

    fn row(&mut self) -> Result<Option<Record>, String> {
        let columns = self.columns;
        let field = |column: usize| -> Result<&str, String> {
            let bytes = columns[column]
                .and_then(|place| self.record.get(place))
                .unwrap_or_default();
            let text = std::str::from_utf8(bytes);
            text.map(str::trim)
                .map_err(|_| format!("`{}` is no text", COLUMNS[column]))
        };
        let (at, value) = (instant(field(0)?)?, field(1)?);
        if value.is_empty() || value.eq_ignore_ascii_case("nan") {
            return Ok(None);
        }
        let value: f64 = value
            .parse()
            .map_err(|_| format!("`value` is `{value}`, but must be a number"))?;
        let (metric, unit) = match (columns[2], self.unit) {
            (None, Some(unit)) => (0, unit),
            _ => {
                let text = field(2)?;
                let place = match self.known.get(text) {
                    Some(place) => *place,
                    None => {
                        let metric = Metric::from_notation(text).ok_or_else(|| format!("`metric` is `{text}`, but must be like `Namespace Name {{Dimension=value}}`"))?;
                        self.known.insert(text.to_owned(), self.metrics.len());
                        self.metrics.push(Arc::new(metric));
                        self.metrics.len() - 1
                    }
                };
                (place, Unit::NONE)
            }
        };
        let unit = match columns[3] {
            None => unit,
            Some(_) => {
                let name = field(3)?;
                Unit::from_name(name).ok_or_else(|| {
                    format!("`unit` is `{name}`, but must be a unit that CloudWatch knows")
                })?
            }
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
            Err(format!("`{text}` has no time zone; `{text}Z` is in UTC"))
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
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDataResult {
    timestamps: Vec<String>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStatistics {
    datapoints: Vec<HashMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct QueryRange {
    data: Matrix,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Matrix {
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

/// The rows of a JSON file, all of one metric, in order of time. Values are taken as they are: of a statistic of periods as one
/// sample for each.
pub fn json_rows(text: &str, metric: &Arc<Metric>, unit: Unit) -> Result<Vec<Row>, Wrong> {
    let mut points = points(text)?;
    points.sort_by_key(|(at, _)| *at);
    let row = |(at, value): (Timestamp, f64)| Row {
        at,
        metric: Arc::clone(metric),
        unit,
        resolution: Resolution::Standard,
        content: Content::Value(value),
    };
    Ok(points
        .into_iter()
        .filter(|(_, value)| value.is_finite())
        .map(row)
        .collect())
}

fn points(text: &str) -> Result<Vec<(Timestamp, f64)>, Wrong> {
    let at = |text: &str| instant(text).map_err(|message| wrong(0, message));
    let one = |count: usize| match count {
        1 => Ok(()),
        many => Err(wrong(
            0,
            format!("{many} series are in it, but one is wanted"),
        )),
    };
    if let Ok(data) = serde_json::from_str::<MetricData>(text) {
        one(data.metric_data_results.len())?;
        let results = data.metric_data_results.into_iter();
        let points = results.flat_map(|result| result.timestamps.into_iter().zip(result.values));
        return points
            .map(|(text, value)| Ok((at(&text)?, value)))
            .collect();
    }
    if let Ok(data) = serde_json::from_str::<MetricStatistics>(text) {
        return data.datapoints.iter().map(statistic).collect();
    }
    match serde_json::from_str::<QueryRange>(text) {
        Ok(QueryRange { data }) if data.result_type == "matrix" => {
            one(data.result.len())?;
            let values = data.result.into_iter().flat_map(|series| series.values);
            let point = |(seconds, value): (f64, String)| {
                let value = value
                    .parse()
                    .map_err(|_| wrong(0, format!("`{value}` is no number")))?;
                Ok((at(&seconds.to_string())?, value))
            };
            values.map(point).collect()
        }
        Ok(QueryRange { data }) => Err(wrong(
            0,
            format!(
                "the result is a `{}`, but a `matrix` is wanted, of `query_range`",
                data.result_type
            ),
        )),
        Err(error) => {
            let line = u64::try_from(error.line()).unwrap_or(0);
            Err(wrong(
                line,
                format!(
                    "this is neither what `get-metric-data`, `get-metric-statistics` nor `query_range` print ({error})"
                ),
            ))
        }
    }
}

/// A datapoint of get-metric-statistics has one statistic that was asked for.
fn statistic(datapoint: &HashMap<String, serde_json::Value>) -> Result<(Timestamp, f64), Wrong> {
    let at = datapoint
        .get("Timestamp")
        .and_then(serde_json::Value::as_str);
    let at = at.ok_or_else(|| wrong(0, "a datapoint has no `Timestamp`"))?;
    let mut numbers = datapoint.values().filter_map(serde_json::Value::as_f64);
    match (numbers.next(), numbers.next()) {
        (Some(value), None) => Ok((instant(at).map_err(|message| wrong(0, message))?, value)),
        _ => Err(wrong(
            0,
            "each datapoint must have one statistic: ask for one",
        )),
    }
}

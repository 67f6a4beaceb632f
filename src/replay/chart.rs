//! What an alarm saw and did, as a picture.
//!
//! A history of any length comes to so many columns: when they are full, each two become one.

use std::fmt::Write as _;

use crate::alarm::{StateValue, Status};
use crate::metric::Timestamp;

use super::svg::{self, Scale, escaped};

/// Columns, at most.
const COLUMNS_MAX: usize = 1_024;

/// What happened in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column {
    /// The lowest and the highest sample.
    samples: Option<(f64, f64)>,
    /// The lowest and the highest datapoint that was judged, of those that did not breach and of those that did.
    judged: Option<(f64, f64)>,
    breaching: Option<(f64, f64)>,
    /// The state at the end, where it changed, and whether ALARM was among those before.
    state: Option<StateValue>,
    was_alarm: bool,
}

impl Column {
    fn and(self, later: Self) -> Self {
        Self {
            samples: either(self.samples, later.samples),
            judged: either(self.judged, later.judged),
            breaching: either(self.breaching, later.breaching),
            state: later.state.or(self.state),
            was_alarm: self.was_alarm || later.was_alarm,
        }
    }
}

fn either(a: Option<(f64, f64)>, b: Option<(f64, f64)>) -> Option<(f64, f64)> {
    match (a, b) {
        (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
        (a, b) => a.or(b),
    }
}

/// The picture of one alarm, while it is replayed.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    threshold: Option<f64>,
    start: Timestamp,
    end: Timestamp,
    /// Seconds that a column stands for.
    width: i64,
    columns: Vec<Column>,
    /// Up to where datapoints were judged.
    judged_until: Timestamp,
}

impl Chart {
    pub(super) fn new(title: &str, threshold: Option<f64>, start: Timestamp) -> Self {
        Self {
            title: title.to_owned(),
            threshold,
            start,
            end: start,
            width: 60,
            columns: Vec::new(),
            judged_until: Timestamp::MIN,
        }
    }

    pub(super) fn sample(&mut self, at: Timestamp, low: f64, high: f64) {
        if let Some(column) = self.column(at) {
            column.samples = either(column.samples, Some((low, high)));
        }
    }

    /// Takes up where the alarm stands after it was judged.
    pub(super) fn status(&mut self, status: &Status) {
        let (Some(evaluation), Some(rule)) = (&status.evaluation, status.alarm.metric_rule())
        else {
            return;
        };
        let until = self.judged_until;
        for point in evaluation.points.iter().filter(|point| point.start > until) {
            let is_breaching =
                |value| rule.comparison.is_breaching(value, point.band) == Some(true);
            let Some(column) = self.column(point.start) else {
                continue;
            };
            let Some(value) = point.value else {
                continue;
            };
            let range = match is_breaching(value) {
                true => &mut column.breaching,
                false => &mut column.judged,
            };
            *range = either(*range, Some((value, value)));
        }
        let newest = evaluation.points.iter().map(|point| point.start).max();
        self.judged_until = until.max(newest.unwrap_or(until));
    }

    pub(super) fn state(&mut self, at: Timestamp, state: StateValue) {
        if let Some(column) = self.column(at) {
            column.state = Some(state);
            column.was_alarm |= state == StateValue::Alarm;
        }
    }

    pub(super) fn end(&mut self, at: Timestamp) {
        self.column(at);
        self.end = self.end.max(at);
    }

    /// The column of that time; none of what was before the start.
    fn column(&mut self, at: Timestamp) -> Option<&mut Column> {
        let place = |width: i64, start: Timestamp| usize::try_from((at - start) / width).ok();
        if at < self.start {
            return None;
        }
        self.end = self.end.max(at);
        while place(self.width, self.start)? >= COLUMNS_MAX {
            self.halve();
        }
        let place = place(self.width, self.start)?;
        if self.columns.len() <= place {
            self.columns.resize(place + 1, Column::default());
        }
        self.columns.get_mut(place)
    }

    fn halve(&mut self) {
        let merged = self.columns.chunks(2).map(|pair| match pair {
            [one, two] => one.and(*two),
            [one] => *one,
            _ => Column::default(),
        });
        self.columns = merged.collect();
        self.width *= 2;
    }

    /// The lowest and the highest value in it, with some room.
    fn bounds(&self) -> (f64, f64) {
        let values = self.columns.iter();
        let values = values.flat_map(|column| [column.samples, column.judged, column.breaching]);
        let all = values.fold(self.threshold.map(|at| (at, at)), either);
        let (low, high) = all.unwrap_or((0.0, 1.0));
        let (low, high) = (low.max(-FARTHEST), high.min(FARTHEST));
        // Values that lie so close together that their distance is lost in them get room around them.
        let room = low.abs().max(high.abs()) * 1e-9;
        match high - low {
            span if span <= room => (low - room.max(1.0), high + room.max(1.0)),
            // From zero where that is near.
            span if low >= 0.0 && low < span => (0.0, high + span * 0.05),
            span => (low - span * 0.05, high + span * 0.05),
        }
    }
}

/// What is farther away is drawn there.
const FARTHEST: f64 = 1e300;

const GREEN: &str = "#2e7d32";
const RED: &str = "#c62828";
const GREY: &str = "#9e9e9e";

fn color(state: StateValue) -> &'static str {
    match state {
        StateValue::Ok => GREEN,
        StateValue::Alarm => RED,
        StateValue::InsufficientData => GREY,
    }
}

/// The charts, one below the other: the samples as a grey range, the datapoints that were judged in blue, or red where they
/// breached, the threshold, and the state as a band.
pub fn svg(charts: &[Chart]) -> String {
    let height = svg::PANEL_HEIGHT * u32::try_from(charts.len()).unwrap_or(1);
    let mut text = svg::head(height);
    for (chart, place) in charts.iter().zip(0..) {
        let _ = writeln!(
            text,
            "<g transform=\"translate(0 {})\">",
            svg::PANEL_HEIGHT * place
        );
        panel(chart, &mut text);
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

fn panel(chart: &Chart, text: &mut String) {
    let scale = Scale::new(chart.start, chart.end, chart.bounds());
    svg::title(&chart.title, text);
    svg::axes(&scale, text);
    samples(chart, &scale, text);
    judged(chart, &scale, text);
    if let Some(threshold) = chart.threshold {
        let y = scale.y(threshold);
        let (left, right) = (svg::LEFT, svg::RIGHT);
        let _ = writeln!(
            text,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"{RED}\" stroke-dasharray=\"6 4\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" fill=\"{RED}\">threshold {}</text>",
            left + 4.0,
            y - 4.0,
            escaped(&threshold.to_string())
        );
    }
    band(chart, &scale, text);
    legend(text);
}

fn samples(chart: &Chart, scale: &Scale, text: &mut String) {
    let mut path = String::new();
    for (low, high, x) in ranges(chart, scale, |column| column.samples) {
        let (top, bottom) = (scale.y(high), scale.y(low));
        // One value alone is a line of no length, which is drawn round.
        let _ = write!(path, "M{x:.1} {top:.1}V{bottom:.1}");
    }
    let wide = column_width(chart, scale);
    let _ = writeln!(
        text,
        "<path d=\"{path}\" stroke=\"#b0bec5\" stroke-width=\"{wide:.1}\" stroke-linecap=\"round\"/>"
    );
}

/// A range of values in a column.
type Of = fn(&Column) -> Option<(f64, f64)>;

fn judged(chart: &Chart, scale: &Scale, text: &mut String) {
    let wide = column_width(chart, scale).max(2.0);
    let ways: [(Of, &str); 2] = [
        (|column| column.judged, "#1565c0"),
        (|column| column.breaching, RED),
    ];
    for (of, color) in ways {
        let mut path = String::new();
        for (low, high, x) in ranges(chart, scale, of) {
            let (top, bottom) = (scale.y(high), scale.y(low));
            let _ = write!(path, "M{x:.1} {top:.1}V{bottom:.1}");
        }
        let _ = writeln!(
            text,
            "<path d=\"{path}\" stroke=\"{color}\" stroke-width=\"{wide:.1}\" stroke-linecap=\"round\"/>"
        );
    }
}

/// The low, the high and the place of each column that has some.
fn ranges(
    chart: &Chart,
    scale: &Scale,
    of: impl Fn(&Column) -> Option<(f64, f64)>,
) -> Vec<(f64, f64, f64)> {
    let half = chart.width / 2;
    let range = |(column, at): (&Column, Timestamp)| {
        of(column).map(|(low, high)| (low, high, scale.x(at + half)))
    };
    chart
        .columns
        .iter()
        .zip(times(chart))
        .filter_map(range)
        .collect()
}

/// When each column begins.
fn times(chart: &Chart) -> impl Iterator<Item = Timestamp> {
    let (start, width) = (chart.start, chart.width);
    (0..).map(move |place: i64| start + place * width)
}

fn column_width(chart: &Chart, scale: &Scale) -> f64 {
    let wide = scale.x(chart.start + chart.width) - scale.x(chart.start);
    wide.clamp(1.0, 4.0)
}

/// The state in each column, an ALARM however short it was.
fn band(chart: &Chart, scale: &Scale, text: &mut String) {
    let mut state = StateValue::InsufficientData;
    let mut parts: Vec<(StateValue, Timestamp)> = Vec::new();
    for (column, at) in chart.columns.iter().zip(times(chart)) {
        let shown = match column.was_alarm {
            true => StateValue::Alarm,
            false => column.state.unwrap_or(state),
        };
        if parts.last().is_none_or(|(before, _)| *before != shown) {
            parts.push((shown, at));
        }
        state = column.state.unwrap_or(state);
    }
    let ends = parts.iter().skip(1).map(|(_, at)| *at);
    let ends: Vec<Timestamp> = ends.chain([chart.end]).collect();
    for ((state, from), to) in parts.iter().zip(ends) {
        let (x, wide) = (scale.x(*from), scale.x(to) - scale.x(*from));
        let (top, color) = (svg::BAND_TOP, color(*state));
        let _ = writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{wide:.1}\" height=\"16\" fill=\"{color}\"><title>{state} from {from}</title></rect>"
        );
    }
}

fn legend(text: &mut String) {
    let entries = [
        ("#b0bec5", "samples"),
        ("#1565c0", "datapoints judged"),
        (RED, "breaching, ALARM"),
        (GREEN, "OK"),
        (GREY, "INSUFFICIENT_DATA"),
    ];
    svg::legend(&entries, text);
}

//! The parts that pictures are made of.

use std::fmt::Write as _;

use crate::metric::Timestamp;

/// A panel with its title, its plot, its band and its legend.
pub(super) const PANEL_HEIGHT: u32 = 420;
pub(super) const WIDTH: u32 = 1_000;

/// The edges of the plot.
pub(super) const LEFT: f64 = 70.0;
pub(super) const RIGHT: f64 = 980.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 320.0;
pub(super) const BAND_TOP: f64 = 348.0;

/// About so many marks on an axis.
const MARKS: f64 = 6.0;

pub(super) fn head(height: u32) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"none\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    )
}

pub(super) fn title(title: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"bold\" fill=\"black\">{}</text>",
        escaped(title)
    );
}

pub(super) fn legend(entries: &[(&str, &str)], text: &mut String) {
    let mut x = LEFT;
    for (color, what) in entries {
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"398\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"408\" fill=\"black\">{what}</text>",
            x + 15.0
        );
        x += 40.0 + 7.0 * float(what.len());
    }
}

/// Where times and values are in the plot.
#[derive(Debug)]
pub(super) struct Scale {
    start: Timestamp,
    end: Timestamp,
    low: f64,
    high: f64,
}

impl Scale {
    pub(super) fn new(start: Timestamp, end: Timestamp, (low, high): (f64, f64)) -> Self {
        Self {
            start,
            end: end.max(start + 60),
            low,
            high,
        }
    }

    pub(super) fn x(&self, at: Timestamp) -> f64 {
        let share = seconds(at - self.start) / seconds(self.end - self.start);
        LEFT + (RIGHT - LEFT) * share.clamp(0.0, 1.0)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// More lines than there can be at round values.
const LINES_MAX: usize = 32;

/// Lines and words at round values and times.
pub(super) fn axes(scale: &Scale, text: &mut String) {
    let step = round_step((scale.high - scale.low) / MARKS);
    let first = (scale.low / step).ceil();
    for place in 0..LINES_MAX {
        // 0.1 + 0.2 is 0.3 here.
        let value = (first + float(place)) * step;
        if value > scale.high {
            break;
        }
        let y = scale.y(value);
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#eceff1\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#546e7a\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            short(value, step)
        );
    }
    let step = time_step((scale.end - scale.start) / 6);
    let mut at = scale.start.ceil(step);
    while at <= scale.end {
        let x = scale.x(at);
        let label = time_label(at, step);
        let _ = writeln!(
            text,
            "<path d=\"M{x:.1} {BOTTOM}v5\" stroke=\"#546e7a\"/><text x=\"{x:.1}\" y=\"338\" text-anchor=\"middle\" fill=\"#546e7a\">{label}</text>"
        );
        at = at + step;
    }
    let _ = writeln!(
        text,
        "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" stroke=\"#546e7a\"/>"
    );
}

/// 1, 2 or 5 and zeros, at least that much.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.abs().max(f64::MIN_POSITIVE).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(power * 10.0)
}

/// As many digits as the step has.
fn short(value: f64, step: f64) -> String {
    if !(1e-6..1e9).contains(&step) {
        return format!("{value:e}");
    }
    let digits = match step {
        1.0.. => 0,
        0.1.. => 1,
        0.01.. => 2,
        0.001.. => 3,
        _ => 6,
    };
    format!("{value:.digits$}")
}

fn time_step(least: i64) -> i64 {
    const STEPS: [i64; 14] = [
        60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800, 604_800,
        1_209_600, 2_592_000,
    ];
    let found = STEPS.into_iter().find(|step| *step >= least);
    found.unwrap_or_else(|| (least / 2_592_000 + 1) * 2_592_000)
}

/// `01-05 12:00`, or the day alone.
fn time_label(at: Timestamp, step: i64) -> String {
    let text = at.to_string();
    let (day, time) = (text.get(5..10), text.get(11..16));
    match step {
        86_400.. => text.get(..10).unwrap_or_default().to_owned(),
        _ => format!("{} {}", day.unwrap_or_default(), time.unwrap_or_default()),
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[expect(clippy::cast_precision_loss, reason = "places in a picture")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a few years")]
fn seconds(count: i64) -> f64 {
    count as f64
}

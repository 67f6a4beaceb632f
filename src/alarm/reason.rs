//! Why an alarm is in its state, in CloudWatch's words: SPEC section 6.

use std::fmt::{self, Write as _};

use crate::metric::Timestamp;

use super::decision::Terms;
use super::number::JavaDouble;
use super::{Band, BandOperator, Basis, Comparison, Point, StateValue, TreatMissingData};

/// From this many datapoints on, a reason lists only the newest ones.
const LISTED_MAX: usize = 5;

/// The most contributors that are counted; more are "100+" (SPEC section 6.3).
const CONTRIBUTORS_COUNTED_MAX: usize = 100;

/// What CloudWatch writes on a new alarm (SPEC section 5.7).
pub const INITIAL: &str = "Unchecked: Initial alarm creation";

/// Whether a reason is one of those that CloudWatch writes itself (SPEC section 6.3), and not what somebody gave who set the
/// state by hand.
pub fn is_computed(reason: &str) -> bool {
    let starts = [
        "Threshold Crossed:",
        "Thresholds Crossed:",
        "Insufficient Data:",
        "Unchecked:",
    ];
    let parts = [
        " evaluated to ALARM",
        " its alarm rule evaluates to ",
        " transitioned to ",
        VANISHED,
    ];
    starts.iter().any(|start| reason.starts_with(start))
        || parts.iter().any(|part| reason.contains(part))
}

/// What it writes of a contributor that a query no longer returns.
pub(super) const VANISHED: &str = "No data was returned for this contributor";

/// What a reason says of the alarm itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wording<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) terms: Terms,
    /// Whether the definition sets M: then the reason tells it.
    pub(super) tells_minimum: bool,
    /// `datapoints`, or `query results` for a log alarm.
    pub(super) noun: &'static str,
}

impl<'a> Wording<'a> {
    /// The state reason for entering `state` on these datapoints, newest first.
    pub(super) fn text(&self, state: StateValue, points: &[Point], basis: Basis) -> String {
        if state == StateValue::InsufficientData {
            let unknown = Counted(self.terms.n, "datapoint");
            return format!("Insufficient Data: {unknown} unknown.");
        }
        let crossed = self.crossed(state, points, basis);
        match crossed.count {
            0 => crossed.without_datapoints(),
            _ => crossed.with_datapoints(),
        }
    }

    /// Why one of several series is in its state: always with the datapoints last, and without a minimum (SPEC section 6.3).
    pub(super) fn contributor(&self, state: StateValue, points: &[Point], basis: Basis) -> String {
        let short = Wording {
            tells_minimum: false,
            ..*self
        };
        let crossed = short.crossed(state, points, basis);
        match crossed.count {
            0 => short.text(state, points, basis),
            _ => crossed.of_contributor(),
        }
    }

    /// The datapoints used that are on the side of the new state.
    fn crossed<'p>(&self, state: StateValue, points: &'p [Point], basis: Basis) -> Crossed<'p>
    where
        'a: 'p,
    {
        let to_alarm = state == StateValue::Alarm;
        let existing = points.iter().filter(|point| point.value.is_some());
        let is_crossing = |point: &&Point| {
            let value = point.value.unwrap_or(f64::NAN);
            self.comparison.is_breaching(value, point.band) == Some(to_alarm)
        };
        let crossing = existing.take(basis.used).filter(is_crossing);
        Crossed {
            count: crossing.clone().count(),
            newest: crossing.take(LISTED_MAX).collect(),
            wording: *self,
            to_alarm,
            basis,
        }
    }
}

/// Datapoints that crossed the threshold, one way or the other.
struct Crossed<'a> {
    wording: Wording<'a>,
    to_alarm: bool,
    basis: Basis,
    count: usize,
    /// The newest of them, which are listed.
    newest: Vec<&'a Point>,
}

impl Crossed<'_> {
    fn without_datapoints(&self) -> String {
        let periods = Plural(self.wording.terms.n, "period");
        let filled = Filled(self);
        match self.basis.used {
            0 => format!("Threshold Crossed: no datapoints were received for {periods}{filled}."),
            used => {
                let received = Counted(used, "datapoint");
                format!("Threshold Crossed: {received} received for {periods}{filled}.")
            }
        }
    }

    fn with_datapoints(&self) -> String {
        let verb = was(self.count);
        let (subject, list) = (Subject(self), List(&self.newest));
        let (compared, filled, minimum) = (Compared(self), Filled(self), Minimum(self));
        let thresholds = match self.wording.comparison {
            Comparison::Threshold { .. } => "Threshold",
            Comparison::Band { .. } => "Thresholds",
        };
        if self.count < LISTED_MAX {
            return sentence(format_args!(
                "{thresholds} Crossed: {subject} {list} {verb} {compared}{filled}{minimum}."
            ));
        }
        sentence(format_args!(
            "{thresholds} Crossed: {subject} {verb} {compared}{filled}. The most recent datapoints which crossed the threshold: {list}{minimum}."
        ))
    }

    fn of_contributor(&self) -> String {
        let counted = Counted(self.count, "datapoint");
        let (compared, filled, list) = (Compared(self), Filled(self), List(&self.newest));
        let datapoints = if self.count == 1 {
            "datapoint"
        } else {
            "datapoints"
        };
        format!(
            "Threshold Crossed: {counted} {compared}{filled}. The most recent {datapoints} which crossed the threshold: {list}."
        )
    }
}

/// Longer than most reasons are, so that one is written without moving it.
const REASON_LENGTH: usize = 256;

fn sentence(parts: fmt::Arguments<'_>) -> String {
    let mut sentence = String::with_capacity(REASON_LENGTH);
    // Writing into a string cannot fail.
    let _ = sentence.write_fmt(parts);
    sentence
}

/// `2 out of the last 3 datapoints`, or `2 datapoints` where the definition does not set M.
struct Subject<'a>(&'a Crossed<'a>);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crossed { wording, count, .. } = self.0;
        if wording.tells_minimum {
            let Terms { n, .. } = wording.terms;
            write!(f, "{count} out of the last {n} {}", wording.noun)
        } else {
            Plural(*count, "datapoint").fmt(f)
        }
    }
}

/// `greater than the threshold (50.0)`, `not less than the lower thresholds [0.5]`.
struct Compared<'a>(&'a Crossed<'a>);

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.0.to_alarm { "" } else { "not " };
        let lower = Bounds(&self.0.newest, |band| band.lower);
        let upper = Bounds(&self.0.newest, |band| band.upper);
        match self.0.wording.comparison {
            Comparison::Threshold {
                operator,
                threshold,
            } => {
                let (words, threshold) = (operator.words(), JavaDouble(*threshold));
                write!(f, "{not}{words} the threshold ({threshold})")
            }
            Comparison::Band { operator, .. } => match operator {
                BandOperator::LessThanLowerOrGreaterThanUpperThreshold => write!(
                    f,
                    "{not}less than the lower thresholds {lower} or {not}greater than the upper thresholds {upper}"
                ),
                BandOperator::LessThanLowerThreshold => {
                    write!(f, "{not}less than the lower thresholds {lower}")
                }
                BandOperator::GreaterThanUpperThreshold => {
                    write!(f, "{not}greater than the upper thresholds {upper}")
                }
            },
        }
    }
}

/// One side of the bands that the datapoints were compared with: `[0.5, 0.5]`.
struct Bounds<'a>(&'a [&'a Point], fn(&Band) -> f64);

impl fmt::Display for Bounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bands = self.0.iter().filter_map(|point| point.band.as_ref());
        bracketed(f, bands.map(|band| JavaDouble(self.1(band))))
    }
}

/// ` and 1 missing datapoint was treated as [Breaching]`, if any was.
struct Filled<'a>(&'a Crossed<'a>);

impl fmt::Display for Filled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let treated = match self.0.wording.terms.treatment {
            TreatMissingData::Breaching => "Breaching",
            TreatMissingData::NotBreaching => "NonBreaching",
            TreatMissingData::Missing | TreatMissingData::Ignore => return Ok(()),
        };
        match self.0.basis.filled {
            0 => Ok(()),
            filled => {
                let missing = Counted(filled, "missing datapoint");
                write!(f, " and {missing} treated as [{treated}]")
            }
        }
    }
}

/// M for the way to ALARM, N − M + 1 for the way back; only where the definition sets M.
struct Minimum<'a>(&'a Crossed<'a>);

impl fmt::Display for Minimum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crossed {
            wording, to_alarm, ..
        } = self.0;
        if !wording.tells_minimum {
            return Ok(());
        }
        let Terms { n, m, .. } = wording.terms;
        let (minimum, way) = match to_alarm {
            true => (m, "OK -> ALARM"),
            false => (n.saturating_sub(m) + 1, "ALARM -> OK"),
        };
        let minimum = Plural(minimum, "datapoint");
        write!(f, " (minimum {minimum} for {way} transition)")
    }
}

/// `[21.5 (25/09/26 21:51:00), …]`, newest first.
struct List<'a>(&'a [&'a Point]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bracketed(f, self.0.iter().map(|point| Dated(point)))
    }
}

struct Dated<'a>(&'a Point);

impl fmt::Display for Dated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { start, value, .. } = self.0;
        let value = JavaDouble(value.unwrap_or(f64::NAN));
        write!(f, "{value} ({})", start.in_reason())
    }
}

fn bracketed(
    f: &mut fmt::Formatter<'_>,
    parts: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    f.write_str("[")?;
    for (i, part) in parts.enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{part}")?;
    }
    f.write_str("]")
}

/// `1 datapoint was`, `2 datapoints were`.
struct Counted(usize, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Plural(self.0, self.1), was(self.0))
    }
}

/// `1 datapoint`, `2 datapoints`.
struct Plural(usize, &'static str);

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{s}", self.0, self.1)
    }
}

fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// Of a Metrics Insights alarm: `6 out of 6 time series evaluated to ALARM`. `noun` is `contributors` for a log alarm.
pub(super) fn of_contributors(in_alarm: usize, all: usize, noun: &str) -> String {
    match in_alarm > CONTRIBUTORS_COUNTED_MAX {
        true => format!("{CONTRIBUTORS_COUNTED_MAX}+ {noun} evaluated to ALARM"),
        false => format!("{in_alarm} out of {all} {noun} evaluated to ALARM"),
    }
}

/// Of a PromQL alarm: `95 time series evaluated to ALARM`.
pub(super) fn of_returned(in_alarm: usize) -> String {
    match in_alarm > CONTRIBUTORS_COUNTED_MAX {
        true => format!("{CONTRIBUTORS_COUNTED_MAX}+ time series evaluated to ALARM"),
        false => format!("{in_alarm} time series evaluated to ALARM"),
    }
}

/// Of a composite alarm that was evaluated for the first time.
pub(super) fn of_created(arn: &str, state: StateValue) -> String {
    format!("{arn} was created and its alarm rule evaluates to {state}")
}

/// Of a composite alarm that was evaluated because its rule was replaced; the text is ours.
pub(super) fn of_updated(arn: &str, state: StateValue) -> String {
    format!("{arn} was updated and its alarm rule evaluates to {state}")
}

/// Of a composite alarm whose state a child has changed.
pub(super) fn of_child(arn: &str, state: StateValue, at: Timestamp) -> String {
    format!(
        "{arn} transitioned to {state} at {}",
        at.in_composite_reason()
    )
}

#[cfg(test)]
mod tests;

//! What expressions are evaluated over, and what they yield.

use crate::metric::{Period, Timestamp};

/// One value or none for every slot of a table, oldest first.
///
/// A missing value is kept as NaN, eight bytes like any other, so that the work per slot is one operation on a flat
/// buffer. Nothing else is lost by that: no result of metric math is NaN or infinite (SPEC section 8.2).
#[derive(Clone, Debug, Default)]
pub struct Series(pub(super) Vec<f64>);

impl Series {
    pub fn missing(slots: usize) -> Self {
        Self::constant(slots, f64::NAN)
    }

    pub(super) fn constant(slots: usize, value: f64) -> Self {
        Self(vec![value; slots])
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no slot has a value.
    pub fn has_no_point(&self) -> bool {
        self.0.iter().all(|value| value.is_nan())
    }

    /// The value of a slot, oldest first; `None` if it is missing or there is no such slot.
    pub fn get(&self, slot: usize) -> Option<f64> {
        self.0.get(slot).copied().filter(|value| !value.is_nan())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.0
            .iter()
            .map(|&value| (!value.is_nan()).then_some(value))
    }

    /// The values of the slots that have one.
    pub(super) fn points(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.0.iter().copied().filter(|value| !value.is_nan())
    }
}

/// A value that is not finite is taken for missing.
impl FromIterator<Option<f64>> for Series {
    fn from_iter<I: IntoIterator<Item = Option<f64>>>(values: I) -> Self {
        let values = values.into_iter();
        Self(
            values
                .map(|value| finite(value.unwrap_or(f64::NAN)))
                .collect(),
        )
    }
}

/// Missing slots are equal to each other.
impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The same value, or missing if there is no such number: that is how a point is dropped (SPEC section 8.2).
pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

/// One series of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct Labeled {
    /// The query that the series came from, if it is still one that has an id: `[m1, m2 * 2]` gives one and none.
    pub id: Option<String>,
    pub series: Series,
}

/// The result of an expression.
#[derive(Clone, Debug)]
pub enum Value {
    /// NaN if there is no such number, such as the average of a series without points.
    Scalar(f64),
    Series(Series),
    Array(Vec<Labeled>),
}

/// A scalar that is no number is equal to itself, as a missing point is.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::Series(a), Self::Series(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            _ => false,
        }
    }
}

/// The range of expected values of an anomaly detector, supplied from outside (SPEC section 9).
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    pub lower: Series,
    pub upper: Series,
}

/// Aligned series of metrics. All of them have one slot for each of `starts`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Of the slots, oldest first.
    pub starts: &'a [Timestamp],
    pub period: Period,
    /// One for each query that is a metric, in the order in which they were declared.
    pub metrics: &'a [Series],
    /// What `ANOMALY_DETECTION_BAND` yields, whatever its arguments: an alarm has at most one band.
    pub band: Option<&'a Band>,
}

impl Table<'_> {
    /// Whether there are as many metrics as `metrics` and every series has as many slots as there are starts.
    pub(super) fn has_shape(&self, metrics: usize) -> bool {
        let band = self
            .band
            .into_iter()
            .flat_map(|band| [&band.lower, &band.upper]);
        let mut all = self.metrics.iter().chain(band);
        self.metrics.len() == metrics && all.all(|series| series.len() == self.starts.len())
    }
}

//! Functions that make one number of a series, or one series of an array, slot by slot (SPEC section 8.3).
//!
//! Of the datapoints of a series only those that exist count. In an array a missing point counts as 0 for `AVG`, as the
//! documents say, and for no other function, of which they say nothing. A slot that no series has a point in has no
//! result.

use super::{EvaluationError, Item, Named, exact};
use crate::math::function::Keyword;
use crate::math::series::{Series, finite};

pub(super) fn sum(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(item, slots, total, sum_of)
}

pub(super) fn maximum(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(
        item,
        slots,
        |series| extreme(series, f64::max),
        |array, slots| fold(array, slots, f64::max),
    )
}

pub(super) fn minimum(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(
        item,
        slots,
        |series| extreme(series, f64::min),
        |array, slots| fold(array, slots, f64::min),
    )
}

pub(super) fn average(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(item, slots, mean, |array, slots| {
        let count = exact(array.len());
        let mut sum = sum_of(array, slots);
        sum.0.iter_mut().for_each(|value| *value /= count);
        sum
    })
}

pub(super) fn deviation(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(
        item,
        slots,
        |series| spread(series.points()),
        |array, slots| {
            let slot = |slot| spread(array.iter().filter_map(move |named| named.series.get(slot)));
            Series((0..slots).map(slot).collect())
        },
    )
}

/// Where no series has a point there is none to tell of, rather than the number 0.
pub(super) fn count(item: Item<'_>, slots: usize) -> Result<Item<'_>, EvaluationError> {
    reduce(
        item,
        slots,
        |series| exact(series.points().count()),
        points_per_slot,
    )
}

/// What `SORT` compares series by; NaN for a series without points.
pub(super) fn key(by: Keyword, series: &Series) -> Result<f64, EvaluationError> {
    match by {
        Keyword::Avg => Ok(mean(series)),
        Keyword::Max => Ok(extreme(series, f64::max)),
        Keyword::Min => Ok(extreme(series, f64::min)),
        Keyword::Sum => Ok(total(series)),
        _ => Err(EvaluationError::Unchecked),
    }
}

fn reduce<'a>(
    item: Item<'a>,
    slots: usize,
    series: impl Fn(&Series) -> f64,
    array: impl Fn(Vec<Named<'a>>, usize) -> Series,
) -> Result<Item<'a>, EvaluationError> {
    match item {
        Item::Series(named) => Ok(Item::Scalar(finite(series(&named.series)))),
        Item::Array(named) => Ok(Item::from(array(named, slots))),
        _ => Err(EvaluationError::Unchecked),
    }
}

/// NaN, which means no number, for a series without points: there is nothing to add up.
fn total(series: &Series) -> f64 {
    let sum = series.points().reduce(|a, b| a + b);
    sum.unwrap_or(f64::NAN)
}

fn mean(series: &Series) -> f64 {
    total(series) / exact(series.points().count())
}

/// `f64::max` and `f64::min` pass over NaN.
fn extreme(series: &Series, better: impl Fn(f64, f64) -> f64) -> f64 {
    series.0.iter().copied().fold(f64::NAN, better)
}

/// The standard deviation. Its divisor is undocumented; this is that of a whole population, the number of points.
fn spread(points: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = exact(points.clone().count());
    let mean = points.clone().sum::<f64>() / count;
    let squares = points.map(|point| (point - mean).powi(2));
    finite((squares.sum::<f64>() / count).sqrt())
}

fn points_per_slot(array: Vec<Named<'_>>, slots: usize) -> Series {
    let mut counts = Series::missing(slots);
    for named in array {
        let pairs = counts.0.iter_mut().zip(&named.series.0);
        for (count, _) in pairs.filter(|(_, point)| !point.is_nan()) {
            *count = if count.is_nan() { 1.0 } else { *count + 1.0 };
        }
    }
    counts
}

fn sum_of(array: Vec<Named<'_>>, slots: usize) -> Series {
    fold(array, slots, |a, b| match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ => a + b,
    })
}

/// Folds every slot into the buffer of the first series; an array without series makes a series without points.
fn fold(array: Vec<Named<'_>>, slots: usize, f: impl Fn(f64, f64) -> f64) -> Series {
    let mut array = array.into_iter();
    let first = array.next().map(|named| named.series.into_owned());
    let mut folded = first.unwrap_or_else(|| Series::missing(slots));
    for named in array {
        let pairs = folded.0.iter_mut().zip(&named.series.0);
        pairs.for_each(|(a, &b)| *a = f(*a, b));
    }
    folded
        .0
        .iter_mut()
        .for_each(|value| *value = finite(*value));
    folded
}

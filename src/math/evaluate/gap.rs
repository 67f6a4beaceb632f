//! Functions that look from a point back to the one before it, or across a gap (SPEC section 8.3).

use std::borrow::Cow;

use super::{EvaluationError, Item, seconds};
use crate::math::function::Keyword;
use crate::math::series::{Series, finite};
use crate::metric::Timestamp;

pub(super) fn difference(item: Item<'_>) -> Result<Item<'_>, EvaluationError> {
    item.each(|series| successive(series, |before, after| after.value - before.value))
}

pub(super) fn seconds_between<'a>(
    item: Item<'a>,
    starts: &[Timestamp],
) -> Result<Item<'a>, EvaluationError> {
    item.each(|series| successive(series, |before, after| elapsed(starts, before, after)))
}

pub(super) fn rate<'a>(item: Item<'a>, starts: &[Timestamp]) -> Result<Item<'a>, EvaluationError> {
    item.each(|series| {
        successive(series, |before, after| {
            (after.value - before.value) / elapsed(starts, before, after)
        })
    })
}

/// A gap stays a gap, and the sum goes on behind it.
pub(super) fn running_sum(item: Item<'_>) -> Result<Item<'_>, EvaluationError> {
    item.each(|series| {
        let mut series = series.into_owned();
        let mut sum = 0.0;
        for value in series.0.iter_mut().filter(|value| !value.is_nan()) {
            sum += *value;
            *value = finite(sum);
        }
        series
    })
}

/// Fills gaps with a number, with the points of another series, or from the ends of the gap.
pub(super) fn fill<'a>(
    item: Item<'a>,
    filler: Item<'a>,
    starts: &[Timestamp],
) -> Result<Item<'a>, EvaluationError> {
    match filler {
        Item::Scalar(filler) => item.each(|series| filled(series, |_| filler)),
        Item::Series(filler) => item.each(|series| filled(series, |slot| filler.series.0[slot])),
        Item::Keyword(Keyword::Repeat) => {
            item.each(|series| bridged(series, |before, _, _| before.value))
        }
        Item::Keyword(Keyword::Linear) => item.each(|series| {
            bridged(series, |before, after, slot| {
                line(starts, before, after, slot)
            })
        }),
        _ => Err(EvaluationError::Unchecked),
    }
}

/// A value that exists.
#[derive(Clone, Copy)]
struct Point {
    slot: usize,
    value: f64,
}

fn elapsed(starts: &[Timestamp], before: Point, after: Point) -> f64 {
    seconds(starts[after.slot] - starts[before.slot])
}

/// What `f` makes of every point and the point before it. The first has none: whether AWS would look at older data than
/// it was asked for is undocumented.
fn successive(series: Cow<'_, Series>, f: impl Fn(Point, Point) -> f64) -> Series {
    let mut series = series.into_owned();
    let mut before: Option<Point> = None;
    for (slot, place) in series.0.iter_mut().enumerate() {
        let value = *place;
        if value.is_nan() {
            continue;
        }
        let after = Point { slot, value };
        *place = before.map_or(f64::NAN, |before| finite(f(before, after)));
        before = Some(after);
    }
    series
}

fn filled(series: Cow<'_, Series>, filler: impl Fn(usize) -> f64) -> Series {
    let mut series = series.into_owned();
    let places = series.0.iter_mut().enumerate();
    for (slot, place) in places.filter(|(_, place)| place.is_nan()) {
        *place = filler(slot);
    }
    series
}

/// Fills what lies between two points. What lies before the first or behind the last stays open, for the documents do
/// not say what would be put there.
fn bridged(series: Cow<'_, Series>, filler: impl Fn(Point, Point, usize) -> f64) -> Series {
    let mut series = series.into_owned();
    let mut before: Option<Point> = None;
    for slot in 0..series.0.len() {
        let value = series.0[slot];
        if value.is_nan() {
            continue;
        }
        let after = Point { slot, value };
        if let Some(before) = before {
            for between in before.slot + 1..slot {
                series.0[between] = finite(filler(before, after, between));
            }
        }
        before = Some(after);
    }
    series
}

fn line(starts: &[Timestamp], before: Point, after: Point, slot: usize) -> f64 {
    let part = Point { slot, value: 0.0 };
    let way = elapsed(starts, before, part);
    before.value + (after.value - before.value) * way / elapsed(starts, before, after)
}

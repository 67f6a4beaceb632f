//! Operators and the functions that look at one point at a time (SPEC section 8.2).

use std::borrow::Cow;

use super::{EvaluationError, Item};
use crate::math::expression::Operator;
use crate::math::series::{Series, finite};

/// Applies `f` to every point.
pub(super) fn map(item: Item<'_>, f: impl Fn(f64) -> f64) -> Result<Item<'_>, EvaluationError> {
    item.each(|series| points(series, &f))
}

pub(super) fn negate(item: Item<'_>) -> Result<Item<'_>, EvaluationError> {
    match item {
        Item::Scalar(scalar) => Ok(Item::Scalar(-scalar)),
        item => map(item, |value| -value),
    }
}

pub(super) fn binary<'a>(
    operator: Operator,
    left: Item<'a>,
    right: Item<'a>,
) -> Result<Item<'a>, EvaluationError> {
    match operator {
        Operator::Power => combine(left, right, f64::powf),
        Operator::Multiply => combine(left, right, |a, b| a * b),
        Operator::Divide => combine(left, right, |a, b| a / b),
        Operator::Add => combine(left, right, |a, b| a + b),
        Operator::Subtract => combine(left, right, |a, b| a - b),
        Operator::Equal => combine(left, right, |a, b| truth(equal(a, b))),
        Operator::NotEqual => combine(left, right, |a, b| truth(!equal(a, b))),
        Operator::LessOrEqual => combine(left, right, |a, b| truth(a <= b)),
        Operator::GreaterOrEqual => combine(left, right, |a, b| truth(a >= b)),
        Operator::Less => combine(left, right, |a, b| truth(a < b)),
        Operator::Greater => combine(left, right, |a, b| truth(a > b)),
        Operator::And => combine(left, right, |a, b| truth(is_true(a) && is_true(b))),
        Operator::Or => combine(left, right, |a, b| truth(is_true(a) || is_true(b))),
    }
}

/// Anything but 0 is true (SPEC section 8.4).
pub(super) fn is_true(value: f64) -> bool {
    value != 0.0
}

#[expect(
    clippy::float_cmp,
    reason = "`==` of metric math is not documented to allow for rounding"
)]
fn equal(a: f64, b: f64) -> bool {
    a == b
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// The pairs of operands that SPEC section 8.1 allows.
fn combine<'a>(
    left: Item<'a>,
    right: Item<'a>,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Item<'a>, EvaluationError> {
    match (left, right) {
        (Item::Scalar(a), Item::Scalar(b)) => Ok(Item::Scalar(point(a, b, &f))),
        (left, Item::Scalar(b)) => left.each(|series| points(series, |a| point(a, b, &f))),
        (Item::Scalar(a), right) => right.each(|series| points(series, |b| point(a, b, &f))),
        (Item::Series(left), Item::Series(right)) => {
            Ok(Item::from(pairs(left.series, right.series, f)))
        }
        (left @ Item::Array(_), Item::Series(right)) => {
            left.each(|series| pairs(series, Cow::Borrowed(&*right.series), &f))
        }
        (Item::Series(left), right @ Item::Array(_)) => {
            right.each(|series| pairs(Cow::Borrowed(&*left.series), series, &f))
        }
        _ => Err(EvaluationError::Unchecked),
    }
}

/// Of two numbers, one of which may be none.
fn point(a: f64, b: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        finite(f(a, b))
    }
}

/// Gaps stay gaps, also against a scalar: that a missing value counts as 0 is observed between two series only.
fn points(mut series: Cow<'_, Series>, f: impl Fn(f64) -> f64) -> Series {
    let value = |value: f64| {
        if value.is_nan() {
            value
        } else {
            finite(f(value))
        }
    };
    match &mut series {
        Cow::Borrowed(series) => Series(series.0.iter().map(|&point| value(point)).collect()),
        Cow::Owned(series) => {
            series.0.iter_mut().for_each(|point| *point = value(*point));
            std::mem::take(series)
        }
    }
}

/// A point that only one side has meets a 0; where neither has one there is no result.
fn pairs(left: Cow<'_, Series>, right: Cow<'_, Series>, f: impl Fn(f64, f64) -> f64) -> Series {
    let or_zero = |value: f64| if value.is_nan() { 0.0 } else { value };
    let value = |a: f64, b: f64| {
        let result = finite(f(or_zero(a), or_zero(b)));
        if a.is_nan() && b.is_nan() {
            f64::NAN
        } else {
            result
        }
    };
    match (left, right) {
        (Cow::Owned(mut left), right) => {
            let pairs = left.0.iter_mut().zip(&right.0);
            pairs.for_each(|(a, &b)| *a = value(*a, b));
            left
        }
        (left, Cow::Owned(mut right)) => {
            let pairs = left.0.iter().zip(&mut right.0);
            pairs.for_each(|(&a, b)| *b = value(a, *b));
            right
        }
        (left, right) => {
            let pairs = left.0.iter().zip(&right.0);
            Series(pairs.map(|(&a, &b)| value(a, b)).collect())
        }
    }
}

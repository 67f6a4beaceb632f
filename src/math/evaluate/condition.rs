//! `IF` (SPEC section 8.4).

use std::borrow::Cow;

use super::operator::is_true;
use super::{EvaluationError, Item, Operands};
use crate::math::series::Series;

/// Chooses slot by slot for a condition that is a series, and once for all slots if it is a scalar.
pub(super) fn choose<'a>(
    operands: &mut Operands<'a>,
    slots: usize,
) -> Result<Item<'a>, EvaluationError> {
    let condition = operands.next()?;
    let when_true = operands.next()?;
    let when_false = operands.next().unwrap_or(Item::Scalar(f64::NAN));
    match condition {
        Item::Scalar(condition) => whole(condition, when_true, when_false, slots),
        Item::Series(condition) => {
            let missing_false = missing_false(&when_true);
            let when_true = Branch::new(when_true, 0.0)?;
            let when_false = Branch::new(when_false, missing_false)?;
            Ok(Item::from(slotwise(
                condition.series,
                &when_true,
                &when_false,
            )))
        }
        _ => Err(EvaluationError::Unchecked),
    }
}

/// The whole of one value; nothing if the condition is no number.
fn whole<'a>(
    condition: f64,
    when_true: Item<'a>,
    when_false: Item<'a>,
    slots: usize,
) -> Result<Item<'a>, EvaluationError> {
    let chosen = match condition {
        condition if condition.is_nan() => Item::Scalar(f64::NAN),
        condition if is_true(condition) => when_true,
        _ => when_false,
    };
    match chosen {
        Item::Scalar(value) => Ok(Item::from(Series::constant(slots, value))),
        Item::Series(named) => Ok(Item::from(named.series.into_owned())),
        _ => Err(EvaluationError::Unchecked),
    }
}

/// What a false value counts as that is missing: 0 beside a series, as the documents of 2026 have it, but nothing
/// beside a scalar.
fn missing_false(when_true: &Item<'_>) -> f64 {
    match when_true {
        Item::Scalar(_) => f64::NAN,
        _ => 0.0,
    }
}

/// Where the condition has no point there is no result.
fn slotwise(condition: Cow<'_, Series>, when_true: &Branch<'_>, when_false: &Branch<'_>) -> Series {
    let mut chosen = condition.into_owned();
    let places = chosen.0.iter_mut().enumerate();
    for (slot, place) in places.filter(|(_, place)| !place.is_nan()) {
        let branch = if is_true(*place) {
            when_true
        } else {
            when_false
        };
        *place = branch.get(slot);
    }
    chosen
}

/// A value to choose.
enum Branch<'a> {
    Constant(f64),
    Points {
        series: Cow<'a, Series>,
        /// What stands for a missing point.
        missing: f64,
    },
}

impl<'a> Branch<'a> {
    fn new(item: Item<'a>, missing: f64) -> Result<Self, EvaluationError> {
        match item {
            Item::Scalar(value) => Ok(Self::Constant(value)),
            Item::Series(named) => Ok(Self::Points {
                series: named.series,
                missing,
            }),
            _ => Err(EvaluationError::Unchecked),
        }
    }

    fn get(&self, slot: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Points { series, missing } => series.get(slot).unwrap_or(*missing),
        }
    }
}

//! Functions that make, order or take apart arrays of series (SPEC section 8.3).

use std::cmp::Ordering;

use super::reduce::key;
use super::{EvaluationError, Item, Named, Operands};
use crate::math::function::Keyword;
use crate::math::series::Series;

/// The most series that brackets may put together. Twice what one request can ask for; without a bound a few
/// expressions that hold each other several times would fill any memory.
pub const ARRAY_MAX: usize = 1_000;

/// One flat array of series and arrays of series.
pub(super) fn concatenate(elements: Operands<'_>) -> Result<Item<'_>, EvaluationError> {
    let mut array = Vec::new();
    for element in elements.0 {
        match element {
            Item::Series(named) => array.push(named),
            Item::Array(nameds) => array.extend(nameds),
            _ => return Err(EvaluationError::Unchecked),
        }
        if array.len() > ARRAY_MAX {
            return Err(EvaluationError::Array);
        }
    }
    Ok(Item::Array(array))
}

/// A series without points if there is no series.
pub(super) fn first(array: Vec<Named<'_>>, slots: usize) -> Item<'_> {
    one(array.into_iter().next(), slots)
}

/// A series without points if there is no series.
pub(super) fn last(mut array: Vec<Named<'_>>, slots: usize) -> Item<'_> {
    one(array.pop(), slots)
}

fn one(named: Option<Named<'_>>, slots: usize) -> Item<'_> {
    match named {
        Some(named) => Item::Series(named),
        None => Item::from(Series::missing(slots)),
    }
}

pub(super) fn remove_empty(mut array: Vec<Named<'_>>) -> Item<'_> {
    array.retain(|named| !named.series.has_no_point());
    Item::Array(array)
}

/// From the first position, counted from 0, up to but not including the second; to the end without a second.
pub(super) fn slice<'a>(operands: &mut Operands<'a>) -> Result<Item<'a>, EvaluationError> {
    let mut array = operands.array()?;
    let start = position(operands.scalar()?);
    if let Some(end) = operands.optional_scalar()? {
        array.truncate(position(end));
    }
    array.drain(..start.min(array.len()));
    Ok(Item::Array(array))
}

/// Series that compare equal stay in the order they came in, and those without points come last in either order; the
/// documents speak of neither.
pub(super) fn sort<'a>(operands: &mut Operands<'a>) -> Result<Item<'a>, EvaluationError> {
    let array = operands.array()?;
    let (by, order) = (operands.keyword()?, operands.keyword()?);
    let limit = operands.optional_scalar()?;
    let keyed = array
        .into_iter()
        .map(|named| Ok((key(by, &named.series)?, named)));
    let mut keyed = keyed.collect::<Result<Vec<_>, EvaluationError>>()?;
    keyed.sort_by(|(a, _), (b, _)| {
        let values = match order {
            Keyword::Desc => b.partial_cmp(a),
            _ => a.partial_cmp(b),
        };
        a.is_nan()
            .cmp(&b.is_nan())
            .then(values.unwrap_or(Ordering::Equal))
    });
    if let Some(limit) = limit {
        keyed.truncate(position(limit));
    }
    Ok(Item::Array(
        keyed.into_iter().map(|(_, named)| named).collect(),
    ))
}

/// A number as a position: fractions are cut off, and what is negative or no number is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and there are no arrays of that length"
)]
fn position(number: f64) -> usize {
    number as usize
}

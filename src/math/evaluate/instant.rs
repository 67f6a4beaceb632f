//! Functions of the start of a slot, whether or not there is a point in it (SPEC section 8.3).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::seconds;
use crate::math::function::Function;
use crate::math::series::Series;
use crate::metric::Timestamp;

/// What `function` says of every start, in UTC.
pub(super) fn parts(function: Function, starts: &[Timestamp]) -> Series {
    let part = |start: &Timestamp| match function {
        Function::Epoch => seconds(start.seconds()),
        _ => f64::from(part(function, TimeZone::UTC.to_datetime(start.calendar()))),
    };
    Series(starts.iter().map(part).collect())
}

fn part(function: Function, at: DateTime) -> i16 {
    match function {
        Function::Minute => at.minute().into(),
        Function::Hour => at.hour().into(),
        Function::Day => at.weekday().to_monday_one_offset().into(),
        Function::Date => at.day().into(),
        Function::Month => at.month().into(),
        _ => at.year(),
    }
}

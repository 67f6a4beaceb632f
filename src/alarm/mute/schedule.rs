//! When the windows of a mute rule begin: once, or again and again.

use std::iter;
use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::cron::Cron;
use crate::metric::Timestamp;

/// The most characters of an expression: "between 1 and 256 characters in length".
const EXPRESSION_CHARACTERS_MAX: usize = 256;

/// How far ahead an occurrence is looked for. The rarest are on a weekday of the 29th of February, up to 40 years apart.
const SEARCH_YEARS_MAX: i64 = 50;

/// "either a cron expression for recurring mute windows or an at expression for one-time mute windows" (SPEC section 15).
///
/// Times are read on the clock of a time zone. A time that the clock leaves out is as much later as the clock leaves out,
/// and one that it shows twice occurs once, at the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Cron(Cron),
    At(DateTime),
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    pub(super) message: String,
    /// What of the expression is at fault, in characters counted from zero.
    pub span: Range<usize>,
}

impl Schedule {
    /// Reads `cron(…)` or `at(…)`.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let inside = |prefix| text.strip_prefix(prefix)?.strip_suffix(')');
        let length = text.chars().count();
        let refuse = |message| {
            Err(ScheduleError {
                message,
                span: 0..length,
            })
        };
        if length > EXPRESSION_CHARACTERS_MAX {
            return refuse(format!(
                "Expression has {length} characters but must have at most {EXPRESSION_CHARACTERS_MAX}"
            ));
        }
        if let Some(fields) = inside("cron(") {
            return Cron::parse(fields, "cron(".len()).map(Self::Cron);
        }
        match inside("at(") {
            Some(time) => match local_time(time) {
                Some(time) => Ok(Self::At(time)),
                None => refuse(format!(
                    "time is `{time}` but must be of the form `yyyy-MM-ddThh:mm`"
                )),
            },
            None => refuse(format!(
                "Expression is `{text}` but must be `cron(minute hour day-of-month month day-of-week)` or `at(yyyy-MM-ddThh:mm)`"
            )),
        }
    }

    /// The first occurrence at or after `from`.
    pub(super) fn first_from(&self, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let is_in_time = |occurrence: &Timestamp| *occurrence >= from;
        match self {
            Self::Cron(cron) => {
                let today = local_date(from, zone);
                let last = today.saturating_add(SEARCH_YEARS_MAX.years());
                let first_on = |date| occurrences(cron, date, zone).filter(is_in_time).min();
                let next = |date: &Date| cron.next_date(date.tomorrow().ok()?, last);
                let mut dates = iter::successors(cron.next_date(day_before(today), last), next);
                dates.find_map(|date| {
                    let first = first_on(date)?;
                    Some(first_on(day_after(date)).map_or(first, |other| other.min(first)))
                })
            }
            Self::At(time) => instant(*time, zone).filter(is_in_time),
        }
    }

    /// The last occurrence at or before `at`, if it is after `after`; every day between them is looked at.
    pub(super) fn last_until(
        &self,
        at: Timestamp,
        after: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let is_in_time = |occurrence: &Timestamp| *occurrence <= at && *occurrence > after;
        match self {
            Self::Cron(cron) if is_steady(zone, after, at) => {
                let last = cron.last_until(
                    zone.to_datetime(at.calendar()),
                    zone.to_datetime(after.calendar()),
                )?;
                instant(last, zone).filter(is_in_time)
            }
            Self::Cron(cron) => {
                let earliest = day_before(local_date(after, zone));
                let latest = day_after(local_date(at, zone));
                let last_on = |date| occurrences(cron, date, zone).filter(is_in_time).max();
                let mut dates = iter::successors(Some(latest), |date| date.yesterday().ok())
                    .take_while(|date| *date >= earliest);
                dates.find_map(|date| {
                    let last = last_on(date)?;
                    Some(last_on(day_before(date)).map_or(last, |other| other.max(last)))
                })
            }
            Self::At(time) => instant(*time, zone).filter(is_in_time),
        }
    }
}

/// Whether no clock is changed in `zone` from the day before `from` to the day after `to`, so that local times are in order.
fn is_steady(zone: &TimeZone, from: Timestamp, to: Timestamp) -> bool {
    const DAY: i64 = 86_400;
    let mut changes = zone.following((from - DAY).calendar());
    let ends = (to + DAY).calendar();
    changes
        .next()
        .is_none_or(|change| change.timestamp() > ends)
}

/// When the times of one local date are. Where the clock is changed they need not be in order, and they may lie up to a day
/// after that date: hence the search for the first of all looks at two dates together, as does that for the last.
fn occurrences(cron: &Cron, date: Date, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let times = cron.is_on(date).then(|| cron.times());
    times
        .into_iter()
        .flatten()
        .filter_map(move |time| instant(date.to_datetime(time), zone))
}

/// When the clock of `zone` shows `time`.
fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let instant = zone.to_timestamp(time).ok()?;
    Some(Timestamp::from_seconds(instant.as_second()))
}

fn local_date(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at.calendar()).date()
}

fn day_before(date: Date) -> Date {
    date.saturating_sub(1.day())
}

fn day_after(date: Date) -> Date {
    date.saturating_add(1.day())
}

/// Reads `yyyy-MM-ddThh:mm`, with every digit of it.
fn local_time(text: &str) -> Option<DateTime> {
    let is_digit_or = |(found, form): (u8, u8)| match form {
        b'0' => found.is_ascii_digit(),
        _ => found == form,
    };
    let form = "0000-00-00T00:00";
    let has_form = text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_digit_or);
    has_form
        .then(|| DateTime::strptime("%Y-%m-%dT%H:%M", text).ok())
        .flatten()
}

//! How long a mute window lasts, as ISO 8601 writes it.

use std::fmt;

const SECONDS_MIN: i64 = 60;

/// Fifteen days.
const DURATION_SECONDS_MAX: i64 = 15 * DAY;

const DAY: i64 = 86_400;

/// The units before and after the `T`, with their lengths in seconds. Months and years have no length of their own.
const DATE_UNITS: [(char, i64); 2] = [('W', 7 * DAY), ('D', DAY)];
const TIME_UNITS: [(char, i64); 3] = [('H', 3_600), ('M', 60), ('S', 1)];

/// A duration "with a minimum of 1 minute (PT1M) and maximum of 15 days (P15D)" (SPEC section 15). A day is 24 hours, also
/// where the clocks are changed: the end of a window is not a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MuteDuration {
    seconds: i64,
}

impl MuteDuration {
    pub fn parse(text: &str) -> Result<Self, String> {
        let seconds = seconds(text).ok_or_else(|| {
            format!("Duration is `{text}` but must be whole days, hours, minutes or seconds in ISO 8601, such as `PT4H` or `P2DT12H`")
        })?;
        if (SECONDS_MIN..=DURATION_SECONDS_MAX).contains(&seconds) {
            Ok(Self { seconds })
        } else {
            Err(format!(
                "Duration is `{text}` but must be from 1 minute, `PT1M`, to 15 days, `P15D`"
            ))
        }
    }

    pub fn seconds(self) -> i64 {
        self.seconds
    }
}

/// In seconds, which is one way to write it.
impl fmt::Display for MuteDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PT{}S", self.seconds)
    }
}

/// However long: `None` only for what is no duration, or fractions, months and years.
fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_prefix('P')?;
    match text.split_once('T') {
        Some((date, time)) if !time.is_empty() => {
            Some(sum(date, &DATE_UNITS)?.saturating_add(sum(time, &TIME_UNITS)?))
        }
        None if !text.is_empty() => sum(text, &DATE_UNITS),
        _ => None,
    }
}

/// The sum of numbers in these units, each at most once and in this order.
fn sum(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let (mut rest, mut total) = (text, 0_i64);
    for &(unit, seconds) in units {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        total = total.saturating_add(whole(number)?.saturating_mul(seconds));
        rest = after;
    }
    rest.is_empty().then_some(total)
}

/// A number of digits, however many.
fn whole(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        let found = MuteDuration::parse(text).ok().map(MuteDuration::seconds);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn durations_are_whole_days_and_times() {
        check("PT1M", Some(60));
        check("PT90S", Some(90));
        check("PT1H30M", Some(5_400));
        check("P2DT12H", Some(216_000));
        check("P1W", Some(604_800));
        check("P15D", Some(DURATION_SECONDS_MAX));
        check("PT360H", Some(DURATION_SECONDS_MAX));
    }

    #[test]
    fn durations_have_bounds() {
        for text in [
            "PT0S",
            "PT59S",
            "P0D",
            "P15DT1S",
            "P16D",
            "PT99999999999999999999H",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for text in [
            "", "P", "PT", "P1DT", "1D", "T1H", "P1H", "PT1D", "P1M", "P1Y", "PT1.5H", "P-1D",
            "-P1D", "PT+1H", "PT1M1H", "PT1H1H", "P1D1", "pt1h", "PT1 H", "PTH", "P1DT1H ",
            "2 hours",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn what_was_found_and_what_is_allowed_is_told() {
        assert_eq!(
            MuteDuration::parse("PT59S").unwrap_err(),
            "Duration is `PT59S` but must be from 1 minute, `PT1M`, to 15 days, `P15D`"
        );
        assert_eq!(
            MuteDuration::parse("P1M").unwrap_err(),
            "Duration is `P1M` but must be whole days, hours, minutes or seconds in ISO 8601, such as `PT4H` or `P2DT12H`"
        );
    }

    #[test]
    fn a_printed_duration_reads_back_as_itself() {
        let duration = MuteDuration::parse("P2DT12H").unwrap();
        assert_eq!(MuteDuration::parse(&duration.to_string()), Ok(duration));
    }
}

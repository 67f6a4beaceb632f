//! Instants and periods.

use std::fmt;
use std::ops::{Add, Sub};

/// An instant, to the millisecond that CloudWatch writes into its reason data. Arithmetic is in whole seconds, the grain in
/// which samples are stored and alarms are scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Since 1970-01-01T00:00:00Z, leap seconds not counted.
    milliseconds: i64,
}

impl Timestamp {
    pub const MIN: Self = Self {
        milliseconds: i64::MIN,
    };

    /// `seconds` since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            milliseconds: seconds.saturating_mul(1_000),
        }
    }

    pub const fn from_milliseconds(milliseconds: i64) -> Self {
        Self { milliseconds }
    }

    /// `2014-04-09T18:59:06.442Z`, and whatever else RFC 3339 has.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Self::from_milliseconds(at.as_millisecond()))
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> i64 {
        self.milliseconds.div_euclid(1_000)
    }

    pub const fn milliseconds(self) -> i64 {
        self.milliseconds
    }

    /// The start of the step of `seconds` that this instant lies in, counted from the epoch.
    #[must_use]
    #[inline(always)]
    pub fn floor(self, seconds: i64) -> Self {
        let step = seconds.saturating_mul(1_000);
        Self {
            milliseconds: self
                .milliseconds
                .saturating_sub(self.milliseconds.rem_euclid(step)),
        }
    }

    /// The first multiple of `seconds` that is not before this instant.
    #[must_use]
    pub fn ceil(self, seconds: i64) -> Self {
        let floor = self.floor(seconds);
        if floor == self { self } else { floor + seconds }
    }

    /// This instant in UTC; the farthest date that can be written, for an instant beyond it.
    fn utc(self) -> jiff::Zoned {
        self.calendar().to_zoned(jiff::tz::TimeZone::UTC)
    }

    /// This instant for calendar arithmetic; the farthest one that a calendar has, for an instant beyond it.
    pub fn calendar(self) -> jiff::Timestamp {
        let farthest = if self.milliseconds < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        jiff::Timestamp::from_millisecond(self.milliseconds).unwrap_or(farthest)
    }

    /// As dates stand in state reasons: `25/09/26 21:51:00` (SPEC section 6.1).
    pub fn in_reason(self) -> impl fmt::Display {
        InReason(jiff::tz::Offset::UTC.to_datetime(self.calendar()))
    }

    /// As dates stand in the reasons of composite alarms: `Friday 22 July, 2022 15:57:45 UTC` (SPEC section 6.3).
    pub fn in_composite_reason(self) -> String {
        self.utc().strftime("%A %d %B, %Y %H:%M:%S UTC").to_string()
    }

    /// As the history of an alarm has them: `2014-04-09T18:59:06.442Z`.
    pub fn in_history(self) -> String {
        self.utc().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// As dates stand in state reason data: `2019-10-02T17:04:40.985+0000` (SPEC section 6.4).
    pub fn in_reason_data(self) -> String {
        self.utc()
            .strftime("%Y-%m-%dT%H:%M:%S.%3f+0000")
            .to_string()
    }
}

/// Written without `strftime` or `write!`, which take most of the time that a state reason takes.
struct InReason(jiff::civil::DateTime);

impl fmt::Display for InReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at) = self;
        let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or_default();
        let date = [at.day(), at.month(), year];
        let numbers = [date, [at.hour(), at.minute(), at.second()]];
        let mut text = *b"00/00/00 00:00:00";
        for (digits, number) in text.chunks_mut(3).zip(numbers.as_flattened()) {
            digits[0] += number.unsigned_abs() / 10;
            digits[1] += number.unsigned_abs() % 10;
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// RFC 3339, in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.utc().strftime("%Y-%m-%dT%H:%M:%SZ").fmt(f)
    }
}

impl Add<i64> for Timestamp {
    type Output = Self;
    fn add(self, seconds: i64) -> Self {
        Self {
            milliseconds: self
                .milliseconds
                .saturating_add(seconds.saturating_mul(1_000)),
        }
    }
}

impl Sub<i64> for Timestamp {
    type Output = Self;
    fn sub(self, seconds: i64) -> Self {
        Self {
            milliseconds: self
                .milliseconds
                .saturating_sub(seconds.saturating_mul(1_000)),
        }
    }
}

/// In whole seconds, rounded down.
impl Sub for Timestamp {
    type Output = i64;
    fn sub(self, earlier: Self) -> i64 {
        self.milliseconds
            .saturating_sub(earlier.milliseconds)
            .div_euclid(1_000)
    }
}

/// The length of one datapoint of an alarm: 10, 20 or 30 seconds, or a multiple of 60 (SPEC section 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    pub const MINUTE: Self = Self(60);

    /// `None` for a length that PutMetricAlarm refuses.
    pub fn new(seconds: u32) -> Option<Self> {
        let allowed =
            matches!(seconds, 10 | 20 | 30) || (seconds > 0 && seconds.is_multiple_of(60));
        allowed.then_some(Self(seconds))
    }

    pub fn seconds(self) -> i64 {
        i64::from(self.0)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_what_cloudwatch_accepts() {
        let accepted: Vec<u32> = (0..=200)
            .filter(|&seconds| Period::new(seconds).is_some())
            .collect();
        assert_eq!(accepted, [10, 20, 30, 60, 120, 180]);
    }

    #[test]
    fn floor_and_ceil_meet_on_the_step() {
        assert_eq!(
            Timestamp::from_seconds(119).floor(60),
            Timestamp::from_seconds(60)
        );
        assert_eq!(
            Timestamp::from_seconds(61).ceil(60),
            Timestamp::from_seconds(120)
        );
        assert_eq!(
            Timestamp::from_seconds(120).ceil(60),
            Timestamp::from_seconds(120).floor(60)
        );
        assert_eq!(
            Timestamp::from_seconds(-1).floor(60),
            Timestamp::from_seconds(-60)
        );
    }

    #[test]
    fn dates_are_written_as_cloudwatch_writes_them() {
        let at = Timestamp::from_seconds(1_570_035_880);
        assert_eq!(at.to_string(), "2019-10-02T17:04:40Z");
        assert_eq!(at.in_reason().to_string(), "02/10/19 17:04:40");
        assert_eq!(at.in_reason_data(), "2019-10-02T17:04:40.000+0000");
    }

    #[test]
    fn instants_out_of_any_calendar_are_written_all_the_same() {
        assert_eq!(
            Timestamp::from_seconds(i64::MAX).to_string(),
            "9999-12-30T22:00:00Z"
        );
        assert!(
            Timestamp::from_seconds(i64::MIN)
                .to_string()
                .starts_with("-9999")
        );
    }
}

//! When an alarm is judged, and which periods it then looks at: SPEC sections 3, 4 and 13.

use jiff::ToSpan;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::metric::{Period, Timestamp};

use super::{EvaluationWindow, MetricAlarm};

/// Beyond this span an alarm is evaluated once an hour, up to the last full hour.
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const HOUR: i64 = 3_600;

/// How long CloudWatch keeps datapoints of less than a minute, in seconds (SPEC section 2.3).
const HIGH_RESOLUTION_RETENTION: i64 = 3 * HOUR;

impl MetricAlarm {
    /// How often the alarm is evaluated, in seconds: every minute, every ten seconds for periods under a minute, every hour
    /// when it looks back further than a day (SPEC section 3). On a wall clock it is every minute, whatever the period
    /// (SPEC section 13).
    #[inline(always)]
    pub fn evaluation_interval(&self) -> i64 {
        let span = i64::from(self.evaluation_periods).saturating_mul(self.period.seconds());
        match self.evaluation_window {
            EvaluationWindow::Sliding if span > DAY => HOUR,
            _ if self.period.seconds() < 60 => 10,
            _ => 60,
        }
    }
}

/// How many periods are retrieved: N and as many more as five minutes hold, at least two (SPEC section 4.2).
pub fn evaluation_range(period: Period, evaluation_periods: u32) -> u32 {
    let in_five_minutes = (300 + period.seconds() - 1) / period.seconds();
    let extra = u32::try_from(in_five_minutes.max(2)).unwrap_or(u32::MAX);
    evaluation_periods.saturating_add(extra)
}

/// The evaluation range of an alarm, in periods, between the shortest and the longest that evidence leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranges {
    pub(super) shortest: usize,
    pub(super) assumed: usize,
    pub(super) longest: usize,
    /// Whether it would reach further if CloudWatch kept the data.
    pub(super) cut_by_retention: bool,
}

impl Ranges {
    /// `given`: the range, if it is known.
    ///
    /// It is settled from five minutes up and for wall-clock windows, probable for a minute (emulators take N + 2), unknown
    /// below (SPEC sections 4.2 and 13).
    pub(super) fn of(alarm: &MetricAlarm, given: Option<u32>) -> Self {
        let (n, period) = (alarm.evaluation_periods, alarm.period);
        let assumed = evaluation_range(period, n);
        let exactly = |range| (range, range, range);
        let (shortest, assumed, longest) = match (given, &alarm.evaluation_window) {
            (Some(given), _) => exactly(given),
            (None, EvaluationWindow::WallClock { .. }) => exactly(n),
            (None, EvaluationWindow::Sliding) => match period.seconds() {
                300.. => exactly(assumed),
                60.. => (n.saturating_add(2), assumed, assumed.saturating_add(2)),
                _ => (n, assumed, assumed),
            },
        };
        let kept = match period.seconds() {
            60.. => usize::MAX,
            seconds => usize::try_from(HIGH_RESOLUTION_RETENTION / seconds).unwrap_or(usize::MAX),
        };
        let periods = |range: u32| usize::try_from(range).unwrap_or(usize::MAX).min(kept);
        Self {
            shortest: periods(shortest),
            assumed: periods(assumed),
            longest: periods(longest),
            cut_by_retention: periods(assumed) == kept,
        }
    }

    /// So many periods and no other number.
    pub(super) fn exactly(range: usize) -> Self {
        Self {
            shortest: range,
            assumed: range,
            longest: range,
            cut_by_retention: false,
        }
    }

    /// How far back the longest range reaches, in seconds, with what a wall clock may add.
    pub(super) fn reach(&self, alarm: &MetricAlarm) -> i64 {
        let interval = alarm.evaluation_interval();
        let unaligned = match alarm.evaluation_window {
            EvaluationWindow::Sliding => 0,
            EvaluationWindow::WallClock { .. } => alarm.period.seconds() + DAY / 12,
        };
        i64::try_from(self.longest)
            .unwrap_or(i64::MAX)
            .saturating_mul(alarm.period.seconds())
            .saturating_add(interval)
            .saturating_add(unaligned)
    }
}

/// The end of the newest period at `now`.
///
/// Sliding windows move by the evaluation interval and are not aligned to multiples of the period; wall-clock windows end
/// with the last completed period.
#[inline(always)]
pub(super) fn window_end(alarm: &MetricAlarm, now: Timestamp) -> Timestamp {
    match &alarm.evaluation_window {
        EvaluationWindow::Sliding => now.floor(alarm.evaluation_interval()),
        EvaluationWindow::WallClock { zone } => boundary(zone, alarm.period.seconds(), now),
    }
}

/// The start of the period that ends at `end`.
pub(super) fn period_start(alarm: &MetricAlarm, end: Timestamp) -> Timestamp {
    match &alarm.evaluation_window {
        EvaluationWindow::Sliding => end - alarm.period.seconds(),
        EvaluationWindow::WallClock { zone } => boundary(zone, alarm.period.seconds(), end - 1),
    }
}

/// The last instant up to `at` at which a wall clock in `zone` begins a period: a minute, five minutes, an hour, a day at
/// midnight, a week on Monday (SPEC section 13). Days with a change of the clock have 23 or 25 hours.
fn boundary(zone: &TimeZone, period: i64, at: Timestamp) -> Timestamp {
    let calendar = at.calendar();
    if calendar.as_millisecond() != at.milliseconds() {
        // Beyond any calendar no wall clock begins a day.
        return at.floor(period);
    }
    let local = calendar.to_zoned(zone.clone());
    let begun = if period < DAY {
        // Offsets are multiples of five minutes but for a few of the past, which no alarm looks at.
        let offset = i64::from(local.offset().seconds());
        return (at + offset).floor(period) - offset;
    } else if period < WEEK {
        local.start_of_day()
    } else {
        let since_monday = local.weekday().since(Weekday::Monday);
        local
            .checked_sub(i64::from(since_monday).days())
            .and_then(|day| day.start_of_day())
    };
    begun.map_or(at.floor(period), |begun| {
        Timestamp::from_milliseconds(begun.timestamp().as_millisecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Rule;

    fn period(seconds: u32) -> Period {
        Period::new(seconds).unwrap()
    }

    /// The observations of SPEC section 4.2.
    #[test]
    fn the_range_is_what_was_observed() {
        let cases = [
            (300, 3, 5),
            (900, 1, 3),
            (1800, 8, 10),
            (60, 1, 6),
            (60, 3, 8),
            (3600, 3, 5),
            (10, 1, 31),
        ];
        for (seconds, n, range) in cases {
            let got = evaluation_range(period(seconds), n);
            assert_eq!(got, range, "period {seconds}, N = {n}");
        }
    }

    #[test]
    fn alarms_are_due_every_minute_ten_seconds_or_hour() {
        use EvaluationWindow::{Sliding, WallClock};
        let on_clock = || WallClock {
            zone: TimeZone::UTC,
        };
        let cases = [
            (60, 1_440, Sliding, 60),
            (30, 1, Sliding, 10),
            (3_600, 24, Sliding, 60),
            (3_600, 25, Sliding, 3_600),
            (3_600, 25, on_clock(), 60),
            (604_800, 1, on_clock(), 60),
        ];
        for (seconds, evaluation_periods, evaluation_window, interval) in cases {
            let alarm = MetricAlarm {
                period: period(seconds),
                evaluation_periods,
                evaluation_window,
                ..alarm()
            };
            assert_eq!(alarm.evaluation_interval(), interval, "{alarm:?}");
        }
    }

    fn alarm() -> MetricAlarm {
        let read = crate::definition::parse("a", crate::definition::BUILT_IN);
        let Rule::Metric(alarm) = &read.alarms[0].alarm.rule else {
            panic!("the built-in alarm is on a metric");
        };
        alarm.clone()
    }

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_seconds(instant.as_second())
    }

    /// The newest period at an instant, as an alarm on a wall clock sees it.
    #[track_caller]
    fn check(zone: &str, seconds: i64, now: &str, start: &str, end: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let newest = boundary(&zone, seconds, at(now));
        assert_eq!(newest, at(end), "end");
        assert_eq!(boundary(&zone, seconds, newest - 1), at(start), "start");
    }

    #[test]
    fn wall_clock_periods_end_on_the_clock_of_the_zone() {
        check(
            "Asia/Kolkata",
            3_600,
            "2026-07-15T14:07:30Z",
            "2026-07-15T12:30:00Z",
            "2026-07-15T13:30:00Z",
        );
        check(
            "Asia/Kathmandu",
            300,
            "2026-07-15T14:07:30Z",
            "2026-07-15T14:00:00Z",
            "2026-07-15T14:05:00Z",
        );
        check(
            "America/New_York",
            DAY,
            "2026-07-15T14:07:30Z",
            "2026-07-14T04:00:00Z",
            "2026-07-15T04:00:00Z",
        );
        check(
            "America/New_York",
            DAY,
            "2026-03-09T12:00:00Z",
            "2026-03-08T05:00:00Z",
            "2026-03-09T04:00:00Z",
        );
        check(
            "America/New_York",
            DAY,
            "2026-11-02T12:00:00Z",
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
        );
        check(
            "America/New_York",
            WEEK,
            "2026-03-11T12:00:00Z",
            "2026-03-02T05:00:00Z",
            "2026-03-09T04:00:00Z",
        );
        check(
            "UTC",
            WEEK,
            "2026-03-09T00:00:00Z",
            "2026-03-02T00:00:00Z",
            "2026-03-09T00:00:00Z",
        );
    }

    #[test]
    fn an_hour_that_happens_twice_is_two_periods() {
        check(
            "Europe/Berlin",
            3_600,
            "2026-10-25T01:10:00Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
        );
        check(
            "Europe/Berlin",
            3_600,
            "2026-10-25T02:10:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        );
    }

    #[test]
    fn instants_beyond_any_calendar_have_periods_too() {
        for at in [Timestamp::MIN, Timestamp::from_seconds(i64::MAX)] {
            for period in [60, 3_600, DAY, WEEK] {
                boundary(&TimeZone::UTC, period, at);
            }
        }
    }
}

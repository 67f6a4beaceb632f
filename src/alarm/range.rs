//! Which datapoints an alarm looks at, and when.

use crate::metric::{Period, Statistic, StatisticSet, Timestamp};

use super::MetricAlarm;

/// Beyond this span an alarm is evaluated once an hour, up to the last full hour.
const DAY: i64 = 86_400;

/// One period in an alarm's evaluation range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The start of the period.
    pub start: Timestamp,
    /// `None` when no sample fell into the period.
    pub value: Option<f64>,
    pub sample_count: f64,
}

impl Point {
    pub(super) fn of(set: &StatisticSet, statistic: Statistic, start: Timestamp) -> Self {
        Self {
            start,
            value: set.get(statistic),
            sample_count: set.sample_count,
        }
    }
}

/// How often the alarm is evaluated, in seconds: every minute, every ten seconds for periods under a minute, every hour
/// when it looks back further than a day (SPEC section 3).
pub fn evaluation_interval(period: Period, evaluation_periods: u32) -> i64 {
    if i64::from(evaluation_periods).saturating_mul(period.seconds()) > DAY {
        3_600
    } else if period.seconds() < 60 {
        10
    } else {
        60
    }
}

/// How many periods are retrieved: N and as many more as five minutes hold, at least two (SPEC section 4.2).
pub fn evaluation_range(period: Period, evaluation_periods: u32) -> u32 {
    evaluation_periods.saturating_add(extra(period))
}

fn extra(period: Period) -> u32 {
    let in_five_minutes = (300 + period.seconds() - 1) / period.seconds();
    u32::try_from(in_five_minutes.max(2)).unwrap_or(u32::MAX)
}

/// The shortest and longest range that the evidence in SPEC section 4.2 leaves open: settled from five minutes up, probable
/// for a minute (emulators take N + 2), unknown below.
pub(super) fn plausible_ranges(period: Period, evaluation_periods: u32) -> (u32, u32) {
    let range = evaluation_range(period, evaluation_periods);
    match period.seconds() {
        300.. => (range, range),
        60.. => (
            evaluation_periods.saturating_add(2),
            range.saturating_add(2),
        ),
        _ => (evaluation_periods, range),
    }
}

/// The end of the newest period at `now`. Windows slide by the evaluation interval; they are not aligned to multiples of
/// the period (SPEC section 4.1).
pub(super) fn window_end(alarm: &MetricAlarm, now: Timestamp) -> Timestamp {
    now.floor(evaluation_interval(alarm.period, alarm.evaluation_periods))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(
                evaluation_range(period(seconds), n),
                range,
                "period {seconds}, N = {n}"
            );
        }
    }

    #[test]
    fn alarms_are_due_every_minute_ten_seconds_or_hour() {
        assert_eq!(evaluation_interval(period(60), 1_440), 60);
        assert_eq!(evaluation_interval(period(30), 1), 10);
        assert_eq!(evaluation_interval(period(3_600), 24), 60);
        assert_eq!(evaluation_interval(period(3_600), 25), 3_600);
    }
}

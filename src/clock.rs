//! The wall clock, and its only reader.

use std::time::{Duration, Instant, SystemTime};

use crate::metric::Timestamp;

/// The time since the epoch; zero for a clock that stands before it.
pub fn since_epoch() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// For how long something takes, whatever the wall clock does meanwhile.
pub fn instant() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads clocks"
    )]
    Instant::now()
}

pub fn now() -> Timestamp {
    Timestamp::from_seconds(since_epoch().as_secs().try_into().unwrap_or(i64::MAX))
}

/// As [`now`], to the millisecond.
pub fn precise_now() -> Timestamp {
    let milliseconds = since_epoch().as_millis().try_into();
    Timestamp::from_milliseconds(milliseconds.unwrap_or(i64::MAX))
}

/// How long it takes from `now` (since the epoch) until the next instant that lies `offset` after a multiple of `step`.
pub fn until(now: Duration, step: Duration, offset: Duration) -> Duration {
    let (step, offset) = (step.as_nanos(), offset.as_nanos() % step.as_nanos());
    let into_step = (now.as_nanos() + step - offset) % step;
    Duration::from_nanos(u64::try_from(step - into_step).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::until;
    use std::time::Duration;

    #[test]
    fn the_next_instant_is_never_now() {
        let (step, offset) = (Duration::from_secs(1), Duration::from_millis(500));
        let wait = |millis| until(Duration::from_millis(millis), step, offset).as_millis();
        assert_eq!(
            [wait(10_000), wait(10_499), wait(10_500), wait(10_999)],
            [500, 1, 1000, 501]
        );
    }
}

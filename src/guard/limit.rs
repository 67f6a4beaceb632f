//! A limit on requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens: each request takes one, and one comes back every `interval` until there are `burst`.
#[derive(Debug)]
pub(super) struct Limit {
    interval: Duration,
    burst: u32,
    left: Mutex<(f64, Instant)>,
}

impl Limit {
    /// A full one.
    pub(super) fn new(interval: Duration, burst: u32, now: Instant) -> Self {
        Self {
            interval,
            burst,
            left: Mutex::new((f64::from(burst), now)),
        }
    }

    /// Whether there was one left.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = *left;
        let elapsed = now.saturating_duration_since(at);
        let come = elapsed.as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (tokens + come).min(f64::from(self.burst));
        let is_left = tokens >= 1.0;
        *left = (if is_left { tokens - 1.0 } else { tokens }, at.max(now));
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_an_interval() {
        let start = Instant::now();
        let limit = Limit::new(Duration::from_secs(2), 3, start);
        let at = |seconds: u64| limit.take(start + Duration::from_secs(seconds));
        let taken = [0, 0, 0, 0, 1, 2, 3, 4, 100, 100, 100, 100].map(at);
        let expected = [
            true, true, true, false, false, true, false, true, true, true, true, false,
        ];
        assert_eq!(taken, expected);
    }
}

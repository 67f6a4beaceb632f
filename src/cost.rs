//! What the configuration costs in a month, at list prices.
//!
//! Prices are those of us-east-1 as commonly quoted (SPEC section 20), without the free tier and without the discounts
//! beyond the first ten thousand metrics.

mod alarms;

use std::fmt;
use std::time::Duration;

use crate::metric::{Metric, Resolution};

pub use alarms::{AlarmEstimate, estimate_alarms};

const METRIC_DOLLARS: f64 = 0.30;
const REQUEST_DOLLARS: f64 = 0.01 / 1000.0;

const ASKED_DOLLARS: f64 = 0.01 / 1000.0;

/// A month of 730 hours, as AWS bills it.
const MONTH_SECONDS: f64 = 730.0 * 3600.0;

/// How often what is published goes out, in seconds.
pub const PUBLISH_INTERVAL: i64 = 60;
pub const HIGH_RESOLUTION_PUBLISH_INTERVAL: i64 = 10;

/// What `GetMetricData` costs for so many metrics, which it counts anew in each request.
#[expect(clippy::cast_precision_loss, reason = "metrics are few")]
pub fn get_metric_data(metrics: usize) -> f64 {
    metrics as f64 * ASKED_DOLLARS
}

/// An estimate for this host alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub metrics: usize,
    pub requests: f64,
    pub dollars: f64,
}

/// What it costs to ask for alarms: so many requests at each interval, for those that are known and for all.
#[expect(clippy::cast_precision_loss, reason = "requests are few")]
pub fn describe_alarms(
    (known, interval): (usize, Duration),
    (all, search_interval): (usize, Duration),
) -> Asking {
    let monthly =
        |requests: usize, every: Duration| requests as f64 * MONTH_SECONDS / every.as_secs_f64();
    let requests = monthly(known, interval) + monthly(all, search_interval);
    Asking {
        requests,
        dollars: requests * REQUEST_DOLLARS,
    }
}

/// An estimate of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking {
    pub requests: f64,
    pub dollars: f64,
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, dollars } = self;
        write!(f, "about ${dollars:.2} a month ({requests:.0} requests)")
    }
}

/// What so many metrics cost in a month, beside the requests that carry all of them.
#[expect(clippy::cast_precision_loss, reason = "metrics are few")]
pub fn metrics_alone(metrics: usize) -> f64 {
    metrics as f64 * METRIC_DOLLARS
}

/// One request at each publishing instant carries everything.
#[expect(clippy::cast_precision_loss, reason = "seconds and metrics are few")]
pub fn estimate(published: &[(Metric, Resolution)]) -> Estimate {
    let requests = if published.is_empty() {
        0.0
    } else {
        MONTH_SECONDS / publish_interval(published) as f64
    };
    let dollars = published.len() as f64 * METRIC_DOLLARS + requests * REQUEST_DOLLARS;
    Estimate {
        metrics: published.len(),
        requests,
        dollars,
    }
}

/// High-resolution data is of use only while it is fresh.
pub fn publish_interval(published: &[(Metric, Resolution)]) -> i64 {
    let high = published
        .iter()
        .any(|(_, resolution)| *resolution == Resolution::High);
    if high {
        HIGH_RESOLUTION_PUBLISH_INTERVAL
    } else {
        PUBLISH_INTERVAL
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.metrics == 1 { "" } else { "s" };
        write!(
            f,
            "about ${:.2} a month ({} metric{plural}, {:.0} requests)",
            self.dollars, self.metrics, self.requests
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resolutions: &[Resolution], expected: &str) {
        let published: Vec<_> = resolutions
            .iter()
            .map(|resolution| (Metric::new("n", "m", vec![]), *resolution))
            .collect();
        assert_eq!(estimate(&published).to_string(), expected);
    }

    #[test]
    fn asking_for_alarms_is_billed_by_the_request() {
        let (minutes, hour) = (Duration::from_mins(5), Duration::from_hours(1));
        let cost = describe_alarms((1, minutes), (50, hour)).to_string();
        assert_eq!(cost, "about $0.45 a month (45260 requests)");
    }

    #[test]
    fn metrics_and_requests_are_billed() {
        check(&[], "about $0.00 a month (0 metrics, 0 requests)");
        check(
            &[Resolution::Standard],
            "about $0.74 a month (1 metric, 43800 requests)",
        );
        check(
            &[Resolution::Standard; 3],
            "about $1.34 a month (3 metrics, 43800 requests)",
        );
        check(
            &[Resolution::High],
            "about $2.93 a month (1 metric, 262800 requests)",
        );
    }
}

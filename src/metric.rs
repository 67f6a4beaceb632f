//! The vocabulary of CloudWatch metrics, as plain values.
//!
//! A *metric* is a namespace, a name and a set of dimensions. A *sample* is something that was learned about a metric
//! at one instant; a *reading* is everything that became known at one instant. Samples of one metric and unit fall into
//! *slots* of the metric's storage resolution, and a closed slot is a *datapoint*, known by the start of its slot.

mod distribution;
mod extended;
mod statistic;
mod time;
mod unit;

use std::fmt;
use std::sync::Arc;

pub use distribution::{DISTRIBUTION_VALUES_MAX, Distribution};
pub use extended::ExtendedStatistic;
pub use statistic::{BasicStatistic, Statistic, StatisticSet};
pub use time::{Period, Timestamp};
pub use unit::Unit;

/// What CloudWatch accepts as the magnitude of a value: 2^360 (SPEC section 2.2).
pub const VALUE_MAX: f64 = f64::from_bits((1023 + 360) << 52);

/// How old samples may be that CloudWatch takes, and how far ahead, in seconds (SPEC section 2.2).
pub const AGE_MAX: i64 = 14 * 86_400;
pub const AHEAD_MAX: i64 = 2 * 3_600;

/// A name–value pair that is part of a metric's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimension {
    pub name: String,
    pub value: String,
}

impl Dimension {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// The identity of a time series up to its unit: namespace, name and exact set of dimensions (SPEC section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    dimensions: Vec<Dimension>,
}

impl Metric {
    /// The order of `dimensions` does not matter: CloudWatch compares them as a set.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        mut dimensions: Vec<Dimension>,
    ) -> Self {
        dimensions.sort();
        Self {
            namespace: namespace.into(),
            name: name.into(),
            dimensions,
        }
    }

    /// What [`Display`](fmt::Display) writes, read: `Namespace Name {Dimension=value, …}`. Neither a namespace nor a name has
    /// spaces at its ends; a name may have some inside.
    pub fn from_notation(text: &str) -> Option<Self> {
        let (names, dimensions) = match text.split_once('{') {
            Some((names, rest)) => (names, rest.trim_end().strip_suffix('}')?),
            None => (text, ""),
        };
        let (namespace, name) = names.trim().split_once(' ')?;
        let dimension = |text: &str| {
            let (name, value) = text.split_once('=')?;
            Some(Dimension::new(name.trim(), value.trim()))
        };
        let dimensions = match dimensions.trim() {
            "" => Some(Vec::new()),
            all => all.split(',').map(dimension).collect(),
        };
        Some(Self::new(namespace, name.trim(), dimensions?))
    }

    /// Sorted by name, then value.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }
}

/// The notation of the test files: `AWS/EC2 CPUUtilization {InstanceId=i-0123456789abcdef0}`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.name)?;
        for (i, Dimension { name, value }) in self.dimensions.iter().enumerate() {
            let separator = if i == 0 { " {" } else { ", " };
            write!(f, "{separator}{name}={value}")?;
        }
        if self.dimensions.is_empty() {
            Ok(())
        } else {
            f.write_str("}")
        }
    }
}

/// How finely a metric's samples are kept apart in time, in seconds.
///
/// CloudWatch stores metrics by the minute or, if they are published as high-resolution metrics, by the second. Metrics that
/// EC2 publishes under basic monitoring arrive as one datapoint every five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    High,
    Standard,
    Basic,
}

impl Resolution {
    /// The length of a slot.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::High => 1,
            Self::Standard => 60,
            Self::Basic => 300,
        }
    }
}

/// What a sample says about its metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Value(f64),
    /// Values with how often each was seen.
    Values(Vec<(f64, f64)>),
    StatisticSet(StatisticSet),
}

/// Something that was learned about a metric, with the time it speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub metric: Arc<Metric>,
    pub unit: Unit,
    pub resolution: Resolution,
    /// Equal to the reading's time for a live sample, earlier for late data.
    pub at: Timestamp,
    pub content: Content,
}

/// Everything that became known at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub at: Timestamp,
    pub samples: Vec<Sample>,
}

/// What was recorded in one slot of one metric and unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Datapoint {
    pub metric: Arc<Metric>,
    pub unit: Unit,
    pub resolution: Resolution,
    /// The start of the slot.
    pub start: Timestamp,
    pub statistics: StatisticSet,
    /// The samples themselves, unless some of them arrived already aggregated.
    pub values: Option<Distribution>,
}

impl Datapoint {
    /// An upper bound of what it takes in a PutMetricData request, in bytes: member names, numbers of nine bytes each, strings.
    pub fn request_size(&self) -> usize {
        const FIXED: usize = 200;
        const PER_STRING: usize = 24;
        const PER_VALUE: usize = 18;
        let dimensions = self.metric.dimensions().iter();
        let strings = dimensions
            .map(|dimension| 2 * PER_STRING + dimension.name.len() + dimension.value.len());
        let values = self.values.as_ref().map_or(0, Distribution::len);
        FIXED + self.metric.name.len() + strings.sum::<usize>() + values * PER_VALUE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_dimensions_is_no_part_of_a_metric() {
        let (a, b) = (Dimension::new("a", "1"), Dimension::new("b", "2"));
        assert_eq!(
            Metric::new("n", "m", vec![a.clone(), b.clone()]),
            Metric::new("n", "m", vec![b, a])
        );
    }

    #[test]
    fn a_metric_is_written_as_in_test_files() {
        let metric = Metric::new(
            "CWBridge",
            "m",
            vec![Dimension::new("b", "2"), Dimension::new("a", "1")],
        );
        assert_eq!(metric.to_string(), "CWBridge m {a=1, b=2}");
        assert_eq!(
            Metric::new("CWBridge", "m", vec![]).to_string(),
            "CWBridge m"
        );
    }

    #[test]
    fn the_greatest_value_is_two_to_the_360() {
        assert!((VALUE_MAX.log2() - 360.0).abs() < f64::EPSILON);
    }
}

//! The usual metrics of AWS's own services: which dimensions they come with, in which unit, how often, and whether they come
//! when nothing happens.
//!
//! From the services' pages on their CloudWatch metrics, which each file here names. What is not listed is not known, and not
//! judged; nor is a metric whose unit, or whose silence, those pages leave open.

mod balancers;
mod databases;
mod hosts;
mod networks;
mod services;

use crate::metric::Metric;

/// When there are datapoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As long as the resource is there: silence means trouble.
    Continuous,
    /// Only when something happens: silence means nothing.
    Sparse,
}

/// Metrics of one namespace that are alike.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) namespace: &'static str,
    pub(super) names: &'static [&'static str],
    /// The sets of dimensions that they come with; none where anything goes.
    pub(super) dimensions: &'static [&'static [&'static str]],
    pub(super) unit: &'static str,
    /// How far datapoints are apart, in seconds.
    pub(super) period: u32,
    pub(super) kind: Kind,
    /// The least and the most that a sample can be.
    pub(super) bounds: (f64, f64),
}

impl Entry {
    /// The CloudWatch agent's configuration may say another unit.
    pub(super) fn has_fixed_unit(&self) -> bool {
        self.namespace != "CWAgent"
    }
}

const ANY: (f64, f64) = (0.0, f64::INFINITY);
const PERCENT: (f64, f64) = (0.0, 100.0);
const FLAG: (f64, f64) = (0.0, 1.0);

/// Every metric that is known.
fn all() -> impl Iterator<Item = &'static Entry> {
    [
        hosts::METRICS,
        balancers::METRICS,
        databases::METRICS,
        services::METRICS,
        networks::METRICS,
    ]
    .into_iter()
    .flatten()
}

const fn entry(
    namespace: &'static str,
    names: &'static [&'static str],
    dimensions: &'static [&'static [&'static str]],
    unit: &'static str,
    period: u32,
    kind: Kind,
    bounds: (f64, f64),
) -> Entry {
    Entry {
        namespace,
        names,
        dimensions,
        unit,
        period,
        kind,
        bounds,
    }
}

pub(super) fn find(metric: &Metric) -> Option<&'static Entry> {
    all().find(|entry| {
        entry.namespace == metric.namespace && entry.names.contains(&metric.name.as_str())
    })
}

/// The names that the namespace has here.
pub(super) fn names(namespace: &str) -> impl Iterator<Item = &'static str> {
    all()
        .filter(move |entry| entry.namespace == namespace)
        .flat_map(|entry| entry.names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    #[test]
    fn every_unit_is_cloudwatchs_and_every_metric_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in all() {
            assert!(Unit::from_name(entry.unit).is_some(), "{entry:?}");
            assert!(
                entry.dimensions.iter().all(|set| set.is_sorted()),
                "{entry:?}"
            );
            for name in entry.names {
                assert!(seen.insert((entry.namespace, name)), "{name}");
            }
        }
    }
}

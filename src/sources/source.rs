//! Metrics of one name, and what is seen for them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tracing::warn;

use crate::config::{PROCESS_GROUPS_BY, PublishedMetric};
use crate::host::Filters;
use crate::metric::{Content, Dimension, Metric, Resolution, Sample, Timestamp, Unit};

use super::value::{Seen, TOTAL};

/// The most metrics of one name by the values of labels, such as a disk's `path`: each of them costs money.
pub(super) const METRICS_MAX: usize = 500;
/// What each process of a group has, and what counts them.
const PROCESS_NAME: &str = "process_name";
const PROCESS_COUNT: &str = "procstat_lookup_pid_count";

/// What was not seen for so many seconds makes room for others.
pub(super) const FORGOTTEN_AFTER: i64 = 600;
/// The most metrics of one name until the configuration is read anew: each of them stays in the store.
pub(super) const METRICS_EVER_MAX: usize = 5_000;

/// Metrics of one name that are fed in the same way.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) namespace: String,
    /// What it is published as.
    pub(super) name: String,
    /// What is seen, by the CloudWatch agent's name.
    pub(super) value: &'static str,
    pub(super) dimensions: Vec<Dimension>,
    /// Dimensions whose values come with what is seen; without one of those that it has, everything comes together.
    pub(super) labels: Vec<String>,
    /// Whether a dimension was left out because it has no value here.
    pub(super) is_lesser: bool,
    /// What is left of what is seen.
    pub(super) filter: Filter,
    pub(super) resolution: Resolution,
    /// Whether its datapoints go to CloudWatch, or only to the alarms.
    pub(super) published: bool,
    /// Of which entry of the configuration it is.
    pub(super) entry: usize,
    /// The metrics that were seen, by the values of the labels, and when they were seen last.
    pub(super) known: BTreeMap<Vec<String>, (Arc<Metric>, Timestamp)>,
    /// All that there have been.
    pub(super) ever: HashSet<Vec<String>>,
    pub(super) is_full: bool,
}

#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) shown: Filters,
    /// Labels that have this value.
    pub(super) only: Vec<(String, String)>,
}

impl Filter {
    pub(super) fn of(entry: &PublishedMetric) -> Self {
        Self {
            shown: Filters::of(&entry.include, &entry.exclude),
            only: Vec::new(),
        }
    }

    pub(super) fn keeps(&self, seen: &Seen<'_>) -> bool {
        let mut only = self.only.iter();
        self.shown.keeps(|label| seen.label(label))
            && only.all(|(label, value)| seen.label(label) == Some(value))
    }
}

/// A value as CloudWatch takes it, which is ASCII that can be printed: `/caf\u{e9}` for what it would refuse.
pub(super) fn acceptable(value: &str) -> String {
    let is_taken = |c: char| c.is_ascii() && !c.is_ascii_control();
    if value.chars().all(is_taken) {
        return value.to_owned();
    }
    let parts = value.chars().map(|c| match is_taken(c) {
        true => c.to_string(),
        false => c.escape_default().to_string(),
    });
    parts.collect()
}

impl Source {
    /// Its metric, or one that stands for all that differ in the values of labels, such as `${path}`.
    pub(super) fn example(&self) -> Metric {
        let value = |label: &String| format!("${{{label}}}");
        self.metric(&self.labels.iter().map(value).collect::<Vec<_>>())
    }

    pub(super) fn metric(&self, key: &[String]) -> Metric {
        // What is seen does not have every label: a group of processes is known by one thing.
        let labels = self.labels.iter().zip(key);
        let labels = labels.filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| Dimension::new(name.as_str(), acceptable(value)));
        let dimensions = self.dimensions.iter().cloned().chain(labels);
        Metric::new(
            self.namespace.as_str(),
            self.name.as_str(),
            dimensions.collect(),
        )
    }

    /// Whether it is one of its metrics.
    pub(super) fn has(&self, metric: &Metric) -> bool {
        let (all, fixed) = (metric.dimensions(), &self.dimensions);
        metric.namespace == self.namespace
            && metric.name == self.name
            && fixed.iter().all(|dimension| all.contains(dimension))
            && self.has_labels(all.iter().filter(|dimension| !fixed.contains(dimension)))
    }

    /// Whether these are the dimensions that come with what is seen: all labels, but of a group of processes one of those that
    /// find it, and the name of the program where each is seen by itself.
    fn has_labels<'a>(&self, dimensions: impl Iterator<Item = &'a Dimension>) -> bool {
        let names: Vec<&str> = dimensions.map(|dimension| &*dimension.name).collect();
        let finds = |name: &&str| PROCESS_GROUPS_BY.contains(name);
        let (found, other): (Vec<&str>, Vec<&str>) = names.into_iter().partition(finds);
        let labels = self.labels.iter().map(String::as_str);
        let (finding, mut needed): (Vec<&str>, Vec<&str>) = labels.partition(finds);
        needed.retain(|label| *label != PROCESS_NAME || self.value != PROCESS_COUNT);
        found.len() == finding.len().min(1)
            && found.iter().all(|name| finding.contains(name))
            && other.len() == needed.len()
            && needed.iter().all(|label| other.contains(label))
    }

    /// Whether what is seen is for one of its metrics. All cores together are seen beside each of them.
    pub(super) fn takes(&self, seen: &Seen<'_>) -> bool {
        let filters = self.filter.shown.include.iter().map(|(label, _)| label);
        let mut asked = filters.chain(self.filter.only.iter().map(|(label, _)| label));
        if seen.is_minor && !asked.any(|label| seen.label(label).is_some()) {
            return false;
        }
        if let Some(cpu) = seen.label("cpu") {
            let only = self.filter.only.iter().any(|(label, _)| label == "cpu");
            // All cores together are one of them for who asks for `cpu-total`.
            let mut included = self.filter.shown.include.iter();
            let wants_each = self.labels.iter().any(|label| label == "cpu");
            let is_asked_for = only || wants_each && included.any(|(label, _)| label == "cpu");
            if !is_asked_for && wants_each == (cpu == TOTAL) {
                return false;
            }
        }
        self.filter.keeps(seen)
    }

    /// The values of its labels.
    pub(super) fn key(&self, seen: &Seen<'_>) -> Vec<String> {
        let value = |label: &String| seen.label(label).unwrap_or_default().to_owned();
        self.labels.iter().map(value).collect()
    }

    /// The metric with these values of labels; `None` if there are too many.
    pub(super) fn known(&mut self, key: Vec<String>, at: Timestamp) -> Option<Arc<Metric>> {
        if let Some((metric, seen_at)) = self.known.get_mut(&key) {
            *seen_at = at;
            return Some(Arc::clone(metric));
        }
        if self.known.len() >= METRICS_MAX {
            self.known
                .retain(|_, (_, seen_at)| at - *seen_at < FORGOTTEN_AFTER);
        }
        let is_old = self.ever.contains(&key);
        let is_full = self.ever.len() >= METRICS_EVER_MAX && !is_old;
        if self.known.len() >= METRICS_MAX || is_full {
            return None;
        }
        self.ever.insert(key.clone());
        let metric = Arc::new(self.metric(&key));
        self.known.insert(key, (Arc::clone(&metric), at));
        Some(metric)
    }

    pub(super) fn sample(&mut self, at: Timestamp, seen: &Seen<'_>, samples: &mut Vec<Sample>) {
        if !self.takes(seen) {
            return;
        }
        let key = self.key(seen);
        let Some(metric) = self.known(key, at) else {
            if !std::mem::replace(&mut self.is_full, true) {
                let (name, most) = (&self.name, self.known.len());
                warn!(
                    name,
                    most,
                    "there are too many metrics of one name: those that come later are left out"
                );
            }
            return;
        };
        samples.push(Sample {
            metric,
            unit: Unit::from_name(seen.unit).unwrap_or(Unit::NONE),
            resolution: self.resolution,
            at,
            content: Content::Value(seen.value),
        });
    }
}

//! This host does not publish the metric that the alarm is on.

use crate::metric::{Dimension, Metric};

use super::super::{Case, Check, Hit, Read, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "not-published-here",
    severity: Severity::Warning,
    summary: "this host does not publish the metric that the alarm is on",
    why: "The alarm is on a metric in the namespace of this host and not among those that its configuration publishes: \
          its datapoints come from elsewhere, or never. Only the host that publishes can know.",
    bad: "",
    good: "",
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let reads = case.reads();
    let hits = reads.iter().filter_map(|read| metric(case, read));
    hits.collect()
}

/// Whether it is the metric that is published, or one of those that are by what is seen: each disk by its `${path}`.
fn is_one_of(wanted: &Metric, published: &Metric) -> bool {
    let dimensions = wanted.dimensions().iter().zip(published.dimensions());
    let is_same = |(wanted, published): (&Dimension, &Dimension)| {
        let any = format!("${{{}}}", published.name);
        wanted.name == published.name && (wanted.value == published.value || published.value == any)
    };
    wanted.namespace == published.namespace
        && wanted.name == published.name
        && wanted.dimensions().len() == published.dimensions().len()
        && dimensions.into_iter().all(is_same)
}

fn metric(case: &Case<'_>, read: &Read<'_>) -> Option<Hit> {
    let wanted = &read.stat.metric;
    let ours: Vec<&Metric> = case
        .published
        .iter()
        .filter(|metric| metric.namespace == wanted.namespace)
        .collect();
    if ours.is_empty() || ours.iter().any(|metric| is_one_of(wanted, metric)) {
        return None;
    }
    let shared = |metric: &&Metric| {
        let same = wanted
            .dimensions()
            .iter()
            .filter(|dimension| metric.dimensions().contains(dimension))
            .count();
        (metric.name == wanted.name, same)
    };
    let nearest = ours
        .into_iter()
        .max_by_key(shared)
        .map_or(String::new(), |metric| {
            format!("; the nearest is `{metric}`")
        });
    Some(read.hit(
        "Dimensions",
        format!("this host does not publish `{wanted}`{nearest}"),
    ))
}

//! This host does not publish the metric that the alarm is on.

use crate::metric::Metric;

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

fn metric(case: &Case<'_>, read: &Read<'_>) -> Option<Hit> {
    let wanted = &read.stat.metric;
    let ours: Vec<&Metric> = case
        .published
        .iter()
        .filter(|metric| metric.namespace == wanted.namespace)
        .collect();
    if ours.is_empty() || ours.iter().any(|metric| **metric == **wanted) {
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

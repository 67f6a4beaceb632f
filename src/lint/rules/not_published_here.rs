//! This host does not publish the metric that the alarm is on.

use crate::metric::Metric;

use super::super::{Case, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "not-published-here",
    severity: Severity::Warning,
    summary: "this host does not publish the metric that the alarm is on",
    why: "The alarm is on a metric in the namespace of this host and not among those that its configuration publishes: \
          its datapoints come from elsewhere, or never. Only the host that publishes can know.",
    bad: "",
    good: "",
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((_, stat)) = case.on_one_metric() else {
        return Vec::new();
    };
    let ours = case
        .published
        .iter()
        .filter(|metric| metric.namespace == stat.metric.namespace);
    let mut ours = ours.peekable();
    if ours.peek().is_none() || ours.clone().any(|metric| *metric == *stat.metric) {
        return Vec::new();
    }
    let shared = |metric: &&Metric| {
        let same = stat
            .metric
            .dimensions()
            .iter()
            .filter(|dimension| metric.dimensions().contains(dimension))
            .count();
        (metric.name == stat.metric.name, same)
    };
    let nearest = ours.max_by_key(shared).map_or(String::new(), |metric| {
        format!("; the nearest is `{metric}`")
    });
    hit(
        "Dimensions",
        format!("this host does not publish `{}`{nearest}", stat.metric),
    )
}

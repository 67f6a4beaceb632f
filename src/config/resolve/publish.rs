//! `[[publish.metric]]`

use crate::finding::did_you_mean;
use crate::tree::Node;

use super::super::{KNOWN_DIMENSIONS, Publishable, PublishedMetric, publishable, publishables};
use super::{NAME_LENGTH_MAX, Reader};

const KEYS: [&str; 6] = [
    "names",
    "dimensions",
    "high_resolution",
    "rename",
    "include",
    "exclude",
];

/// The most dimensions of a metric that CloudWatch takes.
const DIMENSIONS_MAX: usize = 30;

impl Reader<'_> {
    pub(super) fn metrics(
        &mut self,
        node: &Node,
        constant: &[(String, String)],
    ) -> Option<Vec<PublishedMetric>> {
        let nodes = self.report.list("metric", node)?;
        let metrics = nodes.iter().map(|node| self.metric(node, constant));
        Some(metrics.collect())
    }

    fn metric(&mut self, node: &Node, constant: &[(String, String)]) -> PublishedMetric {
        self.keys("`[[publish.metric]]`", node, &KEYS);
        let names = match node.get("names") {
            Some(names) => self.metric_names(names),
            None => {
                self.report
                    .add(node.position, "`[[publish.metric]]` has no `names`");
                Vec::new()
            }
        };
        let labels = labels_of(&names);
        let known: Vec<&str> = KNOWN_DIMENSIONS
            .into_iter()
            .chain(labels.iter().copied())
            .chain(constant.iter().map(|(name, _)| name.as_str()))
            .collect();
        let dimensions = node.get("dimensions").and_then(|node| {
            let sets = self.report.list("dimensions", node)?;
            let sets = sets
                .iter()
                .map(|set| self.dimension_set(set, (&known, &labels), constant.len()));
            Some(sets.collect())
        });
        let high_resolution = node
            .get("high_resolution")
            .and_then(|node| self.report.boolean("high_resolution", node))
            .unwrap_or(false);
        let mut patterns = |key| {
            let node = node.get(key)?;
            self.keys(&format!("`{key}`"), node, &labels);
            Some(self.patterns(key, node))
        };
        let include = patterns("include").unwrap_or_default();
        let exclude = patterns("exclude").unwrap_or_default();
        PublishedMetric {
            rename: self.renamed(node.get("rename"), &names),
            names: names.into_iter().map(|(name, _)| name).collect(),
            dimensions,
            high_resolution,
            include,
            exclude,
        }
    }

    /// The names, each with what is known of it; those that are not known are told.
    fn metric_names(&mut self, node: &Node) -> Vec<(String, Publishable)> {
        let mut names = Vec::new();
        for node in self.report.list("names", node).unwrap_or_default() {
            let Some(name) = self.report.string("names", node) else {
                continue;
            };
            match publishable(&name) {
                Some(known) => names.push((name, known)),
                None => {
                    let hint = did_you_mean(&name, publishables().map(|known| known.name));
                    let text =
                        format!("`names` names `{name}`, which is no metric of a host{hint}");
                    self.report.add(node.position, text);
                }
            }
        }
        names
    }

    fn renamed(
        &mut self,
        node: Option<&Node>,
        names: &[(String, Publishable)],
    ) -> Vec<(String, String)> {
        let Some(node) = node else { return Vec::new() };
        let known: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        self.keys("`rename`", node, &known);
        let mut renamed = Vec::new();
        for entry in self.report.table("rename", node).unwrap_or_default() {
            let Some(name) = self.report.string(&entry.key, &entry.node) else {
                continue;
            };
            self.length(&name, "metric name", NAME_LENGTH_MAX, entry.node.position);
            renamed.push((entry.key.clone(), name));
        }
        renamed
    }

    fn dimension_set(
        &mut self,
        node: &Node,
        (known, labels): (&[&str], &[&str]),
        constant: usize,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for node in self.report.list("dimensions", node).unwrap_or_default() {
            if let Some(name) = self.report.string("dimensions", node) {
                self.is_known("dimensions", bare(&name), node.position, known);
                if name.ends_with('?') && labels.contains(&bare(&name)) {
                    let text = format!(
                        "`{name}` always has a value, because `{}` comes with what is seen",
                        bare(&name)
                    );
                    self.report.add(node.position, text);
                }
                names.push(name);
            }
        }
        if names.len() + constant > DIMENSIONS_MAX {
            self.report.add(
                node.position,
                format!(
                    "{} dimensions found, but a metric has at most {DIMENSIONS_MAX}",
                    names.len() + constant
                ),
            );
        }
        if let Some(twice) = names.iter().enumerate().find_map(|(i, name)| {
            let mut before = names[..i].iter();
            before
                .any(|other| bare(other) == bare(name))
                .then_some(name)
        }) {
            self.report
                .add(node.position, format!("`dimensions` names `{twice}` twice"));
        }
        names
    }
}

/// The name of a dimension, which may be one that is left out where it has no value: `AutoScalingGroupName?`.
fn bare(name: &str) -> &str {
    name.strip_suffix('?').unwrap_or(name)
}

/// The dimensions that all of these names have.
fn labels_of(names: &[(String, Publishable)]) -> Vec<&'static str> {
    let Some((_, first)) = names.first() else {
        return Vec::new();
    };
    let has = |label: &&&str| names.iter().all(|(_, known)| known.labels.contains(*label));
    first.labels.iter().filter(has).copied().collect()
}

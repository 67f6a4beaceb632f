//! What one look of a collector yields: families for Prometheus, and values for CloudWatch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use regex_lite::Regex;

use crate::family::{Family, Kind, Labels, Row};

/// One number by the name that the CloudWatch agent gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub name: &'static str,
    /// By its CloudWatch name.
    pub unit: &'static str,
    /// What tells it from others of the name: `path`, `device`, `interface`, …
    pub labels: Labels,
    pub value: f64,
    /// Whether node_exporter leaves it out: published and judged only where it is asked for by name.
    pub is_minor: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Gathered {
    filters: Arc<Filters>,
    pub families: Vec<Family>,
    pub values: Vec<Value>,
}

/// What is left of what is seen, by patterns on its labels.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Of what has the label only what matches.
    pub include: Vec<(String, Regex)>,
    pub exclude: Vec<(String, Regex)>,
}

/// The same patterns keep the same.
impl PartialEq for Filters {
    fn eq(&self, other: &Self) -> bool {
        fn texts(filters: &[(String, Regex)]) -> impl Iterator<Item = (&String, &str)> {
            filters
                .iter()
                .map(|(label, pattern)| (label, pattern.as_str()))
        }
        texts(&self.include).eq(texts(&other.include))
            && texts(&self.exclude).eq(texts(&other.exclude))
    }
}

impl Filters {
    /// From patterns that were found to be some when they were read.
    pub fn of(include: &[(String, String)], exclude: &[(String, String)]) -> Self {
        let compiled =
            |(label, pattern): &(String, String)| Some((label.clone(), Regex::new(pattern).ok()?));
        Self {
            include: include.iter().filter_map(compiled).collect(),
            exclude: exclude.iter().filter_map(compiled).collect(),
        }
    }

    /// `label`: the value of the label of that name, if there is one.
    pub fn keeps<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let matches =
            |(name, pattern): &(String, Regex)| label(name).map(|value| pattern.is_match(value));
        let (mut include, mut exclude) = (self.include.iter(), self.exclude.iter());
        include.all(|filter| matches(filter) != Some(false))
            && !exclude.any(|filter| matches(filter) == Some(true))
    }

    fn keeps_labels(&self, labels: &Labels) -> bool {
        self.keeps(|name| {
            let mut labels = labels.iter();
            let label = labels.find(|(known, _)| known == name);
            label.map(|(_, value)| value.as_str())
        })
    }
}

/// A family of a table, and how its value is found in what was read; `None` where there is none.
#[derive(Debug)]
pub(super) struct Column<T: 'static> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) read: fn(&T) -> Option<f64>,
}

impl<T> Column<T> {
    pub(super) const fn counter(
        name: &'static str,
        help: &'static str,
        read: fn(&T) -> Option<f64>,
    ) -> Self {
        let kind = Kind::Counter;
        Self {
            name,
            help,
            kind,
            read,
        }
    }

    pub(super) const fn gauge(
        name: &'static str,
        help: &'static str,
        read: fn(&T) -> Option<f64>,
    ) -> Self {
        let kind = Kind::Gauge;
        Self {
            name,
            help,
            kind,
            read,
        }
    }
}

/// A metric of the CloudWatch agent, and how its value is found.
#[derive(Debug)]
pub(super) struct Published<T: 'static> {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) is_delta: bool,
    pub(super) read: fn(&T) -> Option<f64>,
}

impl<T> Published<T> {
    pub(super) const fn now(
        name: &'static str,
        unit: &'static str,
        read: fn(&T) -> Option<f64>,
    ) -> Self {
        Self {
            name,
            unit,
            is_delta: false,
            read,
        }
    }

    /// What a counter rose by since the look before, as the CloudWatch agent publishes disks and networks.
    pub(super) const fn delta(
        name: &'static str,
        unit: &'static str,
        read: fn(&T) -> Option<f64>,
    ) -> Self {
        Self {
            name,
            unit,
            is_delta: true,
            read,
        }
    }
}

impl Gathered {
    pub(super) fn new(filters: Arc<Filters>) -> Self {
        Self {
            filters,
            ..Self::default()
        }
    }

    /// Whether what bears these labels is wanted.
    pub(super) fn keeps(&self, labels: &Labels) -> bool {
        self.filters.keeps_labels(labels)
    }

    /// Leaves out the rows and values that are too many, and tells how many those are.
    pub(super) fn cut(&mut self, most: usize) -> usize {
        let (mut left, mut left_out) = (most, 0);
        for family in &mut self.families {
            left_out += family.rows.len().saturating_sub(left);
            family.rows.truncate(left);
            left -= family.rows.len();
        }
        left_out += self.values.len().saturating_sub(most);
        self.values.truncate(most);
        left_out
    }

    pub(super) fn push(
        &mut self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        mut rows: Vec<Row>,
    ) {
        rows.retain(|row| self.filters.keeps_labels(&row.labels));
        self.families.push(Family {
            name: name.into(),
            help: help.into(),
            kind,
            rows,
        });
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        let labels = Labels::new();
        self.push(Kind::Gauge, name, help, vec![Row { labels, value }]);
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        let labels = Labels::new();
        self.push(Kind::Counter, name, help, vec![Row { labels, value }]);
    }

    pub(super) fn value(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.values.push(Value {
            name,
            unit,
            labels: Labels::new(),
            value,
            is_minor: false,
        });
    }

    /// A family for each column, with a row for each item that has a value in it.
    pub(super) fn table<T>(&mut self, columns: &'static [Column<T>], items: &BTreeMap<Labels, T>) {
        for column in columns {
            let row = |(labels, item): (&Labels, &T)| {
                let value = (column.read)(item)?;
                let labels = labels.clone();
                Some(Row { labels, value })
            };
            let rows = items.iter().filter_map(row).collect();
            self.push(column.kind, column.name, column.help, rows);
        }
    }

    /// A value for each metric of each item. A counter that fell says nothing, and neither does one that is new.
    pub(super) fn publish<T>(
        &mut self,
        metrics: &'static [Published<T>],
        items: &BTreeMap<Labels, T>,
        before: &BTreeMap<Labels, T>,
        dimension: impl Fn(&Labels) -> Labels,
        is_minor: impl Fn(&T) -> bool,
    ) {
        for metric in metrics {
            for (labels, item) in items
                .iter()
                .filter(|(labels, _)| self.filters.keeps_labels(labels))
            {
                let value = (metric.read)(item);
                let value = match metric.is_delta {
                    false => value,
                    true => {
                        let before = before.get(labels).and_then(metric.read);
                        let rise = value.zip(before).map(|(now, before)| now - before);
                        rise.filter(|rise| *rise >= 0.0)
                    }
                };
                self.values.extend(value.map(|value| Value {
                    name: metric.name,
                    unit: metric.unit,
                    labels: dimension(labels),
                    value,
                    is_minor: is_minor(item),
                }));
            }
        }
    }
}

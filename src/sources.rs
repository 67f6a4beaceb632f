//! Which metrics this host has: what a look at it says about which metric, and which alarms can be judged from that.

mod parts;
mod source;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::alarm::{Alarm, MetricAlarm, MetricStat, Rule, Source as AlarmSource};
use crate::config::{Collectors, Publish, PublishedMetric, publishable};
use crate::definition::Placeholders;
use crate::host::{Facts, Look};
use crate::metric::{BasicStatistic, Datapoint, Dimension, Metric, Reading, Resolution, Statistic};

pub use parts::parts;

use source::{Filter, Source};
use value::CPU_UTILIZATION;

/// The names of an entry of the configuration, and the metrics that it comes to.
type Entry<'a> = (BTreeSet<&'a str>, Vec<(Metric, Resolution)>);

/// What EC2 itself publishes about an instance, and what the CloudWatch agent does.
const EC2_NAMESPACE: &str = "AWS/EC2";
const AGENT_NAMESPACE: &str = "CWAgent";

/// Every metric that is fed by looks at the host.
#[derive(Debug)]
pub struct Sources {
    all: Vec<Source>,
    warnings: Vec<String>,
    /// By which alarms on the CloudWatch agent's metrics name this host.
    here: Vec<Dimension>,
    /// The collectors that are at work.
    collectors: Vec<&'static str>,
}

impl Sources {
    /// `collectors`: what is looked at; of the rest there is nothing to take samples from.
    pub fn new(publish: &Publish, here: &Placeholders, collectors: &Collectors) -> Self {
        let mut sources = Self {
            all: Vec::new(),
            warnings: Vec::new(),
            here: here_dimensions(publish, here),
            collectors: collectors.enabled.iter().map(|of| of.name).collect(),
        };
        for (place, entry) in publish.metrics.iter().enumerate() {
            for name in &entry.names {
                sources.publish(publish, here, (place, entry), name);
            }
        }
        sources.add_ec2(publish, here);
        sources
    }

    /// Whether what is seen under this name is looked at, and what else is known of the name.
    fn publish(
        &mut self,
        publish: &Publish,
        here: &Placeholders,
        (place, entry): (usize, &PublishedMetric),
        name: &str,
    ) {
        // Another one was refused when it was read.
        let Some(known) = publishable(name) else {
            return;
        };
        if !self.collectors.contains(&known.collector) {
            let why = match known.collector {
                "procstat" => {
                    "no `[[collectors.procstat.group]]` says of which processes".to_owned()
                }
                collector => format!(
                    "the collector `{collector}` is switched off (`only` or `enabled` under `[collectors]`)"
                ),
            };
            self.warnings
                .push(format!("`{name}` is not published: {why}"));
            return;
        }
        let own = || {
            // Each disk is one, and all cores together are.
            let labels = known.labels.iter().filter(|label| **label != "cpu");
            let own = [own_dimension(here)].into_iter().chain(labels.copied());
            vec![own.map(str::to_owned).collect()]
        };
        let sets = entry.dimensions.clone().unwrap_or_else(own);
        for set in &sets {
            let (set, left_out) = with_values(set, publish, here);
            let (labels, fixed): (Vec<String>, Vec<String>) = set
                .iter()
                .cloned()
                .partition(|dimension| known.labels.contains(&dimension.as_str()));
            match fixed_dimensions(&fixed, &labels, publish, here) {
                Ok(dimensions) => self.push(Source {
                    namespace: publish.namespace.clone(),
                    name: renamed(entry, name),
                    value: known.name,
                    dimensions,
                    labels,
                    is_lesser: left_out,
                    filter: Filter::of(entry),
                    resolution: match entry.high_resolution {
                        true => Resolution::High,
                        false => Resolution::Standard,
                    },
                    published: true,
                    entry: place,
                    known: BTreeMap::new(),
                    ever: HashSet::new(),
                    is_full: false,
                }),
                Err(problem) => self.warnings.push(format!(
                    "`{name}` by `[{}]` is not published: {problem}",
                    set.join(", ")
                )),
            }
        }
    }

    /// The instance's own metric, shaped as EC2 publishes it, so that alarms on it can be judged.
    fn add_ec2(&mut self, publish: &Publish, here: &Placeholders) {
        let Some(instance_id) = &here.instance_id else {
            return;
        };
        if !self.collectors.contains(&"cpu") {
            return;
        }
        let source = Source {
            namespace: EC2_NAMESPACE.to_owned(),
            name: CPU_UTILIZATION.to_owned(),
            value: CPU_UTILIZATION,
            dimensions: vec![Dimension::new("InstanceId", instance_id.as_str())],
            labels: Vec::new(),
            is_lesser: false,
            filter: Filter::default(),
            resolution: match publish.detailed_monitoring {
                true => Resolution::Standard,
                false => Resolution::Basic,
            },
            published: false,
            entry: 0,
            known: BTreeMap::new(),
            ever: HashSet::new(),
            is_full: false,
        };
        self.push(source);
    }

    /// What comes to a metric that is there already is left out: it would count every sample twice.
    fn push(&mut self, source: Source) {
        let example = source.example();
        let is_there = |other: &&Source| other.has(&example) || source.has(&other.example());
        match self.all.iter().find(is_there) {
            // On another host they would be two.
            Some(other) if other.is_lesser || source.is_lesser => {}
            Some(_) => self.warnings.push(format!(
                "`{example}` is configured twice; the first entry counts"
            )),
            None => self.all.push(source),
        }
    }

    /// The dimensions that say something of this host.
    pub fn here(&self) -> &[Dimension] {
        &self.here
    }

    /// Whether this host knows the metric.
    pub fn has(&self, metric: &Metric) -> bool {
        self.all.iter().any(|source| source.has(metric))
            || self.of_agent(metric).is_ok_and(|found| found.is_some())
    }

    /// What was configured and cannot be done on this host.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The metrics that are published, with their resolution, as far as `facts` tell what there is.
    pub fn published(&self, facts: &Facts) -> Vec<(Metric, Resolution)> {
        let entries = self.published_by_entry(facts).into_values();
        entries.flat_map(|(_, metrics)| metrics).collect()
    }

    /// The same by the entries of the configuration, with the names in each.
    pub fn published_by_entry(&self, facts: &Facts) -> BTreeMap<usize, Entry<'_>> {
        let mut entries: BTreeMap<usize, Entry<'_>> = BTreeMap::new();
        for source in self.all.iter().filter(|source| source.published) {
            let (names, published) = entries.entry(source.entry).or_default();
            names.insert(&source.name);
            let mut metrics: Vec<Metric> = value::of_facts(facts, source.value)
                .iter()
                .filter(|seen| source.takes(seen))
                .map(|seen| source.metric(&source.key(seen)))
                .collect();
            metrics.sort_by_cached_key(ToString::to_string);
            metrics.dedup();
            if metrics.is_empty() && source.labels.is_empty() {
                metrics.push(source.example());
            }
            published.extend(
                metrics
                    .into_iter()
                    .map(|metric| (metric, source.resolution)),
            );
        }
        entries
    }

    /// The metrics that are published, on any host: what there may be several of stands as one.
    pub fn examples(&self) -> impl Iterator<Item = Metric> {
        let published = self.all.iter().filter(|source| source.published);
        published.map(Source::example)
    }

    /// Whether a closed datapoint goes to CloudWatch.
    pub fn is_published(&self, datapoint: &Datapoint) -> bool {
        self.all
            .iter()
            .any(|source| source.published && source.has(&datapoint.metric))
    }

    /// What a look says about every metric. What is missing is no sample.
    pub fn reading(&mut self, look: &Look) -> Reading {
        let mut samples = Vec::new();
        for source in &mut self.all {
            value::of_look(look, source.value, &mut |seen| {
                source.sample(look.at, seen, &mut samples);
            });
        }
        Reading {
            at: look.at,
            samples,
        }
    }

    /// The alarms as they can be judged here: one on a metric that this host does not have is not mirrored. Metrics of the
    /// CloudWatch agent that alarms are on are sampled from now on.
    pub fn mirror(&mut self, alarms: Vec<Alarm>) -> Vec<Alarm> {
        alarms
            .into_iter()
            .map(|alarm| self.mirror_one(alarm))
            .collect()
    }

    fn mirror_one(&mut self, alarm: Alarm) -> Alarm {
        let Rule::Metric(rule) = &alarm.rule else {
            return alarm;
        };
        let not_here = alarm.not_here.clone();
        let reason = not_here.or_else(|| {
            let mut stats = rule.stats().into_iter();
            stats.find_map(|stat| self.not_here(stat))
        });
        Alarm {
            not_here: reason,
            ..alarm
        }
    }

    /// Why a statistic cannot be found on this host, if it cannot.
    fn not_here(
        &mut self,
        MetricStat {
            metric, statistic, ..
        }: &MetricStat,
    ) -> Option<String> {
        if !self.all.iter().any(|source| source.has(metric)) {
            match self.of_agent(metric) {
                Ok(Some(source)) => self.all.push(source),
                Ok(None) => return Some(self.no_metric(metric)),
                Err(reason) => return Some(reason),
            }
        }
        if let Some(reason) = self.disagrees(metric, statistic) {
            return Some(reason);
        }
        let is_average = *statistic == Statistic::Basic(BasicStatistic::Average);
        (metric.namespace == EC2_NAMESPACE && !is_average).then(|| {
            format!("EC2 takes one sample a minute, this host one a second: of their `{statistic}` only the Average would agree")
        })
    }

    /// Why a statistic of what the CloudWatch agent publishes would be another one here, if it would. What this host publishes
    /// in its place is its own.
    fn disagrees(&self, metric: &Metric, statistic: &Statistic) -> Option<String> {
        let source = self.all.iter().find(|source| source.has(metric))?;
        if metric.namespace != AGENT_NAMESPACE || source.published {
            return None;
        }
        let alike = match publishable(source.value)?.is_delta() {
            true => BasicStatistic::Sum,
            false => BasicStatistic::Average,
        };
        (*statistic != Statistic::Basic(alike)).then(|| {
            let alike = alike.name();
            format!("the CloudWatch agent takes one sample at each of its intervals, this host at each of its own: of their `{statistic}` only the {alike} would agree")
        })
    }

    /// What would feed a metric of the CloudWatch agent, if it is of this host. Its dimensions are those that name the host, and
    /// those that come with what is seen.
    fn of_agent(&self, metric: &Metric) -> Result<Option<Source>, String> {
        if metric.namespace != AGENT_NAMESPACE {
            return Ok(None);
        }
        let Some(known) = publishable(&metric.name) else {
            return Ok(None);
        };
        let (mut only, mut is_of_host) = (Vec::new(), false);
        for dimension in metric.dimensions() {
            if known.labels.contains(&dimension.name.as_str()) {
                only.push((dimension.name.clone(), dimension.value.clone()));
            } else if self.here.contains(dimension) {
                is_of_host |= ["InstanceId", "host"].contains(&dimension.name.as_str());
            } else {
                return Ok(None);
            }
        }
        // Without a name of this host it is of all hosts.
        if !is_of_host {
            return Ok(None);
        }
        if !self.collectors.contains(&known.collector) {
            return Err(format!(
                "the collector `{}` is switched off, which sees `{}`",
                known.collector, known.name
            ));
        }
        let source = Source {
            namespace: metric.namespace.clone(),
            name: metric.name.clone(),
            value: known.name,
            dimensions: metric.dimensions().to_vec(),
            labels: Vec::new(),
            is_lesser: false,
            filter: Filter {
                only,
                ..Filter::default()
            },
            resolution: Resolution::Standard,
            published: false,
            entry: 0,
            known: BTreeMap::new(),
            ever: HashSet::new(),
            is_full: false,
        };
        Ok(Some(source))
    }

    fn no_metric(&self, metric: &Metric) -> String {
        let mut similar = self.all.iter();
        let similar = similar.find(|source| {
            source.namespace == metric.namespace
                && source.name == metric.name
                && source.labels.is_empty()
        });
        let hint = similar.map_or_else(String::new, |own| format!("; it has `{}`", own.example()));
        format!("this host has no metric `{metric}`{hint}")
    }

    /// The built-in alarm on the metric that is published, whatever its dimensions are called here; `None` if there is none
    /// for the whole CPU.
    pub fn built_in(&self, alarm: &Alarm) -> Option<Alarm> {
        let is_total = |source: &&Source| {
            source.published && source.value == CPU_UTILIZATION && source.labels.is_empty()
        };
        let total = self.all.iter().find(is_total)?;
        let Rule::Metric(rule) = &alarm.rule else {
            return None;
        };
        let stat = MetricStat {
            metric: Arc::new(total.example()),
            ..rule.stat()?.clone()
        };
        let rule = MetricAlarm {
            source: AlarmSource::Stat(stat),
            ..rule.clone()
        };
        Some(Alarm {
            rule: Rule::Metric(rule),
            ..alarm.clone()
        })
    }
}

fn renamed(entry: &PublishedMetric, name: &str) -> String {
    let renamed = entry.rename.iter().find(|(from, _)| from == name);
    renamed.map_or_else(|| name.to_owned(), |(_, to)| to.clone())
}

/// A set without the dimensions that it has only where there is a value, `AutoScalingGroupName?`, and whether one was left out.
fn with_values(set: &[String], publish: &Publish, here: &Placeholders) -> (Vec<String>, bool) {
    let kept = set.iter().filter_map(|name| match name.strip_suffix('?') {
        None => Some(name.clone()),
        Some(name) => dimension(name, publish, here)
            .is_ok()
            .then(|| name.to_owned()),
    });
    let kept: Vec<String> = kept.collect();
    let left_out = kept.len() < set.len();
    (kept, left_out)
}

/// The dimension that tells this host from others.
fn own_dimension(here: &Placeholders) -> &'static str {
    if here.instance_id.is_some() {
        "InstanceId"
    } else {
        "host"
    }
}

/// Every dimension that says something of this host, with its value.
fn here_dimensions(publish: &Publish, here: &Placeholders) -> Vec<Dimension> {
    let known = crate::config::KNOWN_DIMENSIONS.iter();
    known
        .filter_map(|name| dimension(name, publish, here).ok())
        .collect()
}

/// The dimensions that are the same for all that is seen: those of a set, and what is configured for all metrics.
fn fixed_dimensions(
    set: &[String],
    labels: &[String],
    publish: &Publish,
    here: &Placeholders,
) -> Result<Vec<Dimension>, String> {
    let is_named = |name: &String| set.contains(name) || labels.contains(name);
    let constant = publish.dimensions.iter().map(|(name, _)| name);
    let names = set.iter().chain(constant.filter(|name| !is_named(name)));
    names.map(|name| dimension(name, publish, here)).collect()
}

/// A dimension with its value: what is configured, or else what was found out.
fn dimension(name: &str, publish: &Publish, here: &Placeholders) -> Result<Dimension, String> {
    let configured = publish
        .dimensions
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.clone());
    let value = configured.unwrap_or_else(|| match name {
        "host" => "${hostname}".to_owned(),
        name => format!("${{aws:{name}}}"),
    });
    match here.fill(&value) {
        Ok(value) => Ok(Dimension::new(name, value)),
        Err(placeholder) => Err(format!(
            "dimension `{name}` needs `{placeholder}`, which has no value on this host"
        )),
    }
}

#[cfg(test)]
mod tests;

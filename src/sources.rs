//! Which metrics this host has: what a look at it says about which metric, and which alarms can be judged from that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::{Alarm, MetricAlarm, MetricStat, Rule, Source as AlarmSource};
use crate::config::Publish;
use crate::definition::Placeholders;
use crate::host::{Cpu, Look};
use crate::metric::{
    BasicStatistic, Content, Datapoint, Dimension, Metric, Reading, Resolution, Sample, Statistic,
    Timestamp, Unit,
};

/// What EC2 itself publishes about an instance.
const EC2_NAMESPACE: &str = "AWS/EC2";
const CPU_UTILIZATION: &str = "CPUUtilization";

/// Every metric that is fed by looks at the host.
#[derive(Debug)]
pub struct Sources {
    sources: Vec<Source>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Source {
    namespace: String,
    dimensions: Vec<Dimension>,
    resolution: Resolution,
    input: Input,
    /// Whether its datapoints go to CloudWatch, or only to the alarms.
    published: bool,
}

/// Which number of a look a source takes.
#[derive(Debug)]
enum Input {
    Total(Arc<Metric>),
    /// One metric for each core, known by its dimension `cpu`, as cores come up.
    PerCore(BTreeMap<u32, Arc<Metric>>),
}

impl Sources {
    /// `cpu`: whether the CPU is looked at; without it there is nothing to take samples from.
    pub fn new(publish: &Publish, here: &Placeholders, cpu: bool) -> Self {
        let mut sources = Self {
            sources: Vec::new(),
            warnings: Vec::new(),
        };
        if !cpu {
            sources.warnings.push("the CPU is not looked at (`only` under `[collectors]`), so that there is nothing to publish or to judge".to_owned());
            return sources;
        }
        for entry in &publish.metrics {
            let resolution = if entry.high_resolution {
                Resolution::High
            } else {
                Resolution::Standard
            };
            let sets = entry
                .dimensions
                .clone()
                .unwrap_or_else(|| vec![vec![own_dimension(here).to_owned()]]);
            // `CPUUtilization` is the one metric there is.
            for set in sets.iter().filter(|_| !entry.names.is_empty()) {
                sources.add(publish, here, set, resolution);
            }
        }
        sources.add_ec2(publish, here);
        sources
    }

    fn add(
        &mut self,
        publish: &Publish,
        here: &Placeholders,
        set: &[String],
        resolution: Resolution,
    ) {
        let constant = publish
            .dimensions
            .iter()
            .filter(|(name, _)| !set.contains(name));
        let names = set
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "cpu")
            .chain(constant.map(|(name, _)| name.as_str()));
        let dimensions: Result<Vec<Dimension>, String> =
            names.map(|name| dimension(name, publish, here)).collect();
        match dimensions {
            Ok(dimensions) => {
                let per_core = set.iter().any(|name| name == "cpu");
                self.push(Source {
                    input: Input::new(per_core, &publish.namespace, &dimensions),
                    namespace: publish.namespace.clone(),
                    dimensions,
                    resolution,
                    published: true,
                });
            }
            Err(problem) => self.warnings.push(format!(
                "`{CPU_UTILIZATION}` by `[{}]` is not published: {problem}",
                set.join(", ")
            )),
        }
    }

    /// The instance's own metric, shaped as EC2 publishes it, so that alarms on it can be judged.
    fn add_ec2(&mut self, publish: &Publish, here: &Placeholders) {
        let Some(instance_id) = &here.instance_id else {
            return;
        };
        let dimensions = vec![Dimension::new("InstanceId", instance_id.as_str())];
        let resolution = if publish.detailed_monitoring {
            Resolution::Standard
        } else {
            Resolution::Basic
        };
        self.push(Source {
            namespace: EC2_NAMESPACE.to_owned(),
            input: Input::new(false, EC2_NAMESPACE, &dimensions),
            dimensions,
            resolution,
            published: false,
        });
    }

    /// What comes to a metric that is there already is left out: it would count every sample twice.
    fn push(&mut self, source: Source) {
        let example = source.example();
        match self
            .sources
            .iter()
            .any(|other| other.has(&example) || source.has(&other.example()))
        {
            true => self.warnings.push(format!(
                "`{example}` is configured twice; the first entry counts"
            )),
            false => self.sources.push(source),
        }
    }

    /// Whether this host knows the metric.
    pub fn has(&self, metric: &Metric) -> bool {
        self.sources.iter().any(|source| source.has(metric))
    }

    /// What was configured and cannot be done on this host.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The metrics that are published, with their resolution; per-core metrics as `cores` of them.
    pub fn published(&self, cores: u32) -> Vec<(Metric, Resolution)> {
        let mut published = Vec::new();
        for source in self.sources.iter().filter(|source| source.published) {
            match &source.input {
                Input::Total(metric) => published.push(((**metric).clone(), source.resolution)),
                Input::PerCore(_) => published.extend((0..cores).map(|core| {
                    (
                        core_metric(&source.namespace, &source.dimensions, core),
                        source.resolution,
                    )
                })),
            }
        }
        published
    }

    /// Whether a closed datapoint goes to CloudWatch.
    pub fn is_published(&self, datapoint: &Datapoint) -> bool {
        self.sources
            .iter()
            .any(|source| source.published && source.has(&datapoint.metric))
    }

    /// What a look says about every metric. Utilisation that is missing is no sample.
    pub fn reading(&mut self, look: &Look) -> Reading {
        let mut samples = Vec::new();
        if let Some(cpu) = &look.cpu {
            self.sources
                .iter_mut()
                .for_each(|source| source.sample(look.at, cpu, &mut samples));
        }
        Reading {
            at: look.at,
            samples,
        }
    }

    /// The alarms as they can be judged here: one on a metric that this host does not have is not mirrored.
    pub fn mirror(&self, alarms: Vec<Alarm>) -> Vec<Alarm> {
        alarms
            .into_iter()
            .map(|alarm| self.mirror_one(alarm))
            .collect()
    }

    fn mirror_one(&self, alarm: Alarm) -> Alarm {
        let Rule::Metric(rule) = &alarm.rule else {
            return alarm;
        };
        let not_here = alarm.not_here.clone();
        let reason = not_here.or_else(|| {
            rule.stats()
                .into_iter()
                .find_map(|stat| self.not_here(stat))
        });
        Alarm {
            not_here: reason,
            ..alarm
        }
    }

    /// Why a statistic cannot be found on this host, if it cannot.
    fn not_here(
        &self,
        MetricStat {
            metric, statistic, ..
        }: &MetricStat,
    ) -> Option<String> {
        if !self.has(metric) {
            return Some(self.no_metric(metric));
        }
        let is_average = *statistic == Statistic::Basic(BasicStatistic::Average);
        (metric.namespace == EC2_NAMESPACE && !is_average).then(|| {
            format!("EC2 takes one sample a minute, this host one a second: of their `{statistic}` only the Average would agree")
        })
    }

    fn no_metric(&self, metric: &Metric) -> String {
        let similar = self
            .sources
            .iter()
            .find(|source| source.namespace == metric.namespace && metric.name == CPU_UTILIZATION);
        let hint = match similar.map(|source| &source.input) {
            Some(Input::Total(own)) => format!("; it has `{own}`"),
            _ => String::new(),
        };
        format!("this host has no metric `{metric}`{hint}")
    }

    /// The built-in alarm on the metric that is published, whatever its dimensions are called here; `None` if there is none
    /// for the whole CPU.
    pub fn built_in(&self, alarm: &Alarm) -> Option<Alarm> {
        let metric = self.sources.iter().find_map(|source| match &source.input {
            Input::Total(metric) if source.published => Some(metric),
            _ => None,
        });
        let (Rule::Metric(rule), Some(metric)) = (&alarm.rule, metric) else {
            return None;
        };
        let stat = MetricStat {
            metric: Arc::clone(metric),
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

/// The dimension that tells this host from others.
fn own_dimension(here: &Placeholders) -> &'static str {
    if here.instance_id.is_some() {
        "InstanceId"
    } else {
        "host"
    }
}

/// A dimension with its value: what is configured, or else what was found out.
fn dimension(name: &str, publish: &Publish, here: &Placeholders) -> Result<Dimension, String> {
    let configured = publish
        .dimensions
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str());
    let value = configured.unwrap_or(match name {
        "InstanceId" => "${aws:InstanceId}",
        _ => "${hostname}",
    });
    match here.fill(value) {
        Ok(value) => Ok(Dimension::new(name, value)),
        Err(placeholder) => Err(format!(
            "dimension `{name}` needs `{placeholder}`, which has no value on this host"
        )),
    }
}

impl Input {
    fn new(per_core: bool, namespace: &str, dimensions: &[Dimension]) -> Self {
        match per_core {
            true => Self::PerCore(BTreeMap::new()),
            false => Self::Total(Arc::new(Metric::new(
                namespace,
                CPU_UTILIZATION,
                dimensions.to_vec(),
            ))),
        }
    }
}

impl Source {
    /// One of its metrics.
    fn example(&self) -> Metric {
        match &self.input {
            Input::Total(metric) => (**metric).clone(),
            Input::PerCore(_) => core_metric(&self.namespace, &self.dimensions, 0),
        }
    }

    fn has(&self, metric: &Metric) -> bool {
        match &self.input {
            Input::Total(own) => **own == *metric,
            Input::PerCore(_) => {
                let core = metric
                    .dimensions()
                    .iter()
                    .find(|dimension| dimension.name == "cpu")
                    .and_then(|core| core.value.strip_prefix("cpu"));
                core.and_then(|core| core.parse::<u32>().ok())
                    .is_some_and(|core| {
                        core_metric(&self.namespace, &self.dimensions, core) == *metric
                    })
            }
        }
    }

    fn sample(&mut self, at: Timestamp, cpu: &Cpu, samples: &mut Vec<Sample>) {
        let resolution = self.resolution;
        let sample = |metric, value| Sample {
            metric,
            unit: Unit::PERCENT,
            resolution,
            at,
            content: Content::Value(value),
        };
        match &mut self.input {
            Input::Total(metric) => samples.extend(
                cpu.utilization
                    .map(|value| sample(Arc::clone(metric), value)),
            ),
            Input::PerCore(known) => {
                for core in &cpu.cores {
                    let Some(utilization) = core.utilization else {
                        continue;
                    };
                    let metric = known.entry(core.id).or_insert_with(|| {
                        Arc::new(core_metric(&self.namespace, &self.dimensions, core.id))
                    });
                    samples.push(sample(Arc::clone(metric), utilization));
                }
            }
        }
    }
}

fn core_metric(namespace: &str, dimensions: &[Dimension], core: u32) -> Metric {
    let core = Dimension::new("cpu", format!("cpu{core}"));
    Metric::new(
        namespace,
        CPU_UTILIZATION,
        dimensions.iter().cloned().chain([core]).collect(),
    )
}

#[cfg(test)]
mod tests;

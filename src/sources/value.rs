//! What is seen of the host under one name.

use crate::family::Labels;
use crate::host::{Cpu, Facts, Look, Usage};

pub(super) const CPU_UTILIZATION: &str = "CPUUtilization";
/// All cores together, as the CloudWatch agent names them.
pub(super) const TOTAL: &str = "cpu-total";

/// One number with what tells it from others of its name.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) value: f64,
    pub(super) unit: &'static str,
    labels: Told<'a>,
    /// Whether it is only for who asks for it by name.
    pub(super) is_minor: bool,
}

#[derive(Debug)]
enum Told<'a> {
    Labels(&'a Labels),
    Cpu(&'a str),
}

impl Seen<'_> {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        match self.labels {
            Told::Cpu(cpu) => (name == "cpu").then_some(cpu),
            Told::Labels(labels) => {
                let label = labels.iter().find(|(known, _)| known == name);
                label.map(|(_, value)| value.as_str())
            }
        }
    }
}

/// Hands on everything that a look has new under the name.
pub(super) fn of_look(look: &Look, name: &str, take: &mut dyn FnMut(&Seen<'_>)) {
    if let Some(cpu) = look.cpu.as_ref().filter(|_| is_of_cpu(name)) {
        of_cpu(cpu, name, take);
    }
    for collected in &look.new {
        let values = collected.gathered.values.iter();
        for value in values.filter(|value| value.name == name) {
            take(&Seen {
                value: value.value,
                unit: value.unit,
                labels: Told::Labels(&value.labels),
                is_minor: value.is_minor,
            });
        }
    }
}

fn is_of_cpu(name: &str) -> bool {
    name == CPU_UTILIZATION || name.starts_with("cpu_usage_")
}

fn of_cpu(cpu: &Cpu, name: &str, take: &mut dyn FnMut(&Seen<'_>)) {
    let percent = |utilization: Option<f64>, usage: Option<&Usage>| match name {
        CPU_UTILIZATION => utilization,
        name => usage?.percent(name.strip_prefix("cpu_usage_")?),
    };
    let mut one = |cpu: &str, value: Option<f64>| {
        if let Some(value) = value {
            take(&Seen {
                value,
                unit: "Percent",
                labels: Told::Cpu(cpu),
                is_minor: false,
            });
        }
    };
    one(TOTAL, percent(cpu.utilization, cpu.usage.as_ref()));
    for core in &cpu.cores {
        let value = percent(core.utilization, core.usage.as_ref());
        one(&format!("cpu{}", core.id), value);
    }
}

/// What there is under the name on this host, as it was seen when the program began.
pub(super) fn of_facts<'f>(facts: &'f Facts, name: &str) -> Vec<Seen<'f>> {
    if is_of_cpu(name) {
        let cores = facts.core_names.iter().map(String::as_str);
        let cpus = cores.chain([TOTAL]);
        return cpus
            .map(|cpu| Seen {
                value: 0.0,
                unit: "Percent",
                labels: Told::Cpu(cpu),
                is_minor: false,
            })
            .collect();
    }
    let values = facts.values.iter().filter(|value| value.name == name);
    let seen = values.map(|value| Seen {
        value: value.value,
        unit: value.unit,
        labels: Told::Labels(&value.labels),
        is_minor: value.is_minor,
    });
    seen.collect()
}

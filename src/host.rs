//! The host as it is looked at: its CPU every second, and the rest part by part at its own interval.

mod collectors;
mod cpu;
mod gather;
mod gathered;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use sysinfo::System;
use tracing::{info, warn};

use crate::clock;
use crate::metric::Timestamp;

pub use collectors::{Group, Roots, group};
pub use cpu::{Core, Cpu, MODES, Modes, Usage};
pub use gather::{Collected, Enabled, Plan};
pub use gathered::{Filters, Gathered, Value};

use gather::Gatherer;

/// What does not change while the program runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub hostname: String,
    /// `cpu0` and so on.
    pub core_names: Vec<String>,
    /// Whether the firmware is that of an EC2 instance.
    pub is_ec2: bool,
    /// What the collectors saw when the program began, by which it is known what there is.
    pub values: Vec<Value>,
}

/// One look at the host. What could not be read, or is not collected, is `None`.
#[derive(Clone, Debug)]
pub struct Look {
    pub at: Timestamp,
    pub cpu: Option<Cpu>,
    /// What the clock said, since the epoch.
    pub time: Duration,
    /// How long it took to look at the CPU, in seconds; `None` where it is not collected.
    pub cpu_took: Option<f64>,
    /// What each collector saw last.
    pub collected: Arc<[Arc<Collected>]>,
    /// Those of it that were not in the look before.
    pub new: Vec<Arc<Collected>>,
}

/// Which parts are looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    pub cpu: bool,
    pub gather: Plan,
}

/// Looks at the host, and remembers what it saw last.
#[derive(Debug)]
pub struct Host {
    parts: Parts,
    counters: cpu::Counters,
    gatherer: Gatherer,
    /// Whether `/proc/stat` could not be read the last time.
    failing: bool,
}

impl Host {
    pub fn new(parts: Parts) -> Self {
        Self {
            gatherer: Gatherer::new(&parts.gather),
            parts,
            counters: cpu::Counters::default(),
            failing: false,
        }
    }

    /// Looks at other parts from now on. The same ones go on: what counters rose by is known only of those.
    pub fn set_parts(&mut self, parts: Parts) {
        if self.parts == parts {
            return;
        }
        self.gatherer = Gatherer::new(&parts.gather);
        self.parts = parts;
    }

    pub fn look(&mut self, at: Timestamp) -> Look {
        let begun = clock::instant();
        let cpu = self.cpu();
        let took = begun.elapsed().as_secs_f64();
        let new = self.gatherer.look(at);
        Look {
            at,
            cpu,
            time: clock::since_epoch(),
            cpu_took: self.parts.cpu.then_some(took),
            collected: self.gatherer.latest().into(),
            new,
        }
    }

    fn cpu(&mut self) -> Option<Cpu> {
        if !self.parts.cpu {
            return None;
        }
        match read_stat(&self.parts.gather.roots) {
            Ok(stat) => {
                if std::mem::take(&mut self.failing) {
                    info!("/proc/stat was read again");
                }
                Some(self.counters.advance(&stat))
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%error, "/proc/stat could not be read; CPU metrics are missing until it can");
                }
                None
            }
        }
    }
}

fn read_stat(roots: &Roots) -> anyhow::Result<cpu::Stat> {
    cpu::Stat::parse(&fs::read(roots.procfs.join("stat"))?)
}

/// What can be said of the host once and for all.
pub fn facts(plan: &Plan) -> Facts {
    let cores = read_stat(&plan.roots).map(|stat| stat.cores);
    let cores = cores.unwrap_or_default().into_iter();
    Facts {
        hostname: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
        core_names: cores.map(|(id, ..)| format!("cpu{id}")).collect(),
        is_ec2: is_ec2(&plan.roots),
        values: survey(plan),
    }
}

/// As instances on Nitro and on Xen are known.
fn is_ec2(roots: &Roots) -> bool {
    let folder = roots.sysfs.join("devices/virtual/dmi/id");
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    read("sys_vendor").trim() == "Amazon EC2" || read("bios_version").trim().ends_with(".amazon")
}

/// What the collectors see. What is a difference of two looks is seen at the second one.
fn survey(plan: &Plan) -> Vec<Value> {
    let seen = Gatherer::new(plan).survey();
    let values = seen.iter().flat_map(|of| of.gathered.values.iter());
    values.cloned().collect()
}

#[cfg(test)]
mod tests;

//! The host as it is looked at: `/proc/stat` through procfs, the rest through sysinfo.

mod cpu;

use std::fs;
use std::time::Duration;

use sysinfo::{MemoryRefreshKind, System};
use tracing::{info, warn};

use crate::metric::Timestamp;

pub use cpu::{Core, Cpu, MODES, Modes};

/// What does not change while the program runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub hostname: String,
    pub cores: u32,
    /// The members of `os-release`, for `node_os_info`.
    pub os: Option<Os>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Os {
    pub id: String,
    pub name: String,
    pub pretty_name: String,
    pub version_id: String,
}

/// One look at the host. What could not be read, or is not collected, is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub at: Timestamp,
    pub cpu: Option<Cpu>,
    pub memory: Option<Memory>,
    pub load: Option<Load>,
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    pub total: u64,
    pub free: u64,
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// Processes that run or wait to, averaged over 1, 5 and 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load(pub [f64; 3]);

/// Which parts are looked at, and how often those that change slowly.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub cpu: bool,
    pub memory: bool,
    pub load: bool,
    pub interval: Duration,
}

/// Looks at the host, and remembers what it saw last.
#[derive(Debug)]
pub struct Host {
    parts: Parts,
    counters: cpu::Counters,
    system: System,
    slow: (Option<Memory>, Option<Load>),
    slow_due: Timestamp,
    /// Whether `/proc/stat` could not be read the last time.
    failing: bool,
}

impl Host {
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        Ok(Self {
            parts,
            counters: cpu::Counters::default(),
            system: System::new()?,
            slow: (None, None),
            slow_due: Timestamp::MIN,
            failing: false,
        })
    }

    /// Looks at other parts from now on.
    pub fn set_parts(&mut self, parts: Parts) {
        self.parts = parts;
        self.slow_due = Timestamp::MIN;
    }

    pub fn look(&mut self, at: Timestamp) -> Look {
        let interval = i64::try_from(self.parts.interval.as_secs()).unwrap_or(i64::MAX);
        // A clock that was set back must not put off the next look for as long.
        if at >= self.slow_due || self.slow_due - at > interval {
            self.slow_due = at + interval;
            self.slow = (self.memory(), self.load());
        }
        Look {
            at,
            cpu: self.cpu(),
            memory: self.slow.0,
            load: self.slow.1,
        }
    }

    fn cpu(&mut self) -> Option<Cpu> {
        if !self.parts.cpu {
            return None;
        }
        match read_stat() {
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

    fn memory(&mut self) -> Option<Memory> {
        if !self.parts.memory {
            return None;
        }
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::everything());
        Some(Memory {
            total: self.system.total_memory(),
            free: self.system.free_memory(),
            available: self.system.available_memory(),
            swap_total: self.system.total_swap(),
            swap_free: self.system.free_swap(),
        })
    }

    fn load(&self) -> Option<Load> {
        let load = if self.parts.load {
            System::load_average().ok()
        } else {
            None
        };
        load.map(|load| Load([load.one, load.five, load.fifteen]))
    }
}

fn read_stat() -> anyhow::Result<cpu::Stat> {
    cpu::Stat::parse(&fs::read("/proc/stat")?)
}

/// What can be said of the host once and for all.
pub fn facts(with_os: bool) -> Facts {
    let os = || {
        Some(Os {
            id: System::distribution_id(),
            name: System::name().ok()?,
            pretty_name: System::long_os_version().ok()?,
            version_id: System::os_version().unwrap_or_default(),
        })
    };
    Facts {
        hostname: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
        cores: read_stat().map_or(1, |stat| {
            u32::try_from(stat.cores.len()).unwrap_or(u32::MAX)
        }),
        os: if with_os { os() } else { None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_has_no_utilization_and_the_next_one_has() {
        let parts = Parts {
            cpu: true,
            memory: true,
            load: true,
            interval: Duration::from_secs(10),
        };
        let mut host = Host::new(parts).unwrap();
        let first = host.look(Timestamp::from_seconds(0));
        assert_eq!(first.cpu.as_ref().unwrap().utilization, None);
        assert!(first.memory.unwrap().total > 0);
        let busy = |cpu: &Cpu| cpu.seconds.0.iter().sum::<f64>();
        let start = busy(first.cpu.as_ref().unwrap());
        let second = (0..1_000_000).find_map(|_| {
            let cpu = host.look(Timestamp::from_seconds(1)).cpu.unwrap();
            cpu.utilization.map(|utilization| (cpu, utilization))
        });
        let (cpu, utilization) = second.expect("a clock tick passes within a million looks");
        assert!(busy(&cpu) > start);
        assert!((0.0..=100.0).contains(&utilization));
    }

    #[test]
    fn parts_that_are_switched_off_are_not_looked_at() {
        let parts = Parts {
            cpu: false,
            memory: false,
            load: false,
            interval: Duration::from_secs(10),
        };
        let look = Host::new(parts).unwrap().look(Timestamp::from_seconds(0));
        assert_eq!(
            look,
            Look {
                at: Timestamp::from_seconds(0),
                cpu: None,
                memory: None,
                load: None
            }
        );
    }
}

//! The limits of the container that this runs in, or of the host's control group: cgroup v2.

use std::path::Path;

use crate::family::float;
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Cgroup;

impl Collect for Cgroup {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let folder = roots.sysfs.join("fs/cgroup");
        // The root of a host has no limits, and version 1 is told by other files.
        if !folder.join("memory.max").exists() {
            return Ok(());
        }
        memory(&folder, gathered);
        cpu(&folder, gathered);
        let pids = [
            (
                "cwbridge_cgroup_pids",
                "Processes and threads of the control group.",
                "pids.current",
            ),
            (
                "cwbridge_cgroup_pids_limit",
                "How many the control group may have.",
                "pids.max",
            ),
        ];
        for (name, help, file) in pids {
            if let Some(count) = number(&folder, file) {
                gathered.gauge(name, help, count);
            }
        }
        Ok(())
    }
}

fn memory(folder: &Path, gathered: &mut Gathered) {
    let used = number(folder, "memory.current");
    let limit = number(folder, "memory.max");
    if let Some(used) = used {
        gathered.gauge(
            "cwbridge_cgroup_memory_bytes",
            "Memory of the control group.",
            used,
        );
    }
    if let Some(limit) = limit {
        gathered.gauge(
            "cwbridge_cgroup_memory_limit_bytes",
            "How much memory the control group may have.",
            limit,
        );
    }
    if let Some(kills) = field(folder, "memory.events", "oom_kill") {
        gathered.counter(
            "cwbridge_cgroup_oom_kills",
            "Processes of the control group that were killed for want of memory.",
            kills,
        );
    }
    if let Some((used, limit)) = used.zip(limit).filter(|(_, limit)| *limit > 0.0) {
        let percent = (used / limit * 10_000.0).round() / 100.0;
        gathered.value("cgroup_memory_used_percent", "Percent", percent);
    }
}

fn cpu(folder: &Path, gathered: &mut Gathered) {
    let counters = [
        (
            "cwbridge_cgroup_cpu_seconds",
            "CPU time of the control group.",
            "usage_usec",
        ),
        (
            "cwbridge_cgroup_cpu_throttled_seconds",
            "How long the control group was kept from running.",
            "throttled_usec",
        ),
    ];
    for (name, help, name_there) in counters {
        if let Some(microseconds) = field(folder, "cpu.stat", name_there) {
            gathered.counter(name, help, microseconds / 1e6);
        }
    }
    // `max 100000`, or `200000 100000`: so much in each period.
    let text = super::text(&folder.join("cpu.max")).unwrap_or_default();
    let mut words = text.split_whitespace().map(str::parse::<f64>);
    if let (Some(Ok(quota)), Some(Ok(period))) = (words.next(), words.next())
        && period > 0.0
    {
        gathered.gauge(
            "cwbridge_cgroup_cpu_limit_cores",
            "How many cores the control group may use.",
            quota / period,
        );
    }
}

/// `None` for `max`, which is no limit.
fn number(folder: &Path, file: &str) -> Option<f64> {
    let text = super::text(&folder.join(file)).ok()?;
    text.trim().parse::<u64>().ok().map(float)
}

/// `oom_kill 3`
fn field(folder: &Path, file: &str, name: &str) -> Option<f64> {
    let text = super::text(&folder.join(file)).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value?.trim().parse::<u64>().ok().map(float)
}

//! Processes by their state.

use std::collections::BTreeMap;
use std::fs;

use procfs::FromRead as _;
use procfs::process::Stat;

use crate::family::{Kind, Row, float, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

/// Letters of the kernel, with the CloudWatch agent's names.
const STATES: [(char, &str); 9] = [
    ('D', "processes_blocked"),
    ('I', "processes_idle"),
    ('R', "processes_running"),
    ('S', "processes_sleeping"),
    ('T', "processes_stopped"),
    ('t', "processes_stopped"),
    ('W', "processes_paging"),
    ('X', "processes_dead"),
    ('Z', "processes_zombies"),
];

#[derive(Debug, Default)]
pub(super) struct Processes;

impl Collect for Processes {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let (mut states, mut threads): (BTreeMap<char, u64>, u64) = Default::default();
        for entry in fs::read_dir(&roots.procfs)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            // It may end while it is looked at.
            let Ok(bytes) = fs::read(entry.path().join("stat")) else {
                continue;
            };
            if let Some(stat) = stat(&bytes) {
                *states.entry(stat.state).or_default() += 1;
                threads += u64::try_from(stat.num_threads).unwrap_or(0);
            }
        }
        show(&states, threads, roots, gathered);
        Ok(())
    }
}

/// `100 (name) S …`. Of a line that is cut off in the middle procfs would make a panic.
pub(super) fn stat(bytes: &[u8]) -> Option<Stat> {
    let bytes = bytes.trim_ascii();
    let opened = bytes.iter().position(|byte| *byte == b'(')?;
    let closed = bytes.iter().rposition(|byte| *byte == b')')?;
    let is_whole =
        bytes[..opened].ends_with(b" ") && opened < closed && bytes[closed + 1..].starts_with(b" ");
    is_whole.then(|| Stat::from_read(bytes).ok())?
}

fn show(states: &BTreeMap<char, u64>, threads: u64, roots: &Roots, gathered: &mut Gathered) {
    let state = |(state, count): (&char, &u64)| row([("state", state.to_string())], float(*count));
    let rows: Vec<Row> = states.iter().map(state).collect();
    let all: u64 = states.values().sum();
    let gauge = Kind::Gauge;
    gathered.push(
        gauge,
        "node_processes_state",
        "Number of processes in each state.",
        rows,
    );
    gathered.gauge("node_processes_pids", "Number of PIDs", float(all));
    gathered.gauge(
        "node_processes_threads",
        "Allocated threads in system",
        float(threads),
    );
    let limits = [
        (
            "node_processes_max_processes",
            "Number of max PIDs limit",
            "pid_max",
        ),
        (
            "node_processes_max_threads",
            "Limit of threads in the system",
            "threads-max",
        ),
    ];
    for (name, help, file) in limits {
        let text = roots.text(&format!("sys/kernel/{file}"));
        if let Some(limit) = text.ok().and_then(|text| text.trim().parse().ok()) {
            gathered.gauge(name, help, limit);
        }
    }
    let mut named: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (letter, name) in STATES {
        *named.entry(name).or_default() += states.get(&letter).copied().unwrap_or(0);
    }
    named.insert("processes_total", all);
    named.insert("processes_total_threads", threads);
    for (name, count) in named {
        // The CloudWatch agent's table of units has another name for it.
        let unit = if name == "processes_zombies" {
            "None"
        } else {
            "Count"
        };
        gathered.value(name, unit, float(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_processes_are_counted() {
        const PROCESSES: u64 = 10_000;
        let folder = std::env::temp_dir().join(format!("cwbridge-many-{}", std::process::id()));
        let rest = "0 ".repeat(48);
        for pid in 1..=PROCESSES {
            let process = folder.join(pid.to_string());
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("stat"), format!("{pid} (a) S {rest}")).unwrap();
        }
        let roots = Roots {
            procfs: folder.clone(),
            ..Roots::default()
        };
        let mut gathered = Gathered::default();
        Processes.collect(&roots, &mut gathered).unwrap();
        let total = gathered
            .values
            .iter()
            .find(|of| of.name == "processes_total");
        assert_eq!(total.map(|of| of.value), Some(float(PROCESSES)));
        fs::remove_dir_all(folder).unwrap();
    }
}

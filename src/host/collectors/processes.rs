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
            if let Ok(stat) = Stat::from_read(&bytes[..]) {
                *states.entry(stat.state).or_default() += 1;
                threads += u64::try_from(stat.num_threads).unwrap_or(0);
            }
        }
        show(&states, threads, roots, gathered);
        Ok(())
    }
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
        gathered.value(name, "Count", float(count));
    }
}

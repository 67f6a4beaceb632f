//! Groups of processes: by name, command line, pidfile or systemd unit.
//!
//! For Prometheus a group is one, by the names of process-exporter, so that its dashboards work. For CloudWatch each process is a
//! sample at each look, as the CloudWatch agent's procstat has it: the Average is that of one process.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use procfs::FromBufRead as _;
use procfs::process::Status;
use regex_lite::Regex;

use crate::clock;
use crate::family::{Kind, Labels, Row, float, row};
use crate::host::gathered::{Gathered, Value};

use super::{Collect, Roots};

/// The kernel cuts the name of a process off behind so many bytes.
const NAME_BYTES_MAX: usize = 15;

/// More processes than this of one group are not looked at.
const PROCESSES_MAX: usize = 10_000;

/// Which processes are a group.
#[derive(Clone, Debug)]
pub struct Group {
    name: String,
    by: By,
}

/// What tells the processes of a group from others.
#[derive(Clone, Debug)]
pub(super) enum By {
    /// A pattern in the name of the program.
    Exe(Regex),
    /// A pattern in the command line.
    Pattern(Regex),
    /// The file that has the number.
    Pidfile(PathBuf),
    /// Everything that systemd runs for a unit.
    Unit(String),
}

impl By {
    /// The CloudWatch agent's dimension for it, with its value.
    fn dimension(&self) -> (&'static str, String) {
        match self {
            Self::Exe(pattern) => ("exe", pattern.to_string()),
            Self::Pattern(pattern) => ("pattern", pattern.to_string()),
            Self::Pidfile(file) => ("pidfile", file.display().to_string()),
            Self::Unit(unit) => ("unit", unit.clone()),
        }
    }
}

/// `by`: one of the dimensions; `None` for another, or for what is no pattern where one is wanted.
pub fn group(name: &str, by: &str, of: &str) -> Option<Group> {
    let by = match by {
        "exe" => By::Exe(Regex::new(of).ok()?),
        "pattern" => By::Pattern(Regex::new(of).ok()?),
        "pidfile" => By::Pidfile(of.into()),
        "unit" => By::Unit(of.to_owned()),
        _ => return None,
    };
    Some(Group {
        name: name.to_owned(),
        by,
    })
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.by.dimension() == other.by.dimension()
    }
}

/// One process, which is another one where the number is used again.
type Id = (i32, u64);

/// What is seen of a process.
#[derive(Clone, Debug)]
struct Process {
    name: String,
    /// In clock ticks: as a user, and in the kernel.
    ticks: [u64; 2],
    threads: u64,
    /// In bytes.
    resident: u64,
    virtual_size: u64,
    status: Option<Status>,
    /// `None` where that may not be seen.
    files: Option<usize>,
}

/// What is known of a group from look to look.
#[derive(Debug, Default)]
struct Known {
    /// Of the look before; of the last one in which there was any.
    before: HashMap<Id, [u64; 2]>,
    last: Vec<Id>,
    /// Since the program began, in clock ticks.
    ticks: [u64; 2],
    restarts: u64,
}

/// The groups that are configured.
pub(super) struct Procstat {
    groups: Vec<(Group, Known)>,
    looked_at: Option<Instant>,
    /// When that was, in clock ticks since the host started.
    looked_at_tick: u64,
}

impl Procstat {
    pub(super) fn new(groups: Vec<Group>) -> Self {
        let groups = groups.into_iter().map(|group| (group, Known::default()));
        Self {
            groups: groups.collect(),
            looked_at: None,
            looked_at_tick: u64::MAX,
        }
    }
}

impl Collect for Procstat {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let now = clock::instant();
        let elapsed = self.looked_at.replace(now);
        let elapsed = elapsed.map(|before| now.duration_since(before).as_secs_f64());
        let all = processes(roots)?;
        let before = std::mem::replace(&mut self.looked_at_tick, tick(roots));
        let mut shown = Vec::new();
        for (group, known) in &mut self.groups {
            let found = find(&group.by, &all, roots);
            publish(group, known, &found, elapsed, gathered);
            known.advance(&found, before);
            shown.push((&*group.name, Shown::of(known, &found)));
        }
        show(&shown, gathered);
        Ok(())
    }
}

/// How long the host has been up, in clock ticks; the end of time where it does not tell.
fn tick(roots: &Roots) -> u64 {
    let text = roots.text("uptime").unwrap_or_default();
    let seconds: Option<f64> = text.split(' ').next().and_then(|word| word.parse().ok());
    let ticks = seconds.map(|seconds| seconds * float(procfs::ticks_per_second()));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ticks since the host started"
    )]
    ticks.map_or(u64::MAX, |ticks| ticks as u64)
}

/// A process, with what is read of it when a group asks for it.
struct Candidate {
    path: PathBuf,
    stat: procfs::process::Stat,
    command_line: OnceCell<Vec<String>>,
    control_group: OnceCell<String>,
}

impl Candidate {
    fn command_line(&self) -> &[String] {
        self.command_line.get_or_init(|| {
            let bytes = super::bytes(&self.path.join("cmdline")).unwrap_or_default();
            let words = bytes
                .split(|byte| *byte == 0)
                .filter(|word| !word.is_empty());
            words
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect()
        })
    }

    /// The name of the program, which the kernel cuts off.
    fn name(&self) -> &str {
        let name = &self.stat.comm;
        if name.len() < NAME_BYTES_MAX {
            return name;
        }
        let program = self.command_line().first();
        let program = program.and_then(|word| word.rsplit('/').next());
        let whole = program.filter(|program| program.starts_with(name));
        whole.unwrap_or(name)
    }

    /// `0::/system.slice/nginx.service`, or deeper below.
    fn is_of_unit(&self, unit: &str) -> bool {
        let read = || super::text(&self.path.join("cgroup")).unwrap_or_default();
        let lines = self.control_group.get_or_init(read).lines();
        let groups = lines.filter_map(|line| line.splitn(3, ':').nth(2));
        groups
            .flat_map(|group| group.split('/'))
            .any(|part| part == unit)
    }
}

/// Every process, in the order of the numbers.
fn processes(roots: &Roots) -> anyhow::Result<Vec<Candidate>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(&roots.procfs)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // It may end while it is looked at.
        let bytes = fs::read(entry.path().join("stat")).unwrap_or_default();
        all.extend(super::processes::stat(&bytes).map(|stat| Candidate {
            path: entry.path(),
            stat,
            command_line: OnceCell::new(),
            control_group: OnceCell::new(),
        }));
    }
    all.sort_by_key(|candidate| candidate.stat.pid);
    Ok(all)
}

fn find(by: &By, all: &[Candidate], roots: &Roots) -> Vec<(Id, Process)> {
    let numbers = match by {
        By::Pidfile(file) => numbers(&below(&roots.rootfs, file)),
        _ => Vec::new(),
    };
    let is_of = |candidate: &&Candidate| match by {
        By::Exe(pattern) => pattern.is_match(candidate.name()),
        By::Pattern(pattern) => pattern.is_match(&candidate.command_line().join(" ")),
        By::Pidfile(_) => numbers.contains(&candidate.stat.pid),
        By::Unit(unit) => candidate.is_of_unit(unit),
    };
    let found = all.iter().filter(is_of).take(PROCESSES_MAX);
    found.map(seen).collect()
}

fn seen(candidate: &Candidate) -> (Id, Process) {
    let Candidate { path, stat, .. } = candidate;
    let page = rustix::param::page_size() as u64;
    let status = Roots::open(&path.join("status")).ok();
    let process = Process {
        name: candidate.name().to_owned(),
        ticks: [stat.utime, stat.stime],
        threads: u64::try_from(stat.num_threads).unwrap_or(0),
        resident: stat.rss.saturating_mul(page),
        virtual_size: stat.vsize,
        status: status.and_then(|status| Status::from_buf_read(status).ok()),
        files: fs::read_dir(path.join("fd")).ok().map(Iterator::count),
    };
    ((stat.pid, stat.starttime), process)
}

/// Where a file of the host is seen from here.
fn below(rootfs: &Path, file: &Path) -> PathBuf {
    super::filesystem::below(rootfs, file)
}

fn numbers(file: &Path) -> Vec<i32> {
    let text = super::text(file).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

impl Known {
    /// `looked_at`: when, in clock ticks since the host started. Of a process that is new to the group and began before that
    /// it is not known what it spent since.
    fn advance(&mut self, found: &[(Id, Process)], looked_at: u64) {
        for (id, process) in found {
            let began_since = id.1 >= looked_at;
            let new = if began_since { [0; 2] } else { process.ticks };
            let before = self.before.get(id).copied().unwrap_or(new);
            for (sum, (now, before)) in self.ticks.iter_mut().zip(process.ticks.iter().zip(before))
            {
                *sum += now.saturating_sub(before);
            }
        }
        self.before = found
            .iter()
            .map(|(id, process)| (*id, process.ticks))
            .collect();
        if found.is_empty() {
            return;
        }
        // None of those that were there before is there any more.
        let is_new = !self.last.iter().any(|id| self.before.contains_key(id));
        self.restarts += u64::from(is_new && !self.last.is_empty());
        self.last = self.before.keys().copied().collect();
    }
}

/// A sample for each process.
fn publish(
    group: &Group,
    known: &Known,
    found: &[(Id, Process)],
    elapsed: Option<f64>,
    gathered: &mut Gathered,
) {
    let (dimension, value) = group.by.dimension();
    let of_group: Labels = vec![(dimension.into(), value)];
    push(
        "procstat_lookup_pid_count",
        "Count",
        &of_group,
        found.len() as u64,
        gathered,
    );
    for (id, process) in found {
        let mut labels = of_group.clone();
        labels.push(("process_name".into(), process.name.clone()));
        labels.sort();
        let before = known.before.get(id).zip(elapsed);
        if let Some((before, elapsed)) = before {
            let spent: u64 = process
                .ticks
                .iter()
                .sum::<u64>()
                .saturating_sub(before.iter().sum());
            let seconds = float(spent) / float(procfs::ticks_per_second().max(1));
            let percent = (seconds / elapsed.max(0.001) * 10_000.0).round() / 100.0;
            add("procstat_cpu_usage", "Percent", &labels, percent, gathered);
        }
        let kilobytes = |of: fn(&Status) -> Option<u64>| {
            let status = process.status.as_ref()?;
            Some(of(status)?.saturating_mul(1_024))
        };
        let values = [
            ("procstat_memory_rss", "Bytes", Some(process.resident)),
            ("procstat_memory_vms", "Bytes", Some(process.virtual_size)),
            ("procstat_memory_data", "Bytes", kilobytes(|it| it.vmdata)),
            ("procstat_memory_locked", "Bytes", kilobytes(|it| it.vmlck)),
            ("procstat_memory_stack", "Bytes", kilobytes(|it| it.vmstk)),
            ("procstat_memory_swap", "Bytes", kilobytes(|it| it.vmswap)),
            ("procstat_num_threads", "None", Some(process.threads)),
            (
                "procstat_num_fds",
                "None",
                process.files.map(|files| files as u64),
            ),
        ];
        for (name, unit, value) in values {
            if let Some(value) = value {
                push(name, unit, &labels, value, gathered);
            }
        }
    }
}

fn push(
    name: &'static str,
    unit: &'static str,
    labels: &Labels,
    value: u64,
    gathered: &mut Gathered,
) {
    add(name, unit, labels, float(value), gathered);
}

fn add(
    name: &'static str,
    unit: &'static str,
    labels: &Labels,
    value: f64,
    gathered: &mut Gathered,
) {
    if gathered.keeps(labels) {
        gathered.values.push(Value {
            name,
            unit,
            labels: labels.clone(),
            value,
            is_minor: false,
        });
    }
}

/// A group as Prometheus is told of it.
struct Shown {
    processes: u64,
    threads: u64,
    /// As a user and in the kernel, in seconds.
    seconds: [f64; 2],
    resident: u64,
    virtual_size: u64,
    swapped: u64,
    files: Option<u64>,
    restarts: u64,
}

impl Shown {
    fn of(known: &Known, found: &[(Id, Process)]) -> Self {
        let sum = |of: fn(&Process) -> u64| found.iter().map(|(_, process)| of(process)).sum();
        let swapped = |process: &Process| {
            process
                .status
                .as_ref()
                .and_then(|it| it.vmswap)
                .unwrap_or(0)
        };
        let files: Vec<u64> = found
            .iter()
            .filter_map(|(_, it)| Some(it.files? as u64))
            .collect();
        let is_seen = found.is_empty() || !files.is_empty();
        Self {
            processes: found.len() as u64,
            threads: sum(|process| process.threads),
            seconds: known
                .ticks
                .map(|ticks| float(ticks) / float(procfs::ticks_per_second().max(1))),
            resident: sum(|process| process.resident),
            virtual_size: sum(|process| process.virtual_size),
            swapped: sum(swapped).saturating_mul(1_024),
            files: is_seen.then(|| files.iter().sum()),
            restarts: known.restarts,
        }
    }
}

fn show(groups: &[(&str, Shown)], gathered: &mut Gathered) {
    let one = |of: &dyn Fn(&Shown) -> Option<f64>| -> Vec<Row> {
        let rows = groups
            .iter()
            .filter_map(|(name, shown)| Some(row([("groupname", (*name).to_owned())], of(shown)?)));
        rows.collect()
    };
    let several =
        |label: &'static str, of: &dyn Fn(&Shown) -> Vec<(&'static str, f64)>| -> Vec<Row> {
            let rows = groups.iter().flat_map(|(name, shown)| {
                let row = |(value, number): (&str, f64)| {
                    row(
                        [("groupname", (*name).to_owned()), (label, value.to_owned())],
                        number,
                    )
                };
                of(shown).into_iter().map(row).collect::<Vec<_>>()
            });
            rows.collect()
        };
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    let mode = |it: &Shown| vec![("user", it.seconds[0]), ("system", it.seconds[1])];
    let memory = |it: &Shown| {
        vec![
            ("resident", float(it.resident)),
            ("virtual", float(it.virtual_size)),
            ("swapped", float(it.swapped)),
        ]
    };
    let families = [
        (
            gauge,
            "namedprocess_namegroup_num_procs",
            "number of processes in this group",
            one(&|it| Some(float(it.processes))),
        ),
        (
            gauge,
            "namedprocess_namegroup_num_threads",
            "Number of threads",
            one(&|it| Some(float(it.threads))),
        ),
        (
            counter,
            "namedprocess_namegroup_cpu_seconds",
            "Cpu user usage in seconds",
            several("mode", &mode),
        ),
        (
            gauge,
            "namedprocess_namegroup_memory_bytes",
            "number of bytes of memory in use",
            several("memtype", &memory),
        ),
        (
            gauge,
            "namedprocess_namegroup_open_filedesc",
            "number of open file descriptors for this group",
            one(&|it| Some(float(it.files?))),
        ),
        (
            counter,
            "cwbridge_process_group_restarts",
            "How often all processes of a group were replaced by others.",
            one(&|it| Some(float(it.restarts))),
        ),
    ];
    for (kind, name, help, rows) in families {
        gathered.push(kind, name, help, rows);
    }
}

#[cfg(test)]
mod tests;

//! CPU time from one look at `/proc/stat`, and the utilisation between two looks.
//!
//! The kernel counts for each core how long it was in each mode. The counters are known to fall: iowait by a little at
//! any time, all of a core's when it was taken away and came back.

use std::collections::BTreeMap;

use anyhow::Context;
use procfs::{CpuTime, FromBufReadSI, KernelStats, LocalSystemInfo};

/// The modes, in the order of `/proc/stat`. Time spent running guests is part of `user` and `nice`.
pub const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const USER: usize = 0;
const NICE: usize = 1;
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// A core whose idle time falls by this many seconds was taken away in between; `node_exporter`'s bound.
const HOTPLUG_FALL_SECONDS: u64 = 3;

/// Seconds per mode since the host started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modes(pub [f64; 8]);

/// Percent of the time since the look before by mode, and of running guests.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    modes: [f64; 8],
    guests: [f64; 2],
}

impl Usage {
    /// By the CloudWatch agent's name of it, such as `idle` in `cpu_usage_idle`. Guests are part of `user` and `nice`.
    pub fn percent(&self, name: &str) -> Option<f64> {
        match name {
            "active" => Some(rounded(100.0 - self.modes[IDLE])),
            "guest" => Some(self.guests[0]),
            "guest_nice" => Some(self.guests[1]),
            name => {
                let mode = MODES.iter().position(|mode| *mode == name)?;
                Some(self.modes[mode])
            }
        }
    }
}

/// All cores together, and each by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpu {
    pub seconds: Modes,
    /// Percent of the time since the look before; `None` at the first look.
    pub utilization: Option<f64>,
    pub usage: Option<Usage>,
    pub cores: Vec<Core>,
    /// When the host started, in seconds since the epoch.
    pub boot_time: u64,
    pub context_switches: u64,
    pub forks: u64,
    pub interrupts: u64,
    pub processes_running: Option<u32>,
    pub processes_blocked: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Core {
    pub id: u32,
    pub seconds: Modes,
    /// Of the seconds in `user` and `nice` those that were spent running guests.
    pub guests: [f64; 2],
    pub utilization: Option<f64>,
    pub usage: Option<Usage>,
}

type Ticks = [u64; 8];
type Guests = [u64; 2];

/// What `/proc/stat` said.
#[derive(Debug)]
pub(super) struct Stat {
    kernel: KernelStats,
    pub(super) cores: Vec<(u32, Ticks, Guests)>,
    interrupts: u64,
    ticks_per_second: u64,
}

impl Stat {
    pub(super) fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let kernel = KernelStats::from_buf_read(text, &LocalSystemInfo)?;
        let text = std::str::from_utf8(text).context("`/proc/stat` is not text")?;
        // procfs numbers the cores it finds; when one is offline, its number is not theirs.
        let ids = text
            .lines()
            .filter_map(|line| line.strip_prefix("cpu")?.split(' ').next()?.parse().ok());
        let cores = ids
            .zip(&kernel.cpu_time)
            .map(|(id, time)| (id, ticks(time), guests(time)))
            .collect();
        Ok(Self {
            cores,
            interrupts: interrupts(text),
            ticks_per_second: procfs::ticks_per_second().max(1),
            kernel,
        })
    }
}

/// The first number of the line, which procfs leaves out: the sum of all others.
fn interrupts(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("intr "));
    let all = line.and_then(|line| line.split(' ').next()?.parse().ok());
    all.unwrap_or_default()
}

fn guests(time: &CpuTime) -> Guests {
    [time.guest, time.guest_nice].map(Option::unwrap_or_default)
}

fn ticks(time: &CpuTime) -> Ticks {
    let CpuTime {
        user,
        nice,
        system,
        idle,
        iowait,
        irq,
        softirq,
        steal,
        ..
    } = *time;
    let [iowait, irq, softirq, steal] =
        [iowait, irq, softirq, steal].map(Option::unwrap_or_default);
    [user, nice, system, idle, iowait, irq, softirq, steal]
}

/// The counters as last seen, never falling but for a core that was taken away.
#[derive(Debug, Default)]
pub(super) struct Counters {
    total: Option<(Ticks, Guests)>,
    cores: BTreeMap<u32, (Ticks, Guests)>,
}

impl Counters {
    pub(super) fn advance(&mut self, stat: &Stat) -> Cpu {
        let tps = stat.ticks_per_second;
        let guests = guests(&stat.kernel.total);
        let before = self.total.map(|(ticks, _)| ticks);
        let (total, spent) = step(before, ticks(&stat.kernel.total), tps);
        let of_guests = rise(self.total.map(|(_, guests)| guests), guests);
        self.total = Some((total, guests));
        let before = std::mem::take(&mut self.cores);
        let mut core = |&(id, now, guests): &(u32, Ticks, Guests)| {
            let known = before.get(&id).copied();
            let (ticks, spent) = step(known.map(|(ticks, _)| ticks), now, tps);
            let of_guests = rise(known.map(|(_, guests)| guests), guests);
            self.cores.insert(id, (ticks, guests));
            Core {
                id,
                seconds: seconds(ticks, tps),
                guests: in_seconds(guests, tps),
                utilization: spent.and_then(utilization),
                usage: spent.and_then(|spent| usage(spent, of_guests)),
            }
        };
        Cpu {
            seconds: seconds(total, tps),
            utilization: spent.and_then(utilization),
            usage: spent.and_then(|spent| usage(spent, of_guests)),
            cores: stat.cores.iter().map(&mut core).collect(),
            boot_time: stat.kernel.btime,
            context_switches: stat.kernel.ctxt,
            forks: stat.kernel.processes,
            interrupts: stat.interrupts,
            processes_running: stat.kernel.procs_running,
            processes_blocked: stat.kernel.procs_blocked,
        }
    }
}

/// The counters after a look, and what was spent since the one before, as far as that is known.
fn step(before: Option<Ticks>, now: Ticks, ticks_per_second: u64) -> (Ticks, Option<Ticks>) {
    let Some(before) = before else {
        return (now, None);
    };
    if before[IDLE].saturating_sub(now[IDLE]) >= HOTPLUG_FALL_SECONDS * ticks_per_second {
        return (now, None);
    }
    let after: Ticks = std::array::from_fn(|mode| before[mode].max(now[mode]));
    if now[IDLE] < before[IDLE] {
        // Nothing idle would be seen where it is only not known how much.
        return (after, None);
    }
    let spent: Ticks = std::array::from_fn(|mode| after[mode] - before[mode]);
    (after, Some(spent))
}

fn rise(before: Option<Guests>, now: Guests) -> Guests {
    let before = before.unwrap_or(now);
    std::array::from_fn(|mode| now[mode].saturating_sub(before[mode]))
}

/// `None` when no time passed.
fn usage(spent: Ticks, guests: Guests) -> Option<Usage> {
    let all: u64 = spent.iter().sum();
    let share = |ticks: u64| percent(ticks, all);
    let mut modes = spent;
    // The kernel counts guests as users, the CloudWatch agent beside them.
    for (mode, guest) in [USER, NICE].into_iter().zip(guests) {
        modes[mode] = modes[mode].saturating_sub(guest);
    }
    (all > 0).then(|| Usage {
        modes: modes.map(share),
        guests: guests.map(share),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ticks between two looks are far below 2^53"
)]
fn percent(ticks: u64, all: u64) -> f64 {
    rounded(100.0 * ticks as f64 / all as f64)
}

/// To 0.01: what is judged is exactly what is published.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// 100 × (1 − (idle + iowait) / all), to 0.01: what is judged is exactly what is published. `None` when no time passed.
fn utilization(spent: Ticks) -> Option<f64> {
    let all: u64 = spent.iter().sum();
    let unused = spent[IDLE] + spent[IOWAIT];
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks between two looks are far below 2^53"
    )]
    let share = 1.0 - unused as f64 / all as f64;
    (all > 0).then(|| (share * 10_000.0).round() / 100.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ticks are millions of years"
)]
fn in_seconds<const N: usize>(ticks: [u64; N], ticks_per_second: u64) -> [f64; N] {
    ticks.map(|ticks| ticks as f64 / ticks_per_second as f64)
}

fn seconds(ticks: Ticks, ticks_per_second: u64) -> Modes {
    Modes(in_seconds(ticks, ticks_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/proc/stat` with the given cores, each as number and modes; the total is their sum.
    fn stat(cores: &[(u32, Ticks)]) -> Stat {
        let line = |name: &str, ticks: &Ticks| {
            let ticks: Vec<String> = ticks.iter().map(u64::to_string).collect();
            format!("{name} {} 0 0\n", ticks.join(" "))
        };
        let total = std::array::from_fn(|mode| cores.iter().map(|(_, ticks)| ticks[mode]).sum());
        let lines: String = cores
            .iter()
            .map(|(id, ticks)| line(&format!("cpu{id}"), ticks))
            .collect();
        let rest =
            "intr 1 2 3\nctxt 5\nbtime 1700000000\nprocesses 7\nprocs_running 1\nprocs_blocked 0\n";
        Stat::parse(format!("{}{lines}{rest}", line("cpu ", &total)).as_bytes()).unwrap()
    }

    fn utilizations(cpu: &Cpu) -> Vec<(u32, Option<f64>)> {
        cpu.cores
            .iter()
            .map(|core| (core.id, core.utilization))
            .collect()
    }

    #[test]
    fn the_first_look_has_counters_but_no_utilization() {
        let mut counters = Counters::default();
        let cpu = counters.advance(&stat(&[(0, [100, 0, 50, 800, 50, 0, 0, 0])]));
        assert_eq!(cpu.utilization, None);
        assert_eq!(
            cpu.seconds.0[IDLE] * procfs::ticks_per_second() as f64,
            800.0
        );
        assert_eq!(
            (cpu.boot_time, cpu.context_switches, cpu.forks),
            (1_700_000_000, 5, 7)
        );
    }

    #[test]
    fn idle_and_iowait_are_unused_and_steal_is_used() {
        let mut counters = Counters::default();
        counters.advance(&stat(&[(0, [0; 8])]));
        let cpu = counters.advance(&stat(&[(0, [10, 5, 5, 30, 40, 2, 3, 5])]));
        assert_eq!(cpu.utilization, Some(30.0));
    }

    #[test]
    fn utilization_is_rounded_to_a_hundredth() {
        assert_eq!(utilization([1, 0, 0, 2, 0, 0, 0, 0]), Some(33.33));
        assert_eq!(utilization([0; 8]), None);
    }

    #[test]
    fn a_core_that_is_offline_does_not_lend_its_number() {
        let mut counters = Counters::default();
        counters.advance(&stat(&[(0, [0; 8]), (2, [0; 8])]));
        let cpu = counters.advance(&stat(&[
            (0, [1, 0, 0, 1, 0, 0, 0, 0]),
            (2, [0, 0, 0, 9, 0, 0, 0, 0]),
        ]));
        assert_eq!(utilizations(&cpu), [(0, Some(50.0)), (2, Some(0.0))]);
    }

    #[test]
    fn a_core_that_vanishes_and_returns_starts_anew() {
        let mut counters = Counters::default();
        let (busy, more) = ([50, 0, 0, 50, 0, 0, 0, 0], [60, 0, 0, 60, 0, 0, 0, 0]);
        counters.advance(&stat(&[(0, busy), (1, busy)]));
        let without = counters.advance(&stat(&[(0, more)]));
        assert_eq!(utilizations(&without), [(0, Some(50.0))]);
        let back = counters.advance(&stat(&[(0, more), (1, more)]));
        assert_eq!(
            utilizations(&back),
            [(0, None), (1, None)],
            "no time passed on 0, and 1 is new"
        );
    }

    #[test]
    fn counters_that_fall_a_little_stand_still() {
        let mut counters = Counters::default();
        counters.advance(&stat(&[(0, [10, 0, 0, 100, 20, 0, 0, 0])]));
        let cpu = counters.advance(&stat(&[(0, [11, 0, 0, 101, 15, 0, 0, 0])]));
        assert_eq!(cpu.utilization, Some(50.0));
        assert_eq!(
            cpu.seconds.0[IOWAIT] * procfs::ticks_per_second() as f64,
            20.0
        );
    }

    #[test]
    fn while_idle_is_behind_the_utilization_is_unknown() {
        let mut counters = Counters::default();
        counters.advance(&stat(&[(0, [10, 0, 0, 1000, 0, 0, 0, 0])]));
        for (user, idle, expected) in [(15, 900, None), (20, 999, None), (30, 1010, Some(50.0))] {
            let cpu = counters.advance(&stat(&[(0, [user, 0, 0, idle, 0, 0, 0, 0])]));
            assert_eq!(cpu.utilization, expected, "idle {idle}");
        }
    }

    #[test]
    fn counters_that_fall_far_are_those_of_another_core() {
        let mut counters = Counters::default();
        counters.advance(&stat(&[(0, [1000, 0, 0, 100_000, 0, 0, 0, 0])]));
        let cpu = counters.advance(&stat(&[(0, [5, 0, 0, 10, 0, 0, 0, 0])]));
        assert_eq!(utilizations(&cpu), [(0, None)]);
        assert_eq!(
            cpu.cores[0].seconds.0[0] * procfs::ticks_per_second() as f64,
            5.0
        );
    }

    /// Of ten ticks of users eight went to guests.
    #[test]
    fn time_of_guests_counts_once() {
        let usage = usage([10, 4, 0, 6, 0, 0, 0, 0], [8, 1]).unwrap();
        let told = ["user", "guest", "nice", "guest_nice", "idle", "active"];
        let told = told.map(|name| usage.percent(name).unwrap());
        assert_eq!(told, [10.0, 40.0, 15.0, 5.0, 30.0, 70.0]);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        for text in [
            &b""[..],
            b"cpu",
            b"cpu 1 2",
            b"cpu x",
            b"\xff\xfe",
            b"cpu 1 2 3 4\ncpu0 1 2 3 4\n",
        ] {
            assert!(Stat::parse(text).is_err(), "{text:?}");
        }
    }
}

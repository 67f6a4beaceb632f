//! The daemon's own process, as Prometheus client libraries show it.

use procfs::WithCurrentSystemInfo as _;
use procfs::process::LimitValue;

/// The content of the `process_*` metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: usize,
    pub max_fds: Option<u64>,
    pub threads: i64,
    /// In seconds since the epoch.
    pub start_time: f64,
}

/// `None` where `/proc/self` cannot be read.
#[expect(
    clippy::cast_precision_loss,
    reason = "ticks since the start are far below 2^53"
)]
pub fn process() -> Option<Process> {
    let this = procfs::process::Process::myself().ok()?;
    let stat = this.stat().ok()?;
    let ticks_per_second = procfs::ticks_per_second() as f64;
    let max_fds = match this.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    };
    Some(Process {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks_per_second,
        resident_bytes: stat.rss_bytes().get(),
        virtual_bytes: stat.vsize,
        open_fds: this.fd_count().ok()?,
        max_fds,
        threads: stat.num_threads,
        start_time: procfs::boot_time_secs().ok()? as f64
            + stat.starttime as f64 / ticks_per_second,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_is_seen() {
        let process = super::process().unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.open_fds >= 3 && process.threads >= 1);
        assert!(process.start_time > 1.6e9);
    }
}

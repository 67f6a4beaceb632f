//! What can be published: the CloudWatch agent's names, and what tells the metrics of one name apart.

/// One name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publishable {
    pub name: &'static str,
    /// The collector that sees it.
    pub collector: &'static str,
    /// The dimensions that come with what is seen; each disk is one by its `path`, `device` and `fstype`.
    pub labels: &'static [&'static str],
}

impl Publishable {
    /// Whether it is what a counter rose by since the look before.
    pub fn is_delta(&self) -> bool {
        matches!(self.collector, "diskstats" | "netdev") && self.name != "diskio_iops_in_progress"
    }
}

const CPU: &[&str] = &["cpu"];
const DISK: &[&str] = &["path", "device", "fstype"];
const DISKIO: &[&str] = &["name"];
const NET: &[&str] = &["interface"];
const PROCSTAT: &[&str] = &["exe", "pattern", "pidfile", "unit", "process_name"];
const NONE: &[&str] = &[];

#[rustfmt::skip]
const NAMES: [(&str, &[&str], &[&str]); 13] = [
    ("cpu", CPU, &["CPUUtilization", "cpu_usage_active", "cpu_usage_guest", "cpu_usage_guest_nice", "cpu_usage_idle", "cpu_usage_iowait", "cpu_usage_irq", "cpu_usage_nice", "cpu_usage_softirq", "cpu_usage_steal", "cpu_usage_system", "cpu_usage_user"]),
    ("cgroup", NONE, &["cgroup_memory_used_percent"]),
    ("filesystem", DISK, &["disk_free", "disk_inodes_free", "disk_inodes_total", "disk_inodes_used", "disk_total", "disk_used", "disk_used_percent"]),
    ("diskstats", DISKIO, &["diskio_io_time", "diskio_iops_in_progress", "diskio_read_bytes", "diskio_read_time", "diskio_reads", "diskio_write_bytes", "diskio_write_time", "diskio_writes"]),
    ("filefd", NONE, &["filefd_allocated"]),
    ("loadavg", NONE, &["load_1", "load_15", "load_5"]),
    ("meminfo", NONE, &["mem_active", "mem_available", "mem_available_percent", "mem_buffered", "mem_cached", "mem_free", "mem_inactive", "mem_shared", "mem_total", "mem_used", "mem_used_percent", "swap_free", "swap_used", "swap_used_percent"]),
    ("netdev", NET, &["net_bytes_recv", "net_bytes_sent", "net_drop_in", "net_drop_out", "net_err_in", "net_err_out", "net_packets_recv", "net_packets_sent"]),
    ("processes", NONE, &["processes_blocked", "processes_dead", "processes_idle", "processes_paging", "processes_running", "processes_sleeping", "processes_stopped", "processes_total", "processes_total_threads", "processes_zombies"]),
    ("procstat", PROCSTAT, &["procstat_cpu_usage", "procstat_lookup_pid_count", "procstat_memory_data", "procstat_memory_locked", "procstat_memory_rss", "procstat_memory_stack", "procstat_memory_swap", "procstat_memory_vms", "procstat_num_fds", "procstat_num_threads"]),
    ("sockstat", NONE, &["netstat_udp_socket"]),
    ("tcpstat", NONE, &["netstat_tcp_close", "netstat_tcp_close_wait", "netstat_tcp_closing", "netstat_tcp_established", "netstat_tcp_fin_wait1", "netstat_tcp_fin_wait2", "netstat_tcp_last_ack", "netstat_tcp_listen", "netstat_tcp_none", "netstat_tcp_syn_recv", "netstat_tcp_syn_sent", "netstat_tcp_time_wait"]),
    ("pressure", NONE, &["psi_cpu_some_percent", "psi_io_full_percent", "psi_io_some_percent", "psi_memory_full_percent", "psi_memory_some_percent"]),
];

/// Every name, sorted within its collector.
pub fn publishables() -> impl Iterator<Item = Publishable> {
    NAMES.into_iter().flat_map(|(collector, labels, names)| {
        names.iter().map(move |name| Publishable {
            name,
            collector,
            labels,
        })
    })
}

pub fn publishable(name: &str) -> Option<Publishable> {
    publishables().find(|known| known.name == name)
}

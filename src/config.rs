//! The configuration: what the program does when nothing is left open.

mod logs;
mod metrics;
mod notify;
mod resolve;

use std::net::SocketAddr;
use std::time::Duration;

use crate::finding::Position;

pub use logs::{
    LOG_NAME_MAX, LogFiles, LogFilter, LogTarget, Logs, PRIORITIES, RETENTIONS, RFC3339, Record,
    RecordFormat, StartAt, SystemdJournal, TIMESTAMP, check_timestamp_format, is_glob, retention,
};
pub use metrics::{Publishable, publishable, publishables};
pub use notify::{CERTAINTIES, Notify, Pattern, Recipient, STATES, Secret, Shape, Webhook, When};
pub use resolve::{check_region, resolve};

/// The address of `/metrics`, unless set otherwise.
pub const LISTEN: &str = "127.0.0.1:10106";

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `None` for the built-in alarm.
    pub alarms: Option<Vec<AlarmFiles>>,
    pub listen: SocketAddr,
    /// The exporter-toolkit's web-config file, relative to the configuration.
    pub web_config: Option<String>,
    pub publish: Publish,
    pub collectors: Collectors,
    pub journal: Journal,
    /// `None`: CloudWatch's own alarms are not asked for.
    pub mirror: Option<Mirror>,
    /// Who is told of state changes.
    pub notify: Vec<Notify>,
    /// What goes to CloudWatch Logs.
    pub logs: Logs,
}

/// Which of CloudWatch's alarms are judged here and compared, and how often CloudWatch is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub select: Select,
    /// Only alarms whose names begin so.
    pub name_prefix: Option<String>,
    /// How often the states of the alarms that are known are asked for.
    pub interval: Duration,
    /// How often the account is looked through for alarms.
    pub search_interval: Duration,
}

/// Which alarms are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those on metrics of this host or of its instance, and the composite alarms that follow them.
    Host,
    All,
}

/// Where what outlives the process is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// `None`: the state directory.
    pub dir: Option<String>,
    pub max_age: Duration,
    /// In bytes.
    pub max_size: u64,
}

/// A file or glob as written, relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmFiles {
    pub pattern: String,
    pub position: Position,
}

/// What goes to CloudWatch, and where that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    pub namespace: String,
    /// `None`: as the AWS SDK finds it.
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
    /// Constant dimensions of every published metric, by name. One of the names that are found out otherwise (`InstanceId`,
    /// `host`) takes its value from here.
    pub dimensions: Vec<(String, String)>,
    /// Whether EC2 publishes this instance's own metrics every minute instead of every five.
    pub detailed_monitoring: bool,
    pub metrics: Vec<PublishedMetric>,
}

impl Publish {
    /// Whether a dimension has its value by a tag of the instance.
    fn wants_tags(&self) -> bool {
        const GROUP: &str = "AutoScalingGroupName";
        let sets = self
            .metrics
            .iter()
            .filter_map(|entry| entry.dimensions.as_ref());
        let mut names = sets
            .flatten()
            .flatten()
            .map(|name| name.trim_end_matches('?'));
        names.any(|name| name == GROUP) || self.dimensions.iter().any(|(_, value)| is_by_tag(value))
    }
}

impl Config {
    /// Whether something is known by a tag of the instance.
    pub fn wants_tags(&self) -> bool {
        let targets = self.logs.targets();
        let mut names = targets.flat_map(|target| [&target.group, &target.stream]);
        self.publish.wants_tags() || names.any(|name| is_by_tag(name))
    }
}

/// Whether a value has a placeholder for a tag.
pub fn is_by_tag(value: &str) -> bool {
    value.contains("${tag:") || value.contains("${aws:AutoScalingGroupName}")
}

/// Metrics that are published in the same way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedMetric {
    pub names: Vec<String>,
    /// Each list is published as a metric of its own; `None`: by `InstanceId`, off EC2 by `host`, and one for each disk or
    /// device.
    pub dimensions: Option<Vec<Vec<String>>>,
    /// Names to publish some of them under.
    pub rename: Vec<(String, String)>,
    /// Regular expressions by dimension, such as `path`: what is left of what there are several of.
    pub include: Vec<(String, String)>,
    pub exclude: Vec<(String, String)>,
    pub high_resolution: bool,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collectors {
    pub enabled: Vec<Collector>,
    pub roots: Roots,
}

impl Collectors {
    pub fn has(&self, name: &str) -> bool {
        self.enabled.iter().any(|collector| collector.name == name)
    }
}

/// Where the host's file systems are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub procfs: String,
    pub sysfs: String,
    pub rootfs: String,
}

/// One part of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    pub name: &'static str,
    /// The CPU is looked at every second all the same.
    pub interval: Duration,
    /// Regular expressions by labels: of what has the label only what matches is shown, or what does not.
    pub include: Vec<(String, String)>,
    pub exclude: Vec<(String, String)>,
    /// Of `textfile`: the folder whose files are shown.
    pub directory: Option<String>,
    /// Of `procstat`: what is looked at.
    pub groups: Vec<ProcessGroup>,
}

/// Processes that are looked at together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessGroup {
    pub name: String,
    /// One of [`PROCESS_GROUPS_BY`].
    pub by: &'static str,
    /// The pattern, file or unit.
    pub of: String,
}

/// What tells the processes of a group from others, by the CloudWatch agent's dimensions: a pattern in the program's name, a
/// pattern in the command line, a pidfile; and a systemd unit.
pub const PROCESS_GROUPS_BY: [&str; 4] = ["exe", "pattern", "pidfile", "unit"];

/// The collectors by node_exporter's names, and whether they are at work unless it is said otherwise. To look at every process
/// or connection costs more than all the rest; `textfile` needs a folder, `procstat` groups. What is published is looked at in any case.
pub const COLLECTORS: [(&str, bool); 22] = [
    ("cgroup", true),
    ("conntrack", true),
    ("cpu", true),
    ("diskstats", true),
    ("entropy", true),
    ("filefd", true),
    ("filesystem", true),
    ("loadavg", true),
    ("meminfo", true),
    ("netclass", true),
    ("netdev", true),
    ("netstat", true),
    ("os", true),
    ("pressure", true),
    ("processes", false),
    ("procstat", false),
    ("sockstat", true),
    ("tcpstat", false),
    ("textfile", false),
    ("time", true),
    ("uname", true),
    ("vmstat", true),
];

/// The dimensions whose values are found out once, for all metrics.
pub const KNOWN_DIMENSIONS: [&str; 5] = [
    "InstanceId",
    "host",
    "AutoScalingGroupName",
    "ImageId",
    "InstanceType",
];

//! What is written to CloudWatch Logs.

use std::time::Duration;

/// The most characters that the name of a group or a stream has; the least is one
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html>).
pub const LOG_NAME_MAX: usize = 512;

/// For how many days a group can keep its events
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>).
pub const RETENTIONS: [i32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// The days of a retention that is written as a duration, like `30d`.
pub fn retention(text: &str) -> Result<i32, String> {
    const DAY: u64 = 86_400;
    let is_of = |duration: Duration, days: i32| {
        u64::try_from(days).is_ok_and(|days| duration == Duration::from_secs(days * DAY))
    };
    let known = humantime::parse_duration(text).ok().and_then(|duration| {
        let mut known = RETENTIONS.iter().copied();
        known.find(|days| is_of(duration, *days))
    });
    known.ok_or_else(|| {
        let days = RETENTIONS.iter();
        let days: Vec<String> = days.map(|days| format!("{days}d")).collect();
        format!(
            "it is `{text}`, and CloudWatch Logs keeps events for one of {}",
            days.join(", ")
        )
    })
}

/// What is written to CloudWatch Logs, and what of this host is sent there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// What this program has to say itself.
    pub record: Option<Record>,
    pub files: Vec<LogFiles>,
    pub journals: Vec<SystemdJournal>,
}

impl Logs {
    /// Everything that has a group and a stream.
    pub fn targets(&self) -> impl Iterator<Item = &LogTarget> {
        let record = self.record.iter().map(|it| &it.target);
        let journals = self.journals.iter().map(|it| &it.target);
        let files = self.files.iter().map(|it| &it.target);
        record.chain(journals).chain(files)
    }

    pub fn is_empty(&self) -> bool {
        self.record.is_none() && self.files.is_empty() && self.journals.is_empty()
    }
}

/// A group and a stream, with placeholders, and what a group is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    pub group: String,
    pub stream: String,
    /// In days; `None` for ever.
    pub retention: Option<i32>,
    pub tags: Vec<(String, String)>,
}

/// What this program has to say itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub target: LogTarget,
    /// Whether state changes are written.
    pub transitions: bool,
    pub format: RecordFormat,
    /// Whether the log of the program is written, too.
    pub daemon_log: bool,
}

/// How a state change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// The event of `EventBridge`.
    Json,
    /// The same with what makes metrics of it: Embedded Metric Format.
    Emf,
    Text,
}

impl RecordFormat {
    pub const ALL: [(&'static str, Self); 3] = [
        ("json", Self::Json),
        ("emf", Self::Emf),
        ("text", Self::Text),
    ];
}

/// Which events are sent: those that match one of `include`, if there are any, and none of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

/// Where what was there before is begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Beginning,
    End,
}

impl StartAt {
    pub const ALL: [(&'static str, Self); 2] = [("beginning", Self::Beginning), ("end", Self::End)];
}

/// Files that are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    pub target: LogTarget,
    /// Globs.
    pub paths: Vec<String>,
    pub exclude_paths: Vec<String>,
    /// What the first line of an event matches; `None`: every line is an event.
    pub multi_line_start: Option<String>,
    /// As `strptime` has it, or [`RFC3339`].
    pub timestamp_format: Option<String>,
    /// For times that have none.
    pub timezone: String,
    pub filter: LogFilter,
    pub start_at: StartAt,
}

/// The format of times like `2026-09-25T21:51:00.123Z`.
pub const RFC3339: &str = "rfc3339";

/// Whether a path is one as it is looked for.
pub fn is_glob(path: &str) -> bool {
    glob::Pattern::new(path).is_ok()
}

/// Whether times can be read by a format.
pub fn check_timestamp_format(format: &str) -> Result<(), jiff::Error> {
    if format == RFC3339 {
        return Ok(());
    }
    // What is wrong with a format is found when it writes a time, and when it reads what it wrote.
    let text = jiff::fmt::strtime::format(format, &jiff::Zoned::default())?;
    let mut time = jiff::fmt::strtime::parse(format, text)?;
    if time.to_timestamp().is_ok() {
        return Ok(());
    }
    // Which year it is is known without it, and which day is not.
    if time.year().is_none() {
        time.set_year(Some(1_970))?;
    }
    time.to_datetime().map(drop)
}

/// In [`LogFiles::multi_line_start`]: whatever has a time.
pub const TIMESTAMP: &str = "{timestamp}";

/// What is sent of the journal of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemdJournal {
    pub target: LogTarget,
    /// All of them, if there are none.
    pub units: Vec<String>,
    /// Of systemd's, and everything above.
    pub priority: Option<String>,
    pub filter: LogFilter,
    pub start_at: StartAt,
}

impl SystemdJournal {
    /// Whether both are the same entries in the same place, but for what is filtered.
    pub fn is_like(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.target.group.clone(), it.target.stream.clone());
        let is_same_place = place(self) == place(other);
        is_same_place && self.units == other.units && self.priority == other.priority
    }
}

/// From the least.
pub const PRIORITIES: [&str; 8] = [
    "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg",
];

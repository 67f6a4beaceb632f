//! `[logs]`

use jiff::tz::TimeZone;
use regex_lite::Regex;

use crate::finding::{did_you_mean, one_of};
use crate::tree::{Entry, Node};

use super::super::logs::{
    LOG_NAME_MAX, LogFiles, LogFilter, LogTarget, Logs, PRIORITIES, RFC3339, Record, RecordFormat,
    StartAt, SystemdJournal, TIMESTAMP, check_timestamp_format, retention,
};
use super::Reader;

const KEYS: [&str; 9] = [
    "group",
    "stream",
    "retention",
    "tags",
    "transitions",
    "format",
    "daemon_log",
    "file",
    "journald",
];
const FILE_KEYS: [&str; 12] = [
    "paths",
    "exclude_paths",
    "group",
    "stream",
    "retention",
    "tags",
    "multi_line_start",
    "timestamp_format",
    "timezone",
    "include",
    "exclude",
    "start_at",
];
const JOURNAL_KEYS: [&str; 9] = [
    "group",
    "stream",
    "retention",
    "tags",
    "units",
    "priority",
    "include",
    "exclude",
    "start_at",
];

const STREAM_DEFAULT: &str = "${hostname}";
const FILE_STREAM_DEFAULT: &str = "${hostname}/${file}";
const JOURNAL_STREAM_DEFAULT: &str = "${hostname}/journal";

/// What a group can be tagged with
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>).
const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

/// What stands in `[logs]` for every part of it.
#[derive(Clone, Debug, Default)]
struct Shared {
    group: Option<String>,
    retention: Option<i32>,
    tags: Vec<(String, String)>,
}

impl Reader<'_> {
    pub(super) fn logs(&mut self, logs: &Node) -> Logs {
        self.keys("`[logs]`", logs, &KEYS);
        let shared = Shared {
            group: logs.get("group").and_then(|node| self.log_group(node)),
            retention: self.retention(logs),
            tags: self.log_tags(logs).unwrap_or_default(),
        };
        let nodes = |key| logs.get(key);
        let files = nodes("file").and_then(|node| self.report.list("file", node));
        let files = files.unwrap_or_default().iter();
        let files: Vec<LogFiles> = files
            .filter_map(|node| self.log_files(node, &shared))
            .collect();
        let journals = nodes("journald").and_then(|node| self.report.list("journald", node));
        let journals = journals.unwrap_or_default().iter();
        let mut known: Vec<SystemdJournal> = Vec::new();
        for node in journals {
            let Some(journal) = self.systemd_journal(node, &shared) else {
                continue;
            };
            if known.iter().any(|other| other.is_like(&journal)) {
                let text = "`[[logs.journald]]` sends the same units and priority to the same stream as another one; give it a `stream` of its own, or one section for both";
                self.report.add(node.position, text);
            }
            known.push(journal);
        }
        Logs {
            record: self.record(logs, &shared),
            files,
            journals: known,
        }
    }

    fn record(&mut self, logs: &Node, shared: &Shared) -> Option<Record> {
        let flag = |reader: &mut Self, key, default| {
            let node = logs.get(key);
            let flag = node.and_then(|node| reader.report.boolean(key, node));
            flag.unwrap_or(default)
        };
        let transitions = flag(self, "transitions", shared.group.is_some());
        let daemon_log = flag(self, "daemon_log", false);
        let format = self.log_choice("format", logs.get("format"), &RecordFormat::ALL);
        let stream = self.stream(logs, STREAM_DEFAULT);
        if !transitions && !daemon_log {
            return None;
        }
        let Some(group) = shared.group.clone() else {
            let text = "`[logs]` must have a `group`, to which state changes are written";
            self.report.add(logs.position, text);
            return None;
        };
        let target = LogTarget {
            group,
            stream,
            retention: shared.retention,
            tags: shared.tags.clone(),
        };
        Some(Record {
            target,
            transitions,
            format: format.unwrap_or(RecordFormat::Json),
            daemon_log,
        })
    }

    fn log_files(&mut self, node: &Node, shared: &Shared) -> Option<LogFiles> {
        self.keys("`[[logs.file]]`", node, &FILE_KEYS);
        let target = self.log_target("`[[logs.file]]`", node, shared, FILE_STREAM_DEFAULT);
        let paths = match node.get("paths") {
            Some(paths) => self.globs("paths", paths),
            None => {
                let text = "`[[logs.file]]` must have `paths`, such as `[\"/var/log/app/*.log\"]`";
                self.report.add(node.position, text);
                Vec::new()
            }
        };
        let exclude = node.get("exclude_paths");
        let exclude_paths = exclude.map(|node| self.globs("exclude_paths", node));
        let timestamp_format = self.timestamp_format(node);
        let timezone = node.get("timezone").and_then(|node| self.timezone(node));
        let multi_line_start = node.get("multi_line_start").and_then(|start| {
            let pattern = self.report.string("multi_line_start", start)?;
            if pattern != TIMESTAMP {
                return self.pattern("multi_line_start", start);
            }
            if timestamp_format.is_none() {
                let text = format!(
                    "`multi_line_start` is `{TIMESTAMP}`, which needs a `timestamp_format`"
                );
                self.report.add(start.position, text);
            }
            Some(pattern)
        });
        Some(LogFiles {
            target: target?,
            paths,
            exclude_paths: exclude_paths.unwrap_or_default(),
            multi_line_start,
            timestamp_format,
            timezone: timezone.unwrap_or_else(|| "UTC".to_owned()),
            filter: self.log_filter(node),
            start_at: self.start_at(node),
        })
    }

    fn systemd_journal(&mut self, node: &Node, shared: &Shared) -> Option<SystemdJournal> {
        self.keys("`[[logs.journald]]`", node, &JOURNAL_KEYS);
        let target = self.log_target("`[[logs.journald]]`", node, shared, JOURNAL_STREAM_DEFAULT);
        let units = node.get("units");
        let units = units.and_then(|node| self.report.strings("units", node));
        let priority = node.get("priority").and_then(|node| {
            let priority = self.report.string("priority", node)?;
            self.is_known("priority", &priority, node.position, &PRIORITIES);
            Some(priority)
        });
        Some(SystemdJournal {
            target: target?,
            units: units.unwrap_or_default(),
            priority,
            filter: self.log_filter(node),
            start_at: self.start_at(node),
        })
    }

    fn log_target(
        &mut self,
        whose: &str,
        node: &Node,
        shared: &Shared,
        stream: &str,
    ) -> Option<LogTarget> {
        let own = node.get("group").and_then(|node| self.log_group(node));
        let stream = self.stream(node, stream);
        let (retention, tags) = (self.retention(node), self.log_tags(node));
        let Some(group) = own.or_else(|| shared.group.clone()) else {
            if node.get("group").is_none() {
                let text = format!("{whose} must have a `group`, or `[logs]` one for all");
                self.report.add(node.position, text);
            }
            return None;
        };
        Some(LogTarget {
            group,
            stream,
            retention: retention.or(shared.retention),
            tags: tags.unwrap_or_else(|| shared.tags.clone()),
        })
    }

    fn log_group(&mut self, node: &Node) -> Option<String> {
        let group = self.report.string("group", node)?;
        let rest = without_placeholders(&group);
        let is_taken = |it: char| it.is_ascii_alphanumeric() || "_-/.#".contains(it);
        let length = group.chars().count();
        if !rest.chars().all(is_taken) || !(1..=LOG_NAME_MAX).contains(&length) {
            let text = format!(
                "`group` is `{group}`, but must have 1 to {LOG_NAME_MAX} letters, digits and `_-/.#`"
            );
            self.report.add(node.position, text);
        }
        Some(group)
    }

    fn stream(&mut self, node: &Node, default: &str) -> String {
        let Some(node) = node.get("stream") else {
            return default.to_owned();
        };
        let Some(stream) = self.report.string("stream", node) else {
            return default.to_owned();
        };
        let rest = without_placeholders(&stream);
        let length = stream.chars().count();
        if rest.contains([':', '*']) || !(1..=LOG_NAME_MAX).contains(&length) {
            let text = format!(
                "`stream` is `{stream}`, but must have 1 to {LOG_NAME_MAX} characters, and neither `:` nor `*`"
            );
            self.report.add(node.position, text);
        }
        stream
    }

    fn retention(&mut self, node: &Node) -> Option<i32> {
        let node = node.get("retention")?;
        let text = self.report.string("retention", node)?;
        match retention(&text) {
            Ok(days) => Some(days),
            Err(problem) => {
                let text = format!("`retention`: {problem}");
                self.report.add(node.position, text);
                None
            }
        }
    }

    fn log_tags(&mut self, node: &Node) -> Option<Vec<(String, String)>> {
        let node = node.get("tags")?;
        let entries = self.report.table("tags", node)?;
        if entries.len() > TAGS_MAX {
            let text = format!(
                "`tags` has {} of them, but a group can have {TAGS_MAX}",
                entries.len()
            );
            self.report.add(node.position, text);
        }
        let tags = entries.iter().filter_map(|entry| {
            let value = self.report.string(&entry.key, &entry.node)?;
            self.log_tag(entry, &value);
            Some((entry.key.clone(), value))
        });
        Some(tags.collect())
    }

    /// Groups with other tags cannot be created.
    fn log_tag(&mut self, entry: &Entry, value: &str) {
        let key = &entry.key;
        let [length, value_length] = [key, value].map(|text| text.chars().count());
        let problem = if key.to_lowercase().starts_with("aws:") {
            "what begins with `aws:` is AWS's own".to_owned()
        } else if !(1..=TAG_KEY_MAX).contains(&length) {
            format!("its name has {length} characters, but must have 1 to {TAG_KEY_MAX}")
        } else if value_length > TAG_VALUE_MAX {
            format!(
                "its value has {value_length} characters, but must have {TAG_VALUE_MAX} at most"
            )
        } else if !key.chars().chain(value.chars()).all(is_of_tag) {
            "only letters, digits, spaces and `_.:/=+-@` can stand in a tag".to_owned()
        } else {
            return;
        };
        self.report
            .add(entry.position, format!("`tags` has `{key}`: {problem}"));
    }

    /// Absolute, as nobody knows where a service runs.
    fn globs(&mut self, what: &str, node: &Node) -> Vec<String> {
        let nodes = self.report.list(what, node).unwrap_or_default();
        let mut globs = Vec::new();
        for node in nodes {
            let Some(text) = self.report.string(what, node) else {
                continue;
            };
            if !text.starts_with('/') {
                let text = format!("`{what}` has `{text}`, but must have absolute paths");
                self.report.add(node.position, text);
            } else if let Err(error) = glob::Pattern::new(&text) {
                let text = format!("`{what}` has `{text}`, which is no glob: {}", error.msg);
                self.report.add(node.position, text);
            }
            globs.push(text);
        }
        globs
    }

    fn timestamp_format(&mut self, node: &Node) -> Option<String> {
        let node = node.get("timestamp_format")?;
        let format = self.report.string("timestamp_format", node)?;
        if format != RFC3339 && !format.contains('%') {
            let text = format!(
                "`timestamp_format` is `{format}`, but must be `{RFC3339}` or like `%Y-%m-%d %H:%M:%S`"
            );
            self.report.add(node.position, text);
        } else if let Err(error) = check_timestamp_format(&format) {
            let text = format!("`timestamp_format` is `{format}`, which cannot be read: {error}");
            self.report.add(node.position, text);
        }
        Some(format)
    }

    fn timezone(&mut self, node: &Node) -> Option<String> {
        let name = self.report.string("timezone", node)?;
        if name != "local"
            && let Err(error) = TimeZone::get(&name)
        {
            let text = format!(
                "`timezone` is `{name}`, but must be `UTC`, `local` or one like `Europe/Berlin`: {error}"
            );
            self.report.add(node.position, text);
        }
        Some(name)
    }

    fn log_filter(&mut self, node: &Node) -> LogFilter {
        let mut patterns = |key| {
            let nodes = node.get(key).and_then(|node| self.report.list(key, node));
            let nodes = nodes.unwrap_or_default().iter();
            nodes.filter_map(|node| self.pattern(key, node)).collect()
        };
        LogFilter {
            include: patterns("include"),
            exclude: patterns("exclude"),
        }
    }

    fn pattern(&mut self, what: &str, node: &Node) -> Option<String> {
        let pattern = self.report.string(what, node)?;
        if let Err(error) = Regex::new(&pattern) {
            let text = format!("`{what}` has `{pattern}`, which is no regular expression: {error}");
            self.report.add(node.position, text);
        }
        Some(pattern)
    }

    fn start_at(&mut self, node: &Node) -> StartAt {
        let chosen = self.log_choice("start_at", node.get("start_at"), &StartAt::ALL);
        chosen.unwrap_or(StartAt::Beginning)
    }

    fn log_choice<T: Copy>(
        &mut self,
        what: &str,
        node: Option<&Node>,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.report.string(what, node?)?;
        let names = || known.iter().map(|(name, _)| *name);
        let found = known.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let hint = did_you_mean(&text, names());
            let text = format!(
                "`{what}` is `{text}`, but must be {}{hint}",
                one_of(names())
            );
            self.report.add(node?.position, text);
        }
        found.map(|(_, it)| *it)
    }
}

fn is_of_tag(it: char) -> bool {
    it.is_alphanumeric() || it == ' ' || "_.:/=+-@".contains(it)
}

/// What is left of a template.
fn without_placeholders(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        left.push_str(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    left + rest
}

//! Files that are sent to CloudWatch Logs: the agent's `logs`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::config::{RETENTIONS, TIMESTAMP, check_timestamp_format, is_glob};

use super::{Importer, list, quoted};

const WHOSE: &str = "logs.logs_collected.files";

/// The agent's variables, with our placeholders.
const VARIABLES: [(&str, &str); 3] = [
    ("{instance_id}", "${aws:InstanceId}"),
    ("{hostname}", "${hostname}"),
    ("{local_hostname}", "${hostname}"),
];

/// What the agent calls a stream where nothing else is said.
const STREAM: &str = "{instance_id}";

/// With what an event begins where nothing else is said: lines that are indented belong to the one before.
const START: &str = r"^[\S]";

/// What the agent has for the time of a line as a pattern.
const TIME_PATTERN: &str = "{timestamp_format}";

impl Importer {
    pub(super) fn logs(&mut self, logs: Option<&Value>) {
        let Some(Value::Object(logs)) = logs else {
            return;
        };
        let stream = logs.get("log_stream_name").and_then(Value::as_str);
        let collected = logs.get("logs_collected").and_then(Value::as_object);
        for (what, settings) in collected.into_iter().flatten() {
            let files = settings.get("collect_list").and_then(Value::as_array);
            match (what.as_str(), files) {
                ("files", Some(files)) => {
                    for file in files {
                        self.log_file(file, stream.unwrap_or(STREAM));
                    }
                }
                _ => self.not_taken.push(format!("`logs.logs_collected.{what}`")),
            }
        }
        // What waits is sent within seconds here as well.
        let taken = ["log_stream_name", "logs_collected", "force_flush_interval"];
        self.rest("logs", logs, &taken);
    }

    fn log_file(&mut self, file: &Value, stream: &str) {
        let path = file.get("file_path").and_then(Value::as_str);
        let (Some(path), Value::Object(settings)) = (path, file) else {
            self.not_taken.push(format!("`{WHOSE}`: {file}"));
            return;
        };
        if !path.starts_with('/') || !is_glob(path) {
            self.not_taken.push(format!("the files at `{path}`"));
            return;
        }
        let text = |key| settings.get(key).and_then(Value::as_str);
        let mut lines = format!("\n[[logs.file]]\npaths = {}\n", list(&alternatives(path)));
        let group = text("log_group_name").map_or_else(|| group_of(path), str::to_owned);
        let stream = text("log_stream_name").unwrap_or(stream);
        for (key, name) in [("group", &*group), ("stream", stream)] {
            let name = self.with_placeholders(name);
            let _ = writeln!(lines, "{key} = {}", quoted(&name));
        }
        self.retention(settings, &mut lines);
        self.times(settings, &mut lines);
        self.filters(settings, path, &mut lines);
        if path.contains(['*', '?', '[', '{'])
            && settings.get("publish_multi_logs") != Some(&true.into())
        {
            self.not_taken.push(format!(
                "that only the newest of the files at `{path}` is sent: all are"
            ));
        }
        let taken = [
            "file_path",
            "log_group_name",
            "log_stream_name",
            "retention_in_days",
            "timestamp_format",
            "timezone",
            "multi_line_start_pattern",
            "filters",
            "blacklist",
            "publish_multi_logs",
            "encoding",
        ];
        let encoding = text("encoding").filter(|it| !is_utf8(it));
        self.not_taken.extend(
            encoding.map(|it| format!("the encoding `{it}` of `{path}`: it is read as UTF-8")),
        );
        self.rest(WHOSE, settings, &taken);
        self.log_files.push_str(&lines);
    }

    fn retention(&mut self, settings: &Map<String, Value>, lines: &mut String) {
        let days = settings.get("retention_in_days").and_then(Value::as_i64);
        match days {
            None | Some(-1) => {}
            Some(days) if RETENTIONS.iter().any(|known| i64::from(*known) == days) => {
                let _ = writeln!(lines, "retention = \"{days}d\"");
            }
            Some(days) => self.not_taken.push(format!("a retention of {days} days")),
        }
    }

    /// The agent takes times to be local unless it is told otherwise.
    fn times(&mut self, settings: &Map<String, Value>, lines: &mut String) {
        let text = |key| settings.get(key).and_then(Value::as_str);
        let format = text("timestamp_format");
        let known = format.filter(|format| check_timestamp_format(format).is_ok());
        if let Some(format) = known {
            let is_utc = text("timezone").is_some_and(|zone| zone.eq_ignore_ascii_case("utc"));
            let _ = writeln!(lines, "timestamp_format = {}", quoted(format));
            if !is_utc {
                lines.push_str("timezone = \"local\"\n");
            }
        } else if let Some(format) = format {
            self.not_taken.push(format!("the time format `{format}`"));
        }
        let start = text("multi_line_start_pattern").unwrap_or(START);
        let start = match start {
            TIME_PATTERN if known.is_none() => {
                let what = "that events begin with a time, which cannot be read";
                self.not_taken.push(what.to_owned());
                return;
            }
            TIME_PATTERN => TIMESTAMP,
            pattern => pattern,
        };
        if start == TIMESTAMP || self.is_pattern(start) {
            let _ = writeln!(lines, "multi_line_start = {}", quoted(start));
        }
    }

    fn filters(&mut self, settings: &Map<String, Value>, path: &str, lines: &mut String) {
        let filters = settings.get("filters").and_then(Value::as_array);
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        for filter in filters.into_iter().flatten() {
            let text = |key| filter.get(key).and_then(Value::as_str);
            match (text("type"), text("expression")) {
                (Some("include"), Some(it)) if self.is_pattern(it) => include.push(it.to_owned()),
                (Some("exclude"), Some(it)) if self.is_pattern(it) => exclude.push(it.to_owned()),
                (Some("include" | "exclude"), Some(_)) => {}
                _ => self
                    .not_taken
                    .push(format!("a filter of `{path}`: {filter}")),
            }
        }
        if include.len() > 1 {
            // Ours pass what matches one of them.
            let kept = include.split_off(1);
            self.not_taken.extend(
                kept.iter()
                    .map(|it| format!("that events of `{path}` have to match `{it}` as well")),
            );
        }
        for (key, patterns) in [("include", include), ("exclude", exclude)] {
            if !patterns.is_empty() {
                let _ = writeln!(lines, "{key} = {}", list(&patterns));
            }
        }
        if let Some(pattern) = settings.get("blacklist") {
            self.not_taken
                .push(format!("files that are left out of `{path}` by {pattern}"));
        }
    }

    /// What the agent finds out and this program does not stays, without its braces.
    fn with_placeholders(&mut self, name: &str) -> String {
        let known = |name: String, (theirs, ours): &(&str, &str)| name.replace(theirs, ours);
        let mut rest = &*VARIABLES.iter().fold(name.to_owned(), known);
        let mut made = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            made.push_str(before);
            let is_ours = before.ends_with('$');
            let (inside, after) = after.split_once('}').unwrap_or((after, ""));
            if is_ours {
                let _ = write!(made, "{{{inside}}}");
            } else {
                made.push_str(inside);
                self.not_taken
                    .push(format!("what `{{{inside}}}` stands for in `{name}`"));
            }
            rest = after;
        }
        made + rest
    }

    fn is_pattern(&mut self, pattern: &str) -> bool {
        let problem = regex_lite::Regex::new(pattern).err();
        let told = problem
            .iter()
            .map(|it| format!("the pattern `{pattern}`: {it}"));
        self.not_taken.extend(told);
        problem.is_none()
    }
}

/// What the agent makes of a path if no group is named: all before the last dot.
fn group_of(path: &str) -> String {
    let ending = path
        .rsplit_once('.')
        .filter(|(_, ending)| !ending.contains('/'));
    let name = ending.map_or(path, |(before, _)| before);
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-/.#".contains(it);
    name.replace(|it: char| !is_plain(it), "_")
}

/// What braces stand for: `{a,b}` is `a` or `b`.
fn alternatives(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| {
        let (among, after) = rest.split_once('}')?;
        Some((before, among, after))
    });
    let Some((before, among, after)) = parts else {
        return vec![path.to_owned()];
    };
    let each = among.split(',');
    each.flat_map(|it| alternatives(&format!("{before}{it}{after}")))
        .collect()
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "ascii", "us-ascii"]
        .iter()
        .any(|it| encoding.eq_ignore_ascii_case(it))
}

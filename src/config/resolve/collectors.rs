//! `[collectors]`

use std::time::Duration;

use regex_lite::Regex;

use crate::tree::Node;

use super::super::{COLLECTORS, Collector, Collectors, Roots};
use super::Reader;

/// What stands beside the collectors' names.
const KEYS: [&str; 5] = ["interval", "only", "procfs", "sysfs", "rootfs"];
const COLLECTOR_KEYS: [&str; 5] = ["enabled", "interval", "include", "exclude", "directory"];

/// The one collector that has a folder of its own.
const TEXTFILE: &str = "textfile";

const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_mins(1);

impl Reader<'_> {
    /// `published`: the collectors whose metrics are published, which are at work unless they are switched off.
    pub(super) fn collectors(
        &mut self,
        collectors: Option<&Node>,
        published: &[&str],
    ) -> Collectors {
        let key = |key| collectors.and_then(|collectors| collectors.get(key));
        let names: Vec<&str> = COLLECTORS.iter().map(|(name, _)| *name).collect();
        if let Some(collectors) = collectors {
            let known: Vec<&str> = KEYS.iter().chain(&names).copied().collect();
            self.keys("`[collectors]`", collectors, &known);
        }
        let only = key("only").map(|node| self.names("only", node, &names));
        let interval = key("interval").and_then(|node| self.interval(node));
        let interval = interval.unwrap_or(INTERVAL_DEFAULT);
        let collector = |(name, by_default): (&'static str, bool)| {
            let is_on = match &only {
                Some(only) => only.iter().any(|only| only == name),
                None => by_default || published.contains(&name),
            };
            self.collector(name, key(name), is_on, interval)
        };
        let enabled = COLLECTORS.into_iter().filter_map(collector).collect();
        let mut root = |name, default: &str| {
            let root = key(name).and_then(|node| self.report.string(name, node));
            root.unwrap_or_else(|| default.to_owned())
        };
        let roots = Roots {
            procfs: root("procfs", "/proc"),
            sysfs: root("sysfs", "/sys"),
            rootfs: root("rootfs", "/"),
        };
        Collectors { enabled, roots }
    }

    /// `None` for one that is switched off.
    fn collector(
        &mut self,
        name: &'static str,
        node: Option<&Node>,
        is_on: bool,
        interval: Duration,
    ) -> Option<Collector> {
        let mut collector = Collector {
            name,
            interval,
            include: Vec::new(),
            exclude: Vec::new(),
            directory: None,
        };
        let Some(node) = node else {
            return is_on.then_some(collector);
        };
        let keys = match name {
            TEXTFILE => &COLLECTOR_KEYS[..],
            _ => &COLLECTOR_KEYS[..COLLECTOR_KEYS.len() - 1],
        };
        self.keys(&format!("`[collectors.{name}]`"), node, keys);
        let directory = node.get("directory");
        collector.directory = directory.and_then(|node| self.report.string("directory", node));
        let is_on = is_on || collector.directory.is_some();
        let own = node.get("interval").and_then(|node| self.interval(node));
        collector.interval = own.unwrap_or(interval);
        let mut patterns = |key| {
            let patterns = node.get(key).map(|node| self.patterns(key, node));
            patterns.unwrap_or_default()
        };
        collector.include = patterns("include");
        collector.exclude = patterns("exclude");
        let enabled = node.get("enabled");
        let enabled = enabled.and_then(|node| self.report.boolean("enabled", node));
        let is_on = enabled.unwrap_or(is_on);
        if is_on && name == TEXTFILE && collector.directory.is_none() {
            let text = "`[collectors.textfile]` has no `directory`";
            self.report.add(node.position, text);
        }
        is_on.then_some(collector)
    }

    fn interval(&mut self, node: &Node) -> Option<Duration> {
        self.duration("interval", node, INTERVAL_MIN..=INTERVAL_MAX, "10s")
    }

    /// Regular expressions by the names of labels.
    pub(super) fn patterns(&mut self, key: &str, node: &Node) -> Vec<(String, String)> {
        let mut patterns = Vec::new();
        for entry in self.report.table(key, node).unwrap_or_default() {
            let Some(pattern) = self.report.string(&entry.key, &entry.node) else {
                continue;
            };
            if let Err(error) = Regex::new(&pattern) {
                let label = &entry.key;
                let text =
                    format!("`{label}` is `{pattern}`, which is no regular expression: {error}");
                self.report.add(entry.node.position, text);
                continue;
            }
            patterns.push((entry.key.clone(), pattern));
        }
        patterns
    }
}

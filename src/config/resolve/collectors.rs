//! `[collectors]`

use std::time::Duration;

use regex_lite::Regex;

use crate::finding::one_of;
use crate::tree::Node;

use super::super::{COLLECTORS, Collector, Collectors, PROCESS_GROUPS_BY, ProcessGroup, Roots};
use super::Reader;

/// What stands beside the collectors' names.
const KEYS: [&str; 5] = ["interval", "only", "procfs", "sysfs", "rootfs"];
const COLLECTOR_KEYS: [&str; 4] = ["enabled", "interval", "include", "exclude"];

/// What only one collector has: a folder, and groups of processes.
const OWN_KEYS: [(&str, &str); 2] = [(TEXTFILE, "directory"), (PROCSTAT, "group")];
const TEXTFILE: &str = "textfile";
const PROCSTAT: &str = "procstat";

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
            groups: Vec::new(),
        };
        let Some(node) = node else {
            // Without groups there is nothing to look at.
            return (is_on && name != PROCSTAT).then_some(collector);
        };
        let own_key = OWN_KEYS.iter().find(|(collector, _)| *collector == name);
        let own_key = own_key.map(|(_, key)| *key);
        let keys: Vec<&str> = COLLECTOR_KEYS.into_iter().chain(own_key).collect();
        self.keys(&format!("`[collectors.{name}]`"), node, &keys);
        let directory = node.get("directory");
        collector.directory = directory.and_then(|node| self.report.string("directory", node));
        let groups = node.get("group").filter(|_| name == PROCSTAT);
        collector.groups = groups.map_or_else(Vec::new, |node| self.groups(node));
        let has_own = own_key.is_some_and(|key| node.get(key).is_some());
        let is_on = is_on || has_own;
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
        if let Some(key) = own_key.filter(|_| is_on && !has_own) {
            let text = format!("`[collectors.{name}]` has no `{key}`");
            self.report.add(node.position, text);
        }
        is_on.then_some(collector)
    }

    fn groups(&mut self, node: &Node) -> Vec<ProcessGroup> {
        let nodes = self.report.list("group", node).unwrap_or_default();
        let mut groups: Vec<ProcessGroup> = Vec::new();
        for node in nodes {
            let Some(group) = self.group(node) else {
                continue;
            };
            if groups.iter().any(|known| known.name == group.name) {
                let text = format!("there are two groups `{}`", group.name);
                self.report.add(node.position, text);
            }
            groups.push(group);
        }
        groups
    }

    /// `{ name = "web", unit = "nginx.service" }`
    fn group(&mut self, node: &Node) -> Option<ProcessGroup> {
        let keys: Vec<&str> = ["name"].into_iter().chain(PROCESS_GROUPS_BY).collect();
        self.keys("`[[collectors.procstat.group]]`", node, &keys);
        let found = PROCESS_GROUPS_BY.iter();
        let mut found = found.filter_map(|by| Some((*by, node.get(by)?)));
        let (Some((by, of)), None) = (found.next(), found.next()) else {
            let by = one_of(PROCESS_GROUPS_BY);
            let text = format!("`[[collectors.procstat.group]]` must have one of {by}");
            self.report.add(node.position, text);
            return None;
        };
        let position = of.position;
        let of = self.report.string(by, of)?;
        if let Err(error) = Regex::new(&of)
            && ["exe", "pattern"].contains(&by)
        {
            let text = format!("`{by}` is `{of}`, which is no regular expression: {error}");
            self.report.add(position, text);
        }
        let name = node
            .get("name")
            .map(|node| self.report.string("name", node));
        Some(ProcessGroup {
            name: name.unwrap_or_else(|| Some(of.clone()))?,
            by,
            of,
        })
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

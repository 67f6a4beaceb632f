//! From what the TOML file says to what is meant, collecting every mistake on the way.

mod collectors;
mod logs;
mod mirror;
mod notify;
mod publish;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;

use crate::finding::{Finding, Position, Report, did_you_mean, one_of};
use crate::tree::{self, Node};

use super::{AlarmFiles, Config, Journal, LISTEN, Publish, PublishedMetric};
use super::{Logs, publishable};
use notify::Asked;

const KEYS: [&str; 9] = [
    "alarms",
    "serve",
    "publish",
    "journal",
    "collectors",
    "mirror",
    "notify",
    "events",
    "logs",
];
const SERVE_KEYS: [&str; 2] = ["listen", "web_config"];
const PUBLISH_KEYS: [&str; 6] = [
    "namespace",
    "region",
    "endpoint_url",
    "dimensions",
    "detailed_monitoring",
    "metric",
];
const JOURNAL_KEYS: [&str; 3] = ["dir", "max_age", "max_size"];

/// The lengths of the names and values of dimensions that CloudWatch takes.
const NAME_LENGTH_MAX: usize = 255;
const VALUE_LENGTH_MAX: usize = 1024;

/// How long the journal keeps what was published; CloudWatch itself takes nothing older than two weeks.
const AGE_DEFAULT: Duration = Duration::from_hours(15 * 24);
const AGE_MIN: Duration = Duration::from_hours(1);
const AGE_MAX: Duration = Duration::from_hours(10 * 8_766);

/// How large the journal may become, in bytes.
const SIZE_DEFAULT: u64 = 512_000_000;
const SIZE_MIN: u64 = 10_000_000;

/// Reads the text of a configuration file; an empty one is the built-in defaults. Where there is a finding, the default stands
/// in the configuration.
pub fn resolve(file: &str, text: &str) -> (Config, Vec<Finding>) {
    let mut report = Report::new(file);
    let tree = tree::toml(text, &mut report);
    let broken: Vec<Position> = report
        .findings
        .iter()
        .map(|finding| finding.position)
        .collect();
    let reader = &mut Reader {
        report: &mut report,
    };
    reader.keys("the configuration", &tree, &KEYS);
    let publish = reader.publish(tree.get("publish"));
    let names = publish.metrics.iter().flat_map(|entry| &entry.names);
    let published: Vec<&str> = names
        .filter_map(|name| Some(publishable(name)?.collector))
        .collect();
    let collectors = reader.collectors(tree.get("collectors"), &published);
    let mirror = tree.get("mirror").map(|node| reader.mirror(node));
    let asked = Asked {
        mirror: mirror.as_ref().map(|mirror| mirror.interval),
        publishes: publish.metrics.iter().any(|entry| !entry.names.is_empty()),
    };
    let config = Config {
        alarms: tree.get("alarms").map(|node| reader.alarms(node)),
        listen: reader.listen(tree.get("serve")),
        web_config: reader.web_config(tree.get("serve")),
        publish,
        collectors,
        journal: reader.journal(tree.get("journal")),
        mirror,
        notify: reader.notify(tree.get("notify"), tree.get("events"), asked),
        logs: tree
            .get("logs")
            .map_or_else(Logs::default, |node| reader.logs(node)),
    };
    // Where the syntax is broken, what a value means is not worth a second line.
    let mut findings = report.findings.split_off(broken.len());
    findings.retain(|finding| !broken.contains(&finding.position));
    findings.append(&mut report.findings);
    findings.sort_by_key(|finding| finding.position);
    (config, findings)
}

struct Reader<'a> {
    report: &'a mut Report,
}

impl Reader<'_> {
    fn keys(&mut self, whose: &str, node: &Node, known: &[&str]) {
        if self.report.table(whose, node).is_some() {
            self.report.unknown_keys(whose, node, known);
        }
    }

    fn alarms(&mut self, node: &Node) -> Vec<AlarmFiles> {
        let nodes = self.report.list("alarms", node).unwrap_or_default();
        let file = |node: &Node| {
            let pattern = self.report.string("alarms", node)?;
            Some(AlarmFiles {
                pattern,
                position: node.position,
            })
        };
        nodes.iter().filter_map(file).collect()
    }

    fn listen(&mut self, serve: Option<&Node>) -> SocketAddr {
        let default: SocketAddr = LISTEN.parse().expect("the default is an address");
        let Some(serve) = serve else { return default };
        self.keys("`[serve]`", serve, &SERVE_KEYS);
        let Some(node) = serve.get("listen") else {
            return default;
        };
        let Some(text) = self.report.string("listen", node) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.report.add(
                node.position,
                format!(
                    "`listen` is `{text}`, but must be an address and port, such as `{LISTEN}`"
                ),
            );
            default
        })
    }

    fn web_config(&mut self, serve: Option<&Node>) -> Option<String> {
        let node = serve?.get("web_config")?;
        self.report.string("web_config", node)
    }

    fn publish(&mut self, publish: Option<&Node>) -> Publish {
        let key = |key| publish.and_then(|publish| publish.get(key));
        if let Some(publish) = publish {
            self.keys("`[publish]`", publish, &PUBLISH_KEYS);
        }
        let dimensions =
            key("dimensions").map_or_else(Vec::new, |node| self.constant_dimensions(node));
        let metrics = key("metric").and_then(|node| self.metrics(node, &dimensions));
        Publish {
            namespace: key("namespace")
                .and_then(|node| self.namespace(node))
                .unwrap_or_else(|| "CWBridge".to_owned()),
            region: key("region").and_then(|node| self.region(node)),
            endpoint_url: key("endpoint_url").and_then(|node| self.endpoint_url(node)),
            dimensions,
            detailed_monitoring: key("detailed_monitoring")
                .and_then(|node| self.report.boolean("detailed_monitoring", node))
                .unwrap_or(false),
            metrics: metrics.unwrap_or_else(|| {
                vec![PublishedMetric {
                    names: vec!["CPUUtilization".to_owned()],
                    ..PublishedMetric::default()
                }]
            }),
        }
    }

    fn namespace(&mut self, node: &Node) -> Option<String> {
        let namespace = self.report.string("namespace", node)?;
        let problem = if namespace.starts_with("AWS/") {
            "starts with `AWS/`, which CloudWatch keeps for AWS services"
        } else if namespace.starts_with(':') {
            "starts with `:`, which a namespace must not"
        } else if namespace.is_empty() || namespace.chars().count() > NAME_LENGTH_MAX {
            "must have 1 to 255 characters"
        } else {
            return Some(namespace);
        };
        self.report
            .add(node.position, format!("namespace `{namespace}` {problem}"));
        None
    }

    fn region(&mut self, node: &Node) -> Option<String> {
        let region = self.report.string("region", node)?;
        if let Err(problem) = check_region(&region) {
            self.report.add(node.position, problem);
        }
        Some(region)
    }

    fn endpoint_url(&mut self, node: &Node) -> Option<String> {
        let url = self.report.string("endpoint_url", node)?;
        let host = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':'])) {
            self.report.add(node.position, format!("`endpoint_url` is `{url}`, but must begin with `http://` or `https://` and name a host"));
        }
        Some(url)
    }

    fn constant_dimensions(&mut self, node: &Node) -> Vec<(String, String)> {
        let Some(entries) = self.report.table("dimensions", node) else {
            return Vec::new();
        };
        let mut dimensions = Vec::new();
        for entry in entries {
            let Some(value) = self.report.string(&entry.key, &entry.node) else {
                continue;
            };
            self.length(
                &entry.key,
                "dimension name",
                NAME_LENGTH_MAX,
                entry.position,
            );
            self.length(
                &value,
                "dimension value",
                VALUE_LENGTH_MAX,
                entry.node.position,
            );
            dimensions.push((entry.key.clone(), value));
        }
        dimensions
    }

    fn length(&mut self, text: &str, what: &str, most: usize, position: Position) {
        if text.is_empty() || text.chars().count() > most || !text.is_ascii() {
            self.report.add(
                position,
                format!("the {what} `{text}` must have 1 to {most} characters, all of them ASCII"),
            );
        }
    }

    /// A list of strings, each of which is among `known`.
    fn names(&mut self, what: &str, node: &Node, known: &[&str]) -> Vec<String> {
        let Some(nodes) = self.report.list(what, node) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for node in nodes {
            let Some(name) = self.report.string(what, node) else {
                continue;
            };
            self.is_known(what, &name, node.position, known);
            names.push(name);
        }
        names
    }

    fn is_known(&mut self, what: &str, name: &str, position: Position, known: &[&str]) {
        if known.contains(&name) {
            return;
        }
        let hint = did_you_mean(name, known.iter().copied());
        let known = one_of(known.iter().copied());
        let text = format!("`{what}` names `{name}`, but only {known} can stand here{hint}");
        self.report.add(position, text);
    }

    fn journal(&mut self, journal: Option<&Node>) -> Journal {
        let key = |key| journal.and_then(|journal| journal.get(key));
        if let Some(journal) = journal {
            self.keys("`[journal]`", journal, &JOURNAL_KEYS);
        }
        let max_age = key("max_age")
            .and_then(|node| self.duration("max_age", node, AGE_MIN..=AGE_MAX, "15d"));
        Journal {
            dir: key("dir").and_then(|node| self.report.string("dir", node)),
            max_age: max_age.unwrap_or(AGE_DEFAULT),
            max_size: key("max_size")
                .and_then(|node| self.max_size(node))
                .unwrap_or(SIZE_DEFAULT),
        }
    }

    fn max_size(&mut self, node: &Node) -> Option<u64> {
        let text = self.report.string("max_size", node)?;
        let size: Option<ByteSize> = text.parse().ok();
        let size = size
            .map(|ByteSize(bytes)| bytes)
            .filter(|bytes| *bytes >= SIZE_MIN);
        if size.is_none() {
            let text = format!(
                "`max_size` is `{text}`, but must be a size of at least 10MB, such as `512MB` or `2GB`"
            );
            self.report.add(node.position, text);
        }
        size
    }

    fn duration(
        &mut self,
        what: &str,
        node: &Node,
        allowed: RangeInclusive<Duration>,
        example: &str,
    ) -> Option<Duration> {
        let text = self.report.string(what, node)?;
        let (least, most) = (allowed.start(), allowed.end());
        let bounds = format!(
            "must be from {} to {}",
            humantime::format_duration(*least),
            humantime::format_duration(*most)
        );
        let problem = match humantime::parse_duration(&text) {
            Ok(duration) if allowed.contains(&duration) => return Some(duration),
            Ok(_) => format!("`{what}` is `{text}`, but {bounds}"),
            Err(error) => {
                format!("`{what}` is `{text}`, but {bounds}, such as `{example}`: {error}")
            }
        };
        self.report.add(node.position, problem);
        None
    }
}

/// Region names as AWS forms them: `us-east-1`, `us-gov-west-1`, `ap-southeast-4`.
pub fn check_region(region: &str) -> Result<(), String> {
    let mut parts = region.split('-').rev();
    let number = parts
        .next()
        .is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = parts.collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    if number && words.len() >= 2 && words.iter().all(is_word) {
        return Ok(());
    }
    Err(format!(
        "region `{region}` is malformed; a region is named like `us-east-1`"
    ))
}

#[cfg(test)]
mod tests;

//! node_exporter on the same host at the same time, and what a dashboard for it asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use regex_lite::Regex;

use crate::world::{Folder, Process, cwbridge, data, free_port, get, pause, wait};

use super::prometheus::{Prometheus, installed};

/// A name with its labels, but for those that are empty.
type Series = (String, BTreeSet<(String, String)>);

fn series(text: &str) -> BTreeMap<Series, f64> {
    let label = Regex::new(r#"(\w+)="((?:[^"\\]|\\.)*)""#).unwrap();
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels = label.captures_iter(labels);
        let labels = labels.map(|label| (label[1].to_owned(), label[2].to_owned()));
        let labels = labels.filter(|(_, value)| !value.is_empty());
        Some(((name.to_owned(), labels.collect()), value.parse().ok()?))
    };
    let lines = text.lines().filter(|line| line.starts_with("node_"));
    lines.filter_map(line).collect()
}

fn heads(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| line.starts_with("# ")).collect()
}

/// What may differ, each with its reason: `KIND PATTERN # REASON`.
fn differences() -> Vec<(String, Regex)> {
    let text = fs::read_to_string(data("node_exporter/differences.txt")).unwrap();
    let line = |line: &str| {
        let (rule, reason) = line.split_once(" # ").unwrap();
        assert!(!reason.is_empty());
        let (kind, pattern) = rule.split_once(' ').unwrap();
        (
            kind.to_owned(),
            Regex::new(&format!("^(?:{pattern})$")).unwrap(),
        )
    };
    text.lines()
        .filter(|line| !line.is_empty())
        .map(line)
        .collect()
}

pub(super) fn as_node_exporter() {
    let Some(node_exporter) = installed("prometheus-node-exporter") else {
        return;
    };
    let (port, theirs) = (free_port(), free_port());
    let folder = Folder::new("node-exporter");
    let config = folder.write(
        "c.toml",
        "[collectors.processes]\nenabled = true\n[collectors.tcpstat]\nenabled = true\n",
    );
    // First, as each is seen by the other: what a socket that waits for connections may have waiting counts as sent.
    let mut command = Command::new(node_exporter);
    let address = format!("--web.listen-address=127.0.0.1:{theirs}");
    let _node_exporter =
        Process::start(command.args([&address, "--collector.processes", "--collector.tcpstat"]));
    wait(Duration::from_mins(1), "node_exporter", || {
        get(theirs, "/metrics")
    });
    let listen = format!("127.0.0.1:{port}");
    let mut command = cwbridge();
    command.args(["run", "--listen", &listen, "--config"]);
    let _program = Process::start(command.arg(config));
    let look = || {
        wait(Duration::from_mins(1), "both pages", || {
            let ours = get(port, "/metrics").filter(|text| text.contains("node_vmstat"))?;
            Some(compare(&ours, &get(theirs, "/metrics")?))
        })
    };
    let mut told = look();
    for _ in 1..LOOKS_MAX {
        if told.is_empty() {
            break;
        }
        pause(LOOK_INTERVAL);
        let again = look();
        told.retain(|what, _| again.contains_key(what));
    }
    assert_eq!(
        told,
        BTreeMap::new(),
        "differences that `differences.txt` does not name"
    );
}

/// So that not all looks are at the same samples, which are taken every ten seconds.
const LOOK_INTERVAL: Duration = Duration::from_secs(4);

/// Looks until a difference is believed. A host at work moves between the two pages of one look: what differs by that
/// differs not each time.
const LOOKS_MAX: usize = 5;

/// Every difference that is not named, by the families that both have and those that only one has.
fn compare(ours: &str, theirs: &str) -> BTreeMap<(&'static str, String), String> {
    let (here, there) = (series(ours), series(theirs));
    let allowed = differences();
    let is_allowed = |kind: &str, name: &str| {
        let mut rules = allowed.iter();
        rules.any(|(known, pattern)| known == kind && pattern.is_match(name))
    };
    let mut told = BTreeMap::new();
    let mut tell = |kind, name: &str, what: String, values: String| {
        if !is_allowed(kind, name) {
            told.insert((kind, what), values);
        }
    };
    let names = |all: &BTreeMap<Series, f64>| -> BTreeSet<String> {
        all.keys().map(|(name, _)| name.clone()).collect()
    };
    let (our_names, their_names) = (names(&here), names(&there));
    for name in our_names.symmetric_difference(&their_names) {
        tell("family", name, name.clone(), String::new());
    }
    let common: BTreeSet<&String> = our_names.intersection(&their_names).collect();
    for one in here
        .keys()
        .chain(there.keys())
        .filter(|(name, _)| common.contains(name))
    {
        match (here.get(one), there.get(one)) {
            (Some(here), Some(there)) => {
                let (most, off) = (here.abs().max(there.abs()), (here - there).abs());
                // What moves moves not by half of itself from one look to the next.
                let kind = if off > 0.5 * most + 1_000.0 {
                    "another"
                } else {
                    "value"
                };
                if off > 0.01 * most.min(1e9) + 1.0 {
                    let values = format!("{here} here, {there} there");
                    tell(kind, &one.0, shown(one), values);
                }
            }
            _ => tell("series", &shown(one), shown(one), String::new()),
        }
    }
    let theirs = heads(theirs);
    if is_no_disk_common(&here, &there) {
        let what = "no file system in common";
        tell(what, "", String::new(), String::new());
    }
    for head in heads(ours).difference(&theirs) {
        let name = head.split(' ').nth(2).unwrap_or_default();
        let base = name.strip_suffix("_total").unwrap_or(name);
        if common
            .iter()
            .any(|known| *known == name || known.strip_suffix("_total") == Some(base))
        {
            tell("head", head, (*head).to_owned(), String::new());
        }
    }
    told
}

fn shown((name, labels): &Series) -> String {
    let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
    format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(","))
}

/// Whether the other one has file systems, and none that is here, too.
fn is_no_disk_common(here: &BTreeMap<Series, f64>, there: &BTreeMap<Series, f64>) -> bool {
    let sizes = |all: &BTreeMap<Series, f64>| -> BTreeSet<String> {
        let sizes = all.keys();
        let sizes = sizes.filter(|(name, _)| name == "node_filesystem_size_bytes");
        sizes.map(shown).collect()
    };
    let (here, there) = (sizes(here), sizes(there));
    !there.is_empty() && here.is_disjoint(&there)
}

/// A dashboard's names all return data from a Prometheus that scrapes the program.
pub(super) fn dashboards() {
    let Some(program) = Prometheus::program() else {
        return;
    };
    let (port, folder) = (free_port(), Folder::new("dashboards"));
    let listen = format!("127.0.0.1:{port}");
    let _program = Process::start(cwbridge().args(["run", "--listen", &listen]));
    let prometheus = Prometheus::start(&program, &folder, port);
    for dashboard in ["nodes.txt", "node-exporter-full.txt"] {
        let text = fs::read_to_string(data("node_exporter").join(dashboard)).unwrap();
        let names = text.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = names.filter(|line| !line.is_empty()).collect();
        assert!(names.len() > 15);
        wait(Duration::from_secs(30), "a scrape of the host", || {
            prometheus.query("count(node_vmstat_pgfault)")
        });
        // What takes longer to be looked at is in a later scrape.
        for name in names {
            let what = format!("`{name}` of {dashboard}");
            wait(Duration::from_secs(30), &what, || {
                prometheus.query(&format!("count({name})"))
            });
        }
    }
}

//! The conformance cases: what CloudWatch is known to do, against what this program does.
//!
//! `cargo test --test it conformance` runs `tests/data/conformance/cases.json` and every file named in the environment variable
//! `CWBRIDGE_CONFORMANCE` (paths separated by `:`), prints a line for each file and kind, and names every case that fails.
//! A case of our own file that is believed to be wrong, or about a request that nothing here makes, stands with its argument in
//! `disagreements.txt`: it counts as failed, and does not fail the test.

mod case;
mod composite;
mod lifecycle;
mod math;
mod metric;
mod statistic;
mod timeline;
mod validation;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::data;
use case::Case;

/// What a case comes to: every difference, in words; none if it passes.
type Differences = Vec<String>;

/// Runs one case. A kind or topic that is not known here is a difference.
fn run(case: &Case) -> Differences {
    match (case.kind(), case.topic()) {
        ("metric-alarm", "lifecycle") => lifecycle::run(case),
        ("metric-alarm", "mute rule window") => timeline::mute_window(case),
        ("metric-alarm", "low-sample percentile") => metric::low_sample(case),
        ("metric-alarm", "PromQL") => metric::promql(case),
        ("metric-alarm", "state reason") if case.has("series") => metric::insights(case),
        ("metric-alarm", "state reason") if case.has("evaluations") => metric::promql(case),
        ("metric-alarm", "Metrics Insights missing data") => metric::insights(case),
        ("metric-alarm", "sliding window" | "multi-day alarm schedule") => timeline::windows(case),
        ("metric-alarm", "wall clock window") if case.has("expected_window") => {
            timeline::windows(case)
        }
        ("metric-alarm", "evaluation range timeline" | "warm-up") => timeline::samples(case),
        ("metric-alarm", "evaluation sequence") => metric::sequence(case),
        (
            "metric-alarm",
            "missing-data table"
            | "premature rule"
            | "M of N, no missing data"
            | "enough real points, older than N"
            | "filled missing points"
            | "some real non-breaching, too few breaches"
            | "wall clock window"
            | "comparison operator"
            | "anomaly operators"
            | "state reason",
        ) => metric::evaluation(case),
        ("log-alarm", "state reason") => metric::log(case),
        ("composite", "rule evaluation") => composite::evaluation(case),
        ("composite", "state reason") => composite::reason(case),
        ("composite", "state sequence") => composite::sequence(case),
        ("composite", "action suppression") => composite::suppression(case),
        ("statistic", "statistics") => statistic::run(case),
        ("metric-math", "metric math") => math::run(case),
        (
            "validation",
            "PutMetricAlarm" | "PutCompositeAlarm" | "PutAlarmMuteRule" | "PutLogAlarm"
            | "SetAlarmState" | "PutMetricData",
        ) => validation::run(case),
        (kind, topic) => vec![format!(
            "nothing is known of the kind `{kind}` with the topic `{topic}`"
        )],
    }
}

/// Runs one case, for which a panic is a difference like any other.
fn differences(case: &Case) -> Differences {
    match catch_unwind(AssertUnwindSafe(|| run(case))) {
        Ok(differences) => differences,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            vec![format!("panicked: {}", text.unwrap_or("without a text"))]
        }
    }
}

/// The ids in `disagreements.txt`: the first word of each line that is no comment.
fn disagreements() -> Vec<String> {
    let text = fs::read_to_string(data("conformance/disagreements.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Runs the cases of one file. Returns the ids of those that fail.
fn run_file(path: &Path) -> Vec<String> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = file["cases"]
        .as_array()
        .or(file.as_array())
        .cloned()
        .unwrap_or_default();
    assert!(!cases.is_empty(), "{} holds no cases", path.display());
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut failed = Vec::new();
    for case in cases.into_iter().map(Case) {
        let differences = differences(&case);
        let (passes, fails) = counts.entry(case.kind().to_owned()).or_default();
        if differences.is_empty() {
            *passes += 1;
            continue;
        }
        *fails += 1;
        print(&format!(
            "  {} ({}): {}",
            case.id(),
            case.topic(),
            differences.join("; ")
        ));
        failed.push(case.id().to_owned());
    }
    for (kind, (passed, failed)) in counts {
        let all = passed + failed;
        print(&format!(
            "conformance {} {kind}: {passed} passed, {failed} failed of {all}",
            path.display()
        ));
    }
    failed
}

/// Past the capture of test output: the lines are wanted when everything passes, too.
fn print(line: &str) {
    io::stdout()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

#[test]
fn conformance() {
    let ours = data("conformance/cases.json");
    let disagreements = disagreements();
    let failed = run_file(&ours);
    let unexpected: Vec<&String> = failed
        .iter()
        .filter(|id| !disagreements.contains(id))
        .collect();
    let settled: Vec<&String> = disagreements
        .iter()
        .filter(|id| !failed.contains(id))
        .collect();
    let further = std::env::var_os("CWBRIDGE_CONFORMANCE").unwrap_or_default();
    let paths: Vec<PathBuf> = std::env::split_paths(&further)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    let others: Vec<String> = paths.iter().flat_map(|path| run_file(path)).collect();
    assert!(unexpected.is_empty(), "cases that fail: {unexpected:?}");
    assert!(
        settled.is_empty(),
        "these pass and need not be listed: {settled:?}"
    );
    assert!(
        others.is_empty(),
        "cases of other files that fail: {others:?}"
    );
}

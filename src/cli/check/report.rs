//! Findings for people, for programs, and for what shows them beside the code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use crate::cost::metrics_alone;
use crate::finding::Position;
use crate::lint::{self, Severity};

use super::{ALLOWANCE, NOT_KNOWN, Publishing, REFUSED, Results, Told};

/// The lines of each file.
type Sources<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// A line of source is shown up to this many characters.
const EXCERPT_MAX: usize = 160;

pub(super) fn text(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let texts = results.texts.iter();
    let sources: Sources<'_> = texts
        .map(|(file, text)| (file.as_str(), text.lines().collect()))
        .collect();
    for told in &results.told {
        writeln!(
            out,
            "{}[{}]: {}",
            told.severity.name(),
            told.rule,
            told.message
        )?;
        let (line, column) = (told.position.line, told.position.column);
        match line {
            0 => writeln!(out, "  --> {}", told.file)?,
            _ => writeln!(out, "  --> {}:{line}:{column}", told.file)?,
        }
        excerpt(&sources, told, out)?;
        writeln!(out)?;
    }
    let count = |severity| {
        results
            .told
            .iter()
            .filter(|told| told.severity == severity)
            .count()
    };
    let counts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| match count(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.name())),
            many => Some(format!("{many} {}s", severity.name())),
        })
        .collect();
    match counts.as_slice() {
        [] if results.cost.alarms == 0 => {
            writeln!(out, "there are no alarms in these files")?;
            return publishing(results, out);
        }
        [] => writeln!(out, "nothing found")?,
        counts => writeln!(out, "{}; `--explain RULE` tells more", counts.join(", "))?,
    }
    placeholders(results, out)?;
    writeln!(out, "{} (list prices)", results.cost)?;
    publishing(results, out)
}

/// What a host like this one publishes, in total and by entry.
fn publishing(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let Some(publishing) = &results.publishing else {
        return Ok(());
    };
    for warning in &publishing.warnings {
        writeln!(out, "{warning}")?;
    }
    let estimate = publishing.estimate;
    writeln!(out, "publishing from a host like this one: {estimate}")?;
    for (names, metrics) in publishing
        .entries
        .iter()
        .filter(|_| publishing.entries.len() > 1)
    {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let dollars = metrics_alone(*metrics);
        let plural = if *metrics == 1 { "" } else { "s" };
        writeln!(
            out,
            "  {}: about ${dollars:.2} a month ({metrics} metric{plural})",
            names.join(", ")
        )?;
    }
    Ok(())
}

/// What was not known, so that nobody takes silence about it for a judgement.
fn placeholders(results: &Results, out: &mut impl Write) -> io::Result<()> {
    const SHOWN_MAX: usize = 10;
    let all = results.placeholders.len();
    if all == 0 {
        return Ok(());
    }
    let shown: Vec<&str> = results
        .placeholders
        .iter()
        .take(SHOWN_MAX)
        .map(String::as_str)
        .collect();
    let more = match all.saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(
        out,
        "not known here, and taken as they stand: {}{more}",
        shown.join(", ")
    )
}

/// The line with a sign below what it is about.
fn excerpt(sources: &Sources<'_>, told: &Told, out: &mut impl Write) -> io::Result<()> {
    let (line, column) = (told.position.line, told.position.column);
    let index = usize::try_from(line).unwrap_or(0).checked_sub(1);
    let source = sources.get(told.file.as_str()).zip(index);
    let Some(source) = source.and_then(|(lines, index)| lines.get(index)) else {
        return Ok(());
    };
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    // Of a long line the part around the place.
    let from = match column > EXCERPT_MAX / 2 {
        true if source.chars().count() > EXCERPT_MAX => column - EXCERPT_MAX / 2,
        _ => 0,
    };
    let shown: String = source
        .chars()
        .skip(from)
        .take(EXCERPT_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let margin = " ".repeat(line.to_string().len());
    writeln!(out, "{margin} |\n{line} | {}", shown.trim_end())?;
    writeln!(out, "{margin} | {}^", " ".repeat(column - from))
}

pub(super) fn explain(rule: &lint::Rule, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{} ({}): {}\n\n{}",
        rule.id,
        rule.severity.name(),
        rule.summary,
        rule.why
    )?;
    for (what, example) in [("Bad", rule.bad), ("Good", rule.good)] {
        if !example.is_empty() {
            writeln!(out, "\n{what}:")?;
            for line in example.lines() {
                writeln!(out, "    {line}")?;
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Json<'a> {
    findings: Vec<Finding<'a>>,
    alarms: usize,
    dollars_a_month: f64,
    /// Stand for values that are not known here.
    placeholders: &'a BTreeSet<String>,
    /// From a host like this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    publishing: Option<Published<'a>>,
}

#[derive(Serialize)]
struct Published<'a> {
    metrics: usize,
    dollars_a_month: f64,
    entries: Vec<Entry<'a>>,
    /// What is not published although it is configured.
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Entry<'a> {
    names: &'a [String],
    metrics: usize,
    dollars_a_month: f64,
}

/// To the cent.
fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round() / 100.0
}

impl<'a> From<&'a Publishing> for Published<'a> {
    fn from(publishing: &'a Publishing) -> Self {
        let entry = |(names, metrics): &'a (Vec<String>, usize)| Entry {
            names,
            metrics: *metrics,
            dollars_a_month: cents(metrics_alone(*metrics)),
        };
        Self {
            metrics: publishing.estimate.metrics,
            dollars_a_month: cents(publishing.estimate.dollars),
            entries: publishing.entries.iter().map(entry).collect(),
            warnings: &publishing.warnings,
        }
    }
}

#[derive(Serialize)]
struct Finding<'a> {
    rule: &'a str,
    severity: &'static str,
    file: &'a str,
    line: u64,
    column: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<&'a str>,
    message: &'a str,
}

impl<'a> From<&'a Told> for Finding<'a> {
    fn from(told: &'a Told) -> Self {
        Self {
            rule: told.rule,
            severity: told.severity.name(),
            file: &told.file,
            line: told.position.line,
            column: told.position.column,
            alarm: told.alarm.as_deref(),
            message: &told.message,
        }
    }
}

pub(super) fn json(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let all = Json {
        findings: results.told.iter().map(Finding::from).collect(),
        alarms: results.cost.alarms,
        dollars_a_month: cents(results.cost.dollars),
        placeholders: &results.placeholders,
        publishing: results.publishing.as_ref().map(Published::from),
    };
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

/// Annotations of a GitHub workflow.
pub(super) fn github(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    for told in &results.told {
        let level = match told.severity {
            Severity::Note => "notice",
            severity => severity.name(),
        };
        let place = match told.position {
            Position { line: 0, .. } => String::new(),
            Position { line, column } => {
                let file = property(&told.file);
                format!("file={file},line={line},col={},", column.max(1))
            }
        };
        let (rule, message) = (property(told.rule), data(&told.message));
        writeln!(out, "::{level} {place}title={rule}::{message}")?;
    }
    Ok(())
}

/// SARIF 2.1.0, as code scanning takes it.
pub(super) fn sarif(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let rule = |rule: &lint::Rule| {
        json!({
            "id": rule.id,
            "shortDescription": {"text": rule.summary},
            "fullDescription": {"text": rule.why},
            "defaultConfiguration": {"level": rule.severity.name()},
        })
    };
    let refused = json!({"id": REFUSED, "shortDescription": {"text": "CloudWatch refuses it"}});
    let not_known = json!({"id": NOT_KNOWN, "shortDescription": {"text": "It cannot be told from the file alone"}});
    let ended = json!({"id": ALLOWANCE, "shortDescription": {"text": "A rule was allowed to be broken, and that is over"}});
    let rules: Vec<_> = [refused, not_known, ended]
        .into_iter()
        .chain(lint::ALL.iter().map(rule))
        .collect();
    let result = |told: &Told| {
        json!({
            "ruleId": told.rule,
            "level": told.severity.name(),
            "message": {"text": told.message},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": told.file},
                "region": {"startLine": told.position.line.max(1), "startColumn": told.position.column.max(1)},
            }}],
        })
    };
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "cwbridge", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "results": results.told.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

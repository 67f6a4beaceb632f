//! Files in Prometheus' text format that others write: node_exporter's textfile directory.
//!
//! What is shown of histograms and summaries is their rows, each under its own name, and of counters without `_total` the value:
//! OpenMetrics would give those another name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, anyhow, bail, ensure};

use crate::family::{Family, Kind, Labels, Row, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

const MTIME: &str = "Unixtime mtime of textfiles successfully read.";
const ERROR: &str = "1 if there was an error opening or reading a file, 0 otherwise";

/// A file that is larger is not shown.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// More files than this are not read.
const FILES_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Textfile {
    pub(super) folder: PathBuf,
}

impl Collect for Textfile {
    fn collect(&mut self, _: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let (mut all, mut times, mut failed) = (BTreeMap::new(), Vec::new(), None);
        let paths = files(&self.folder).unwrap_or_else(|error| {
            failed = Some(error);
            Vec::new()
        });
        if paths.len() > FILES_MAX {
            let told = anyhow!(
                "there are {} files, of which {FILES_MAX} are read",
                paths.len()
            );
            failed = Some(told);
        }
        for path in paths.into_iter().take(FILES_MAX) {
            match read(&path, &mut all) {
                Ok(seconds) => {
                    let file = path.display().to_string();
                    times.push(row([("file", file)], seconds));
                }
                Err(error) => failed = Some(error.context(format!("`{}`", path.display()))),
            }
        }
        for (name, family) in all {
            gathered.push(family.kind, name, family.help, family.rows);
        }
        gathered.push(Kind::Gauge, "node_textfile_mtime_seconds", MTIME, times);
        let error = f64::from(u8::from(failed.is_some()));
        gathered.gauge("node_textfile_scrape_error", ERROR, error);
        failed.map_or(Ok(()), Err)
    }
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "prom")
        })
        .collect();
    paths.sort();
    Ok(paths)
}

/// Adds what a file says, all of it or nothing, and returns when it was written.
fn read(path: &Path, all: &mut BTreeMap<String, Family>) -> anyhow::Result<f64> {
    let about = fs::metadata(path)?;
    // To open a pipe would wait for somebody to write into it.
    ensure!(about.is_file(), "it is no regular file");
    ensure!(
        about.len() <= FILE_BYTES_MAX,
        "it has {} bytes, more than {FILE_BYTES_MAX}",
        about.len()
    );
    let text = super::text(path)?;
    let families = parse(&text)?;
    for (name, family) in &families {
        let Some(known) = all.get(name) else {
            continue;
        };
        ensure!(
            known.kind == family.kind,
            "`{name}` is of another type in another file"
        );
        let there: HashSet<&Labels> = known.rows.iter().map(|row| &row.labels).collect();
        let twice = family.rows.iter().find(|row| there.contains(&row.labels));
        if let Some(Row { labels, .. }) = twice {
            bail!("`{name}` has a row twice, with the labels {labels:?}");
        }
    }
    for (name, mut family) in families {
        match all.get_mut(&name) {
            Some(known) => known.rows.append(&mut family.rows),
            None => drop(all.insert(name, family)),
        }
    }
    let written = about.modified()?.duration_since(UNIX_EPOCH);
    Ok(written.unwrap_or_default().as_secs_f64())
}

/// The families by the names under which they are kept: of a counter without `_total`.
pub(super) fn parse(text: &str) -> anyhow::Result<BTreeMap<String, Family>> {
    let (mut families, mut about) = Default::default();
    let mut there = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let place = || format!("line {}", number + 1);
        match line.strip_prefix('#') {
            Some(comment) => remark(comment.trim(), &mut about),
            None => sample(line, &about, &mut families, &mut there).with_context(place)?,
        }
    }
    Ok(families)
}

#[derive(Default)]
struct About {
    help: String,
    kind: Option<String>,
}

/// `HELP name text` and `TYPE name kind`; other comments say nothing.
fn remark(comment: &str, about: &mut BTreeMap<String, About>) {
    let mut words = comment.splitn(3, ' ');
    let (word, name, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
    let Some(name) = name.filter(|_| matches!(word, Some("HELP" | "TYPE"))) else {
        return;
    };
    let known = about.entry(name.to_owned()).or_default();
    match word {
        Some("HELP") => rest.replace("\\n", " ").clone_into(&mut known.help),
        _ => known.kind = Some(rest.trim().to_owned()),
    }
}

fn sample(
    line: &str,
    about: &BTreeMap<String, About>,
    families: &mut BTreeMap<String, Family>,
    there: &mut HashSet<(String, Labels)>,
) -> anyhow::Result<()> {
    let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
    ensure!(
        !name.is_empty() && starts_well && name.chars().all(is_name),
        "`{name}` is no name of a metric"
    );
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next().context("there is no value")?;
    let value = number(value).with_context(|| format!("`{value}` is no number"))?;
    ensure!(words.next().is_none(), "a timestamp is not taken");
    let known = about.get(name);
    let kind = known.and_then(|about| about.kind.as_deref());
    let (kept, kind) = match (kind, name.strip_suffix("_total")) {
        (Some("counter"), Some(base)) => (base, Kind::Counter),
        (Some("gauge"), _) => (name, Kind::Gauge),
        _ => (name, Kind::Untyped),
    };
    let help = known
        .map(|about| about.help.clone())
        .filter(|help| !help.is_empty());
    let family = families.entry(kept.to_owned()).or_insert_with(|| Family {
        name: kept.to_owned().into(),
        help: help.map_or(Cow::Borrowed("Metric read from a textfile."), Cow::Owned),
        kind,
        rows: Vec::new(),
    });
    ensure!(family.kind == kind, "`{kept}` is of two types");
    let is_new = there.insert((kept.to_owned(), labels.clone()));
    ensure!(is_new, "`{name}` has a row twice");
    family.rows.push(Row { labels, value });
    Ok(())
}

/// What stands between the braces, and what follows.
fn labels(text: &str) -> anyhow::Result<(Labels, &str)> {
    let (mut labels, mut rest) = (Labels::new(), text.trim_start());
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            labels.sort();
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once('=').context("a label has no value")?;
        let after = after
            .trim_start()
            .strip_prefix('"')
            .context("a label's value is not quoted")?;
        let (value, after) = quoted(after)?;
        let name = name.trim();
        ensure!(is_label(name), "`{name}` is no name of a label");
        let is_new = labels.iter().all(|(known, _)| *known != name);
        ensure!(is_new, "the label `{name}` stands there twice");
        labels.push((Cow::Owned(name.to_owned()), value));
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// Names that begin with two underscores are Prometheus' own.
fn is_label(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(is_part)
        && !name.starts_with("__")
}

/// The text up to the quote that ends it, and what follows.
fn quoted(text: &str) -> anyhow::Result<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            c => value.push(c),
        }
    }
    bail!("a label's value does not end")
}

/// As Prometheus writes numbers.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let families = parse(text).map_err(|error| format!("{error:#}"))?;
        let mut written = String::new();
        for (name, family) in families {
            for row in family.rows {
                let labels = row
                    .labels
                    .iter()
                    .map(|(name, value)| format!("{name}={value:?}"));
                let labels = labels.collect::<Vec<_>>().join(",");
                written += &[&name, "{", &labels, "} "].concat();
                written += &[
                    row.value.to_string(),
                    format!(" {:?} {}\n", family.kind, family.help),
                ]
                .concat();
            }
        }
        Ok(written)
    }

    #[test]
    fn what_scripts_write_is_read() {
        let text = "# HELP jobs_total Jobs that were done.\n# TYPE jobs_total counter\njobs_total{queue=\"a\\\"b\\\\c\",host=\"h\"} 3\n\
            # TYPE up gauge\nup 1\n# a comment\nold{} +Inf\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 5.5\n# TYPE done counter\ndone 7\n";
        expect_test::expect![[r#"
            done{} 7 Untyped Metric read from a textfile.
            h_bucket{le="1"} 2 Untyped Metric read from a textfile.
            h_sum{} 5.5 Untyped Metric read from a textfile.
            jobs{host="h",queue="a\"b\\c"} 3 Counter Jobs that were done.
            old{} inf Untyped Metric read from a textfile.
            up{} 1 Gauge Metric read from a textfile.
        "#]]
        .assert_eq(&parsed(text).unwrap());
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let told = [
            "a 1\nb{ 2",
            "9a 1",
            "a one",
            "a",
            "a 1 1700000000",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a 1\na 2",
            "a{1x=\"v\"} 1",
            "a{b c=\"v\"} 1",
            "a{__name__=\"v\"} 1",
            "a{x=\"1\",x=\"2\"} 1",
            "# TYPE a_total counter\n# TYPE a gauge\na_total{q=\"1\"} 1\na 1",
            "\u{e4} 1",
        ]
        .map(|text| parsed(text).unwrap_err() + "\n");
        expect_test::expect![[r#"
            line 2: a label has no value
            line 1: `9a` is no name of a metric
            line 1: `one` is no number
            line 1: there is no value
            line 1: a timestamp is not taken
            line 1: a label's value is not quoted
            line 1: a label's value does not end
            line 2: `a` has a row twice
            line 1: `1x` is no name of a label
            line 1: `b c` is no name of a label
            line 1: `__name__` is no name of a label
            line 1: the label `x` stands there twice
            line 4: `a` is of two types
            line 1: `ä` is no name of a metric
        "#]]
        .assert_eq(&told.concat());
    }
}

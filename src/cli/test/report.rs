//! Results for people, for programs, and for what shows test results.

use std::io::{self, Write};

use serde::Serialize;

use crate::unit_test::{AlarmCoverage, Coverage, Failure, Unnoticed};

use super::{Outcome, Results};

pub(super) fn text(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let failed: Vec<&Outcome> = results
        .outcomes
        .iter()
        .filter(|outcome| !outcome.failures.is_empty())
        .collect();
    for outcome in &failed {
        writeln!(
            out,
            "FAIL {}:{}: {}",
            outcome.file, outcome.position.line, outcome.name
        )?;
        for failure in &outcome.failures {
            let mut lines = failure.message.lines();
            let place = failure.position;
            writeln!(
                out,
                "  {}:{}:{}: {}",
                outcome.file,
                place.line,
                place.column,
                lines.next().unwrap_or_default()
            )?;
            for line in lines {
                writeln!(out, "    {line}")?;
            }
        }
    }
    let all = results.outcomes.len();
    match failed.len() {
        0 => writeln!(out, "{all} of {all} tests passed")?,
        failed => writeln!(out, "{failed} of {all} tests failed")?,
    }
    if let Some(coverage) = &results.coverage {
        for alarm in coverage.alarms() {
            let missed = match alarm.missed.as_slice() {
                [] => String::new(),
                missed => format!("; never: {}", missed.join(", ")),
            };
            writeln!(
                out,
                "coverage of {}: {} of {}{missed}",
                alarm.alarm, alarm.reached, alarm.all
            )?;
        }
        writeln!(out, "coverage: {:.1} %", coverage.percent())?;
    }
    if let Some(survivors) = &results.survivors {
        for (_, Unnoticed { alarm, change }) in survivors {
            writeln!(out, "no test notices: {alarm}: {change}")?;
        }
        writeln!(out, "{} changes that no test notices", survivors.len())?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Json<'a> {
    tests: Vec<TestJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<CoverageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unnoticed: Option<Vec<ChangeJson<'a>>>,
}

#[derive(Serialize)]
struct TestJson<'a> {
    file: &'a str,
    line: u64,
    name: &'a str,
    passed: bool,
    seconds: f64,
    failures: Vec<FailureJson<'a>>,
}

#[derive(Serialize)]
struct FailureJson<'a> {
    line: u64,
    column: u64,
    message: &'a str,
}

#[derive(Serialize)]
struct CoverageJson {
    percent: f64,
    alarms: Vec<AlarmJson>,
}

#[derive(Serialize)]
struct AlarmJson {
    alarm: String,
    reached: usize,
    all: usize,
    missed: Vec<String>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    alarm: &'a str,
    change: &'a str,
}

impl<'a> From<&'a Outcome> for TestJson<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        Self {
            file: &outcome.file,
            line: outcome.position.line,
            name: &outcome.name,
            passed: outcome.failures.is_empty(),
            seconds: outcome.seconds,
            failures: outcome.failures.iter().map(FailureJson::from).collect(),
        }
    }
}

impl<'a> From<&'a Failure> for FailureJson<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            line: failure.position.line,
            column: failure.position.column,
            message: &failure.message,
        }
    }
}

impl<'a> From<&'a Unnoticed> for ChangeJson<'a> {
    fn from(Unnoticed { alarm, change }: &'a Unnoticed) -> Self {
        Self { alarm, change }
    }
}

impl From<&Coverage> for CoverageJson {
    fn from(coverage: &Coverage) -> Self {
        let alarm = |of: AlarmCoverage| AlarmJson {
            alarm: of.alarm,
            reached: of.reached,
            all: of.all,
            missed: of.missed,
        };
        Self {
            percent: coverage.percent(),
            alarms: coverage.alarms().into_iter().map(alarm).collect(),
        }
    }
}

pub(super) fn json(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let survivors = results.survivors.as_ref();
    let all = Json {
        tests: results.outcomes.iter().map(TestJson::from).collect(),
        coverage: results.coverage.as_ref().map(CoverageJson::from),
        unnoticed: survivors.map(|survivors| {
            let survivors = survivors.iter().map(|(_, found)| found);
            survivors.map(ChangeJson::from).collect()
        }),
    };
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

/// As Jenkins, GitLab and others read it: a suite for each file.
pub(super) fn junit(results: &Results, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"
    )?;
    for of_file in results.outcomes.chunk_by(|a, b| a.file == b.file) {
        let failed = of_file
            .iter()
            .filter(|outcome| !outcome.failures.is_empty())
            .count();
        let survivors: Vec<&Unnoticed> = results
            .survivors
            .iter()
            .flatten()
            .filter_map(|(file, found)| (*file == of_file[0].file).then_some(found))
            .collect();
        let (all, failed) = (of_file.len() + survivors.len(), failed + survivors.len());
        let file = escaped(&of_file[0].file);
        writeln!(
            out,
            "  <testsuite name=\"{file}\" tests=\"{all}\" failures=\"{failed}\">"
        )?;
        for Unnoticed { alarm, change } in survivors {
            let (alarm, change) = (escaped(alarm), escaped(change));
            writeln!(
                out,
                "    <testcase classname=\"{file}\" name=\"{alarm}: {change}\" time=\"0\">\n      \
                 <failure message=\"no test notices it\"/>\n    </testcase>"
            )?;
        }
        for outcome in of_file {
            let (name, seconds) = (escaped(&outcome.name), outcome.seconds);
            write!(
                out,
                "    <testcase classname=\"{file}\" name=\"{name}\" time=\"{seconds:.3}\""
            )?;
            if outcome.failures.is_empty() {
                writeln!(out, "/>")?;
                continue;
            }
            writeln!(out, ">")?;
            for failure in &outcome.failures {
                let message = escaped(&failure.message);
                let first = message.lines().next().unwrap_or_default();
                writeln!(
                    out,
                    "      <failure message=\"{first}\">{file}:{}: {message}</failure>",
                    failure.position.line
                )?;
            }
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// As XML wants it; control characters have no place there.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Position;

    #[test]
    fn junit_has_a_suite_for_each_file_and_escapes_what_is_xml() {
        let outcome = |file: &str, name: &str, failures: &[&str]| Outcome {
            file: file.into(),
            name: name.into(),
            position: Position { line: 3, column: 5 },
            seconds: 0.0125,
            failures: failures
                .iter()
                .map(|message| Failure {
                    position: Position { line: 7, column: 9 },
                    message: (*message).into(),
                })
                .collect(),
        };
        let results = Results {
            outcomes: vec![
                outcome("a.yaml", "fine & well", &[]),
                outcome("a.yaml", "1 < 2", &["it is \"OK\"\nreason: \u{1b}[31m"]),
                outcome("b.yaml", "other", &[]),
            ],
            coverage: None,
            survivors: Some(vec![(
                "b.yaml".into(),
                Unnoticed {
                    alarm: "cpu".into(),
                    change: "Threshold 1 -> 2".into(),
                },
            )]),
        };
        let mut out = Vec::new();
        junit(&results, &mut out).unwrap();
        expect_test::expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite name="a.yaml" tests="2" failures="1">
                <testcase classname="a.yaml" name="fine &amp; well" time="0.013"/>
                <testcase classname="a.yaml" name="1 &lt; 2" time="0.013">
                  <failure message="it is &quot;OK&quot;">a.yaml:7: it is &quot;OK&quot;
            reason: �[31m</failure>
                </testcase>
              </testsuite>
              <testsuite name="b.yaml" tests="2" failures="1">
                <testcase classname="b.yaml" name="cpu: Threshold 1 -&gt; 2" time="0">
                  <failure message="no test notices it"/>
                </testcase>
                <testcase classname="b.yaml" name="other" time="0.013"/>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}

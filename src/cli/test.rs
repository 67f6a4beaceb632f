//! `cwbridge test`

mod report;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::alarm::{Alarm, MuteRule};
use crate::config::AlarmFiles;
use crate::definition::{Inputs, duplicates};
use crate::finding::{Finding, Position, Report};
use crate::unit_test::{
    Coverage, Failure, Subject, Test, Unnoticed, parse, run as run_test, unnoticed,
};

use super::load::{self, Read, read};
use super::{Exit, complain};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files of unit tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name contains this; `*` and `?` stand for anything
    #[arg(long, value_name = "PATTERN")]
    run: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Tell which states, transitions and missing data of each alarm no test reaches
    #[arg(long)]
    coverage: bool,
    /// Fail if the tests reach less than this, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    coverage_min: Option<f64>,
    /// Change each alarm a little, in every way, and tell the changes that no test notices
    #[arg(long)]
    mutate: bool,
    /// Value of a parameter of a CloudFormation template
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = load::parameter)]
    parameters: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

/// A file of tests with what it tests.
struct Suite {
    file: String,
    alarms: Vec<Alarm>,
    mute_rules: Vec<MuteRule>,
    tests: Vec<Test>,
}

impl Suite {
    fn subject(&self) -> Subject<'_> {
        Subject {
            alarms: &self.alarms,
            mute_rules: &self.mute_rules,
        }
    }
}

/// What became of a test.
struct Outcome {
    file: String,
    name: String,
    position: Position,
    seconds: f64,
    failures: Vec<Failure>,
}

/// Everything that is told.
struct Results {
    outcomes: Vec<Outcome>,
    coverage: Option<Coverage>,
    /// Changes of alarms that no test of the file notices.
    survivors: Option<Vec<(String, Unnoticed)>>,
}

pub(super) fn run(args: Args, out: &mut impl Write) -> Exit {
    let mut loading = Loading {
        inputs: Inputs {
            parameters: args.parameters.iter().cloned().collect(),
            ..Inputs::default()
        },
        ..Loading::default()
    };
    let mut suites: Vec<Suite> = Vec::new();
    for file in &args.files {
        suites.extend(loading.suite(file));
    }
    let undeclared = loading.read.undeclared(&loading.inputs);
    loading.mistakes.extend(undeclared);
    let Loading {
        mistakes, refused, ..
    } = loading;
    complain(&mistakes);
    complain(&refused);
    if !mistakes.is_empty() {
        return Exit::CouldNotStart;
    }
    for suite in &mut suites {
        suite
            .tests
            .retain(|test| is_wanted(&test.name, args.run.as_deref()));
    }
    if suites.iter().all(|suite| suite.tests.is_empty()) {
        complain(&[match &args.run {
            Some(pattern) => format!("no test's name contains `{pattern}`"),
            None => "there are no tests in these files".to_owned(),
        }]);
        return Exit::CouldNotStart;
    }
    let results = results(&suites, &args);
    let mut out = io::BufWriter::new(out);
    let told = match args.format {
        Format::Text => report::text(&results, &mut out),
        Format::Json => report::json(&results, &mut out),
        Format::Junit => report::junit(&results, &mut out),
    };
    let told = told.and_then(|()| out.flush());
    if let Err(error) = told {
        complain(&[format!("cannot write the results: {error}")]);
        return Exit::CouldNotStart;
    }
    let is_fine = results
        .outcomes
        .iter()
        .all(|outcome| outcome.failures.is_empty())
        && refused.is_empty()
        && is_covered(&results, &args)
        && results.survivors.as_ref().is_none_or(Vec::is_empty);
    match is_fine {
        true => Exit::Done,
        false => Exit::Failed,
    }
}

/// From 0 to 100.
fn percent(text: &str) -> Result<f64, String> {
    let percent = text
        .parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| format!("`{text}` is no percentage from 0 to 100"))
}

fn is_covered(results: &Results, args: &Args) -> bool {
    match (&results.coverage, args.coverage_min) {
        (Some(coverage), Some(least)) if coverage.percent() < least => {
            complain(&[format!(
                "the tests reach {:.1} percent, but {least} are wanted",
                coverage.percent()
            )]);
            false
        }
        _ => true,
    }
}

/// Everything that the files come to.
#[derive(Default)]
struct Loading {
    inputs: Inputs,
    /// What the templates among them declare.
    read: Read,
    /// They keep everything from being run.
    mistakes: Vec<String>,
    /// An alarm that CloudWatch would refuse is only left out.
    refused: Vec<String>,
}

impl Loading {
    /// Reads a file and the alarm files that it names.
    fn suite(&mut self, path: &Path) -> Option<Suite> {
        let told = |findings: &[Finding]| -> Vec<String> {
            findings.iter().map(ToString::to_string).collect()
        };
        let (path, text) = read(path.to_owned())
            .map_err(|message| self.mistakes.push(message))
            .ok()?;
        let file = path.display().to_string();
        let mut report = Report::new(&file);
        let parsed = parse(&text, &mut report);
        self.mistakes.extend(told(&report.findings));
        let parsed = parsed?;
        let files: Vec<AlarmFiles> = parsed
            .alarms
            .into_iter()
            .map(|(pattern, position)| AlarmFiles { pattern, position })
            .collect();
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut found = load::alarms(&files, &folder, &file, &self.inputs);
        let refused = &mut self.refused;
        match found.unreadable.is_empty() {
            true => refused.extend(found.parsed.problems().map(ToString::to_string)),
            false => self.mistakes.extend(told(&found.unreadable)),
        }
        refused.extend(told(&duplicates(&found.parsed.alarms)));
        let declared = &mut self.read.parsed.parameters;
        declared.append(&mut found.parsed.parameters);
        let (alarms, mute_rules) = found.parsed.into_rules();
        Some(Suite {
            file,
            alarms,
            mute_rules,
            tests: parsed.tests,
        })
    }
}

/// The changes that no file notices in which the alarm is.
fn unnoticed_by_all(all: &[(&Suite, BTreeSet<Unnoticed>)]) -> Vec<(String, Unnoticed)> {
    let alarm = |suite: &Suite, name: &str| {
        let mut alarms = suite.alarms.iter();
        alarms.position(|alarm| alarm.name == name)
    };
    let (mut left, mut told) = (Vec::new(), BTreeSet::new());
    for (suite, unnoticed) in all {
        for found in unnoticed {
            let notices = |(other, by_other): &(&Suite, BTreeSet<Unnoticed>)| {
                let of = |suite: &Suite| Some(suite.alarms[alarm(suite, &found.alarm)?].clone());
                of(other) == of(suite) && !by_other.contains(found)
            };
            if !all.iter().any(notices) && told.insert(found) {
                left.push((suite.file.clone(), found.clone()));
            }
        }
    }
    left
}

fn is_wanted(name: &str, pattern: Option<&str>) -> bool {
    let Some(pattern) = pattern else {
        return true;
    };
    let pattern = pattern.trim_matches('*');
    match glob::Pattern::new(&format!("*{pattern}*")) {
        Ok(glob) => glob.matches(name),
        Err(_) => name.contains(pattern),
    }
}

fn results(suites: &[Suite], args: &Args) -> Results {
    let watches = args.coverage || args.coverage_min.is_some();
    let mut coverage = Coverage::default();
    let mut outcomes = Vec::new();
    for suite in suites {
        for test in &suite.tests {
            #[expect(
                clippy::disallowed_methods,
                reason = "how long a test takes is told to people"
            )]
            let start = Instant::now();
            let failures = run_test(test, suite.subject(), &mut |seen| {
                if watches {
                    coverage.see(seen);
                }
            });
            outcomes.push(Outcome {
                file: suite.file.clone(),
                name: test.name.clone(),
                position: test.position,
                seconds: start.elapsed().as_secs_f64(),
                failures,
            });
        }
    }
    // What fails already notices nothing.
    let pass = outcomes.iter().all(|outcome| outcome.failures.is_empty());
    if args.mutate && !pass {
        complain(&["nothing is changed, because tests fail as it is"]);
    }
    let survivors = (args.mutate && pass).then(|| {
        let mut all = Vec::new();
        for suite in suites {
            let found = unnoticed(suite.subject(), &suite.tests).into_iter();
            all.push((suite, found.collect::<BTreeSet<Unnoticed>>()));
        }
        unnoticed_by_all(&all)
    });
    Results {
        outcomes,
        coverage: watches.then_some(coverage),
        survivors,
    }
}

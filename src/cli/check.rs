//! `cwbridge check`

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::config::Config;
use crate::cost::{AlarmEstimate, Estimate, estimate, estimate_alarms};
use crate::definition::{Inputs, Parsed, Placeholders, duplicates};
use crate::finding::{Finding, Position, did_you_mean};
use crate::host;
use crate::lint::{self, Allowances, Known, Severity};
use crate::metric::{Metric, Timestamp};
use crate::sources::{Sources, parts};

use super::load::{self, Read, read};
use super::{Exit, complain};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Alarm files: JSON of the API, CloudFormation templates, `terraform show -json` [default: those of the configuration]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Configuration of the host that publishes the metrics: alarms on others of its namespace are told
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Tell what a rule is about, and end; `all` lists the rules
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    /// Do not tell what breaks this rule, or not before the day after DATE
    #[arg(long, value_name = "RULE[=DATE]")]
    allow: Vec<String>,
    /// From which severity on the exit code is 1
    #[arg(long, value_enum, default_value_t = Deny::Warning)]
    deny: Deny,
    /// Value of a parameter of a CloudFormation template
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = load::parameter)]
    parameters: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Github,
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    Note,
    Warning,
    Error,
}

/// What CloudWatch refuses has no rule of ours, and neither has what only it knows.
const REFUSED: &str = "refused";
const NOT_KNOWN: &str = "not-known-here";
const ALLOWANCE: &str = "allowance";

/// What stands where else a rule stands, and what it means.
const NO_RULES: [(&str, &str); 3] = [
    (
        REFUSED,
        "CloudWatch, or CloudFormation before it, does not take this. The message is CloudWatch's own where that is known.",
    ),
    (
        NOT_KNOWN,
        "a value that only the stack, the plan or the account has. As a note it means that what depends on it is not checked, as a warning that the alarm could not be read; `--parameter NAME=VALUE` gives a parameter of a template.",
    ),
    (
        ALLOWANCE,
        "a comment, `Metadata` or `--allow` lets a rule be broken, and names no rule, no day or one that is over.",
    ),
];

/// One thing that is told.
struct Told {
    rule: &'static str,
    severity: Severity,
    file: String,
    position: Position,
    alarm: Option<String>,
    message: String,
}

/// Everything that is told.
struct Results {
    told: Vec<Told>,
    cost: AlarmEstimate,
    publishing: Option<Publishing>,
    /// What stands for values that are not known here.
    placeholders: BTreeSet<String>,
    /// By file, for excerpts.
    texts: BTreeMap<String, String>,
}

/// What was read.
#[derive(Default)]
struct Files {
    read: Read,
    texts: BTreeMap<String, String>,
    published: Vec<Metric>,
    /// What publishing costs, where there is a configuration.
    publishing: Option<Publishing>,
}

/// What a host like this one would publish by the configuration, and what that costs.
struct Publishing {
    estimate: Estimate,
    /// By entry of the configuration: the names, and how many metrics those come to.
    entries: Vec<(Vec<String>, usize)>,
    warnings: Vec<String>,
}

pub(super) fn run(args: Args, out: &mut impl Write) -> Exit {
    if let Some(id) = &args.explain {
        return explain(id, out);
    }
    let now = clock::now();
    let today: String = now.to_string().chars().take(10).collect();
    let mut allowances = Allowances::default();
    let mut mistakes: Vec<String> = args
        .allow
        .iter()
        .filter_map(|id| allowances.everywhere(id, &today).err())
        .collect();
    let files = files(&args, &mut mistakes);
    mistakes.extend(files.read.unreadable.iter().map(ToString::to_string));
    complain(&mistakes);
    let results = results(files, &mut allowances, now, &today);
    if !mistakes.is_empty()
        && results.told.is_empty()
        && results.cost.alarms == 0
        && results.publishing.is_none()
    {
        return Exit::CouldNotStart;
    }
    let mut out = io::BufWriter::new(out);
    let written = match args.format {
        Format::Text => report::text(&results, &mut out),
        Format::Json => report::json(&results, &mut out),
        Format::Github => report::github(&results, &mut out),
        Format::Sarif => report::sarif(&results, &mut out),
    };
    let written = written.and_then(|()| out.flush());
    if let Err(error) = written {
        complain(&[format!("cannot write the results: {error}")]);
        return Exit::CouldNotStart;
    }
    let denied = match args.deny {
        Deny::Note => Severity::Note,
        Deny::Warning => Severity::Warning,
        Deny::Error => Severity::Error,
    };
    match mistakes.is_empty() {
        false => Exit::CouldNotStart,
        true if results.told.iter().any(|told| told.severity >= denied) => Exit::Failed,
        true => Exit::Done,
    }
}

fn explain(id: &str, out: &mut impl Write) -> Exit {
    let written = if id == "all" {
        lint::ALL.iter().try_for_each(|rule| {
            writeln!(
                out,
                "{:<8} {}: {}",
                rule.severity.name(),
                rule.id,
                rule.summary
            )
        })
    } else if let Some((_, why)) = NO_RULES.iter().find(|(known, _)| *known == id) {
        writeln!(out, "{id}: {why}")
    } else if let Some(rule) = lint::rule(id) {
        report::explain(rule, out)
    } else {
        let hint = did_you_mean(id, lint::ALL.iter().map(|rule| rule.id));
        complain(&[format!(
            "there is no rule `{id}`{hint}; `--explain all` lists them"
        )]);
        return Exit::CouldNotStart;
    };
    match written {
        Ok(()) => Exit::Done,
        Err(_) => Exit::CouldNotStart,
    }
}

/// The files that are named, or those of the configuration; of that also what the host publishes.
fn files(args: &Args, mistakes: &mut Vec<String>) -> Files {
    let inputs = Inputs {
        parameters: args.parameters.iter().cloned().collect(),
        stands_in: true,
        ..Inputs::default()
    };
    let mut files = Files::default();
    if args.config.is_some() || args.files.is_empty() {
        let configured = load::configured(args.config.as_deref());
        mistakes.extend(configured.findings.iter().map(ToString::to_string));
        files.published = published(&configured.config);
        let is_there = args.config.is_some() || !configured.alarm_files.is_empty();
        if is_there && configured.findings.is_empty() {
            files.publishing = Some(publishing(&configured.config));
        }
        for path in configured
            .alarm_files
            .iter()
            .filter(|_| args.files.is_empty())
        {
            add(path, &inputs, &mut files, mistakes);
        }
        if args.files.is_empty() && configured.alarm_files.is_empty() && args.config.is_none() {
            mistakes.push(
                "there is nothing to check: name alarm files, or a configuration that does"
                    .to_owned(),
            );
        }
    }
    for path in &args.files {
        add(path, &inputs, &mut files, mistakes);
    }
    mistakes.extend(files.read.undeclared(&inputs));
    files
}

fn add(path: &Path, inputs: &Inputs, files: &mut Files, mistakes: &mut Vec<String>) {
    match read(path.to_owned()) {
        Ok((path, text)) => {
            let file = path.display().to_string();
            files.read.add(&file, &text, inputs);
            files.texts.insert(file, text);
        }
        Err(message) => mistakes.push(message),
    }
}

/// On any host: the placeholders stand for themselves, as they do in the alarms.
fn published(config: &Config) -> Vec<Metric> {
    let on_host = |instance_id: Option<&str>| Placeholders {
        instance_id: instance_id.map(str::to_owned),
        hostname: "${hostname}".to_owned(),
        ..Placeholders::default()
    };
    let hosts = [on_host(Some("${aws:InstanceId}")), on_host(None)];
    let sources = hosts.map(|here| Sources::new(&config.publish, &here, &config.collectors));
    sources.iter().flat_map(Sources::examples).collect()
}

/// The tags that the configuration names, standing for themselves.
fn tags(config: &Config) -> BTreeMap<String, String> {
    let values = config.publish.dimensions.iter().map(|(_, value)| value);
    let parts = values.flat_map(|value| value.split("${tag:").skip(1));
    let names = parts.filter_map(|part| Some(part.split_once('}')?.0));
    names
        .map(|name| (name.to_owned(), format!("${{tag:{name}}}")))
        .collect()
}

/// What there is several of, such as disks, is what this host has.
fn publishing(config: &Config) -> Publishing {
    let facts = host::facts(&parts(&config.collectors).gather);
    // Whatever the host it will run on is called, there it has the values that EC2 tells.
    let stands = |name: &str| Some(format!("${{aws:{name}}}"));
    let here = Placeholders {
        instance_id: stands("InstanceId"),
        image_id: stands("ImageId"),
        instance_type: stands("InstanceType"),
        auto_scaling_group: stands("AutoScalingGroupName"),
        hostname: "${hostname}".to_owned(),
        variable: Some(|name| Some(format!("${{env:{name}}}"))),
        tags: tags(config),
    };
    let sources = Sources::new(&config.publish, &here, &config.collectors);
    let entries = sources.published_by_entry(&facts);
    let entry = |(names, metrics): &(BTreeSet<&str>, Vec<_>)| {
        let names = names.iter().map(|name| (*name).to_owned());
        (names.collect(), metrics.len())
    };
    Publishing {
        estimate: estimate(&sources.published(&facts)),
        entries: entries.values().map(entry).collect(),
        warnings: sources.warnings().to_vec(),
    }
}

fn results(files: Files, allowances: &mut Allowances, now: Timestamp, today: &str) -> Results {
    let parsed = files.read.parsed;
    for (file, text) in &files.texts {
        allowances.comments(file, text, today);
    }
    allowances.metadata(&parsed, today);
    let twice = duplicates(&parsed.alarms);
    let refused = parsed.findings.iter().chain(&twice);
    let refused = refused.map(|finding| told_of(finding, REFUSED, Severity::Error));
    let not_known = parsed.unresolved.iter();
    let not_known = not_known.map(|finding| told_of(finding, NOT_KNOWN, Severity::Warning));
    let unknown = parsed.unknown.iter();
    let unknown = unknown.map(|finding| told_of(finding, NOT_KNOWN, Severity::Note));
    let ended = allowances.findings.iter();
    let ended = ended.map(|finding| told_of(finding, ALLOWANCE, Severity::Warning));
    let known = Known {
        published: &files.published,
        now,
    };
    let mut told: Vec<Told> = refused
        .chain(not_known)
        .chain(unknown)
        .chain(ended)
        .chain(linted(&parsed, known, allowances))
        .collect();
    told.sort_by(|a, b| (&a.file, a.position, a.rule).cmp(&(&b.file, b.position, b.rule)));
    Results {
        told,
        publishing: files.publishing,
        cost: estimate_alarms(parsed.alarms.iter().map(|found| &found.alarm)),
        placeholders: parsed.placeholders,
        texts: files.texts,
    }
}

fn told_of(finding: &Finding, rule: &'static str, severity: Severity) -> Told {
    Told {
        rule,
        severity,
        file: finding.file.clone(),
        position: finding.position,
        alarm: None,
        message: finding.message.clone(),
    }
}

fn linted(parsed: &Parsed, known: Known<'_>, allowances: &Allowances) -> Vec<Told> {
    let lints = lint::lint(parsed, known).into_iter();
    let allowed = allowances.of(parsed);
    let denied = lints.filter(|lint| !allowed.has(lint));
    denied
        .map(|lint| Told {
            rule: lint.rule,
            severity: lint.severity,
            file: lint.file,
            position: lint.position,
            message: format!("{} `{}`: {}", lint.kind, lint.name, lint.message),
            alarm: (lint.kind == "alarm").then_some(lint.name),
        })
        .collect()
}

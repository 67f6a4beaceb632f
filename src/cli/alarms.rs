//! `cwbridge alarms`

mod explain;
mod history;
mod list;
mod notify_test;
mod plan;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::aws::{self, Account, Alarms};
use crate::clock;
use crate::definition::{Inputs, duplicates, parse_with};
use crate::host;
use crate::lint::{Known, Severity, lint};
use crate::web::in_path;

use super::load::{self, Read, read};
use super::{Environment, Exit, Service, cannot_write, complain, consents, runtime};
use plan::{Local, Plan, Scope};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the alarms that the daemon on this host judges, with CloudWatch's own state where it is mirrored
    List(list::Args),
    /// Tell why an alarm is in its state, and what would bring it into another one
    Explain(explain::Args),
    /// Show the changes of state that the daemon on this host has seen, newest first
    History(history::Args),
    /// Send a marked test through everything that tells others of an alarm
    NotifyTest(notify_test::Args),
    /// Write the account's alarms and mute rules as files that `check`, `test`, `replay` and `push` read
    Pull(PullArgs),
    /// Create and change alarms and mute rules as the files have them
    Push(PushArgs),
    /// Tell how the files and CloudWatch differ; the exit code is 1 if they do
    Diff(DiffArgs),
}

/// Whom to ask, and for what.
#[derive(Debug, clap::Args)]
struct Selected {
    #[command(flatten)]
    service: Service,
    /// Only alarms and mute rules whose names begin so
    #[arg(long, value_name = "PREFIX", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name_prefix: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct PullArgs {
    #[command(flatten)]
    selected: Selected,
    /// Write there instead of to the standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is to be there.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// Alarm files in any format that `check` reads
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Value of a parameter of a CloudFormation template
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = load::parameter)]
    parameters: Vec<(String, String)>,
    /// What `${aws:InstanceId}` stands for [default: this instance]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    selected: Selected,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Delete what is in CloudWatch and not in the files, of the names that begin as `--name-prefix` says
    #[arg(long, requires = "name_prefix")]
    prune: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    selected: Selected,
}

/// Where a daemon answers by default.
const DAEMON: &str = "http://127.0.0.1:10106";

/// What goes wrong on the way.
type Trouble = Vec<String>;

pub(super) fn run(command: Command, environment: Environment, out: &mut impl Write) -> Exit {
    let done = match command {
        Command::List(args) => list::run(&args, &environment, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::History(args) => history::run(&args, &environment, out),
        Command::NotifyTest(args) => notify_test::run(&args, out),
        Command::Pull(args) => pull(args, environment, out),
        Command::Push(args) => push(args, environment, out),
        Command::Diff(args) => diff(args, environment, out),
    };
    done.unwrap_or_else(|problems| {
        complain(&problems);
        Exit::CouldNotStart
    })
}

impl Selected {
    async fn connect(&self, environment: &Environment) -> Result<Alarms, Trouble> {
        let region = self
            .service
            .region()
            .await
            .map_err(|problem| vec![problem])?;
        let endpoint = self.service.endpoint_url.as_ref();
        let endpoint = endpoint.or(environment.endpoint_url.as_ref());
        Ok(Alarms::connect(&region, endpoint.map(String::as_str)).await)
    }

    /// Leaves out what the files have beside the names that are looked at, and says so: of that nothing is known.
    fn restrict(&self, local: &mut Local) {
        let Some(prefix) = &self.name_prefix else {
            return;
        };
        let count = |local: &Local| local.alarms.len() + local.mute_rules.len();
        let all = count(local);
        local.alarms.retain(|name, _| name.starts_with(prefix));
        local.mute_rules.retain(|name, _| name.starts_with(prefix));
        match all - count(local) {
            0 => {}
            left_out => complain(&[format!(
                "{left_out} of {all} in the files are left out: their names do not begin with `{prefix}`"
            )]),
        }
    }

    async fn account(&self, client: &Alarms) -> Result<Account, Trouble> {
        let prefix = self.name_prefix.as_deref();
        let alarms = client.alarms(prefix).await.map_err(|error| vec![error])?;
        let mut mute_rules = client.mute_rules().await.map_err(|error| vec![error])?;
        mute_rules.retain(|name, _| name.starts_with(prefix.unwrap_or_default()));
        Ok(Account { alarms, mute_rules })
    }
}

fn pull(args: PullArgs, environment: Environment, out: &mut impl Write) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let account = runtime.block_on(async {
        let client = args.selected.connect(&environment).await?;
        args.selected.account(&client).await
    })?;
    let alarms = account.alarms.into_values().map(|found| found.request);
    let all: Vec<Value> = alarms.chain(account.mute_rules.into_values()).collect();
    let mut text = serde_json::to_string_pretty(&all).map_err(|error| vec![error.to_string()])?;
    text.push('\n');
    told_of(&text);
    let written = match &args.output {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| format!("`{}` cannot be written: {error}", path.display())),
        None => out
            .write_all(text.as_bytes())
            .map_err(|error| format!("cannot write the alarms: {error}")),
    };
    written.map_err(|problem| vec![problem])?;
    Ok(Exit::Done)
}

/// What was pulled and cannot be read here is written all the same, and told.
fn told_of(text: &str) {
    let parsed = parse_with("CloudWatch", text, &Inputs::default());
    let findings: Vec<String> = parsed
        .problems()
        .map(|found| format!("CloudWatch: {}", found.message))
        .collect();
    complain(&findings);
}

fn push(args: PushArgs, environment: Environment, out: &mut impl Write) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let (client, plan) = runtime.block_on(async {
        let mut local = local(&args.wanted, &environment).await?;
        args.selected.restrict(&mut local);
        let client = args.selected.connect(&environment).await?;
        let account = args.selected.account(&client).await?;
        let scope = match args.prune {
            true => Scope::Everything,
            false => Scope::Named,
        };
        Ok::<_, Trouble>((client, Plan::new(local, account, scope)))
    })?;
    plan.tell(out).map_err(cannot_write)?;
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !args.yes && !consents("do it?") {
        return Err(vec![
            "nothing was changed: `--yes` does it without asking".to_owned(),
        ]);
    }
    runtime.block_on(plan.carry_out(&client, out))?;
    Ok(Exit::Done)
}

fn diff(args: DiffArgs, environment: Environment, out: &mut impl Write) -> Result<Exit, Trouble> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    let plan = runtime.block_on(async {
        let mut local = local(&args.wanted, &environment).await?;
        args.selected.restrict(&mut local);
        let client = args.selected.connect(&environment).await?;
        let account = args.selected.account(&client).await?;
        let scope = match args.selected.name_prefix {
            Some(_) => Scope::Everything,
            None => Scope::Named,
        };
        Ok::<_, Trouble>(Plan::new(local, account, scope))
    })?;
    plan.tell(out).map_err(cannot_write)?;
    match plan.is_empty() {
        true => Ok(Exit::Done),
        false => Ok(Exit::Failed),
    }
}

/// What the files want, after a check: what CloudWatch would refuse, or what can never do what it says, is not pushed.
async fn local(wanted: &Wanted, environment: &Environment) -> Result<Local, Trouble> {
    let inputs = Inputs {
        parameters: wanted.parameters.iter().cloned().collect(),
        keeps_requests: true,
        ..Inputs::default()
    };
    let (mut all, mut problems) = (Read::default(), Vec::new());
    for path in &wanted.files {
        match read(path.clone()) {
            Ok((path, text)) => all.add(&path.display().to_string(), &text, &inputs),
            Err(message) => problems.push(message),
        }
    }
    let twice = duplicates(&all.parsed.alarms);
    let wrong = all
        .unreadable
        .iter()
        .chain(all.parsed.problems())
        .chain(&twice);
    problems.extend(wrong.map(ToString::to_string));
    problems.extend(all.undeclared(&inputs));
    let known = Known {
        published: &[],
        now: clock::now(),
    };
    let errors = lint(&all.parsed, known).into_iter();
    let errors = errors.filter(|lint| lint.severity == Severity::Error);
    problems.extend(errors.map(|lint| {
        let (file, line, column) = (&lint.file, lint.position.line, lint.position.column);
        format!(
            "{file}:{line}:{column}: {} `{}`: {} [{}]",
            lint.kind, lint.name, lint.message, lint.rule
        )
    }));
    let alarms = all.parsed.alarms.into_iter();
    let alarms = alarms.filter_map(|found| Some((found.alarm.name, found.request?)));
    let mute_rules = all.parsed.mute_rules.into_iter();
    let mute_rules = mute_rules.filter_map(|found| Some((found.rule.name, found.request?)));
    let mut local = Local {
        alarms: alarms.collect(),
        mute_rules: mute_rules.collect(),
    };
    fill(&mut local, wanted, environment, &mut problems).await;
    match problems.is_empty() {
        true => Ok(local),
        false => Err(problems),
    }
}

/// Puts this host's names where `${aws:InstanceId}` and `${hostname}` stand. Any other placeholder is something that is not known.
async fn fill(
    local: &mut Local,
    wanted: &Wanted,
    environment: &Environment,
    problems: &mut Vec<String>,
) {
    const INSTANCE: &str = "${aws:InstanceId}";
    let requests = || local.alarms.values().chain(local.mute_rules.values());
    let names_instance = requests().any(|request| request.to_string().contains(INSTANCE));
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    known.insert("${hostname}", host::facts(&host::Plan::default()).hostname);
    if names_instance {
        let id = match &wanted.instance_id {
            Some(id) => Ok(id.clone()),
            None if environment.instance_metadata_disabled => Err("it is switched off".to_owned()),
            None => aws::instance().await.map(|instance| instance.id),
        };
        match id {
            Ok(id) => drop(known.insert(INSTANCE, id)),
            Err(why) => problems.push(format!(
                "`{INSTANCE}` is not known, because instance metadata does not tell it ({why}); `--instance-id` does"
            )),
        }
    }
    let alarms = local.alarms.iter_mut().chain(&mut local.mute_rules);
    for (name, request) in alarms {
        substitute(request, &known);
        let text = request.to_string();
        if let Some(unknown) = placeholder(&text).filter(|unknown| *unknown != INSTANCE) {
            problems.push(format!("`{name}`: `{unknown}` is not known here; `--parameter NAME=VALUE` gives a parameter of a template"));
        }
    }
}

fn placeholder(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = text[start..].find('}')? + start;
    text.get(start..=end)
}

fn substitute(value: &mut Value, known: &BTreeMap<&str, String>) {
    match value {
        Value::String(text) => {
            for (placeholder, name) in known {
                if text.contains(placeholder) {
                    *text = text.replace(placeholder, name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, known)),
        Value::Object(members) => {
            for member in members.values_mut() {
                substitute(member, known);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

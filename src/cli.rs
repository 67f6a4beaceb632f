//! The command line: arguments, the environment, and the files that they name.

mod alarms;
mod check;
mod doctor;
mod import;
mod load;
mod logs;
mod replay;
mod run;
mod test;

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::aws;
use crate::config::check_region;
use crate::logs::Tee;

/// One small daemon for a host that is watched by Prometheus and by CloudWatch: it publishes metrics, serves `/metrics`, and
/// judges CloudWatch alarms on the host itself.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch this host: publish its metrics, serve them, and judge the alarms
    Run(run::Args),
    /// Tell what CloudWatch would refuse about alarms, and what is unwise
    Check(check::Args),
    /// Tell which alarms are judged, and bring files and CloudWatch together
    #[command(subcommand)]
    Alarms(alarms::Command),
    /// Create groups of CloudWatch Logs, list groups and streams, and read and follow their events
    #[command(subcommand)]
    Logs(logs::Command),
    /// Tell what alarms would have done over a history
    Replay(Box<replay::Args>),
    /// Run unit tests of alarms
    Test(test::Args),
    /// Tell why nothing arrives: configuration, credentials, region, clock, permissions
    Doctor(doctor::Args),
    /// Make a configuration from that of another program
    #[command(subcommand)]
    Import(import::Command),
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to do.
    Done,
    /// Something failed on the way.
    Failed,
    /// It could not begin: wrong usage, wrong configuration, something that cannot be read.
    CouldNotStart,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::CouldNotStart => 2,
        })
    }
}

const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The variables that are read here, besides those that the AWS SDK reads by itself.
#[derive(Clone, Debug)]
pub struct Environment {
    pub log: Option<String>,
    pub regions: [Option<String>; 2],
    pub endpoint_url: Option<String>,
    pub instance_metadata_disabled: bool,
    pub state: StateDirectories,
    /// Any other variable, which a configuration may put into dimensions.
    pub variable: fn(&str) -> Option<String>,
}

/// Where state may be kept, as the environment has it.
#[derive(Clone, Debug, Default)]
pub struct StateDirectories {
    /// What the service manager made for it.
    pub given: Option<String>,
    /// For programs of the user.
    pub of_user: Option<String>,
    pub home: Option<String>,
}

impl Environment {
    pub fn read() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            log: read("RUST_LOG"),
            regions: REGIONS.map(&read),
            endpoint_url: read("AWS_ENDPOINT_URL_CLOUDWATCH").or_else(|| read("AWS_ENDPOINT_URL")),
            instance_metadata_disabled: read("AWS_EC2_METADATA_DISABLED")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            variable: read,
            state: StateDirectories {
                given: read("STATE_DIRECTORY"),
                of_user: read("XDG_STATE_HOME"),
                home: read("HOME"),
            },
        }
    }
}

impl StateDirectories {
    /// The service manager's, root's, or the user's.
    fn choose(&self, is_root: bool) -> Option<PathBuf> {
        // There may be several, separated by colons; the first is ours.
        let given = self
            .given
            .as_deref()
            .and_then(|given| given.split(':').next());
        let of_user = || {
            let home = self.home.as_ref();
            let state = self.of_user.as_ref().map(PathBuf::from);
            let state = state.or_else(|| Some(PathBuf::from(home?).join(".local/state")));
            state.map(|state| state.join("cwbridge"))
        };
        match given {
            Some(given) => Some(PathBuf::from(given)),
            None if is_root => Some(PathBuf::from("/var/lib/cwbridge")),
            None => of_user(),
        }
    }
}

impl Environment {
    /// What is wrong with the regions that are set.
    fn malformed_regions(&self) -> Vec<String> {
        let problem = |(name, value): (&&str, &Option<String>)| {
            check_region(value.as_deref()?)
                .err()
                .map(|problem| format!("`{name}`: {problem}"))
        };
        REGIONS
            .iter()
            .zip(&self.regions)
            .filter_map(problem)
            .collect()
    }
}

/// Runs the program; what people asked for goes to `out`, everything else to standard error.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    environment: Environment,
    out: &mut impl Write,
) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::CouldNotStart
            } else {
                Exit::Done
            };
            // There is no one left to tell that the terminal is gone.
            let _ = error.print();
            return exit;
        }
    };
    let tee = Tee::default();
    if let Err(error) = log_to_stderr(environment.log.as_deref(), tee.clone()) {
        complain(&[error]);
        return Exit::CouldNotStart;
    }
    match args.command {
        Command::Run(args) => run::run(args, environment, tee, out),
        Command::Check(args) => check::run(args, out),
        Command::Alarms(command) => alarms::run(command, environment, out),
        Command::Logs(command) => logs::run(command, out),
        Command::Replay(args) => replay::run(*args, environment.endpoint_url, out),
        Command::Test(args) => test::run(args, out),
        Command::Doctor(args) => doctor::run(args, environment, out),
        Command::Import(command) => import::run(command, out),
    }
}

/// Writes problems to standard error, one line each.
fn complain<T: std::fmt::Display>(problems: &[T]) {
    let mut stderr = io::stderr().lock();
    for problem in problems {
        let _ = writeln!(stderr, "error: {problem}");
    }
}

/// `RUST_LOG` as `debug` or `cwbridge=debug,hyper=info`; without it, everything of note, and errors of the libraries.
fn log_to_stderr(setting: Option<&str>, tee: Tee) -> Result<(), String> {
    let filter = match setting {
        Some(setting) => setting
            .parse::<Targets>()
            .map_err(|error| format!("`RUST_LOG` is `{setting}`: {error}"))?,
        None => Targets::new()
            .with_default(LevelFilter::ERROR)
            .with_target("cwbridge", LevelFilter::INFO),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    // Events have times of their own.
    let second = tracing_subscriber::fmt::layer()
        .with_writer(move || tee.clone())
        .with_target(false)
        .without_time()
        .with_ansi(false);
    // A second call in one process keeps the first logger.
    let _ = tracing_subscriber::registry()
        .with(layer)
        .with(second)
        .with(filter)
        .try_init();
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn cannot_write(error: io::Error) -> Vec<String> {
    vec![format!("cannot write the results: {error}")]
}

/// Whether this process is root's.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Asks whoever sits at the terminal; where nobody does, the answer is no.
fn consents(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && answer.trim().eq_ignore_ascii_case("y")
}

/// The runtime of a command that asks somebody.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Whom to ask.
#[derive(Clone, Debug, clap::Args)]
struct Service {
    /// AWS region [default: that of the environment or the profile]
    #[arg(long)]
    region: Option<String>,
    /// Ask there instead of AWS
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

impl Service {
    /// The region that is said, or that of the environment or the profile.
    async fn region(&self) -> Result<String, String> {
        let region = match &self.region {
            Some(region) => Some(region.clone()),
            None => aws::configured_region().await,
        };
        let region = region.ok_or("no region is known: `--region` says which")?;
        check_region(&region)?;
        Ok(region)
    }
}

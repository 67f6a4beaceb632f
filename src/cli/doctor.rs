//! `cwbridge doctor`: why nothing arrives.

mod logs;
mod notify;

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::on_instance;
use crate::aws::{self, Alarms, Asked, Failure, Logs, Messages, Metrics, Reached};
use crate::clock;
use crate::config::{Config, check_region};
use crate::cost::estimate;
use crate::definition::Placeholders;
use crate::guard::Guard;
use crate::host;
use crate::metric::{Datapoint, Metric, Resolution, StatisticSet, Timestamp, Unit};
use crate::sources::{Sources, parts};
use crate::stats::process;
use crate::web::{self, WebClient};

use super::load::{self, Loaded};
use super::{Environment, Exit, complain, is_root, runtime};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file [default: /etc/cwbridge/cwbridge.toml if present, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder [default: that of the service, root or the user]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// CloudWatch refuses a signature whose time is further off, in seconds.
const CLOCK_OFF_MAX: i64 = 300;
/// What is worth a word before that.
const CLOCK_OFF_TOLD: i64 = 5;

/// Fewer open files than this are too few for 64 connections and the rest.
const FILES_MIN: u64 = 256;

/// What is written to find out whether there is room.
const WRITTEN_BYTES: usize = 1 << 16;

/// CloudWatch takes nothing that is older than two weeks; a datapoint that is only tells whether it would be taken.
const TOO_OLD: i64 = 20 * 86_400;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warning,
    Failure,
}

/// What was found so far; each line is told as it is found.
struct Findings<'a, W> {
    out: &'a mut W,
    worst: Verdict,
    /// Why nothing more can be told, if the output is gone.
    broken: Option<io::Error>,
}

impl<W: Write> Findings<'_, W> {
    fn tell(&mut self, verdict: Verdict, what: &str, found: &str) {
        let name = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failure => "failure",
        };
        self.worst = self.worst.max(verdict);
        let written = writeln!(self.out, "{name:<8} {what}: {found}");
        self.broken = self.broken.take().or(written.err());
    }

    fn ok(&mut self, what: &str, found: &str) {
        self.tell(Verdict::Ok, what, found);
    }

    /// With what would mend it.
    fn warning(&mut self, what: &str, found: &str, fix: &str) {
        self.tell(Verdict::Warning, what, &format!("{found}; {fix}"));
    }

    fn failure(&mut self, what: &str, found: &str, fix: &str) {
        self.tell(Verdict::Failure, what, &format!("{found}; {fix}"));
    }
}

pub(super) fn run(args: Args, environment: Environment, out: &mut impl Write) -> Exit {
    let mut findings = Findings {
        out,
        worst: Verdict::Ok,
        broken: None,
    };
    let Loaded {
        config,
        alarms,
        guard,
        findings: mistakes,
        ..
    } = load::load(args.config.as_deref());
    for mistake in &mistakes {
        findings.failure(
            "configuration",
            &mistake.to_string(),
            "nothing is started before that is mended",
        );
    }
    if mistakes.is_empty() {
        let count = alarms.map_or(1, |alarms| alarms.len());
        let alarms = if count == 1 { "alarm" } else { "alarms" };
        findings.ok(
            "configuration",
            &format!("it can be read, with {count} {alarms}"),
        );
    }
    listen(config.listen, guard.as_ref(), &mut findings);
    let configured = config.journal.dir.clone().map(PathBuf::from);
    let dir = args.state_dir.or(configured);
    state(
        dir.or_else(|| environment.state.choose(is_root())),
        &mut findings,
    );
    limits(&mut findings);
    notify::local(&config, environment.variable, &mut findings);
    logs::local(&config.logs, &mut findings);
    match runtime() {
        Ok(runtime) => runtime.block_on(amazon(&config, &environment, &mut findings)),
        Err(problem) => {
            findings.failure("runtime", &problem, "the process may have no more threads");
        }
    }
    if let Some(error) = findings.broken {
        complain(&[format!("cannot write the findings: {error}")]);
        return Exit::CouldNotStart;
    }
    match findings.worst {
        Verdict::Ok => Exit::Done,
        Verdict::Warning => Exit::Failed,
        Verdict::Failure => Exit::CouldNotStart,
    }
}

/// `guard`: what is asked of those who read. Without a password nothing more is found out than that somebody answers.
fn listen(address: SocketAddr, guard: Option<&Guard>, findings: &mut Findings<'_, impl Write>) {
    let Err(error) = TcpListener::bind(address) else {
        return findings.ok("port", &format!("`{address}` is free"));
    };
    let rules = guard.map(Guard::rules);
    let rules = rules.as_deref().cloned().unwrap_or_default();
    let cannot = format!("nobody can listen on `{address}`: {error}");
    let fix = "set `listen` under `[serve]` to another one";
    if error.kind() != io::ErrorKind::AddrInUse {
        return findings.failure("port", &cannot, fix);
    }
    let answer = runtime().and_then(|runtime| {
        let scheme = if rules.tls.is_some() { "https" } else { "http" };
        runtime.block_on(web::get(&format!("{scheme}://{address}/-/healthy")))
    });
    match answer {
        Ok(text) if text.contains("cwbridge") => {
            findings.ok("port", &format!("a daemon answers on `{address}`"));
        }
        Err(error) if rules.is_closed() && error.contains("401") => {
            findings.ok(
                "port",
                &format!("a daemon answers on `{address}`, and asks for a password"),
            );
        }
        Err(error) if rules.tls.is_some() => findings.warning(
            "port",
            &format!("somebody listens on `{address}`, but does not say who: {error}"),
            "`SSL_CERT_FILE` names the authority of the certificate, if it is the daemon",
        ),
        _ => findings.failure("port", &cannot, fix),
    }
}

fn state(dir: Option<PathBuf>, findings: &mut Findings<'_, impl Write>) {
    let fix =
        "`--state-dir` names another one; without a journal an outage is bridged in memory alone";
    let Some(dir) = dir else {
        return findings.warning("state directory", "there is no place for the journal", fix);
    };
    match writable(&dir) {
        Ok(()) => findings.ok(
            "state directory",
            &format!("`{}` can be written", dir.display()),
        ),
        Err(error) => findings.warning(
            "state directory",
            &format!("`{}` cannot be written: {error}", dir.display()),
            fix,
        ),
    }
}

fn writable(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let file = dir.join(format!("doctor-{}", std::process::id()));
    // An empty file has room on a full disk, too.
    let written =
        fs::write(&file, vec![b' '; WRITTEN_BYTES]).and_then(|()| File::open(&file)?.sync_all());
    fs::remove_file(file)?;
    written
}

fn limits(findings: &mut Findings<'_, impl Write>) {
    match process().and_then(|process| process.max_fds) {
        Some(files) if files < FILES_MIN => findings.warning(
            "limits",
            &format!("only {files} files may be open, as started from here"),
            "`LimitNOFILE` in the unit, or `ulimit -n`, raises it",
        ),
        Some(files) => findings.ok(
            "limits",
            &format!("{files} files may be open, as started from here"),
        ),
        None => findings.ok(
            "limits",
            "as many files may be open as there are, as started from here",
        ),
    }
}

/// Everything that needs AWS.
async fn amazon(
    config: &Config,
    environment: &Environment,
    findings: &mut Findings<'_, impl Write>,
) {
    let instance = instance(environment, findings).await;
    let here = here(environment, instance.as_ref());
    publishing(config, &here, findings);
    let untagged = instance.as_ref().filter(|it| it.tags.is_empty());
    let untagged = untagged.map(|instance| instance.id.clone());
    let Some(region) = region(config, environment, instance, findings).await else {
        return;
    };
    let endpoint = config.publish.endpoint_url.as_deref();
    clock_and_endpoint(&region, endpoint, findings).await;
    let metrics = Metrics::connect(&region, endpoint).await;
    match metrics.credentials().await {
        Ok(credentials) => found(&credentials, findings),
        Err(failure) => {
            let fix = "attach a role to the instance, or set `AWS_PROFILE` or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`";
            return findings.failure("credentials", failure.message(), fix);
        }
    }
    if let Some(id) = untagged.filter(|_| config.wants_tags()) {
        may_describe_tags(&region, &id, findings).await;
    }
    if publishes(config) {
        may_publish(&metrics, &config.publish.namespace, findings).await;
    }
    if config.mirror.is_some() {
        may_mirror(&Alarms::connect_to_watch(&region, endpoint).await, findings).await;
    }
    let logs = Logs::connect_to_ship(&region, None).await;
    logs::by_aws(&config.logs, &here, &logs, findings).await;
    let messages = Messages::new(Some(region), WebClient::default());
    notify::by_aws(config, &messages, findings).await;
}

fn publishes(config: &Config) -> bool {
    config
        .publish
        .metrics
        .iter()
        .any(|entry| !entry.names.is_empty())
}

/// What placeholders stand for.
fn here(environment: &Environment, instance: Option<&aws::Instance>) -> Placeholders {
    let here = Placeholders {
        hostname: host::facts(&host::Plan::default()).hostname,
        variable: Some(environment.variable),
        ..Placeholders::default()
    };
    match instance {
        Some(instance) => on_instance(&here, instance),
        None => here,
    }
}

/// What is not published although it is configured, because this host has no such thing.
fn publishing(config: &Config, here: &Placeholders, findings: &mut Findings<'_, impl Write>) {
    if !publishes(config) {
        return findings.ok("publishing", "nothing is");
    }
    let facts = host::facts(&parts(&config.collectors).gather);
    let sources = Sources::new(&config.publish, here, &config.collectors);
    for warning in sources.warnings() {
        findings.warning("publishing", warning, "nothing arrives under that name");
    }
    let estimate = estimate(&sources.published(&facts));
    match estimate.metrics {
        0 => findings.warning(
            "publishing",
            "this host has none of the metrics",
            "`cwbridge run --dry-run` shows what there is",
        ),
        _ => findings.ok("publishing", &estimate.to_string()),
    }
}

async fn instance(
    environment: &Environment,
    findings: &mut Findings<'_, impl Write>,
) -> Option<aws::Instance> {
    if environment.instance_metadata_disabled {
        findings.ok(
            "instance metadata",
            "not asked: `AWS_EC2_METADATA_DISABLED` is set",
        );
        return None;
    }
    match aws::instance().await {
        Ok(instance) => {
            let (id, region) = (&instance.id, instance.region.as_deref());
            let group = instance.auto_scaling_group.as_deref();
            let told = format!(
                "instance `{id}` in {}, Auto Scaling group {}, {} tags",
                region.unwrap_or("no region"),
                group.unwrap_or("not known"),
                instance.tags.len()
            );
            findings.ok("instance metadata", &told);
            Some(instance)
        }
        Err(why) => {
            let fix = "off EC2 that is as it should be; in a container on EC2 the answer may die on the way back: raise the hop limit with `aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2`";
            findings.warning("instance metadata", &why, fix);
            None
        }
    }
}

async fn region(
    config: &Config,
    environment: &Environment,
    instance: Option<aws::Instance>,
    findings: &mut Findings<'_, impl Write>,
) -> Option<String> {
    for problem in environment.malformed_regions() {
        findings.failure("region", &problem, "correct it");
    }
    let configured = match config.publish.region.clone() {
        Some(region) => Some((region, "the configuration")),
        None => aws::configured_region()
            .await
            .map(|region| (region, "the environment or the profile")),
    };
    let of_instance = || Some((instance?.region?, "instance metadata"));
    let Some((region, source)) = configured.or_else(of_instance) else {
        findings.failure(
            "region",
            "there is none",
            "set `region` under `[publish]`, or `AWS_REGION`",
        );
        return None;
    };
    match check_region(&region) {
        Ok(()) => {
            findings.ok("region", &format!("{region}, by {source}"));
            Some(region)
        }
        Err(problem) => {
            findings.failure("region", &problem, &format!("it comes from {source}"));
            None
        }
    }
}

async fn clock_and_endpoint(
    region: &str,
    endpoint_url: Option<&str>,
    findings: &mut Findings<'_, impl Write>,
) {
    let fix = "look at routes, security groups, a VPC endpoint for `monitoring`, `HTTPS_PROXY`, and `SSL_CERT_FILE` for a certificate authority of one's own";
    let Reached { endpoint, date } = match aws::reach(region, endpoint_url).await {
        Ok(reached) => reached,
        Err((endpoint, error)) => {
            return findings.failure("endpoint", &format!("{endpoint}: {error}"), fix);
        }
    };
    findings.ok("endpoint", &format!("{endpoint} answers"));
    let Some(date) = date else {
        return findings.warning(
            "clock",
            "the endpoint does not tell the time",
            "compare it by hand",
        );
    };
    let off = clock::now() - date;
    let found = format!("it is {off} s ahead of the endpoint's");
    let fix = "let chrony or systemd-timesyncd set it";
    let off = off.abs();
    if off <= CLOCK_OFF_TOLD {
        findings.ok(
            "clock",
            &format!("within {CLOCK_OFF_TOLD} s of the endpoint's"),
        );
    } else if off <= CLOCK_OFF_MAX {
        findings.warning("clock", &found, fix);
    } else {
        let found = format!("{found}, so that requests are refused");
        findings.failure("clock", &found, fix);
    }
}

fn found(credentials: &aws::Credentials, findings: &mut Findings<'_, impl Write>) {
    let source = &credentials.source;
    let Some(expires) = credentials.expires else {
        return findings.ok("credentials", &format!("of `{source}`, without an end"));
    };
    let left = expires - clock::now();
    match left {
        ..=0 => findings.failure(
            "credentials",
            &format!("those of `{source}` ended at {expires}"),
            "renew them",
        ),
        _ => findings.ok("credentials", &format!("of `{source}`, until {expires}")),
    }
}

/// Sends a datapoint that is too old to be taken: whoever may not publish is told so, and nothing is published.
async fn may_publish(metrics: &Metrics, namespace: &str, findings: &mut Findings<'_, impl Write>) {
    let statistics = StatisticSet {
        sample_count: 1.0,
        sum: 0.0,
        minimum: 0.0,
        maximum: 0.0,
    };
    let datapoint = Datapoint {
        metric: Arc::new(Metric::new(namespace, "CWBridgeDoctor", vec![])),
        unit: Unit::NONE,
        resolution: Resolution::Standard,
        start: Timestamp::from_seconds(clock::now().seconds() - TOO_OLD).floor(60),
        statistics,
        values: None,
    };
    let tried = "tried with a datapoint that is too old to be taken";
    let what = "cloudwatch:PutMetricData";
    match metrics.put(&[Arc::new(datapoint)]).await {
        Ok(()) | Err(Failure::Rejected(_)) => findings.ok(what, &format!("allowed ({tried})")),
        Err(failure) => told(what, tried, "deploy/iam/publish.json", &failure, findings),
    }
}

/// Needed only where the instance metadata does not show the tags.
async fn may_describe_tags(region: &str, id: &str, findings: &mut Findings<'_, impl Write>) {
    let what = "ec2:DescribeTags";
    match aws::tags(region, id, clock::now()).await {
        Ok(tags) => findings.ok(what, &format!("allowed (asked for the tags of `{id}`, {})", tags.len())),
        Err(why) => findings.failure(
            what,
            &why,
            "`deploy/iam/tags.json` is the policy that allows it, or let the instance metadata show tags with `aws ec2 modify-instance-metadata-options --instance-metadata-tags enabled`",
        ),
    }
}

async fn may_mirror(alarms: &Alarms, findings: &mut Findings<'_, impl Write>) {
    let (what, tried) = (
        "cloudwatch:DescribeAlarms",
        "tried with the name of an alarm that nobody has",
    );
    let asked = Asked::Names(vec!["cwbridge-doctor".to_owned()]);
    match alarms.page(&asked, None).await {
        Ok(_) => findings.ok(what, &format!("allowed ({tried})")),
        Err(failure) => told(what, tried, "deploy/iam/mirror.json", &failure, findings),
    }
}

fn told(
    what: &str,
    tried: &str,
    policy: &str,
    failure: &Failure,
    findings: &mut Findings<'_, impl Write>,
) {
    let message = failure.message();
    match failure {
        Failure::Denied(_) => findings.failure(
            what,
            &format!("refused ({tried}): {message}"),
            &format!("`{policy}` is the policy that allows it"),
        ),
        Failure::Throttled(_) => {
            findings.warning(what, &format!("throttled: {message}"), "try again");
        }
        _ => findings.failure(
            what,
            &format!("no answer ({tried}): {message}"),
            "see the lines above",
        ),
    }
}

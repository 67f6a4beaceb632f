//! `cwbridge run`

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::agent::{self, Plan};
use crate::aws;
use crate::config::check_region;
use crate::guard::Guard;
use crate::journal::OpenError;
use crate::logs::Tee;
use crate::metric::Datapoint;

use super::load::{self, Loaded};
use super::{Environment, Exit, complain, is_root};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file [default: /etc/cwbridge/cwbridge.toml if present, else built-in defaults]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the journal: what CloudWatch does not have yet, states and history [default: `$STATE_DIRECTORY`,
    /// /var/lib/cwbridge for root, else the user's state folder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Address to serve on, instead of the configured one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Print what would be published for a minute, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: Args, environment: Environment, tee: Tee, out: &mut impl Write) -> Exit {
    let Args {
        config: config_file,
        state_dir,
        listen,
        dry_run,
    } = args;
    let Loaded {
        mut config,
        alarms,
        mute_rules,
        guard,
        findings,
    } = load::load(config_file.as_deref());
    config.listen = listen.unwrap_or(config.listen);
    let mut problems: Vec<String> = findings.iter().map(ToString::to_string).collect();
    problems.extend(environment.malformed_regions());
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&[format!("cannot start the runtime: {error}")]);
            return Exit::CouldNotStart;
        }
    };
    let exit = runtime.block_on(async {
        let region = match config.publish.region.clone() {
            Some(region) => Some(region),
            None => aws::configured_region().await,
        };
        if problems.is_empty()
            && let Some(Err(problem)) = region.as_deref().map(check_region)
        {
            problems.push(format!("the AWS profile: {problem}"));
        }
        if !problems.is_empty() {
            complain(&problems);
            return Exit::CouldNotStart;
        }
        let configured = config.journal.dir.clone().map(PathBuf::from);
        let state_dir = state_dir
            .or(configured)
            .or_else(|| environment.state.choose(is_root()));
        let plan = Plan {
            config,
            alarms,
            mute_rules,
            guard: guard.map(Arc::new),
            state_dir,
            region,
            endpoint_url: environment.endpoint_url.clone(),
            variable: environment.variable,
            instance_metadata: !environment.instance_metadata_disabled,
            tee,
        };
        if dry_run {
            print_datapoints(plan, out).await
        } else {
            let files = Files {
                config: config_file,
                listen,
            };
            watch(plan, files).await
        }
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    exit
}

/// What a reload reads again.
#[derive(Clone, Debug)]
struct Files {
    config: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

impl Files {
    /// The plan that they make now, where `before` is what they made at the start.
    fn reread(&self, before: &Plan) -> Result<Plan, Vec<String>> {
        let loaded = load::load(self.config.as_deref());
        if !loaded.findings.is_empty() {
            return Err(loaded.findings.iter().map(ToString::to_string).collect());
        }
        let mut config = loaded.config;
        config.listen = self.listen.unwrap_or(config.listen);
        // Without a region of its own the configuration leaves it to where it was found at the start.
        let was_configured = before.config.publish.region.is_some();
        let region = match (config.publish.region.clone(), was_configured) {
            (None, false) => before.region.clone(),
            (region, _) => region,
        };
        Ok(Plan {
            config,
            alarms: loaded.alarms,
            mute_rules: loaded.mute_rules,
            region,
            ..before.clone()
        })
    }
}

async fn watch(plan: Plan, files: Files) -> Exit {
    let (listener, shutdown, hangups) = match begin(plan.config.listen, plan.guard.clone()).await {
        Ok(begun) => begun,
        Err(error) => {
            complain(&[format!("{error:#}")]);
            return Exit::CouldNotStart;
        }
    };
    let before = plan.clone();
    let reread = move || files.reread(&before);
    match agent::run(plan, listener, shutdown, hangups, reread).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&[format!("{error:#}")]);
            match error.downcast_ref::<OpenError>() {
                Some(_) => Exit::CouldNotStart,
                None => Exit::Failed,
            }
        }
    }
}

/// Binds the address and catches the signals, before anything is said.
async fn begin(
    listen: SocketAddr,
    guard: Option<Arc<Guard>>,
) -> anyhow::Result<(TcpListener, impl Future<Output = ()>, mpsc::Receiver<()>)> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on `{listen}` (`--listen` takes another address)")
    })?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (hangups, hangups_in) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() && hangups.send(()).await.is_ok() {}
    });
    let address = listener.local_addr()?;
    let rules = guard.map(|guard| guard.rules());
    let rules = rules.as_deref().cloned().unwrap_or_default();
    let scheme = if rules.tls.is_some() { "https" } else { "http" };
    info!(version = env!("CARGO_PKG_VERSION"), metrics = %format_args!("{scheme}://{address}/metrics"), "cwbridge started");
    let is_remote = !address.ip().is_loopback();
    if is_remote && !rules.is_closed() {
        warn!(%address, "anyone who reaches this address can read the metrics: no password is asked for; `web_config` under `[serve]` names a file that asks");
    } else if is_remote && rules.tls.is_none() {
        warn!(%address, "passwords come to this address in the clear; `tls_server_config` of the web config has TLS");
    }
    let shutdown = async move {
        let signal = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        info!(signal, "stopping");
    };
    Ok((listener, shutdown, hangups_in))
}

/// A datapoint in the members of PutMetricData.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datum {
    namespace: String,
    metric_name: String,
    dimensions: Vec<[String; 2]>,
    timestamp: String,
    unit: &'static str,
    storage_resolution: i64,
    values: Vec<f64>,
    counts: Vec<f64>,
}

impl From<Datapoint> for Datum {
    fn from(datapoint: Datapoint) -> Self {
        let (values, counts) = datapoint
            .values
            .map(|values| values.values())
            .unwrap_or_default()
            .into_iter()
            .unzip();
        Self {
            namespace: datapoint.metric.namespace.clone(),
            metric_name: datapoint.metric.name.clone(),
            dimensions: datapoint
                .metric
                .dimensions()
                .iter()
                .map(|dimension| [dimension.name.clone(), dimension.value.clone()])
                .collect(),
            timestamp: datapoint.start.to_string(),
            unit: datapoint.unit.name(),
            storage_resolution: datapoint.resolution.seconds(),
            values,
            counts,
        }
    }
}

async fn print_datapoints(plan: Plan, out: &mut impl Write) -> Exit {
    let printed = async {
        for datapoint in agent::dry_run(plan).await? {
            writeln!(out, "{}", serde_json::to_string(&Datum::from(datapoint))?)?;
        }
        anyhow::Ok(())
    };
    match printed.await {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&[format!("{error:#}")]);
            Exit::Failed
        }
    }
}

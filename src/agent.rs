//! The tasks, the channels between them, and the way down.
//!
//! `collect` looks at the host once a second; `drive` advances the pipeline and shows what came of it; `publish` finds out
//! who this host is and sends datapoints; `serve` answers HTTP. A task ends after its last item: when `collect` is told to
//! stop, its channel closes, and so on down the line.

mod drive;
mod prepare;
mod reload;
mod systemd;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::alarm::{Alarm, MuteRule};
use crate::clock;
use crate::config::{Collector, Config};
use crate::definition::Placeholders;
use crate::host::{self, Host, Look, Parts};
use crate::http;
use crate::metric::Datapoint;
use crate::sources::Sources;
use crate::stats::Stats;

pub use prepare::dry_run;

/// Looks that wait for the pipeline; the host is not looked at again until there is room.
const LOOKS_MAX: usize = 4;
/// Reloads that wait for the one that is under way.
const RELOADS_MAX: usize = 1;
/// Readings' worth of datapoints that wait for the publisher while it waits for CloudWatch.
const DATAPOINTS_MAX: usize = 64;
/// How long everything may take to end, so that the process is gone within five seconds.
const SHUTDOWN_MAX: Duration = Duration::from_millis(4_500);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Looks are taken in the middle of each second, so that a clock that is a little off never skips one or counts one twice.
const LOOK_OFFSET: Duration = Duration::from_millis(500);
/// Two looks closer together than this would say more about the kernel's clock tick than about the host.
const LOOK_GAP_MIN: Duration = Duration::from_millis(400);

/// What was read and checked before anything is started.
#[derive(Clone, Debug)]
pub struct Plan {
    pub config: Config,
    /// `None`: the built-in alarm.
    pub alarms: Option<Vec<Alarm>>,
    pub mute_rules: Vec<MuteRule>,
    /// As configured; `None` leaves it to the instance metadata.
    pub region: Option<String>,
    /// Where the environment leads instead of to AWS.
    pub endpoint_url: Option<String>,
    /// Whether the instance metadata service may be asked.
    pub instance_metadata: bool,
}

impl Plan {
    fn parts(&self) -> Parts {
        let enabled = |collector| self.config.collectors.enabled.contains(&collector);
        Parts {
            cpu: enabled(Collector::Cpu),
            memory: enabled(Collector::Memory),
            load: enabled(Collector::Load),
            interval: self.config.collectors.interval,
        }
    }

    /// The endpoint in force; `None` for that of the region.
    fn endpoint_url(&self) -> Option<&str> {
        self.config
            .publish
            .endpoint_url
            .as_deref()
            .or(self.endpoint_url.as_deref())
    }

    fn sources(&self, here: &Placeholders) -> Sources {
        Sources::new(&self.config.publish, here, self.parts().cpu)
    }

    fn facts(&self) -> Arc<host::Facts> {
        Arc::new(host::facts(
            self.config.collectors.enabled.contains(&Collector::Os),
        ))
    }
}

/// Runs until `shutdown` resolves; reads the configuration anew with `reread` whenever `hangups` yields. An error means that a
/// task ended that should not have.
pub async fn run<R>(
    plan: Plan,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    mut hangups: mpsc::Receiver<()>,
    reread: R,
) -> anyhow::Result<()>
where
    R: Fn() -> Result<Plan, Vec<String>> + Clone + Send + 'static,
{
    let stats = Arc::new(Stats::default());
    stats.reloaded_at.store(clock::now().seconds(), Relaxed);
    let facts = plan.facts();
    let host = Host::new(plan.parts()).context("cannot look at this host")?;
    let (stop, stopped) = oneshot::channel();
    let (looks, looks_in) = mpsc::channel(LOOKS_MAX);
    let (datapoints, datapoints_in) = mpsc::channel(DATAPOINTS_MAX);
    let (prepared, prepared_in) = oneshot::channel();
    let (shown, shown_in) = watch::channel(None);
    let (reloaded, reloaded_in) = mpsc::channel(1);
    let (here, here_in) = watch::channel(None);
    let (parts, parts_in) = watch::channel(plan.parts());
    let (reloads, reloads_in) = mpsc::channel(RELOADS_MAX);

    let mut tasks = JoinSet::new();
    tasks.spawn(named("collect", collect(host, parts_in, looks, stopped)));
    let drive = drive::Drive {
        datapoints,
        shown,
        stats: Arc::clone(&stats),
        facts: Arc::clone(&facts),
    };
    tasks.spawn(named(
        "drive",
        drive.run(looks_in, prepared_in, reloaded_in),
    ));
    tasks.spawn(named(
        "publish",
        prepare::publish(
            plan.clone(),
            Arc::clone(&facts),
            prepare::Known { prepared, here },
            datapoints_in,
            Arc::clone(&stats),
        ),
    ));
    let reloader = reload::Reloader {
        plan,
        reread,
        facts,
        here: here_in,
        prepared: reloaded,
        parts,
        stats: Arc::clone(&stats),
    };
    let reloader = tokio::spawn(reloader.run(reloads_in));
    let router = http::router(shown_in, reloads.clone());
    let server = tokio::spawn(http::serve(listener, router));
    let hangups = tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            reload::request(&reloads, "SIGHUP").await;
        }
    });

    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = tasks.join_next() => Err(early_end(ended)),
    };
    systemd::stopping();
    drop(stop);
    reloader.abort();
    hangups.abort();
    finish(tasks, &stats).await;
    server.abort();
    outcome
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

fn early_end(ended: Result<&'static str, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(name) => anyhow!("task `{name}` ended by itself"),
        Err(error) => anyhow!(error).context("a task failed"),
    }
}

/// Waits for the tasks to end one after the other, and counts what could not be sent in time.
async fn finish(mut tasks: JoinSet<&'static str>, stats: &Stats) {
    let all = async { while tasks.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(SHUTDOWN_MAX, all).await.is_ok();
    let held = usize::try_from(stats.outbox.load(Relaxed)).unwrap_or(0);
    stats.drop_from_outbox("shutdown", held);
    let published = stats.published.load(Relaxed);
    if held > 0 {
        warn!(
            published,
            lost = held,
            in_time,
            "stopped; datapoints that CloudWatch does not have are lost"
        );
    } else {
        info!(published, "stopped; nothing was held back");
    }
}

async fn collect(
    mut host: Host,
    mut parts: watch::Receiver<Parts>,
    looks: mpsc::Sender<Look>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        if parts.has_changed().unwrap_or(false) {
            host.set_parts(*parts.borrow_and_update());
        }
        if looks.send(host.look(clock::now())).await.is_err() {
            return;
        }
        let wait = clock::until(clock::since_epoch(), LOOK_INTERVAL, LOOK_OFFSET);
        let wait = if wait < LOOK_GAP_MIN {
            wait + LOOK_INTERVAL
        } else {
            wait
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = &mut stopped => return,
        }
    }
}

/// Datapoints on their way from `drive` to `publish`.
type Datapoints = mpsc::Sender<Vec<Datapoint>>;

//! The tasks, the channels between them, and the way down.
//!
//! `collect` looks at the host once a second; `drive` advances the pipeline and shows what came of it; the keeper writes it
//! to the journal; `publish` finds out who this host is and sends what the keeper has; `mirror` asks for CloudWatch's own
//! alarms; `serve` answers HTTP. A task ends
//! after its last item: when `collect` is told to stop, its channel closes, and so on down the line.

mod drive;
mod identity;
mod logging;
mod mirroring;
#[cfg(test)]
mod model;
mod prepare;
mod reload;
mod restore;
mod systemd;
mod telling;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::alarm::{Alarm, MetricAlarm, MuteRule};
use crate::clock;
use crate::config::{Config, is_by_tag};
use crate::definition::Placeholders;
use crate::guard::Guard;
use crate::host::{self, Host, Look, Parts};
use crate::http;
use crate::journal::Limits;
use crate::keeper::{self, Handle, Kept};
use crate::logs::Tee;
use crate::sources::{Sources, parts};
use crate::stats::Stats;

pub use prepare::{dry_run, on_instance};

/// Looks that wait for the pipeline; the host is not looked at again until there is room.
const LOOKS_MAX: usize = 4;
/// Reloads that wait for the one that is under way.
const RELOADS_MAX: usize = 1;
/// Tests of notifications that wait.
const TESTS_MAX: usize = 4;
/// How long the tasks may take to end, and then the journal, so that the process is gone within five seconds.
const TASKS_END_MAX: Duration = Duration::from_millis(3_500);
const JOURNAL_END_MAX: Duration = Duration::from_secs(1);
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
    /// Who may read what is served; `None`: anyone who reaches the address.
    pub guard: Option<Arc<Guard>>,
    /// Where the journal is; `None` if there is no place for it.
    pub state_dir: Option<PathBuf>,
    /// As configured; `None` leaves it to the instance metadata.
    pub region: Option<String>,
    /// Where the environment leads instead of to AWS.
    pub endpoint_url: Option<String>,
    /// What `${env:NAME}` stands for.
    pub variable: fn(&str) -> Option<String>,
    /// Whether the instance metadata service may be asked.
    pub instance_metadata: bool,
    /// Where this program's own log can be read.
    pub tee: Tee,
}

impl Plan {
    fn parts(&self) -> Parts {
        parts(&self.config.collectors)
    }

    /// The endpoint in force; `None` for that of the region.
    fn endpoint_url(&self) -> Option<&str> {
        self.config
            .publish
            .endpoint_url
            .as_deref()
            .or(self.endpoint_url.as_deref())
    }

    /// Whether something is known by a tag of the instance, of which its Auto Scaling group is one.
    pub fn wants_tags(&self) -> bool {
        let alarms = self.alarms.iter().flatten();
        let stats = alarms
            .filter_map(Alarm::metric_rule)
            .flat_map(MetricAlarm::stats);
        let mut values =
            stats.flat_map(|stat| stat.metric.dimensions().iter().map(|it| &*it.value));
        // Alarms that are mirrored may name the group of this host.
        let is_mirrored = self.config.mirror.is_some();
        is_mirrored || self.config.wants_tags() || values.any(is_by_tag)
    }

    fn sources(&self, here: &Placeholders) -> Sources {
        Sources::new(&self.config.publish, here, &self.config.collectors)
    }

    fn facts(&self) -> Arc<host::Facts> {
        Arc::new(host::facts(&self.parts().gather))
    }
}

/// Runs until `shutdown` resolves; reads the configuration anew with `reread` whenever `hangups` yields. An error means that a
/// task ended that should not have.
pub async fn run<R>(
    plan: Plan,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    hangups: mpsc::Receiver<()>,
    reread: R,
) -> anyhow::Result<()>
where
    R: Fn() -> Result<Plan, Vec<String>> + Clone + Send + 'static,
{
    let stats = Arc::new(Stats::default());
    stats.reloaded_at.store(clock::now().seconds(), Relaxed);
    let (facts, guard, host) = (plan.facts(), plan.guard.clone(), Host::new(plan.parts()));
    let (keeper, mut kept) = keep(&plan, &stats)?;
    let (stop, stopped) = oneshot::channel();
    let (looks, looks_in) = mpsc::channel(LOOKS_MAX);
    let (ended, ended_in) = watch::channel(false);
    let (prepared, prepared_in) = oneshot::channel();
    let (shown, shown_in) = watch::channel(None);
    let (reloaded, reloaded_in) = mpsc::channel(1);
    let (here, here_in) = watch::channel(None);
    let (planned, planned_in) = watch::channel(plan.clone());
    let is_ec2 = facts.is_ec2 && plan.instance_metadata;
    let logs = logging::run(&plan, &here_in, &planned_in, (&keeper, &stats, &ended_in));
    let identity = identity::run(here.clone(), Arc::clone(&stats), is_ec2, planned_in.clone());
    let (parts, parts_in) = watch::channel(plan.parts());
    let (reloads, reloads_in) = mpsc::channel(RELOADS_MAX);
    let (telling, notify) = telling::wires(&plan, planned_in, &here_in, &keeper, &stats);
    let (events, history) = (telling.events.clone(), keeper.downgrade());
    let (tests, tests_in) = mpsc::channel(TESTS_MAX);
    let (wires, mirror) = mirroring::mirror(&plan, here_in.clone(), Arc::clone(&stats));

    let mut tasks = JoinSet::new();
    tasks.spawn(named("collect", collect(host, parts_in, looks, stopped)));
    let drive = drive::Drive {
        keeper: keeper.clone(),
        ended,
        shown,
        telling,
        stats: Arc::clone(&stats),
        facts: Arc::clone(&facts),
    };
    let views = wires.views.clone();
    let drive = drive.run(looks_in, prepared_in, reloaded_in, views, tests_in);
    tasks.spawn(named("drive", drive));
    tasks.spawn(named("notify", notify));
    tasks.spawn(named("logs", logs));
    let known = prepare::Known {
        prepared,
        here,
        mirror: wires.clone(),
    };
    let publish = publishing(&plan, &facts, known, (keeper, ended_in), &stats);
    tasks.spawn(named("publish", publish));
    let reloader = reload::Reloader {
        plan,
        planned,
        reread,
        facts,
        here: here_in,
        mirror: wires,
        prepared: reloaded,
        parts,
        stats: Arc::clone(&stats),
        warned: BTreeSet::new(),
    };
    // What nothing is lost of when it ends in the middle.
    let mut helpers = JoinSet::new();
    helpers.spawn(mirror);
    helpers.spawn(identity);
    helpers.spawn(reloader.run(reloads_in));
    helpers.spawn(reload::on_hangups(hangups, reloads.clone()));
    let router = http::router(http::Served::new(shown_in, reloads, tests, events, history));
    let server = tokio::spawn(http::serve(listener, router, guard));

    let outcome = until(shutdown, &mut tasks, &mut kept).await;
    systemd::stopping();
    drop((stop, helpers));
    finish(tasks, kept, &stats).await;
    server.abort();
    outcome
}

fn publishing(
    plan: &Plan,
    facts: &Arc<host::Facts>,
    known: prepare::Known,
    (keeper, ended): (Handle, watch::Receiver<bool>),
    stats: &Arc<Stats>,
) -> impl Future<Output = ()> + use<> {
    let source = prepare::Source { keeper, ended };
    let (facts, stats) = (Arc::clone(facts), Arc::clone(stats));
    prepare::publish(plan.clone(), facts, known, source, stats)
}

/// Waits until the program is to end, or has to.
async fn until(
    shutdown: impl Future<Output = ()>,
    tasks: &mut JoinSet<&'static str>,
    kept: &mut Kept,
) -> anyhow::Result<()> {
    let by_itself = || anyhow!("the journal's thread ended by itself");
    tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = tasks.join_next() => Err(early_end(ended)),
        ended = kept.ended() => Err(ended.map_or_else(Into::into, |()| by_itself())),
    }
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

/// Begins to keep what must outlive the process, and says where.
fn keep(plan: &Plan, stats: &Arc<Stats>) -> anyhow::Result<(Handle, Kept)> {
    let limits = Limits {
        max_age: plan.config.journal.max_age,
        max_size: plan.config.journal.max_size,
    };
    match &plan.state_dir {
        Some(dir) => info!(dir = %dir.display(), "keeping datapoints, states and transitions"),
        None => warn!(
            "there is no place for the journal: what CloudWatch does not have is held in memory, and lost at the end; set `--state-dir`"
        ),
    }
    keeper::start(plan.state_dir.clone(), limits, Arc::clone(stats))
        .context("cannot start a thread")
}

/// Waits for the tasks to end one after the other, and tells what CloudWatch does not have.
async fn finish(mut tasks: JoinSet<&'static str>, mut kept: Kept, stats: &Stats) {
    let all = async { while tasks.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(TASKS_END_MAX, all).await.is_ok();
    // A request that is still under way ends without its answer.
    drop(tasks);
    if tokio::time::timeout(JOURNAL_END_MAX, kept.ended())
        .await
        .is_err()
    {
        warn!("the journal is not closed yet; it is recovered at the next start");
    }
    let published = stats.published.load(Relaxed);
    let lost = stats.dropped.get()["shutdown"];
    match stats.outbox.load(Relaxed) {
        0 if lost > 0 => warn!(published, lost, "stopped; what was held in memory is lost"),
        0 => info!(published, "stopped; nothing was held back"),
        waiting => info!(
            published,
            waiting, in_time, "stopped; what waits in the journal is sent after the next start"
        ),
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
            host.set_parts(parts.borrow_and_update().clone());
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

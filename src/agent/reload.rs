//! Another configuration while everything goes on: all of it or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::clock;
use crate::cost::publish_interval;
use crate::host::{Facts, Parts};
use crate::http::ReloadRequest;
use crate::stats::Stats;

use super::drive::Prepared;
use super::mirroring::Wires;
use super::prepare::Here;
use super::{Plan, systemd};

/// What a reload needs, and where its outcome goes.
pub(super) struct Reloader<R> {
    pub(super) plan: Plan,
    /// Where others see it.
    pub(super) planned: watch::Sender<Plan>,
    /// Reads the configuration anew.
    pub(super) reread: R,
    pub(super) facts: Arc<Facts>,
    /// Who this host is, once that is known.
    pub(super) here: watch::Receiver<Option<Arc<Here>>>,
    pub(super) mirror: Wires,
    pub(super) prepared: mpsc::Sender<Prepared>,
    pub(super) parts: watch::Sender<Parts>,
    pub(super) stats: Arc<Stats>,
    /// What was warned of when the host was found to be another one.
    pub(super) warned: BTreeSet<String>,
}

impl<R> Reloader<R>
where
    R: Fn() -> Result<Plan, Vec<String>> + Clone + Send + 'static,
{
    /// Answers one request after the other, until nobody can make any; whenever other alarms are mirrored, they are prepared.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<ReloadRequest>) {
        // At first the host is prepared for by the one who finds it out.
        let _ = self.here.wait_for(Option::is_some).await;
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                Ok(()) = self.mirror.found.changed() => self.prepare_anew().await,
                Ok(()) = self.here.changed() => self.prepare_anew().await,
            }
        }
    }

    async fn answer(&mut self, ReloadRequest { by, answer }: ReloadRequest) {
        systemd::reloading();
        let outcome = self.reload().await;
        self.note(by, &outcome);
        systemd::ready();
        // Whoever asked may have left.
        let _ = answer.send(outcome);
    }

    /// Judges what is mirrored now beside what is configured, on the host as it is now.
    async fn prepare_anew(&mut self) {
        let found = Arc::clone(&self.mirror.found.borrow_and_update());
        if let Ok(here) = self.here().await {
            let prepared = here.prepare_quietly(&self.plan, &found);
            for warning in prepared.sources.warnings() {
                if self.warned.insert(warning.clone()) {
                    warn!("{warning}");
                }
            }
            let wanted = here.wanted(&self.plan, &prepared);
            self.mirror.want(wanted);
            // Nobody takes it when the program is about to end.
            let _ = self.prepared.send(prepared).await;
        }
    }

    fn note(&self, by: &'static str, outcome: &Result<(), Vec<String>>) {
        self.stats.reload_successful.store(outcome.is_ok(), Relaxed);
        match outcome {
            Ok(()) => {
                self.stats
                    .reloaded_at
                    .store(clock::now().seconds(), Relaxed);
                info!(by, "the configuration was reloaded");
            }
            Err(problems) => {
                for problem in problems {
                    warn!("{problem}");
                }
                let count = problems.len();
                warn!(
                    by,
                    problems = count,
                    "the configuration was not reloaded; the old one stays in force"
                );
            }
        }
    }

    async fn reload(&mut self) -> Result<(), Vec<String>> {
        let here = self.here().await?;
        let reread = self.reread.clone();
        let failed = |error: tokio::task::JoinError| {
            vec![format!("the configuration could not be read: {error}")]
        };
        let mut plan = tokio::task::spawn_blocking(reread)
            .await
            .map_err(failed)??;
        let problems = self.needs_restart(&plan, &here);
        if !problems.is_empty() {
            return Err(problems);
        }
        // Whoever reads is asked by the guard that runs.
        if let (Some(running), Some(fresh)) = (&self.plan.guard, &plan.guard) {
            let fresh = (*fresh.rules()).clone();
            running.take(fresh).map_err(|problem| vec![problem])?;
        }
        plan.guard.clone_from(&self.plan.guard);
        let found = Arc::clone(&self.mirror.found.borrow());
        let prepared = here.prepare(&plan, &found);
        self.parts.send_replace(plan.parts());
        let wanted = here.wanted(&plan, &prepared);
        self.mirror.want(wanted);
        let ended = |_| vec!["the program is about to end".to_owned()];
        self.prepared.send(prepared).await.map_err(ended)?;
        self.planned.send_replace(plan.clone());
        self.plan = plan;
        Ok(())
    }

    /// Waits until it is known which host this is.
    async fn here(&mut self) -> Result<Arc<Here>, Vec<String>> {
        let known = self.here.wait_for(Option::is_some).await;
        let here = known.ok().and_then(|here| here.clone());
        here.ok_or_else(|| vec!["the program is about to end".to_owned()])
    }

    /// What the new configuration asks for and only a restart can bring.
    fn needs_restart(&self, plan: &Plan, here: &Here) -> Vec<String> {
        let published = |plan: &Plan| plan.sources(&here.placeholders).published(&self.facts);
        let (before, now) = (published(&self.plan), published(plan));
        let resolution_changed = now.iter().any(|(metric, resolution)| {
            before
                .iter()
                .any(|(known, was)| known == metric && was != resolution)
        });
        let interval_changed = publish_interval(&before) != publish_interval(&now);
        let changed = [
            (
                "`listen` under `[serve]`",
                self.plan.config.listen != plan.config.listen,
            ),
            (
                "`web_config` under `[serve]`",
                self.plan.config.web_config != plan.config.web_config,
            ),
            (
                "`region` under `[publish]`",
                self.plan.region != plan.region,
            ),
            (
                "`endpoint_url` under `[publish]`",
                self.plan.endpoint_url() != plan.endpoint_url(),
            ),
            (
                "`high_resolution` under `[[publish.metric]]`",
                resolution_changed || interval_changed,
            ),
            (
                "`detailed_monitoring` under `[publish]`",
                self.plan.config.publish.detailed_monitoring
                    != plan.config.publish.detailed_monitoring,
            ),
            (
                "`[journal]`",
                self.plan.config.journal != plan.config.journal,
            ),
        ];
        let problem = |what| format!("{what} cannot change while the program runs; start it again");
        changed
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(what, _)| problem(what))
            .collect()
    }
}

/// Asks for a reload whenever the process is told to.
pub(super) async fn on_hangups(
    mut hangups: mpsc::Receiver<()>,
    requests: mpsc::Sender<ReloadRequest>,
) {
    while hangups.recv().await.is_some() {
        request(&requests, "SIGHUP").await;
    }
}

/// Asks for a reload, and waits until it is done.
async fn request(requests: &mpsc::Sender<ReloadRequest>, by: &'static str) {
    let (answer, answered) = oneshot::channel();
    if requests.send(ReloadRequest { by, answer }).await.is_ok() {
        let _ = answered.await;
    }
}

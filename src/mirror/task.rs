//! Asking CloudWatch, at an interval.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::{Asked, Failure, NAMES_MAX, Page};
use crate::clock;
use crate::cost::describe_alarms;
use crate::definition::parse;
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::{Found, Selection, Views, Wanted};

/// What was mirrored last, in the state directory: it is judged after a start without CloudWatch too.
pub const FILE: &str = "mirror.json";

/// Alarms that are named one by one.
const NAMED_MAX: usize = 20;

/// Where it goes what CloudWatch said.
#[derive(Debug)]
pub struct Outputs {
    pub found: watch::Sender<Arc<Found>>,
    pub views: watch::Sender<Option<Arc<Views>>>,
    /// The state directory, if there is one.
    pub dir: Option<PathBuf>,
}

/// Asks through `ask` for what is wanted.
#[derive(Debug)]
pub struct Mirror<A> {
    ask: A,
    outputs: Outputs,
    stats: Arc<Stats>,
    /// When the whole account was looked through last.
    searched_at: Option<Timestamp>,
    names: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    /// Requests of the last search.
    pages: usize,
    requests: usize,
    is_failing: bool,
}

impl<A, F> Mirror<A>
where
    A: Fn(Asked, Option<String>) -> F,
    F: Future<Output = Result<Page, Failure>>,
{
    pub fn new(ask: A, outputs: Outputs, stats: Arc<Stats>) -> Self {
        Self {
            ask,
            outputs,
            stats,
            searched_at: None,
            names: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            pages: 0,
            requests: 0,
            is_failing: false,
        }
    }

    /// Asks at the interval that is wanted, at this host's own time in it, until nobody wants anything any more.
    pub async fn run(
        mut self,
        mut wanted: watch::Receiver<Option<Arc<Wanted>>>,
        phase: impl Fn(Duration) -> Duration,
    ) {
        loop {
            let now = wanted.borrow_and_update().clone();
            let wait = match &now {
                Some(wanted) => {
                    self.round(wanted).await;
                    let interval = wanted.config.interval;
                    clock::until(clock::since_epoch(), interval, phase(interval))
                }
                None => {
                    self.forget();
                    Duration::MAX
                }
            };
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => self.searched_at = None,
                    Err(_) => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Nothing is mirrored any more.
    fn forget(&mut self) {
        self.searched_at = None;
        self.names.clear();
        self.outputs.views.send_replace(None);
        self.tell_found(Found::default(), &[]);
    }

    /// Asks once, for everything or for what is known, and hands on what was said.
    pub async fn round(&mut self, wanted: &Wanted) {
        let asked_at = clock::now();
        let interval = wanted.config.search_interval.as_secs();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX);
        let is_due = |at: Timestamp| !(0..interval).contains(&(asked_at - at));
        let searches = self.searched_at.is_none_or(is_due);
        self.requests = 0;
        let selection = match searches {
            true => self.search(wanted).await,
            false => self.refresh(wanted).await,
        };
        match selection {
            Ok(selection) => self.take(wanted, selection, asked_at, searches),
            Err(failure) => self.failed(&failure),
        }
    }

    /// Looks through the account.
    async fn search(&mut self, wanted: &Wanted) -> Result<Selection, Failure> {
        let mut selection = Selection::default();
        let asked = Asked::Prefix(wanted.config.name_prefix.clone());
        self.ask_for(&asked, wanted, &mut selection).await?;
        self.pages = self.requests;
        selection.complete();
        let known = selection.names();
        let others = wanted.configured.difference(&known).cloned().collect();
        if wanted.config.name_prefix.is_some() {
            self.ask_by_name(others, wanted, &mut selection).await?;
        }
        Ok(selection)
    }

    /// Looks at what is known to be there.
    async fn refresh(&mut self, wanted: &Wanted) -> Result<Selection, Failure> {
        let mut selection = Selection::default();
        let names = self.names.union(&wanted.configured).cloned().collect();
        self.ask_by_name(names, wanted, &mut selection).await?;
        Ok(selection)
    }

    async fn ask_by_name(
        &mut self,
        names: Vec<String>,
        wanted: &Wanted,
        selection: &mut Selection,
    ) -> Result<(), Failure> {
        for names in names.chunks(NAMES_MAX) {
            let asked = Asked::Names(names.to_vec());
            self.ask_for(&asked, wanted, selection).await?;
        }
        Ok(())
    }

    async fn ask_for(
        &mut self,
        asked: &Asked,
        wanted: &Wanted,
        selection: &mut Selection,
    ) -> Result<(), Failure> {
        let by_name = matches!(asked, Asked::Names(_));
        let mut token = None;
        loop {
            let answer = (self.ask)(asked.clone(), token).await;
            self.requests += 1;
            let outcome = answer.as_ref().err();
            if let Some(outcome) = outcome.map_or(Some("accepted"), Failure::outcome) {
                self.stats.mirror_requests.add(outcome, 1);
            }
            let page = answer?;
            selection.add(wanted, page.alarms, by_name);
            token = page.token;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, wanted: &Wanted, selection: Selection, asked_at: Timestamp, searched: bool) {
        if std::mem::take(&mut self.is_failing) {
            info!("CloudWatch answers about its alarms again");
        }
        if searched {
            self.searched_at = Some(asked_at);
        }
        self.stats.mirrored_at.store(asked_at.seconds(), Relaxed);
        self.tell_unreadable(&selection);
        let names = selection.names();
        let is_new = names != self.names;
        self.names = names;
        let mut requests: Vec<serde_json::Value> =
            selection.requests().into_iter().cloned().collect();
        requests.retain(|request| {
            let name = request["AlarmName"].as_str();
            name.is_none_or(|name| !wanted.configured.contains(name))
        });
        let (found, views) = selection.split(wanted, asked_at);
        if is_new || self.outputs.views.borrow().is_none() {
            self.announce(wanted, &views);
        }
        self.outputs.views.send_replace(Some(Arc::new(views)));
        self.tell_found(found, &requests);
    }

    /// Says what is mirrored, how often it is asked for, and what that costs.
    fn announce(&self, wanted: &Wanted, views: &Views) {
        let config = &wanted.config;
        let refreshes = views.alarms.len().div_ceil(NAMES_MAX);
        let rounds = (refreshes, config.interval);
        let cost = describe_alarms(rounds, (self.pages, config.search_interval));
        info!(
            alarms = views.alarms.len(),
            first = ?views.alarms.keys().take(NAMED_MAX).collect::<Vec<_>>(),
            every = %humantime::format_duration(config.interval),
            searched_every = %humantime::format_duration(config.search_interval),
            cost = %cost,
            "comparing with CloudWatch's alarms"
        );
    }

    /// An alarm that is about this host and cannot be read is told once.
    fn tell_unreadable(&mut self, selection: &Selection) {
        for (alarm, why) in &selection.unreadable {
            if !self.unreadable.contains(alarm) && self.unreadable.len() < NAMED_MAX {
                warn!(
                    alarm,
                    why, "an alarm of CloudWatch cannot be read here: it is not mirrored"
                );
            }
        }
        self.unreadable = selection.unreadable.keys().cloned().collect();
        if selection.left_out > 0 {
            let left_out = selection.left_out;
            warn!(
                left_out,
                "there are too many alarms: those that are last by name are not mirrored"
            );
        }
    }

    /// Hands on the alarms to be judged where they are others than before, and keeps them for the next start.
    fn tell_found(&self, found: Found, requests: &[serde_json::Value]) {
        let is_same = self.outputs.found.borrow().alarms == found.alarms;
        if is_same {
            return;
        }
        if let Some(dir) = &self.outputs.dir
            && let Err(error) = keep(dir, requests)
        {
            let file = dir.join(FILE);
            warn!(file = %file.display(), %error, "what is mirrored cannot be kept for the next start");
        }
        self.outputs.found.send_replace(Arc::new(found));
    }

    /// One line for each outage, however long it lasts.
    fn failed(&mut self, failure: &Failure) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let error = failure.message();
            warn!(
                error,
                "CloudWatch's alarms cannot be asked for; those that are known are judged all the same"
            );
        }
    }
}

/// Writes the requests beside the file and then in its place, so that it is never half written.
fn keep(dir: &Path, requests: &[serde_json::Value]) -> std::io::Result<()> {
    let text = serde_json::to_vec_pretty(requests)?;
    let new = dir.join(format!("{FILE}.new"));
    fs::write(&new, text)?;
    fs::rename(new, dir.join(FILE))
}

/// What was mirrored last, if anything was.
pub fn kept(dir: &Path) -> Found {
    let file = dir.join(FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::default(),
        Err(error) => {
            warn!(file = %file.display(), %error, "what was mirrored last cannot be read");
            return Found::default();
        }
    };
    let parsed = parse(&file.display().to_string(), &text);
    for problem in parsed.problems().take(NAMED_MAX) {
        warn!("{problem}");
    }
    Found {
        alarms: parsed.into_rules().0,
        states: Vec::new(),
    }
}

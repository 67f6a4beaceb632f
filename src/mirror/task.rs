//! Asking CloudWatch, at an interval.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::{Asked, Described, Failure, NAMES_MAX, Page};
use crate::clock;
use crate::cost::describe_alarms;
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::{Found, Selection, Views, Wanted};

/// What was mirrored last, in the state directory: it is judged after a start without CloudWatch too.
pub const FILE: &str = "mirror.json";

/// Alarms that are named one by one.
const NAMED_MAX: usize = 20;

/// A search that fails is put off for at most so many times twice as long.
const DOUBLED_MAX: u32 = 8;

/// An account with more pages than this does not come to an end.
const PAGES_MAX: usize = 1_000;

/// Hosts ask for the first time within this time after their start.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(10);

/// In seconds. A clock that was set back must not put off a search for longer.
const DAY: i64 = 86_400;

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
    /// When the whole account is to be looked through; `None`: now.
    next_search: Option<Timestamp>,
    failed_searches: u32,
    names: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    left_out: usize,
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
            next_search: None,
            failed_searches: 0,
            left_out: 0,
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
        // A fleet that starts at once must not ask at once.
        tokio::time::sleep(phase(FIRST_WAIT_MAX)).await;
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
                biased;
                changed = wanted.changed() => match changed {
                    Ok(()) => self.next_search = None,
                    Err(_) => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Nothing is mirrored any more.
    fn forget(&mut self) {
        self.next_search = None;
        self.names.clear();
        self.outputs.views.send_replace(None);
        self.tell_found(Found::default(), &[]);
    }

    /// Asks once, for everything or for what is known, and hands on what was said.
    pub async fn round(&mut self, wanted: &Wanted) {
        let asked_at = clock::now();
        self.requests = 0;
        let is_due = |at: Timestamp| asked_at >= at || at - asked_at > DAY;
        if self.next_search.is_none_or(is_due) {
            match self.search(wanted).await {
                Ok(selection) => {
                    self.failed_searches = 0;
                    self.next_search = Some(asked_at + seconds(wanted.config.search_interval));
                    return self.take(wanted, selection, asked_at);
                }
                Err(failure) => {
                    self.put_off(wanted, asked_at);
                    self.failed(&failure);
                }
            }
        }
        // What is known is looked at also while the account cannot be looked through.
        match self.refresh(wanted).await {
            Ok(selection) if self.requests > 0 => self.take(wanted, selection, asked_at),
            Ok(_) => {}
            Err(failure) => self.failed(&failure),
        }
    }

    /// The account is looked through again after longer and longer waits.
    fn put_off(&mut self, wanted: &Wanted, now: Timestamp) {
        let waits = wanted.config.interval * 2_u32.saturating_pow(self.failed_searches);
        self.failed_searches = (self.failed_searches + 1).min(DOUBLED_MAX);
        self.next_search = Some(now + seconds(waits.min(wanted.config.search_interval)));
    }

    /// Looks through the account.
    async fn search(&mut self, wanted: &Wanted) -> Result<Selection, Failure> {
        let mut selection = Selection::default();
        let asked = Asked::Prefix(wanted.config.name_prefix.clone());
        self.ask_for(&asked, wanted, &mut selection).await?;
        selection.complete();
        let known = selection.names();
        let others = wanted.configured.difference(&known).cloned().collect();
        if wanted.config.name_prefix.is_some() {
            self.ask_by_name(others, wanted, &mut selection).await?;
        }
        self.pages = self.requests;
        Ok(selection)
    }

    /// Looks at what is known to be there.
    async fn refresh(&mut self, wanted: &Wanted) -> Result<Selection, Failure> {
        let mut selection = Selection::default();
        self.requests = 0;
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
        for _ in 0..PAGES_MAX {
            let answer = (self.ask)(asked.clone(), token).await;
            self.requests += 1;
            let outcome = answer.as_ref().err();
            self.stats
                .asked(outcome.is_none(), clock::precise_now().milliseconds());
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
        let message = format!("CloudWatch answers with more than {PAGES_MAX} pages");
        Err(Failure::Rejected(message))
    }

    fn take(&mut self, wanted: &Wanted, selection: Selection, asked_at: Timestamp) {
        if std::mem::take(&mut self.is_failing) {
            info!("CloudWatch answers about its alarms again");
        }
        self.stats.mirrored_at.store(asked_at.seconds(), Relaxed);
        self.tell_unreadable(&selection);
        let names = selection.names();
        let is_new = names != self.names;
        self.names = names;
        let kept = selection.kept(wanted);
        let (found, views) = selection.split(wanted, asked_at);
        if is_new || self.outputs.views.borrow().is_none() {
            self.announce(wanted, &views);
        }
        self.outputs.views.send_replace(Some(Arc::new(views)));
        self.tell_found(found, &kept);
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
        let new = selection.unreadable.iter();
        let new: Vec<_> = new
            .filter(|(alarm, _)| !self.unreadable.contains(*alarm))
            .collect();
        for (alarm, why) in new.iter().take(NAMED_MAX) {
            warn!(
                alarm,
                why, "an alarm of CloudWatch cannot be read here: it is not mirrored"
            );
        }
        if new.len() > NAMED_MAX {
            let more = new.len() - NAMED_MAX;
            warn!(more, "more alarms of CloudWatch cannot be read here");
        }
        let count = selection.unreadable.len() as u64;
        self.stats.mirror_unreadable.store(count, Relaxed);
        self.unreadable = selection.unreadable.keys().cloned().collect();
        let left_out = selection.left_out;
        if left_out > std::mem::replace(&mut self.left_out, left_out) {
            warn!(
                left_out,
                "there are too many alarms: those that are last by name are not mirrored"
            );
        }
    }

    /// Hands on the alarms to be judged where they are others than before, and keeps them for the next start.
    fn tell_found(&self, found: Found, kept: &[Kept]) {
        let is_same = self.outputs.found.borrow().alarms == found.alarms;
        if is_same {
            return;
        }
        if let Some(dir) = &self.outputs.dir
            && let Err(error) = keep(dir, kept)
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

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// What is kept of an alarm of CloudWatch.
#[derive(Debug, Deserialize, Serialize)]
pub struct Kept {
    request: serde_json::Value,
    arn: String,
    state: String,
    /// In milliseconds since 1970.
    since: i64,
    reason: String,
}

impl Kept {
    pub(super) fn of(described: &Described) -> Self {
        Self {
            request: described.request.clone(),
            arn: described.arn.clone(),
            state: described.state.clone(),
            since: described.state_since,
            reason: described.reason.clone(),
        }
    }

    fn described(self) -> Option<(String, Described)> {
        let name = self.request.get("AlarmName")?.as_str()?.to_owned();
        let described = Described {
            request: self.request,
            arn: self.arn,
            state: self.state,
            state_since: self.since,
            reason: self.reason,
            reason_data: None,
            evaluation_state: None,
        };
        Some((name, described))
    }
}

/// Writes beside the file and then in its place, so that it is never half written.
fn keep(dir: &Path, kept: &[Kept]) -> std::io::Result<()> {
    let text = serde_json::to_vec_pretty(kept)?;
    let new = dir.join(format!("{FILE}.new"));
    fs::write(&new, text)?;
    fs::rename(new, dir.join(FILE))
}

/// What was mirrored last, if anything was.
pub fn kept(dir: &Path) -> Found {
    let file = dir.join(FILE);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::default(),
        Err(error) => {
            warn!(file = %file.display(), %error, "what was mirrored last cannot be read");
            return Found::default();
        }
    };
    match serde_json::from_slice::<Vec<Kept>>(&text) {
        Ok(kept) => Found::of(kept.into_iter().filter_map(Kept::described).collect()),
        Err(error) => {
            warn!(file = %file.display(), %error, "what was mirrored last cannot be read");
            Found::default()
        }
    }
}

//! Looks in, everything else out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::alarm::{
    Alarm, AlarmSnapshot, Events, MuteRule, Options, StateValue, Status, Transition,
};
use crate::config::Notify;
use crate::exposition::{Exposition, Snapshot};
use crate::host::{Facts, Look};
use crate::http::TestRequest;
use crate::keeper::{Forgotten, Handle, Step};
use crate::metric::{Datapoint, Reading, Timestamp};
use crate::mirror::{Comparison, Comparisons, News, Told, Views};
use crate::notify::Delivery;
use crate::pipeline::{Outcome, Pipeline};
use crate::sources::Sources;
use crate::stats::{RECORD, Stats};
use crate::store::DropReason;

use super::prepare::NAMED_MAX;
use super::restore::{begin, record, snapshot};
use super::systemd::{self, Watchdog};
use super::telling::{Teller, Telling};

/// Looks that are kept until it is known which metrics they belong to and what was before: more than finding that out may
/// take.
const WAITING_MAX: usize = 64;

/// A slot that is open when the metrics change is closed within so many seconds.
const BEFORE_KEPT: i64 = 310;

/// What had no room, for the metrics.
const QUEUE_FULL: &str = "queue_full";

/// From here on a pause between looks is worth a line in the log.
const PAUSE_MIN: i64 = 60;

/// What has to be known before a look can be judged.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) sources: Sources,
    /// Those of the files, and then those that are only in CloudWatch.
    pub(super) alarms: Vec<Alarm>,
    /// How many are of the files.
    pub(super) configured: usize,
    /// From where alarms of CloudWatch go on that are new here.
    pub(super) states: Vec<AlarmSnapshot>,
    pub(super) mute_rules: Vec<MuteRule>,
    /// Who is told.
    pub(super) targets: Arc<[Notify]>,
    pub(super) options: Options,
}

/// Where results go.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) keeper: Handle,
    /// Told when nothing more will come.
    pub(super) ended: watch::Sender<bool>,
    pub(super) shown: watch::Sender<Option<Arc<Exposition>>>,
    pub(super) telling: Telling,
    pub(super) stats: Arc<Stats>,
    pub(super) facts: Arc<Facts>,
}

impl Drive {
    /// Advances the pipeline by every look; the last slot is closed when there are no more.
    pub(super) async fn run(
        self,
        mut looks: mpsc::Receiver<Look>,
        mut prepared: oneshot::Receiver<Prepared>,
        mut reloaded: mpsc::Receiver<Prepared>,
        mut views: watch::Receiver<Option<Arc<Views>>>,
        mut tests: mpsc::Receiver<TestRequest>,
    ) {
        let mut waiting = VecDeque::new();
        let begun = {
            let begun = begin(&mut prepared, &self.keeper);
            tokio::pin!(begun);
            loop {
                tokio::select! {
                    begun = &mut begun => break begun,
                    look = looks.recv() => match look {
                        Some(look) => self.wait(look, &mut waiting),
                        None => return,
                    },
                }
            }
        };
        let first = match waiting.pop_front() {
            Some(look) => Some(look),
            None => looks.recv().await,
        };
        let (Some(begun), Some(first)) = (begun, first) else {
            return;
        };
        let mut judge = Judge {
            pipeline: begun.pipeline,
            statuses: Arc::new([]),
            newest: None,
            before: Vec::new(),
            watchdog: Watchdog::new(),
            held_back: Step::default(),
            teller: Teller::default(),
            sources: begun.sources,
            views: None,
            comparisons: Comparisons::default(),
            news: News::default(),
            drive: self,
        };
        judge.set_targets(begun.targets, begun.mute_rules.clone());
        if begun.restored {
            judge.catch_up(first.at);
        }
        judge.pipeline.set_alarms(begun.alarms, first.at);
        judge.pipeline.take_over(&begun.states, first.at);
        judge.pipeline.set_mute_rules(begun.mute_rules, first.at);
        judge.statuses = judge.pipeline.statuses().into();
        judge.step(first);
        systemd::ready();
        for look in waiting {
            judge.step(look);
        }
        loop {
            tokio::select! {
                look = looks.recv() => match look {
                    Some(look) => judge.step(look),
                    None => break,
                },
                Some(prepared) = reloaded.recv() => judge.replace(prepared),
                Some(test) = tests.recv() => judge.test(test),
                Ok(()) = views.changed() => judge.look_at(views.borrow_and_update().clone()),
            }
        }
        judge.end().await;
    }

    /// Shows a look before its metrics have their names.
    fn wait(&self, look: Look, waiting: &mut VecDeque<Look>) {
        self.show(look.clone(), None, Arc::default());
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(look);
    }

    fn show(
        &self,
        look: Look,
        statuses: Option<Arc<[Arc<Status>]>>,
        cloudwatch: Arc<BTreeMap<String, Comparison>>,
    ) {
        let snapshot = Snapshot {
            look,
            facts: Arc::clone(&self.facts),
            statuses,
            cloudwatch,
        };
        self.shown.send_replace(Some(Arc::new(Exposition::new(
            snapshot,
            Arc::clone(&self.stats),
        ))));
    }
}

/// The pipeline with what surrounds it.
pub(super) struct Judge {
    pub(super) drive: Drive,
    pub(super) pipeline: Pipeline,
    sources: Sources,
    pub(super) statuses: Arc<[Arc<Status>]>,
    newest: Option<Timestamp>,
    /// Which metrics there were before, until when something may be open of them.
    before: Vec<(Timestamp, Sources)>,
    /// What CloudWatch said of its alarms when it was asked last, and how that compares.
    views: Option<Arc<Views>>,
    pub(super) comparisons: Comparisons,
    news: News,
    watchdog: Watchdog,
    /// What the keeper had no room for, to be given with the next step.
    held_back: Step,
    pub(super) teller: Teller,
}

impl Judge {
    fn step(&mut self, look: Look) {
        self.watchdog.look();
        self.before.retain(|(until, _)| look.at < *until);
        self.tell_pause(look.at);
        let outcome = self.pipeline.advance(&self.sources.reading(&look));
        self.carry_out(outcome, look.at);
        let cloudwatch = Arc::clone(&self.comparisons.by_name);
        self.drive
            .show(look, Some(Arc::clone(&self.statuses)), cloudwatch);
    }

    /// Judges the time in which the program was not there, up to `now`.
    fn catch_up(&mut self, now: Timestamp) {
        let outcome = self.pipeline.advance(&Reading {
            at: now,
            samples: vec![],
        });
        self.carry_out(outcome, now);
    }

    fn carry_out(&mut self, outcome: Outcome, at: Timestamp) {
        let Outcome {
            datapoints,
            events,
            dropped,
            clock_set_back,
            evaluated,
        } = outcome;
        if let Some(seconds) = clock_set_back {
            let until = at + seconds;
            warn!(
                seconds,
                %until,
                "the clock was set back; samples are dropped until it stands where it stood"
            );
            // What is known of CloudWatch is ahead of the clock.
            self.views = None;
            self.comparisons = Comparisons::default();
        }
        for reason in dropped {
            self.drive.stats.dropped.add(label(reason), 1);
        }
        for transition in &events.transitions {
            log(transition);
        }
        let is_new = evaluated > 0 || events != Events::default();
        if is_new {
            let statuses: Arc<[Arc<Status>]> = self.pipeline.statuses().into();
            tell_mirroring(&self.statuses, &statuses);
            self.statuses = statuses;
            self.compare();
        }
        if is_new || !datapoints.is_empty() {
            let deliveries = self.tell(&events, at);
            self.keep(datapoints, &events, deliveries, is_new);
        }
    }

    /// Goes on with another configuration; alarms that did not change keep their state.
    fn replace(&mut self, prepared: Prepared) {
        let now = self.newest.unwrap_or_default();
        // What is open under the names before is closed, and published, under them.
        let before = std::mem::replace(&mut self.sources, prepared.sources);
        self.before.push((now + BEFORE_KEPT, before));
        let statuses = Arc::clone(&self.statuses);
        let known: BTreeSet<&str> = statuses.iter().map(|status| &*status.alarm.name).collect();
        self.set_targets(prepared.targets, prepared.mute_rules.clone());
        let transitions = self.pipeline.set_alarms(prepared.alarms, now);
        let mut new = prepared.states;
        new.retain(|state| !known.contains(&*state.name));
        self.pipeline.take_over(&new, now);
        self.pipeline.set_mute_rules(prepared.mute_rules, now);
        self.statuses = self.pipeline.statuses().into();
        tell_not_mirrored(&known, &self.statuses);
        self.compare();
        transitions.iter().for_each(log);
        let events = Events {
            transitions,
            ..Events::default()
        };
        let deliveries = self.tell(&events, now);
        self.keep(Vec::new(), &events, deliveries, true);
    }

    /// Takes up what CloudWatch says.
    fn look_at(&mut self, views: Option<Arc<Views>>) {
        self.views = views;
        self.compare();
        for (alarm, told) in self.news.of(&self.comparisons.by_name) {
            match told {
                Told::Disagrees(cloudwatch, why) => {
                    let why = why.to_string();
                    info!(alarm, %cloudwatch, why, "CloudWatch has the alarm in another state");
                }
                Told::AgreesAgain(cloudwatch) => {
                    info!(alarm, %cloudwatch, "CloudWatch has the alarm in the same state again");
                }
            }
        }
    }

    fn compare(&mut self) {
        let Some(views) = &self.views else {
            self.comparisons = Comparisons::default();
            return self.tell_cloudwatch();
        };
        let waiting_since = match self.drive.stats.outbox_oldest.load(Relaxed) {
            0 => None,
            oldest => Some(Timestamp::from_seconds(oldest)),
        };
        self.comparisons
            .update(&self.statuses, views, waiting_since);
        self.tell_cloudwatch();
    }

    fn tell_pause(&mut self, at: Timestamp) {
        let pause = self.newest.map_or(0, |newest| at - newest);
        if pause >= PAUSE_MIN {
            warn!(
                seconds = pause,
                "the clock was set forward or the host was suspended; that time counts as missing data"
            );
        }
        self.newest = Some(at);
    }

    /// Keeps what a step brought, with how everything stands after it.
    pub(super) fn keep(
        &mut self,
        datapoints: Vec<Datapoint>,
        events: &Events,
        deliveries: Vec<Delivery>,
        judged: bool,
    ) {
        let mut step = self.record(datapoints, events, judged);
        let text = |it: &Delivery| (it.key.clone(), Some(it.text()));
        step.deliveries = deliveries.iter().map(text).collect();
        step.log_events = std::mem::take(&mut self.teller.log_events);
        self.teller.unsent.extend(deliveries);
        let forgotten = self.held_back.merge(step);
        self.count(forgotten);
        if let Err(step) = self
            .drive
            .keeper
            .append(std::mem::take(&mut self.held_back))
        {
            self.held_back = *step;
        } else {
            self.send();
        }
    }

    fn count(&self, forgotten: Forgotten) {
        let Forgotten {
            unpublished,
            transitions,
            log_events,
        } = forgotten;
        let stats = &self.drive.stats;
        stats.dropped.add(QUEUE_FULL, unpublished);
        stats.logs.dropped(RECORD, QUEUE_FULL, log_events);
        if forgotten != Forgotten::default() {
            warn!(
                datapoints = unpublished,
                transitions, log_events, "dropped, because the journal's disk takes too long"
            );
        }
    }

    /// The alarms are written anew only when something may have changed in them.
    fn record(&self, datapoints: Vec<Datapoint>, events: &Events, judged: bool) -> Step {
        let before = self.before.iter().map(|(_, sources)| sources);
        let all: Vec<&Sources> = before.chain([&self.sources]).collect();
        let is_published = |of: &Datapoint| all.iter().any(|sources| sources.is_published(of));
        let mark = |datapoint| (is_published(&datapoint), datapoint);
        let datapoints = datapoints.into_iter().map(mark);
        Step {
            log_events: Vec::new(),
            datapoints: datapoints
                .map(|(publish, datapoint)| (datapoint, publish))
                .collect(),
            transitions: events.transitions.iter().map(record).collect(),
            deliveries: Vec::new(),
            snapshot: snapshot(&self.pipeline, judged),
            forgotten_until: None,
        }
    }

    /// Closes what is open as it is: nothing more will come.
    async fn end(mut self) {
        let open = self.pipeline.finish();
        let last = self.record(open, &Events::default(), true);
        let forgotten = self.held_back.merge(last);
        self.count(forgotten);
        self.drive.keeper.append_last(self.held_back).await;
        self.drive.ended.send_replace(true);
    }
}

fn log(
    Transition {
        alarm,
        at,
        from,
        to,
        reason,
        certainty,
        ..
    }: &Transition,
) {
    let (alarm, certainty, reason) = (&alarm.name, certainty.name(), &**reason);
    match to {
        StateValue::Alarm => {
            warn!(alarm, %from, %to, %at, certainty, reason, "alarm changed state");
        }
        _ => info!(alarm, %from, %to, %at, certainty, reason, "alarm changed state"),
    }
}

/// Alarms that are new and are not judged.
fn tell_not_mirrored(known: &BTreeSet<&str>, now: &[Arc<Status>]) {
    let new = now
        .iter()
        .filter(|status| !known.contains(&*status.alarm.name));
    let not_mirrored = new.filter_map(|status| {
        let reason = status.not_mirrored.as_ref()?;
        Some((&status.alarm.name, reason))
    });
    for (alarm, reason) in not_mirrored.take(NAMED_MAX) {
        warn!(alarm, reason, "alarm is not mirrored");
    }
}

/// Alarms that came to be judged, or to be judged no longer. The lists hold the same alarms in the same order.
fn tell_mirroring(before: &[Arc<Status>], now: &[Arc<Status>]) {
    for (before, now) in before.iter().zip(now) {
        let alarm = &now.alarm.name;
        match (&before.not_mirrored, &now.not_mirrored) {
            (None, Some(reason)) => warn!(alarm, reason, "alarm is no longer mirrored"),
            (Some(_), None) => info!(alarm, "alarm is mirrored"),
            _ => {}
        }
    }
}

fn label(reason: DropReason) -> &'static str {
    match reason {
        DropReason::ClockSteppedBack => "clock_stepped_back",
        DropReason::ValueOutOfRange => "value_out_of_range",
        DropReason::TimeOutOfRange => "time_out_of_range",
    }
}

//! State changes on their way to those who are told: what is told, and the channels to the notifier.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::alarm::{
    ActionRun, Certainty, Events, Occasion as Action, Rule, StateChange, StateSnapshot, StateValue,
    Status, Transition,
};
use crate::clock;
use crate::config::Notify;
use crate::definition::{Told, event, uuid};
use crate::http::{self, TestRequest};
use crate::keeper::Handle;
use crate::metric::Timestamp;
use crate::notify::{
    CloudWatch, DELIVERIES_MAX, Delivery, Inputs, News, Notice, Notifier, Occasion, Sender,
    deliveries, untold,
};
use crate::stats::Stats;

use super::Plan;
use super::drive::Judge;
use super::prepare::Here;

/// What waits to be heard by the notifier. It hears quickly, unless the journal's disk does not answer.
const NEWS_MAX: usize = 64;

/// Where it goes what others are told.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    news: mpsc::Sender<News>,
    targets: watch::Sender<Arc<[Notify]>>,
    cloudwatch: watch::Sender<CloudWatch>,
    pub(super) events: http::Events,
    /// Where this host's alarms are shown.
    page: String,
}

/// Where everything goes that is to be told, and what tells it until nothing more comes.
pub(super) fn wires(
    plan: &Plan,
    here: &watch::Receiver<Option<Arc<Here>>>,
    keeper: &Handle,
    stats: &Arc<Stats>,
) -> (Telling, impl Future<Output = ()> + use<>) {
    let (news, news_in) = mpsc::channel(NEWS_MAX);
    let (targets, targets_in) = watch::channel(plan.config.notify.clone().into());
    let (cloudwatch, cloudwatch_in) = watch::channel(CloudWatch::default());
    let telling = Telling {
        news,
        targets,
        cloudwatch,
        events: http::Events::default(),
        page: format!("http://{}", plan.config.listen),
    };
    let inputs = Inputs {
        targets: targets_in,
        cloudwatch: cloudwatch_in,
    };
    let endpoint_url = plan.config.publish.endpoint_url.clone();
    let (variable, mut here) = (plan.variable, here.clone());
    let (keeper, stats) = (keeper.clone(), Arc::clone(stats));
    let notify = async move {
        let region = |here: &Here| Some(here.region().ok()?.to_owned());
        let known = here.wait_for(Option::is_some).await;
        let region = known.ok().and_then(|here| region(here.as_ref()?));
        let sender = Arc::new(Sender::new(region, endpoint_url, variable));
        let send = move |target, delivery| Arc::clone(&sender).send(target, delivery);
        Notifier::new(keeper, inputs, send, stats)
            .run(news_in)
            .await;
    };
    (telling, notify)
}

/// How many composite alarms may lie above each other.
const CHILDREN_DEPTH_MAX: usize = 16;

/// How certain a state is by now. A composite alarm is judged when a child changes, and no more certain than they are.
fn certainty_now(status: &Status, by_name: &HashMap<&str, &Status>, depth: usize) -> Certainty {
    let Rule::Composite(composite) = &status.alarm.rule else {
        let evaluation = status.evaluation.as_ref();
        return evaluation.map_or(Certainty::HistoryIncomplete, |it| it.certainty.clone());
    };
    let children = composite.rule.children();
    let certainty = children.into_iter().map(|child| {
        let child = by_name.get(child.name()).filter(|_| depth > 0);
        child.map_or(Certainty::Undetermined, |child| {
            certainty_now(child, by_name, depth - 1)
        })
    });
    certainty.fold(Certainty::Determined, |all, one| all.and(&one))
}

/// What is on its way to the notifier.
#[derive(Debug, Default)]
pub(super) struct Teller {
    targets: Arc<[Notify]>,
    /// How certain the verdict was by which each alarm entered its state.
    certainties: HashMap<String, Certainty>,
    /// Who was not told of an alarm's state, because the verdict was not certain enough for them.
    untold: BTreeMap<String, Vec<String>>,
    pub(super) unsent: Vec<Delivery>,
}

impl Judge {
    pub(super) fn set_targets(&mut self, targets: Arc<[Notify]>) {
        let stats = &self.drive.stats;
        stats
            .notifications
            .begin(targets.iter().map(|it| &*it.name));
        self.drive
            .telling
            .targets
            .send_replace(Arc::clone(&targets));
        self.teller.targets = targets;
    }

    /// What others are to be told of what the alarms did by `now`.
    pub(super) fn tell(&mut self, events: &Events, now: Timestamp) -> Vec<Delivery> {
        for transition in &events.transitions {
            let (name, certainty) = (&transition.alarm.name, &transition.certainty);
            let certainties = &mut self.teller.certainties;
            certainties.insert(name.clone(), certainty.clone());
            self.teller.untold.remove(name);
        }
        if *events == Events::default() && self.teller.untold.is_empty() {
            return Vec::new();
        }
        let statuses = Arc::clone(&self.statuses);
        let by_name: HashMap<&str, &Status> =
            statuses.iter().map(|it| (&*it.alarm.name, &**it)).collect();
        let mut all = self.late(&by_name, now);
        let mut runs: BTreeMap<&str, Vec<&ActionRun>> = BTreeMap::new();
        for run in events
            .actions
            .iter()
            .filter(|it| it.occasion != Action::Repeat)
        {
            runs.entry(&run.alarm.name).or_default().push(run);
        }
        for transition in &events.transitions {
            let Transition { alarm, at, to, .. } = transition;
            let Some(status) = by_name.get(&*alarm.name) else {
                continue;
            };
            let is_its = |it: &StateChange<'_>| it.at == *at && it.new.state == *to;
            let Some(change) = status.changes().find(is_its) else {
                continue;
            };
            self.show_event(status, change);
            all.append(&mut self.told(status, change, Occasion::Transition, false, now));
            let runs = runs.get_mut(&*alarm.name);
            let ran = runs.and_then(|runs| {
                let place = runs.iter().position(|it| it.state == *to && it.at == *at)?;
                Some(runs.remove(place))
            });
            let occasion = match ran {
                Some(_) => Occasion::Action,
                None => Occasion::Withheld,
            };
            all.append(&mut self.told(status, change, occasion, false, now));
        }
        // What was withheld until now.
        for run in runs.into_values().flatten() {
            let Some(status) = by_name.get(&*run.alarm.name) else {
                continue;
            };
            let is_its = |it: &StateChange<'_>| it.new.state == run.state && it.at <= run.at;
            if let Some(change) = status.changes().find(is_its) {
                let after_mute = run.occasion == Action::MuteWindowEnd;
                all.append(&mut self.told(status, change, Occasion::Action, after_mute, now));
            }
        }
        all
    }

    fn told(
        &mut self,
        status: &Status,
        change: StateChange<'_>,
        occasion: Occasion,
        after_mute_window: bool,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let name = &status.alarm.name;
        let certainty = match (status.suppressor_unknown, self.teller.certainties.get(name)) {
            // CloudWatch may withhold what is told here.
            (true, _) => Certainty::Undetermined,
            (false, known) => known.cloned().unwrap_or(Certainty::HistoryIncomplete),
        };
        let page = format!("{}/api/v1/alarms/{name}", self.drive.telling.page);
        let notice = Notice {
            told: Told {
                status,
                change,
                after_mute_window,
            },
            occasion,
            certainty: &certainty,
            host: &self.drive.facts.hostname,
            page: &page,
            made: now,
        };
        let untold = untold(notice, &self.teller.targets);
        if !untold.is_empty() {
            self.teller.untold.insert(name.clone(), untold);
        }
        deliveries(notice, &self.teller.targets)
    }

    /// What is certain enough by now for those who were not told of it before.
    fn late(&mut self, by_name: &HashMap<&str, &Status>, now: Timestamp) -> Vec<Delivery> {
        let mut all = Vec::new();
        for (alarm, names) in std::mem::take(&mut self.teller.untold) {
            let Some(status) = by_name.get(&*alarm) else {
                continue;
            };
            let Some(change) = status.changes().next() else {
                continue;
            };
            let certainty = certainty_now(status, by_name, CHILDREN_DEPTH_MAX);
            self.teller.certainties.insert(alarm, certainty);
            let is_withheld = status.muted_until.is_some() || status.suppressed_by.is_some();
            if is_withheld || change.new.state != status.state {
                continue;
            }
            let told = self.told(status, change, Occasion::Action, false, now);
            let is_late = |it: &Delivery| !it.is_silent && names.contains(&it.target);
            all.extend(told.into_iter().filter(is_late));
        }
        all
    }

    /// To those who follow the events.
    fn show_event(&self, status: &Status, change: StateChange<'_>) {
        let told = Told {
            status,
            change,
            after_mute_window: false,
        };
        let (arn, at) = (&status.arn, change.at.milliseconds());
        let id = uuid(&format!("{arn}\n{at}\n{}", change.new.state));
        let event = event(told, &id, env!("CARGO_PKG_NAME"));
        self.drive.telling.events.add(id, event.whole);
    }

    /// Hands on what the keeper has.
    pub(super) fn send(&mut self) {
        let unsent = &mut self.teller.unsent;
        let surplus = unsent.len().saturating_sub(DELIVERIES_MAX);
        for lost in unsent.drain(..surplus) {
            let notifications = &self.drive.stats.notifications;
            notifications.dropped(&lost.target, "queue_full");
        }
        if unsent.is_empty() {
            return;
        }
        if let Ok(room) = self.drive.telling.news.try_reserve() {
            room.send(News::Deliveries(std::mem::take(unsent)));
        }
    }

    /// Tells the notifier in which state CloudWatch has each alarm.
    pub(super) fn tell_cloudwatch(&self) {
        let by_name = self.comparisons.by_name.iter();
        let states = by_name.map(|(name, comparison)| (name.clone(), comparison.state));
        let states = Arc::new(states.collect());
        self.drive.telling.cloudwatch.send_replace(states);
    }

    /// Somebody wants to see whether notifications of an alarm arrive.
    pub(super) fn test(&mut self, TestRequest { alarm, answer }: TestRequest) {
        let statuses = Arc::clone(&self.statuses);
        let Some(status) = statuses.iter().find(|it| it.alarm.name == alarm) else {
            // Whoever asked may have left.
            let _ = answer.send(Err(format!("there is no alarm `{alarm}`")));
            return;
        };
        let now = clock::now();
        let state = |state, reason: &str| StateSnapshot {
            state,
            reason: reason.into(),
            reason_data: None,
        };
        let reason = format!(
            "This is a test of notifications by cwbridge; the alarm is in {}",
            status.state
        );
        let (old, new) = (
            state(status.state, &status.reason),
            state(StateValue::Alarm, &reason),
        );
        let change = StateChange {
            at: now,
            old: &old,
            old_since: status.transitioned_at,
            new: &new,
        };
        let test = self.told(status, change, Occasion::Test, false, now);
        if test.is_empty() {
            let problem = format!("nobody is told of `{alarm}`: no `[[notify]]` is meant for it");
            let _ = answer.send(Err(problem));
            return;
        }
        let (tested, heard) = tokio::sync::oneshot::channel();
        let Ok(room) = self.drive.telling.news.clone().try_reserve_owned() else {
            let _ = answer.send(Err("the journal does not answer".to_owned()));
            return;
        };
        self.keep(Vec::new(), &Events::default(), Vec::new(), false);
        room.send(News::Test(test, tested));
        tokio::spawn(async move {
            let tested = heard.await;
            let _ = answer.send(tested.map_err(|_| "the program is about to end".to_owned()));
        });
    }
}

//! State changes on their way to those who are told: what is told, and the channels to the notifier.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::alarm::{
    ActionRun, Certainty, Events, MuteRule, Occasion as Action, Rule, StateChange, StateSnapshot,
    StateValue, Status, Transition,
};
use crate::clock;
use crate::config::Notify;
use crate::definition::{Own, Told, event, uuid};
use crate::http::{self, TestRequest};
use crate::keeper::Handle;
use crate::logs::Change;
use crate::metric::Timestamp;
use crate::notify::{
    CloudWatch, DELIVERIES_MAX, Delivery, Inputs, News, Notice, Notifier, Occasion, Seen, Sender,
    certainty_name, deliveries, untold,
};
use crate::stats::Stats;
use crate::web::in_path;

use super::Plan;
use super::drive::Judge;
use super::prepare::Here;

/// What waits to be heard by the notifier. It hears quickly, unless the journal's disk does not answer.
const NEWS_MAX: usize = 64;

/// Why somebody was not told, for the metrics.
const UNCERTAIN: &str = "uncertain";

/// Where it goes what others are told.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    news: mpsc::Sender<News>,
    targets: watch::Sender<Arc<[Notify]>>,
    cloudwatch: watch::Sender<CloudWatch>,
    statuses: watch::Sender<Option<Arc<[Arc<Status>]>>>,
    pub(super) events: http::Events,
    planned: watch::Receiver<Plan>,
    /// Where this host's alarms are shown.
    page: String,
}

/// Where everything goes that is to be told, and what tells it until nothing more comes.
pub(super) fn wires(
    plan: &Plan,
    planned: watch::Receiver<Plan>,
    here: &watch::Receiver<Option<Arc<Here>>>,
    keeper: &Handle,
    stats: &Arc<Stats>,
) -> (Telling, impl Future<Output = ()> + use<>) {
    let (news, news_in) = mpsc::channel(NEWS_MAX);
    let (targets, targets_in) = watch::channel(plan.config.notify.clone().into());
    let (cloudwatch, cloudwatch_in) = watch::channel(CloudWatch::default());
    let (statuses, statuses_in) = watch::channel(None);
    let telling = Telling {
        news,
        targets,
        cloudwatch,
        statuses,
        events: http::Events::default(),
        planned,
        page: page(plan),
    };
    let inputs = Inputs {
        targets: targets_in,
        cloudwatch: cloudwatch_in,
        statuses: statuses_in,
    };
    let (variable, mut here) = (plan.variable, here.clone());
    let (keeper, stats) = (keeper.clone(), Arc::clone(stats));
    let notify = async move {
        let region = |here: &Here| Some(here.region().ok()?.to_owned());
        let known = here.wait_for(Option::is_some).await;
        let region = known.ok().and_then(|here| region(here.as_ref()?));
        let sender = Arc::new(Sender::new(region, variable));
        let send = move |target, delivery| Arc::clone(&sender).send(target, delivery);
        Notifier::new(keeper, inputs, send, stats)
            .run(news_in)
            .await;
    };
    (telling, notify)
}

/// Where others find this host's alarms.
fn page(plan: &Plan) -> String {
    let listen = plan.config.listen;
    match listen.ip().is_unspecified() {
        true => format!("http://{}:{}", plan.facts().hostname, listen.port()),
        false => format!("http://{listen}"),
    }
}

/// How certain states are by now. A composite alarm is judged when a child changes, and no more certain than they are.
#[derive(Debug)]
struct Certainties<'a> {
    by_name: &'a HashMap<&'a str, &'a Status>,
    /// `None` while it is found out, for an alarm that follows itself.
    known: HashMap<&'a str, Option<Certainty>>,
}

impl<'a> Certainties<'a> {
    fn of(&mut self, status: &'a Status) -> Certainty {
        let name = &*status.alarm.name;
        if let Some(known) = self.known.get(name) {
            return known.clone().unwrap_or(Certainty::Undetermined);
        }
        let certainty = match &status.alarm.rule {
            Rule::Composite(composite) => {
                self.known.insert(name, None);
                let children = composite.rule.children().into_iter();
                let mut all = Certainty::Determined;
                for child in children.map(|child| self.by_name.get(child.name()).copied()) {
                    let child = child.map_or(Certainty::Undetermined, |child| self.of(child));
                    all = all.and(&child);
                }
                all
            }
            _ => {
                let evaluation = status.evaluation.as_ref();
                evaluation.map_or(Certainty::HistoryIncomplete, |it| it.certainty.clone())
            }
        };
        self.known.insert(name, Some(certainty.clone()));
        certainty
    }
}

/// What is on its way to the notifier.
#[derive(Debug, Default)]
pub(super) struct Teller {
    targets: Arc<[Notify]>,
    mute_rules: Vec<MuteRule>,
    /// How certain the verdict was by which each alarm entered its state.
    certainties: HashMap<String, Certainty>,
    /// Who was not told of an alarm's state, because the verdict was not certain enough for them.
    untold: BTreeMap<String, Vec<String>>,
    pub(super) unsent: Vec<Delivery>,
    /// What is to be written to CloudWatch Logs.
    pub(super) log_events: Vec<(Timestamp, String)>,
}

/// What somebody is told of.
enum Happened<'a> {
    Changed(&'a Transition, bool),
    /// What was withheld until now.
    Released(&'a ActionRun),
}

impl Judge {
    pub(super) fn set_targets(&mut self, targets: Arc<[Notify]>, mute_rules: Vec<MuteRule>) {
        let notifications = &self.drive.stats.notifications;
        notifications.begin(targets.iter().map(|it| &*it.name));
        let told = &self.drive.telling.targets;
        told.send_replace(Arc::clone(&targets));
        (self.teller.targets, self.teller.mute_rules) = (targets, mute_rules);
    }

    /// What others are to be told of what the alarms did by `now`, in the order in which it happened.
    pub(super) fn tell(&mut self, events: &Events, now: Timestamp) -> Vec<Delivery> {
        let statuses = Arc::clone(&self.statuses);
        let shown = &self.drive.telling.statuses;
        shown.send_replace(Some(Arc::clone(&statuses)));
        for transition in &events.transitions {
            self.teller.untold.remove(&transition.alarm.name);
        }
        if *events == Events::default() && self.teller.untold.is_empty() {
            return Vec::new();
        }
        let by_name: HashMap<&str, &Status> =
            statuses.iter().map(|it| (&*it.alarm.name, &**it)).collect();
        let mut all = self.late(&by_name, now);
        for happened in in_order(events) {
            match happened {
                Happened::Changed(transition, runs) => {
                    let Some(status) = by_name.get(&*transition.alarm.name) else {
                        continue;
                    };
                    all.append(&mut self.changed(status, transition, runs));
                }
                Happened::Released(run) => {
                    let Some(status) = by_name.get(&*run.alarm.name) else {
                        continue;
                    };
                    all.append(&mut self.released(status, run));
                }
            }
        }
        all
    }

    fn changed(&mut self, status: &Status, transition: &Transition, runs: bool) -> Vec<Delivery> {
        let Transition {
            alarm,
            at,
            to,
            certainty,
            ..
        } = transition;
        let certainties = &mut self.teller.certainties;
        certainties.insert(alarm.name.clone(), certainty.clone());
        let is_its = |it: &StateChange<'_>| it.at == *at && it.new.state == *to;
        let Some(change) = status.changes().find(is_its) else {
            return Vec::new();
        };
        self.show_event(status, change, certainty);
        let told = (status, change, false);
        let mut all = self.told(told, Occasion::Transition, certainty, *at);
        let occasion = match runs {
            true => Occasion::Action,
            false => Occasion::Withheld,
        };
        all.append(&mut self.told(told, occasion, certainty, *at));
        all
    }

    fn released(&mut self, status: &Status, run: &ActionRun) -> Vec<Delivery> {
        let is_its = |it: &StateChange<'_>| it.new.state == run.state && it.at <= run.at;
        let Some(change) = status.changes().find(is_its) else {
            return Vec::new();
        };
        let known = self.teller.certainties.get(&run.alarm.name).cloned();
        let certainty = known.unwrap_or(Certainty::HistoryIncomplete);
        let told = (status, change, run.occasion == Action::MuteWindowEnd);
        self.told(told, Occasion::Action, &certainty, run.at)
    }

    fn told(
        &mut self,
        (status, change, after_mute_window): (&Status, StateChange<'_>, bool),
        occasion: Occasion,
        certainty: &Certainty,
        made: Timestamp,
    ) -> Vec<Delivery> {
        let name = &status.alarm.name;
        // CloudWatch may withhold what is told here.
        let undetermined = &Certainty::Undetermined;
        let certainty = if status.suppressor_unknown {
            undetermined
        } else {
            certainty
        };
        let page = format!(
            "{}/api/v1/alarms/{}",
            self.drive.telling.page,
            in_path(name)
        );
        let notice = Notice {
            told: Told {
                status,
                change,
                after_mute_window,
                muted_by: muted_by(&self.teller.mute_rules, name, change.at),
            },
            occasion,
            certainty,
            host: &self.drive.facts.hostname,
            page: &page,
            made,
        };
        let untold = untold(notice, &self.teller.targets);
        if !untold.is_empty() {
            for target in &untold {
                let notifications = &self.drive.stats.notifications;
                notifications.withheld(target, UNCERTAIN);
            }
            self.teller.untold.insert(name.clone(), untold);
        }
        deliveries(notice, &self.teller.targets)
    }

    /// What is certain enough by now for those who were not told of it before.
    fn late(&mut self, by_name: &HashMap<&str, &Status>, now: Timestamp) -> Vec<Delivery> {
        let mut all = Vec::new();
        let mut certainties = Certainties {
            by_name,
            known: HashMap::new(),
        };
        for (alarm, names) in std::mem::take(&mut self.teller.untold) {
            let Some(status) = by_name.get(&*alarm).copied() else {
                continue;
            };
            let Some(change) = status.changes().next() else {
                continue;
            };
            let is_withheld = status.muted_until.is_some() || status.suppressed_by.is_some();
            let certainty = certainties.of(status);
            let known = self.teller.certainties.get(&alarm);
            if is_withheld || known == Some(&certainty) {
                self.teller.untold.insert(alarm, names);
                continue;
            }
            self.teller
                .certainties
                .insert(alarm.clone(), certainty.clone());
            let told = self.told((status, change, false), Occasion::Action, &certainty, now);
            let is_late = |it: &Delivery| !it.is_silent && names.contains(&it.target);
            all.extend(told.into_iter().filter(is_late));
            // Whoever was told before is not told again.
            if let Some(still) = self.teller.untold.get_mut(&alarm) {
                still.retain(|name| names.contains(name));
            }
        }
        self.teller.untold.retain(|_, names| !names.is_empty());
        all
    }

    /// To those who follow the events, and to CloudWatch Logs.
    fn show_event(&mut self, status: &Status, change: StateChange<'_>, certainty: &Certainty) {
        let told = Told {
            status,
            change,
            after_mute_window: false,
            muted_by: muted_by(&self.teller.mute_rules, &status.alarm.name, change.at),
        };
        let (arn, at) = (&status.arn, change.at.milliseconds());
        let id = uuid(&format!("{arn}\n{at}\n{}", change.new.state));
        let own = Own {
            id: &id,
            host: &self.drive.facts.hostname,
            certainty: certainty_name(certainty),
            test: false,
        };
        let event = event(told, own, env!("CARGO_PKG_NAME"));
        self.record_change(status, change, certainty, &event.whole);
        self.drive.telling.events.add(id, event.whole);
    }

    /// Notes a change for CloudWatch Logs, where that is configured.
    fn record_change(
        &mut self,
        status: &Status,
        change: StateChange<'_>,
        certainty: &Certainty,
        event: &str,
    ) {
        let planned = self.drive.telling.planned.borrow();
        let record = planned.config.logs.record.as_ref();
        let Some(record) = record.filter(|record| record.transitions) else {
            return;
        };
        let line = Change {
            alarm: &status.alarm.name,
            from: change.old.state.name(),
            to: change.new.state.name(),
            reason: &change.new.reason,
            certainty: certainty_name(certainty),
            host: &self.drive.facts.hostname,
            at: change.at,
            event,
            namespace: &planned.config.publish.namespace,
        };
        let line = line.write(record.format);
        self.teller.log_events.push((change.at, line));
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
        let states = by_name.map(|(name, comparison)| {
            let (state, since) = (comparison.state, comparison.since);
            (name.clone(), Seen { state, since })
        });
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
        let now = clock::precise_now();
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
        let told = (&**status, change, false);
        let test = self.told(told, Occasion::Test, &Certainty::Determined, now);
        if test.is_empty() {
            let problem = format!("nobody is told of `{alarm}`: no `[[notify]]` is meant for it");
            let _ = answer.send(Err(problem));
            return;
        }
        let (tested, heard) = oneshot::channel();
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

/// The mute rule that withholds an alarm's actions at an instant, and its window.
fn muted_by<'a>(
    rules: &'a [MuteRule],
    alarm: &str,
    at: Timestamp,
) -> Option<(&'a MuteRule, crate::alarm::Window)> {
    let targets = |rule: &&MuteRule| rule.targets.iter().any(|name| name == alarm);
    let muting = rules.iter().filter(targets);
    let mut muting = muting.filter_map(|rule| Some((rule, rule.window_at(at)?)));
    muting.next()
}

/// Transitions with whether their actions were run, and actions that were withheld before, as they happened.
fn in_order(events: &Events) -> Vec<Happened<'_>> {
    let mut runs: HashMap<&str, Vec<&ActionRun>> = HashMap::new();
    let is_told = |run: &&ActionRun| run.occasion != Action::Repeat;
    for run in events.actions.iter().filter(is_told) {
        runs.entry(&run.alarm.name).or_default().push(run);
    }
    let mut happened = Vec::new();
    for transition in &events.transitions {
        let Transition { alarm, at, to, .. } = transition;
        let runs = runs.get_mut(&*alarm.name);
        let ran = runs.and_then(|runs| {
            let place = runs.iter().position(|it| it.state == *to && it.at == *at)?;
            Some(runs.remove(place))
        });
        happened.push((*at, Happened::Changed(transition, ran.is_some())));
    }
    for run in events.actions.iter().filter(is_told) {
        let left = runs.get(&*run.alarm.name).into_iter().flatten();
        if left.into_iter().any(|it| std::ptr::eq(*it, run)) {
            happened.push((run.at, Happened::Released(run)));
        }
    }
    happened.sort_by_key(|(at, _)| *at);
    happened.into_iter().map(|(_, it)| it).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Alarm;
    use crate::definition::{BUILT_IN, parse};

    /// A mute window ends while the program is down, and then the state changes.
    #[test]
    fn what_is_released_is_told_before_what_came_after_it() {
        let alarm: Arc<Alarm> = parse("a", BUILT_IN).alarms.remove(0).alarm.into();
        let at = Timestamp::from_seconds;
        let transition = |seconds, from, to| Transition {
            alarm: Arc::clone(&alarm),
            at: at(seconds),
            from,
            to,
            reason: "".into(),
            reason_data: None,
            certainty: Certainty::Determined,
        };
        let run = |seconds, state, occasion| ActionRun {
            alarm: Arc::clone(&alarm),
            at: at(seconds),
            state,
            occasion,
            suppressor_unknown: false,
        };
        let (ok, hot) = (StateValue::Ok, StateValue::Alarm);
        let events = Events {
            transitions: vec![transition(60, ok, hot), transition(300, hot, ok)],
            actions: vec![
                run(300, ok, Action::StateChange),
                run(240, hot, Action::MuteWindowEnd),
                run(250, hot, Action::Repeat),
            ],
        };
        let told = in_order(&events)
            .into_iter()
            .map(|happened| match happened {
                Happened::Changed(transition, ran) => (transition.at.seconds(), transition.to, ran),
                Happened::Released(run) => (run.at.seconds(), run.state, true),
            });
        let told: Vec<_> = told.collect();
        assert_eq!(told, [(60, hot, false), (240, hot, true), (300, ok, true)]);
    }
}

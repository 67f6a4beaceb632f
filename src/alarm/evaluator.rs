//! Every alarm, judged when it is due, children before parents.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::metric::{Metric, Resolution, Timestamp};
use crate::store::{DatapointStore, Need};

use super::actions::{ActionRun, Occasion};
use super::graph::Graph;
use super::math_feed::bound_stats;
use super::mute::MuteRule;
use super::schedule::window_end;
use super::status::{Status, Transition};
use super::tracked::{Kind, Tracked};
use super::{Alarm, AlarmSnapshot, Options, ReasonData, Rule, Source, StateValue, Watched};

mod answers;
mod composites;

/// How far back a silence is judged minute by minute where an expression goes by the time of day, in seconds.
const CALENDAR_CATCH_UP_MAX: i64 = 86_400;

/// The most datapoints of each alarm that are told where all alarms are.
pub const POINTS_SHOWN_MAX: usize = 128;

/// Keeps every alarm's state and schedule.
#[derive(Debug, Default)]
pub struct Evaluator {
    pub(super) options: Options,
    pub(super) alarms: Vec<Tracked>,
    graph: Graph,
    mute_rules: Vec<MuteRule>,
    /// The next instant at which anything is due.
    next_due: Option<Timestamp>,
}

/// What evaluations brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    pub transitions: Vec<Transition>,
    pub actions: Vec<ActionRun>,
}

/// The composite alarms to be judged, by their rank, with the children that changed.
#[derive(Debug, Default)]
struct Pending(BTreeMap<usize, Vec<Changed>>);

/// An alarm that changed its state.
#[derive(Clone, Copy, Debug)]
struct Changed {
    place: usize,
    from: StateValue,
    at: Timestamp,
}

impl Evaluator {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Replaces the alarms. One that was there before keeps its state, and its schedule if it did not change; a new one is
    /// `INSUFFICIENT_DATA` and first judged one evaluation interval after `at`, a composite alarm at `at`. Returns what that
    /// changed by itself: an alarm on another log query begins anew.
    pub fn set_alarms(&mut self, alarms: Vec<Alarm>, at: Timestamp) -> Vec<Transition> {
        let mut before: HashMap<String, Tracked> = self
            .alarms
            .drain(..)
            .map(|tracked| (tracked.alarm.name.clone(), tracked))
            .collect();
        let options = &self.options;
        let mut transitions = Vec::new();
        let tracked = alarms
            .into_iter()
            .map(|alarm| match before.remove(&alarm.name) {
                Some(before) => {
                    let (tracked, transition) = before.redefined(alarm, options, at);
                    transitions.extend(transition);
                    tracked
                }
                None => Tracked::new(alarm, options, at),
            });
        self.alarms = tracked.collect();
        self.graph = Graph::new(self.alarms.iter().map(|tracked| &*tracked.alarm));
        for (tracked, cycle) in self.alarms.iter_mut().zip(&self.graph.cycles) {
            match (cycle, &tracked.kind) {
                (Some(cycle), _) => tracked.follows_itself(cycle),
                // A rule may come to something else with other children, and a child may be judged here that was not.
                (None, Kind::Composite { .. }) => tracked.due = Some(at),
                (None, _) => {}
            }
        }
        self.find_what_is_left_open();
        self.tell_suppressors(at);
        self.find_next_due();
        transitions
    }

    /// A suppressor that is there no longer, or was replaced, does not suppress any more.
    fn tell_suppressors(&mut self, at: Timestamp) {
        for place in 0..self.alarms.len() {
            if !self.is_suppressed(place) {
                self.tell_suppressor(place, false, at);
            }
        }
    }

    /// Whether the suppressor of a composite alarm is in ALARM, as far as it is known here.
    fn is_suppressed(&self, place: usize) -> bool {
        let suppressor = self.graph.suppressor[place];
        suppressor.is_some_and(|suppressor| self.is_in_alarm(suppressor))
    }

    /// Whether an alarm is in ALARM and judged here.
    fn is_in_alarm(&self, place: usize) -> bool {
        let Tracked {
            state,
            not_mirrored,
            ..
        } = &self.alarms[place];
        *state == StateValue::Alarm && not_mirrored.is_none()
    }

    /// Whether the state of the suppressor is not known here, if the alarm has one.
    fn is_suppressor_unknown(&self, place: usize) -> bool {
        let is_known = |suppressor: usize| self.alarms[suppressor].not_mirrored.is_none();
        self.alarms[place].alarm.suppressor().is_some()
            && !self.graph.suppressor[place].is_some_and(is_known)
    }

    /// Replaces the rules that mute alarms; what is no longer muted acts at the next evaluation.
    pub fn set_mute_rules(&mut self, mute_rules: Vec<MuteRule>, at: Timestamp) {
        self.mute_rules = mute_rules;
        for tracked in &mut self.alarms {
            let name = &tracked.alarm.name;
            tracked.gate.mute_rules_changed(name, at, &self.mute_rules);
        }
        self.find_next_due();
    }

    /// How much of each metric's history the alarms read.
    pub fn history_needed(&self) -> HashMap<Arc<Metric>, Need> {
        let mut needed: HashMap<Arc<Metric>, Need> = HashMap::new();
        for tracked in &self.alarms {
            let Rule::Metric(alarm) = &tracked.alarm.rule else {
                continue;
            };
            let bounds = match alarm.needs() {
                Some(_) => bound_stats(&tracked.alarm.name).to_vec(),
                None => Vec::new(),
            };
            for stat in alarm.stats().into_iter().chain(&bounds) {
                let need = Need {
                    seconds: tracked.reach(),
                    values: stat.statistic.is_extended(),
                };
                let known = needed.entry(Arc::clone(&stat.metric)).or_default();
                *known = known.and(need);
            }
        }
        needed
    }

    /// Every alarm as it stands, to go on from after a restart.
    pub fn snapshots(&self) -> impl Iterator<Item = AlarmSnapshot> {
        self.alarms.iter().map(Tracked::snapshot)
    }

    /// Goes on from snapshots of `at`; alarms without one are as they are.
    pub fn restore(&mut self, snapshots: &[AlarmSnapshot], at: Timestamp) {
        for snapshot in snapshots {
            if let Some(place) = self.graph.place(&snapshot.name) {
                self.alarms[place].restore(snapshot, at, &self.options);
            }
        }
        for (tracked, cycle) in self.alarms.iter_mut().zip(&self.graph.cycles) {
            if let Some(cycle) = cycle {
                tracked.follows_itself(cycle);
            }
        }
        self.tell_suppressors(at);
        self.find_next_due();
    }

    /// Goes on with alarms from how they stand elsewhere. What composite alarms follow may stand otherwise here, so that those
    /// are judged at `at`.
    pub fn take_over(&mut self, snapshots: &[AlarmSnapshot], at: Timestamp) {
        self.restore(snapshots, at);
        for snapshot in snapshots {
            let Some(place) = self.graph.place(&snapshot.name) else {
                continue;
            };
            let tracked = &mut self.alarms[place];
            if matches!(tracked.kind, Kind::Composite { .. }) && self.graph.cycles[place].is_none()
            {
                tracked.due = Some(at);
            }
        }
        self.find_next_due();
    }

    /// Every alarm's status, with the newest datapoints of its range.
    pub fn statuses(&self) -> Vec<Arc<Status>> {
        let places = 0..self.alarms.len();
        places
            .map(|place| Arc::new(self.status_at(place, POINTS_SHOWN_MAX)))
            .collect()
    }

    /// The status of one alarm, with all datapoints of its range.
    pub fn status(&self, name: &str) -> Option<Status> {
        let place = self.graph.place(name)?;
        Some(self.status_at(place, usize::MAX))
    }

    fn status_at(&self, place: usize, points_max: usize) -> Status {
        Status {
            suppressor_unknown: self.is_suppressor_unknown(place),
            ..self.alarms[place].status(&self.options, points_max)
        }
    }

    /// The next instant at which something is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.next_due
    }

    #[inline(always)]
    fn find_next_due(&mut self) {
        let due = |tracked: &Tracked| tracked.due.into_iter().chain(tracked.gate.due()).min();
        self.next_due = self.alarms.iter().filter_map(due).min();
    }

    /// Starts every schedule anew at `now`, because the clock was set back.
    pub fn restart(&mut self, now: Timestamp) {
        for tracked in &mut self.alarms {
            tracked.clock_set_back(now, &self.options);
            let Tracked { alarm, gate, .. } = tracked;
            gate.clock_set_back(&alarm.name, now, &self.mute_rules);
        }
        self.find_next_due();
    }

    /// Judges every alarm that is due at `now`; what happened before it was watched is unknown. Returns how many were due.
    pub fn evaluate(
        &mut self,
        store: &mut DatapointStore,
        now: Timestamp,
        watched: Watched,
        events: &mut Events,
    ) -> usize {
        if self.next_due.is_none_or(|due| due > now) {
            return 0;
        }
        let mut evaluated = self.evaluate_new_composites(now, events);
        for place in 0..self.alarms.len() {
            let tracked = &mut self.alarms[place];
            let is_due = tracked.due.is_some_and(|due| due <= now);
            if !is_due || !matches!(tracked.kind, Kind::Metric(_)) {
                continue;
            }
            evaluated += 1;
            tracked.schedule_after(now, &self.options);
            let was_mirrored = tracked.not_mirrored.is_none();
            let transition = tracked.judge(store, now, watched);
            let turned = was_mirrored != tracked.not_mirrored.is_none();
            match transition {
                Some(transition) => self.changed(place, transition, events),
                None if turned => self.turned(place, now, events),
                None => {}
            }
        }
        self.release_actions(now, events);
        self.find_next_due();
        evaluated
    }

    /// Leaves out the evaluations of a silence that `now` ends: nothing was recorded after `quiet_since`, so once the last
    /// datapoint has left an alarm's range every evaluation is like the one before. Auto Scaling's actions are not repeated
    /// for the time left out.
    pub fn skip_silence(&mut self, quiet_since: Timestamp, now: Timestamp) {
        for tracked in &mut self.alarms {
            let Tracked { alarm, gate, .. } = tracked;
            gate.skip_silence(&alarm.name, now, &self.mute_rules);
            let (Rule::Metric(alarm), Some(due)) = (&tracked.alarm.rule, tracked.due) else {
                continue;
            };
            if due > quiet_since + tracked.reach() + Resolution::Basic.seconds() {
                let seen_by_date = match &alarm.source {
                    Source::Math(math) if math.uses_calendar() => CALENDAR_CATCH_UP_MAX,
                    _ => 0,
                };
                let end = window_end(alarm, now - seen_by_date);
                let warm_up_ends = tracked.warm_up_until();
                let end = warm_up_ends.map_or(end, |until| until.min(end));
                tracked.skip_until(end, &self.options);
            }
        }
        self.find_next_due();
    }

    /// Sets a state from outside, as SetAlarmState does; the next evaluation of a metric alarm finds its own. Returns whether
    /// there is such an alarm.
    pub fn set_state(
        &mut self,
        name: &str,
        state: StateValue,
        reason: &str,
        reason_data: Option<&str>,
        at: Timestamp,
        events: &mut Events,
    ) -> bool {
        let Some(place) = self.graph.place(name) else {
            return false;
        };
        let data = reason_data.map(|data| ReasonData::Given(data.to_owned()));
        let tracked = &mut self.alarms[place];
        if tracked.state == state {
            tracked.explained(reason.into(), data);
        } else {
            let transition = tracked.enter(state, reason.into(), data, at);
            self.changed(place, transition, events);
            self.release_actions(at, events);
        }
        self.find_next_due();
        true
    }

    /// An alarm changed its state: its actions are due, and with them whatever follows it.
    pub(super) fn changed(&mut self, place: usize, transition: Transition, events: &mut Events) {
        let mut pending = Pending::default();
        self.take(place, transition, &mut pending, events);
        self.follow(pending, events);
    }

    /// An alarm came to be judged, or to be judged no longer: whatever follows it may be known now, or unknown.
    pub(super) fn turned(&mut self, place: usize, at: Timestamp, events: &mut Events) {
        let mut pending = Pending::default();
        self.note_turn(place, at, &mut pending);
        self.follow(pending, events);
    }

    fn note_turn(&mut self, place: usize, at: Timestamp, pending: &mut Pending) {
        let from = self.alarms[place].state;
        if from == StateValue::Alarm {
            self.tell_suppressed(place, self.is_in_alarm(place), at);
        }
        self.await_parents(Changed { place, from, at }, pending);
    }

    /// Judges composite alarms, children before parents, until none is left to be judged.
    fn follow(&mut self, mut pending: Pending, events: &mut Events) {
        while let Some((rank, children)) = pending.0.pop_first() {
            let parent = self.graph.order[rank];
            let was_mirrored = self.alarms[parent].not_mirrored.is_none();
            let transition = self.follow_children(parent, &children);
            let turned = was_mirrored != self.alarms[parent].not_mirrored.is_none();
            match (transition, children.last()) {
                (Some(transition), _) => self.take(parent, transition, &mut pending, events),
                (None, Some(last)) if turned => self.note_turn(parent, last.at, &mut pending),
                (None, _) => {}
            }
        }
    }

    /// Notes one transition with what it brings about, and which composite alarms are to be judged for it.
    fn take(
        &mut self,
        place: usize,
        transition: Transition,
        pending: &mut Pending,
        events: &mut Events,
    ) {
        let Transition { at, from, to, .. } = transition;
        events.transitions.push(transition);
        self.run_actions(place, at, events);
        if from == StateValue::Alarm || to == StateValue::Alarm {
            self.tell_suppressed(place, to == StateValue::Alarm, at);
        }
        self.await_parents(Changed { place, from, at }, pending);
    }

    /// The composite alarms that follow an alarm are to be judged; not those that are new and will be all the same.
    fn await_parents(&self, changed: Changed, pending: &mut Pending) {
        let parents = self.graph.parents[changed.place].iter();
        for parent in parents.filter(|parent| self.alarms[**parent].due.is_none()) {
            if let Some(rank) = self.graph.rank[*parent] {
                pending.0.entry(rank).or_default().push(changed);
            }
        }
    }

    /// The actions of the state that an alarm has entered.
    fn run_actions(&mut self, place: usize, at: Timestamp, events: &mut Events) {
        let in_alarm = self.is_suppressed(place);
        let Tracked {
            alarm, gate, state, ..
        } = &mut self.alarms[place];
        match alarm.suppressor() {
            Some(suppressor) => gate.composite_changed(&alarm.actions, suppressor, in_alarm, at),
            None => events.actions.extend(gate.run(
                alarm,
                *state,
                at,
                Occasion::StateChange,
                &self.mute_rules,
            )),
        }
    }

    /// An alarm entered or left ALARM that may suppress the actions of others.
    fn tell_suppressed(&mut self, place: usize, in_alarm: bool, at: Timestamp) {
        for suppressed in self.graph.suppresses[place].clone() {
            self.tell_suppressor(suppressed, in_alarm, at);
        }
    }

    /// The suppressor of a composite alarm is in ALARM, or is not.
    fn tell_suppressor(&mut self, place: usize, in_alarm: bool, at: Timestamp) {
        let Tracked { alarm, gate, .. } = &mut self.alarms[place];
        if let Some(suppressor) = alarm.suppressor() {
            gate.suppression
                .suppressor_changed(suppressor, in_alarm, at);
        }
    }

    /// What was withheld until now, or is to be repeated.
    fn release_actions(&mut self, now: Timestamp, events: &mut Events) {
        for place in 0..self.alarms.len() {
            let due = self.alarms[place].gate.due();
            if due.is_none_or(|due| due > now) {
                continue;
            }
            let is_suppressed = self.is_suppressed(place);
            let Tracked {
                alarm, gate, state, ..
            } = &mut self.alarms[place];
            let released = gate.release(alarm, *state, is_suppressed, now, &self.mute_rules);
            let suppressor_unknown = self.is_suppressor_unknown(place);
            events.actions.extend(released.map(|run| ActionRun {
                suppressor_unknown,
                ..run
            }));
        }
    }
}

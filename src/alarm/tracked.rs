//! One alarm with its state, from one evaluation to the next.

mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::metric::Timestamp;
use crate::store::DatapointStore;

use super::actions::Gate;
use super::contributors::Contributors;
use super::history::{HISTORY_ITEMS_MAX, HistoryEvent, HistoryItem, StateSnapshot};
use super::judge::{Judge, Judged, Trouble};
use super::options::ARN_UNKNOWN;
use super::reason::{self, Wording};
use super::reason_data::Frame;
use super::status::{Evaluation, EvaluationState, Status, Transition};
use super::suppression::Suppression;
use super::{
    Alarm, Certainty, MetricAlarm, Options, Point, ReasonData, Rule, StateValue, TriggeringAlarm,
    WarmUp, Watched,
};

/// One alarm and what is known of it.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) alarm: Arc<Alarm>,
    pub(super) state: StateValue,
    reason: Arc<str>,
    reason_data: Option<Arc<ReasonData>>,
    created_at: Timestamp,
    transitioned_at: Option<Timestamp>,
    /// When it is judged next; `None` for an alarm that is judged when something else happens, or never.
    pub(super) due: Option<Timestamp>,
    /// How often it is judged by itself, in seconds, if it is.
    interval: Option<i64>,
    judged: Option<Judged>,
    /// How certain the state is as long as it has not been judged here.
    certainty_before: Certainty,
    pub(super) evaluation_state: Option<EvaluationState>,
    /// Why it is not judged, if it is not.
    pub(super) not_mirrored: Option<String>,
    transitions: [[u64; 3]; 3],
    pub(super) kind: Kind,
    pub(super) gate: Gate,
    history: VecDeque<HistoryItem>,
    /// Until when it warms up at most; `None` once that is over.
    warm_up_until: Option<Timestamp>,
    fingerprint: u64,
}

pub use snapshot::AlarmSnapshot;

/// What an alarm's state is found from.
#[derive(Debug)]
pub(super) enum Kind {
    /// Boxed, so that an alarm that is not due is passed quickly.
    Metric(Box<Judge>),
    /// Whether it is new, or was there before with another definition.
    Composite { is_new: bool },
    /// What queries are said to have returned.
    Queries(QueryState),
}

/// An alarm on queries that only CloudWatch can run.
#[derive(Debug, Default)]
pub(super) struct QueryState {
    pub(super) contributors: Contributors,
    /// The results of each contributor of a log alarm, oldest first.
    pub(super) results: BTreeMap<String, VecDeque<Point>>,
    /// What was looked at last of a single series, newest first.
    pub(super) points: Vec<Point>,
}

impl Tracked {
    pub(super) fn new(alarm: Alarm, options: &Options, at: Timestamp) -> Self {
        // A PromQL alarm starts in OK (SPEC section 5.7).
        let state = match alarm.rule {
            Rule::PromQl(_) => StateValue::Ok,
            _ => StateValue::InsufficientData,
        };
        let mut tracked = Self {
            not_mirrored: alarm.not_mirrored(),
            kind: Kind::new(&alarm, options),
            gate: Gate::default(),
            warm_up_until: warm_up_until(&alarm, at),
            state,
            reason: reason::INITIAL.into(),
            reason_data: None,
            created_at: at,
            transitioned_at: None,
            due: None,
            interval: interval(&alarm),
            judged: None,
            certainty_before: Certainty::HistoryIncomplete,
            evaluation_state: None,
            transitions: Default::default(),
            history: VecDeque::new(),
            fingerprint: alarm.fingerprint(),
            alarm: Arc::new(alarm),
        };
        tracked.evaluation_state = tracked.warm_up_until.map(|_| EvaluationState::InWarmUp);
        tracked.remember(at, HistoryEvent::Created);
        tracked.schedule_from(at, options);
        tracked
    }

    /// The same alarm with another definition: it keeps its state until it is judged anew (SPEC section 5.7).
    pub(super) fn redefined(
        mut self,
        alarm: Alarm,
        options: &Options,
        at: Timestamp,
    ) -> (Self, Option<Transition>) {
        if *self.alarm == alarm {
            return (self, None);
        }
        if self.alarm.is_but_told_otherwise(&alarm) {
            self.alarm = Arc::new(alarm);
            return (self, None);
        }
        self.not_mirrored = alarm.not_mirrored();
        self.kind = Kind::new(&alarm, options);
        self.interval = interval(&alarm);
        if let Kind::Composite { is_new } = &mut self.kind {
            *is_new = false;
        }
        self.gate.redefined(&alarm);
        if self.alarm.suppressor() != alarm.suppressor() {
            self.gate.suppression = Suppression::default();
        }
        self.judged = None;
        if warm_up(&alarm.rule).is_none() {
            self.warm_up_until = None;
        }
        self.evaluation_state = self.warm_up_until.map(|_| EvaluationState::InWarmUp);
        let resets = resets(&self.alarm, &alarm);
        self.fingerprint = alarm.fingerprint();
        self.alarm = Arc::new(alarm);
        self.remember(at, HistoryEvent::Updated);
        let reset = resets.then(|| {
            let to = StateValue::InsufficientData;
            self.enter(to, reason::INITIAL.into(), None, at)
        });
        self.schedule_from(at, options);
        (self, reset.filter(|reset| reset.from != reset.to))
    }

    /// Its alarm rule leads back to itself, on the way given: CloudWatch does not judge it either.
    pub(super) fn follows_itself(&mut self, way: &str) {
        self.not_mirrored = Some(format!("its alarm rule follows itself: {way}"));
        self.due = None;
    }

    pub(super) fn arn(&self, options: &Options) -> String {
        self.alarm.arn.clone().unwrap_or_else(|| {
            let region = options.region.as_deref().unwrap_or(ARN_UNKNOWN);
            let account = options.account.as_deref().unwrap_or(ARN_UNKNOWN);
            format!(
                "arn:aws:cloudwatch:{region}:{account}:alarm:{}",
                self.alarm.name
            )
        })
    }

    /// First due one whole interval after `at`, on the schedule; a composite alarm at once.
    fn schedule_from(&mut self, at: Timestamp, options: &Options) {
        self.due = match self.kind {
            Kind::Composite { .. } => Some(at),
            _ => self
                .interval
                .map(|interval| options.first(at + interval, interval)),
        };
    }

    pub(super) fn schedule_after(&mut self, now: Timestamp, options: &Options) {
        self.due = self.interval.map(|interval| match self.due {
            // As it usually is.
            Some(due) if (due..due + interval).contains(&now) => due + interval,
            _ => options.after(now, interval),
        });
    }

    /// Not due before `at`.
    pub(super) fn skip_until(&mut self, at: Timestamp, options: &Options) {
        if let (Some(due), Some(interval)) = (self.due, self.interval) {
            self.due = Some(due.max(options.first(at, interval)));
        }
    }

    /// How far back it looks, in seconds.
    pub(super) fn reach(&self) -> i64 {
        match (&self.alarm.rule, &self.kind) {
            (Rule::Metric(alarm), Kind::Metric(judge)) => judge.ranges.reach(alarm),
            _ => 0,
        }
    }

    /// Whether it is still warming up at `now` (SPEC section 14): to the end, or until N periods have passed since the first
    /// sample after its creation.
    pub(super) fn is_warming_up(&mut self, store: &DatapointStore, now: Timestamp) -> bool {
        let Some(until) = self.warm_up_until else {
            return false;
        };
        if now
            < self
                .enough_data_at(store)
                .map_or(until, |enough| until.min(enough))
        {
            return true;
        }
        self.warm_up_until = None;
        self.evaluation_state = None;
        false
    }

    /// Until when it warms up at most, if it does.
    pub(super) fn warm_up_until(&self) -> Option<Timestamp> {
        self.warm_up_until
    }

    /// The clock was set back to `now`: nothing can have been created later, and the schedule begins anew.
    pub(super) fn clock_set_back(&mut self, now: Timestamp, options: &Options) {
        match self.kind {
            Kind::Composite { .. } => self.due = self.due.map(|due| due.min(now)),
            _ => self.schedule_after(now, options),
        }
        let ahead = (self.created_at - now).max(0);
        self.created_at = self.created_at - ahead;
        self.warm_up_until = self.warm_up_until.map(|until| until - ahead);
    }

    fn enough_data_at(&self, store: &DatapointStore) -> Option<Timestamp> {
        let Kind::Metric(judge) = &self.kind else {
            return None;
        };
        let (warm_up, span) = warm_up(&self.alarm.rule)?;
        if warm_up.to_the_end {
            return None;
        }
        let first = judge.first_since(store, self.created_at)?;
        Some(first.max(self.created_at) + span)
    }

    /// The query of the alarm returned something at `now`, or nothing. Returns whether it is still warming up then.
    pub(super) fn is_warming_up_on(&mut self, has_data: bool, now: Timestamp) -> bool {
        let warm_up = warm_up(&self.alarm.rule);
        if let Some((_, span)) = warm_up.filter(|(warm_up, _)| has_data && !warm_up.to_the_end) {
            // What is returned later cannot end it earlier.
            self.warm_up_until = self.warm_up_until.map(|until| until.min(now + span));
        }
        if self.warm_up_until.is_some_and(|until| now < until) {
            return true;
        }
        self.warm_up_until = None;
        false
    }

    pub(super) fn since(&self) -> Timestamp {
        self.transitioned_at.unwrap_or(self.created_at)
    }

    pub(super) fn triggering(&self, options: &Options) -> TriggeringAlarm {
        TriggeringAlarm {
            arn: self.arn(options),
            state: self.state,
            at: self.since(),
        }
    }

    /// How certain the state is.
    pub(super) fn certainty(&self) -> Certainty {
        let judged = self.judged.as_ref().map(|judged| judged.certainty.clone());
        judged.unwrap_or_else(|| self.certainty_before.clone())
    }

    /// Judges it on its own datapoints, and enters the state that follows.
    pub(super) fn judge(
        &mut self,
        store: &mut DatapointStore,
        now: Timestamp,
        watched: Watched,
    ) -> Option<Transition> {
        let (Rule::Metric(alarm), Kind::Metric(judge)) = (&self.alarm.rule, &mut self.kind) else {
            return None;
        };
        match judge.judge(alarm, store, now, watched, self.state) {
            Ok(judged) => {
                self.not_mirrored = None;
                self.judged = Some(judged);
                (!self.is_warming_up(store, now)).then(|| self.follow())?
            }
            Err(Trouble(trouble)) => {
                self.not_mirrored = Some(trouble);
                self.is_warming_up(store, now);
                None
            }
        }
    }

    /// Enters the state that follows from the newest evaluation of its own datapoints.
    fn follow(&mut self) -> Option<Transition> {
        let Judged { decision, at, .. } = *self.judged.as_ref()?;
        let to = decision.verdict.state(self.state);
        if to == self.state {
            return None;
        }
        let alarm = Arc::clone(&self.alarm);
        let Rule::Metric(alarm) = &alarm.rule else {
            return None;
        };
        let points = self.points(usize::MAX);
        let reason = wording(alarm).text(to, &points, decision.basis);
        let data = frame(alarm, at).data(&points, decision.basis.used);
        Some(self.enter(to, reason.into(), Some(data), at))
    }

    /// Notes what was found otherwise, and enters the state that follows for the reason given.
    pub(super) fn found(
        &mut self,
        judged: Judged,
        reason: impl FnOnce(StateValue) -> (String, Option<ReasonData>),
    ) -> Option<Transition> {
        let to = judged.decision.verdict.state(self.state);
        let at = judged.at;
        self.judged = Some(judged);
        if to == self.state {
            return None;
        }
        let (reason, data) = reason(to);
        Some(self.enter(to, reason.into(), data, at))
    }

    /// What was looked at last, newest first; `most` of it.
    fn points(&self, most: usize) -> Vec<Point> {
        match &self.kind {
            Kind::Metric(judge) => judge.points(most),
            Kind::Composite { .. } => Vec::new(),
            Kind::Queries(queries) => queries.points.iter().take(most).copied().collect(),
        }
    }

    /// Takes the reason given for the state it is in.
    pub(super) fn explained(&mut self, reason: Arc<str>, reason_data: Option<ReasonData>) {
        self.reason = reason;
        self.reason_data = reason_data.map(Arc::new);
    }

    /// Enters a state, whatever it was in.
    pub(super) fn enter(
        &mut self,
        to: StateValue,
        reason: Arc<str>,
        reason_data: Option<ReasonData>,
        at: Timestamp,
    ) -> Transition {
        let old = self.in_state();
        let from = self.state;
        self.state = to;
        self.reason = reason;
        self.reason_data = reason_data.map(Arc::new);
        if from != to {
            self.transitioned_at = Some(at);
            self.transitions[from as usize][to as usize] += 1;
        }
        let new = self.in_state();
        self.remember(at, HistoryEvent::StateUpdate { old, new });
        Transition {
            alarm: Arc::clone(&self.alarm),
            at,
            from,
            to,
            reason: Arc::clone(&self.reason),
            reason_data: self.reason_data.clone(),
            certainty: self.certainty(),
        }
    }

    fn in_state(&self) -> StateSnapshot {
        StateSnapshot {
            state: self.state,
            reason: Arc::clone(&self.reason),
            reason_data: self.reason_data.clone(),
        }
    }

    pub(super) fn remember(&mut self, at: Timestamp, event: HistoryEvent) {
        if self.history.len() == HISTORY_ITEMS_MAX {
            // Hundreds of contributors may change at once, and must not hide what the alarm itself did.
            let of_contributor = |item: &HistoryItem| item.event.is_of_contributor();
            let oldest = self.history.iter().position(of_contributor);
            self.history.remove(oldest.unwrap_or(0));
        }
        self.history.push_back(HistoryItem { at, event });
    }

    pub(super) fn status(&self, options: &Options, points_max: usize) -> Status {
        let evaluation = |judged: &Judged| Evaluation {
            at: judged.at,
            end: judged.end,
            points: self.points(points_max),
            decision: judged.decision,
            certainty: judged.certainty.clone(),
        };
        let contributors = match &self.kind {
            Kind::Queries(queries) => queries.contributors.known.clone(),
            _ => BTreeMap::new(),
        };
        Status {
            alarm: Arc::clone(&self.alarm),
            arn: self.arn(options),
            state: self.state,
            reason: Arc::clone(&self.reason),
            reason_data: self.reason_data.clone(),
            transitioned_at: self.transitioned_at,
            evaluation: self.judged.as_ref().map(evaluation),
            evaluation_state: self.evaluation_state,
            not_mirrored: self.not_mirrored.clone(),
            transitions: self.counted(),
            contributors,
            suppressed_by: self.gate.suppression.by(),
            suppressor_unknown: false,
            muted_until: self.gate.muted_until(),
            history: self.history.iter().cloned().collect(),
        }
    }

    fn counted(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let ways = StateValue::ALL
            .into_iter()
            .flat_map(|from| StateValue::ALL.map(|to| (from, to)));
        ways.map(|(from, to)| {
            (
                (from.name(), to.name()),
                self.transitions[from as usize][to as usize],
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect()
    }
}

impl Kind {
    fn new(alarm: &Alarm, options: &Options) -> Self {
        match &alarm.rule {
            Rule::Metric(rule) => match Judge::new(&alarm.name, rule, options.evaluation_range) {
                Some(judge) => Self::Metric(Box::new(judge)),
                None => Self::Queries(QueryState::default()),
            },
            Rule::Composite(_) => Self::Composite { is_new: true },
            Rule::PromQl(_) | Rule::Log(_) => Self::Queries(QueryState::default()),
        }
    }
}

/// Changing what a log alarm looks at begins it anew (SPEC section 5.7).
fn resets(before: &Alarm, after: &Alarm) -> bool {
    match (&before.rule, &after.rule) {
        (Rule::Log(before), Rule::Log(after)) => before.query != after.query,
        _ => false,
    }
}

/// How often an alarm is judged by itself, in seconds, if it is.
fn interval(alarm: &Alarm) -> Option<i64> {
    match &alarm.rule {
        Rule::Metric(rule) if alarm.not_here.is_none() && !rule.is_external() => {
            Some(rule.evaluation_interval())
        }
        _ => None,
    }
}

/// How an alarm warms up, and how many seconds of data end that early.
fn warm_up(rule: &Rule) -> Option<(WarmUp, i64)> {
    let (warm_up, n, interval) = match rule {
        Rule::Metric(alarm) => (
            alarm.warm_up,
            alarm.evaluation_periods,
            alarm.period.seconds(),
        ),
        Rule::Log(alarm) => (
            alarm.warm_up,
            alarm.results_to_evaluate,
            alarm.query.interval,
        ),
        Rule::Composite(_) | Rule::PromQl(_) => return None,
    };
    Some((warm_up?, i64::from(n).saturating_mul(interval)))
}

/// An alarm warms up once, when it is created. One that has an ARN is taken to have been created long ago: definitions as
/// DescribeAlarms returns them have one, those as PutMetricAlarm takes them do not.
fn warm_up_until(alarm: &Alarm, at: Timestamp) -> Option<Timestamp> {
    let (warm_up, _) = warm_up(&alarm.rule).filter(|_| alarm.arn.is_none())?;
    Some(at + i64::from(warm_up.minutes) * 60)
}

/// How reasons speak of a metric alarm.
pub(super) fn wording(alarm: &MetricAlarm) -> Wording<'_> {
    Wording {
        comparison: &alarm.comparison,
        terms: super::judge::terms(alarm),
        tells_minimum: alarm.datapoints_to_alarm.is_some(),
        noun: "datapoints",
    }
}

pub(super) fn frame(alarm: &MetricAlarm, at: Timestamp) -> Frame {
    let stat = alarm.stat().filter(|_| alarm.threshold().is_some());
    Frame {
        query_date: at,
        unit: stat.and_then(|stat| stat.unit),
        statistic: stat.map(|stat| stat.statistic.clone()),
        period: alarm.period,
        threshold: alarm.threshold(),
        n: alarm.evaluation_periods as usize,
    }
}

//! Every alarm, judged when it is due.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::metric::{Metric, Resolution, StatisticSet, Timestamp};
use crate::store::{DatapointStore, SeveralUnits, Window};

use super::range::{plausible_ranges, window_end};
use super::{
    Alarm, Decision, MetricAlarm, Point, ReasonData, Rule, StateValue, Verdict, decide,
    evaluation_interval, evaluation_range, reason,
};

/// What CloudWatch writes on a new alarm (SPEC section 5.7).
const INITIAL_REASON: &str = "Unchecked: Initial alarm creation";

/// How far a verdict can be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certainty {
    Determined,
    /// CloudWatch's evaluation range is undocumented; with one of these the state would be another.
    DependsOnRange(Vec<u32>),
    /// AWS's documents leave the state open.
    Undetermined,
    /// This program has not watched the metric for the whole range yet.
    HistoryIncomplete,
    /// The metric is published by the hypervisor, which counts steal and credits otherwise than the guest.
    MeasuredInGuest,
}

impl Certainty {
    /// As the log, the API and the page write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Determined => "determined",
            Self::DependsOnRange(_) => "depends on the evaluation range",
            Self::Undetermined => "undetermined by AWS's documents",
            Self::HistoryIncomplete => "history incomplete",
            Self::MeasuredInGuest => "measured in the guest",
        }
    }
}

/// One alarm and what is known of its state.
#[derive(Clone, Debug)]
pub struct Status {
    pub alarm: Arc<Alarm>,
    pub state: StateValue,
    /// Why the state was entered.
    pub reason: String,
    pub reason_data: Option<Arc<ReasonData>>,
    pub transitioned_at: Option<Timestamp>,
    /// The newest evaluation; `None` before the first.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Why the alarm is not judged, if it is not.
    pub not_mirrored: Option<String>,
    /// How often each transition was seen.
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
}

/// One look at an alarm's evaluation range.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub at: Timestamp,
    /// Newest first.
    pub points: Vec<Point>,
    pub decision: Decision,
    pub certainty: Certainty,
}

/// A change of an alarm's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub alarm: Arc<Alarm>,
    pub at: Timestamp,
    pub from: StateValue,
    pub to: StateValue,
    pub reason: String,
    pub certainty: Certainty,
}

/// Keeps every alarm's state and schedule.
#[derive(Debug, Default)]
pub struct Evaluator {
    alarms: Vec<Tracked>,
    /// Reused between evaluations.
    periods: Vec<StatisticSet>,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Tracked {
    status: Arc<Status>,
    /// `None` for an alarm that is not judged.
    due: Option<Timestamp>,
}

impl Evaluator {
    /// Replaces the alarms. One that was there before keeps its state, and its schedule if it did not change; a new one is
    /// `INSUFFICIENT_DATA` and first judged one evaluation interval after `at`.
    pub fn set_alarms(&mut self, alarms: Vec<Alarm>, at: Timestamp) {
        let mut before: HashMap<String, Tracked> = self
            .alarms
            .drain(..)
            .map(|tracked| (tracked.status.alarm.name.clone(), tracked))
            .collect();
        self.alarms = alarms
            .into_iter()
            .map(|alarm| Tracked::replacing(before.remove(&alarm.name), alarm, at))
            .collect();
    }

    /// How many seconds of each metric's history the alarms read.
    pub fn history_needed(&self) -> HashMap<Arc<Metric>, i64> {
        let mut needed = HashMap::new();
        for alarm in self.alarms.iter().filter_map(Tracked::metric_alarm) {
            let seconds = needed.entry(Arc::clone(&alarm.metric)).or_insert(0);
            *seconds = span(alarm).max(*seconds);
        }
        needed
    }

    pub fn statuses(&self) -> Vec<Arc<Status>> {
        self.alarms
            .iter()
            .map(|tracked| Arc::clone(&tracked.status))
            .collect()
    }

    /// The next instant at which an alarm is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.alarms.iter().filter_map(|tracked| tracked.due).min()
    }

    /// Starts every schedule anew at `now`, because the clock was set back.
    pub fn restart(&mut self, now: Timestamp) {
        for tracked in &mut self.alarms {
            tracked.schedule_after(now);
        }
    }

    /// Judges every alarm that is due at `now`; what happened before `watched_since` is unknown. Returns how many were due.
    pub fn evaluate(
        &mut self,
        store: &DatapointStore,
        now: Timestamp,
        watched_since: Timestamp,
        transitions: &mut Vec<Transition>,
    ) -> usize {
        let mut due = 0;
        for tracked in self
            .alarms
            .iter_mut()
            .filter(|tracked| tracked.due.is_some_and(|due| due <= now))
        {
            tracked.schedule_after(now);
            let status = Arc::make_mut(&mut tracked.status);
            let alarm = Arc::clone(&status.alarm);
            let Rule::Metric(rule) = &alarm.rule else {
                continue;
            };
            due += 1;
            match look(rule, store, now, &mut self.periods, &mut self.points) {
                Ok(complete_since) => transitions.extend(status.judge(
                    rule,
                    now,
                    watched_since.max(complete_since),
                    &self.points,
                )),
                Err(SeveralUnits(units)) => {
                    let units = units
                        .iter()
                        .map(|unit| format!("`{unit}`"))
                        .collect::<Vec<_>>()
                        .join(", ");
                    status.not_mirrored = Some(format!(
                        "`{}` has samples in several units ({units}) and the alarm sets no `Unit`",
                        rule.metric
                    ));
                }
            }
        }
        due
    }

    /// Leaves out the evaluations of a silence that `now` ends: nothing was recorded after `quiet_since`, so once the last
    /// datapoint has left an alarm's range every evaluation is like the one before.
    pub fn skip_silence(&mut self, quiet_since: Timestamp, now: Timestamp) {
        for tracked in &mut self.alarms {
            let Some((alarm, due)) = tracked.metric_alarm().zip(tracked.due) else {
                continue;
            };
            if due > quiet_since + span(alarm) + Resolution::Basic.seconds() {
                tracked.due = Some(due.max(window_end(alarm, now)));
            }
        }
    }
}

/// How far back an alarm may look, in seconds.
fn span(alarm: &MetricAlarm) -> i64 {
    let (_, longest) = plausible_ranges(alarm.period, alarm.evaluation_periods);
    let interval = evaluation_interval(alarm.period, alarm.evaluation_periods);
    i64::from(longest)
        .saturating_mul(alarm.period.seconds())
        .saturating_add(interval)
}

/// Fills `points` with the longest plausible range, newest first. Returns since when the history is complete.
fn look(
    alarm: &MetricAlarm,
    store: &DatapointStore,
    now: Timestamp,
    periods: &mut Vec<StatisticSet>,
    points: &mut Vec<Point>,
) -> Result<Timestamp, SeveralUnits> {
    let (_, longest) = plausible_ranges(alarm.period, alarm.evaluation_periods);
    let end = window_end(alarm, now);
    let window = Window {
        now,
        end,
        period: alarm.period,
        range: longest as usize,
    };
    let complete_since = store.window(&alarm.metric, alarm.unit, window, periods)?;
    points.clear();
    let mut start = end;
    points.extend(periods.iter().map(|set| {
        start = start - alarm.period.seconds();
        Point::of(set, alarm.statistic, start)
    }));
    Ok(complete_since)
}

impl Tracked {
    fn replacing(before: Option<Self>, alarm: Alarm, at: Timestamp) -> Self {
        match before {
            Some(before) if *before.status.alarm == alarm => before,
            Some(before) => {
                let not_mirrored = not_mirrored(&alarm);
                let status = Status {
                    not_mirrored,
                    alarm: Arc::new(alarm),
                    evaluation: None,
                    ..(*before.status).clone()
                };
                Self {
                    due: None,
                    status: Arc::new(status),
                }
                .scheduled_from(at)
            }
            None => Self {
                due: None,
                status: Arc::new(Status::new(alarm)),
            }
            .scheduled_from(at),
        }
    }

    fn metric_alarm(&self) -> Option<&MetricAlarm> {
        match &self.status.alarm.rule {
            Rule::Metric(alarm) => Some(alarm),
            Rule::NotMirrored(_) => None,
        }
    }

    fn interval(&self) -> Option<i64> {
        self.metric_alarm()
            .map(|alarm| evaluation_interval(alarm.period, alarm.evaluation_periods))
    }

    /// First due one whole interval after `at`, on the schedule.
    fn scheduled_from(mut self, at: Timestamp) -> Self {
        self.due = self
            .interval()
            .map(|interval| (at + interval).ceil(interval));
        self
    }

    fn schedule_after(&mut self, now: Timestamp) {
        self.due = self
            .interval()
            .map(|interval| now.floor(interval) + interval);
    }
}

fn not_mirrored(alarm: &Alarm) -> Option<String> {
    match &alarm.rule {
        Rule::Metric(_) => None,
        Rule::NotMirrored(reason) => Some(reason.clone()),
    }
}

impl Status {
    fn new(alarm: Alarm) -> Self {
        Self {
            not_mirrored: not_mirrored(&alarm),
            alarm: Arc::new(alarm),
            state: StateValue::InsufficientData,
            reason: INITIAL_REASON.to_owned(),
            reason_data: None,
            transitioned_at: None,
            evaluation: None,
            transitions: BTreeMap::new(),
        }
    }

    /// Judges `points`, the longest plausible range, and notes what came of it.
    fn judge(
        &mut self,
        alarm: &MetricAlarm,
        now: Timestamp,
        known_since: Timestamp,
        points: &[Point],
    ) -> Option<Transition> {
        let range = evaluation_range(alarm.period, alarm.evaluation_periods) as usize;
        let decision = decide(&points[..range], alarm);
        let certainty = certainty(alarm, self.state, decision, points, known_since);
        self.not_mirrored = None;
        let points = &points[..range];
        // What is shown elsewhere stays as it is; otherwise its memory is used again.
        match self.evaluation.as_mut().and_then(Arc::get_mut) {
            Some(evaluation) => {
                evaluation.points.clear();
                evaluation.points.extend_from_slice(points);
                (evaluation.at, evaluation.decision, evaluation.certainty) =
                    (now, decision, certainty);
            }
            None => {
                let points = points.to_vec();
                self.evaluation = Some(Arc::new(Evaluation {
                    at: now,
                    points,
                    decision,
                    certainty,
                }));
            }
        }
        self.enter(decision.verdict.state(self.state), alarm, now)
    }

    fn enter(&mut self, to: StateValue, alarm: &MetricAlarm, now: Timestamp) -> Option<Transition> {
        let from = self.state;
        let evaluation = self.evaluation.as_ref().filter(|_| from != to)?;
        let basis = evaluation.decision.basis;
        self.reason = reason::text(alarm, to, &evaluation.points, basis);
        self.reason_data = Some(Arc::new(reason::data(
            alarm,
            now,
            &evaluation.points,
            basis,
        )));
        self.state = to;
        self.transitioned_at = Some(now);
        *self
            .transitions
            .entry((from.name(), to.name()))
            .or_default() += 1;
        let (reason, certainty) = (self.reason.clone(), evaluation.certainty.clone());
        Some(Transition {
            alarm: Arc::clone(&self.alarm),
            at: now,
            from,
            to,
            reason,
            certainty,
        })
    }
}

/// How far the decision on the evaluation range can be relied on; `points` is the longest plausible range.
fn certainty(
    alarm: &MetricAlarm,
    previous: StateValue,
    decision: Decision,
    points: &[Point],
    known_since: Timestamp,
) -> Certainty {
    let (shortest, longest) = plausible_ranges(alarm.period, alarm.evaluation_periods);
    let range = evaluation_range(alarm.period, alarm.evaluation_periods) as usize;
    let oldest = match decision.basis.filled {
        0 => points
            .iter()
            .filter(|point| point.value.is_some())
            .nth(decision.basis.used.saturating_sub(1)),
        _ => points.get(range - 1),
    };
    if oldest.is_some_and(|oldest| oldest.start < known_since) {
        return Certainty::HistoryIncomplete;
    }
    if decision.verdict == Verdict::Undetermined || decision.disputed {
        return Certainty::Undetermined;
    }
    // With N datapoints in the shortest range all are alike, and they differ only in what lies beyond it.
    let (shortest_range, beyond) = points.split_at(shortest as usize);
    let alike = decide(shortest_range, alarm).basis.filled == 0
        || beyond.iter().all(|point| point.value.is_none());
    if !alike {
        let state = decision.verdict.state(previous);
        let differs = |range: &u32| {
            decide(&points[..*range as usize], alarm)
                .verdict
                .state(previous)
                != state
        };
        let others: Vec<u32> = (shortest..=longest).filter(differs).collect();
        if !others.is_empty() {
            return Certainty::DependsOnRange(others);
        }
    }
    match alarm.metric.namespace.as_str() {
        "AWS/EC2" => Certainty::MeasuredInGuest,
        _ => Certainty::Determined,
    }
}

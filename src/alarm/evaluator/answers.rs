//! Alarms on queries that only CloudWatch can run, judged on what these are said to have returned (SPEC sections 10 to 12).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::super::contributors::{
    Answer, CONTRIBUTORS_MAX, Changed as ContributorChanged, Judgement, Rules, SINGLE,
    on_contributors, verdict_on_nothing,
};
use super::super::decision::{Decision, Terms, Verdict, alarm_if};
use super::super::history::{HistoryEvent, StateSnapshot};
use super::super::judge::Judged;
use super::super::reason::{Wording, of_contributors, of_returned};
use super::super::reason_data::QueryResultsData;
use super::super::schedule::Ranges;
use super::super::tracked::{Kind, QueryState, Tracked, frame, wording};
use super::super::{
    Certainty, Comparison, EvaluationState, LogAlarm, MetricAlarm, Point, PromQlAlarm, ReasonData,
    Rule, StateValue, TreatMissingData,
};
use super::{Evaluator, Events};

/// What a query's answer comes to.
struct Found {
    decision: Decision,
    certainty: Certainty,
    reason: Box<dyn Fn(StateValue) -> (String, Option<ReasonData>)>,
    changed: Vec<ContributorChanged>,
}

impl Evaluator {
    /// Judges an alarm on what its query returned at `at`. Returns whether there is such an alarm.
    pub fn answer(
        &mut self,
        name: &str,
        answer: &Answer,
        at: Timestamp,
        events: &mut Events,
    ) -> bool {
        let Some(place) = self.graph.place(name) else {
            return false;
        };
        let tracked = &mut self.alarms[place];
        let alarm = Arc::clone(&tracked.alarm);
        if !matches!(tracked.kind, Kind::Queries(_)) {
            return false;
        }
        let answer = &*over_nothing(&alarm.rule, answer, at);
        if tracked.is_warming_up_on(answer.has_data(), at) {
            self.warm_up(place, answer, at, events);
            return true;
        }
        let previous = tracked.state;
        let Kind::Queries(queries) = &mut tracked.kind else {
            return false;
        };
        let found = match &alarm.rule {
            Rule::Metric(alarm) => {
                let range = self.options.evaluation_range;
                on_insights(queries, alarm, range, answer, at, previous)
            }
            Rule::PromQl(alarm) => on_promql(queries, alarm, answer, at),
            Rule::Log(alarm) => on_log(queries, alarm, answer, at, previous),
            Rule::Composite(_) => return false,
        };
        let turned = tracked.not_mirrored.take().is_some();
        let partial = match &tracked.kind {
            Kind::Queries(queries) => queries.is_partial(answer),
            _ => false,
        };
        tracked.evaluation_state = partial.then_some(EvaluationState::PartialData);
        remember(tracked, found.changed, at);
        let judged = Judged {
            at,
            end: at,
            decision: found.decision,
            certainty: found.certainty,
        };
        match tracked.found(judged, found.reason) {
            Some(transition) => self.changed(place, transition, events),
            None if turned => self.turned(place, at, events),
            None => {}
        }
        self.release_actions(at, events);
        // A contributor of PromQL that has vanished is still in its recovery period.
        let is_promql = matches!(alarm.rule, Rule::PromQl(_));
        if let Kind::Queries(queries) = &mut self.alarms[place].kind
            && !is_promql
        {
            queries.contributors.forget_vanished();
        }
        self.find_next_due();
        true
    }

    /// An alarm is not judged while it warms up, but what its query returns until then counts.
    fn warm_up(&mut self, place: usize, answer: &Answer, at: Timestamp, events: &mut Events) {
        let Tracked {
            alarm,
            kind,
            not_mirrored,
            ..
        } = &mut self.alarms[place];
        if let (Rule::Log(alarm), Kind::Queries(queries)) = (&alarm.rule, kind) {
            remembered(queries, answer, alarm, at);
        }
        if not_mirrored.take().is_some() {
            self.turned(place, at, events);
            self.release_actions(at, events);
            self.find_next_due();
        }
    }
}

impl QueryState {
    /// Whether there were too many series to look at all that were returned.
    fn is_partial(&self, answer: &Answer) -> bool {
        let is_known = |name| self.contributors.known.contains_key(name);
        single(answer).is_none() && !answer.series.keys().all(is_known)
    }
}

/// What an answer without any series means: of a count it is zero (SPEC section 12).
fn over_nothing<'a>(rule: &Rule, answer: &'a Answer, at: Timestamp) -> Cow<'a, Answer> {
    match rule {
        Rule::Log(alarm)
            if answer.series.is_empty() && alarm.query.aggregation.is_zero_over_nothing() =>
        {
            let zero = Point {
                start: at,
                value: Some(0.0),
                sample_count: 0.0,
                band: None,
            };
            Cow::Owned(Answer {
                series: [(SINGLE.to_owned(), vec![zero])].into(),
            })
        }
        _ => Cow::Borrowed(answer),
    }
}

fn remember(tracked: &mut Tracked, changed: Vec<ContributorChanged>, at: Timestamp) {
    for (contributor, state, reason) in changed {
        let Kind::Queries(queries) = &tracked.kind else {
            return;
        };
        let Some(now) = queries.contributors.known.get(&contributor) else {
            continue;
        };
        let snapshot = |state, reason| StateSnapshot {
            state,
            reason,
            reason_data: None,
        };
        let new = snapshot(now.state, Arc::clone(&now.reason));
        let old = snapshot(state, reason);
        let event = HistoryEvent::ContributorStateUpdate {
            contributor,
            old,
            new,
        };
        tracked.remember(at, event);
    }
}

fn on_promql(
    queries: &mut QueryState,
    alarm: &PromQlAlarm,
    answer: &Answer,
    at: Timestamp,
) -> Found {
    let mut changed = Vec::new();
    let boundary = queries
        .contributors
        .returned(answer, alarm, at, &mut changed);
    let in_alarm = queries.contributors.in_alarm();
    Found {
        decision: on_contributors(Verdict::State(alarm_if(in_alarm > 0))),
        certainty: match boundary {
            true => Certainty::Undetermined,
            false => Certainty::Determined,
        },
        reason: Box::new(move |_| (of_returned(in_alarm), None)),
        changed,
    }
}

fn on_insights(
    queries: &mut QueryState,
    alarm: &MetricAlarm,
    range: Option<u32>,
    answer: &Answer,
    at: Timestamp,
    previous: StateValue,
) -> Found {
    let rules = Rules {
        wording: wording(alarm),
        ranges: Ranges::of(alarm, range),
        ignores_gaps: false,
    };
    queries.points.clear();
    if let Some(points) = single(answer) {
        let Judgement {
            decision,
            certainty,
            points,
        } = rules.judge(points, previous);
        queries.points.clone_from(&points);
        let alarm = alarm.clone();
        return Found {
            decision,
            certainty,
            reason: Box::new(move |state| {
                let text = self::wording(&alarm).text(state, &points, decision.basis);
                (
                    text,
                    Some(frame(&alarm, at).data(&points, decision.basis.used)),
                )
            }),
            changed: Vec::new(),
        };
    }
    on_several(queries, answer, rules, at, "time series")
}

/// Several series, or none: the alarm is in ALARM if one of them is.
fn on_several(
    queries: &mut QueryState,
    answer: &Answer,
    rules: Rules<'_>,
    at: Timestamp,
    noun: &'static str,
) -> Found {
    let mut changed = Vec::new();
    let wording = rules.wording;
    let certainty = queries.contributors.judged(answer, rules, at, &mut changed);
    let (in_alarm, all) = (queries.contributors.in_alarm(), answer.series.len());
    let verdict = match all {
        0 => verdict_on_nothing(wording.terms.treatment),
        _ => Verdict::State(alarm_if(in_alarm > 0)),
    };
    let mut decision = on_contributors(verdict);
    decision.basis.filled = if all == 0 { wording.terms.n } else { 0 };
    let nothing = StateValue::ALL.map(|state| wording.text(state, &[], decision.basis));
    Found {
        decision,
        certainty,
        reason: Box::new(move |state| match all {
            0 => (nothing[state as usize].clone(), None),
            _ => (of_contributors(in_alarm, all, noun), None),
        }),
        changed,
    }
}

fn on_log(
    queries: &mut QueryState,
    alarm: &LogAlarm,
    answer: &Answer,
    at: Timestamp,
    previous: StateValue,
) -> Found {
    let terms = Terms {
        n: alarm.results_to_evaluate as usize,
        m: alarm.results_to_alarm as usize,
        treatment: alarm
            .treat_missing_data
            .unwrap_or(TreatMissingData::Missing),
    };
    let comparison = Comparison::Threshold {
        operator: alarm.operator,
        threshold: alarm.threshold,
    };
    let rules = Rules {
        wording: log_wording(&comparison, terms),
        ranges: Ranges::exactly(terms.n),
        ignores_gaps: true,
    };
    queries.points.clear();
    let results = remembered(queries, answer, alarm, at);
    let Some(points) = single(&results) else {
        return on_several(queries, &results, rules, at, "contributors");
    };
    let Judgement {
        decision,
        certainty,
        points,
    } = rules.judge(points, previous);
    queries.points.clone_from(&points);
    let threshold = alarm.threshold;
    Found {
        decision,
        certainty,
        reason: Box::new(move |state| {
            let text = log_wording(&comparison, terms).text(state, &points, decision.basis);
            let data = QueryResultsData {
                threshold,
                to_evaluate: terms.n,
                to_alarm: terms.m,
                results: points.clone(),
            };
            (text, Some(ReasonData::QueryResults(data)))
        }),
        changed: Vec::new(),
    }
}

fn log_wording(comparison: &Comparison, terms: Terms) -> Wording<'_> {
    Wording {
        comparison,
        terms,
        tells_minimum: true,
        noun: "query results",
    }
}

/// The datapoints of the only series, if the query has no groups.
fn single(answer: &Answer) -> Option<&Vec<Point>> {
    answer
        .series
        .get(SINGLE)
        .filter(|_| answer.series.len() == 1)
}

/// The newest N results of every series, with those of this answer. A series without one has a missing result; a group
/// without one is no longer there (SPEC section 12).
fn remembered(
    queries: &mut QueryState,
    answer: &Answer,
    alarm: &LogAlarm,
    at: Timestamp,
) -> Answer {
    let n = alarm.results_to_evaluate as usize;
    if alarm.query.aggregation.has_groups() {
        let is_returned = |name: &String| answer.series.contains_key(name);
        queries.results.retain(|name, _| is_returned(name));
    }
    for name in answer.series.keys() {
        if queries.results.len() < CONTRIBUTORS_MAX && !queries.results.contains_key(name) {
            queries.results.insert(name.clone(), VecDeque::new());
        }
    }
    let missing = [Point {
        start: at,
        value: None,
        sample_count: 0.0,
        band: None,
    }];
    for (name, results) in &mut queries.results {
        let new = answer.series.get(name).map_or(&missing[..], Vec::as_slice);
        results.extend(new);
        results.drain(..results.len().saturating_sub(n));
    }
    let exists = |results: &VecDeque<Point>| results.iter().any(|point| point.value.is_some());
    queries.results.retain(|_, results| exists(results));
    let series = queries.results.iter();
    Answer {
        series: series
            .map(|(name, results)| (name.clone(), results.iter().copied().collect()))
            .collect(),
    }
}

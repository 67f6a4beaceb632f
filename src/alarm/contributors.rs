//! Alarms on several series at once: each is a contributor with a state of its own (SPEC sections 10, 11 and 12).
//!
//! What the series are is given: the queries behind them can only be run by CloudWatch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::certainty::Ground;
use super::decision::{Decision, Verdict, alarm_if, decide};
use super::range::{EvaluationRange, Point};
use super::reason::{self, Wording};
use super::schedule::Ranges;
use super::{Basis, Certainty, PromQlAlarm, StateValue, TreatMissingData};

/// The most series that are looked at of those that a query returned (SPEC sections 10 to 12): those known already, then the
/// first by name.
pub const CONTRIBUTORS_MAX: usize = 500;

/// The most that are known, with those in their recovery period.
const KNOWN_MAX: usize = 2 * CONTRIBUTORS_MAX;

/// The name of the only series of a query without groups.
pub const SINGLE: &str = "";

/// What the query of an alarm returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The datapoints of each contributor, oldest first; of PromQL, whose result is an instant, the names alone count.
    pub series: BTreeMap<String, Vec<Point>>,
}

impl Answer {
    /// Whether there is any datapoint that is not missing.
    pub(super) fn has_data(&self) -> bool {
        let mut points = self.series.values().flatten();
        points.any(|point| point.value.is_some())
    }
}

/// One of the series of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributor {
    pub state: StateValue,
    pub reason: Arc<str>,
    /// When it came to be returned, or to be no longer.
    since: Timestamp,
    returned: bool,
}

/// Every series that an alarm knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Contributors {
    pub(super) known: BTreeMap<String, Contributor>,
}

/// A contributor whose state changed, with the state and reason it had before.
pub(super) type Changed = (String, StateValue, Arc<str>);

impl Contributor {
    fn new(at: Timestamp, returned: bool) -> Self {
        Self {
            state: StateValue::Ok,
            reason: reason::INITIAL.into(),
            since: at,
            returned,
        }
    }

    /// The state and reason before, if the state is another now.
    fn enter(&mut self, state: StateValue, reason: String) -> Option<(StateValue, Arc<str>)> {
        if self.state == state {
            return None;
        }
        let before = (
            self.state,
            std::mem::replace(&mut self.reason, reason.into()),
        );
        self.state = state;
        Some(before)
    }
}

impl Contributors {
    pub(super) fn in_alarm(&self) -> usize {
        let in_alarm = |contributor: &&Contributor| contributor.state == StateValue::Alarm;
        self.known.values().filter(in_alarm).count()
    }

    /// An instant PromQL query returned these series: one goes to ALARM when it has been returned for the pending period, and
    /// back when it has been absent for the recovery period. Of too many, those that are known already are looked at. Returns
    /// whether one stands exactly on such a boundary, of which AWS does not say on which side it lies.
    pub(super) fn returned(
        &mut self,
        answer: &Answer,
        alarm: &PromQlAlarm,
        at: Timestamp,
        changed: &mut Vec<Changed>,
    ) -> bool {
        self.admit(answer, at);
        let mut boundary = false;
        for (name, contributor) in &mut self.known {
            let returned = answer.series.contains_key(name);
            if contributor.returned != returned {
                (contributor.returned, contributor.since) = (returned, at);
            }
            let (state, needed) = match returned {
                true => (StateValue::Alarm, alarm.pending_period),
                false => (StateValue::Ok, alarm.recovery_period),
            };
            let lasted = at - contributor.since;
            if lasted < needed || contributor.state == state {
                continue;
            }
            boundary |= lasted == needed && needed > 0;
            let reason = match returned {
                true => format!("The query has returned this contributor for {lasted} seconds"),
                false => reason::VANISHED.to_owned(),
            };
            let before = contributor.enter(state, reason);
            changed.extend(before.map(|(state, reason)| (name.clone(), state, reason)));
        }
        self.known.retain(|_, contributor| {
            contributor.returned || contributor.state == StateValue::Alarm
        });
        boundary
    }

    /// Makes the series known that a query returned, as far as there is room.
    fn admit(&mut self, answer: &Answer, at: Timestamp) {
        let is_returned = |name: &&String| answer.series.contains_key(*name);
        let mut returned = self.known.keys().filter(is_returned).count();
        for name in answer.series.keys() {
            let has_room = returned < CONTRIBUTORS_MAX && self.known.len() < KNOWN_MAX;
            if has_room && !self.known.contains_key(name) {
                self.known.insert(name.clone(), Contributor::new(at, true));
                returned += 1;
            }
        }
    }

    /// A query returned these series with their datapoints: each is judged like an alarm, but knows only OK and ALARM. One
    /// that is no longer returned is OK, whatever missing data is treated as. Returns how certain the least certain one is.
    pub(super) fn judged(
        &mut self,
        answer: &Answer,
        rules: Rules<'_>,
        at: Timestamp,
        changed: &mut Vec<Changed>,
    ) -> Certainty {
        let mut certainty = Certainty::Determined;
        for (name, contributor) in &mut self.known {
            if !answer.series.contains_key(name) {
                contributor.returned = false;
                let before = contributor.enter(StateValue::Ok, reason::VANISHED.to_owned());
                changed.extend(before.map(|(state, reason)| (name.clone(), state, reason)));
            }
        }
        self.admit(answer, at);
        for (name, contributor) in &mut self.known {
            let Some(points) = answer.series.get(name) else {
                continue;
            };
            contributor.returned = true;
            let found = rules.judge(points, contributor.state);
            let (decision, points) = (found.decision, found.points);
            certainty = certainty.and(&found.certainty);
            let state = match decision.verdict.state(contributor.state) {
                StateValue::InsufficientData => contributor.state,
                state => state,
            };
            let text = rules.wording.contributor(state, &points, decision.basis);
            let before = contributor.enter(state, text);
            changed.extend(before.map(|(state, reason)| (name.clone(), state, reason)));
        }
        certainty
    }

    /// Forgets what is OK and no longer returned.
    pub(super) fn forget_vanished(&mut self) {
        self.known.retain(|_, contributor| contributor.returned);
    }
}

/// How the datapoints of a series are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) wording: Wording<'a>,
    pub(super) ranges: Ranges,
    /// Whether `ignore` goes by the datapoints there are: so do log alarms, unlike metric alarms (SPEC section 12).
    pub(super) ignores_gaps: bool,
}

/// What the datapoints of one series come to.
pub(super) struct Judgement {
    pub(super) decision: Decision,
    pub(super) certainty: Certainty,
    /// Newest first.
    pub(super) points: Vec<Point>,
}

impl Rules<'_> {
    /// The verdict on datapoints that come oldest first, in the state `previous`.
    pub(super) fn judge(&self, points: &[Point], previous: StateValue) -> Judgement {
        let Self {
            wording, ranges, ..
        } = *self;
        let terms = wording.terms;
        let mut seen = EvaluationRange::new(ranges.longest);
        for point in points {
            seen.push(*point, wording.comparison, 0.0);
        }
        let mut decision = decide(seen.tally(ranges.assumed, terms.n), terms);
        let ground = Ground {
            range: &seen,
            ranges,
            terms,
            previous,
            disputed: false,
            retains: false,
            known_since: Timestamp::MIN,
            in_guest: false,
        };
        let mut certainty = ground.certainty(decision);
        let ignores = self.ignores_gaps && terms.treatment == TreatMissingData::Ignore;
        if ignores && decision.basis.used > 0 {
            decision.verdict = Verdict::State(alarm_if(decision.basis.breaching >= terms.m));
            certainty = Certainty::Determined;
        }
        Judgement {
            decision,
            certainty,
            points: seen.points(ranges.assumed),
        }
    }
}

/// What an alarm does whose query returned nothing at all: the treatment of missing data applies to the alarm.
pub(super) fn verdict_on_nothing(treatment: TreatMissingData) -> Verdict {
    match treatment {
        TreatMissingData::Breaching => Verdict::State(StateValue::Alarm),
        TreatMissingData::NotBreaching => Verdict::State(StateValue::Ok),
        TreatMissingData::Missing => Verdict::State(StateValue::InsufficientData),
        TreatMissingData::Ignore => Verdict::Retain,
    }
}

/// A decision that rests on no datapoint of the alarm's own.
pub(super) fn on_contributors(verdict: Verdict) -> Decision {
    Decision {
        verdict,
        basis: Basis::default(),
        premature: false,
    }
}

//! Alarms on several series at once: each is a contributor with a state of its own (SPEC sections 10, 11 and 12).
//!
//! What the series are is given: the queries behind them can only be run by CloudWatch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::decision::{Decision, Verdict, decide};
use super::range::{EvaluationRange, Point};
use super::reason::{self, Wording};
use super::{Basis, PromQlAlarm, StateValue, TreatMissingData};

/// The most series that are known of one alarm (SPEC sections 10 to 12); of more, the first by name.
pub const CONTRIBUTORS_MAX: usize = 500;

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
        for name in answer.series.keys() {
            if self.known.len() < CONTRIBUTORS_MAX && !self.known.contains_key(name) {
                self.known.insert(name.clone(), Contributor::new(at, true));
            }
        }
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

    /// A query returned these series with their datapoints: each is judged like an alarm, but knows only OK and ALARM. One
    /// that is no longer returned is OK, whatever missing data is treated as.
    pub(super) fn judged(
        &mut self,
        answer: &Answer,
        range: usize,
        wording: Wording<'_>,
        at: Timestamp,
        changed: &mut Vec<Changed>,
    ) {
        for (name, contributor) in &mut self.known {
            if !answer.series.contains_key(name) {
                contributor.returned = false;
                let before = contributor.enter(StateValue::Ok, reason::VANISHED.to_owned());
                changed.extend(before.map(|(state, reason)| (name.clone(), state, reason)));
            }
        }
        for (name, points) in answer.series.iter().take(CONTRIBUTORS_MAX) {
            let contributor = self
                .known
                .entry(name.clone())
                .or_insert_with(|| Contributor::new(at, true));
            contributor.returned = true;
            let (decision, points) = judge(points, range, wording);
            let state = match decision.verdict.state(contributor.state) {
                StateValue::InsufficientData => contributor.state,
                state => state,
            };
            let text = wording.contributor(state, &points, decision.basis);
            let before = contributor.enter(state, text);
            changed.extend(before.map(|(state, reason)| (name.clone(), state, reason)));
        }
    }

    /// Forgets what is OK and no longer returned.
    pub(super) fn forget_vanished(&mut self) {
        self.known.retain(|_, contributor| contributor.returned);
    }
}

/// The verdict on datapoints that come oldest first, and the datapoints newest first.
pub(super) fn judge(
    points: &[Point],
    range: usize,
    wording: Wording<'_>,
) -> (Decision, Vec<Point>) {
    let mut seen = EvaluationRange::new(range);
    for point in points {
        seen.push(*point, wording.comparison, 0.0);
    }
    let decision = decide(seen.tally(range, wording.terms.n), wording.terms);
    (decision, seen.points(range))
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

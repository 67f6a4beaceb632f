//! How far a verdict can be relied on.

use crate::metric::Timestamp;

use super::StateValue;
use super::decision::{Decision, Terms, Verdict, decide};
use super::range::EvaluationRange;
use super::schedule::Ranges;

/// How far a verdict can be relied on. The first of these that applies is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// This program has not watched the metric for the whole range yet.
    HistoryIncomplete,
    /// AWS's documents leave the state open, or contradict each other.
    Undetermined,
    /// CloudWatch's evaluation range is undocumented; with one of these the state would be another.
    DependsOnRange(Vec<u32>),
    /// CloudWatch computes the statistic approximately, and the threshold lies within what that leaves open.
    NearThreshold,
    /// The metric is published by the hypervisor, which counts steal and credits otherwise than the guest.
    MeasuredInGuest,
    Determined,
}

impl Certainty {
    /// As the log, the API and the page write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Determined => "determined",
            Self::DependsOnRange(_) => "depends on the evaluation range",
            Self::Undetermined => "undetermined by AWS's documents",
            Self::NearThreshold => "near the threshold of an approximate statistic",
            Self::HistoryIncomplete => "history incomplete",
            Self::MeasuredInGuest => "measured in the guest",
        }
    }

    /// Less is less certain.
    fn rank(&self) -> u8 {
        match self {
            Self::HistoryIncomplete => 0,
            Self::Undetermined => 1,
            Self::DependsOnRange(_) => 2,
            Self::NearThreshold => 3,
            Self::MeasuredInGuest => 4,
            Self::Determined => 5,
        }
    }

    /// The less certain one: what rests on both is no more certain than that.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        if other.rank() < self.rank() {
            other.clone()
        } else {
            self
        }
    }
}

/// What a verdict was found from, and what is known about that.
pub(super) struct Ground<'a> {
    pub(super) range: &'a EvaluationRange,
    pub(super) ranges: Ranges,
    pub(super) terms: Terms,
    pub(super) previous: StateValue,
    /// Whether AWS's documents leave open how this alarm's datapoints are computed or missing ones treated.
    pub(super) disputed: bool,
    /// Whether there are too few samples to judge, and the state is kept.
    pub(super) retains: bool,
    /// Since when every sample is known.
    pub(super) known_since: Timestamp,
    pub(super) in_guest: bool,
}

impl Ground<'_> {
    /// How far `decision`, made on the assumed range, can be relied on.
    pub(super) fn certainty(&self, decision: Decision) -> Certainty {
        if self.is_history_incomplete(decision) {
            return Certainty::HistoryIncomplete;
        }
        if self.is_undetermined(decision) {
            return Certainty::Undetermined;
        }
        if self.retains {
            // Too few samples for a percentile: the state is kept, whatever they say.
            return self.measured();
        }
        let state = decision.verdict.state(self.previous);
        if let Some(ranges) = self.ranges_that_differ(state) {
            return Certainty::DependsOnRange(ranges);
        }
        if self.is_near(state) {
            return Certainty::NearThreshold;
        }
        self.measured()
    }

    fn measured(&self) -> Certainty {
        match self.in_guest {
            true => Certainty::MeasuredInGuest,
            false => Certainty::Determined,
        }
    }

    /// Whether the oldest datapoint that counts lies before the history: with N datapoints the oldest one used, with fewer
    /// the oldest period of the range, which might hold one.
    fn is_history_incomplete(&self, decision: Decision) -> bool {
        let assumed = self.ranges.assumed;
        let is_unknown = |age| {
            let start = self.range.start(age);
            start.is_some_and(|start| start < self.known_since)
        };
        is_unknown(assumed)
            && match decision.basis.filled {
                0 => is_unknown(self.range.tally(assumed, self.terms.n).oldest),
                _ => true,
            }
    }

    fn is_undetermined(&self, decision: Decision) -> bool {
        let fills = decision.basis.filled > 0;
        decision.verdict == Verdict::Undetermined
            || self.disputed
            || fills && self.ranges.cut_by_retention
            || decision.premature && !self.range.exists_between(self.terms.m, self.terms.n)
    }

    /// The plausible ranges with which the state would be another, if there are any.
    fn ranges_that_differ(&self, state: StateValue) -> Option<Vec<u32>> {
        let Ranges {
            shortest, longest, ..
        } = self.ranges;
        // With N datapoints in the shortest range all are alike.
        if shortest == longest || self.range.existing(shortest) >= self.terms.n {
            return None;
        }
        // They also are when they differ only in what is missing.
        if !self.range.exists_between(shortest + 1, longest) {
            return None;
        }
        let decided = |range| decide(self.range.tally(range, self.terms.n), self.terms);
        let differs = |range: &usize| decided(*range).verdict.state(self.previous) != state;
        let others = (shortest..=longest).filter(differs);
        let others: Vec<u32> = others
            .filter_map(|range| u32::try_from(range).ok())
            .collect();
        (!others.is_empty()).then_some(others)
    }

    fn is_near(&self, state: StateValue) -> bool {
        let differs = |breaching| {
            let tally = self
                .range
                .tally_if_near(breaching, self.ranges.assumed, self.terms.n);
            decide(tally, self.terms).verdict.state(self.previous) != state
        };
        self.range.has_near() && (differs(true) || differs(false))
    }
}

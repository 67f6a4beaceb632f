//! The next state of an alarm from the datapoints in its evaluation range: SPEC section 5.

use super::{StateValue, TreatMissingData};

/// What the datapoints say about the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    State(StateValue),
    /// The alarm keeps the state it has.
    Retain,
    /// AWS's documents say only that this does not lead to ALARM (SPEC section 5.3); the state is kept.
    Undetermined,
}

impl Verdict {
    /// The state that follows on `previous`.
    pub fn state(self, previous: StateValue) -> StateValue {
        match self {
            Self::State(state) => state,
            Self::Retain | Self::Undetermined => previous,
        }
    }
}

/// Which datapoints a verdict rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// How many of the newest existing datapoints were used.
    pub used: usize,
    /// How many of those are breaching.
    pub breaching: usize,
    /// How many missing datapoints were counted as the treatment says, so that there were N.
    pub filled: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub basis: Basis,
    /// Whether the premature rule decided: only breaching datapoints, too few of them, and one is old enough.
    pub premature: bool,
}

/// When an alarm goes off: M of N datapoints, and what a missing one counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) n: usize,
    pub(super) m: usize,
    pub(super) treatment: TreatMissingData,
}

/// The datapoints of an evaluation range, counted. Ages are in periods, the newest period being 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many exist, N at most.
    pub(super) used: usize,
    /// How many of those are breaching.
    pub(super) breaching: usize,
    /// The age of the oldest one used; 0 if there is none.
    pub(super) oldest: usize,
}

impl Tally {
    /// Counts datapoints newest first: `None` for a missing one, otherwise whether it is breaching.
    pub(super) fn of(points: impl Iterator<Item = Option<bool>>, n: usize) -> Self {
        let mut tally = Self::default();
        let existing = points
            .enumerate()
            .filter_map(|(k, breaching)| Some((k + 1, breaching?)));
        for (age, breaching) in existing.take(n) {
            tally.used += 1;
            tally.breaching += usize::from(breaching);
            tally.oldest = age;
        }
        tally
    }
}

/// Judges the datapoints of an evaluation range.
///
/// With N existing datapoints or more, the newest N decide and missing data plays no part. With fewer, all that exist are
/// used, and as many missing ones as are wanting to N count as the treatment says (SPEC section 5.2).
pub(super) fn decide(tally: Tally, terms: Terms) -> Decision {
    let Tally {
        used, breaching, ..
    } = tally;
    let filled = terms.n.saturating_sub(used);
    let (verdict, premature) = match filled {
        0 => (Verdict::State(alarm_if(breaching >= terms.m)), false),
        _ => with_missing(tally, filled, terms),
    };
    Decision {
        verdict,
        basis: Basis {
            used,
            breaching,
            filled,
        },
        premature,
    }
}

/// Rule 3: too few datapoints exist. Returns the verdict and whether it comes from the premature rule.
fn with_missing(tally: Tally, filled: usize, Terms { m, treatment, .. }: Terms) -> (Verdict, bool) {
    let retain_or = |state| {
        if treatment == TreatMissingData::Ignore {
            Verdict::Retain
        } else {
            Verdict::State(state)
        }
    };
    let Tally {
        used,
        breaching,
        oldest,
    } = tally;
    let verdict = match treatment {
        TreatMissingData::Breaching => Verdict::State(alarm_if(breaching + filled >= m)),
        TreatMissingData::NotBreaching => Verdict::State(alarm_if(breaching >= m)),
        TreatMissingData::Missing | TreatMissingData::Ignore if used == 0 => {
            retain_or(StateValue::InsufficientData)
        }
        TreatMissingData::Missing | TreatMissingData::Ignore if breaching >= m => {
            Verdict::State(StateValue::Alarm)
        }
        TreatMissingData::Missing | TreatMissingData::Ignore if breaching < used => {
            Verdict::State(StateValue::Ok)
        }
        // Every datapoint is breaching, so the oldest one is the oldest breach. Whatever is still to come, it is old enough.
        TreatMissingData::Missing | TreatMissingData::Ignore if oldest >= m => {
            return (retain_or(StateValue::Alarm), true);
        }
        TreatMissingData::Missing | TreatMissingData::Ignore => Verdict::Undetermined,
    };
    (verdict, false)
}

/// ALARM or OK.
pub(super) fn alarm_if(condition: bool) -> StateValue {
    if condition {
        StateValue::Alarm
    } else {
        StateValue::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(m: usize, treatment: TreatMissingData) -> Terms {
        Terms { n: 3, m, treatment }
    }

    /// `0` real and not breaching, `X` real and breaching, `-` missing; the newest stands last.
    fn tally(pattern: &str) -> Tally {
        let breaching = |c| match c {
            '0' => Some(false),
            'X' => Some(true),
            _ => None,
        };
        Tally::of(pattern.chars().rev().map(breaching), 3)
    }

    #[track_caller]
    fn check(m: usize, pattern: &str, expected: [&str; 4]) {
        let treatments = [
            TreatMissingData::Missing,
            TreatMissingData::Ignore,
            TreatMissingData::Breaching,
            TreatMissingData::NotBreaching,
        ];
        let got =
            treatments.map(
                |treatment| match decide(tally(pattern), terms(m, treatment)).verdict {
                    Verdict::State(state) => state.name(),
                    Verdict::Retain => "retain",
                    Verdict::Undetermined => "undetermined",
                },
            );
        assert_eq!(got, expected, "{pattern} with M = {m}");
    }

    /// SPEC section 5.4: every row of both documented tables; columns missing, ignore, breaching, notBreaching.
    #[test]
    fn the_documented_tables_hold() {
        check(3, "0-X-X", ["OK", "OK", "OK", "OK"]);
        check(3, "0----", ["OK", "OK", "OK", "OK"]);
        check(3, "-----", ["INSUFFICIENT_DATA", "retain", "ALARM", "OK"]);
        check(3, "0XX-X", ["ALARM", "ALARM", "ALARM", "ALARM"]);
        check(3, "--X--", ["ALARM", "retain", "ALARM", "OK"]);
        check(2, "0-X-X", ["ALARM", "ALARM", "ALARM", "ALARM"]);
        check(2, "00X0X", ["ALARM", "ALARM", "ALARM", "ALARM"]);
        check(2, "0-X--", ["OK", "OK", "ALARM", "OK"]);
        check(2, "----0", ["OK", "OK", "ALARM", "OK"]);
        check(2, "---X-", ["ALARM", "retain", "ALARM", "OK"]);
    }

    #[test]
    fn the_premature_rule_waits_until_the_breach_is_old_enough() {
        check(3, "----X", ["undetermined", "undetermined", "ALARM", "OK"]);
        check(3, "---X-", ["undetermined", "undetermined", "ALARM", "OK"]);
        check(3, "---X0", ["OK", "OK", "OK", "OK"]);
        check(3, "--X-0", ["OK", "OK", "OK", "OK"]);
        let missing = terms(3, TreatMissingData::Missing);
        assert!(decide(tally("--X--"), missing).premature);
        assert!(!decide(tally("XXX--"), missing).premature);
    }

    #[test]
    fn the_newest_existing_datapoints_decide_wherever_they_lie() {
        check(3, "X0XX-", ["OK", "OK", "OK", "OK"]);
        check(1, "X-000", ["OK", "OK", "OK", "OK"]);
        check(1, "X-00-", ["ALARM", "ALARM", "ALARM", "ALARM"]);
    }

    #[test]
    fn gaps_are_filled_up_to_n_not_to_the_range() {
        let decision = decide(tally("0----"), terms(3, TreatMissingData::Breaching));
        let basis = Basis {
            used: 1,
            breaching: 0,
            filled: 2,
        };
        assert_eq!(decision.basis, basis);
    }
}

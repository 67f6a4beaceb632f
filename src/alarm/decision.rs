//! The next state of a metric alarm from the datapoints in its evaluation range: SPEC section 5.

use super::{MetricAlarm, Point, StateValue, TreatMissingData};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// AWS's documents can be read otherwise: the only breach that is old enough lies beyond the N newest periods
    /// (SPEC section 5.3).
    pub disputed: bool,
}

/// What was seen of the datapoints used. Ages are counted in periods, the newest period being 1.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    used: usize,
    breaching: usize,
    oldest_breach: usize,
    /// Among the N newest periods.
    oldest_breach_in_n: usize,
}

/// Judges the datapoints of the evaluation range, newest first.
///
/// With N existing datapoints or more, the newest N decide and missing data plays no part. With fewer, all that exist are
/// used, and as many missing ones as are wanting to N count as the treatment says (SPEC section 5.2).
pub fn decide(points: &[Point], alarm: &MetricAlarm) -> Decision {
    let n = alarm.evaluation_periods as usize;
    let m = alarm.minimum_to_alarm() as usize;
    let mut seen = Seen::default();
    let existing = points
        .iter()
        .enumerate()
        .filter_map(|(k, point)| Some((k + 1, point.value?)));
    for (age, value) in existing.take(n) {
        seen.used += 1;
        if alarm.is_breaching(value) {
            seen.breaching += 1;
            seen.oldest_breach = age;
            if age <= n {
                seen.oldest_breach_in_n = age;
            }
        }
    }
    let basis = Basis {
        used: seen.used,
        breaching: seen.breaching,
        filled: n - seen.used,
    };
    if seen.used == n {
        return Decision {
            verdict: Verdict::State(alarm_if(seen.breaching >= m)),
            basis,
            disputed: false,
        };
    }
    let (verdict, disputed) = with_missing(seen, basis.filled, m, alarm.treatment());
    Decision {
        verdict,
        basis,
        disputed,
    }
}

/// Rule 3: too few datapoints exist. Returns the verdict and whether it is disputed.
fn with_missing(
    seen: Seen,
    filled: usize,
    m: usize,
    treatment: TreatMissingData,
) -> (Verdict, bool) {
    let Seen {
        used,
        breaching,
        oldest_breach,
        oldest_breach_in_n,
    } = seen;
    let retain_or = |state| {
        if treatment == TreatMissingData::Ignore {
            Verdict::Retain
        } else {
            Verdict::State(state)
        }
    };
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
        // The premature rule: whatever is still to come, the breach is old enough.
        TreatMissingData::Missing | TreatMissingData::Ignore if oldest_breach >= m => {
            return (retain_or(StateValue::Alarm), oldest_breach_in_n < m);
        }
        TreatMissingData::Missing | TreatMissingData::Ignore => Verdict::Undetermined,
    };
    (verdict, false)
}

fn alarm_if(condition: bool) -> StateValue {
    if condition {
        StateValue::Alarm
    } else {
        StateValue::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::ComparisonOperator;
    use crate::metric::{Metric, Period, Statistic, Timestamp};
    use std::sync::Arc;

    fn alarm(n: u32, m: u32, treatment: TreatMissingData) -> MetricAlarm {
        MetricAlarm {
            metric: Arc::new(Metric::new("n", "m", vec![])),
            statistic: Statistic::Average,
            unit: None,
            period: Period::new(300).unwrap(),
            evaluation_periods: n,
            datapoints_to_alarm: Some(m),
            comparison_operator: ComparisonOperator::GreaterThanThreshold,
            threshold: 1.0,
            treat_missing_data: Some(treatment),
        }
    }

    /// `0` real and not breaching, `X` real and breaching, `-` missing; the newest stands last.
    fn points(pattern: &str) -> Vec<Point> {
        let value = |c| match c {
            '0' => Some(0.0),
            'X' => Some(2.0),
            _ => None,
        };
        pattern
            .chars()
            .rev()
            .map(|c| Point {
                start: Timestamp::from_seconds(0),
                value: value(c),
                sample_count: 1.0,
            })
            .collect()
    }

    #[track_caller]
    fn check(m: u32, pattern: &str, expected: [&str; 4]) {
        let treatments = [
            TreatMissingData::Missing,
            TreatMissingData::Ignore,
            TreatMissingData::Breaching,
            TreatMissingData::NotBreaching,
        ];
        let got = treatments.map(|treatment| {
            match decide(&points(pattern), &alarm(3, m, treatment)).verdict {
                Verdict::State(state) => state.name(),
                Verdict::Retain => "retain",
                Verdict::Undetermined => "undetermined",
            }
        });
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
    }

    #[test]
    fn a_breach_beyond_the_n_newest_periods_is_disputed() {
        let disputed =
            |pattern| decide(&points(pattern), &alarm(3, 3, TreatMissingData::Missing)).disputed;
        assert_eq!(
            ["X----", "-X---", "--X--", "X-X--", "XX0--"].map(disputed),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn the_newest_existing_datapoints_decide_wherever_they_lie() {
        check(3, "X0XX-", ["OK", "OK", "OK", "OK"]);
        check(1, "X-000", ["OK", "OK", "OK", "OK"]);
        check(1, "X-00-", ["ALARM", "ALARM", "ALARM", "ALARM"]);
    }

    #[test]
    fn gaps_are_filled_up_to_n_not_to_the_range() {
        let decision = decide(&points("0----"), &alarm(3, 3, TreatMissingData::Breaching));
        assert_eq!(
            decision.basis,
            Basis {
                used: 1,
                breaching: 0,
                filled: 2
            }
        );
    }
}

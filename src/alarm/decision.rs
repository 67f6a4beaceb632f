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
}

/// Judges the datapoints of the evaluation range, newest first.
///
/// With N existing datapoints or more, the newest N decide and missing data plays no part. With fewer, all that exist are
/// used, and as many missing ones as are wanting to N count as the treatment says (SPEC section 5.2).
pub fn decide(points: &[Point], alarm: &MetricAlarm) -> Decision {
    let n = alarm.evaluation_periods as usize;
    let m = alarm.minimum_to_alarm() as usize;
    let (mut used, mut breaching, mut oldest_breach) = (0, 0, 0);
    for (k, value) in points
        .iter()
        .enumerate()
        .filter_map(|(k, point)| Some((k + 1, point.value?)))
        .take(n)
    {
        used += 1;
        if alarm.is_breaching(value) {
            breaching += 1;
            oldest_breach = k;
        }
    }
    let basis = Basis {
        used,
        breaching,
        filled: n - used,
    };
    let verdict = if used == n {
        Verdict::State(alarm_if(breaching >= m))
    } else {
        with_missing(basis, m, oldest_breach, alarm.treatment())
    };
    Decision { verdict, basis }
}

/// Rule 3: too few datapoints exist. `oldest_breach` is the age of the oldest breaching one in periods, the newest
/// period being 1.
fn with_missing(
    Basis {
        used,
        breaching,
        filled,
    }: Basis,
    m: usize,
    oldest_breach: usize,
    treatment: TreatMissingData,
) -> Verdict {
    let retain_or = |state| {
        if treatment == TreatMissingData::Ignore {
            Verdict::Retain
        } else {
            Verdict::State(state)
        }
    };
    match treatment {
        TreatMissingData::Breaching => Verdict::State(alarm_if(breaching + filled >= m)),
        TreatMissingData::NotBreaching => Verdict::State(alarm_if(breaching >= m)),
        TreatMissingData::Missing | TreatMissingData::Ignore => {
            if used == 0 {
                retain_or(StateValue::InsufficientData)
            } else if breaching >= m {
                Verdict::State(StateValue::Alarm)
            } else if breaching < used {
                Verdict::State(StateValue::Ok)
            } else if oldest_breach >= m {
                // The premature rule: whatever is still to come, the breach is old enough.
                retain_or(StateValue::Alarm)
            } else {
                Verdict::Undetermined
            }
        }
    }
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
                start: Timestamp(0),
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

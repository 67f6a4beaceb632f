//! Why an alarm is in its state, in CloudWatch's words: SPEC section 6.

use crate::metric::{Period, Statistic, Timestamp, Unit};

use super::number::in_reason as number;
use super::{Basis, MetricAlarm, Point, StateValue, TreatMissingData};

/// From this many datapoints on, a reason lists only the newest ones.
const LISTED_MAX: usize = 5;

/// `StateReasonData` has at most 4000 characters (SPEC section 6.4); so many datapoints, at up to 110 each, fit.
const REASON_DATAPOINTS_MAX: usize = 32;

/// The content of `StateReasonData` (SPEC section 6.4).
#[derive(Clone, Debug, PartialEq)]
pub struct ReasonData {
    pub query_date: Timestamp,
    /// The oldest datapoint used; `None` when there was none.
    pub start_date: Option<Timestamp>,
    /// Only if the alarm sets one.
    pub unit: Option<Unit>,
    pub statistic: Statistic,
    pub period: Period,
    /// Oldest first.
    pub recent_datapoints: Vec<f64>,
    pub threshold: f64,
    /// Newest first: the datapoints used or, where none exists, the missing ones.
    pub evaluated_datapoints: Vec<EvaluatedDatapoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EvaluatedDatapoint {
    pub timestamp: Timestamp,
    /// `None` for a missing datapoint.
    pub value: Option<f64>,
    pub sample_count: f64,
}

/// The state reason for entering `state` on these datapoints, newest first.
pub(super) fn text(
    alarm: &MetricAlarm,
    state: StateValue,
    points: &[Point],
    basis: Basis,
) -> String {
    let periods = alarm.evaluation_periods as usize;
    if state == StateValue::InsufficientData {
        return format!(
            "Insufficient Data: {} unknown.",
            counted(periods, "datapoint")
        );
    }
    let to_alarm = state == StateValue::Alarm;
    let used = points
        .iter()
        .filter(|point| point.value.is_some())
        .take(basis.used);
    let crossing: Vec<&Point> = used
        .filter(|point| {
            point
                .value
                .is_some_and(|value| alarm.is_breaching(value) == to_alarm)
        })
        .collect();
    if crossing.is_empty() {
        let received = if basis.used == 0 {
            "no datapoints were".to_owned()
        } else {
            counted(basis.used, "datapoint")
        };
        let periods = plural(periods, "period");
        return format!(
            "Threshold Crossed: {received} received for {periods}{}.",
            filled(alarm, basis)
        );
    }
    crossed(alarm, to_alarm, &crossing, basis)
}

fn crossed(alarm: &MetricAlarm, to_alarm: bool, crossing: &[&Point], basis: Basis) -> String {
    let listed = crossing.len() < LISTED_MAX;
    let list = list(&crossing[..crossing.len().min(LISTED_MAX)]);
    let subject = match alarm.datapoints_to_alarm {
        Some(_) => format!(
            "{} out of the last {} datapoints",
            crossing.len(),
            alarm.evaluation_periods
        ),
        None => plural(crossing.len(), "datapoint"),
    };
    let inline = if listed {
        format!(" {list}")
    } else {
        String::new()
    };
    let verb = was(crossing.len());
    let not = if to_alarm { "" } else { "not " };
    let (words, threshold) = (alarm.comparison_operator.words(), number(alarm.threshold));
    let fills = filled(alarm, basis);
    let trailing = if listed {
        String::new()
    } else {
        format!(". The most recent datapoints which crossed the threshold: {list}")
    };
    let minimum = minimum(alarm, to_alarm);
    format!(
        "Threshold Crossed: {subject}{inline} {verb} {not}{words} the threshold ({threshold}){fills}{trailing}{minimum}."
    )
}

/// `[21.5 (25/09/26 21:51:00), …]`, newest first.
fn list(points: &[&Point]) -> String {
    let written = |point: &&Point| {
        Some(format!(
            "{} ({})",
            number(point.value?),
            point.start.in_reason()
        ))
    };
    format!(
        "[{}]",
        points
            .iter()
            .filter_map(written)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn filled(alarm: &MetricAlarm, basis: Basis) -> String {
    let treated = match alarm.treatment() {
        TreatMissingData::Breaching => "Breaching",
        TreatMissingData::NotBreaching => "NonBreaching",
        TreatMissingData::Missing | TreatMissingData::Ignore => return String::new(),
    };
    match basis.filled {
        0 => String::new(),
        filled => format!(
            " and {} treated as [{treated}]",
            counted(filled, "missing datapoint")
        ),
    }
}

/// M for the way to ALARM, N − M + 1 for the way back; only where the definition sets M.
fn minimum(alarm: &MetricAlarm, to_alarm: bool) -> String {
    let Some(m) = alarm.datapoints_to_alarm else {
        return String::new();
    };
    let (minimum, way) = if to_alarm {
        (m, "OK -> ALARM")
    } else {
        (
            alarm.evaluation_periods.saturating_sub(m) + 1,
            "ALARM -> OK",
        )
    };
    format!(
        " (minimum {} for {way} transition)",
        plural(minimum as usize, "datapoint")
    )
}

/// `1 datapoint was`, `2 datapoints were`.
fn counted(count: usize, noun: &str) -> String {
    format!("{} {}", plural(count, noun), was(count))
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

/// The reason data of an evaluation at `now`, of the newest datapoints if there are many.
pub(super) fn data(
    alarm: &MetricAlarm,
    now: Timestamp,
    points: &[Point],
    basis: Basis,
) -> ReasonData {
    let all: Vec<&Point> = points
        .iter()
        .filter(|point| point.value.is_some())
        .take(basis.used)
        .collect();
    let used = &all[..all.len().min(REASON_DATAPOINTS_MAX)];
    let missing = alarm.evaluation_periods as usize;
    let evaluated = if used.is_empty() {
        points
            .iter()
            .take(missing.min(REASON_DATAPOINTS_MAX))
            .collect()
    } else {
        used.to_vec()
    };
    ReasonData {
        query_date: now,
        start_date: all.last().map(|point| point.start),
        unit: alarm.unit,
        statistic: alarm.statistic,
        period: alarm.period,
        recent_datapoints: used.iter().rev().filter_map(|point| point.value).collect(),
        threshold: alarm.threshold,
        evaluated_datapoints: evaluated
            .into_iter()
            .map(
                |&Point {
                     start,
                     value,
                     sample_count,
                 }| EvaluatedDatapoint {
                    timestamp: start,
                    value,
                    sample_count,
                },
            )
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{ComparisonOperator, decide};
    use crate::metric::Metric;
    use std::sync::Arc;

    fn alarm(
        operator: ComparisonOperator,
        threshold: f64,
        n: u32,
        m: Option<u32>,
        treatment: TreatMissingData,
    ) -> MetricAlarm {
        MetricAlarm {
            metric: Arc::new(Metric::new("n", "m", vec![])),
            statistic: Statistic::Average,
            unit: None,
            period: Period::new(300).unwrap(),
            evaluation_periods: n,
            datapoints_to_alarm: m,
            comparison_operator: operator,
            threshold,
            treat_missing_data: Some(treatment),
        }
    }

    /// Values oldest first, five minutes apart, the first at 10:00 on New Year's Day 2026.
    fn points(values: &[Option<f64>]) -> Vec<Point> {
        let start = |i: usize| Timestamp::from_seconds(1_767_261_600 + 300 * i as i64);
        values
            .iter()
            .enumerate()
            .rev()
            .map(|(i, &value)| Point {
                start: start(i),
                value,
                sample_count: 1.0,
            })
            .collect()
    }

    #[track_caller]
    fn check(alarm: &MetricAlarm, values: &[Option<f64>], expected: &str) {
        let points = points(values);
        let decision = decide(&points, alarm);
        assert_eq!(
            text(
                alarm,
                decision.verdict.state(StateValue::Ok),
                &points,
                decision.basis
            ),
            expected
        );
    }

    use ComparisonOperator::{GreaterThanThreshold as Greater, LessThanThreshold as Less};
    use TreatMissingData::{Breaching, Missing, NotBreaching};

    #[test]
    fn datapoints_that_decide_alone() {
        check(
            &alarm(Greater, 21.0, 1, None, Missing),
            &[Some(21.5)],
            "Threshold Crossed: 1 datapoint [21.5 (01/01/26 10:00:00)] was greater than the threshold (21.0).",
        );
        check(
            &alarm(Greater, 50.0, 1, Some(1), Missing),
            &[Some(99.5)],
            "Threshold Crossed: 1 out of the last 1 datapoints [99.5 (01/01/26 10:00:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition).",
        );
        check(
            &alarm(Greater, 1.0, 3, Some(2), Missing),
            &[Some(0.0), Some(2.0), Some(1.0)],
            "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (01/01/26 10:10:00), 0.0 (01/01/26 10:00:00)] were not greater than the threshold (1.0) (minimum 2 datapoints for ALARM -> OK transition).",
        );
    }

    #[test]
    fn five_and_more_datapoints_are_listed_last() {
        let newest = "[25.0 (01/01/26 10:25:00), 25.0 (01/01/26 10:20:00), 25.0 (01/01/26 10:15:00), 25.0 (01/01/26 10:10:00), 25.0 (01/01/26 10:05:00)]";
        check(
            &alarm(Greater, 20.0, 6, Some(6), Missing),
            &[Some(25.0); 6],
            &format!(
                "Threshold Crossed: 6 out of the last 6 datapoints were greater than the threshold (20.0). The most recent datapoints which crossed the threshold: {newest} (minimum 6 datapoints for OK -> ALARM transition)."
            ),
        );
        check(
            &alarm(Greater, 20.0, 6, None, Missing),
            &[Some(25.0); 6],
            &format!(
                "Threshold Crossed: 6 datapoints were greater than the threshold (20.0). The most recent datapoints which crossed the threshold: {newest}."
            ),
        );
    }

    #[test]
    fn missing_datapoints_that_were_counted_are_named() {
        check(
            &alarm(Less, 1.0, 2, None, Breaching),
            &[Some(1.0), None],
            "Threshold Crossed: 1 datapoint [1.0 (01/01/26 10:00:00)] was not less than the threshold (1.0) and 1 missing datapoint was treated as [Breaching].",
        );
        check(
            &alarm(Greater, 2.0, 2, None, Breaching),
            &[None, None],
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].",
        );
        check(
            &alarm(Greater, 2.0, 1, None, NotBreaching),
            &[None],
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
        );
        check(
            &alarm(Greater, 2.0, 3, Some(2), Breaching),
            &[Some(1.0), None, None],
            "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as [Breaching].",
        );
        check(
            &alarm(Greater, 7200.0, 8, Some(2), NotBreaching),
            &[
                None,
                Some(6585.0),
                None,
                None,
                None,
                Some(8000.0),
                None,
                None,
                None,
                Some(6894.3),
            ],
            "Threshold Crossed: 2 out of the last 8 datapoints [6894.3 (01/01/26 10:45:00), 6585.0 (01/01/26 10:05:00)] were not greater than the threshold (7200.0) and 5 missing datapoints were treated as [NonBreaching] (minimum 7 datapoints for ALARM -> OK transition).",
        );
    }

    #[test]
    fn missing_datapoints_that_were_not_counted_are_unknown() {
        check(
            &alarm(Greater, 1.0, 1, None, Missing),
            &[None],
            "Insufficient Data: 1 datapoint was unknown.",
        );
        check(
            &alarm(Greater, 1.0, 5, None, Missing),
            &[None; 7],
            "Insufficient Data: 5 datapoints were unknown.",
        );
        check(
            &alarm(Less, 1.0, 3, Some(3), Missing),
            &[None, None, Some(0.0), None, None],
            "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (01/01/26 10:10:00)] was less than the threshold (1.0) (minimum 3 datapoints for OK -> ALARM transition).",
        );
    }

    #[test]
    fn operators_are_put_in_words() {
        use ComparisonOperator::{
            GreaterThanOrEqualToThreshold as AtLeast, LessThanOrEqualToThreshold as AtMost,
        };
        let cases = [
            (Greater, 1.0, "not greater than"),
            (Greater, 1.5, "greater than"),
            (AtLeast, 0.5, "not greater than or equal to"),
            (AtLeast, 1.0, "greater than or equal to"),
            (Less, 1.0, "not less than"),
            (Less, 0.5, "less than"),
            (AtMost, 1.5, "not less than or equal to"),
            (AtMost, 1.0, "less than or equal to"),
        ];
        for (operator, value, words) in cases {
            let expected = format!(
                "Threshold Crossed: 1 datapoint [{value:?} (01/01/26 10:00:00)] was {words} the threshold (1.0)."
            );
            check(
                &alarm(operator, 1.0, 1, None, Missing),
                &[Some(value)],
                &expected,
            );
        }
    }

    #[test]
    fn reason_data_is_bounded() {
        let alarm = alarm(Greater, 1.0, 1_440, None, Missing);
        for values in [
            vec![Some(0.020_599_444_741_798_756); 1_440],
            vec![None; 1_440],
        ] {
            let points = points(&values);
            let data = data(
                &alarm,
                Timestamp::from_seconds(0),
                &points,
                decide(&points, &alarm).basis,
            );
            assert_eq!(data.evaluated_datapoints.len(), REASON_DATAPOINTS_MAX);
        }
    }

    #[test]
    fn reason_data_lists_what_was_used_or_what_was_missing() {
        let alarm = alarm(Greater, 1.0, 3, Some(3), Breaching);
        let all_missing = points(&[None; 5]);
        let missing = data(
            &alarm,
            Timestamp::from_seconds(0),
            &all_missing,
            decide(&all_missing, &alarm).basis,
        );
        assert_eq!(
            (missing.start_date, missing.recent_datapoints.len()),
            (None, 0)
        );
        assert_eq!(
            missing
                .evaluated_datapoints
                .iter()
                .map(|point| point.value)
                .collect::<Vec<_>>(),
            [None; 3]
        );
        let some = points(&[Some(1.0), None, Some(2.0), None]);
        let used = data(
            &alarm,
            Timestamp::from_seconds(0),
            &some,
            decide(&some, &alarm).basis,
        );
        assert_eq!(
            used.start_date,
            Some(Timestamp::from_seconds(1_767_261_600))
        );
        assert_eq!(used.recent_datapoints, [1.0, 2.0]);
        assert_eq!(
            used.evaluated_datapoints
                .iter()
                .map(|point| point.value)
                .collect::<Vec<_>>(),
            [Some(2.0), Some(1.0)]
        );
    }
}

use super::*;
use crate::alarm::Band;
use crate::alarm::ComparisonOperator;
use crate::alarm::decision::{Tally, decide};

struct Case {
    comparison: Comparison,
    terms: Terms,
    tells_minimum: bool,
}

fn alarm(
    operator: ComparisonOperator,
    threshold: f64,
    n: usize,
    m: Option<usize>,
    treatment: TreatMissingData,
) -> Case {
    let terms = Terms {
        n,
        m: m.unwrap_or(n),
        treatment,
    };
    Case {
        comparison: Comparison::Threshold {
            operator,
            threshold,
        },
        terms,
        tells_minimum: m.is_some(),
    }
}

impl Case {
    fn wording(&self) -> Wording<'_> {
        Wording {
            comparison: &self.comparison,
            terms: self.terms,
            tells_minimum: self.tells_minimum,
            noun: "datapoints",
        }
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
            band: None,
        })
        .collect()
}

fn decided(case: &Case, points: &[Point]) -> (StateValue, Basis) {
    let breaching = |point: &Point| case.comparison.is_breaching(point.value?, point.band);
    let tally = Tally::of(points.iter().map(breaching), case.terms.n);
    let decision = decide(tally, case.terms);
    (decision.verdict.state(StateValue::Ok), decision.basis)
}

#[track_caller]
fn check(case: &Case, values: &[Option<f64>], expected: &str) {
    let points = points(values);
    let (state, basis) = decided(case, &points);
    assert_eq!(case.wording().text(state, &points, basis), expected);
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
fn a_band_is_told_with_its_bounds() {
    let band = Some(Band {
        lower: 0.5,
        upper: 2.0,
    });
    let newest = |value| {
        let mut points = points(&[Some(value)]);
        points[0].band = band;
        points
    };
    let cases = [
        (
            BandOperator::LessThanLowerOrGreaterThanUpperThreshold,
            3.0,
            "less than the lower thresholds [0.5] or greater than the upper thresholds [2.0] (minimum 1 datapoint for OK -> ALARM",
        ),
        (
            BandOperator::LessThanLowerOrGreaterThanUpperThreshold,
            1.0,
            "not less than the lower thresholds [0.5] or not greater than the upper thresholds [2.0] (minimum 1 datapoint for ALARM -> OK",
        ),
        (
            BandOperator::GreaterThanUpperThreshold,
            3.0,
            "greater than the upper thresholds [2.0] (minimum 1 datapoint for OK -> ALARM",
        ),
        (
            BandOperator::LessThanLowerThreshold,
            0.25,
            "less than the lower thresholds [0.5] (minimum 1 datapoint for OK -> ALARM",
        ),
    ];
    for (operator, value, words) in cases {
        let mut case = alarm(Greater, 0.0, 1, Some(1), Missing);
        case.comparison = Comparison::Band {
            operator,
            threshold_metric_id: "ad1".into(),
        };
        let points = newest(value);
        let (state, basis) = decided(&case, &points);
        let expected = format!(
            "Thresholds Crossed: 1 out of the last 1 datapoints [{value:?} (01/01/26 10:00:00)] was {words} transition)."
        );
        assert_eq!(case.wording().text(state, &points, basis), expected);
    }
}

/// The documented contributor event (SPEC section 6.3).
#[test]
fn one_of_several_series_has_a_reason_of_its_own() {
    let case = alarm(Less, 1.0, 1, None, Missing);
    let points = points(&[Some(0.0)]);
    let (state, basis) = decided(&case, &points);
    assert_eq!(
        case.wording().contributor(state, &points, basis),
        "Threshold Crossed: 1 datapoint was less than the threshold (1.0). The most recent datapoint which crossed the threshold: [0.0 (01/01/26 10:00:00)]."
    );
    assert_eq!(
        of_contributors(6, 6, "time series"),
        "6 out of 6 time series evaluated to ALARM"
    );
    assert_eq!(
        of_contributors(101, 200, "time series"),
        "100+ time series evaluated to ALARM"
    );
    assert_eq!(of_returned(95), "95 time series evaluated to ALARM");
    assert_eq!(of_returned(101), "100+ time series evaluated to ALARM");
}

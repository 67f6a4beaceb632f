use super::*;
use crate::math::{Band, Queries, QueryError, Rules, Source, parse};
use crate::metric::{Period, Timestamp};

/// 2026-01-04T23:58:00Z, a Sunday, so that four slots of a minute go over midnight.
const START: i64 = 1_767_571_080;

/// `1 - 3` is a series of three slots of which the second has no point.
fn series(text: &str) -> Series {
    let values = text.split_whitespace();
    values
        .map(|value| (value != "-").then(|| value.parse().unwrap()))
        .collect()
}

fn evaluate(expression: &str, inputs: &[(&str, &str)]) -> Result<Value, EvaluationError> {
    let mut sources: Vec<(String, Source)> = Vec::new();
    for (id, _) in inputs {
        sources.push(((*id).to_owned(), Source::Metric));
    }
    let parsed = parse(expression).unwrap();
    sources.push(("result".to_owned(), Source::Expression(parsed)));
    let queries = Queries::new(sources, Rules::Query);
    let queries =
        queries.map_err(|errors| errors.iter().map(QueryError::to_string).collect::<String>());
    let metrics: Vec<Series> = inputs.iter().map(|(_, values)| series(values)).collect();
    let slots = metrics.first().map_or(3, Series::len);
    let starts: Vec<Timestamp> = (START..)
        .step_by(60)
        .map(Timestamp::from_seconds)
        .take(slots)
        .collect();
    let band = Band {
        lower: Series::constant(slots, 1.0),
        upper: Series::constant(slots, 9.0),
    };
    let table = Table {
        starts: &starts,
        period: Period::new(60).unwrap(),
        metrics: &metrics,
        band: Some(&band),
    };
    queries.unwrap().evaluate("result", &table)
}

#[track_caller]
fn check(expression: &str, inputs: &[&str], expected: &str) {
    let ids = ["m1", "m2", "m3"];
    let inputs: Vec<_> = ids.into_iter().zip(inputs.iter().copied()).collect();
    assert_eq!(
        evaluate(expression, &inputs),
        Ok(Value::Series(series(expected)))
    );
}

/// The result is an array, written as `id: values` per series.
#[track_caller]
fn check_array(expression: &str, inputs: &[(&str, &str)], expected: &[&str]) {
    let expected = expected.iter().map(|labeled| {
        let (id, values) = labeled.split_once(':').unwrap();
        Labeled {
            id: (!id.is_empty()).then(|| id.to_owned()),
            series: series(values),
        }
    });
    assert_eq!(
        evaluate(expression, inputs),
        Ok(Value::Array(expected.collect()))
    );
}

#[test]
fn between_series_a_missing_point_counts_as_zero() {
    let inputs = ["6 - 6 -", "2 2 - -"];
    check("m1 + m2", &inputs, "8 2 6 -");
    check("m1 - m2", &inputs, "4 -2 6 -");
    check("m1 * m2", &inputs, "12 0 0 -");
    check("m1 / m2", &inputs, "3 0 - -");
    check("m1 ^ m2", &inputs, "36 0 1 -");
    check("m1 == m2", &inputs, "0 0 0 -");
    check("m1 != m2", &inputs, "1 1 1 -");
    check("m1 > m2", &inputs, "1 0 1 -");
    check("m1 <= m2", &inputs, "0 1 0 -");
    check("m1 AND m2", &inputs, "1 0 0 -");
    check("m1 OR m2", &inputs, "1 1 1 -");
}

#[test]
fn the_documented_comparisons_hold() {
    let inputs = ["30 20 0 0", "20 - 20 -"];
    check("m1 < m2", &inputs, "0 0 1 0");
    check("m1 >= 30", &inputs, "1 0 0 0");
    check("m1 > 15 AND m2 > 15", &inputs, "1 0 0 0");
}

#[test]
fn against_a_scalar_gaps_stay() {
    let inputs = ["6 - 0"];
    check("m1 + 1", &inputs, "7 - 1");
    check("1 - m1", &inputs, "-5 - 1");
    check("m1 < 1", &inputs, "0 - 1");
    check("0 == m1", &inputs, "0 - 1");
    check("m1 OR 0", &inputs, "1 - 0");
    check("-m1", &inputs, "-6 - 0");
    check("m1 * -2 ^ 1", &inputs, "-12 - 0");
}

#[test]
fn results_that_are_no_numbers_are_dropped() {
    check("12 / m1", &["6 - 0"], "2 - -");
    check("m1 ^ 0.5", &["4 -4 0"], "2 - 0");
    check("m1 ^ -1", &["4 0"], "0.25 -");
    check("m1 * m1", &["1e300 1"], "- 1");
    check("LOG(m1)", &["1 0 -1 -"], "0 - - -");
    check("LOG10(m1)", &["1000 0 -1 -"], "3 - - -");
    check("m1 + 1 / 0", &["1 2"], "- -");
    check("m1 > 1 / 0", &["1 2"], "- -");
}

#[test]
fn arithmetic_goes_through_arrays() {
    let inputs = [("m1", "1 - 4"), ("m2", "2 2 -")];
    check_array("METRICS() * 2", &inputs, &["m1: 2 - 8", "m2: 4 4 -"]);
    check_array("4 / [m1, m2]", &inputs, &["m1: 4 - 1", "m2: 2 2 -"]);
    check_array("[m1, m2] - m1", &inputs, &["m1: 0 - 0", "m2: 1 2 -4"]);
    check_array("m1 - [m1, m2]", &inputs, &["m1: 0 - 0", "m2: -1 -2 4"]);
    check_array("-[m1 + m2]", &inputs, &[": -3 -2 -4"]);
    check_array("ABS(-METRICS('2'))", &inputs, &["m2: 2 2 -"]);
}

#[test]
fn functions_of_one_point() {
    let inputs = ["-1.5 - 1.2"];
    check("ABS(m1)", &inputs, "1.5 - 1.2");
    check("CEIL(m1)", &inputs, "-1 - 2");
    check("FLOOR(m1)", &inputs, "-2 - 1");
}

#[test]
fn functions_of_a_whole_series() {
    let inputs = ["2 - 4 6"];
    for (expression, expected) in [
        ("AVG(m1)", "4 4 4 4"),
        ("MAX(m1)", "6 6 6 6"),
        ("MIN(m1)", "2 2 2 2"),
        ("SUM(m1)", "12 12 12 12"),
        ("DATAPOINT_COUNT(m1)", "3 3 3 3"),
        ("STDDEV(m1) ^ 2 * 3", "8 8 8 8"),
        ("METRIC_COUNT([m1, m1])", "2 2 2 2"),
        ("PERIOD(m1)", "60 60 60 60"),
    ] {
        check(
            &format!("FLOOR(TIME_SERIES({expression}) + 1e-9)"),
            &inputs,
            expected,
        );
    }
    for name in ["AVG", "MAX", "MIN", "SUM", "STDDEV"] {
        check(&format!("TIME_SERIES({name}(m1))"), &["- -"], "- -");
    }
    check("TIME_SERIES(DATAPOINT_COUNT(m1))", &["- -"], "0 0");
}

#[test]
fn functions_of_an_array_go_slot_by_slot() {
    let inputs = ["1 - 3 -", "5 6 - -"];
    for (name, expected) in [
        ("SUM", "6 6 3 -"),
        ("AVG", "3 3 1.5 -"),
        ("MAX", "5 6 3 -"),
        ("MIN", "1 6 3 -"),
        ("STDDEV", "2 0 0 -"),
        ("DATAPOINT_COUNT", "2 1 1 -"),
    ] {
        check(&format!("{name}([m1, m2])"), &inputs, expected);
        check(&format!("{name}(METRICS('none'))"), &inputs, "- - - -");
    }
    check("SUM([METRICS(), m1])", &inputs, "7 6 6 -");
}

#[test]
fn functions_that_look_back() {
    let inputs = ["10 - 15 12"];
    check("DIFF(m1)", &inputs, "- - 5 -3");
    check("DIFF_TIME(m1)", &inputs, "- - 120 60");
    check("RATE(m1) * 600", &inputs, "- - 25 -30");
    check("RUNNING_SUM(m1)", &inputs, "10 - 25 37");
    check_array(
        "DIFF(METRICS())",
        &[("m1", "1 3"), ("m2", "4 -")],
        &["m1: - 2", "m2: - -"],
    );
}

#[test]
fn gaps_are_filled() {
    let inputs = ["- 10 - - 40 -", "1 2 3 - 5 6"];
    check("FILL(m1, 0)", &inputs, "0 10 0 0 40 0");
    check("FILL(m1, MIN(m1))", &inputs, "10 10 10 10 40 10");
    check("FILL(m1, m2)", &inputs, "1 10 3 - 40 6");
    check("FILL(m1, REPEAT)", &inputs, "- 10 10 10 40 -");
    check("FILL(m1, LINEAR)", &inputs, "- 10 20 30 40 -");
    check("FILL(m1, 0)", &["- -"], "0 0");
    check("FILL(m1, REPEAT)", &["- -"], "- -");
    check_array(
        "FILL(METRICS(), 7)",
        &[("m1", "1 -"), ("m2", "- 2")],
        &["m1: 1 7", "m2: 7 2"],
    );
}

#[test]
fn if_chooses_as_documented() {
    let inputs = ["1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20"];
    check("IF(m1, m2, m3)", &inputs, "30 0 20 0 -");
    check("IF(m1, 5, m3)", &inputs, "5 5 20 - -");
    check("IF(m1, m2, 5)", &inputs, "30 0 5 5 -");
    check("IF(m1, 1, 2)", &inputs, "1 1 2 2 -");
    check("IF(m1, m2)", &inputs, "30 0 - - -");
    check("IF(m1, 5)", &inputs, "5 5 - - -");
    check("IF(m1 > 0.5, m2, m3)", &inputs, "30 0 20 0 -");
    check("IF(1, m2, m3)", &inputs, inputs[1]);
    check("IF(0, m2, m3)", &inputs, inputs[2]);
    check("IF(-0.5, m2)", &inputs, inputs[1]);
    check("IF(0, m2)", &inputs, "- - - - -");
    check("IF(1 > 2, m2, 7)", &inputs, "7 7 7 7 7");
    check("IF(1 / 0, m2, 7)", &inputs, "- - - - -");
    check("IF(m1, 1, 0)", &["-3 0 0.5"], "1 0 1");
}

#[test]
fn parts_of_dates_are_there_for_every_slot() {
    let inputs = ["1 - - -"];
    check("MINUTE(m1)", &inputs, "58 59 0 1");
    check("HOUR(m1)", &inputs, "23 23 0 0");
    check("DAY(m1)", &inputs, "7 7 1 1");
    check("DATE(m1)", &inputs, "4 4 5 5");
    check("MONTH(m1)", &inputs, "1 1 1 1");
    check("YEAR(m1)", &inputs, "2026 2026 2026 2026");
    check("EPOCH(m1) - 1767571080", &inputs, "0 60 120 180");
    check("TIME_SERIES(10)", &inputs, "10 10 10 10");
}

#[test]
fn arrays_are_ordered_and_cut() {
    let inputs = [
        ("a", "1 1"),
        ("b", "5 -"),
        ("c", "3 3"),
        ("d", "- -"),
        ("e", "3 -"),
    ];
    let sorted = |by, order| format!("SORT([c, e, a, b, d], {by}, {order})");
    check_array(
        &sorted("AVG", "DESC"),
        &inputs,
        &["b: 5 -", "c: 3 3", "e: 3 -", "a: 1 1", "d: - -"],
    );
    check_array(
        &sorted("SUM", "ASC"),
        &inputs,
        &["a: 1 1", "e: 3 -", "b: 5 -", "c: 3 3", "d: - -"],
    );
    check_array("SORT(METRICS(), MAX, DESC, 1)", &inputs, &["b: 5 -"]);
    check_array("SORT(METRICS(), MIN, ASC, 1)", &inputs, &["a: 1 1"]);
    check_array("SLICE([a, b, c], 1)", &inputs, &["b: 5 -", "c: 3 3"]);
    check_array("SLICE([a, b, c], 0, 1)", &inputs, &["a: 1 1"]);
    check_array("SLICE([a, b, c], 2, 9)", &inputs, &["c: 3 3"]);
    check_array("SLICE([a, b, c], 2, 1)", &inputs, &[]);
    check_array("SLICE([a, b, c], -1, 1 / 0)", &inputs, &[]);
    check_array("REMOVE_EMPTY([a, d])", &inputs, &["a: 1 1"]);
    check_array("METRICS('e')", &inputs, &["e: 3 -"]);
    assert_eq!(
        evaluate("FIRST([b, c])", &inputs),
        Ok(Value::Series(series("5 -")))
    );
    assert_eq!(
        evaluate("LAST([b, c])", &inputs),
        Ok(Value::Series(series("3 3")))
    );
    assert_eq!(
        evaluate("FIRST(METRICS('x'))", &inputs),
        Ok(Value::Series(series("- -")))
    );
}

#[test]
fn the_upper_bound_of_a_band_is_its_last() {
    check("FIRST(ANOMALY_DETECTION_BAND(m1))", &["1 -"], "1 1");
    check("LAST(ANOMALY_DETECTION_BAND(m1, 3))", &["1 -"], "9 9");
    check("m1 > LAST(ANOMALY_DETECTION_BAND(m1))", &["1 10"], "0 1");
}

#[test]
fn external_functions_have_no_result() {
    let function = "LAMBDA";
    assert_eq!(
        evaluate("m1 + LAMBDA('f')", &[("m1", "1")]),
        Err(EvaluationError::External { function })
    );
}

#[test]
fn arrays_are_bounded() {
    let all = vec!["METRICS()"; ARRAY_MAX].join(", ");
    let inputs = [("m1", "1"), ("m2", "1")];
    assert_eq!(
        evaluate(&format!("[{all}]"), &inputs),
        Err(EvaluationError::Array)
    );
    assert!(evaluate(&format!("SUM([{all}])"), &inputs[..1]).is_ok());
}

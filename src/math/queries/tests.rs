use super::*;
use crate::math::{Band, Series, parse};
use crate::metric::{Period, Timestamp};

/// An id without text is a metric.
fn sources(list: &[(&str, &str)]) -> Vec<(String, Source)> {
    let source = |text: &str| match text {
        "" => Source::Metric,
        _ => Source::Expression(parse(text).unwrap()),
    };
    list.iter()
        .map(|&(id, text)| (id.to_owned(), source(text)))
        .collect()
}

fn queries(list: &[(&str, &str)]) -> Queries {
    Queries::new(sources(list), Rules::Alarm).unwrap()
}

#[track_caller]
fn refused(list: &[(&str, &str)], expected: &[&str]) {
    let errors = Queries::new(sources(list), Rules::Alarm).unwrap_err();
    let errors: Vec<String> = errors.iter().map(QueryError::to_string).collect();
    assert_eq!(errors, expected);
}

/// Metrics have one slot; the first is 1, the second 2 and so on.
fn evaluate(queries: &Queries, id: &str, band: Option<&Band>) -> Result<Value, EvaluationError> {
    let metrics: Vec<Series> = (1..=queries.metrics().count())
        .map(|i| Series::constant(1, f64::from(u32::try_from(i).unwrap())))
        .collect();
    let table = Table {
        starts: &[Timestamp::from_seconds(0)],
        period: Period::new(60).unwrap(),
        metrics: &metrics,
        band,
    };
    queries.evaluate(id, &table)
}

#[track_caller]
fn check(list: &[(&str, &str)], id: &str, expected: f64) {
    let expected = Ok(Value::Series(Series::constant(1, expected)));
    assert_eq!(evaluate(&queries(list), id, None), expected);
}

#[test]
fn expressions_use_each_other_in_any_order() {
    let list = [
        ("e1", "e2 * 10"),
        ("a", ""),
        ("e2", "a + b + s"),
        ("b", ""),
        ("s", "AVG(b)"),
    ];
    check(&list, "e1", 50.0);
    check(&list, "b", 2.0);
    assert_eq!(evaluate(&queries(&list), "s", None), Ok(Value::Scalar(2.0)));
}

#[test]
fn metrics_are_no_expressions() {
    check(
        &[
            ("a", ""),
            ("e0", "a * 10"),
            ("b", ""),
            ("e1", "SUM(METRICS())"),
        ],
        "e1",
        3.0,
    );
}

#[test]
fn results_in_arrays_keep_their_ids() {
    let list = [
        ("a", ""),
        ("b", ""),
        ("e1", "[b, a]"),
        ("e2", "a * 2"),
        ("e3", "[e1, e2]"),
    ];
    let Ok(Value::Array(array)) = evaluate(&queries(&list), "e3", None) else {
        panic!("not an array");
    };
    let ids: Vec<Option<&str>> = array.iter().map(|labeled| labeled.id.as_deref()).collect();
    assert_eq!(ids, [Some("b"), Some("a"), Some("e2")]);
}

#[test]
fn only_what_is_needed_is_evaluated() {
    let queries = queries(&[("a", ""), ("x", "LAMBDA('f')"), ("y", "x + a"), ("z", "-a")]);
    assert_eq!(
        evaluate(&queries, "z", None),
        Ok(Value::Series(Series::constant(1, -1.0)))
    );
    assert_eq!(
        evaluate(&queries, "y", None),
        Err(EvaluationError::External { function: "LAMBDA" })
    );
    assert_eq!(queries.external("y"), Some("LAMBDA"));
    assert_eq!(queries.external("z"), None);
}

#[test]
fn doubts_come_from_everything_that_is_needed() {
    let queries = queries(&[("a", ""), ("x", "DIFF(a)"), ("y", "x + a"), ("z", "-a")]);
    assert!(queries.uncertain("y").is_some());
    assert_eq!(queries.uncertain("z"), None);
}

#[test]
fn a_band_must_be_supplied() {
    let queries = queries(&[
        ("a", ""),
        ("band", "ANOMALY_DETECTION_BAND(a)"),
        ("u", "LAST(band)"),
    ]);
    assert!(queries.uses_band("u"));
    assert!(!queries.uses_band("a"));
    assert_eq!(queries.type_of("band"), Some(Type::Array));
    assert_eq!(evaluate(&queries, "u", None), Err(EvaluationError::NoBand));
    let bound = |value| Series::constant(1, value);
    let band = Band {
        lower: bound(0.0),
        upper: bound(4.0),
    };
    assert_eq!(
        evaluate(&queries, "u", Some(&band)),
        Ok(Value::Series(bound(4.0)))
    );
}

#[test]
fn tables_and_ids_must_fit() {
    let queries = queries(&[("a", "")]);
    let table = Table {
        starts: &[],
        period: Period::new(60).unwrap(),
        metrics: &[],
        band: None,
    };
    assert_eq!(queries.evaluate("a", &table), Err(EvaluationError::Shape));
    let id = "b".to_owned();
    assert_eq!(
        evaluate(&queries, "b", None),
        Err(EvaluationError::UnknownId { id })
    );
}

#[test]
fn ids_are_unique_and_well_formed() {
    refused(
        &[("a", ""), ("a", "b"), ("b", "")],
        &["id `a` is used more than once"],
    );
    refused(
        &[("A", ""), ("b-c", "")],
        &[
            "id `A` must begin with a lower-case letter and hold only letters, digits and underscores",
            "id `b-c` must begin with a lower-case letter and hold only letters, digits and underscores",
        ],
    );
}

#[test]
fn every_mistake_is_reported() {
    refused(
        &[
            ("a", ""),
            ("e1", "e2 + a"),
            ("e2", "a - e1"),
            ("e3", "e3"),
            ("e4", "a + b"),
            ("e5", "FIRST(e6)"),
            ("e6", "-a"),
        ],
        &[
            "these expressions need each other's results: `e1`, `e2`",
            "these expressions need each other's results: `e3`",
            "expression `e4`: no query has the id `b`",
            "expression `e5`: argument 1 of `FIRST` is a series but must be an array of series",
        ],
    );
}

#[test]
fn the_returned_result_is_checked_apart() {
    let queries = queries(&[
        ("a", ""),
        ("s", "AVG(a)"),
        ("all", "METRICS()"),
        ("e", "a - s"),
    ]);
    assert!(queries.check_result("a").is_ok());
    assert!(queries.check_result("e").is_ok());
    assert!(queries.check_result("s").is_err());
    assert!(queries.check_result("all").is_err());
}

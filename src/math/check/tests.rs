use super::*;
use crate::math::parse;

fn scope(ids: &BTreeMap<String, Referent>, rules: Rules, is_result: bool) -> Scope<'_> {
    Scope {
        ids,
        rules,
        is_result,
    }
}

fn ids() -> BTreeMap<String, Referent> {
    let ids = [
        ("m1", Referent::Metric),
        ("m2", Referent::Metric),
        ("s", Referent::Expression(Type::Scalar)),
        ("t", Referent::Expression(Type::Series)),
        ("a", Referent::Expression(Type::Array)),
    ];
    ids.map(|(id, referent)| (id.to_owned(), referent)).into()
}

fn types(text: &str, rules: Rules, is_result: bool) -> Result<Type, Vec<String>> {
    let ids = ids();
    let checked = parse(text).unwrap().check(&scope(&ids, rules, is_result));
    checked.map_err(|errors| errors.iter().map(Error::to_string).collect())
}

#[track_caller]
fn yields(text: &str, expected: Type) {
    assert_eq!(types(text, Rules::Query, false), Ok(expected));
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let expected = expected.iter().map(|&message| message.to_owned()).collect();
    assert_eq!(types(text, Rules::Query, false), Err(expected));
}

#[track_caller]
fn uncertain(text: &str, expected: Option<&str>) {
    let ids = ids();
    let scope = scope(&ids, Rules::Alarm, false);
    assert_eq!(parse(text).unwrap().uncertain(&scope), expected);
}

#[test]
fn operators_combine_the_documented_pairs() {
    for (text, expected) in [
        ("1 + s", Type::Scalar),
        ("1 + m1", Type::Series),
        ("m1 + m2", Type::Series),
        ("2 / a", Type::Array),
        ("a ^ 2", Type::Array),
        ("m1 - a", Type::Array),
        ("a * m1", Type::Array),
        ("1 < 2", Type::Scalar),
        ("m1 < 2", Type::Series),
        ("1 OR m1", Type::Series),
        ("m1 AND m2", Type::Series),
        ("-1", Type::Scalar),
        ("-m1", Type::Series),
        ("-[m1, a]", Type::Array),
    ] {
        yields(text, expected);
    }
    refused(
        "a + a",
        &["`+` cannot combine an array of series and an array of series"],
    );
    refused(
        "a > 1",
        &["`>` cannot combine an array of series and a scalar"],
    );
    refused(
        "m1 AND a",
        &["`AND` cannot combine a series and an array of series"],
    );
    refused("m1 + 'x'", &["`+` cannot combine a series and a string"]);
    refused("-'x'", &["`-` cannot negate a string"]);
    refused(
        "SUM + m1",
        &["`+` cannot combine the word `SUM` and a series"],
    );
}

#[test]
fn functions_yield_what_the_table_says() {
    for name in [
        "ABS",
        "CEIL",
        "FLOOR",
        "LOG",
        "LOG10",
        "DIFF",
        "DIFF_TIME",
        "RATE",
        "RUNNING_SUM",
    ] {
        yields(&format!("{name}(m1)"), Type::Series);
        yields(&format!("{name}(a)"), Type::Array);
    }
    for name in ["AVG", "MAX", "MIN", "SUM", "STDDEV", "DATAPOINT_COUNT"] {
        yields(&format!("{name}(m1)"), Type::Scalar);
        yields(&format!("{name}(a)"), Type::Series);
    }
    for name in [
        "MINUTE",
        "HOUR",
        "DAY",
        "DATE",
        "MONTH",
        "YEAR",
        "EPOCH",
        "SERVICE_QUOTA",
    ] {
        yields(&format!("{name}(m1)"), Type::Series);
    }
    for (text, expected) in [
        ("ANOMALY_DETECTION_BAND(m1)", Type::Array),
        ("ANOMALY_DETECTION_BAND(m1, 3)", Type::Array),
        ("DB_PERF_INSIGHTS('RDS', 'db', 'x')", Type::Series),
        ("DB_PERF_INSIGHTS('RDS', 'db', ['x', 'y'])", Type::Array),
        ("FILL(m1, 0)", Type::Series),
        ("FILL(m1, m2)", Type::Series),
        ("FILL(a, REPEAT)", Type::Array),
        ("FILL(a, LINEAR)", Type::Array),
        ("FIRST(a)", Type::Series),
        ("LAST(a)", Type::Series),
        ("IF(m1, 1)", Type::Series),
        ("IF(1, m1, 2)", Type::Series),
        ("INSIGHT_RULE_METRIC('r', 'Sum')", Type::Series),
        ("LAMBDA('f', 1, 'x', m1)", Type::Undetermined),
        ("FIRST(LAMBDA('f'))", Type::Series),
        ("METRIC_COUNT(a)", Type::Scalar),
        ("METRICS()", Type::Array),
        ("METRICS('x')", Type::Array),
        ("PERIOD(m1)", Type::Scalar),
        ("REMOVE_EMPTY(a)", Type::Array),
        ("SEARCH('x', 'Sum', 300)", Type::Array),
        ("SLICE(a, 1)", Type::Array),
        ("SLICE(a, 0, s)", Type::Array),
        ("SORT(a, AVG, ASC)", Type::Array),
        ("SORT(a, SUM, DESC, 2)", Type::Array),
        ("TIME_SERIES(AVG(m1))", Type::Series),
    ] {
        yields(text, expected);
    }
}

#[test]
fn arguments_are_checked_one_by_one() {
    refused("ABS()", &["`ABS` has no argument but takes 1"]);
    refused("ABS(m1, m2)", &["`ABS` has 2 arguments but takes 1"]);
    refused(
        "METRICS('a', 'b')",
        &["`METRICS` has 2 arguments but takes 0 or 1"],
    );
    refused(
        "LAMBDA()",
        &["`LAMBDA` has no argument but takes at least 1"],
    );
    refused(
        "SUM(3)",
        &["argument 1 of `SUM` is a scalar but must be a series or an array of series"],
    );
    refused(
        "FIRST(m1)",
        &["argument 1 of `FIRST` is a series but must be an array of series"],
    );
    refused(
        "PERIOD(t)",
        &["argument 1 of `PERIOD` is a series but must be the id of a metric"],
    );
    refused(
        "FILL(m1, ASC)",
        &[
            "argument 2 of `FILL` is the word `ASC` but must be a scalar, a series, `LINEAR` or `REPEAT`",
        ],
    );
    refused(
        "SORT(a, DESC, AVG, m1)",
        &[
            "argument 2 of `SORT` is the word `DESC` but must be `AVG`, `MAX`, `MIN` or `SUM`",
            "argument 3 of `SORT` is the word `AVG` but must be `ASC` or `DESC`",
            "argument 4 of `SORT` is a series but must be a scalar",
        ],
    );
    refused(
        "[m1, 'x', 1]",
        &[
            "an array holds either series or strings, but this element is a string",
            "an array holds either series or strings, but this element is a scalar",
        ],
    );
}

#[test]
fn a_mistake_is_reported_once() {
    refused("ABS(-(m9 + 1)) > 2", &["no query has the id `m9`"]);
    refused(
        "m8 + m9",
        &["no query has the id `m8`", "no query has the id `m9`"],
    );
}

#[test]
fn results_depend_on_the_rules() {
    let alarm = |text| types(text, Rules::Alarm, true);
    let query = |text| types(text, Rules::Query, true);
    let refused = |message: &str| Err(vec![message.to_owned()]);
    assert_eq!(alarm("m1 / 2"), Ok(Type::Series));
    assert_eq!(query("METRICS()"), Ok(Type::Array));
    assert_eq!(
        alarm("METRICS()"),
        refused("an alarm needs exactly one series, but this expression yields an array of series")
    );
    assert_eq!(
        query("AVG(m1)"),
        refused(
            "a query needs a series or an array of series, but this expression yields a scalar"
        )
    );
    assert_eq!(
        alarm("SUM(SEARCH('x', 'Sum'))"),
        refused("SEARCH is not supported on Metric Alarms.")
    );
    assert_eq!(types("AVG(m1)", Rules::Alarm, false), Ok(Type::Scalar));
    assert_eq!(
        types("'x'", Rules::Alarm, false),
        refused(
            "an expression needs a scalar, a series or an array of series, but this one yields a string"
        )
    );
    assert_eq!(
        types("AVG", Rules::Alarm, false),
        refused("found the word `AVG`, but a value must stand here")
    );
}

#[test]
fn what_the_documents_leave_open_is_told() {
    for text in [
        "m1 / m2 * 100",
        "SUM(METRICS())",
        "FILL(m1, 0)",
        "IF(m1 > 5, 1, 0)",
        "IF(1, m1)",
    ] {
        uncertain(text, None);
    }
    for text in [
        "AVG(m1) + m1",
        "m1 - MAX(m1)",
        "m1 / MIN(m1)",
        "m1 / SUM(t)",
    ] {
        uncertain(
            text,
            Some("a scalar of a whole series depends on how many datapoints AWS fetches"),
        );
    }
    let range = "depends on how many datapoints AWS fetches";
    for (text, name) in [
        ("m1 + DATAPOINT_COUNT(m1)", "DATAPOINT_COUNT"),
        ("RUNNING_SUM(m1)", "RUNNING_SUM"),
        ("SUM(REMOVE_EMPTY(a))", "REMOVE_EMPTY"),
        ("RATE(m1)", "RATE"),
    ] {
        uncertain(text, Some(&format!("`{name}` {range}")));
    }
    let contradiction = "the documents contradict each other about a missing false value of `IF`";
    for (text, expected) in [
        (
            "-m1 ^ 2",
            "the precedence of `^` without parentheses is undocumented",
        ),
        ("STDDEV(a)", "the divisor of `STDDEV` is undocumented"),
        (
            "DATAPOINT_COUNT(a)",
            "`DATAPOINT_COUNT` where no series has a point is undocumented",
        ),
        (
            "DIFF(m1)",
            "what `DIFF` is at the first datapoint is undocumented",
        ),
        (
            "DIFF_TIME(m1)",
            "what `DIFF_TIME` is at the first datapoint is undocumented",
        ),
        (
            "FIRST(SORT(a, AVG, ASC))",
            "in which order `SORT` puts equal series is undocumented",
        ),
        (
            "FILL(m1, REPEAT)",
            "what `FILL` with `REPEAT` does at the ends of the range is undocumented",
        ),
        (
            "FILL(m1, LINEAR)",
            "what `FILL` with `LINEAR` does at the ends of the range is undocumented",
        ),
        ("IF(m1, m2, t)", contradiction),
        ("IF(m1 > 1, 5, t)", contradiction),
        (
            "IF(1, 2, 3)",
            "`IF` of a scalar condition and a scalar is undocumented",
        ),
    ] {
        uncertain(text, Some(expected));
    }
    uncertain("IF(m1, 5, t)", None);
}

#[test]
fn external_functions_are_named() {
    let external = |text| parse(text).unwrap().external();
    assert_eq!(external("m1 + LAMBDA('f')"), Some("LAMBDA"));
    assert_eq!(external("SERVICE_QUOTA(m1)"), Some("SERVICE_QUOTA"));
    assert_eq!(external("LAST(ANOMALY_DETECTION_BAND(m1))"), None);
    assert!(
        parse("LAST(ANOMALY_DETECTION_BAND(m1))")
            .unwrap()
            .uses_band()
    );
}

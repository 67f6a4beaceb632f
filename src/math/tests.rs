//! Laws that hold for every expression.

use proptest::prelude::*;
use proptest::sample::select;

use super::expression::{Node, NodeKind};
use super::function::{Function, Keyword};
use super::*;
use crate::metric::{Period, Timestamp};

const SLOTS: usize = 6;

/// Things that an expression may hold, and some that it may not.
const TOKENS: [&str; 40] = [
    "m1",
    "m2",
    "e0",
    "zz",
    "1",
    "0",
    "-1",
    "1e300",
    "'m'",
    "\"",
    "(",
    ")",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "^",
    "<",
    ">=",
    "==",
    "AND",
    "||",
    "SUM(",
    "AVG(",
    "IF(",
    "FILL(",
    "SORT(",
    "SLICE(",
    "METRICS()",
    "FIRST(",
    "RATE(",
    "PERIOD(m1)",
    "REPEAT",
    "ASC",
    "LAMBDA('f')",
    "ß",
    ".",
];

/// Expressions that yield one series; `#` stands for another such expression.
const POINTWISE: [&str; 14] = [
    "m1",
    "m2",
    "e0",
    "-#",
    "# + #",
    "# / #",
    "(# ^ 2)",
    "# > #",
    "# AND #",
    "ABS(#)",
    "LOG(#)",
    "FILL(#, 3)",
    "IF(#, #, #)",
    "MAX([#, #])",
];

/// The same, but what one slot yields depends on others.
const OTHERS: [&str; 18] = [
    "# - AVG(#)",
    "STDDEV([#, #])",
    "# * STDDEV(#)",
    "DATAPOINT_COUNT(METRICS())",
    "DIFF(#)",
    "DIFF_TIME(#)",
    "RATE(#)",
    "RUNNING_SUM(#)",
    "FILL(#, REPEAT)",
    "FILL(#, LINEAR)",
    "FILL(#, #)",
    "FIRST(SORT([#, #], AVG, DESC, 1))",
    "LAST(SLICE([#, METRICS()], 0, 2))",
    "SUM(REMOVE_EMPTY([#, #]))",
    "TIME_SERIES(MAX(#) / METRIC_COUNT(METRICS('1')))",
    "HOUR(#)",
    "IF(AVG(#) > 1, #)",
    "LAST(ANOMALY_DETECTION_BAND(#)) - PERIOD(m1)",
];

fn text_of(templates: &'static [&'static str]) -> impl Strategy<Value = String> {
    let leaf = select(vec!["m1", "m2", "e0"]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 20, 3, move |part| {
        (select(templates), part.clone(), part.clone(), part).prop_map(|(template, a, b, c)| {
            let fill = |text: String, part: String| text.replacen('#', &format!("({part})"), 1);
            [a, b, c].into_iter().fold(template.to_owned(), fill)
        })
    })
}

fn series() -> impl Strategy<Value = Series> {
    let value = prop_oneof![
        2 => Just(None),
        1 => Just(Some(0.0)),
        3 => (-100.0..100.0).prop_map(Some),
        1 => any::<f64>().prop_map(Some),
    ];
    prop::collection::vec(value, SLOTS).prop_map(|values| values.into_iter().collect())
}

fn metrics() -> impl Strategy<Value = Vec<Series>> {
    prop::collection::vec(series(), 2)
}

fn queries(text: &str) -> Result<Queries, Vec<QueryError>> {
    let expression = |text: &str| Source::Expression(parse(text).unwrap());
    let sources = [
        ("m1", Source::Metric),
        ("m2", Source::Metric),
        ("e0", expression("m1 * 2 - m2")),
        ("result", expression(text)),
    ];
    let sources = sources.map(|(id, source)| (id.to_owned(), source));
    Queries::new(sources.into(), Rules::Query)
}

fn evaluate(queries: &Queries, metrics: &[Series]) -> Result<Value, EvaluationError> {
    let slots = metrics[0].len();
    let starts: Vec<Timestamp> = (0..)
        .step_by(60)
        .map(Timestamp::from_seconds)
        .take(slots)
        .collect();
    let band = Band {
        lower: Series::missing(slots),
        upper: Series::constant(slots, 1.0),
    };
    let table = Table {
        starts: &starts,
        period: Period::new(60).unwrap(),
        metrics,
        band: Some(&band),
    };
    queries.evaluate("result", &table)
}

/// Whatever `text` is, nothing panics, and what passes the check can be evaluated.
fn survives(text: &str, metrics: &[Series]) {
    let Ok(parsed) = parse(text) else {
        return;
    };
    assert_eq!(parse(&parsed.to_string()).as_ref(), Ok(&parsed));
    let Ok(queries) = queries(text) else {
        return;
    };
    let value = evaluate(&queries, metrics);
    assert_ne!(value, Err(EvaluationError::Unchecked), "{text}");
    assert_eq!(value.is_err(), parsed.external().is_some(), "{text}");
}

fn leaf() -> impl Strategy<Value = Vec<NodeKind>> {
    prop_oneof![
        any::<f64>()
            .prop_filter("a number", |number| number.is_finite())
            .prop_map(|number| NodeKind::Number(number.abs())),
        "[a-z\" ]{0,4}|[A-Z' ]{0,4}".prop_map(NodeKind::Text),
        "[a-z][A-Za-z0-9_]{0,3}".prop_map(NodeKind::Id),
        select(&Keyword::ALL[..]).prop_map(NodeKind::Keyword),
    ]
    .prop_map(|kind| vec![kind])
}

fn operators() -> impl Strategy<Value = NodeKind> {
    select(vec![
        Operator::Power,
        Operator::Multiply,
        Operator::Divide,
        Operator::Add,
        Operator::Subtract,
        Operator::LessOrEqual,
        Operator::NotEqual,
        Operator::And,
        Operator::Or,
    ])
    .prop_map(NodeKind::Binary)
}

/// Any expression that can be written, sensible or not, in the order in which it is kept.
fn nodes() -> impl Strategy<Value = Vec<NodeKind>> {
    leaf().prop_recursive(6, 40, 3, |part| {
        let parts = prop::collection::vec(part.clone(), 1..3);
        let functions = select(vec![Function::Abs, Function::If, Function::Sort]);
        prop_oneof![
            part.clone()
                .prop_map(|part| [part, vec![NodeKind::Negate]].concat()),
            (part.clone(), part, operators()).prop_map(|(left, right, operator)| [
                left,
                right,
                vec![operator]
            ]
            .concat()),
            parts.clone().prop_map(|parts| {
                let array = NodeKind::Array(parts.len());
                [parts.concat(), vec![array]].concat()
            }),
            (parts, functions).prop_map(|(parts, function)| {
                let arguments = parts.len();
                let call = NodeKind::Call {
                    function,
                    arguments,
                };
                [parts.concat(), vec![call]].concat()
            }),
        ]
    })
}

/// From one slot up to another, not included.
fn sliced(series: &Series, slots: std::ops::Range<usize>) -> Series {
    slots.map(|slot| series.get(slot)).collect()
}

proptest! {
    #[test]
    fn parse_after_print_is_identity(kinds in nodes()) {
        let span = Span::default();
        let nodes = kinds.into_iter().map(|kind| Node { kind, span }).collect();
        let expression = Expression { nodes, ambiguous: None };
        let parsed = parse(&expression.to_string()).unwrap();
        prop_assert_eq!(parsed.ambiguous(), None);
        prop_assert_eq!(parsed, expression);
    }

    #[test]
    fn no_text_does_harm(text in any::<String>(), metrics in metrics()) {
        survives(&text, &metrics);
    }

    #[test]
    fn no_tokens_do_harm(
        tokens in prop::collection::vec(select(&TOKENS[..]), 0..12),
        space in select(vec!["", " "]),
        metrics in metrics(),
    ) {
        survives(&tokens.join(space), &metrics);
    }

    #[test]
    fn what_passes_the_check_has_one_finite_result(
        text in prop_oneof![text_of(&OTHERS), text_of(&POINTWISE)],
        metrics in metrics(),
    ) {
        survives(&text, &metrics);
        let queries = queries(&text).unwrap();
        let value = evaluate(&queries, &metrics);
        let Ok(Value::Series(result)) = &value else {
            panic!("{text} yields {value:?}");
        };
        prop_assert_eq!(result.len(), SLOTS);
        prop_assert!(result.iter().flatten().all(f64::is_finite));
        prop_assert_eq!(evaluate(&queries, &metrics), value);
    }

    #[test]
    fn pointwise_expressions_need_one_slot_at_a_time(
        text in text_of(&POINTWISE),
        metrics in metrics(),
        from in 0..=SLOTS,
    ) {
        let queries = queries(&text).unwrap();
        let Ok(Value::Series(whole)) = evaluate(&queries, &metrics) else {
            panic!("{text} is not a series");
        };
        let parts: Vec<Series> = metrics.iter().map(|series| sliced(series, from..SLOTS)).collect();
        let expected = Value::Series(sliced(&whole, from..SLOTS));
        prop_assert_eq!(evaluate(&queries, &parts), Ok(expected));
    }
}

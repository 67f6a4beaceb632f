//! Alarm rules as SPEC section 7 has them, and their laws.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const ARN: &str = "arn:aws:cloudwatch:us-east-1:111111111111:alarm:a";

fn rule(text: &str) -> AlarmRule {
    AlarmRule::parse(text).unwrap()
}

/// Judges `text` where alarm `a` is in ALARM, `o` in OK, `i` in `INSUFFICIENT_DATA`, and no other is known.
#[track_caller]
fn check(text: &str, expected: Option<bool>) {
    let state_of = |name: &str| match name {
        "a" | "A, (1) \"\\" => Some(StateValue::Alarm),
        "o" => Some(StateValue::Ok),
        "i" => Some(StateValue::InsufficientData),
        _ => None,
    };
    assert_eq!(rule(text).evaluate(state_of), expected, "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: Expect) {
    expected.assert_eq(&AlarmRule::parse(text).unwrap_err().to_string());
}

#[track_caller]
fn check_print(text: &str, expected: &str) {
    assert_eq!(rule(text).to_string(), expected);
}

#[test]
fn functions_compare_the_current_state() {
    check("ALARM(a)", Some(true));
    check("OK(a)", Some(false));
    check("OK(o)", Some(true));
    check("INSUFFICIENT_DATA(i)", Some(true));
    check("ALARM(i)", Some(false));
    check("TRUE", Some(true));
    check("FALSE", Some(false));
}

#[test]
fn not_binds_closer_than_and_and_and_closer_than_or() {
    check("TRUE OR TRUE AND FALSE", Some(true));
    check("(TRUE OR TRUE) AND FALSE", Some(false));
    check("FALSE AND TRUE OR TRUE", Some(true));
    check("FALSE AND (TRUE OR TRUE)", Some(false));
    check("NOT FALSE OR TRUE", Some(true));
    check("NOT (FALSE OR TRUE)", Some(false));
    check("NOT TRUE AND FALSE", Some(false));
    check("NOT (TRUE AND FALSE)", Some(true));
    check("NOT NOT TRUE", Some(true));
}

#[test]
fn white_space_is_free_and_needed_only_between_words() {
    check("\n  ALARM ( a )\r\n\tAND\nOK( \"o\" )  ", Some(true));
    check("NOT(ALARM(o))AND(TRUE)", Some(true));
    check("AT_LEAST( 1 ,ALARM,( a,o ) )", Some(true));
}

#[test]
fn references_may_be_quoted_and_may_be_arns() {
    check("ALARM(\"a\")", Some(true));
    check(r#"ALARM("A, (1) \"\\")"#, Some(true));
    check(&format!("ALARM({ARN})"), Some(true));
    check(&format!("ALARM(\"{ARN}\")"), Some(true));
}

#[test]
fn only_the_constants_may_be_lower_case() {
    check("false", Some(false));
    check("True", Some(true));
    assert!(AlarmRule::parse("alarm(a)").is_err());
    assert!(AlarmRule::parse("TRUE and TRUE").is_err());
    assert!(AlarmRule::parse("not TRUE").is_err());
}

#[test]
fn what_is_not_known_matters_only_where_it_decides() {
    check("ALARM(x)", None);
    check("NOT ALARM(x)", None);
    check("ALARM(x) OR ALARM(a)", Some(true));
    check("ALARM(x) OR ALARM(o)", None);
    check("ALARM(x) AND ALARM(o)", Some(false));
    check("ALARM(x) AND ALARM(a)", None);
    check("AT_LEAST(1, ALARM, (x, a))", Some(true));
    check("AT_LEAST(2, ALARM, (x, a))", None);
    check("AT_LEAST(2, ALARM, (x, o))", Some(false));
}

#[test]
fn at_least_counts_alarms_or_compares_percentages() {
    check("AT_LEAST(2, ALARM, (a, o, i))", Some(false));
    check("AT_LEAST(2, NOT ALARM, (a, o, i))", Some(true));
    check("AT_LEAST(2, ALARM, (a, a, o))", Some(true));
    check("AT_LEAST(50%, OK, (o, o, i, a))", Some(true));
    check("AT_LEAST(51%, OK, (o, o, i, a))", Some(false));
    check("AT_LEAST(50%, ALARM, (a, o, i))", Some(false));
    check("AT_LEAST(33%, ALARM, (a, o, i))", Some(true));
    check("AT_LEAST(100%, NOT OK, (a, i))", Some(true));
}

#[test]
fn a_percentage_of_no_whole_number_of_alarms_is_uncertain() {
    let is_uncertain = |text| rule(text).uncertain().is_some();
    assert!(is_uncertain("TRUE OR NOT AT_LEAST(50%, ALARM, (a, b, c))"));
    assert!(!is_uncertain("AT_LEAST(50%, ALARM, (a, b))"));
    assert!(!is_uncertain("AT_LEAST(2, ALARM, (a, b, c))"));
}

#[test]
fn children_are_distinct_and_in_order() {
    let rule = rule(&format!(
        "ALARM(b) OR AT_LEAST(1, OK, (c, {ARN}, b)) AND NOT OK(a)"
    ));
    let names: Vec<&str> = rule.children().into_iter().map(ChildRef::name).collect();
    assert_eq!(names, ["b", "c", "a"]);
    assert_eq!(rule.children()[2].as_str(), ARN);
}

#[test]
fn only_arns_of_alarms_are_taken_apart() {
    let name = |text: &str| ChildRef(text.to_owned()).name().to_owned();
    assert_eq!(name("arn:aws-cn:cloudwatch:cn-north-1:1:alarm:a:b"), "a:b");
    for text in [
        "a:alarm:b",
        "arn:aws:sns:us-east-1:1:alarm:a",
        "arn:aws:cloudwatch:r:1:alarm:",
    ] {
        assert_eq!(name(text), text);
    }
}

#[test]
fn mistakes_are_told_in_cloudwatch_s_form() {
    check_error(
        "GARBAGE(not a rule",
        expect![
            "Error in AlarmRule [Unsupported token 'GARBAGE' at char 0, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]"
        ],
    );
    check_error(
        "TRUE OR",
        expect![
            "Error in AlarmRule [Unsupported end of rule at char 7, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]"
        ],
    );
    check_error(
        "ALARM(ä) XOR TRUE",
        expect![
            "Error in AlarmRule [Unsupported token 'XOR' at char 9, must be: 'AND', 'OR', or the end of the rule]"
        ],
    );
    check_error(
        "(TRUE",
        expect![
            "Error in AlarmRule [Unsupported end of rule at char 5, must be: ')', 'AND', or 'OR']"
        ],
    );
    check_error(
        "ALARM a",
        expect!["Error in AlarmRule [Unsupported token 'a' at char 6, must be: '(']"],
    );
    check_error(
        "ALARM()",
        expect![
            "Error in AlarmRule [Unsupported token ')' at char 6, must be: an alarm name or ARN]"
        ],
    );
    check_error(
        "OK(\"\")",
        expect![[
            r#"Error in AlarmRule [Unsupported token '""' at char 3, must be: an alarm name or ARN]"#
        ]],
    );
    check_error(
        "OK(two words)",
        expect!["Error in AlarmRule [Unsupported token 'words' at char 7, must be: ')']"],
    );
    check_error(
        "OK(\"a)",
        expect![[
            r#"Error in AlarmRule [Unclosed quotation mark at char 3, must be: closed by '"']"#
        ]],
    );
}

#[test]
fn mistakes_in_at_least_point_at_the_argument() {
    check_error(
        "AT_LEAST(3, ALARM, (a, b))",
        expect![
            "Error in AlarmRule [Unsupported token '3' at char 9, must be: from 1 to the number of alarms, 2]"
        ],
    );
    check_error(
        "AT_LEAST(0, ALARM, (a))",
        expect![
            "Error in AlarmRule [Unsupported token '0' at char 9, must be: from 1 to the number of alarms, 1]"
        ],
    );
    check_error(
        "AT_LEAST(101%, ALARM, (a))",
        expect![
            "Error in AlarmRule [Unsupported token '101%' at char 9, must be: from 1% to 100%]"
        ],
    );
    check_error(
        "AT_LEAST(1.5, ALARM, (a))",
        expect![
            "Error in AlarmRule [Unsupported token '1.5' at char 9, must be: a number of alarms or a percentage such as 50%]"
        ],
    );
    check_error(
        "AT_LEAST(1, MAYBE, (a))",
        expect![
            "Error in AlarmRule [Unsupported token 'MAYBE' at char 12, must be: ALARM, OK, or INSUFFICIENT_DATA, or one of them after 'NOT']"
        ],
    );
    check_error(
        "AT_LEAST(1, ALARM, (a b))",
        expect!["Error in AlarmRule [Unsupported token 'b' at char 22, must be: ')' or ',']"],
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| format!("{}TRUE{}", "(".repeat(depth), ")".repeat(depth));
    assert!(AlarmRule::parse(&nested(NESTING_MAX)).is_ok());
    check_error(
        &nested(NESTING_MAX + 1),
        expect!["Error in AlarmRule [Nesting too deep at char 256, must be: at most 256 levels]"],
    );
    assert!(AlarmRule::parse(&"NOT ".repeat(100_000)).is_err());
}

#[test]
fn every_limit_is_told() {
    let of = |count: usize| {
        let functions: Vec<String> = (0..count).map(|i| format!("ALARM(n{i})")).collect();
        functions.join(" OR ")
    };
    assert_eq!(rule(&of(100)).limits_exceeded(), [""; 0]);
    assert_eq!(
        rule(&of(101)).limits_exceeded(),
        ["AlarmRule has 101 child alarms but must have at most 100"]
    );
    let text = format!("{:10241}", format!("(TRUE) OR {}", of(498)));
    assert_eq!(
        rule(&text).limits_exceeded(),
        [
            "AlarmRule has 498 child alarms but must have at most 100",
            "AlarmRule has 501 elements but must have at most 500",
            "AlarmRule has 10241 characters but must have at most 10240",
        ]
    );
}

#[test]
fn rules_are_printed_as_briefly_as_they_can_be() {
    check_print("((ALARM(\"a\")) OR (OK(b)))", "ALARM(a) OR OK(b)");
    check_print(
        "(TRUE OR FALSE) AND (NOT (TRUE))",
        "(TRUE OR FALSE) AND NOT TRUE",
    );
    check_print("TRUE OR (TRUE AND FALSE)", "TRUE OR TRUE AND FALSE");
    check_print("TRUE OR (TRUE OR FALSE)", "TRUE OR TRUE OR FALSE");
    check_print("NOT (TRUE AND FALSE)", "NOT (TRUE AND FALSE)");
    check_print("ALARM(\"two words\")", "ALARM(\"two words\")");
    check_print(
        "AT_LEAST( 050%,NOT  OK,(\"a\",b) )",
        "AT_LEAST(50%, NOT OK, (a, b))",
    );
}

fn any_state() -> impl Strategy<Value = StateValue> {
    proptest::sample::select(&StateValue::ALL)
}

fn any_child() -> impl Strategy<Value = ChildRef> {
    prop_oneof!["[a-f]", "\\PC{1,6}", "[ab \"\\\\(),]{1,6}"].prop_map(ChildRef)
}

fn any_quorum() -> impl Strategy<Value = Quorum> {
    let alarms = proptest::collection::vec(any_child(), 1..5);
    (
        alarms,
        any_state(),
        any::<bool>(),
        any::<bool>(),
        1..=100_usize,
    )
        .prop_map(|(alarms, state, negated, is_percent, number)| Quorum {
            need: match is_percent {
                true => Need::Percent(number),
                false => Need::Count(1 + number % alarms.len()),
            },
            state,
            negated,
            alarms,
        })
}

fn any_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Expression::Constant),
        (any_state(), any_child()).prop_map(|(state, child)| Expression::Is(state, child)),
        any_quorum().prop_map(Expression::AtLeast),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let operator = proptest::sample::select(&[Operator::And, Operator::Or]);
        let operands = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|operand| Expression::Not(Box::new(operand))),
            (operator, operands)
                .prop_map(|(operator, operands)| Expression::joined(operator, operands)),
        ]
    })
}

/// States by the name's bytes; with `known` unset for some names, those are not known.
fn state_of(name: &str, seed: usize, known: bool) -> Option<StateValue> {
    let sum = name
        .bytes()
        .fold(seed, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
    (known || !sum.is_multiple_of(2)).then(|| StateValue::ALL[sum % 3])
}

proptest! {
    #[test]
    fn a_printed_rule_reads_back_as_itself(expression in any_expression()) {
        let read = AlarmRule::parse(&expression.to_string()).map(|rule| rule.expression);
        prop_assert_eq!(read, Ok(expression));
    }

    #[test]
    fn with_every_child_known_there_is_a_result(expression in any_expression(), seed in 0..1000_usize) {
        let rule = rule(&expression.to_string());
        prop_assert!(rule.evaluate(|name| state_of(name, seed, true)).is_some());
    }

    #[test]
    fn what_becomes_known_never_changes_a_result(expression in any_expression(), seed in 0..1000_usize) {
        let rule = rule(&expression.to_string());
        if let Some(result) = rule.evaluate(|name| state_of(name, seed, false)) {
            prop_assert_eq!(rule.evaluate(|name| state_of(name, seed, true)), Some(result));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        drop(AlarmRule::parse(&text));
    }

    #[test]
    fn no_text_of_a_rule_s_words_panics(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "(", ")", ",", "AND", "OR", "NOT", "TRUE", "FALSE", "ALARM", "OK", "ALARM(a)", "OK(\"b c\")",
                "INSUFFICIENT_DATA", "AT_LEAST", "AT_LEAST(", "1", "50%", "999999999999", "\"", "\\", "ä",
            ]),
            0..20,
        ),
    ) {
        match AlarmRule::parse(&words.join(" ")) {
            Ok(rule) => drop(rule.evaluate(|_| None)),
            Err(err) => prop_assert!(err.span.end <= words.join(" ").chars().count()),
        }
    }
}

use super::*;

#[track_caller]
fn same(text: &str, explicit: &str) {
    let (parsed, explicit) = (parse(text).unwrap(), parse(explicit).unwrap());
    assert_eq!(parsed, explicit, "{parsed} is not {explicit}");
}

#[track_caller]
fn prints(text: &str, canonical: &str) {
    assert_eq!(parse(text).unwrap().to_string(), canonical);
}

/// `at` is the part of the text that the error points at.
#[track_caller]
fn refused(text: &str, at: &str, message: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(&text[error.span.start..error.span.end], at);
}

#[track_caller]
fn ambiguous(text: &str, at: Option<&str>) {
    let span = parse(text).unwrap().ambiguous();
    assert_eq!(span.map(|span| &text[span.start..span.end]), at);
}

#[test]
fn operators_bind_in_the_order_of_the_documents() {
    same("a + b * c", "a + (b * c)");
    same("a * b + c", "(a * b) + c");
    same("a - b - c", "(a - b) - c");
    same("a / b * c", "(a / b) * c");
    same("a ^ b * c", "(a ^ b) * c");
    same("a * b ^ c", "a * (b ^ c)");
    same("-a * b", "(-a) * b");
    same("a * -b + c", "(a * (-b)) + c");
    same("a + b > c - d", "(a + b) > (c - d)");
    same("a > b AND c < d", "(a > b) AND (c < d)");
    same("a OR b AND c", "a OR (b AND c)");
    same("a AND b OR c", "(a AND b) OR c");
    same("a && b || c", "a AND b OR c");
    same("a < b == c", "(a < b) == c");
    same("-a ^ b", "-(a ^ b)");
    same("a ^ b ^ c", "(a ^ b) ^ c");
    same("a ^ -b * c", "(a ^ (-b)) * c");
}

#[test]
fn a_power_without_parentheses_is_ambiguous() {
    ambiguous("1 + -a ^ b", Some("-a ^ b"));
    ambiguous("a ^ b ^ c", Some("a ^ b ^ c"));
    ambiguous("(a) ^ -b", Some("(a) ^ -b"));
    ambiguous("--a ^ 2", Some("-a ^ 2"));
    ambiguous("SUM([-a ^ 2, b])", Some("-a ^ 2"));
    ambiguous("-(a ^ b)", None);
    ambiguous("(-a) ^ b", None);
    ambiguous("(a ^ b) ^ c", None);
    ambiguous("a ^ (-b)", None);
    ambiguous("-a * b ^ c", None);
    ambiguous("a ^ b * c ^ d", None);
}

#[test]
fn canonical_text_has_no_needless_parentheses() {
    prints("((a)+((b*c)))", "a + b * c");
    prints("a-(b-c)", "a - (b - c)");
    prints("(a-b)-c", "a - b - c");
    prints("-a^b", "-(a ^ b)");
    prints("a ^ b ^ c", "(a ^ b) ^ c");
    prints("a&&(b||c)", "a AND (b OR c)");
    prints("- - a", "--a");
    prints("-(a*b)", "-(a * b)");
    prints("METRICS('4xx')", "METRICS(\"4xx\")");
    prints("SEARCH('a \"b\"', \"it's\")", "SEARCH('a \"b\"', \"it's\")");
    prints("[ a,[b ,1.50] ]", "[a, [b, 1.5]]");
    prints("1e300 + 1E-9 + .5 + 2.", "1e300 + 1e-9 + 0.5 + 2");
}

#[test]
fn mistakes_are_pointed_at() {
    refused(
        "sum([m1])",
        "sum",
        "function names are upper case; did you mean `SUM`?",
    );
    refused(
        "Avg(m1)",
        "Avg",
        "function names are upper case; did you mean `AVG`?",
    );
    refused("TOTAL(m1)", "TOTAL", "there is no function `TOTAL`");
    refused(
        "STDDEV + 1",
        "STDDEV",
        "function `STDDEV` needs its arguments in parentheses",
    );
    refused(
        "M1 + 1",
        "M1",
        "there is no word `M1`, and ids begin with a lower-case letter",
    );
    refused(
        "m1 and m2",
        "and",
        "operators are upper case; did you mean `AND`?",
    );
    refused("", "", "found the end, but a value must stand here");
    refused("m1 +", "", "found the end, but a value must stand here");
    refused(
        "m1 m2",
        "m2",
        "found `m2`, but an operator or the end must stand here",
    );
    refused(
        "(m1",
        "",
        "found the end, but an operator or `)` must stand here",
    );
    refused(
        "[m1)",
        ")",
        "found `)`, but an operator, `,` or `]` must stand here",
    );
    refused("[]", "]", "found `]`, but a value must stand here");
    refused("ABS(m1,)", ")", "found `)`, but a value must stand here");
    refused(
        "ABS(m1 'a')",
        "'a'",
        "found a string, but an operator, `,` or `)` must stand here",
    );
    refused(
        "m1 = 2",
        "=",
        "found `=`, which has no meaning in an expression; did you mean `==`?",
    );
    refused(
        "m1 × 2",
        "×",
        "found `×`, which has no meaning in an expression",
    );
    refused("METRICS('a)", "'a)", "this string has no closing '");
    refused("1e999", "1e999", "number `1e999` is too large");
}

#[test]
fn depth_is_bounded_but_length_is_not() {
    let nested = |levels: usize| format!("{}m1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(NESTING_MAX)).is_ok());
    refused(
        &nested(NESTING_MAX + 1),
        "(",
        "nested too deeply, at most 100 levels are allowed",
    );
    for opening in ["-", "[", "ABS(", "a^-(", "a OR b AND c == d + e * f ^ ("] {
        assert!(parse(&opening.repeat(100_000)).is_err());
    }
    let chain = parse(&format!("m1{}", " + m1".repeat(100_000))).unwrap();
    assert_eq!(parse(&chain.to_string()), Ok(chain));
}

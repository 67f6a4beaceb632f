//! What is read, what is refused, and in which words.

use super::*;
use crate::definition::{BUILT_IN, duplicates};
use expect_test::{Expect, expect};
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let (definitions, findings) = parse("a.json", text);
    let sound = definitions
        .iter()
        .map(|definition| format!("{}: {:?}\n", definition.alarm.name, definition.alarm.rule));
    let wrong = findings.iter().map(|finding| format!("{finding}\n"));
    expected.assert_eq(&sound.chain(wrong).collect::<String>());
}

/// A request with one member replaced, removed (`null`) or added.
fn with(member: &str, value: &str) -> String {
    let members = [
        ("AlarmName", "\"a\""),
        ("Namespace", "\"n\""),
        ("MetricName", "\"m\""),
        ("Statistic", "\"Average\""),
        ("Period", "60"),
        ("EvaluationPeriods", "2"),
        ("ComparisonOperator", "\"GreaterThanThreshold\""),
        ("Threshold", "50"),
    ];
    let others = members.into_iter().filter(|(name, _)| *name != member);
    let kept = others.chain([(member, value)]);
    let lines: Vec<String> = kept
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[test]
fn the_built_in_alarm_is_the_articles() {
    check(
        BUILT_IN,
        expect![[r#"
        cpu-high: Metric(MetricAlarm { metric: Metric { namespace: "CWBridge", name: "CPUUtilization", dimensions: [Dimension { name: "InstanceId", value: "${aws:InstanceId}" }] }, statistic: Average, unit: None, period: Period(60), evaluation_periods: 2, datapoints_to_alarm: None, comparison_operator: GreaterThanThreshold, threshold: 50.0, treat_missing_data: Some(Breaching) })
    "#]],
    );
}

#[test]
fn the_output_of_describe_alarms_is_read() {
    let metric = with("StateValue", "\"OK\"");
    let text = format!(
        r#"{{"MetricAlarms": [{metric}], "CompositeAlarms": [{{"AlarmName": "c", "AlarmRule": "ALARM(a)"}}]}}"#
    );
    check(
        &text,
        expect![[r#"
        a: Metric(MetricAlarm { metric: Metric { namespace: "n", name: "m", dimensions: [] }, statistic: Average, unit: None, period: Period(60), evaluation_periods: 2, datapoints_to_alarm: None, comparison_operator: GreaterThanThreshold, threshold: 50.0, treat_missing_data: None })
        c: NotMirrored("composite alarms are not judged yet")
    "#]],
    );
}

#[test]
fn every_mistake_is_found_at_once() {
    let text = r#"[
  {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Mean", "Period": 61, "EvaluationPeriods": 0,
   "Treshold": 1, "ComparisonOperator": ">", "TreatMissingData": "notbreaching", "Unit": "percent", "Dimensions": [{"Name": "x"}]},
  {"AlarmName": 5},
  7
]"#;
    check(
        text,
        expect![[r#"
            a.json:2:3: alarm `a`: PutMetricAlarm request should have valid Threshold parameter
            a.json:2:72: alarm `a`: `Statistic` is `Mean`, but must be `Average`, `Sum`, `Minimum`, `Maximum` or `SampleCount`
            a.json:2:90: alarm `a`: Period must be 10, 20, 30 or a multiple of 60, but is 61
            a.json:2:115: alarm `a`: `EvaluationPeriods` is the number 0, but must be a whole number, at least 1
            a.json:3:4: alarm `a`: PutMetricAlarm has no member `Treshold`; did you mean `Threshold`?
            a.json:3:41: alarm `a`: `ComparisonOperator` is `>`, but must be `GreaterThanThreshold`, `GreaterThanOrEqualToThreshold`, `LessThanThreshold` or `LessThanOrEqualToThreshold`
            a.json:3:66: alarm `a`: `TreatMissingData` is `notbreaching`, but must be `breaching`, `notBreaching`, `ignore` or `missing`; did you mean `notBreaching`?
            a.json:3:90: alarm `a`: `Unit` is `percent`, but must be a name that CloudWatch knows; did you mean `Percent`?
            a.json:3:116: alarm `a`: a dimension has no `Value`
            a.json:4:3: the alarm: `Namespace` is missing
            a.json:4:3: the alarm: `MetricName` is missing
            a.json:4:3: the alarm: `Statistic` is missing
            a.json:4:3: the alarm: `Period` is missing
            a.json:4:3: the alarm: `EvaluationPeriods` is missing
            a.json:4:3: the alarm: `ComparisonOperator` is missing
            a.json:4:3: the alarm: PutMetricAlarm request should have valid Threshold parameter
            a.json:4:17: the alarm: `AlarmName` is the number 5, but must be a string
            a.json:5:3: the number 7 found, but an alarm, a list of alarms or the output of `aws cloudwatch describe-alarms` is expected
        "#]],
    );
}

#[test]
fn what_cloudwatch_refuses_is_refused_in_its_words() {
    check(
        &with("DatapointsToAlarm", "3"),
        expect![[r#"
        a.json:10:24: alarm `a`: DatapointsToAlarm must be less than or equal to EvaluationPeriods
    "#]],
    );
    check(
        &with("EvaluationPeriods", "1441"),
        expect![[r#"
        a.json:9:24: alarm `a`: Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for alarms using period < 3600
    "#]],
    );
    check(
        &with("EvaluateLowSampleCountPercentile", "\"ignore\""),
        expect![[r#"
            a.json:10:39: alarm `a`: Option evaluateLowSampleCountPercentile can not be applied with statistic Average. This option is enabled only for percentile statistics.
        "#]],
    );
    check(
        &with(
            "AlarmActions",
            r#"["arn:aws:s3:::bucket", "topic", "arn:aws:sns:us-east-1:1:c", "arn:aws:sns:us-east-1:1:d", "arn:aws:sns:us-east-1:1:e", "arn:aws:sns:us-east-1:1:f"]"#,
        ),
        expect![[r#"
            a.json:10:19: alarm `a`: Unsupported AWS vendor s3
            a.json:10:19: alarm `a`: Invalid arn syntax: topic
            a.json:10:19: alarm `a`: 6 actions found, but Member must have length less than or equal to 5
        "#]],
    );
    check(
        &with("Namespace", "\":x\""),
        expect![[r#"
        a.json:9:16: alarm `a`: `:x` starts with `:`, which a namespace must not
    "#]],
    );
    check(
        &with("Threshold", "null"),
        expect![[r#"
        a.json:1:1: alarm `a`: PutMetricAlarm request should have valid Threshold parameter
    "#]],
    );
}

/// What is wrong in one member does not hide what is wrong in another.
#[test]
fn what_could_be_read_is_checked_all_the_same() {
    let text = with("Statistic", "\"Mean\"").replace(
        "\"Period\": 60",
        "\"Period\": 60, \"DatapointsToAlarm\": 3, \"OKActions\": [\"arn:aws:s3:::b\"]",
    );
    check(
        &text,
        expect![[r#"
        a.json:5:38: alarm `a`: DatapointsToAlarm must be less than or equal to EvaluationPeriods
        a.json:5:54: alarm `a`: Unsupported AWS vendor s3
        a.json:9:16: alarm `a`: `Statistic` is `Mean`, but must be `Average`, `Sum`, `Minimum`, `Maximum` or `SampleCount`
    "#]],
    );
}

#[test]
fn an_alarm_with_its_arn_is_a_description() {
    let (definitions, findings) = parse(
        "a.json",
        &format!(
            "[{}]",
            with("AlarmArn", "\"arn:aws:cloudwatch:us-east-1:1:alarm:a\"")
                .replace("\"Period\"", "\"StateValue\": \"OK\", \"Period\"")
        ),
    );
    assert_eq!((definitions.len(), findings), (1, vec![]));
}

#[test]
fn what_cannot_be_judged_is_kept_with_its_reason() {
    let members = [
        ("Metrics", r#"[{"Id": "m1"}]"#),
        ("ExtendedStatistic", "\"p99\""),
        ("ThresholdMetricId", "\"ad1\""),
        (
            "EvaluationCriteria",
            r#"{"PromQLCriteria": {"Query": "up == 0"}}"#,
        ),
        ("EvaluationWindow", r#"{"WallClockWindow": {}}"#),
        (
            "WarmUpConfiguration",
            r#"{"WarmUpPeriodDurationInMinutes": 5}"#,
        ),
    ];
    let list: Vec<String> = members
        .iter()
        .map(|(member, value)| with(member, value))
        .collect();
    check(
        &format!("[{}]", list.join(",")),
        expect![[r#"
        a: NotMirrored("metric math is not judged yet")
        a: NotMirrored("extended statistics are not judged yet")
        a: NotMirrored("anomaly detection needs a model that only CloudWatch has")
        a: NotMirrored("PromQL alarms need a query engine that only CloudWatch has")
        a: NotMirrored("wall-clock evaluation windows are not judged yet")
        a: NotMirrored("warm-up periods are not judged yet")
    "#]],
    );
}

#[test]
fn two_alarms_of_one_name_are_reported() {
    let text = format!(
        "[{},\n{}]",
        with("AlarmName", "\"a\""),
        with("AlarmName", "\"a\"")
    );
    let (definitions, _) = parse("a.json", &text);
    let findings: Vec<String> = duplicates(&definitions)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        ["a.json:11:1: alarm `a` is defined twice, first at a.json:1:2"]
    );
}

#[test]
fn what_is_no_alarm_file_is_refused() {
    check(
        "",
        expect![[r#"
        a.json:1:1: null found, but an alarm, a list of alarms or the output of `aws cloudwatch describe-alarms` is expected
    "#]],
    );
    check(
        "5",
        expect![[r#"
        a.json:1:1: the number 5 found, but an alarm, a list of alarms or the output of `aws cloudwatch describe-alarms` is expected
    "#]],
    );
    check(
        "{\"AlarmName\": }",
        expect![[r#"
        a.json:1:1: the alarm: `AlarmName` is missing
        a.json:1:1: the alarm: `Namespace` is missing
        a.json:1:1: the alarm: `MetricName` is missing
        a.json:1:1: the alarm: `Statistic` is missing
        a.json:1:1: the alarm: `Period` is missing
        a.json:1:1: the alarm: `EvaluationPeriods` is missing
        a.json:1:1: the alarm: `ComparisonOperator` is missing
        a.json:1:1: the alarm: PutMetricAlarm request should have valid Threshold parameter
    "#]],
    );
}

proptest! {
    #[test]
    fn no_value_makes_the_reader_panic(member in prop::sample::select(MEMBERS.to_vec()), value in prop::sample::select(vec![
        "null", "true", "-1", "1e300", "\"\"", "[]", "{}", "[null]", "[{}]", "[[[]]]", "\"\\u0000\"", "4294967296", "60",
    ])) {
        parse("a.json", &with(member, value));
    }
}

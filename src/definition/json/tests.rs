//! What is read, what is refused, and in which words.

use super::*;
use crate::definition::{BUILT_IN, duplicates};
use expect_test::{Expect, expect};
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let Parsed {
        alarms: definitions,
        findings,
        ..
    } = parse("a.json", text);
    let sound = definitions
        .iter()
        .map(|definition| format!("{}\n", described(&definition.alarm)));
    let wrong = findings.iter().map(|finding| format!("{finding}\n"));
    expected.assert_eq(&sound.chain(wrong).collect::<String>());
}

/// An alarm in a line: what it reads, M out of N, and why it is not judged here if it is not.
fn described(alarm: &Alarm) -> String {
    let rule = match &alarm.rule {
        Rule::Metric(rule) => {
            let stats: Vec<String> = rule
                .stats()
                .iter()
                .map(|stat| format!("{} of `{}`", stat.statistic, stat.metric))
                .collect();
            let (m, n) = (rule.minimum_to_alarm(), rule.evaluation_periods);
            format!(
                "{} {m} of {n} x {} s {:?}",
                stats.join(", "),
                rule.period,
                rule.comparison
            )
        }
        Rule::Composite(rule) => format!("{} {:?}", rule.rule, rule.suppressor),
        Rule::PromQl(rule) => format!("{rule:?}"),
        Rule::Log(rule) => format!("{rule:?}"),
    };
    let why = alarm
        .not_mirrored()
        .map_or_else(String::new, |why| format!(" ({why})"));
    format!("{}: {rule}{why}", alarm.name)
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
            cpu-high: Average of `CWBridge CPUUtilization {InstanceId=${aws:InstanceId}}` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 50.0 }
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
            a: Average of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 50.0 }
            c: ALARM(a) None
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
            a.json:2:90: alarm `a`: Period must be 10, 20, 30 or a multiple of 60
            a.json:2:115: alarm `a`: `EvaluationPeriods` is the number 0, but must be a whole number, at least 1
            a.json:3:4: alarm `a`: PutMetricAlarm has no member `Treshold`; did you mean `Threshold`?
            a.json:3:41: alarm `a`: `ComparisonOperator` is `>`, but must be `GreaterThanThreshold`, `GreaterThanOrEqualToThreshold`, `LessThanThreshold` or `LessThanOrEqualToThreshold`
            a.json:3:66: alarm `a`: `TreatMissingData` is `notbreaching`, but must be `breaching`, `notBreaching`, `ignore` or `missing`; did you mean `notBreaching`?
            a.json:3:90: alarm `a`: `Unit` is `percent`, but must be a name that CloudWatch knows; did you mean `Percent`?
            a.json:3:116: alarm `a`: a dimension has no `Value`
            a.json:4:3: the alarm: `EvaluationPeriods` is missing
            a.json:4:3: the alarm: `ComparisonOperator` is missing
            a.json:4:3: the alarm: PutMetricAlarm request should have valid Threshold parameter
            a.json:4:3: the alarm: `Namespace` is missing
            a.json:4:3: the alarm: `MetricName` is missing
            a.json:4:3: the alarm: `Statistic` is missing
            a.json:4:3: the alarm: `Period` is missing
            a.json:4:17: the alarm: `AlarmName` is the number 5, but must be a string
            a.json:5:3: the number 7 found, but an alarm, a list of alarms, the output of `aws cloudwatch describe-alarms`, a CloudFormation template or the output of `terraform show -json` is expected
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
            a.json:10:19: alarm `a`: 1 validation error detected: Value '[arn:aws:s3:::bucket, topic, arn:aws:sns:us-east-1:1:c, arn:aws:sns:us-east-1:1:d, arn:aws:sns:us-east-1:1:e, arn:aws:sns:us-east-1:1:f]' at 'alarmActions' failed to satisfy constraint: Member must have length less than or equal to 5
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
    let described = with("AlarmArn", "\"arn:aws:cloudwatch:us-east-1:1:alarm:a\"")
        .replace("\"Period\"", "\"StateValue\": \"OK\", \"Period\"");
    let parsed = parse("a.json", &format!("[{described}]"));
    assert_eq!((parsed.alarms.len(), parsed.findings), (1, vec![]));
}

/// A request with `Metrics` instead of one metric.
fn math(metrics: &str, others: &str) -> String {
    format!(r#"{{"AlarmName": "a", "EvaluationPeriods": 2, "Metrics": [{metrics}], {others}}}"#)
}

const ABOVE: &str = r#""ComparisonOperator": "GreaterThanThreshold", "Threshold": 5"#;
const M1: &str = r#"{"Id": "m1", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "p99"}}"#;

#[test]
fn every_kind_of_alarm_is_read() {
    let stat = M1.replace("false", "true");
    let band = r#"{"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"}"#;
    let alarms = [
        with("Statistic", "null").replace("\"Period\"", "\"ExtendedStatistic\": \"tm90\", \"Period\""),
        with("EvaluationWindow", r#"{"WallClockWindow": {"Timezone": "Europe/Berlin"}}"#),
        with("WarmUpConfiguration", r#"{"WarmUpPeriodDurationInMinutes": 5}"#),
        math(&format!(r#"{M1}, {{"Id": "e1", "Expression": "m1 * 2"}}"#), ABOVE),
        math(&format!("{stat}, {band}"), r#""ComparisonOperator": "GreaterThanUpperThreshold", "ThresholdMetricId": "ad1""#),
        math(r#"{"Id": "q1", "Period": 60, "Expression": "SELECT MAX(m) FROM n GROUP BY h"}"#, ABOVE),
        math(&format!(r#"{M1}, {{"Id": "e1", "Expression": "LAMBDA('f', m1)"}}"#), ABOVE),
        r#"{"AlarmName": "a", "EvaluationInterval": 60, "EvaluationCriteria": {"PromQLCriteria": {"Query": "up == 0", "PendingPeriod": 120}}}"#.to_owned(),
        r#"{"AlarmName": "a", "AlarmRule": "NOT (ALARM(x) OR OK(\"y z\"))", "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 30}"#.to_owned(),
        r#"{"AlarmName": "a", "QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 2, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "ScheduledQueryConfiguration": {"QueryString": "fields @message", "AggregationExpression": "count(*)", "ScheduleConfiguration": {"ScheduleExpression": "rate(5 minutes)"}}}"#.to_owned(),
    ];
    check(
        &format!("[{}]", alarms.join(",")),
        expect![[r#"
            a: tm90 of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 50.0 }
            a: Average of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 50.0 }
            a: Average of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 50.0 }
            a: p99 of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 5.0 }
            a: p99 of `n m` 2 of 2 x 60 s Band { operator: GreaterThanUpperThreshold, threshold_metric_id: "ad1" } (anomaly detection needs a model that only CloudWatch has)
            a:  2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 5.0 } (Metrics Insights queries can only be run by CloudWatch)
            a: p99 of `n m` 2 of 2 x 60 s Threshold { operator: GreaterThanThreshold, threshold: 5.0 } (`LAMBDA` can only be evaluated by CloudWatch)
            a: PromQlAlarm { query: "up == 0", pending_period: 120, recovery_period: 0, evaluation_interval: 60 } (PromQL alarms need a query engine that only CloudWatch has)
            a: NOT (ALARM(x) OR OK("y z")) Some(Suppressor { alarm: "s", wait_period: 60, extension_period: 30 })
            a: LogAlarm { query: ScheduledQuery { text: "fields @message", log_groups: [], aggregation: Aggregation { text: "count(*)", counts_all: true, by: [] }, schedule: "rate(5 minutes)", interval: 300, offsets: (None, None) }, results_to_evaluate: 3, results_to_alarm: 2, operator: GreaterThanThreshold, threshold: 1.0, treat_missing_data: None, warm_up: None } (log alarms need queries that only CloudWatch Logs can run)
        "#]],
    );
}

#[test]
fn mistakes_in_expressions_are_told_where_they_are() {
    let expression = |text: &str| {
        math(
            &format!("{M1},\n{{\"Id\": \"e1\", \"Expression\": \"{text}\"}}"),
            ABOVE,
        )
    };
    let rule = |text: &str| format!(r#"{{"AlarmName": "a", "AlarmRule": "{text}"}}"#);
    let alarms = [
        expression("m1 + m2"),
        expression("sum(m1)"),
        expression("METRICS()"),
        rule("ALARM(a) OR GARBAGE(b)"),
        rule("ALARM(\\\"x\\\") OR"),
    ];
    check(
        &format!("[{}]", alarms.join(",\n")),
        expect![[r#"
        a.json:2:34: alarm `a`: expression `e1`: no query has the id `m2`
        a.json:4:29: alarm `a`: expression `e1`: function names are upper case; did you mean `SUM`?
        a.json:6:29: alarm `a`: expression `e1`: an alarm needs exactly one series, but this expression yields an array of series
        a.json:7:46: alarm `a`: Error in AlarmRule [Unsupported token 'GARBAGE' at char 12, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]
        a.json:8:33: alarm `a`: Error in AlarmRule [Unsupported end of rule at char 13, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA]
    "#]],
    );
}

#[test]
fn mistakes_in_metrics_are_told_in_cloudwatchs_words() {
    let both = r#"{"Id": "e1", "Expression": "m1", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}}"#;
    let alarms = [
        math(&format!("{M1}, {both}"), ABOVE),
        math(&format!(r#"{M1}, {{"Id": "e1"}}"#), ABOVE),
        math(&M1.replace("p99", "Mean"), ABOVE),
        math(M1, ABOVE),
        math(
            &format!(
                r#"{M1}, {}, {{"Id": "e1", "Expression": "m1"}}"#,
                M1.replace("m1", "m2").replace(": 60", ": 300")
            ),
            ABOVE,
        ),
        math(
            &format!(r#"{M1}, {{"Id": "e1", "Expression": "m1"}}"#),
            &format!("\"Period\": 60, {ABOVE}"),
        ),
    ];
    check(
        &format!("[{}]", alarms.join(",\n")),
        expect![[r#"
            a.json:1:213: alarm `a`: The parameters MetricDataQuery Expression and MetricStat are mutually exclusive and you have specified both.
            a.json:2:185: alarm `a`: Period must not be null
            a.json:3:55: alarm `a`: Exactly one element of the metrics list should return data.
            a.json:3:176: alarm `a`: Invalid metrics list
            a.json:4:55: alarm `a`: Exactly one element of the metrics list should return data.
            a.json:5:55: alarm `a`: the elements of `Metrics` have several periods (60, 300), but must have one
            a.json:6:230: alarm `a`: `Period` must not be given with `Metrics`
        "#]],
    );
}

#[test]
fn mute_rules_are_read_and_refused() {
    let rule = |expression: &str, duration: &str| {
        format!(
            r#"{{"Name": "r", "MuteTargets": {{"AlarmNames": ["a"]}}, "Rule": {{"Schedule": {{"Expression": "{expression}", "Duration": "{duration}"}}}}}}"#
        )
    };
    let parsed = parse("a.json", &rule("cron(0 2 * * SUN)", "PT4H"));
    assert_eq!((parsed.mute_rules.len(), parsed.findings), (1, vec![]));
    check(
        &rule("cron(61 2 * *)", "PT59S"),
        expect![[r#"
        a.json:1:95: mute rule `r`: cron expression has 4 fields but must have 5: minute, hour, day-of-month, month and day-of-week
        a.json:1:119: mute rule `r`: Duration is `PT59S` but must be from 1 minute, `PT1M`, to 15 days, `P15D`
    "#]],
    );
    check(
        &rule("cron(0 2 * * SUN)", "PT4H").replace("MuteTargets", "MuteTarget"),
        expect![[r#"
            a.json:1:15: mute rule `r`: PutAlarmMuteRule has no key `MuteTarget`; did you mean `MuteTargets`?
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
    let definitions = parse("a.json", &text).alarms;
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
            a.json:1:1: null found, but an alarm, a list of alarms, the output of `aws cloudwatch describe-alarms`, a CloudFormation template or the output of `terraform show -json` is expected
        "#]],
    );
    check(
        "5",
        expect![[r#"
            a.json:1:1: the number 5 found, but an alarm, a list of alarms, the output of `aws cloudwatch describe-alarms`, a CloudFormation template or the output of `terraform show -json` is expected
        "#]],
    );
    check(
        "{\"AlarmName\": }",
        expect![[r#"
            a.json:1:1: the alarm: `AlarmName` is missing
            a.json:1:1: the alarm: `EvaluationPeriods` is missing
            a.json:1:1: the alarm: `ComparisonOperator` is missing
            a.json:1:1: the alarm: PutMetricAlarm request should have valid Threshold parameter
            a.json:1:1: the alarm: `Namespace` is missing
            a.json:1:1: the alarm: `MetricName` is missing
            a.json:1:1: the alarm: `Statistic` is missing
            a.json:1:1: the alarm: `Period` is missing
        "#]],
    );
}

proptest! {
    #[test]
    fn no_value_makes_the_reader_panic(member in prop::sample::select(metric::MEMBERS.to_vec()), value in prop::sample::select(vec![
        "null", "true", "-1", "1e300", "\"\"", "[]", "{}", "[null]", "[{}]", "[[[]]]", "\"\\u0000\"", "4294967296", "60",
    ])) {
        parse("a.json", &with(member, value));
    }
}

#[test]
fn mistakes_in_queries_are_told() {
    let log = |others: &str| {
        format!(
            r#"{{"AlarmName": "a", "QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 2, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "ScheduledQueryConfiguration": {{"ScheduleConfiguration": {{"ScheduleExpression": "rate(5 minutes)"}}, {others}}}}}"#
        )
    };
    let alarms = [
        log(r#""QueryString": "", "AggregationExpression": "median(x)""#),
        log(r#""QueryString": "fields @message", "AggregationExpression": "max(x) by bin(5m)""#),
        r#"{"AlarmName": "a", "EvaluationInterval": 60, "WarmUpConfiguration": {}, "EvaluationCriteria": {"PromQLCriteria": {"Query": ""}}}"#.to_owned(),
        log(r#""QueryString": "fields @message", "AggregationExpression": "max(x) by host""#)
            .replace("\"Threshold\": 1", r#""Threshold": 1, "InsufficientDataActions": ["arn:aws:sns:us-east-1:1:t"]"#),
        log(r#""QueryString": "q", "AggregationExpression": "count(*)""#)
            .replace("\"Threshold\": 1, ", ""),
    ];
    check(
        &format!("[{}]", alarms.join(",\n")),
        expect![[r#"
            a.json:1:253: alarm `a`: `QueryString` has 0 characters, but 1 to 10000 are allowed
            a.json:1:282: alarm `a`: `AggregationExpression`: `median(x)` is none of `count(*)`, `count(FIELD)`, `avg(FIELD)`, `sum(FIELD)`, `min(FIELD)` and `max(FIELD)`, with `by FIELD, …` and `| sort asc` or `desc`, or without
            a.json:2:296: alarm `a`: `AggregationExpression`: `bin()` cannot be grouped by
            a.json:3:69: alarm `a`: `WarmUpPeriodDurationInMinutes` is missing
            a.json:3:124: alarm `a`: `Query` has 0 characters, but 1 to 10000 are allowed
            a.json:4:118: alarm `a`: InsufficientData actions are not supported for contributor-level action types in Multi Time Series alarms
            a.json:5:1: alarm `a`: `Threshold` is missing
        "#]],
    );
}

#[test]
fn a_band_around_metric_math_has_limits() {
    let band = |period: u32, band: &str| {
        let m1 = M1
            .replace(": 60", &format!(": {period}"))
            .replace("\"ReturnData\": true", "\"ReturnData\": false");
        format!(
            r#"{{"AlarmName": "a", "EvaluationPeriods": 1, "ThresholdMetricId": "b", "ComparisonOperator": "GreaterThanUpperThreshold", "Metrics": [{m1},
                {{"Id": "e", "Expression": "m1 * 2"}}, {{"Id": "b", "Expression": "{band}"}}]}}"#
        )
    };
    let alarms = [
        band(3_600, "ANOMALY_DETECTION_BAND(e)"),
        band(7_200, "ANOMALY_DETECTION_BAND(e)"),
        band(30, "ANOMALY_DETECTION_BAND(SUM(METRICS()))"),
        band(60, "ANOMALY_DETECTION_BAND(e)").replace(
            r#"{"Id": "b""#,
            &(2..10).map(|i| M1.replace("\"m1\"", &format!("\"m{i}\"")) + ", ").chain([r#"{"Id": "b""#.to_owned()]).collect::<String>(),
        ),
        band(60, "ANOMALY_DETECTION_BAND(e)").replace(
            r#"{"Id": "b""#,
            r#"{"Id": "b2", "Expression": "ANOMALY_DETECTION_BAND(m1)", "ReturnData": false}, {"Id": "b""#,
        ),
    ];
    check(
        &format!("[{}]", alarms.join(",\n")),
        expect![[r#"
            a: p99 of `n m` 1 of 1 x 3600 s Band { operator: GreaterThanUpperThreshold, threshold_metric_id: "b" } (anomaly detection needs a model that only CloudWatch has)
            a.json:3:132: alarm `a`: a band around metric math needs a period of 60 to 3600 seconds, but it is 7200
            a.json:5:132: alarm `a`: a band around metric math needs a period of 60 to 3600 seconds, but it is 30
            a.json:5:132: alarm `a`: a band around metric math must not use `METRICS`
            a.json:7:132: alarm `a`: a band around metric math allows 10 queries, but there are 11
            a.json:9:132: alarm `a`: only one `ANOMALY_DETECTION_BAND` is allowed
        "#]],
    );
}

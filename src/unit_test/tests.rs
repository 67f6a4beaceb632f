use super::*;
use crate::alarm::{Alarm, MuteRule};
use crate::definition;
use crate::finding::Report;

const CPU: &str = r#"{"AlarmName": "cpu-high", "Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "InstanceId", "Value": "i-0"}], "Statistic": "Average", "Period": 60, "EvaluationPeriods": 2,
  "Threshold": 50, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["arn:aws:sns:us-east-1:111122223333:t"]}"#;

fn alarms(text: &str) -> (Vec<Alarm>, Vec<MuteRule>) {
    let parsed = definition::parse("alarms.json", text);
    assert_eq!(parsed.findings, []);
    parsed.into_rules()
}

fn tests(text: &str) -> TestFile {
    let mut report = Report::new("t.yaml");
    let file = parse(text, &mut report);
    assert_eq!(report.findings, []);
    file.unwrap()
}

/// The failures of every test, one after the other.
fn failures(definitions: &str, text: &str) -> Vec<String> {
    let (alarms, mute_rules) = alarms(definitions);
    let subject = Subject {
        alarms: &alarms,
        mute_rules: &mute_rules,
    };
    let file = tests(&format!("alarms: [alarms.json]\ntests:\n{text}"));
    let run = |test: &Test| run(test, subject, &mut |_| {});
    let failures = file.tests.iter().flat_map(run);
    failures
        .map(|failure| format!("{}: {}", failure.position.line, failure.message))
        .collect()
}

const SERIES: &str = "    input_series: [{metric: 'AWS/EC2 CPUUtilization {InstanceId=i-0}', unit: Percent, values: \"10x3 90x1 _ _ 20\"}]\n";

/// The example of the design.
#[test]
fn what_is_expected_is_found() {
    let text = format!(
        "  - name: two hot minutes\n    interval: 1m\n{SERIES}    initial_state: {{cpu-high: OK}}\n    until: 9m\n    expect:\n      - {{at: 6m, alarm: cpu-high, state: ALARM, reason_contains: \"2 datapoints\"}}\n    expect_transitions:\n      - {{alarm: cpu-high, transitions: [\"6m OK -> ALARM\", \"9m ALARM -> OK\"]}}\n    expect_actions:\n      - {{alarm: cpu-high, actions: [\"6m ALARM\"]}}\n"
    );
    assert_eq!(failures(CPU, &text), [""; 0]);
}

#[test]
fn what_is_not_as_expected_is_told_with_what_was_there() {
    let text = format!(
        "  - name: a\n{SERIES}    expect:\n      - {{at: 6m, alarm: cpu-high, state: OK}}\n      - {{at: 6m, alarm: cpu-hihg, state: OK}}\n"
    );
    assert_eq!(
        failures(CPU, &text),
        ["7: there is no alarm `cpu-hihg`; did you mean `cpu-high`?"]
    );
    let text = format!(
        "  - name: a\n{SERIES}    expect:\n      - {{at: 6m, alarm: cpu-high, state: OK}}\n    expect_transitions:\n      - {{alarm: cpu-high, transitions: [\"5m OK -> ALARM\"]}}\n"
    );
    expect_test::expect![[r#"
        6: at 6m alarm `cpu-high` is in ALARM, not in OK
        reason: Threshold Crossed: 2 datapoints [90.0 (01/01/70 00:05:00), 90.0 (01/01/70 00:04:00)] were greater than the threshold (50.0).
        datapoints up to 6m: _ 10 10 10 10 90! 90!
        ----
        8: alarm `cpu-high` did not do what was expected (- expected, + done)
        - 5m OK -> ALARM
        + 1m INSUFFICIENT_DATA -> OK
        + 6m OK -> ALARM
        + 9m ALARM -> OK
        datapoints up to 9m: 10 10 90! 90! _ _ 20
    "#]]
    .assert_eq(&(failures(CPU, &text).join("\n----\n") + "\n"));
}

#[test]
fn sets_late_samples_restarts_and_states_from_outside_play_their_part() {
    let both = format!(
        r#"[{CPU}, {{"AlarmName": "both", "AlarmRule": "ALARM(cpu-high) AND ALARM(\"elsewhere\")"}},
          {{"AlarmName": "elsewhere", "AlarmRule": "FALSE"}}]"#
    );
    let text = "  - name: a\n    input_series: [{metric: 'AWS/EC2 CPUUtilization {InstanceId=i-0}', values: \"{n:2 sum:180 min:80 max:100} [90*5] _ 10@+90s\"}]\n    restarts: [2m]\n    set_states: [{at: 3m, alarm: elsewhere, state: ALARM}]\n    expect:\n      - {at: 2m, alarm: cpu-high, state: ALARM}\n      - {at: 3m, alarm: both, state: ALARM}\n      - {at: 4m, alarm: cpu-high, state: ALARM}\n      - {at: 6m, alarm: cpu-high, state: OK}\n";
    assert_eq!(failures(&both, text), [""; 0]);
}

#[test]
fn what_came_before_an_alarm_was_created_counts() {
    let text = "  - name: a\n    input_series: [{metric: 'AWS/EC2 CPUUtilization {InstanceId=i-0}', values: 90x9}]\n    created_at: 5m\n    expect_transitions:\n      - {alarm: cpu-high, transitions: [\"6m INSUFFICIENT_DATA -> ALARM\"]}\n";
    assert_eq!(failures(CPU, text), [""; 0]);
}

#[test]
fn mute_rules_of_the_files_withhold_actions() {
    let muted = format!(
        r#"[{CPU}, {{"Name": "m", "Rule": {{"Schedule": {{"Expression": "cron(5 0 * * *)", "Duration": "PT5M"}}}},
          "MuteTargets": {{"AlarmNames": ["cpu-high"]}}}}]"#
    );
    let text = "  - name: a\n    start: 2026-01-05T00:00:00Z\n    input_series: [{metric: 'AWS/EC2 CPUUtilization {InstanceId=i-0}', values: 10x3 90x9}]\n    expect_actions:\n      - {alarm: cpu-high, actions: [\"10m ALARM after mute\"]}\n";
    assert_eq!(failures(&muted, text), [""; 0]);
}

#[test]
fn mistakes_are_told_all_at_once() {
    let mut report = Report::new("t.yaml");
    let text = "alarm: []\ntests:\n  - name: a\n    intervall: 1m\n    input_series:\n      - {metric: nothing, unit: Percents, values: 1xx}\n    expect:\n      - {at: soon, alarm: cpu, state: HOT}\n  - expect: []\n";
    let file = parse(text, &mut report).unwrap();
    assert_eq!(file.tests, []);
    let all: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    expect_test::expect![[r#"
        t.yaml:1:1: a test file has no key `alarm`; did you mean `alarms`?
        t.yaml:1:1: `alarms` is missing: the files that the alarms are in
        t.yaml:4:5: test `a`: a test has no key `intervall`; did you mean `interval`?
        t.yaml:6:18: test `a`: `metric` is `nothing`, but must be like `AWS/EC2 CPUUtilization {InstanceId=i-0123456789abcdef0}`
        t.yaml:6:33: test `a`: `unit` is `Percents`, but must be a unit that CloudWatch knows
        t.yaml:6:51: test `a`: `1xx` is no value; `3`, `_`, `3x4`, `_x4`, `1+2x3`, `{n:5 sum:10 min:1 max:3}` and `[1*2 10*4]` are
        t.yaml:8:14: test `a`: `at` is the string "soon", but must be a time like `6m` or `1h30m`, at most 63 days
        t.yaml:3:5: test `a`: it expects nothing: `expect`, `expect_transitions` or `expect_actions` is wanted
        t.yaml:9:5: test `?`: it expects nothing: `expect`, `expect_transitions` or `expect_actions` is wanted
    "#]].assert_eq(&(all.join("\n") + "\n"));
}

/// Nothing that is written is left unlooked at, and no time is beyond measure.
#[test]
fn what_lies_outside_the_time_of_a_test_is_a_mistake() {
    let told = |text: &str| -> Vec<String> {
        let mut report = Report::new("t.yaml");
        parse(&format!("alarms: []\ntests:\n  - {text}\n"), &mut report);
        report
            .findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    };
    assert_eq!(
        told("{name: a, until: 5m, expect: [{at: 9m, alarm: a, state: OK}]}"),
        ["test `a`: `expect` at 9m is not in the time of the test, from 0m to 5m"]
    );
    assert_eq!(
        told("{name: a, created_at: 5m, restarts: [2m], expect: [{at: 9m, alarm: a, state: OK}]}"),
        ["test `a`: `restarts` at 2m is not in the time of the test, from 5m to 63d"]
    );
    for values in ["_ 1@+9223372036854775807s", "1@+200000000000y"] {
        let series = format!(
            "{{name: a, input_series: [{{metric: n m, values: '{values}'}}], expect: [{{at: 1m, alarm: a, state: OK}}]}}"
        );
        assert_eq!(told(&series).len(), 1, "{values}");
    }
    let long = told(
        "{name: a, interval: 63d, input_series: [{metric: n m, values: 1x999}], expect: [{at: 1m, alarm: a, state: OK}]}",
    );
    assert!(long[0].contains("later than 63 days"), "{long:?}");
}

#[test]
fn lines_are_compared_by_their_time_and_in_order() {
    let text = format!(
        "  - name: a\n{SERIES}    expect_transitions:\n      - {{alarm: cpu-high, transitions: [\"60s INSUFFICIENT_DATA  ->  OK\", \"360s OK -> ALARM\", \"9m ALARM -> OK\"]}}\n"
    );
    assert_eq!(failures(CPU, &text), [""; 0]);
    let text = format!(
        "  - name: a\n{SERIES}    expect_transitions:\n      - {{alarm: cpu-high, transitions: [\"6m OK -> ALARM\", \"1m INSUFFICIENT_DATA -> OK\"]}}\n"
    );
    let told = failures(CPU, &text).join("\n");
    assert!(told.contains("\n+ 1m INSUFFICIENT_DATA -> OK\n  6m OK -> ALARM\n- 1m INSUFFICIENT_DATA -> OK\n+ 9m ALARM -> OK\ndatapoints up to "), "{told}");
}

#[test]
fn coverage_tells_what_no_test_reached() {
    let (alarms, mute_rules) = alarms(CPU);
    let subject = Subject {
        alarms: &alarms,
        mute_rules: &mute_rules,
    };
    let file = tests(&format!(
        "alarms: []\ntests:\n  - name: a\n{SERIES}    expect:\n      - {{at: 9m, alarm: cpu-high, state: OK}}\n"
    ));
    let mut coverage = Coverage::default();
    assert_eq!(
        run(&file.tests[0], subject, &mut |seen| coverage.see(seen)),
        []
    );
    let [alarm] = &coverage.alarms()[..] else {
        panic!("one alarm");
    };
    assert_eq!(
        alarm.missed,
        [
            "ALARM -> INSUFFICIENT_DATA",
            "INSUFFICIENT_DATA",
            "INSUFFICIENT_DATA -> ALARM",
            "OK -> INSUFFICIENT_DATA",
            "all datapoints missing"
        ]
    );
    assert_eq!((alarm.reached, alarm.all), (7, 12));
    assert!((coverage.percent() - 58.3).abs() < 0.1);
}

#[test]
fn every_part_of_a_rule_is_changed() {
    let (alarms, _) = alarms(CPU);
    let all: Vec<String> = mutate::mutants(&alarms[0])
        .into_iter()
        .map(|(what, _)| what)
        .collect();
    expect_test::expect![[r#"
        Threshold 50 -> 55
        Threshold 50 -> 45
        ComparisonOperator GreaterThanThreshold -> GreaterThanOrEqualToThreshold
        ComparisonOperator GreaterThanThreshold -> LessThanThreshold
        ComparisonOperator GreaterThanThreshold -> LessThanOrEqualToThreshold
        EvaluationPeriods 2 -> 3
        EvaluationPeriods 2 -> 1
        DatapointsToAlarm 2 -> 1
        TreatMissingData missing -> breaching
        TreatMissingData missing -> notBreaching
        TreatMissingData missing -> ignore
    "#]]
    .assert_eq(&(all.join("\n") + "\n"));
}

#[test]
fn series_that_nothing_reads_and_samples_that_are_not_taken_are_told() {
    let of = |metric: &str, values: &str| {
        failures(
            CPU,
            &format!(
                "  - name: a\n    input_series:\n      - {{metric: '{metric}', values: '{values}'}}\n    expect:\n      - {{at: 5m, alarm: cpu-high, state: OK}}\n"
            ),
        )
    };
    assert_eq!(
        of("AWS/EC2 CPUUtilization {InstanceId=i-0}", "1x6"),
        [""; 0]
    );
    expect_test::expect!["5: no alarm reads `AWS/EC2 CPUUtilization {InstanceId=i-1}`; did you mean `AWS/EC2 CPUUtilization {InstanceId=i-0}`?"]
        .assert_eq(&of("AWS/EC2 CPUUtilization {InstanceId=i-1}", "1x6").join("\n"));
    expect_test::expect![[r#"
        3: a sample that comes at 7m is not taken: a value is beyond 2^360 or -2^360, or a count is not above 0
        3: a sample that comes at 8m is not taken: a value is beyond 2^360 or -2^360, or a count is not above 0"#]]
        .assert_eq(&of("AWS/EC2 CPUUtilization {InstanceId=i-0}", "1x6 1e300 [1*0]").join("\n"));
}

/// Only the tests that name an alarm, or one that depends on it, notice what is changed of it.
#[test]
fn changes_of_children_are_noticed_by_tests_of_their_composites() {
    let other = CPU.replace("cpu-high", "other");
    let both = r#"{"AlarmName": "both", "AlarmRule": "ALARM(cpu-high)"}"#;
    let (alarms, mute_rules) = alarms(&format!("[{CPU}, {other}, {both}]"));
    let subject = Subject {
        alarms: &alarms,
        mute_rules: &mute_rules,
    };
    let file = tests(
        "alarms: []\ntests:\n  - name: a\n    input_series:\n      - {metric: 'AWS/EC2 CPUUtilization {InstanceId=i-0}', values: '1 1 1 51 51 1 1 1'}\n    expect_transitions:\n      - alarm: both\n        transitions: [0m INSUFFICIENT_DATA -> OK, 5m OK -> ALARM, 6m ALARM -> OK]\n",
    );
    assert_eq!(run(&file.tests[0], subject, &mut |_| {}), []);
    let left: Vec<String> = unnoticed(subject, &file.tests)
        .into_iter()
        .filter(|found| found.alarm == "cpu-high" || found.change.starts_with("Threshold"))
        .map(|found| format!("{}: {}", found.alarm, found.change))
        .collect();
    expect_test::expect![[r#"
        cpu-high: Threshold 50 -> 45
        cpu-high: ComparisonOperator GreaterThanThreshold -> GreaterThanOrEqualToThreshold
        cpu-high: TreatMissingData missing -> breaching
        cpu-high: TreatMissingData missing -> notBreaching
        cpu-high: TreatMissingData missing -> ignore
        other: Threshold 50 -> 55
        other: Threshold 50 -> 45"#]]
    .assert_eq(&left.join("\n"));
}

/// Of one datapoint none can be missing while another is there.
#[test]
fn an_alarm_on_one_datapoint_can_be_covered_wholly() {
    let one = CPU.replace("\"EvaluationPeriods\": 2", "\"EvaluationPeriods\": 1");
    let (alarms, mute_rules) = alarms(&one);
    let subject = Subject {
        alarms: &alarms,
        mute_rules: &mute_rules,
    };
    let file = tests(&format!(
        "alarms: []\ntests:\n  - name: a\n{SERIES}    expect:\n      - {{at: 9m, alarm: cpu-high, state: OK}}\n"
    ));
    let mut coverage = Coverage::default();
    run(&file.tests[0], subject, &mut |seen| coverage.see(seen));
    let missed = &coverage.alarms()[0].missed;
    assert!(
        !missed.contains(&"some datapoints missing".to_owned()),
        "{missed:?}"
    );
}

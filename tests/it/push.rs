//! `cwbridge alarms` and an endpoint that writes down what it is asked for.

use std::process::Output;
use std::sync::{Arc, Mutex};

use crate::endpoint::{Answer, serve};
use crate::world::{Folder, cwbridge};

const FILE: &str = r#"
- AlarmName: above
  AlarmRule: ALARM(middle)
  ActionsSuppressor: quiet
  ActionsSuppressorWaitPeriod: 60
  ActionsSuppressorExtensionPeriod: 120
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: middle
  AlarmRule: ALARM(zero) OR ALARM(logs)
- AlarmName: zero
  Namespace: App
  MetricName: Load
  Dimensions: [{Name: Host, Value: "${hostname}"}, {Name: Id, Value: "${aws:InstanceId}"}]
  Statistic: Maximum
  Period: 86400
  EvaluationPeriods: 1
  Threshold: 1.5
  ComparisonOperator: GreaterThanThreshold
  EvaluationWindow: {WallClockWindow: {Timezone: Europe/Berlin}}
  WarmUpConfiguration: {WarmUpPeriodDurationInMinutes: 7}
  Tags: [{Key: team, Value: web}]
- AlarmName: quiet
  Namespace: App
  MetricName: Quiet
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 1
  Threshold: 0
  ComparisonOperator: GreaterThanThreshold
- AlarmName: logs
  QueryResultsToEvaluate: 3
  QueryResultsToAlarm: 2
  ComparisonOperator: GreaterThanThreshold
  Threshold: 10
  ActionLogLineCount: 5
  ActionLogLineRoleArn: "arn:aws:iam::111122223333:role/lines"
  ScheduledQueryConfiguration:
    QueryString: "filter @message like /error/"
    LogGroupIdentifiers: [app]
    AggregationExpression: "sum(bytes)"
    ScheduleConfiguration: {ScheduleExpression: rate(5 minutes), StartTimeOffset: 360, EndTimeOffset: 60}
- AlarmName: promql
  EvaluationInterval: 60
  EvaluationCriteria: {PromQLCriteria: {Query: "up == 0 or absent(up)", PendingPeriod: 120}}
- Name: nights
  Rule: {Schedule: {Expression: cron(0 22 * * *), Duration: PT8H, Timezone: Europe/Berlin}}
  MuteTargets: {AlarmNames: [zero]}
  ExpireDate: "2999-01-01T00:00:00Z"
"#;

/// The operations that were asked for, with the bodies as far as they are text.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Answers everything with nothing, but what has `refused` in its body with an error.
fn endpoint(refused: Option<&'static str>) -> (String, Asked) {
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    let url = serve(move |path, body| {
        let operation = path.rsplit('/').next().unwrap_or_default();
        let asked = (operation.to_owned(), body.to_owned());
        record.lock().unwrap().push(asked);
        match refused.is_some_and(|part| body.contains(part)) {
            // `{"__type": "LimitExceededFault", "message": "too many"}` and `{}` in CBOR.
            true => Answer::cbor(
                "400 Bad Request",
                *b"\xa2\x66__type\x72LimitExceededFault\x67message\x68too many",
            ),
            false => Answer::cbor("200 OK", *b"\xa0"),
        }
    });
    (url, asked)
}

fn alarms(folder: &Folder, url: &str, arguments: &[&str]) -> Output {
    cwbridge()
        .args(["alarms"])
        .args(arguments)
        .args(["--region", "us-east-1", "--endpoint-url", url])
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_named_is_pushed_before_what_names_it() {
    let folder = Folder::new("push");
    folder.write("alarms.yaml", FILE);
    let (url, asked) = endpoint(None);
    let push = [
        "push",
        "alarms.yaml",
        "--instance-id",
        "i-0123456789abcdef0",
        "--yes",
    ];
    let output = alarms(&folder, &url, &push);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    expect_test::expect![[r#"
        + alarm quiet
        + alarm logs
        + alarm zero
        + alarm middle
        + alarm above
        + alarm promql
        + mute rule nights
        7 to create, 0 to change, 0 to delete, 0 as they are
        created alarm quiet
        created alarm logs
        created alarm zero
        created alarm middle
        created alarm above
        created alarm promql
        created mute rule nights
    "#]]
    .assert_eq(&text(&output.stdout));
    let asked = asked.lock().unwrap();
    let puts = asked
        .iter()
        .filter(|(operation, _)| operation.starts_with("Put"));
    let named: Vec<&str> = puts
        .clone()
        .map(|(operation, _)| operation.as_str())
        .collect();
    expect_test::expect!["PutMetricAlarm PutLogAlarm PutMetricAlarm PutCompositeAlarm PutCompositeAlarm PutMetricAlarm PutAlarmMuteRule"].assert_eq(&named.join(" "));
    let bodies: String = puts.map(|(_, body)| body.as_str()).collect();
    for part in [
        "i-0123456789abcdef0",
        "Europe/Berlin",
        "WarmUpPeriodDurationInMinutes",
        "ActionsSuppressorExtensionPeriod",
        "ActionLogLineRoleArn",
        "EndTimeOffset",
        "PendingPeriod",
        "cron(0 22 * * *)",
        "ExpireDate",
        "team",
    ] {
        assert!(bodies.contains(part), "{part} is missing");
    }
    assert!(!bodies.contains("${"), "{bodies}");
}

#[test]
fn a_push_that_fails_half_way_says_what_was_done() {
    let folder = Folder::new("push-fails");
    folder.write("alarms.yaml", FILE);
    let (url, _) = endpoint(Some("ActionsSuppressorWaitPeriod"));
    let push = [
        "push",
        "alarms.yaml",
        "--instance-id",
        "i-0123456789abcdef0",
        "--yes",
    ];
    let output = alarms(&folder, &url, &push);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("alarm `above`: LimitExceededFault"),
        "{stderr}"
    );
    assert!(
        stderr.contains("not done: above, promql, nights; pushing again goes on from there"),
        "{stderr}"
    );
    assert!(text(&output.stdout).contains("created alarm middle"));
}

#[test]
fn nothing_is_changed_without_consent_or_with_a_mistake() {
    let folder = Folder::new("push-refused");
    folder.write("alarms.yaml", FILE);
    folder.write("wrong.yaml", &FILE.replace("Period: 60\n", "Period: 61\n"));
    folder.write(
        "never.yaml",
        &FILE.replace(
            "Namespace: App\n  MetricName: Quiet",
            "Namespace: AWS/EC2\n  MetricName: CPUUtilization\n  Unit: Seconds",
        ),
    );
    let (url, asked) = endpoint(None);
    let told = |arguments: &[&str]| {
        let output = alarms(&folder, &url, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        text(&output.stderr)
    };
    let with_id = ["--instance-id", "i-0123456789abcdef0"];
    let told_of = [
        told(&["push", "alarms.yaml", with_id[0], with_id[1]]),
        told(&["push", "wrong.yaml", "--yes", with_id[0], with_id[1]]),
        told(&["push", "never.yaml", "--yes", with_id[0], with_id[1]]),
        told(&[
            "push",
            "alarms.yaml",
            "--yes",
            "--prune",
            with_id[0],
            with_id[1],
        ]),
    ];
    expect_test::expect![[r#"
        error: nothing was changed: `--yes` does it without asking

        error: wrong.yaml:26:11: alarm `quiet`: Period must be 10, 20, 30 or a multiple of 60

        error: never.yaml:25:9: alarm `quiet`: `CPUUtilization` is published in `Percent`, and the alarm asks for `Seconds`: it never sees a datapoint, so that it stays in INSUFFICIENT_DATA for ever; leave `Unit` out [unit-never-published]

        error: the following required arguments were not provided:
          --name-prefix <PREFIX>

        Usage: cwbridge alarms push --name-prefix <PREFIX> --yes --prune --instance-id <ID> --region <REGION> --endpoint-url <URL> <FILE>...

        For more information, try '--help'.
    "#]].assert_eq(&told_of.join("\n"));
    let asked = asked.lock().unwrap();
    let changes = asked.iter().filter(|(operation, _)| {
        !["DescribeAlarms", "ListAlarmMuteRules"].contains(&operation.as_str())
    });
    assert_eq!(changes.count(), 0);
}

/// Of what lies beside the prefix nothing was asked, so that nothing can be said or done about it.
#[test]
fn a_prefix_holds_for_the_files_too() {
    let folder = Folder::new("push-prefix");
    folder.write("alarms.yaml", FILE);
    let (url, asked) = endpoint(None);
    let push = [
        "push",
        "alarms.yaml",
        "--instance-id",
        "i-0123456789abcdef0",
        "--yes",
        "--prune",
        "--name-prefix",
        "qu",
    ];
    let output = alarms(&folder, &url, &push);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout);
    assert!(told.starts_with("+ alarm quiet\n1 to create"), "{told}");
    assert!(text(&output.stderr).contains("6 of 7 in the files are left out"));
    let asked = asked.lock().unwrap();
    let changes = asked
        .iter()
        .filter(|(operation, _)| operation.starts_with("Put"));
    assert_eq!(changes.count(), 1);
}

/// A shell variable that is not set must not put the whole account at risk.
#[test]
fn an_empty_prefix_is_none() {
    let folder = Folder::new("push-empty");
    folder.write("alarms.yaml", FILE);
    let (url, asked) = endpoint(None);
    let push = [
        "push",
        "alarms.yaml",
        "--yes",
        "--prune",
        "--name-prefix",
        "",
    ];
    let output = alarms(&folder, &url, &push);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a value is required for '--name-prefix <PREFIX>'"));
    assert_eq!(asked.lock().unwrap().len(), 0);
}

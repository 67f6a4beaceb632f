//! An account of five thousand alarms whose pages are refused now and then, and a Prometheus server that answers in part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::endpoint::{Answer, Cbor, serve};
use crate::world::{Folder, Process, cwbridge, free_port, get, value, wait};

const ALARMS: usize = 5_000;
const PAGE: usize = 100;

fn alarm(name: &str) -> Cbor<'_> {
    let dimension = Cbor::Map(vec![
        ("Name", Cbor::Text("host")),
        (
            "Value",
            Cbor::Text(if name == "a-2525" {
                "here"
            } else {
                "elsewhere"
            }),
        ),
    ]);
    Cbor::Map(vec![
        ("AlarmName", Cbor::Text(name)),
        ("StateValue", Cbor::Text("OK")),
        (
            "StateReason",
            Cbor::Text("Unchecked: Initial alarm creation"),
        ),
        ("Namespace", Cbor::Text("CWBridge")),
        ("MetricName", Cbor::Text("CPUUtilization")),
        ("Dimensions", Cbor::List(vec![dimension])),
        ("Statistic", Cbor::Text("Average")),
        ("Period", Cbor::Count(60)),
        ("EvaluationPeriods", Cbor::Count(2)),
        ("Threshold", Cbor::Number(50.0)),
        ("ComparisonOperator", Cbor::Text("GreaterThanThreshold")),
    ])
}

/// Five thousand alarms by the hundred; every tenth request is refused, and asked again.
fn account() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = serve(move |path, body| {
        if !path.ends_with("DescribeAlarms") {
            return Answer::cbor("200 OK", *b"\xa0");
        }
        let mut answer = Vec::new();
        if count.fetch_add(1, Ordering::Relaxed) % 10 == 3 {
            let error = [
                ("__type", Cbor::Text("ThrottlingException")),
                ("message", Cbor::Text("Rate exceeded")),
            ];
            Cbor::Map(error.into()).write(&mut answer);
            return Answer::cbor("400 Bad Request", answer);
        }
        let by_name = body.contains("a-2525");
        let token = body.split("page-").nth(1);
        let page: usize = token.map_or(0, |token| token[..2].parse().unwrap());
        let first = page * PAGE;
        let names: Vec<String> = match by_name {
            true => vec!["a-2525".to_owned()],
            false => (first..first + PAGE)
                .map(|number| format!("a-{number:04}"))
                .collect(),
        };
        let alarms = names.iter().map(|name| alarm(name)).collect();
        let next = format!("page-{:02}", page + 1);
        let mut members = vec![("MetricAlarms", Cbor::List(alarms))];
        if !by_name && first + PAGE < ALARMS {
            members.push(("NextToken", Cbor::Text(&next)));
        }
        Cbor::Map(members).write(&mut answer);
        Answer::cbor("200 OK", answer)
    });
    (url, asked)
}

const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
];

#[test]
fn a_large_account_that_is_throttled_is_pulled_whole() {
    let (url, asked) = account();
    let mut command = cwbridge();
    let command = command.args(["alarms", "pull", "--endpoint-url", &url]);
    let output = command.envs(CREDENTIALS).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let alarms: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(alarms.len(), ALARMS);
    assert!(
        asked.load(Ordering::Relaxed) > ALARMS / PAGE,
        "none was refused"
    );
}

#[test]
fn of_a_large_account_the_mirror_takes_what_is_about_this_host() {
    let (url, asked) = account();
    let folder = Folder::new("large-account");
    let config =
        "alarms = []\n[publish]\ndimensions = { host = \"here\" }\n[mirror]\ninterval = \"10s\"\n";
    let config = folder.write("cwbridge.toml", config);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut command = cwbridge();
    command
        .args(["run", "--listen", &listen, "--config"])
        .arg(config);
    command.envs(CREDENTIALS).env("AWS_ENDPOINT_URL", &url);
    let mut program = Process::start(&mut command);
    let found = "comparing with CloudWatch's alarms alarms=1 first=[\"a-2525\"]";
    program.wait_for_line(found, Duration::from_mins(1));
    let searched = asked.load(Ordering::Relaxed);
    assert!(searched > ALARMS / PAGE, "none was refused");
    let ok = "cwbridge_alarm_cloudwatch_state{alarm=\"a-2525\",state=\"OK\"}";
    wait(Duration::from_mins(1), "the next look", || {
        let metrics = get(port, "/metrics")?;
        let is_again = asked.load(Ordering::Relaxed) > searched;
        (is_again && value(&metrics, ok)? == 1.0).then_some(())
    });
    let later = asked.load(Ordering::Relaxed);
    assert!(
        (1..=5).contains(&(later - searched)),
        "{searched} and {later}"
    );
    assert_eq!(program.stop("TERM").0, Some(0), "{}", program.log());
}

const ALARM: &str = "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Average, Period: 60, EvaluationPeriods: 1, Threshold: 80, ComparisonOperator: GreaterThanThreshold}";

/// What a replay from a server that answers so ends with.
fn replayed(name: &str, answer: &'static str) -> (Option<i32>, String, String) {
    let folder = Folder::new(name);
    folder.write("alarm.yaml", ALARM);
    let url = serve(move |_, _| Answer {
        content_type: "application/json",
        ..Answer::cbor("200 OK", answer)
    });
    let mut command = cwbridge();
    let times = ["--start", "1767571200", "--end", "1767571500"];
    let command = command
        .args(["replay", "alarm.yaml", "--query", "m"])
        .args(times);
    let output = command
        .args(["--prometheus", &url])
        .current_dir(folder.path());
    let output = output.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&url, "URL");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_prometheus_server_that_answers_in_part_is_told() {
    let (code, shown, told) = replayed(
        "prometheus-partial",
        r#"{"status":"success","warnings":["store b: deadline exceeded"],"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1767571200,"10"],[1767571260,"90"]]}]}}"#,
    );
    assert_eq!(code, Some(2));
    let whole = "error: URL: the answer from 2026-01-05T00:00:00Z to 2026-01-05T00:05:00Z is not whole: store b: deadline exceeded\n";
    assert_eq!(told, whole);
    assert_eq!(shown, "", "half a history has no summary");
}

#[test]
fn a_prometheus_answer_that_breaks_off_is_none() {
    let (code, _, told) = replayed(
        "prometheus-cut",
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[176757"#,
    );
    assert_eq!(code, Some(2));
    assert!(told.starts_with("error: URL:1:"), "{told}");
}

/// Four statistics of four thousand metrics over twenty years of hours, which is seven requests for each.
#[test]
fn a_history_that_costs_more_than_a_dollar_is_not_asked_for_without_consent() {
    let folder = Folder::new("dollar");
    let alarm = |number: usize| {
        let name = format!("MetricName: m{number}");
        ALARM
            .replace("AlarmName: a", &format!("AlarmName: a{number}"))
            .replace("MetricName: m", &name)
            .replace("Period: 60", "Period: 3600")
    };
    let alarms: Vec<String> = (0..4_000)
        .map(|number| format!("- {}\n", alarm(number)))
        .collect();
    folder.write("alarms.yaml", &alarms.concat());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = serve(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Answer::cbor("400 Bad Request", *b"\xa0")
    });
    let replay = |more: &[&str]| {
        let mut command = cwbridge();
        let command = command.args(["replay", "alarms.yaml", "--from", "cloudwatch"]);
        let command = command.args([
            "--start",
            "2001-01-05T00:00:00Z",
            "--end",
            "2021-01-05T00:00:00Z",
        ]);
        let command = command.args(["--endpoint-url", &url]).args(more);
        let output = command
            .envs(CREDENTIALS)
            .current_dir(folder.path())
            .output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, told) = replay(&[]);
    let refused = "CloudWatch is asked 28000 times, which costs about $1.12\nerror: $1.12 is more than $1; `--yes` allows it\n";
    assert_eq!(told, refused);
    assert_eq!(code, Some(2));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let (code, _) = replay(&["--yes"]);
    assert_eq!(code, Some(2), "the endpoint refuses");
    assert_ne!(asked.load(Ordering::Relaxed), 0);
}

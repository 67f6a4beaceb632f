//! Those who are told: a topic of LocalStack with a queue behind it, and a real Alertmanager.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::world::{Folder, Process, cwbridge, free_port, get, value, wait};

use super::load::Load;
use super::localstack::LocalStack;
use super::prometheus::installed;

/// The article's alarm, one on an expression, and one on both.
const ALARMS: &str = r#"
- AlarmName: article
  AlarmDescription: CPU above 50 percent for two minutes
  Namespace: CWBridge
  MetricName: CPUUtilization
  Dimensions: [{Name: host, Value: "${hostname}"}]
  Statistic: Average
  Period: 60
  EvaluationPeriods: 2
  Threshold: 50
  ComparisonOperator: GreaterThanThreshold
  TreatMissingData: breaching
  AlarmActions: ["arn:aws:sns:us-east-1:000000000000:ops"]
- AlarmName: math
  EvaluationPeriods: 1
  Threshold: 25
  ComparisonOperator: GreaterThanThreshold
  Metrics:
  - {Id: half, Expression: cpu / 2, Label: half of it, ReturnData: true}
  - {Id: cpu, ReturnData: false, MetricStat: {Period: 10, Stat: Average, Metric: {Namespace: CWBridge, MetricName: CPUUtilization, Dimensions: [{Name: host, Value: "${hostname}"}]}}}
- AlarmName: both
  AlarmRule: ALARM(article) AND ALARM(math)
"#;

const CONFIG: &str = r#"
alarms = ["alarms.yaml"]
[[publish.metric]]
names = ["CPUUtilization"]
high_resolution = true
[[notify]]
sns = "TOPIC"
when = "always"
states = ["ALARM"]
certainty = ["determined", "depends_on_range"]
[[notify]]
name = "nowhere"
sns = "arn:aws:sns:us-east-1:000000000000:nowhere"
when = "always"
alarms = ["m*"]
certainty = ["determined", "depends_on_range"]
"#;

/// What SPEC section 16.1 has of every message, of one of a metric alarm, and of its trigger.
const EVERY: [&str; 12] = [
    "AWSAccountId",
    "AlarmActions",
    "AlarmArn",
    "AlarmDescription",
    "AlarmName",
    "InsufficientDataActions",
    "NewStateReason",
    "NewStateValue",
    "OKActions",
    "OldStateValue",
    "Region",
    "StateChangeTime",
];
const METRIC: [&str; 3] = [
    "ActionExecutedAfterMuteWindow",
    "AlarmConfigurationUpdatedTimestamp",
    "Trigger",
];
const COMPOSITE: [&str; 2] = ["AlarmRule", "TriggeringChildren"];
const TRIGGER: [&str; 12] = [
    "ComparisonOperator",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "MetricName",
    "Namespace",
    "Period",
    "Statistic",
    "StatisticType",
    "Threshold",
    "TreatMissingData",
    "Unit",
];
const OF_MATH: [&str; 7] = [
    "ComparisonOperator",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "Metrics",
    "Period",
    "Threshold",
    "TreatMissingData",
];

fn members(value: &Value) -> BTreeSet<&str> {
    let members = value.as_object().unwrap().keys();
    members.map(String::as_str).collect()
}

fn set<'a>(parts: &[&[&'a str]]) -> BTreeSet<&'a str> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

/// The article's alarm fires under a real load, and its notification is received from the topic.
#[test]
fn a_topic_hears_of_the_articles_alarm_under_a_real_load() {
    let Some(cloud) = LocalStack::start() else {
        return;
    };
    let topic = cloud.aws(&["sns", "create-topic", "--name", "ops"]);
    let topic = topic["TopicArn"].as_str().unwrap();
    let queue = cloud.aws(&["sqs", "create-queue", "--queue-name", "heard"]);
    let queue = queue["QueueUrl"].as_str().unwrap();
    let endpoint = "arn:aws:sqs:us-east-1:000000000000:heard";
    let subscribe = [
        "sns",
        "subscribe",
        "--topic-arn",
        topic,
        "--protocol",
        "sqs",
    ];
    cloud.aws(&[&subscribe[..], &["--notification-endpoint", endpoint]].concat());

    let folder = Folder::new("e2e-notify");
    folder.write("alarms.yaml", ALARMS);
    let config = folder.write("c.toml", &CONFIG.replace("TOPIC", topic));
    let port = free_port();
    let load = Load::start();
    let mut command = cwbridge();
    command.args(["run", "--listen", &format!("127.0.0.1:{port}"), "--config"]);
    let mut program = Process::start(cloud.environment(command.arg(config)));
    let mut heard: BTreeMap<String, Value> = BTreeMap::new();
    wait(
        Duration::from_mins(6),
        "three alarms from the queue",
        || {
            heard.extend(received(&cloud, queue));
            (heard.len() == 3).then_some(())
        },
    );
    drop(load);
    for (name, envelope) in &heard {
        let subject = envelope["Subject"].as_str().unwrap();
        assert_eq!(
            subject,
            format!("[cwbridge] ALARM: \"{name}\" in US East (N. Virginia)")
        );
        assert_eq!(envelope["MessageAttributes"]["sender"]["Value"], "cwbridge");
    }
    check_messages(&heard);
    // A topic that does not exist is asked again, and nothing else waits for it.
    let failed = "cwbridge_notifications_failed_total{target=\"nowhere\"}";
    let failed = value(&get(port, "/metrics").unwrap(), failed);
    assert!(failed >= Some(2.0), "{failed:?}");
    assert_eq!(program.count("NotFound"), 1, "{}", program.log());
    assert_eq!(program.stop("TERM").0, Some(0));
}

/// The envelopes that wait in the queue, by the names of their alarms.
pub(super) fn received(cloud: &LocalStack, queue: &str) -> Vec<(String, Value)> {
    let receive = ["sqs", "receive-message", "--max-number-of-messages", "10"];
    let receive = [&receive[..], &["--queue-url", queue]].concat();
    let output = cloud.command(&receive).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // Of an empty queue nothing is said.
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    let read = |message: &Value| {
        let envelope: Value = serde_json::from_str(message["Body"].as_str()?).ok()?;
        let body: Value = serde_json::from_str(envelope["Message"].as_str()?).ok()?;
        Some((body["AlarmName"].as_str()?.to_owned(), envelope))
    };
    messages.iter().filter_map(read).collect()
}

fn check_messages(heard: &BTreeMap<String, Value>) {
    let body = |name: &str| -> Value {
        serde_json::from_str(heard[name]["Message"].as_str().unwrap()).unwrap()
    };
    let article = body("article");
    assert_eq!(members(&article), set(&[&EVERY, &METRIC]));
    assert_eq!(members(&article["Trigger"]), set(&[&TRIGGER]));
    assert_eq!(article["NewStateValue"], "ALARM");
    assert_eq!(
        article["AlarmDescription"],
        "CPU above 50 percent for two minutes"
    );
    assert_eq!(
        article["AlarmActions"][0],
        "arn:aws:sns:us-east-1:000000000000:ops"
    );
    let trigger = &article["Trigger"];
    let expected = [
        ("MetricName", Value::from("CPUUtilization")),
        ("Namespace", "CWBridge".into()),
        ("StatisticType", "Statistic".into()),
        ("Statistic", "AVERAGE".into()),
        ("Unit", Value::Null),
        ("Period", 60.into()),
        ("EvaluationPeriods", 2.into()),
        ("ComparisonOperator", "GreaterThanThreshold".into()),
        ("Threshold", 50.0.into()),
        ("TreatMissingData", "breaching".into()),
        ("EvaluateLowSampleCountPercentile", "".into()),
    ];
    for (name, value) in expected {
        assert_eq!(trigger[name], value, "{name}");
    }
    assert_eq!(
        members(&trigger["Dimensions"][0]),
        set(&[&["name", "value"]])
    );
    let reason = article["NewStateReason"].as_str().unwrap();
    assert!(reason.starts_with("Threshold Crossed: "), "{reason}");
    let math = body("math");
    assert_eq!(members(&math), set(&[&EVERY, &METRIC]));
    assert_eq!(members(&math["Trigger"]), set(&[&OF_MATH]));
    let metrics = &math["Trigger"]["Metrics"];
    assert_eq!(
        members(&metrics[0]),
        set(&[&["Expression", "Id", "Label", "ReturnData"]])
    );
    assert_eq!(
        members(&metrics[1]),
        set(&[&["Id", "MetricStat", "ReturnData"]])
    );
    let composite = body("both");
    assert_eq!(members(&composite), set(&[&EVERY, &COMPOSITE]));
    assert_eq!(composite["AlarmRule"], "ALARM(article) AND ALARM(math)");
    let child = &composite["TriggeringChildren"][0];
    assert_eq!(members(child), set(&[&["Arn", "State"]]));
    assert_eq!(child["State"]["Value"], "ALARM");
}

/// It is in ALARM as soon as it is judged.
const ALARM: &str = r#"{
  "AlarmName": "cpu", "AlarmDescription": "always", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Minimum", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 0
}"#;

#[test]
fn alertmanager_shows_the_alert_for_as_long_as_it_lasts() {
    let Some(alertmanager) = installed("prometheus-alertmanager") else {
        return;
    };
    let folder = Folder::new("e2e-alertmanager");
    let (there, port) = (free_port(), free_port());
    let routes = folder.write(
        "am.yml",
        "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
    );
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let _alertmanager = Process::start(Command::new(alertmanager).args([
        flag("config.file", routes.to_str().unwrap()),
        flag("storage.path", folder.path().join("am").to_str().unwrap()),
        flag("web.listen-address", &format!("127.0.0.1:{there}")),
        flag("cluster.listen-address", ""),
    ]));
    folder.write("alarms.json", ALARM);
    let config = format!(
        "alarms = [\"alarms.json\"]\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n[[notify]]\nalertmanager = \"http://127.0.0.1:{there}\"\nlabels = {{ severity = \"page\" }}\nwhen = \"always\"\ncertainty = [\"determined\", \"depends_on_range\", \"history_incomplete\"]\n"
    );
    let config = folder.write("c.toml", &config);
    let mut command = cwbridge();
    command.args(["run", "--listen", &format!("127.0.0.1:{port}"), "--config"]);
    let program = Process::start(command.arg(config));
    let alert = || -> Option<Value> {
        let alerts: Value = serde_json::from_str(&get(there, "/api/v2/alerts")?).ok()?;
        alerts.get(0).cloned()
    };
    let first = wait(Duration::from_mins(1), "the alert in Alertmanager", alert);
    assert_eq!(first["labels"]["alertname"], "cpu", "{}", program.log());
    assert_eq!(first["labels"]["severity"], "page");
    assert_eq!(first["annotations"]["description"], "always");
    assert_eq!(first["status"]["state"], "active");
    let page = first["generatorURL"].as_str().unwrap();
    assert_eq!(page, format!("http://127.0.0.1:{port}/api/v1/alarms/cpu"));
    // While it lasts, Alertmanager hears of it again and keeps it for longer.
    let text = |alert: &Value, name: &str| alert[name].as_str().unwrap().to_owned();
    wait(Duration::from_mins(2), "the alert to be renewed", || {
        let ends = text(&alert()?, "endsAt");
        (ends > text(&first, "endsAt")).then_some(())
    });
    assert_eq!(
        text(&alert().unwrap(), "startsAt"),
        text(&first, "startsAt")
    );
    // It is over.
    folder.write(
        "alarms.json",
        &ALARM.replace("\"Threshold\": 0", "\"Threshold\": 200"),
    );
    program.signal("HUP");
    wait(Duration::from_mins(1), "the alert to be resolved", || {
        alert().is_none().then_some(())
    });
}

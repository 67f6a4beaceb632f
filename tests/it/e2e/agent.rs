//! Alarms on the CloudWatch agent's metrics of memory and disk, from the host through the program to CloudWatch.

use std::time::Duration;

use serde_json::Value;

use crate::world::{Folder, Process, cwbridge, free_port, get, wait};

use super::localstack::LocalStack;

const CONFIG: &str = r#"
alarms = ["alarms.json"]
[publish]
namespace = "CWAgent"
dimensions = { InstanceId = "i-0agent" }
[[publish.metric]]
names = ["mem_used_percent"]
dimensions = [["InstanceId"]]
[[publish.metric]]
names = ["disk_used_percent"]
dimensions = [["InstanceId", "path"]]
"#;

const DEADLINE: Duration = Duration::from_mins(3);

/// An alarm of one minute on an average of this host.
fn alarm(name: &str, metric: &str, path: Option<&str>, above: f64) -> Value {
    let dimension = |name: &str, value: &str| serde_json::json!({"Name": name, "Value": value});
    let mut dimensions = vec![dimension("InstanceId", "i-0agent")];
    dimensions.extend(path.map(|path| dimension("path", path)));
    serde_json::json!({
        "AlarmName": name, "Namespace": "CWAgent", "MetricName": metric, "Dimensions": dimensions, "Statistic": "Average",
        "Period": 60, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": above,
    })
}

/// The file system that is shown with the longest path: LocalStack takes every path for asked for that begins like the one
/// that is.
fn shown_path(port: u16) -> Option<String> {
    let metrics = get(port, "/metrics")?;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("node_filesystem_size_bytes{"));
    let path = |line: &str| {
        let (_, rest) = line.split_once("mountpoint=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    lines.filter_map(path).max_by_key(String::len)
}

pub(super) fn alarms_on_memory_and_disk(cloudwatch: &LocalStack) {
    let folder = Folder::new("agent-alarms");
    let config = folder.write("cwbridge.toml", CONFIG);
    folder.write("alarms.json", "[]");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = [
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &listen,
    ];
    let program = Process::start(cloudwatch.environment(&mut cwbridge()).args(arguments));
    let path = wait(DEADLINE, "a file system", || shown_path(port));

    // The alarms come when it is known which disk there is, are pushed, and judged on both sides of the threshold.
    let alarms = [
        alarm("mem-above-nothing", "mem_used_percent", None, 0.0),
        alarm("mem-above-all", "mem_used_percent", None, 100.0),
        alarm("disk-above-nothing", "disk_used_percent", Some(&path), -1.0),
        alarm("disk-above-all", "disk_used_percent", Some(&path), 100.0),
    ];
    let file = folder.write("alarms.json", &Value::from(alarms.to_vec()).to_string());
    let mut push = cwbridge();
    let push = cloudwatch
        .environment(&mut push)
        .args(["alarms", "push", "--yes"]);
    let pushed = push.arg(file).output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    program.signal("HUP");
    for (name, state) in [
        ("mem-above-nothing", "ALARM"),
        ("mem-above-all", "OK"),
        ("disk-above-nothing", "ALARM"),
        ("disk-above-all", "OK"),
    ] {
        wait(DEADLINE, &format!("{name} in {state}"), || {
            (judged(port, name)?["state"] == state).then_some(())
        });
    }
    // What was judged is what CloudWatch has.
    for (name, metric) in [
        ("mem-above-nothing", "mem_used_percent"),
        ("disk-above-nothing", "disk_used_percent"),
    ] {
        let alarm = judged(port, name).unwrap();
        let point = &alarm["evaluation"]["datapoints"][0];
        let (at, value) = (
            point["timestamp"].as_str().unwrap(),
            point["value"].as_f64().unwrap(),
        );
        let dimensions = cloudwatch.aws(&["cloudwatch", "describe-alarms", "--alarm-names", name]);
        let dimensions = dimensions["MetricAlarms"][0]["Dimensions"].to_string();
        let average = wait(DEADLINE, "the datapoint in CloudWatch", || {
            average(cloudwatch, metric, &dimensions, at)
        });
        assert!(
            (average - value).abs() < 1e-6,
            "{name}: {average}, here {value}"
        );
    }
}

fn judged(port: u16, name: &str) -> Option<Value> {
    let alarm = get(port, &format!("/api/v1/alarms/{name}"))?;
    let alarm: Value = serde_json::from_str(&alarm).ok()?;
    alarm["evaluation"]["datapoints"][0]["value"].as_f64()?;
    Some(alarm)
}

/// That of the minute that begins at an instant.
fn average(cloudwatch: &LocalStack, metric: &str, dimensions: &str, at: &str) -> Option<f64> {
    let start: jiff::Timestamp = at.parse().unwrap();
    let end = (start + Duration::from_mins(1)).to_string();
    let answer = cloudwatch.aws(&[
        "cloudwatch",
        "get-metric-statistics",
        "--namespace",
        "CWAgent",
        "--metric-name",
        metric,
        "--statistics",
        "Average",
        "--period",
        "60",
        "--start-time",
        at,
        "--end-time",
        &end,
        "--dimensions",
        dimensions,
    ]);
    answer["Datapoints"][0]["Average"].as_f64()
}

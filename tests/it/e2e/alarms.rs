//! `cwbridge alarms push`, `pull` and `diff` against LocalStack, and the `aws` command line as the witness.
//!
//! LocalStack keeps of a metric alarm: name, description, actions, metric, dimensions, statistics, period, unit, N, M, threshold,
//! operator, treatment, `Metrics`; of a composite alarm: name, description, rule, actions, suppressor. Neither the evaluation
//! window nor the warm-up, nor anything of log alarms and mute rules, which the recording endpoint has (`push.rs`). An alarm
//! that it judged itself it can no longer describe in the protocol that the SDK speaks: so these stay without data.

use serde_json::Value;

use crate::world::{Folder, cwbridge};

use super::localstack::LocalStack;

const FILE: &str = r#"
- AlarmName: e2e-either
  AlarmDescription: one or the other
  AlarmRule: ALARM("e2e-load")  OR  ALARM(e2e-rate)
  AlarmActions: ["arn:aws:sns:us-east-1:000000000000:pages"]
- AlarmName: e2e-load
  AlarmDescription: busy
  Namespace: App
  MetricName: Load
  Dimensions: [{Name: Id, Value: a}, {Name: Host, Value: b}]
  ExtendedStatistic: p99.5
  Period: 300
  EvaluationPeriods: 3
  DatapointsToAlarm: 2
  Threshold: 70.5
  ComparisonOperator: GreaterThanThreshold
  Unit: Percent
  OKActions: ["arn:aws:sns:us-east-1:000000000000:pages"]
- AlarmName: e2e-rate
  EvaluationPeriods: 1
  Threshold: 5
  ComparisonOperator: GreaterThanThreshold
  TreatMissingData: missing
  Metrics:
  - {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: App, MetricName: Requests}, Period: 60, Stat: Sum}}
  - {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: App, MetricName: Errors}, Period: 60, Stat: Sum}}
  - {Id: e, Expression: "100 * errors / FILL(requests, 1)", ReturnData: true}
"#;

/// A folder with files, and the command on them.
struct Desk<'a> {
    cloudwatch: &'a LocalStack,
    folder: Folder,
}

impl Desk<'_> {
    /// The exit code, and what was told on both outputs.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = cwbridge();
        let command = self.cloudwatch.environment(&mut command);
        let command = command.arg("alarms").args(arguments);
        let output = command.current_dir(self.folder.path()).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        (output.status.code().unwrap(), told)
    }
}

const ALL: [&str; 2] = ["--name-prefix", "e2e-"];

pub(super) fn push_pull_and_diff(cloudwatch: &LocalStack) {
    let desk = Desk {
        cloudwatch,
        folder: Folder::new("e2e-alarms"),
    };
    desk.folder.write("alarms.yaml", FILE);
    assert_eq!(desk.run(&["diff", "alarms.yaml"]).0, 1);
    let (pushed, told) = desk.run(&["push", "alarms.yaml", "--yes"]);
    assert_eq!((pushed, told.lines().count()), (0, 7), "{told}");
    let described = witnessed(cloudwatch);

    // What was pushed, pulled and described are one and the same.
    let pull = ["pull", ALL[0], ALL[1], "--output", "pulled.json"];
    assert_eq!(desk.run(&pull), (0, String::new()));
    desk.folder.write("described.json", &described.to_string());
    for file in ["alarms.yaml", "pulled.json", "described.json"] {
        let (differs, told) = desk.run(&["diff", file, ALL[0], ALL[1]]);
        assert_eq!(differs, 0, "{file}: {told}");
    }
    change_and_prune(&desk);
}

/// The witness reads back what was pushed.
fn witnessed(cloudwatch: &LocalStack) -> Value {
    let types = ["--alarm-types", "MetricAlarm", "CompositeAlarm"];
    let prefix = ["--alarm-name-prefix", "e2e-"];
    let described =
        cloudwatch.aws(&[&["cloudwatch", "describe-alarms"], &types[..], &prefix[..]].concat());
    let alarm = |name: &str| {
        let mut alarms = described["MetricAlarms"].as_array().unwrap().iter();
        alarms.find(|alarm| alarm["AlarmName"] == name).unwrap()
    };
    let load = alarm("e2e-load");
    assert_eq!(load["Threshold"], 70.5);
    assert_eq!(load["DatapointsToAlarm"], 2);
    assert_eq!(load["ExtendedStatistic"], "p99.5");
    assert_eq!(alarm("e2e-rate")["Metrics"].as_array().unwrap().len(), 3);
    assert_eq!(described["CompositeAlarms"][0]["AlarmName"], "e2e-either");
    described
}

/// A change is told, pushed, and gone; what is in no file goes only when that is asked for.
fn change_and_prune(desk: &Desk<'_>) {
    let changed = FILE.replace("70.5", "80");
    desk.folder.write("alarms.yaml", &changed);
    let (differs, told) = desk.run(&["diff", "alarms.yaml"]);
    let change = "~ alarm e2e-load\n    Threshold: 70.5 -> 80\n";
    assert!(differs == 1 && told.contains(change), "{told}");
    assert_eq!(desk.run(&["push", "alarms.yaml", "--yes"]).0, 0);
    let only_load = changed.split("- AlarmName: e2e-rate").next().unwrap();
    let only_load = only_load.replace("  OR  ALARM(e2e-rate)", "");
    desk.folder.write("alarms.yaml", &only_load);
    let (_, told) = desk.run(&["push", "alarms.yaml", "--yes"]);
    assert!(told.contains("0 to delete"), "{told}");
    let (_, told) = desk.run(&["push", "alarms.yaml", "--yes", "--prune", ALL[0], ALL[1]]);
    assert!(told.contains("deleted alarm e2e-rate"), "{told}");
    assert_eq!(desk.run(&["diff", "alarms.yaml", ALL[0], ALL[1]]).0, 0);
}

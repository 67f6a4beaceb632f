//! CloudWatch's own alarms, judged here and compared with the states that LocalStack is told.
//!
//! LocalStack leaves alarms on percentiles alone, so that they stay in the state that they are set to.

use std::process::Command;
use std::time::Duration;

use crate::world::{Folder, Process, cwbridge, free_port, get, value, wait};

use super::MINUTE;
use super::localstack::LocalStack;

const CONFIG: &str = r#"
alarms = []
[publish]
dimensions = { host = "e2e-mirror" }
[[publish.metric]]
names = ["CPUUtilization"]
dimensions = [["host"]]
high_resolution = true
[mirror]
interval = "10s"
"#;

/// What CloudWatch itself would say.
const CROSSED: &str = "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (27/11/26 10:00:00)] was greater than the threshold (-1.0) (minimum 1 datapoint for OK -> ALARM transition).";

pub(super) struct Mirror<'a> {
    cloudwatch: &'a LocalStack,
    folder: Folder,
    port: u16,
}

impl Mirror<'_> {
    fn put(&self, name: &str, host: &str, threshold: &str) {
        let host = format!("Name=host,Value={host}");
        let request = ["cloudwatch", "put-metric-alarm", "--alarm-name", name];
        let metric = [
            "--namespace",
            "CWBridge",
            "--metric-name",
            "CPUUtilization",
            "--dimensions",
            &host,
        ];
        let rule = [
            "--extended-statistic",
            "p50",
            "--period",
            "10",
            "--evaluation-periods",
            "1",
            "--comparison-operator",
            "GreaterThanThreshold",
            "--threshold",
            threshold,
        ];
        self.run(&[&request[..], &metric, &rule].concat());
    }

    fn set(&self, name: &str, state: &str, reason: &str) {
        let request = ["cloudwatch", "set-alarm-state", "--alarm-name", name];
        let state = ["--state-value", state, "--state-reason", reason];
        self.run(&[&request[..], &state].concat());
    }

    /// An operation that answers nothing.
    fn run(&self, arguments: &[&str]) {
        let output = self.cloudwatch.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
    }

    fn command(&self, endpoint: &str) -> Command {
        let mut command = cwbridge();
        self.cloudwatch.environment(&mut command);
        command.env("AWS_ENDPOINT_URL", endpoint);
        let listen = format!("127.0.0.1:{}", self.port);
        let (config, state) = ("cwbridge.toml", "state");
        command.current_dir(self.folder.path()).args([
            "run",
            "--config",
            config,
            "--state-dir",
            state,
            "--listen",
            &listen,
        ]);
        command
    }

    fn metric(&self, series: &str) -> Option<f64> {
        value(&get(self.port, "/metrics")?, series)
    }

    fn wait_for(&self, series: &str, expected: f64) {
        wait(2 * MINUTE, &format!("`{series}` to be {expected}"), || {
            (self.metric(series)? == expected).then_some(())
        });
    }
}

pub(super) fn mirror(cloudwatch: &LocalStack) {
    let world = Mirror {
        cloudwatch,
        folder: Folder::new("e2e-mirror"),
        port: free_port(),
    };
    world.folder.write("cwbridge.toml", CONFIG);
    world.put("mirror-hot", "e2e-mirror", "-1");
    world.put("mirror-calm", "e2e-mirror", "1000");
    world.put("mirror-other", "another-host", "-1");
    world.set("mirror-hot", "OK", CROSSED);
    world.set("mirror-calm", "OK", CROSSED);
    world.run(&[
        "cloudwatch",
        "put-composite-alarm",
        "--alarm-name",
        "mirror-top",
        "--alarm-rule",
        "ALARM(mirror-hot)",
    ]);
    let mut program = Process::start(&mut world.command(&cloudwatch.url()));
    judged_and_compared(&world);
    agrees_and_is_set_by_hand(&world);
    deleted(&world);
    assert_eq!(program.stop("TERM").0, Some(0), "{}", program.log());
    without_cloudwatch(&world);
}

fn judged_and_compared(world: &Mirror<'_>) {
    for (name, state) in [("hot", "ALARM"), ("top", "ALARM"), ("calm", "OK")] {
        let series = format!("cwbridge_alarm_state{{alarm=\"mirror-{name}\",state=\"{state}\"}}");
        world.wait_for(&series, 1.0);
    }
    let other = "cwbridge_alarm_mirrored{alarm=\"mirror-other\"}";
    assert_eq!(world.metric(other), None, "it is of another host");
    world.wait_for("cwbridge_alarm_disagrees{alarm=\"mirror-hot\"}", 1.0);
    world.wait_for(
        "cwbridge_alarm_cloudwatch_state{alarm=\"mirror-hot\",state=\"OK\"}",
        1.0,
    );
    let late = "cwbridge_alarm_disagreement{alarm=\"mirror-hot\",reason=\"data_not_arrived\"}";
    assert_eq!(world.metric(late), Some(1.0));
}

/// CloudWatch comes to the same, and somebody sets the other alarm by hand.
fn agrees_and_is_set_by_hand(world: &Mirror<'_>) {
    world.set("mirror-hot", "ALARM", CROSSED);
    world.set("mirror-calm", "ALARM", "a drill");
    world.wait_for("cwbridge_alarm_disagrees{alarm=\"mirror-hot\"}", 0.0);
    let lead = world.metric("cwbridge_alarm_lead_seconds{alarm=\"mirror-hot\"}");
    assert!(
        lead.is_some_and(|lead| (0.0..120.0).contains(&lead)),
        "{lead:?}"
    );
    world.wait_for(
        "cwbridge_alarm_disagreement{alarm=\"mirror-calm\",reason=\"set_by_hand\"}",
        1.0,
    );
    let listed = cwbridge()
        .args(["alarms", "list", "--url"])
        .arg(format!("http://127.0.0.1:{}", world.port))
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let by_hand = "ALARM: the state was set by hand in CloudWatch (it says `a drill`)";
    assert!(listed.contains(by_hand), "{listed}");
    let page = get(world.port, "/").unwrap();
    assert!(page.contains("CloudWatch agrees"), "{page}");
}

/// What is deleted is seen to be gone at the next look.
fn deleted(world: &Mirror<'_>) {
    world.run(&[
        "cloudwatch",
        "delete-alarms",
        "--alarm-names",
        "mirror-calm",
    ]);
    wait(MINUTE, "the deleted alarm to be gone", || {
        let gone = world.metric("cwbridge_alarm_mirrored{alarm=\"mirror-calm\"}");
        gone.is_none().then_some(())
    });
}

/// The same alarms are judged.
fn without_cloudwatch(world: &Mirror<'_>) {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut program = Process::start(&mut world.command(&nobody));
    world.wait_for(
        "cwbridge_alarm_state{alarm=\"mirror-hot\",state=\"ALARM\"}",
        1.0,
    );
    program.wait_for_line("alarms cannot be asked for", MINUTE);
    let disagrees = world.metric("cwbridge_alarm_disagrees{alarm=\"mirror-hot\"}");
    assert_eq!(disagrees, None);
    let (code, took) = program.stop("TERM");
    assert_eq!(code, Some(0), "{}", program.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

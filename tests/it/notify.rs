//! Others are told of state changes by the whole program: by way of AWS, by webhook, over a kill, and when everything goes wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::endpoint::{Answer, serve};
use crate::world::{Folder, Process, cwbridge, free_port, get, pause, value, wait};

mod policy;
mod queue;

const LIMIT: Duration = Duration::from_mins(1);

/// It is in ALARM as soon as it is judged, within ten seconds.
const ALARM: &str = r#"{
  "AlarmName": "cpu", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Minimum", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 0
}"#;

/// Every verdict is told, so that nobody waits for the whole evaluation range.
const ALL: &str = "certainty = [\"determined\", \"depends_on_range\", \"history_incomplete\"]\n";

struct World {
    folder: Folder,
    config: PathBuf,
    port: u16,
}

impl World {
    /// `notify`: who is told.
    fn new(name: &str, notify: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("alarms.json", ALARM);
        let config = format!(
            "alarms = [\"alarms.json\"]\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n{notify}"
        );
        let config = folder.write("c.toml", &config);
        let port = free_port();
        Self {
            folder,
            config,
            port,
        }
    }

    fn command(&self) -> Command {
        let mut command = cwbridge();
        command
            .env("HOOK_KEY", "topsecret")
            .args(["run", "--config"]);
        command.arg(&self.config).arg("--state-dir");
        command.arg(self.folder.path().join("state"));
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command
    }

    fn start(&self) -> Process {
        Process::start(&mut self.command())
    }

    fn metric(&self, series: &str) -> Option<f64> {
        value(&get(self.port, "/metrics")?, series)
    }

    fn wait_for(&self, series: &str, least: f64) {
        wait(LIMIT, series, || {
            (self.metric(series)? >= least).then_some(())
        });
    }
}

fn json(status: &'static str, body: &str) -> Answer {
    Answer {
        content_type: "application/json",
        ..Answer::cbor(status, body)
    }
}

/// What of a form was posted.
fn form(body: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text);
        decoded.decode_utf8_lossy().into_owned()
    };
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// A topic, a function and a bus, whose requests are recorded.
#[test]
fn aws_gets_what_cloudwatch_would_send() {
    let heard: Arc<Mutex<BTreeMap<&str, String>>> = Arc::default();
    let record = Arc::clone(&heard);
    let url = serve(move |path, body| {
        let what = match (path, body) {
            (_, body) if body.starts_with("Action=Publish") => "sns",
            (path, _) if path.starts_with("/2015-03-31/functions/") => "lambda",
            (_, body) if body.starts_with("{\"Entries\"") => "events",
            _ => return Answer::cbor("200 OK", *b"\xa0"),
        };
        record
            .lock()
            .unwrap()
            .insert(what, format!("{path}\n{body}"));
        json("200 OK", "{\"FailedEntryCount\": 0}")
    });
    let notify = format!(
        "[events]\neventbridge = \"default\"\n[[notify]]\nsns = \"arn:aws:sns:eu-west-1:123456789012:ops.fifo\"\nwhen = \"always\"\n{ALL}[[notify]]\nlambda = \"arn:aws:lambda:eu-west-1:123456789012:function:page\"\nwhen = \"always\"\n{ALL}"
    );
    let world = World::new("notify-aws", &notify);
    let mut command = world.command();
    command.envs([
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
        ("AWS_ENDPOINT_URL", &url),
    ]);
    let program = Process::start(&mut command);
    wait(LIMIT, "all three to be told", || {
        (heard.lock().unwrap().len() == 3).then_some(())
    });
    let heard = heard.lock().unwrap().clone();
    let form = form(heard["sns"].split_once('\n').unwrap().1);
    assert_eq!(form["Subject"], "[cwbridge] ALARM: \"cpu\" in EU (Ireland)");
    assert_eq!(form["MessageAttributes.entry.1.Name"], "sender");
    assert_eq!(
        form["MessageAttributes.entry.1.Value.StringValue"],
        "cwbridge"
    );
    assert_eq!(form["MessageDeduplicationId"].len(), 36);
    let message: serde_json::Value = serde_json::from_str(&form["Message"]).unwrap();
    assert_eq!(message["NewStateValue"], "ALARM");
    let (path, payload) = heard["lambda"].split_once('\n').unwrap();
    let function = "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Apage";
    assert_eq!(
        path,
        format!("/2015-03-31/functions/{function}/invocations")
    );
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["alarmData"]["state"]["value"], "ALARM");
    let entries = heard["events"].split_once('\n').unwrap().1;
    let entries: serde_json::Value = serde_json::from_str(entries).unwrap();
    let entry = &entries["Entries"][0];
    assert_eq!(entry["Source"], "cwbridge");
    assert_eq!(entry["DetailType"], "CloudWatch Alarm State Change");
    let detail: serde_json::Value =
        serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["alarmName"], "cpu");
    assert!(!program.log().contains("hush-hush"));
}

/// Killed at any moment around the delivery: it is told, and more than once only where that is counted.
#[test]
fn killed_at_any_moment_it_tells_once_or_counts_it() {
    std::thread::scope(|scope| {
        for milliseconds in [0, 5, 15, 30, 60, 200] {
            scope.spawn(move || kill_and_restart(Duration::from_millis(milliseconds)));
        }
    });
}

fn kill_and_restart(after: Duration) {
    let arrived: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&arrived);
    let url = serve(move |_, body| {
        record.lock().unwrap().push(body.to_owned());
        pause(Duration::from_millis(20));
        json("200 OK", "")
    });
    let notify = format!("[[notify]]\nwebhook = \"{url}\"\nwhen = \"always\"\n{ALL}");
    let world = World::new(&format!("notify-kill-{}", after.as_millis()), &notify);
    let mut first = world.start();
    first.wait_for_line("alarm changed state", LIMIT);
    pause(after);
    first.stop("KILL");
    let before = arrived.lock().unwrap().len();
    let second = world.start();
    let waiting = "cwbridge_notifications_waiting{target=\"webhook\"}";
    world.wait_for("cwbridge_alarm_state{alarm=\"cpu\",state=\"ALARM\"}", 1.0);
    pause(Duration::from_secs(2));
    wait(LIMIT, "nothing to wait", || {
        (world.metric(waiting)? == 0.0).then_some(())
    });
    let resent = world
        .metric("cwbridge_notifications_resent_total{target=\"webhook\"}")
        .unwrap();
    let arrived = arrived.lock().unwrap();
    let extra = f64::from(u32::try_from(arrived.len()).unwrap() - 1);
    // What was begun and not answered counts as sent twice, whether or not it had arrived.
    assert!(
        extra <= resent,
        "{before} before, {} in all: {}",
        arrived.len(),
        second.log()
    );
    assert!(
        arrived[0].contains("\"NewStateValue\":\"ALARM\""),
        "{arrived:?}"
    );
}

/// Whoever heard it and could not say so hears it again, and that is counted.
#[test]
fn an_answer_that_is_lost_with_the_program_is_counted() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let url = serve(move |_, _| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            pause(Duration::from_secs(30));
        }
        json("200 OK", "")
    });
    let notify = format!("[[notify]]\nwebhook = \"{url}\"\nwhen = \"always\"\n{ALL}");
    let world = World::new("notify-lost", &notify);
    let mut first = world.start();
    wait(LIMIT, "the first attempt", || {
        (arrived.load(Ordering::Relaxed) == 1).then_some(())
    });
    first.stop("KILL");
    let _second = world.start();
    world.wait_for(
        "cwbridge_notifications_resent_total{target=\"webhook\"}",
        1.0,
    );
    world.wait_for(
        "cwbridge_notifications_delivered_total{target=\"webhook\"}",
        1.0,
    );
    assert_eq!(arrived.load(Ordering::Relaxed), 2);
}

/// A hook that answers 500, one that hangs, a program that never ends, an Alertmanager that is gone: the others are told, and no
/// secret is in any log or page.
#[test]
fn what_goes_wrong_with_some_holds_up_no_others_and_tells_no_secret() {
    let broken = serve(|_, _| json("500 Internal Server Error", "topsecret"));
    let hung = serve(|_, _| {
        pause(Duration::from_mins(10));
        json("200 OK", "")
    });
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let good = serve(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        json("200 OK", "")
    });
    let hook = |name: &str, url: &str, timeout: &str| {
        format!(
            "[[notify]]\nname = \"{name}\"\nwebhook = \"{url}/${{env:HOOK_KEY}}\"\nkey = \"${{env:HOOK_KEY}}\"\nheaders = {{ Authorization = \"Bearer ${{env:HOOK_KEY}}\" }}\nwhen = \"always\"\ntimeout = \"{timeout}\"\n{ALL}"
        )
    };
    let other =
        |kind: &str| format!("[[notify]]\n{kind}\nwhen = \"always\"\ntimeout = \"1s\"\n{ALL}");
    let notify = [
        hook("broken", &broken, "1s"),
        hook("hung", &hung, "1s"),
        hook("good", &good, "1m"),
        other("command = [\"/bin/sh\", \"-c\", \"sleep 1000\"]"),
        other("alertmanager = \"http://127.0.0.1:1\""),
        other("sns = \"arn:aws:sns:eu-west-1:123456789012:none\""),
    ];
    let world = World::new("notify-wrong", &notify.concat());
    let mut program = world.start();
    wait(LIMIT, "the good one to be told", || {
        (heard.load(Ordering::Relaxed) > 0).then_some(())
    });
    for target in ["broken", "hung", "command", "alertmanager", "sns"] {
        let series = format!("cwbridge_notifications_failed_total{{target=\"{target}\"}}");
        world.wait_for(&series, 2.0);
        let waiting = format!("cwbridge_notifications_waiting{{target=\"{target}\"}}");
        assert_eq!(world.metric(&waiting), Some(1.0));
    }
    for page in [
        "/metrics",
        "/",
        "/api/v1/alarms",
        "/api/v1/history",
        "/-/ready",
    ] {
        let page = get(world.port, page).unwrap();
        assert!(!page.contains("topsecret"));
    }
    let log = program.log();
    assert!(!log.contains("topsecret"), "{log}");
    assert!(log.contains("the answer is status 500"), "{log}");
    // One line for each that fails, however often.
    assert_eq!(program.count("it is tried again"), 5, "{log}");
    assert_eq!(program.stop("TERM").0, Some(0));
    assert_eq!(
        program.count("the journal is not closed"),
        0,
        "{}",
        program.log()
    );
}

/// Its mute rule withholds an alarm's actions: nobody is told of it, and the events say so.
#[test]
fn a_muted_alarm_is_not_told_and_its_event_names_the_rule() {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let url = serve(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        json("200 OK", "")
    });
    let notify = format!(
        "[events]\nfile = \"events.jsonl\"\n[[notify]]\nwebhook = \"{url}\"\nwhen = \"always\"\n{ALL}"
    );
    let world = World::new("notify-muted", &notify);
    let rule = r#"{"Name": "always", "Rule": {"Schedule": {"Expression": "cron(* * * * *)", "Duration": "PT5M"}},
        "MuteTargets": {"AlarmNames": ["cpu"]}}"#;
    world
        .folder
        .write("alarms.json", &format!("[{ALARM}, {rule}]"));
    let program = world.start();
    world.wait_for(
        "cwbridge_notifications_delivered_total{target=\"events.file\"}",
        1.0,
    );
    pause(Duration::from_secs(1));
    assert_eq!(heard.load(Ordering::Relaxed), 0, "{}", program.log());
    let path = world.folder.path().join("events.jsonl");
    let event: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(path).unwrap().trim()).unwrap();
    let detail = &event["detail"];
    assert_eq!(detail["state"]["value"], "ALARM");
    let arn = detail["muteDetail"]["mutedByArn"].as_str().unwrap();
    assert!(arn.ends_with(":alarm-mute-rule:always"), "{event:#}");
    assert_eq!(detail["cwbridge"]["id"], event["id"]);
    assert_eq!(detail["cwbridge"]["test"], false);
}

#[test]
fn a_test_goes_the_whole_way_and_says_what_became_of_it() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&heard);
    let url = serve(move |_, body| {
        record.lock().unwrap().push(body.to_owned());
        json("200 OK", "")
    });
    // Nobody is told of states for a while: tests are.
    let notify = format!(
        "[[notify]]\nwebhook = \"{url}\"\nwhen = \"unreachable\"\nstates = [\"OK\"]\n[[notify]]\ncommand = [\"/bin/false\"]\nwhen = \"always\"\nstates = [\"OK\"]\n[[notify]]\nname = \"others\"\njournald = true\nwhen = \"always\"\nalarms = [\"web-*\"]\n"
    );
    let world = World::new("notify-test", &notify);
    let program = world.start();
    let url = format!("http://127.0.0.1:{}", world.port);
    let run = |arguments: &[&str]| {
        let output = cwbridge()
            .arg("alarms")
            .args(arguments)
            .args(["--url", &url])
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let (code, told) = wait(LIMIT, "the daemon", || {
        let (code, told) = run(&["notify-test", "cpu"]);
        told.contains("webhook").then_some((code, told))
    });
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    let failed = "command: failed: `/bin/false` ended with exit status: 1";
    assert_eq!((code, lines), (Some(1), vec![failed, "webhook: delivered"]));
    assert!(heard.lock().unwrap()[0].contains("This is a test of notifications by cwbridge"));
    let (code, told) = run(&["notify-test", "cpv"]);
    assert_eq!(
        (code, &*told),
        (Some(2), "error: there is no alarm `cpv`\n")
    );
    // What is known of the alarm, from the daemon and then from what it left.
    let (_, explained) = wait(LIMIT, "the alarm to be judged", || {
        let explained = run(&["explain", "cpu"]);
        explained.1.contains("in ALARM since").then_some(explained)
    });
    assert!(explained.contains("ALARM needs 1"), "{explained}");
    let (code, history) = run(&["history", "cpu"]);
    assert!(
        code == Some(0) && history.contains(": INSUFFICIENT_DATA -> ALARM"),
        "{history}"
    );
    drop(program);
    let state = world.folder.path().join("state");
    let (code, json) = run(&[
        "history",
        "--format",
        "json",
        "--state-dir",
        state.to_str().unwrap(),
    ]);
    assert!(
        code == Some(0) && json.contains("\"HistoryItemType\": \"StateUpdate\""),
        "{json}"
    );
}

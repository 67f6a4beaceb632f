//! CloudWatch Logs of LocalStack: what is written is read back, by `cwbridge logs` and by the `aws` command line; and the whole of the
//! README's way from a log group to a notification.

use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::world::{Folder, Process, cwbridge, free_port, root, wait};

use super::localstack::LocalStack;
use super::notify::received;

const LIMIT: Duration = Duration::from_mins(1);

/// What a command prints, and its exit code.
fn run(cloud: &LocalStack, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = cwbridge();
    let output = cloud.environment(command.args(arguments)).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

#[test]
fn what_is_written_is_read_back() {
    let Some(cloud) = LocalStack::start() else {
        return;
    };
    let create = [
        "logs",
        "create",
        "/cwbridge/app",
        "--retention",
        "30d",
        "--tag",
        "Team=ops",
    ];
    let told = (Some(0), "`/cwbridge/app` is created\n".to_owned());
    assert_eq!(run(&cloud, &create), told);
    let (code, told) = run(&cloud, &create);
    assert!(
        code == Some(0) && told.contains("is there already"),
        "{told}"
    );
    let groups = cloud.aws(&["logs", "describe-log-groups"]);
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 30);
    let tags = cloud.aws(&[
        "logs",
        "list-tags-log-group",
        "--log-group-name",
        "/cwbridge/app",
    ]);
    assert_eq!(tags["tags"]["Team"], "ops");
    let (_, groups) = run(&cloud, &["logs", "groups", "/cwbridge/"]);
    assert!(groups.starts_with("/cwbridge/app  created "), "{groups}");
    let (code, told) = run(&cloud, &["logs", "tail", "/none"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("ResourceNotFoundException"), "{told}");

    let folder = Folder::new("e2e-logs");
    let path = folder.path().to_str().unwrap();
    let config = format!(
        "alarms = []\n[publish]\nmetric = []\n[[logs.file]]\ngroup = \"/cwbridge/app\"\nstream = \"web/${{file}}\"\npaths = [\"{path}/*.log\"]\n"
    );
    let config = folder.write("c.toml", &config);
    let mut log = fs::File::create(folder.path().join("app.log")).unwrap();
    writeln!(log, "first ERROR\nsecond").unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = cwbridge();
    command.args(["run", "--listen", &listen, "--config"]);
    let program = Process::start(cloud.environment(command.arg(config)));
    let mut command = cwbridge();
    let tail = [
        "logs",
        "tail",
        "/cwbridge/app",
        "--stream-prefix",
        "web/",
        "--follow",
    ];
    let follower = Process::start(cloud.environment(command.args(tail)));
    follower.wait_for_line("web/app.log second", LIMIT);
    // A live writer.
    for number in 0..5 {
        writeln!(log, "later {number}").unwrap();
        follower.wait_for_line(&format!("web/app.log later {number}"), LIMIT);
    }
    assert_eq!(follower.lines().len(), 7, "{}", follower.log());
    let events = [
        "logs",
        "get-log-events",
        "--log-group-name",
        "/cwbridge/app",
    ];
    let events = cloud.aws(&[&events[..], &["--log-stream-name", "web/app.log"]].concat());
    let messages = events["events"].as_array().unwrap().iter();
    let messages: Vec<&str> = messages.map(|it| it["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages[..2],
        ["first ERROR", "second"],
        "{}",
        program.log()
    );
    assert_eq!(messages.len(), 7);
    // LocalStack takes filter patterns and does not look at them.
    let (_, all) = run(
        &cloud,
        &["logs", "tail", "/cwbridge/app", "--format", "json"],
    );
    let event: Value = serde_json::from_str(all.lines().next().unwrap()).unwrap();
    assert_eq!(event["message"], "first ERROR");
    assert_eq!(event["logStreamName"], "web/app.log");
    let (_, streams) = run(&cloud, &["logs", "streams", "/cwbridge/app"]);
    assert!(streams.starts_with("web/app.log  last event "), "{streams}");
}

/// The indented lines after a heading that are commands: up to what follows them in words.
fn walk_through() -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme
        .split("### From a log group to a notification")
        .nth(1)
        .unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.map_while(|line| line.strip_prefix("    "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The README's way as a program, with LocalStack's account and a port of its own.
fn walk(cloud: &LocalStack, folder: &Folder) -> Command {
    let port = free_port();
    let script = walk_through()
        .replace("eu-west-1:123456789012", "us-east-1:000000000000")
        .replace("--protocol email", "--protocol sqs")
        .replace(
            "me@example.com",
            "arn:aws:sqs:us-east-1:000000000000:mailbox",
        )
        .replace(
            "[logs]\n",
            &format!("[serve]\nlisten = \"127.0.0.1:{port}\"\n[logs]\n"),
        )
        .replace(
            "cpu-high\n",
            &format!("cpu-high --url http://127.0.0.1:{port}\n"),
        );
    assert!(script.lines().count() > 15, "{script}");
    let script = folder.write(
        "walk",
        &format!("set -e\ntrap 'kill $(jobs -p)' EXIT\n{script}"),
    );
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cwbridge"))
        .parent()
        .unwrap();
    let aws = cloud.folder_of_aws();
    let path = format!("{}:{}:/usr/bin:/bin", program.display(), aws.display());
    let mut command = Command::new("bash");
    command.arg(script).current_dir(folder.path());
    command.envs([
        ("PATH", &*path),
        ("STATE_DIRECTORY", "state"),
        ("AWS_REGION", "us-east-1"),
    ]);
    command
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    cloud.environment(&mut command);
    command
}

/// The README's way is gone, in a folder of its own, with a queue as mailbox.
#[test]
fn the_readme_leads_from_a_log_group_to_a_notification() {
    let Some(cloud) = LocalStack::start() else {
        return;
    };
    cloud.aws(&["sqs", "create-queue", "--queue-name", "mailbox"]);
    let queue = cloud.aws(&["sqs", "get-queue-url", "--queue-name", "mailbox"]);
    let folder = Folder::new("e2e-readme");
    fs::create_dir(folder.path().join("config")).unwrap();
    // This is no instance: it goes by its name.
    let alarms = fs::read_to_string(root().join("config/alarms.json")).unwrap();
    let alarms = alarms.replace("${aws:InstanceId}", "${hostname}");
    folder.write("config/alarms.json", &alarms.replace("InstanceId", "host"));
    let mut walk = Process::start(&mut walk(&cloud, &folder));
    let status = wait(Duration::from_mins(7), "the end of the way", || {
        walk.child.try_wait().unwrap()
    });
    let log = walk.log();
    assert!(status.success(), "{log}");
    assert!(log.contains("sns: delivered"), "{log}");
    assert!(log.contains("cpu-high is in ALARM since"), "{log}");
    // LocalStack shows the others, too: that the alarm was OK before.
    let has = |line: &str| {
        ["\"alarmName\":\"cpu-high\"", "\"value\":\"ALARM\""]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(log.lines().any(has), "{log}");
    let mut heard = Vec::new();
    wait(LIMIT, "the notification in the mailbox", || {
        heard.extend(received(&cloud, queue["QueueUrl"].as_str().unwrap()));
        // The first is the test.
        (heard.len() >= 2).then_some(())
    });
    let subjects = heard
        .iter()
        .filter_map(|(_, envelope)| envelope["Subject"].as_str());
    let subjects: Vec<&str> = subjects.collect();
    let expected = "[cwbridge] ALARM: \"cpu-high\" in US East (N. Virginia)";
    assert!(subjects.contains(&expected), "{subjects:?}");
}

//! Files and this program's own record go to CloudWatch Logs by the whole program: over kills, rotations, outages, and bad input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoint::{Answer, serve};
use crate::world::{Folder, Process, cwbridge, free_port, get, pause, skip, value, wait};

const LIMIT: Duration = Duration::from_mins(1);

/// CloudWatch Logs as far as writing goes.
#[derive(Default)]
struct Service {
    groups: BTreeMap<String, Value>,
    streams: BTreeSet<(String, String)>,
    /// Streams and messages, in the order in which they came.
    events: Vec<(String, String)>,
    requests: usize,
}

#[derive(Clone, Default)]
struct Cloud {
    service: Arc<Mutex<Service>>,
    /// It answers nothing but errors.
    is_down: Arc<AtomicBool>,
    /// It takes events and answers with an error.
    loses_answers: Arc<AtomicBool>,
    /// As if answers came too late for requests with more text than this, if it is not 0.
    loses_above: Arc<AtomicUsize>,
    /// It lets nobody do anything.
    denies: Arc<AtomicBool>,
    /// It lets nobody say how long events are kept.
    refuses_retention: Arc<AtomicBool>,
}

impl Cloud {
    fn serve(&self, delay: Duration) -> String {
        let cloud = self.clone();
        serve(move |_, body| match serde_json::from_str(body) {
            Ok(request) => {
                let answer = cloud.answer(&request);
                pause(delay);
                answer
            }
            Err(_) => Answer::cbor("200 OK", *b"\xa0"),
        })
    }

    fn answer(&self, request: &Value) -> Answer {
        let error = |name: &str| {
            let body = json!({"__type": name, "message": "as the test wants it"});
            answer("400 Bad Request", &body)
        };
        if self.is_down.load(Relaxed) {
            return answer("503 Service Unavailable", &json!({}));
        }
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let (group, stream) = (text("logGroupName"), text("logStreamName"));
        if group == "/foreign" || self.denies.load(Relaxed) {
            return error("AccessDeniedException");
        }
        let mut service = self.service.lock().unwrap();
        let key = (group.clone(), stream.clone());
        if let Some(events) = request["logEvents"].as_array() {
            service.requests += 1;
            if !service.streams.contains(&key) {
                return error("ResourceNotFoundException");
            }
            check(events);
            for event in events {
                let message = event["message"].as_str().unwrap();
                let place = format!("{group} {stream}");
                service.events.push((place, message.to_owned()));
            }
            let length = |event: &Value| event["message"].as_str().unwrap().len();
            let text: usize = events.iter().map(length).sum();
            let most = self.loses_above.load(Relaxed);
            if self.loses_answers.load(Relaxed) || most > 0 && text > most {
                return answer("500 Internal Server Error", &json!({}));
            }
        } else if !stream.is_empty() {
            if !service.groups.contains_key(&group) {
                return error("ResourceNotFoundException");
            }
            service.streams.insert(key);
        } else if request.get("retentionInDays").is_some() && self.refuses_retention.load(Relaxed) {
            return error("AccessDeniedException");
        } else if let Some(days) = request.get("retentionInDays") {
            service.groups.get_mut(&group).unwrap()["retention"] = days.clone();
        } else {
            let tags = json!({"tags": request["tags"]});
            if service.groups.insert(group, tags).is_some() {
                return error("ResourceAlreadyExistsException");
            }
        }
        answer("200 OK", &json!({}))
    }

    /// The messages of a stream.
    fn messages(&self, stream: &str) -> Vec<String> {
        let service = self.service.lock().unwrap();
        let events = service.events.iter().filter(|(of, _)| of == stream);
        events.map(|(_, message)| message.clone()).collect()
    }
}

/// What the API wants of a request.
fn check(events: &[Value]) {
    assert!((1..=10_000).contains(&events.len()));
    let times: Vec<i64> = events
        .iter()
        .map(|event| event["timestamp"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted(), "in the order of time");
    assert!(times[times.len() - 1] - times[0] <= 86_400_000);
    let bytes = events
        .iter()
        .map(|event| event["message"].as_str().unwrap().len() + 26);
    assert!(bytes.sum::<usize>() <= 1_048_576);
}

struct World {
    folder: Folder,
    config: PathBuf,
    port: u16,
    url: String,
}

impl World {
    fn new(name: &str, url: String, config: impl Fn(&str) -> String) -> Self {
        let folder = Folder::new(name);
        let path = folder.path().to_str().unwrap().to_owned();
        let config = folder.write("c.toml", &config(&path));
        let port = free_port();
        Self {
            folder,
            config,
            port,
            url,
        }
    }

    fn start(&self) -> Process {
        Process::start(&mut self.command())
    }

    fn command(&self) -> Command {
        let mut command = cwbridge();
        command.envs([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
            ("AWS_ENDPOINT_URL", &self.url),
        ]);
        command.args(["run", "--config"]).arg(&self.config);
        command
            .arg("--state-dir")
            .arg(self.folder.path().join("state"));
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command
    }

    fn metric(&self, series: &str) -> f64 {
        let page = get(self.port, "/metrics").unwrap_or_default();
        value(&page, series).unwrap_or(0.0)
    }

    fn resent(&self, source: &str) -> f64 {
        self.metric(&format!(
            "cwbridge_log_events_resent_total{{source=\"{source}\"}}"
        ))
    }

    fn wait_for(&self, series: &str, least: f64) {
        wait(LIMIT, series, || {
            (self.metric(series) >= least).then_some(())
        });
    }
}

/// Writes numbered lines of a kilobyte, and begins a new file now and then.
struct Writer {
    path: PathBuf,
    copies: bool,
    file: File,
    written: usize,
}

impl Writer {
    fn new(path: PathBuf, copies: bool) -> Self {
        let file = append(&path);
        Self {
            path,
            copies,
            file,
            written: 0,
        }
    }

    fn write(&mut self, lines: usize) {
        let mut text = Vec::new();
        for _ in 0..lines {
            writeln!(text, "{:07} {}", self.written, "x".repeat(1_000)).unwrap();
            self.written += 1;
        }
        // A line may be there by half for a while.
        let (first, second) = text.split_at(text.len() / 2 + 300);
        self.file.write_all(first).unwrap();
        pause(Duration::from_millis(5));
        self.file.write_all(second).unwrap();
    }

    fn rotate(&mut self) {
        let name = |place: usize| self.path.with_extension(format!("log.{place}"));
        for place in (1..9).rev() {
            let _ = fs::rename(name(place), name(place + 1));
        }
        if self.copies {
            fs::copy(&self.path, name(1)).unwrap();
            self.file.set_len(0).unwrap();
        } else {
            fs::rename(&self.path, name(1)).unwrap();
            // The program that writes goes on with the file that it has open for a moment.
            self.write(20);
            self.file = append(&self.path);
        }
    }
}

fn append(path: &PathBuf) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

/// Killed again and again while files grow and are renamed, or copied and emptied: every line arrives, in order, and none twice
/// that is not counted.
#[test]
fn every_line_arrives_over_kills_and_rotations() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::from_millis(200));
    let world = World::new("logs-kills", url, |path| {
        format!(
            "[[logs.file]]\ngroup = \"/a\"\nstream = \"renamed\"\npaths = [\"{path}/a.log*\"]\n[[logs.file]]\ngroup = \"/a\"\nstream = \"copied\"\npaths = [\"{path}/b.log\"]\n"
        )
    });
    let mut renamed = Writer::new(world.folder.path().join("a.log"), false);
    let mut copied = Writer::new(world.folder.path().join("b.log"), true);
    let mut resent = 0.0;
    for round in 0..8 {
        let mut program = world.start();
        let kill_at = 16 + 3 * round;
        for turn in 0..kill_at {
            renamed.write(100);
            copied.write(100);
            if turn == 8 {
                renamed.rotate();
                copied.rotate();
            }
            pause(Duration::from_millis(90));
        }
        // Nothing arrives between what is counted and the kill.
        cloud.is_down.store(true, Relaxed);
        resent += world.resent("file");
        program.stop("KILL");
        cloud.is_down.store(false, Relaxed);
        renamed.write(50);
        copied.write(50);
        if round % 3 == 1 {
            renamed.rotate();
            copied.rotate();
        }
    }
    let program = world.start();
    for (stream, writer) in [("/a renamed", &renamed), ("/a copied", &copied)] {
        let expected: BTreeSet<String> = (0..writer.written).map(|it| format!("{it:07}")).collect();
        let missing = || -> Vec<String> {
            let arrived = cloud.messages(stream).into_iter();
            let arrived: BTreeSet<String> = arrived.map(|it| it[..7].to_owned()).collect();
            expected.difference(&arrived).cloned().collect()
        };
        let mut tries = 0;
        while !missing().is_empty() {
            tries += 1;
            assert!(
                tries < 300,
                "{stream} lacks {:?}..: {}",
                missing(),
                program.log()
            );
            pause(Duration::from_millis(200));
        }
    }
    resent += world.resent("file");
    let all = cloud.service.lock().unwrap().events.len();
    let extra = all - renamed.written - copied.written;
    let extra = f64::from(u32::try_from(extra).unwrap());
    assert!(
        extra <= resent,
        "{extra} twice, {resent} counted: {}",
        program.log()
    );
    assert_eq!(
        world.metric("cwbridge_log_files_lost_total"),
        0.0,
        "{}",
        program.log()
    );
}

/// Lost answers within the program are counted as well.
#[test]
fn what_may_have_arrived_is_sent_again_and_counted() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-lost", url, |path| {
        format!("[[logs.file]]\ngroup = \"/a\"\nstream = \"s\"\npaths = [\"{path}/a.log\"]\n")
    });
    cloud.loses_answers.store(true, Relaxed);
    world.folder.write("a.log", "one\ntwo\n");
    let _program = world.start();
    wait(LIMIT, "the lines to arrive", || {
        (cloud.messages("/a s").len() >= 4).then_some(())
    });
    cloud.loses_answers.store(false, Relaxed);
    world.wait_for("cwbridge_log_events_shipped_total{source=\"file\"}", 2.0);
    let arrived = cloud.messages("/a s").len();
    let extra = f64::from(u32::try_from(arrived - 2).unwrap());
    assert_eq!(world.resent("file"), extra);
}

/// What is too much for the way to AWS goes in parts, from wherever it comes.
#[test]
fn what_is_too_much_at_once_is_sent_in_parts() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-slow", url, |path| {
        format!(
            "[[logs.file]]\ngroup = \"/f\"\nstream = \"s\"\npaths = [\"{path}/a.log\"]\n[[logs.journald]]\ngroup = \"/j\"\nstream = \"s\"\n"
        )
    });
    cloud.loses_above.store(150_000, Relaxed);
    let line = "x".repeat(3_000);
    let lines: Vec<String> = (0..100).map(|it| format!("{it:04} {line}")).collect();
    world
        .folder
        .write("a.log", &format!("{}\n", lines.join("\n")));
    let entry = |(number, line): (usize, &String)| {
        let entry = json!({
            "__CURSOR": format!("c{number}"), "__REALTIME_TIMESTAMP": "1800000000000000",
            "MESSAGE": line,
        });
        format!("{entry}\n")
    };
    let entries: String = lines.iter().enumerate().map(entry).collect();
    world.folder.write("entries", &entries);
    let path = world.folder.path().display();
    let script = format!("#!/bin/sh\ncat {path}/entries\nexec sleep 1000\n");
    world.folder.write_program("journalctl", &script);
    let program = Process::start(&mut command_with_journal(&world));
    for (source, stream) in [("file", "/f s"), ("journald", "/j s")] {
        let series = format!("cwbridge_log_events_shipped_total{{source=\"{source}\"}}");
        world.wait_for(&series, 100.0);
        let arrived = cloud.messages(stream);
        let distinct: BTreeSet<&String> = arrived.iter().collect();
        assert_eq!(distinct, lines.iter().collect(), "{}", program.log());
        let extra = f64::from(u32::try_from(arrived.len() - 100).unwrap());
        assert!(extra >= 100.0, "the whole was sent first: {extra}");
        assert_eq!(world.resent(source), extra);
    }
}

/// A group that was created just before the end of the program is not forgotten.
#[test]
fn a_retention_that_could_not_be_set_is_set_later() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-retention", url, |path| {
        format!(
            "[logs]\ngroup = \"/r\"\nretention = \"30d\"\ntransitions = false\n[[logs.file]]\nstream = \"s\"\npaths = [\"{path}/a.log\"]\n"
        )
    });
    let retention = || {
        let service = cloud.service.lock().unwrap();
        service.groups["/r"].get("retention").cloned()
    };
    cloud.refuses_retention.store(true, Relaxed);
    world.folder.write("a.log", "one\n");
    let mut program = world.start();
    program.wait_for_line("its retention could not be set", LIMIT);
    wait(LIMIT, "the line", || {
        (!cloud.messages("/r s").is_empty()).then_some(())
    });
    program.stop("KILL");
    assert_eq!(retention(), None);
    cloud.refuses_retention.store(false, Relaxed);
    world.folder.write("a.log", "one\ntwo\n");
    let mut program = world.start();
    wait(LIMIT, "the retention", || {
        retention().is_some().then_some(())
    });
    assert_eq!(retention(), Some(json!(30)));
    program.stop("TERM");
    // Whoever says otherwise later is not contradicted.
    cloud.service.lock().unwrap().groups.get_mut("/r").unwrap()["retention"] = json!(7);
    world.folder.write("a.log", "one\ntwo\nthree\n");
    let _program = world.start();
    wait(LIMIT, "the last line", || {
        let messages = cloud.messages("/r s");
        messages.contains(&"three".to_owned()).then_some(())
    });
    pause(Duration::from_secs(1));
    assert_eq!(retention(), Some(json!(7)));
}

/// With a line that has no time, which goes with it.
const OLD: &str = "2001-01-01T00:00:00Z from another century\n  and more of it\n\n";

/// What is wrong with some lines and files is counted by its reason, and holds up no other.
#[test]
fn what_is_wrong_with_lines_and_files_is_counted() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-bad", url, |path| {
        format!(
            "[logs]\ngroup = \"/good\"\nretention = \"30d\"\ntags = {{ Team = \"ops\" }}\ntransitions = false\n[[logs.file]]\nstream = \"${{file}}\"\npaths = [\"{path}/*.log\", \"{path}/gone/*.log\", \"/nonexistent/*\"]\ntimestamp_format = \"rfc3339\"\nexclude = [\"secret\"]\n[[logs.file]]\ngroup = \"/foreign\"\npaths = [\"{path}/*.foreign\"]\n"
        )
    });
    let folder = world.folder.path();
    let mut bad = b"not \xff text\nsecret\n".to_vec();
    bad.extend(vec![b'y'; 1_500_000]);
    bad.extend(b"\nafter\n");
    bad.extend(OLD.as_bytes());
    fs::write(folder.join("bad.log"), bad).unwrap();
    fs::write(folder.join("x.foreign"), "mine\n").unwrap();
    fs::write(folder.join("old.log.gz"), "compressed\n").unwrap();
    fs::create_dir(folder.join("gone")).unwrap();
    fs::write(folder.join("gone/gone.log"), "still here\n").unwrap();
    let program = world.start();
    wait(LIMIT, "the good lines", || {
        (cloud.messages("/good bad.log").len() == 3 && cloud.messages("/good gone.log").len() == 1)
            .then_some(())
    });
    let messages = cloud.messages("/good bad.log");
    assert_eq!(messages[0], "not \u{fffd} text");
    assert_eq!(messages[1].len(), 1_048_550);
    assert_eq!(messages[2], "after");
    for (series, count) in [
        ("dropped_total{source=\"file\",reason=\"too_old\"}", 2.0),
        ("dropped_total{source=\"file\",reason=\"filtered\"}", 1.0),
        (
            "changed_total{source=\"file\",reason=\"invalid_utf8\"}",
            1.0,
        ),
        ("changed_total{source=\"file\",reason=\"too_long\"}", 1.0),
    ] {
        world.wait_for(&format!("cwbridge_log_events_{series}"), count);
    }
    world.wait_for("cwbridge_log_requests_total{outcome=\"denied\"}", 2.0);
    assert_eq!(
        program.count("events cannot be written"),
        1,
        "{}",
        program.log()
    );
    let group = cloud.service.lock().unwrap().groups["/good"].clone();
    assert_eq!(group, json!({"tags": {"Team": "ops"}, "retention": 30}));
    // The file shrinks, the directory vanishes.
    fs::write(folder.join("bad.log"), "anew\n").unwrap();
    fs::remove_dir_all(folder.join("gone")).unwrap();
    wait(LIMIT, "the new line", || {
        let messages = cloud.messages("/good bad.log");
        (messages.last().is_some_and(|last| last == "anew")).then_some(())
    });
    assert_eq!(world.metric("cwbridge_log_files_lost_total"), 0.0);
    assert!(get(world.port, "/-/ready").is_some(), "{}", program.log());
}

const ALARM: &str = r#"{
  "AlarmName": "cpu", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Minimum", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 0
}"#;

/// State changes and the program's log wait for CloudWatch Logs over an outage and a kill.
#[test]
fn the_record_outlives_an_outage_and_a_kill() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-record", url, |_| {
        "alarms = [\"alarms.json\"]\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n[logs]\ngroup = \"/record\"\nstream = \"s\"\ndaemon_log = true\n".to_owned()
    });
    world.folder.write("alarms.json", ALARM);
    cloud.is_down.store(true, Relaxed);
    let mut program = world.start();
    program.wait_for_line("alarm changed state", LIMIT);
    program.wait_for_line("events cannot be written", LIMIT);
    pause(Duration::from_secs(3));
    program.stop("KILL");
    assert_eq!(cloud.messages("/record s").len(), 0);
    cloud.is_down.store(false, Relaxed);
    let _program = world.start();
    let changes = || {
        let messages = cloud.messages("/record s").into_iter();
        let events = messages.filter_map(|it| serde_json::from_str::<Value>(&it).ok());
        events.collect::<Vec<Value>>()
    };
    let changes = wait(LIMIT, "the state change", || {
        let changes = changes();
        (!changes.is_empty()).then_some(changes)
    });
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0]["detail-type"], "CloudWatch Alarm State Change");
    assert_eq!(changes[0]["detail"]["state"]["value"], "ALARM");
    wait(LIMIT, "what both programs said first", || {
        let messages = cloud.messages("/record s").into_iter();
        let started = messages.filter(|it| it.starts_with("INFO cwbridge started"));
        (started.count() == 2).then_some(())
    });
}

/// A place for the journal that is none: state changes are told from memory, and once there is a place, from there.
#[test]
fn the_record_goes_on_without_a_journal() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-unkept", url, |_| {
        "alarms = [\"alarms.json\"]\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n[logs]\ngroup = \"/record\"\nstream = \"s\"\ndaemon_log = true\n".to_owned()
    });
    world.folder.write("alarms.json", ALARM);
    world.folder.write("state", "no folder");
    cloud.loses_answers.store(true, Relaxed);
    let mut program = world.start();
    // What an earlier program sent is asked for a minute first.
    wait(2 * LIMIT, "a request without an answer", || {
        (cloud.service.lock().unwrap().requests > 1).then_some(())
    });
    cloud.loses_answers.store(false, Relaxed);
    let has = |text: &str| {
        let messages = cloud.messages("/record s").into_iter();
        messages.filter(|it| it.contains(text)).count()
    };
    for told in [
        "CloudWatch Alarm State Change",
        "the journal cannot be used",
    ] {
        wait(LIMIT, told, || (has(told) > 0).then_some(()));
    }
    let shipped = "cwbridge_log_events_shipped_total{source=\"record\"}";
    let extra = || {
        let arrived = u32::try_from(cloud.messages("/record s").len()).unwrap();
        f64::from(arrived) - world.metric(shipped)
    };
    let settled = || (extra() > 0.0 && world.resent("record") == extra()).then_some(());
    wait(LIMIT, "what was sent again to be counted", settled);
    fs::remove_file(world.folder.path().join("state")).unwrap();
    wait(LIMIT, "what is said then", || {
        (has("the journal is written again") > 0).then_some(())
    });
    assert_eq!(program.stop("TERM").0, Some(0), "{}", program.log());
    assert_eq!(program.count("are lost"), 0, "{}", program.log());
}

/// However often an answer is lost, or a request does not get out meanwhile.
#[test]
fn what_the_record_sends_again_is_counted() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-again", url, |_| {
        "alarms = []\n[logs]\ngroup = \"/record\"\nstream = \"s\"\ndaemon_log = true\n".to_owned()
    });
    cloud.loses_answers.store(true, Relaxed);
    let program = world.start();
    wait(LIMIT, "two attempts", || {
        (cloud.service.lock().unwrap().requests > 2).then_some(())
    });
    cloud.denies.store(true, Relaxed);
    pause(Duration::from_secs(6));
    cloud.denies.store(false, Relaxed);
    cloud.loses_answers.store(false, Relaxed);
    let shipped = "cwbridge_log_events_shipped_total{source=\"record\"}";
    world.wait_for(shipped, 5.0);
    pause(Duration::from_secs(2));
    let extra = || {
        let arrived = u32::try_from(cloud.messages("/record s").len()).unwrap();
        f64::from(arrived) - world.metric(shipped)
    };
    // What has just arrived may not be counted yet.
    let settled = || (world.resent("record") == extra()).then_some(());
    wait(LIMIT, "what was sent again to be counted", settled);
    assert!(extra() >= 5.0, "{}: {}", extra(), program.log());
}

/// As far as the journal of systemd is followed: an entry each tenth of a second, of which some are no text.
const JOURNALCTL: &str = r#"#!/bin/sh
next=0
for argument; do
    case $argument in --cursor=c*) next=${argument#--cursor=c} ;; esac
done
while :; do
    if [ $next -lt 120 ]; then
        message='"entry '$next'"'
        [ $((next % 40)) = 7 ] && message='[101,110,116,114,121,32,255]'
        echo '{"__CURSOR":"c'$next'","__REALTIME_TIMESTAMP":"'$(date +%s)'000000","MESSAGE":'$message',"SYSLOG_IDENTIFIER":"app"}'
        next=$((next + 1))
    fi
    sleep 0.1
    # Nobody reads any more.
    kill -0 $PPID 2>/dev/null || exit
done
"#;

/// Entries of systemd's journal arrive over kills, in order, and none twice that is not counted.
#[test]
fn every_entry_of_the_journal_arrives_over_kills() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::from_millis(300));
    let world = World::new("logs-journald", url, |_| {
        "[[logs.journald]]\ngroup = \"/j\"\nstream = \"s\"\n".to_owned()
    });
    world.folder.write_program("journalctl", JOURNALCTL);
    let start = || Process::start(&mut command_with_journal(&world));
    let mut resent = 0.0;
    for milliseconds in [5_200, 5_400, 2_000] {
        let mut program = start();
        pause(Duration::from_millis(milliseconds));
        // Nothing arrives between what is counted and the kill.
        cloud.is_down.store(true, Relaxed);
        resent += world.resent("journald");
        program.stop("KILL");
        cloud.is_down.store(false, Relaxed);
    }
    let last = start();
    let number = |message: &String| message.strip_prefix("app: entry ").map(str::to_owned);
    let arrived = wait(LIMIT, "all entries", || {
        let arrived: Vec<String> = cloud.messages("/j s").iter().filter_map(number).collect();
        arrived.contains(&"119".to_owned()).then_some(arrived)
    });
    resent += world.resent("journald");
    let distinct: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(
        distinct.len(),
        118,
        "117 numbers and what is no text: {}",
        last.log()
    );
    let extra = f64::from(u32::try_from(arrived.len() - 120).unwrap());
    assert!(extra <= resent, "{extra} twice, {resent} counted");
}

/// Other units, or another priority, are no reason to send everything again.
#[test]
fn a_selection_that_is_changed_goes_on_where_it_was() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new("logs-selection", url, |_| {
        "[[logs.journald]]\ngroup = \"/j\"\nstream = \"s\"\n".to_owned()
    });
    world.folder.write_program("journalctl", JOURNALCTL);
    let shipped = "cwbridge_log_events_shipped_total{source=\"journald\"}";
    let mut program = Process::start(&mut command_with_journal(&world));
    world.wait_for(shipped, 20.0);
    assert_eq!(program.stop("TERM").0, Some(0), "{}", program.log());
    world.folder.write(
        "c.toml",
        "[[logs.journald]]\ngroup = \"/j\"\nstream = \"s\"\npriority = \"debug\"\n",
    );
    let program = Process::start(&mut command_with_journal(&world));
    world.wait_for(shipped, 20.0);
    let messages = cloud.messages("/j s");
    let distinct: BTreeSet<&String> = messages.iter().collect();
    // Some entries are alike, as they are no text.
    let alike = messages
        .iter()
        .filter(|it| it.ends_with('\u{fffd}'))
        .count();
    let extra = messages.len() - distinct.len() - alike.saturating_sub(1);
    let extra = f64::from(u32::try_from(extra).unwrap());
    assert!(
        extra <= world.resent("journald"),
        "{extra} twice: {}",
        program.log()
    );
    assert_eq!(
        program.count("it goes on where it was"),
        1,
        "{}",
        program.log()
    );
    assert!(
        distinct.contains(&"app: entry 30".to_owned()),
        "{distinct:?}"
    );
}

/// Writes a journal as systemd's own program does that takes entries from elsewhere.
const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// Some entries have more text than `journalctl` shows by itself.
fn long(number: i64) -> String {
    match number % 7 {
        0 => "x".repeat(6_000),
        _ => String::new(),
    }
}

/// Entries of a journal that only systemd's programs write and read: of two units, some of them of little priority.
fn write_journal(folder: &Folder, boot: char, numbers: std::ops::Range<i64>) {
    let boot = boot.to_string().repeat(32);
    let entry = |number: i64| {
        let at = 1_700_000_000_000_000 + number;
        let unit = if number % 2 == 0 { "even" } else { "odd" };
        let priority = if number % 3 == 0 { 7 } else { 4 };
        let long = long(number);
        format!(
            "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID={boot}\nMESSAGE=entry {number}{long}\nSYSLOG_IDENTIFIER=app\n_PID=7\nPRIORITY={priority}\n_SYSTEMD_UNIT={unit}.service\n\n"
        )
    };
    // Systemd does not make it for a journal of elsewhere.
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = match machine.trim() {
        "" => String::new(),
        id => format!("_MACHINE_ID={id}\n"),
    };
    let entries = numbers.map(|number| format!("{machine}{}", entry(number)));
    let entries = folder.write("entries", &entries.collect::<String>());
    let _ = fs::create_dir(folder.path().join("journal"));
    let output = folder.path().join("journal/test.journal");
    let mut command = Command::new(WRITER);
    command.arg(format!("--output={}", output.display()));
    let output = command.arg(entries).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A place with a journal of its own; said to be skipped where systemd's programs are not.
fn with_journal(name: &str, config: &str) -> Option<(Cloud, World)> {
    if !PathBuf::from(WRITER).exists() || !PathBuf::from("/usr/bin/journalctl").exists() {
        skip("systemd's journal (Debian packages systemd, systemd-journal-remote)");
        return None;
    }
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::ZERO);
    let world = World::new(name, url, |_| config.to_owned());
    let path = world.folder.path().display();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--follow*) touch {path}/follows ;; esac\nexec /usr/bin/journalctl --directory={path}/journal \"$@\"\n"
    );
    world.folder.write_program("journalctl", &script);
    Some((cloud, world))
}

/// Finds the place's own `journalctl` before that of the machine.
fn command_with_journal(world: &World) -> Command {
    let path = format!("{}:/usr/bin:/bin", world.folder.path().display());
    let mut command = world.command();
    command.env("PATH", path);
    command
}

/// The `journalctl` of systemd itself: what is in the journal, what comes, and what came while the program was killed.
#[test]
fn the_journal_of_systemd_is_read_by_its_own_program() {
    let Some((cloud, world)) = with_journal(
        "logs-systemd",
        "[[logs.journald]]\ngroup = \"/j\"\nstream = \"all\"\n[[logs.journald]]\ngroup = \"/j\"\nstream = \"some\"\nunits = [\"even.service\"]\npriority = \"warning\"\n",
    ) else {
        return;
    };
    let start = || Process::start(&mut command_with_journal(&world));
    let wait_for = |numbers: std::ops::Range<i64>, program: &Process| {
        let text = |number: i64| format!("app[7]: entry {number}{}", long(number));
        let all: Vec<String> = numbers.clone().map(text).collect();
        let some: Vec<String> = numbers
            .filter(|it| it % 2 == 0 && it % 3 > 0)
            .map(text)
            .collect();
        for (stream, expected) in [("/j all", all), ("/j some", some)] {
            let mut tries = 0;
            while cloud.messages(stream) != expected {
                tries += 1;
                assert!(
                    tries < 150,
                    "{:?}: {}",
                    cloud.messages(stream),
                    program.log()
                );
                pause(Duration::from_millis(200));
            }
        }
    };
    write_journal(&world.folder, 'a', 0..10);
    let mut program = start();
    wait_for(0..10, &program);
    write_journal(&world.folder, 'a', 10..20);
    wait_for(0..20, &program);
    // Until it is known for good how far it is.
    pause(Duration::from_secs(4));
    program.stop("KILL");
    // What the host said last, and first when it was there again.
    write_journal(&world.folder, 'a', 20..25);
    write_journal(&world.folder, 'b', 25..30);
    let program = start();
    wait_for(0..30, &program);
    assert_eq!(world.resent("journald"), 0.0);
}

/// What comes after the first start is sent, also if it was never possible before the next one.
#[test]
fn the_end_of_a_journal_is_where_it_was_at_the_first_start() {
    let Some((cloud, world)) = with_journal(
        "logs-end",
        "[[logs.journald]]\ngroup = \"/j\"\nstream = \"s\"\nstart_at = \"end\"\nunits = [\"even.service\"]\n",
    ) else {
        return;
    };
    let start = || Process::start(&mut command_with_journal(&world));
    // The last one is another unit's.
    write_journal(&world.folder, 'a', 0..4);
    cloud.is_down.store(true, Relaxed);
    let mut program = start();
    // It is followed once it is known where it ends.
    wait(LIMIT, "the journal to be followed", || {
        world.folder.path().join("follows").exists().then_some(())
    });
    write_journal(&world.folder, 'a', 4..10);
    program.wait_for_line("events cannot be written", LIMIT);
    program.stop("KILL");
    cloud.is_down.store(false, Relaxed);
    let program = start();
    world.wait_for(
        "cwbridge_log_events_shipped_total{source=\"journald\"}",
        3.0,
    );
    let expected: Vec<String> = [4, 6, 8]
        .into_iter()
        .map(|it| format!("app[7]: entry {it}{}", long(it)))
        .collect();
    assert_eq!(cloud.messages("/j s"), expected, "{}", program.log());
}

/// Everything goes on, in order, when the configuration is read anew.
#[test]
fn a_reload_loses_nothing_and_sends_nothing_twice_uncounted() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::from_millis(300));
    let config = |path: &str, reason: usize| {
        format!(
            "[logs]\ngroup = \"/r\"\ndaemon_log = true\ntransitions = false\n[[logs.file]]\nstream = \"s\"\npaths = [\"{path}/a.log*\"]\nexclude = [\"reason {reason}\"]\n"
        )
    };
    let world = World::new("logs-reload", url, |path| config(path, 0));
    let path = world.folder.path().to_str().unwrap().to_owned();
    let mut writer = Writer::new(world.folder.path().join("a.log"), false);
    let program = world.start();
    program.wait_for_line("cwbridge started", LIMIT);
    for reload in 1..=8 {
        for _ in 0..8 {
            writer.write(100);
            pause(Duration::from_millis(70));
        }
        if reload % 3 == 0 {
            writer.rotate();
        }
        world.folder.write("c.toml", &config(&path, reload));
        program.signal("HUP");
    }
    let expected: Vec<String> = (0..writer.written).map(|it| format!("{it:07}")).collect();
    let arrived = wait(LIMIT, "every line", || {
        let arrived = cloud.messages("/r s").into_iter();
        let arrived: Vec<String> = arrived.map(|it| it[..7].to_owned()).collect();
        let distinct: BTreeSet<&String> = arrived.iter().collect();
        (distinct.len() == expected.len()).then_some(arrived)
    });
    let extra = f64::from(u32::try_from(arrived.len() - expected.len()).unwrap());
    assert!(
        extra <= world.resent("file"),
        "{extra} twice: {}",
        program.log()
    );
    assert_eq!(world.metric("cwbridge_log_files_lost_total"), 0.0);
    assert_eq!(program.count("panicked"), 0, "{}", program.log());
}

/// All at once, with streams of their own: one of them creates the group, and that with everything it is to have.
#[test]
fn a_group_is_created_once_for_many_streams() {
    let cloud = Cloud::default();
    let url = cloud.serve(Duration::from_millis(50));
    let world = World::new("logs-group", url, |path| {
        format!(
            "[logs]\ngroup = \"/many\"\nretention = \"30d\"\ntransitions = false\n[[logs.file]]\nstream = \"${{file}}\"\npaths = [\"{path}/*.log\"]\n"
        )
    });
    for number in 0..40 {
        world
            .folder
            .write(&format!("{number}.log"), &format!("{number}\n"));
    }
    let program = world.start();
    world.wait_for("cwbridge_log_events_shipped_total{source=\"file\"}", 40.0);
    assert_eq!(program.count("created a group"), 1, "{}", program.log());
    assert_eq!(program.count("created a stream"), 40, "{}", program.log());
    let group = cloud.service.lock().unwrap().groups["/many"].clone();
    assert_eq!(group["retention"], json!(30));
}

/// What is asked for is passed on, page after page, also where a request is throttled.
#[test]
fn events_are_read_page_by_page_as_they_are_asked_for() {
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&asked);
    let url = serve(move |_, body| {
        let request: Value = serde_json::from_str(body).unwrap();
        let mut asked = record.lock().unwrap();
        asked.push(request.clone());
        let (status, body) = match (asked.len(), request.get("nextToken")) {
            (2, _) => (
                "400 Bad Request",
                json!({"__type": "ThrottlingException", "message": "Rate exceeded"}),
            ),
            (_, None) => ("200 OK", json!({"events": [event(1)], "nextToken": "more"})),
            (_, Some(_)) => ("200 OK", json!({"events": [event(1), event(2)]})),
        };
        answer(status, &body)
    });
    let mut command = tail(&url);
    command.args(["--end", "2000"]);
    command.args(["--filter", "\"ERROR\"", "--stream-prefix", "web"]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = "1970-01-01T00:16:41.000Z web-1 line 1\n1970-01-01T00:16:42.000Z web-1 line 2\n";
    assert_eq!((output.status.code(), &*told), (Some(0), expected));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    let expected = json!({
        "logGroupName": "/a", "logStreamNamePrefix": "web", "filterPattern": "\"ERROR\"",
        "startTime": 1_000_000, "endTime": 1_999_999,
    });
    assert_eq!(asked[0], expected);
    assert_eq!(asked[2]["nextToken"], "more");
}

/// What goes wrong after the beginning is told once, and waited for; an interrupt ends it also then.
#[test]
fn following_goes_on_after_a_failure() {
    let asked: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&asked);
    let url = serve(move |_, _| {
        let mut asked = count.lock().unwrap();
        *asked += 1;
        let (status, body) = match *asked {
            1 => ("200 OK", json!({"events": [event(1)]})),
            2 | 3 => (
                "400 Bad Request",
                json!({"__type": "AccessDeniedException", "message": "no"}),
            ),
            _ => ("200 OK", json!({"events": [event(1), event(2)]})),
        };
        answer(status, &body)
    });
    let mut command = tail(&url);
    command.arg("--follow");
    let mut program = Process::start(&mut command);
    program.wait_for_line("web-1 line 2", LIMIT);
    assert_eq!(program.count("web-1 line 1"), 1, "{}", program.log());
    assert_eq!(program.count("it is tried again"), 1, "{}", program.log());
    let (status, _) = program.stop("INT");
    assert_eq!(status, Some(0), "{}", program.log());
}

/// As CloudWatch Logs answers.
fn answer(status: &'static str, body: &Value) -> Answer {
    Answer {
        content_type: "application/x-amz-json-1.1",
        ..Answer::cbor(status, body.to_string())
    }
}

fn tail(url: &str) -> Command {
    let mut command = cwbridge();
    command.envs([
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", url),
    ]);
    command.args(["logs", "tail", "/a", "--start", "1000"]);
    command
}

fn event(number: i64) -> Value {
    json!({
        "eventId": number.to_string(), "logStreamName": "web-1",
        "timestamp": 1_000_000 + 1_000 * number, "message": format!("line {number}"),
    })
}

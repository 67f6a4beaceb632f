//! Nothing is lost, whatever happens: the program is killed, CloudWatch is away, two want the same journal.
//!
//! In full, which takes a quarter of an hour: `CWBRIDGE_KILLS=200 CWBRIDGE_OUTAGE_DAYS=14 CWBRIDGE_OUTAGE_METRICS=50 cargo test
//! --test it -- durability --nocapture`.

#![expect(
    clippy::disallowed_methods,
    reason = "how much is tested is set from outside, and how long it takes is told"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cwbridge::journal::{Append, Journal, Limits, Reader, Recorded};
use cwbridge::metric::{Datapoint, Metric, Resolution, StatisticSet, Timestamp, Unit};

use crate::proxy::{Fault, Proxy};
use crate::world::{
    Folder, Process, cwbridge, free_port, get, pause, skip_without_right, value, wait,
};

const LIMIT: Duration = Duration::from_mins(1);

/// Published every ten seconds, in datapoints of one second.
const CONFIG: &str = r#"
alarms = ["alarms.json"]
[[publish.metric]]
names = ["CPUUtilization"]
high_resolution = true
"#;

/// It is in ALARM as soon as it is judged.
const ALARM: &str = r#"{
  "AlarmName": "cpu", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Minimum", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 0
}"#;

fn setting(name: &str, otherwise: i64) -> i64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |given| given.parse().unwrap())
}

/// Figures for whoever asked for all of it.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "durability: {text}");
}

struct World {
    folder: Folder,
    proxy: Proxy,
    port: u16,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("alarms.json", ALARM);
        folder.write("c.toml", CONFIG);
        Self {
            folder,
            proxy: Proxy::start(0, Fault::None, None),
            port: free_port(),
        }
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn start(&self) -> Process {
        self.start_with("http")
    }

    fn start_with(&self, scheme: &str) -> Process {
        let mut command = cwbridge();
        command.envs([
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "hush-hush".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                format!("{scheme}://127.0.0.1:{}", self.proxy.port),
            ),
        ]);
        let (config, listen) = (
            self.folder.path().join("c.toml"),
            format!("127.0.0.1:{}", self.port),
        );
        command.args([
            "run",
            "--config",
            config.to_str().unwrap(),
            "--listen",
            &listen,
        ]);
        Process::start(command.arg("--state-dir").arg(self.state()))
    }

    fn metric(&self, series: &str) -> f64 {
        wait(LIMIT, series, || {
            value(&get(self.port, "/metrics")?, series)
        })
    }

    fn alarm(&self) -> serde_json::Value {
        let alarm = || {
            let alarm: serde_json::Value =
                serde_json::from_str(&get(self.port, "/api/v1/alarms/cpu")?).ok()?;
            (alarm["state"] == "ALARM").then_some(alarm)
        };
        wait(LIMIT, "the alarm to be in ALARM", alarm)
    }
}

/// How many datapoints of each second are in the journal.
fn journaled(state: &Path) -> BTreeMap<i64, usize> {
    let mut seconds = BTreeMap::new();
    let reader = Reader::open(state).unwrap();
    let each = |datapoint: Datapoint| *seconds.entry(datapoint.start.seconds()).or_default() += 1;
    assert_eq!(
        reader.datapoints(Timestamp::from_seconds(0), each).unwrap(),
        0
    );
    seconds
}

/// How many datapoints a program found that were being sent when the one before it ended.
fn being_sent(process: &Process) -> usize {
    let lines = process.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("were being sent when the daemon ended"));
    let count = |line: &String| line.split(' ').find_map(|word| word.parse::<usize>().ok());
    told.filter_map(count).sum()
}

/// Whatever was committed arrives, and once, save what is said to have been sent again.
#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_closed() {
    let world = World::new("kills");
    let kills = setting("CWBRIDGE_KILLS", 8);
    let mut again = 0;
    let faults = [
        Fault::None,
        Fault::None,
        Fault::AnswerLost,
        Fault::FailsAfter(504),
        Fault::Silent,
        Fault::Slow(Duration::from_secs(1)),
        Fault::Status(403),
        Fault::Status(413),
        Fault::Status(503),
        Fault::ResetBeforeBody,
        Fault::ResetAfterBody,
        Fault::Status(500),
        Fault::Status(429),
    ];
    for _ in 0..kills {
        world.proxy.fault(faults[fastrand::usize(..faults.len())]);
        let mut process = world.start();
        pause(Duration::from_millis(fastrand::u64(300..7_000)));
        process.kill();
        again += being_sent(&process);
    }
    world.proxy.fault(Fault::None);
    let mut process = world.start();
    wait(LIMIT, "everything to be sent", || {
        (world.metric("cwbridge_datapoints_published_total") > 0.0
            && world.metric("cwbridge_outbox_datapoints") <= 10.0)
            .then_some(())
    });
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
    assert_eq!(
        process.count("nothing was held back"),
        1,
        "{}",
        process.log()
    );
    again += being_sent(&process);
    let mut arrived: BTreeMap<i64, usize> = BTreeMap::new();
    for ((_, start, _), count) in world.proxy.counts() {
        *arrived.entry(start).or_default() += count;
    }
    let journaled = journaled(&world.state());
    let lost: Vec<i64> = journaled
        .iter()
        .filter(|(start, count)| arrived.get(start).unwrap_or(&0) < count)
        .map(|(start, _)| *start)
        .collect();
    assert_eq!(lost, [0; 0]);
    let (all, sent) = (
        journaled.values().sum::<usize>(),
        arrived.values().sum::<usize>(),
    );
    let untold = world.proxy.read(|record| record.untold);
    tell(&format!(
        "{kills} kills, {all} datapoints committed, {} arrived twice, {} may have",
        sent - all,
        again + untold
    ));
    assert!(
        sent - all <= again + untold,
        "{} arrived twice, {again} were being sent, {untold} had no answer",
        sent - all
    );
    assert!(all > 0);
}

/// A backlog of days, as the program finds it after an outage.
#[test]
fn a_backlog_of_days_is_sent_in_order_and_whole() {
    let (days, metrics) = (
        setting("CWBRIDGE_OUTAGE_DAYS", 1),
        setting("CWBRIDGE_OUTAGE_METRICS", 5),
    );
    let world = World::new("backlog");
    let now = cwbridge::clock::now().floor(60);
    let minutes = days * 1_440 - 30;
    let names: Vec<Arc<Metric>> = (0..metrics)
        .map(|i| Arc::new(Metric::new("CWBridge", format!("m{i}"), vec![])))
        .collect();
    let (mut journal, _) = Journal::open(&world.state(), Limits::default(), now).unwrap();
    for minute in (2..minutes + 2).rev() {
        let datapoints: Vec<Datapoint> = names
            .iter()
            .map(|metric| datapoint(metric, now - 60 * minute))
            .collect();
        let recorded: Vec<Recorded<'_>> = datapoints
            .iter()
            .map(|datapoint| Recorded {
                datapoint,
                publish: true,
                answer_lost: false,
            })
            .collect();
        journal
            .append(Append {
                datapoints: &recorded,
                ..Append::default()
            })
            .unwrap();
    }
    journal.close().unwrap();
    let start = Instant::now();
    let mut process = world.start();
    let limit = Duration::from_secs(u64::try_from(days * metrics).unwrap()) + LIMIT;
    let expected = usize::try_from(minutes * metrics).unwrap();
    wait(limit, "the backlog to be sent", || {
        let sent = world.metric("cwbridge_datapoints_published_total");
        (sent >= f64::from(u32::try_from(expected).unwrap())).then_some(())
    });
    let took = start.elapsed();
    let resident = world.metric("process_resident_memory_bytes") / 1e6;
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
    let requests = world.proxy.read(|record| record.requests.clone());
    let backlog = |metric: &str| metric.starts_with("Text(\"m");
    let starts: Vec<i64> = requests
        .iter()
        .flatten()
        .filter(|arrived| backlog(&arrived.metric))
        .map(|arrived| arrived.start)
        .collect();
    tell(&format!(
        "a backlog of {expected} datapoints: {} requests in {took:?}, {resident:.1} MB resident",
        requests.len()
    ));
    // A list of a million datapoints would take hundreds of megabytes.
    assert!(resident < 64.0, "{resident} MB resident");
    assert_eq!(starts.len(), expected);
    assert!(starts.is_sorted(), "the oldest go first");
    let counts = world.proxy.counts();
    assert!(
        counts.values().all(|count| *count == 1),
        "something arrived twice"
    );
}

fn datapoint(metric: &Arc<Metric>, start: Timestamp) -> Datapoint {
    Datapoint {
        metric: Arc::clone(metric),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        start,
        statistics: StatisticSet::of(50.0, 60.0),
        values: None,
    }
}

/// In ALARM, killed, and in ALARM again for the same reason, without having changed.
#[test]
fn a_killed_program_goes_on_where_it_was() {
    let world = World::new("goes-on");
    let mut process = world.start();
    let before = world.alarm();
    // It is shown before it is written.
    let past = || Reader::open(&world.state()).ok()?.past(16).ok()?;
    wait(LIMIT, "the transition in the journal", || {
        (!past()?.transitions.is_empty()).then_some(())
    });
    process.kill();
    let process = world.start();
    world.alarm();
    process.signal("HUP");
    process.wait_for_line("the configuration was reloaded", LIMIT);
    let after = world.alarm();
    assert!(
        before["history"]
            .to_string()
            .contains("INSUFFICIENT_DATA to ALARM")
    );
    for member in [
        "history",
        "state",
        "state_reason",
        "state_reason_data",
        "state_transitioned_at",
    ] {
        assert_eq!(before[member], after[member], "{member}");
    }
    assert_eq!(process.count("alarm changed state"), 0, "{}", process.log());
    assert_eq!(
        process.count("going on from the journal"),
        1,
        "{}",
        process.log()
    );
}

/// TLS to one who does not know it.
#[test]
fn what_no_connection_was_made_for_is_not_sent_again_but_sent() {
    let world = World::new("no-connection");
    let mut process = world.start_with("https");
    process.wait_for_line("publishing failed", LIMIT);
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
    let now = cwbridge::clock::now();
    let (mut journal, notes) = Journal::open(&world.state(), Limits::default(), now).unwrap();
    assert_eq!(notes, []);
    let batch = journal.next_batch(now, (now - 3_600, now), 1_000, usize::MAX);
    let outgoing = batch.unwrap().outgoing;
    assert!(!outgoing.is_empty());
    assert!(outgoing.iter().all(|outgoing| !outgoing.answer_lost));
}

/// What `run` did is what a replay of its journal does.
#[test]
fn a_replay_of_the_journal_does_what_was_done() {
    let world = World::new("replay");
    let mut process = world.start();
    world.alarm();
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
    let past = Reader::open(&world.state())
        .unwrap()
        .past(16)
        .unwrap()
        .unwrap();
    let done: Vec<[String; 3]> = past
        .transitions
        .into_iter()
        .map(|done| [done.from, done.to, done.reason])
        .collect();
    let output = cwbridge()
        .args(["replay", "--format", "json"])
        .arg(world.folder.path().join("alarms.json"))
        .arg("--journal")
        .arg(world.state())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |line: &serde_json::Value, member: &str| line[member].as_str().unwrap().to_owned();
    let replayed: Vec<[String; 3]> = lines
        .filter(|line| line.get("from").is_some())
        .map(|line| ["from", "to", "reason"].map(|member| text(&line, member)))
        .collect();
    assert!(!done.is_empty());
    assert_eq!(replayed[..done.len()], done);
}

#[test]
fn a_second_daemon_on_the_same_folder_does_not_start() {
    let world = World::new("second");
    let process = world.start();
    wait(LIMIT, "the first", || get(world.port, "/metrics"));
    let output = cwbridge()
        .args(["run", "--listen", &format!("127.0.0.1:{}", free_port())])
        .arg("--state-dir")
        .arg(world.state())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("is in use by another daemon (process"),
        "{said}"
    );
    drop(process);
}

/// A disk of its own, of a few megabytes; `None` where this process may not have one.
struct Disk(std::path::PathBuf);

impl Disk {
    fn new(place: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&place).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&place)
            .output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then_some(Self(place))
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    fn remount(&self, how: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{how}")]).arg(&self.0);
        assert!(command.status().unwrap().success());
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What a program finds that is no sound journal is set aside, said, and everything goes on.
#[test]
fn a_damaged_journal_is_set_aside_and_everything_goes_on() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 2] = [
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("flipped", |bytes| {
            let end = bytes.len() - 4_096;
            bytes[4_096..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        }),
    ];
    for (name, damage) in damages {
        let world = World::new(name);
        world.proxy.fault(Fault::Status(500));
        let mut process = world.start();
        world.alarm();
        process.kill();
        let path = world.state().join("journal.sqlite3");
        // One file, for what is in the -wal file would mend it; and not marked as closed.
        let now = cwbridge::clock::now();
        drop(Journal::open(&world.state(), Limits::default(), now).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        world.proxy.fault(Fault::None);
        let mut process = world.start();
        process.wait_for_line("was set aside as", LIMIT);
        world.alarm();
        assert_eq!(world.metric("cwbridge_journal_usable"), 1.0);
        assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
        let kept = std::fs::read_dir(world.state()).unwrap();
        let mut names = kept.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.any(|name| name.contains("corrupt")), "{name}");
    }
}

/// In ALARM; then the disk can only be read. The state is read from there all the same, and everything goes on.
#[test]
fn a_disk_that_can_only_be_read_is_read() {
    let world = World::new("read-only");
    let Some(disk) = Disk::new(world.state()) else {
        return skip_without_right("mount a disk");
    };
    let mut process = world.start();
    let before = world.alarm();
    assert_eq!(process.stop("TERM").0, Some(0));
    disk.remount("ro");
    let mut process = world.start();
    let after = world.alarm();
    assert_eq!(
        before["state_transitioned_at"],
        after["state_transitioned_at"]
    );
    assert_eq!(world.metric("cwbridge_journal_usable"), 0.0);
    assert_eq!(process.count("alarm changed state"), 0, "{}", process.log());
    disk.remount("rw");
    wait(LIMIT, "the journal to be used again", || {
        (world.metric("cwbridge_journal_usable") == 1.0).then_some(())
    });
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
}

/// While the disk is full everything goes on, and says so; then everything is written.
#[test]
fn a_full_disk_is_survived() {
    let world = World::new("full-disk");
    let Some(disk) = Disk::new(world.state()) else {
        return skip_without_right("mount a disk");
    };
    world.proxy.fault(Fault::Status(500));
    let mut process = world.start();
    wait(LIMIT, "the journal to be used", || {
        (world.metric("cwbridge_outbox_datapoints") > 2.0).then_some(())
    });
    disk.fill();
    let full = || (world.metric("cwbridge_journal_usable") == 0.0).then_some(());
    // Room that the journal has already is used first.
    wait(Duration::from_mins(5), "the disk to be full", full);
    let ready = get(world.port, "/-/ready").unwrap();
    assert!(
        ready.contains("\"ready\": true") && ready.contains("there is no room"),
        "{ready}"
    );
    let held = world.metric("cwbridge_outbox_datapoints");
    wait(LIMIT, "more to be held", || {
        (world.metric("cwbridge_outbox_datapoints") > held + 2.0).then_some(())
    });
    disk.empty();
    wait(LIMIT, "the journal to be used again", || {
        (world.metric("cwbridge_journal_usable") == 1.0).then_some(())
    });
    world.proxy.fault(Fault::None);
    wait(LIMIT, "everything to be sent", || {
        (world.metric("cwbridge_outbox_datapoints") <= 10.0).then_some(())
    });
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
    assert_eq!(
        process.count("the journal cannot be used"),
        1,
        "{}",
        process.log()
    );
    assert_eq!(
        process.count("the journal is written again"),
        1,
        "{}",
        process.log()
    );
    let counts = world.proxy.counts();
    let (journaled, arrived) = (
        journaled(&world.state()).values().sum::<usize>(),
        counts.values().sum::<usize>(),
    );
    assert_eq!(journaled, arrived);
}

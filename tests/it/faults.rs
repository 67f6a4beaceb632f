//! An endpoint that refuses, stalls, or answers nonsense: told once, held, tried again, and nothing else is held up.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::proxy::{Fault, Proxy};
use crate::world::{Folder, Process, cwbridge, free_port, get, value, wait};

const LIMIT: Duration = Duration::from_secs(90);
/// Published every ten seconds, so that a test need not wait for a minute.
const CONFIG: &str = "[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n";

/// Judged every ten seconds.
const ALARM: &str = r#"{
  "AlarmName": "cpu", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Average", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 200
}"#;

struct World {
    program: Process,
    port: u16,
    _folder: Folder,
}

fn start(name: &str, endpoint: u16) -> World {
    start_with(name, endpoint, CONFIG)
}

fn start_with(name: &str, endpoint: u16, config: &str) -> World {
    let environment = [
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush".into()),
    ];
    start_in(name, endpoint, config, &environment)
}

fn start_in(name: &str, endpoint: u16, config: &str, environment: &[(&str, OsString)]) -> World {
    let folder = Folder::new(name);
    folder.write("alarms.json", ALARM);
    let config = folder.write("c.toml", &format!("alarms = [\"alarms.json\"]\n{config}"));
    let port = free_port();
    let mut command = cwbridge();
    command.args([
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &format!("127.0.0.1:{port}"),
    ]);
    command.env("AWS_REGION", "us-east-1");
    command.envs(environment.iter().cloned());
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{endpoint}"));
    World {
        program: Process::start(&mut command),
        port,
        _folder: folder,
    }
}

impl World {
    /// When the alarm was last judged.
    fn judged_at(&self) -> String {
        let line = || {
            Some(
                get(self.port, "/api/v1/alarms/cpu")?
                    .lines()
                    .find(|line| line.contains("\"evaluated_at\": \""))?
                    .to_owned(),
            )
        };
        wait(LIMIT, "the alarm to be judged", line)
    }

    fn metric(&self, series: &str) -> f64 {
        wait(LIMIT, series, || {
            value(&get(self.port, "/metrics")?, series)
        })
    }
}

/// Nothing goes out, everything else goes on; when `recover` has been called, everything goes out.
#[track_caller]
fn check(name: &str, endpoint: u16, outcome: &str, recover: impl FnOnce() -> Option<Proxy>) {
    let world = start(name, endpoint);
    world.program.wait_for_line("publishing failed", LIMIT);
    assert_eq!(world.metric("cwbridge_datapoints_published_total"), 0.0);
    let (held, switches) = (
        world.metric("cwbridge_outbox_datapoints"),
        world.metric("node_context_switches_total"),
    );
    wait(LIMIT, "more datapoints to be held", || {
        (world.metric("cwbridge_outbox_datapoints") > held).then_some(())
    });
    let judged = world.judged_at();
    wait(LIMIT, "the alarm to be judged all the while", || {
        (world.judged_at() != judged).then_some(())
    });
    wait(LIMIT, "the host to be looked at all the while", || {
        (world.metric("node_context_switches_total") > switches).then_some(())
    });
    assert!(
        world.metric(&format!(
            "cwbridge_publish_requests_total{{outcome=\"{outcome}\"}}"
        )) >= 1.0
    );
    let _endpoint = recover();
    world.program.wait_for_line("publishing resumed", LIMIT);
    wait(LIMIT, "what was held to go out", || {
        (world.metric("cwbridge_datapoints_published_total") > held).then_some(())
    });
    let log = world.program.log();
    assert_eq!(world.program.count("publishing failed"), 1, "{log}");
    assert_eq!(world.program.count("WARN"), 1, "{log}");
    assert!(!log.contains("hush-hush"), "{log}");
}

#[track_caller]
fn check_fault(name: &str, fault: Fault, outcome: &str) {
    let endpoint = Proxy::start(0, fault, None);
    check(name, endpoint.port, outcome, || {
        endpoint.fault(Fault::None);
        None
    });
}

#[test]
fn an_endpoint_that_refuses() {
    let port = free_port();
    check("refuses", port, "failed", || {
        Some(Proxy::start(port, Fault::None, None))
    });
}

#[test]
fn an_endpoint_that_stalls() {
    check_fault("stalls", Fault::Silent, "failed");
}

#[test]
fn an_endpoint_that_answers_nonsense() {
    check_fault("nonsense", Fault::Page, "failed");
}

#[test]
fn an_endpoint_that_hangs_up() {
    check_fault("hangs-up", Fault::ResetAfterBody, "failed");
}

#[test]
fn an_endpoint_that_resets_the_connection() {
    check_fault("resets", Fault::ResetBeforeBody, "failed");
}

#[test]
fn an_endpoint_that_says_that_it_throttles() {
    check_fault("says-throttled", Fault::Throttled, "throttled");
}

#[test]
fn an_endpoint_that_has_an_internal_fault() {
    check_fault("fault", Fault::Status(500), "failed");
}

#[test]
fn an_endpoint_that_is_not_available() {
    check_fault("unavailable", Fault::Status(503), "failed");
}

#[test]
fn an_endpoint_that_denies_the_request() {
    check_fault("denies", Fault::Status(403), "denied");
}

#[test]
fn an_endpoint_that_throttles() {
    check_fault("throttles", Fault::Status(429), "throttled");
}

/// What arrived may have been taken: it is sent again, and counted.
#[test]
fn an_endpoint_that_fails_after_it_took_the_request() {
    let endpoint = Proxy::start(0, Fault::FailsAfter(504), None);
    let world = start("fails-after", endpoint.port);
    world.program.wait_for_line("publishing failed", LIMIT);
    endpoint.fault(Fault::None);
    world.program.wait_for_line("publishing resumed", LIMIT);
    let untold = endpoint.read(|record| record.untold);
    let resent = world.metric("cwbridge_datapoints_resent_total");
    assert!(
        resent >= f64::from(u32::try_from(untold).unwrap()),
        "{resent} of {untold}"
    );
}

/// However small a request is: that is no verdict on the data.
#[test]
fn an_endpoint_for_which_everything_is_too_large() {
    check_fault("too-large-always", Fault::Status(413), "too_large");
}

/// A proxy that says no is not CloudWatch, and what it says is no verdict on the data.
#[test]
fn an_endpoint_that_is_not_cloudwatch_and_says_bad_request() {
    check_fault("stranger", Fault::Status(400), "failed");
}

/// What an endpoint refuses as it is, it would refuse again: it is dropped, counted, and told.
#[test]
fn an_endpoint_that_rejects_everything() {
    let endpoint = Proxy::start(0, Fault::Rejects("CPUUtilization"), None);
    let world = start("rejects", endpoint.port);
    let dropped = "cwbridge_datapoints_dropped_total{reason=\"rejected\"}";
    wait(LIMIT, "datapoints to be dropped", || {
        (world.metric(dropped) >= 5.0).then_some(())
    });
    world.program.wait_for_line("rejected by CloudWatch", LIMIT);
    assert_eq!(world.metric("cwbridge_datapoints_published_total"), 0.0);
}

/// A second metric that CloudWatch refuses: it is found among the others, which arrive.
#[test]
fn one_bad_datapoint_does_not_keep_the_others_back() {
    let endpoint = Proxy::start(0, Fault::Rejects("host"), None);
    let bad = format!(
        "{CONFIG}[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\ndimensions = [[]]\n"
    );
    let world = start_with("one-bad", endpoint.port, &bad);
    let dropped = "cwbridge_datapoints_dropped_total{reason=\"rejected\"}";
    let published = "cwbridge_datapoints_published_total";
    wait(LIMIT, "datapoints to be dropped", || {
        (world.metric(dropped) >= 5.0 && world.metric(published) >= 5.0).then_some(())
    });
    let log = world.program.log();
    assert_eq!(world.program.count("publishing failed"), 0, "{log}");
}

#[test]
fn a_request_that_is_too_large_is_split() {
    let endpoint = Proxy::start(0, Fault::LargerThan(3), None);
    let world = start("too-large", endpoint.port);
    wait(LIMIT, "everything to go out", || {
        (world.metric("cwbridge_datapoints_published_total") >= 10.0).then_some(())
    });
    let too_large = "cwbridge_publish_requests_total{outcome=\"too_large\"}";
    assert!(world.metric(too_large) >= 1.0);
    assert!(endpoint.read(|record| record.requests.iter().all(|request| request.len() <= 3)));
    assert!(endpoint.counts().values().all(|count| *count == 1));
}

#[test]
fn a_slow_answer_is_an_answer() {
    let endpoint = Proxy::start(0, Fault::Slow(Duration::from_millis(1_500)), None);
    let world = start("slow", endpoint.port);
    wait(LIMIT, "datapoints to be accepted", || {
        (world.metric("cwbridge_datapoints_published_total") >= 10.0).then_some(())
    });
    assert!(endpoint.counts().values().all(|count| *count == 1));
    let log = world.program.log();
    assert_eq!(world.program.count("publishing failed"), 0, "{log}");
}

/// Somebody puts other keys where the old ones were.
#[test]
fn credentials_that_expired_are_looked_up_anew() {
    let folder = Folder::new("credentials");
    let write = |key: &str| {
        let profile =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = hush-hush\n");
        folder.write("credentials", &profile)
    };
    let file = write("OLD");
    let endpoint = Proxy::start(0, Fault::Expired("OLD"), None);
    let environment = [("AWS_SHARED_CREDENTIALS_FILE", file.into_os_string())];
    let world = start_in("expired", endpoint.port, CONFIG, &environment);
    world.program.wait_for_line("publishing failed", LIMIT);
    write("NEW");
    world.program.wait_for_line("publishing resumed", LIMIT);
    let denied = "cwbridge_publish_requests_total{outcome=\"denied\"}";
    assert!(world.metric(denied) >= 1.0);
    let log = world.program.log();
    assert!(log.contains("ExpiredToken"), "{log}");
    assert!(!log.contains("hush-hush"), "{log}");
}

/// The SDK compresses from 10 kB on.
#[test]
fn large_requests_are_compressed() {
    let endpoint = Proxy::start(0, Fault::None, None);
    let dimension = |i| {
        format!(
            "D{i} = \"{}\"
",
            "x".repeat(1000)
        )
    };
    let dimensions = (0..20).map(dimension).collect::<Vec<_>>().concat();
    let world = start_with(
        "large",
        endpoint.port,
        &format!("[publish.dimensions]\n{dimensions}{CONFIG}"),
    );
    wait(LIMIT, "a compressed request", || {
        (endpoint.read(|record| record.gzipped) > 0).then_some(())
    });
    wait(LIMIT, "datapoints to be accepted", || {
        (world.metric("cwbridge_datapoints_published_total") > 0.0).then_some(())
    });
}

#[test]
fn it_stops_in_time_while_the_endpoint_stalls() {
    let endpoint = Proxy::start(0, Fault::Silent, None);
    let mut world = start("stops", endpoint.port);
    wait(LIMIT, "a request to be under way", || {
        (endpoint.met() > 0).then_some(())
    });
    let (code, took) = world.program.stop("TERM");
    assert_eq!(code, Some(0), "{}", world.program.log());
    // It waits for 3.5 s.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(
        world
            .program
            .count("what waits in the journal is sent after the next start"),
        1,
        "{}",
        world.program.log()
    );
}

/// Clients that say nothing cannot keep others out for longer than a request may take.
#[test]
fn silent_clients_do_not_keep_prometheus_out() {
    let port = free_port();
    let _program =
        Process::start(cwbridge().args(["run", "--listen", &format!("127.0.0.1:{port}")]));
    wait(LIMIT, "/metrics", || get(port, "/metrics"));
    let silent: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let mut late = TcpStream::connect(("127.0.0.1", port)).unwrap();
    late.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").unwrap();
    late.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut answer = String::new();
    assert!(
        late.read_to_string(&mut answer).is_err(),
        "64 connections are open, and the 65th was answered: {answer}"
    );
    late.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("healthy"), "{answer}");
    drop(silent);
}

/// The metadata service is asked for two seconds at most, and nothing waits for it.
#[test]
fn a_metadata_service_that_stalls_costs_two_seconds() {
    let metadata = Proxy::start(0, Fault::Silent, None);
    let port = free_port();
    let mut command = cwbridge();
    command.env("AWS_EC2_METADATA_DISABLED", "false").env(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("http://127.0.0.1:{}", metadata.port),
    );
    let program = Process::start(command.args(["run", "--listen", &format!("127.0.0.1:{port}")]));
    wait(LIMIT, "/metrics", || get(port, "/metrics"));
    program.wait_for_line("CPUUtilization {host=", LIMIT);
    assert!(metadata.met() > 0, "it was asked");
    // Each line begins with its time, to the second.
    let lines = program.lines();
    let at = |line: &&String| {
        let time = line.split_once(' ').unwrap().0;
        time.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    let known = lines
        .iter()
        .find(|line| line.contains("CPUUtilization {host="));
    let took = at(&known.unwrap()) - at(&lines.first().unwrap());
    assert!((1..=10).contains(&took), "{took} s");
}

//! An endpoint that refuses, stalls, or answers nonsense: told once, held, tried again, and nothing else is held up.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::world::{Folder, Process, cwbridge, free_port, get, pause, value, wait};

const LIMIT: Duration = Duration::from_secs(90);
/// Published every ten seconds, so that a test need not wait for a minute.
const CONFIG: &str = "[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\n";

/// Judged every ten seconds.
const ALARM: &str = r#"{
  "AlarmName": "cpu", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}], "Statistic": "Average", "Period": 10,
  "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 200
}"#;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Accept,
    /// The connection is taken and nothing is ever said.
    Stall,
    /// A page, as a proxy or a captive portal would give.
    Page,
    /// The connection is closed without an answer.
    HangUp,
    Status(u16),
    /// CloudWatch's own words for bad data.
    Reject,
}

/// What stands in for CloudWatch.
struct Endpoint {
    port: u16,
    mode: Arc<Mutex<Mode>>,
    requests: Arc<AtomicUsize>,
    /// How many of the requests were compressed.
    gzipped: Arc<AtomicUsize>,
}

impl Endpoint {
    fn start(port: u16, mode: Mode) -> Self {
        let endpoint = Self {
            port,
            mode: Arc::new(Mutex::new(mode)),
            requests: Arc::default(),
            gzipped: Arc::default(),
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let shared = (
            Arc::clone(&endpoint.mode),
            Arc::clone(&endpoint.requests),
            Arc::clone(&endpoint.gzipped),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mode, requests, gzipped) = shared.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &mode, &requests, &gzipped));
            }
        });
        endpoint
    }

    fn become_well(&self) {
        *self.mode.lock().unwrap() = Mode::Accept;
    }
}

fn serve(
    mut stream: TcpStream,
    mode: &Mutex<Mode>,
    requests: &AtomicUsize,
    gzipped: &AtomicUsize,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).ok()? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        if name.eq_ignore_ascii_case("content-encoding") && value.trim() == "gzip" {
            gzipped.fetch_add(1, SeqCst);
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new()).ok()?;
    requests.fetch_add(1, SeqCst);
    let now = *mode.lock().unwrap();
    let answer = match now {
        Mode::Accept => "HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\nx-amzn-requestid: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        Mode::Page => "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\nconnection: close\r\n\r\n<html>Hi</html".to_owned(),
        Mode::Status(status) => format!("HTTP/1.1 {status} Sorry\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        Mode::Reject => rejection(),
        Mode::HangUp => return None,
        Mode::Stall => {
            pause(LIMIT);
            return None;
        }
    };
    // Every character is one byte: a rejection is not UTF-8.
    let bytes: Vec<u8> = answer.chars().map(|c| u8::try_from(c).unwrap()).collect();
    stream.write_all(&bytes).ok()
}

/// An error in CBOR: a map of one entry.
fn rejection() -> String {
    let code = "com.amazonaws.cloudwatch#InvalidParameterValueException";
    let body = format!(
        "\u{a1}f__typex{}{code}",
        char::from(u8::try_from(code.len()).unwrap())
    );
    format!(
        "HTTP/1.1 400 Bad Request\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\nx-amzn-requestid: 1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.chars().count()
    )
}

struct World {
    program: Process,
    port: u16,
    _folder: Folder,
}

fn start(name: &str, endpoint: u16) -> World {
    start_with(name, endpoint, CONFIG)
}

fn start_with(name: &str, endpoint: u16, config: &str) -> World {
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
    command.envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
    ]);
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
fn check(name: &str, endpoint: u16, outcome: &str, recover: impl FnOnce() -> Option<Endpoint>) {
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
fn check_mode(name: &str, mode: Mode, outcome: &str) {
    let endpoint = Endpoint::start(free_port(), mode);
    check(name, endpoint.port, outcome, || {
        endpoint.become_well();
        None
    });
}

#[test]
fn an_endpoint_that_refuses() {
    let port = free_port();
    check("refuses", port, "failed", || {
        Some(Endpoint::start(port, Mode::Accept))
    });
}

#[test]
fn an_endpoint_that_stalls() {
    check_mode("stalls", Mode::Stall, "failed");
}

#[test]
fn an_endpoint_that_answers_nonsense() {
    check_mode("nonsense", Mode::Page, "failed");
}

#[test]
fn an_endpoint_that_hangs_up() {
    check_mode("hangs-up", Mode::HangUp, "failed");
}

#[test]
fn an_endpoint_that_has_an_internal_fault() {
    check_mode("fault", Mode::Status(500), "failed");
}

#[test]
fn an_endpoint_that_is_not_available() {
    check_mode("unavailable", Mode::Status(503), "failed");
}

#[test]
fn an_endpoint_that_denies_the_request() {
    check_mode("denies", Mode::Status(403), "denied");
}

#[test]
fn an_endpoint_that_throttles() {
    check_mode("throttles", Mode::Status(429), "throttled");
}

/// A proxy that says no is not CloudWatch, and what it says is no verdict on the data.
#[test]
fn an_endpoint_that_is_not_cloudwatch_and_says_bad_request() {
    check_mode("stranger", Mode::Status(400), "failed");
}

/// What an endpoint refuses as it is, it would refuse again: it is dropped, counted, and told.
#[test]
fn an_endpoint_that_rejects_everything() {
    let endpoint = Endpoint::start(free_port(), Mode::Reject);
    let world = start("rejects", endpoint.port);
    let dropped = "cwbridge_datapoints_dropped_total{reason=\"rejected\"}";
    wait(LIMIT, "datapoints to be dropped", || {
        (world.metric(dropped) >= 5.0).then_some(())
    });
    world.program.wait_for_line("rejected by CloudWatch", LIMIT);
    assert_eq!(world.metric("cwbridge_datapoints_published_total"), 0.0);
}

/// The SDK compresses from 10 kB on.
#[test]
fn large_requests_are_compressed() {
    let endpoint = Endpoint::start(free_port(), Mode::Accept);
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
        (endpoint.gzipped.load(SeqCst) > 0).then_some(())
    });
    wait(LIMIT, "datapoints to be accepted", || {
        (world.metric("cwbridge_datapoints_published_total") > 0.0).then_some(())
    });
}

#[test]
fn it_stops_in_time_while_the_endpoint_stalls() {
    let endpoint = Endpoint::start(free_port(), Mode::Stall);
    let mut world = start("stops", endpoint.port);
    wait(LIMIT, "a request to be under way", || {
        (endpoint.requests.load(SeqCst) > 0).then_some(())
    });
    let (code, took) = world.program.stop("TERM");
    assert_eq!(code, Some(0), "{}", world.program.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
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
    wait(Duration::from_secs(5), "/metrics", || get(port, "/metrics"));
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
    let metadata = Endpoint::start(free_port(), Mode::Stall);
    let port = free_port();
    let mut command = cwbridge();
    command.env("AWS_EC2_METADATA_DISABLED", "false").env(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("http://127.0.0.1:{}", metadata.port),
    );
    let program = Process::start(command.args(["run", "--listen", &format!("127.0.0.1:{port}")]));
    wait(Duration::from_secs(1), "/metrics", || get(port, "/metrics"));
    program.wait_for_line("CPUUtilization {host=", Duration::from_secs(3));
    assert!(metadata.requests.load(SeqCst) > 0, "it was asked");
}

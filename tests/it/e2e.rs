//! The program among its real peers: LocalStack for CloudWatch, the `aws` command line as a second client, Prometheus.
//!
//! `tests/run` installs what is needed and runs these one after the other, so that the CPU load of one is not seen by
//! another. What is not installed is skipped and named, unless `CWBRIDGE_REQUIRE_PEERS` is 1.

mod agent;
mod alarms;
mod hosts;
mod load;
mod localstack;
mod logs;
mod metadata;
mod mirror;
mod notify;
mod prometheus;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use cwbridge::journal::Reader;
use cwbridge::metric::Timestamp;

use crate::proxy::{Fault, Proxy};
use crate::world::{Folder, Process, cwbridge, data, free_port, get, value, wait};

use load::Load;
use localstack::LocalStack;
use prometheus::Prometheus;

const MINUTE: Duration = Duration::from_mins(1);

/// Two metrics from the same looks: one second by second, judged every ten seconds, and one by the minute.
const CONFIG: &str = r#"
alarms = ["alarms.json"]
[publish]
dimensions = { Test = "whole-way" }
[[publish.metric]]
names = ["CPUUtilization"]
dimensions = [["host"]]
high_resolution = true
[[publish.metric]]
names = ["CPUUtilization"]
dimensions = [[]]
"#;

const ALARM: &str = r#"{
  "AlarmName": "cpu-hot", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
  "Dimensions": [{"Name": "host", "Value": "${hostname}"}, {"Name": "Test", "Value": "whole-way"}],
  "Statistic": "Average", "Period": 10, "EvaluationPeriods": 1, "DatapointsToAlarm": 1,
  "ComparisonOperator": "GreaterThanThreshold", "Threshold": 75, "TreatMissingData": "missing"
}"#;

#[test]
fn the_whole_way_to_cloudwatch_and_to_prometheus() {
    let (Some(cloudwatch), Some(prometheus)) = (LocalStack::start(), Prometheus::program()) else {
        return;
    };
    let folder = Folder::new("whole-way");
    let config = folder.write("cwbridge.toml", CONFIG);
    folder.write("alarms.json", ALARM);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = [
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &listen,
    ];
    let mut program = Process::start(cloudwatch.environment(&mut cwbridge()).args(arguments));
    let prometheus = Prometheus::start(&prometheus, &folder, port);

    // A full minute by the counters on /metrics, and in it the alarm goes up and down.
    let minute = wait_for_minute();
    let before = get(port, "/metrics").unwrap();
    let after = std::thread::spawn(move || {
        wait_until(minute + 60);
        get(port, "/metrics").unwrap()
    });
    drive_the_alarm(port);
    let busy = utilization(&before, &after.join().unwrap());
    check_prometheus(&prometheus);

    // CloudWatch has the minute that /metrics showed. LocalStack adds up every metric that has the dimensions asked for,
    // so the metric without `host` is what is left when the one with it is taken away.
    let both = ["Name=Test,Value=whole-way"];
    let host = format!("Name=host,Value={}", hostname(port));
    let by_the_second = [both[0], &host];
    let samples = |start, end| {
        let count =
            |dimensions: &[&str]| cloudwatch.statistics(dimensions, "SampleCount", start, end);
        let of_one = count(&by_the_second)?;
        Some((count(&both)? - of_one, of_one))
    };
    // On a busy machine a second is missed now and then, never counted twice.
    wait(MINUTE, "the minute in CloudWatch", || {
        let (by_the_minute, by_the_second) = samples(minute, minute + 60)?;
        (by_the_minute == by_the_second && (50.0..=60.0).contains(&by_the_minute)).then_some(())
    });
    let average = cloudwatch
        .statistics(&both, "Average", minute, minute + 60)
        .unwrap();
    assert!(
        // The pages are some tenths of a second later than the looks, of which a few may be missing.
        (average - busy).abs() < 5.0,
        "CloudWatch says {average} percent, /metrics said {busy}"
    );

    // What was open is closed and sent, and nothing is lost or sent twice.
    stop_in_time(&mut program);
    let (by_the_minute, by_the_second) = samples(minute - 300, minute + 600).unwrap();
    assert_eq!(
        by_the_minute, by_the_second,
        "both metrics are made of the same looks"
    );
    // What else the host does may make it change more often.
    let changes = program.count("alarm changed state");
    assert!(changes >= 3, "{}", program.log());
}

#[test]
fn alarms_on_the_agents_metrics_are_published_and_judged() {
    let Some(cloudwatch) = LocalStack::start() else {
        return;
    };
    agent::alarms_on_memory_and_disk(&cloudwatch);
}

#[test]
fn alarms_are_pushed_pulled_and_compared() {
    if let Some(cloudwatch) = LocalStack::start() {
        alarms::push_pull_and_diff(&cloudwatch);
    }
}

#[test]
fn cloudwatchs_alarms_are_judged_here_and_compared() {
    if let Some(cloudwatch) = LocalStack::start() {
        mirror::mirror(&cloudwatch);
    }
}

/// A server takes no question for so many minutes at once; and what it answers is what a file would say.
#[test]
fn a_history_comes_from_a_prometheus_server() {
    const START: i64 = 1_767_571_200;
    const MINUTES: i64 = 11_520;
    let Some(program) = Prometheus::program() else {
        return;
    };
    let folder = Folder::new("replay-prometheus");
    folder.write("alarm.yaml", "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Average, Period: 60, EvaluationPeriods: 3, Threshold: 80, ComparisonOperator: GreaterThanThreshold}");
    let row = |i: i64| {
        let at = START + 60 * i;
        format!("{at},{}\n", at % 3_600 / 36)
    };
    let rows: String = (0..=MINUTES).map(row).collect();
    folder.write("history.csv", &format!("timestamp,value\n{rows}"));
    let server = Prometheus::idle(&program, &folder);
    let (start, end) = (START.to_string(), (START + 60 * MINUTES).to_string());
    let replay = |source: &[&str]| {
        let mut command = cwbridge();
        let command = command.args(["replay", "alarm.yaml", "--start", &start, "--end", &end]);
        let output = command
            .args(source)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap()
    };
    let query = "floor(vector(time() % 3600) / 36)";
    let asked = replay(&["--prometheus", &server.url(), "--query", query]);
    assert_eq!(asked, replay(&["--csv", "history.csv"]));
    assert!(asked.contains("192 times in ALARM"), "{asked}");
}

/// What CloudWatch has is judged as the same values in a file are, and what it costs is told before.
#[test]
fn a_history_comes_from_cloudwatch() {
    let Some(cloudwatch) = LocalStack::start() else {
        return;
    };
    let folder = Folder::new("replay-cloudwatch");
    folder.write("alarm.yaml", "{AlarmName: a, Namespace: History, MetricName: m, Statistic: Average, Period: 60, EvaluationPeriods: 2, Threshold: 80, ComparisonOperator: GreaterThanThreshold}");
    let start = (unix_time() / 60 - 60) * 60;
    let values = [10, 20, 90, 95, 99, 99, 10, 10, 85, 81, 10];
    let times = (0..).map(|minute| start + 60 * minute);
    let mut rows = "timestamp,value\n".to_owned();
    let mut data = Vec::new();
    for (at, value) in times.zip(values) {
        rows += &[at.to_string(), value.to_string()].join(",");
        rows.push('\n');
        data.push(format!("MetricName=m,Timestamp={at},Value={value}"));
    }
    folder.write("history.csv", &rows);
    let put = ["cloudwatch", "put-metric-data", "--namespace", "History"];
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    let put = [&put[..], &["--metric-data"], &data].concat();
    assert!(cloudwatch.command(&put).status().unwrap().success());
    let end = (start + 60 * 11).to_string();
    let times = ["--start", &start.to_string(), "--end", &end];
    let replay = |source: &[&str]| {
        let mut command = cwbridge();
        let command = cloudwatch.environment(&mut command);
        let command = command.args(["replay", "alarm.yaml"]).args(times);
        let output = command.args(source).current_dir(folder.path()).output();
        let output = output.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    let endpoint = cloudwatch.url();
    let (asked, told) = replay(&["--from", "cloudwatch", "--endpoint-url", &endpoint]);
    assert_eq!(asked, replay(&["--csv", "history.csv"]).0);
    assert!(asked.contains("2 times in ALARM"), "{asked}");
    let cost = "CloudWatch is asked once, which costs less than a cent\n";
    assert_eq!(told, cost);
}

/// OK, ALARM under a real load, and OK again.
fn drive_the_alarm(port: u16) {
    wait_for_state(port, "OK");
    let load = Load::start();
    wait_for_state(port, "ALARM");
    drop(load);
    wait_for_state(port, "OK");
}

/// Prometheus saw the alarm go up and down again, and the host.
fn check_prometheus(prometheus: &Prometheus) {
    let state = "cwbridge_alarm_state{alarm=\"cpu-hot\",state=\"ALARM\"}";
    let is = |query: String, expected| (prometheus.query(&query) == Some(expected)).then_some(());
    wait(
        MINUTE,
        "the alarm to have been raised in Prometheus",
        || is(format!("max_over_time({state}[5m])"), 1.0),
    );
    wait(MINUTE, "the alarm to be over in Prometheus", || {
        is(state.to_owned(), 0.0)
    });
    let rate = prometheus.query("rate(node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}[1m])");
    assert!(rate.is_some_and(|rate| rate > 0.0), "{rate:?}");
}

/// Every datapoint of the journal is in CloudWatch, whatever stood in the way; more than once only where an answer was lost.
#[test]
fn through_every_fault_everything_arrives_in_cloudwatch() {
    let Some(cloudwatch) = LocalStack::start() else {
        return;
    };
    let proxy = Proxy::start(0, Fault::None, Some(cloudwatch.port()));
    let folder = Folder::new("through-faults");
    let config = "[publish]\ndimensions = { Test = \"faults\" }\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true\ndimensions = [[]]\n";
    let config = folder.write("cwbridge.toml", config);
    let (port, state) = (free_port(), folder.path().join("state"));
    let mut command = cwbridge();
    cloudwatch.environment(&mut command);
    command.env(
        "AWS_ENDPOINT_URL",
        format!("http://127.0.0.1:{}", proxy.port),
    );
    command.arg("run").arg("--config").arg(config);
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--state-dir"]);
    let begun = cwbridge::clock::now().floor(60).seconds();
    let mut program = Process::start(command.arg(&state));
    for fault in [
        Fault::Status(403),
        Fault::Expired("test"),
        Fault::Status(429),
        Fault::Throttled,
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(400),
        Fault::LargerThan(3),
        Fault::ResetBeforeBody,
        Fault::ResetAfterBody,
        Fault::AnswerLost,
        Fault::FailsAfter(502),
        Fault::Slow(Duration::from_secs(2)),
        Fault::Silent,
    ] {
        for next in [fault, Fault::None] {
            proxy.fault(next);
            wait(MINUTE, &format!("a request to meet {next:?}"), || {
                (proxy.met() > 0).then_some(())
            });
        }
    }
    let metric = |series: &str| value(&get(port, "/metrics")?, series);
    wait(MINUTE, "everything to be sent", || {
        (metric("cwbridge_outbox_datapoints")? <= 10.0).then_some(())
    });
    let resent = metric("cwbridge_datapoints_resent_total").unwrap();
    let dropped = metric("cwbridge_datapoints_dropped_total{reason=\"rejected\"}");
    stop_in_time(&mut program);
    let mut journaled = BTreeSet::new();
    let reader = Reader::open(&state).unwrap();
    reader
        .datapoints(Timestamp::MIN, |datapoint| {
            journaled.insert(datapoint.start.seconds());
        })
        .unwrap();
    let counts = proxy.counts();
    let arrived: BTreeSet<i64> = counts.keys().map(|(_, start, _)| *start).collect();
    assert_eq!(arrived, journaled, "each second has one datapoint");
    let all = counts.values().sum::<usize>();
    let untold = proxy.read(|record| record.untold);
    assert!(untold > 0 && all - arrived.len() == untold, "{all} arrived");
    assert!(resent >= f64::from(u32::try_from(untold).unwrap()));
    assert_eq!(dropped, Some(0.0));
    let end = cwbridge::clock::now().floor(60).seconds() + 60;
    let samples = cloudwatch.statistics(&["Name=Test,Value=faults"], "SampleCount", begun, end);
    assert_eq!(samples, Some(f64::from(u32::try_from(all).unwrap())));
}

fn stop_in_time(program: &mut Process) {
    let (code, took) = program.stop("TERM");
    assert_eq!(code, Some(0), "{}", program.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(
        program.count("nothing was held back"),
        1,
        "{}",
        program.log()
    );
}

/// On EC2 with an instance role nothing needs to be configured: identity, region and credentials come from the instance
/// metadata service.
#[test]
fn on_an_instance_with_a_role_the_same_command_publishes() {
    let Some(cloudwatch) = LocalStack::start() else {
        return;
    };
    let metadata = metadata::serve("i-0e2e", "us-east-1");
    let folder = Folder::new("instance");
    let config = folder.write(
        "cwbridge.toml",
        "alarms = []\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\nhigh_resolution = true",
    );
    let mut command = cwbridge();
    command
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        .env("AWS_ENDPOINT_URL", cloudwatch.url());
    let port = free_port();
    let program = Process::start(command.args([
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &format!("127.0.0.1:{port}"),
    ]));
    program.wait_for_line("CPUUtilization {InstanceId=i-0e2e}", MINUTE);
    let now = unix_time();
    wait(MINUTE, "datapoints under the instance id", || {
        cloudwatch.statistics(
            &["Name=InstanceId,Value=i-0e2e"],
            "Average",
            now - 60,
            now + 60,
        )
    });
    assert_eq!(program.count("WARN"), 0, "{}", program.log());
}

/// What EC2 says of the instance stands in dimensions and on /metrics, an interruption too.
#[test]
fn an_instance_is_known_by_its_group_and_its_tags() {
    let metadata = metadata::serve("i-0spot", "us-east-1");
    let folder = Folder::new("group");
    let config = "[publish]\ndimensions = { Name = \"${tag:Name}\", Of = \"${env:OF_TEST}\" }\n[[publish.metric]]\nnames = [\"mem_used_percent\"]\ndimensions = [[\"AutoScalingGroupName\"], [\"InstanceType\"]]\n[[publish.metric]]\nnames = [\"load_1\"]\ndimensions = [[\"ImageId\"]]\n";
    let config = folder.write("c.toml", config);
    let (port, mut command) = (free_port(), cwbridge());
    command
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("OF_TEST", "of the test");
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["run", "--listen", &listen, "--config"];
    let program = Process::start(command.args(arguments).arg(config));
    for line in [
        "CWBridge mem_used_percent {AutoScalingGroupName=web-group, Name=web, Of=of the test}",
        "CWBridge mem_used_percent {InstanceType=t3.micro, Name=web, Of=of the test}",
        "CWBridge load_1 {ImageId=ami-0e2e, Name=web, Of=of the test}",
        "names={\"mem_used_percent\"} metrics=2 cost=about $0.60 a month",
        "EC2 is about to interrupt this spot instance action=\"terminate\" at=2026-09-18T08:22:00Z",
    ] {
        program.wait_for_line(line, MINUTE);
    }
    let info = "cwbridge_instance_info{account=\"111122223333\",auto_scaling_group=\"web-group\",availability_zone=\"\",image_id=\"ami-0e2e\",instance_id=\"i-0spot\",instance_type=\"t3.micro\",life_cycle=\"spot\",region=\"us-east-1\"} 1";
    wait(MINUTE, "the instance on /metrics", || {
        get(port, "/metrics")?.contains(info).then_some(())
    });
    let metrics = get(port, "/metrics").unwrap();
    let series = "cwbridge_instance_interruption_timestamp_seconds{action=\"terminate\"}";
    assert_eq!(value(&metrics, series), Some(1_789_719_720.0));
}

/// What is sampled before an instance knows who it is, is held and sent under its own dimensions.
#[test]
fn what_is_sampled_before_the_instance_is_known_is_held() {
    let metadata = metadata::serve_late("i-0late", "us-east-1", 3);
    let (sender, sent) = std::sync::mpsc::channel();
    let cloudwatch = crate::endpoint::serve(move |_, body| {
        let _ = sender.send(body.contains("i-0late"));
        crate::endpoint::Answer::cbor("200 OK", b"\xa0")
    });
    let folder = Folder::new("late");
    let firmware = folder.path().join("sys/devices/virtual/dmi/id");
    std::fs::create_dir_all(&firmware).unwrap();
    std::fs::write(firmware.join("sys_vendor"), "Amazon EC2\n").unwrap();
    let sysfs = folder.path().join("sys");
    let config = format!("[collectors]\nsysfs = \"{}\"\n", sysfs.display());
    let config = folder.write("c.toml", &config);
    let mut command = cwbridge();
    command
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        .env("AWS_ENDPOINT_URL", cloudwatch)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["run", "--listen", &listen, "--config"];
    let program = Process::start(command.args(arguments).arg(config));
    for line in [
        "does not answer yet: what is sampled is held why=",
        "CWBridge CPUUtilization {InstanceId=i-0late}",
    ] {
        program.wait_for_line(line, MINUTE);
    }
    let is_own = sent.recv_timeout(2 * MINUTE).unwrap();
    assert!(is_own);
}

/// Where the instance's metadata options do not show tags, EC2 is asked, once there is something that is known by them.
#[test]
fn tags_that_the_metadata_does_not_show_come_from_ec2() {
    let metadata = metadata::serve("i-0untagged", "us-east-1");
    let (sender, asked) = std::sync::mpsc::channel();
    let ec2 = crate::endpoint::serve(move |path, _| {
        let tags = "<DescribeTagsResponse><tagSet><item><key>Name</key><value>web</value></item>\
            <item><key>aws:autoscaling:groupName</key><value>web-group</value></item></tagSet></DescribeTagsResponse>";
        let _ = sender.send(path.to_owned());
        crate::endpoint::Answer {
            status: "200 OK",
            content_type: "text/xml",
            date: None,
            body: tags.into(),
        }
    });
    let folder = Folder::new("untagged");
    let set = "[[publish.metric]]\nnames = [\"mem_used_percent\"]\ndimensions = [[\"AutoScalingGroupName\"]]\n";
    let config = format!("[publish]\ndimensions = {{ Name = \"${{tag:Name}}\" }}\n{set}");
    let config = folder.write("c.toml", &config);
    let mut command = cwbridge();
    command
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        .env("AWS_ENDPOINT_URL", &ec2);
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["run", "--listen", &listen, "--config"];
    let program = Process::start(command.args(arguments).arg(config));
    let line = "CWBridge mem_used_percent {AutoScalingGroupName=web-group, Name=web}";
    program.wait_for_line(line, MINUTE);
    let path = asked.recv_timeout(MINUTE).unwrap();
    let query = "/?Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1=i-0untagged";
    assert_eq!(path, query);
}

#[test]
fn the_host_is_seen_as_node_exporter_sees_it() {
    hosts::as_node_exporter();
}

#[test]
fn dashboards_for_node_exporter_find_their_names() {
    hosts::dashboards();
}

/// `promtool check metrics` has nothing to say but about names that are node_exporter's own.
#[test]
fn promtool_accepts_the_metrics() {
    let Some(promtool) = prometheus::installed("promtool") else {
        return;
    };
    let port = free_port();
    let _program =
        Process::start(cwbridge().args(["run", "--listen", &format!("127.0.0.1:{port}")]));
    let metrics = wait(MINUTE, "the alarm on /metrics", || {
        get(port, "/metrics").filter(|text| text.contains("cwbridge_alarm_state"))
    });
    let complaints = prometheus::check_metrics(&promtool, &metrics);
    let ours: Vec<&str> = complaints
        .lines()
        .filter(|line| !line.starts_with("node_"))
        .collect();
    assert_eq!(ours, Vec::<&str>::new());
    assert!(
        prometheus::check_metrics(&promtool, "# TYPE bad counter\nbad 1\n").contains("bad"),
        "promtool complains where there is cause"
    );
}

#[test]
fn prometheus_scrapes_with_tls_a_certificate_and_a_password() {
    let Some(program) = Prometheus::program() else {
        return;
    };
    let (folder, port, tls) = (Folder::new("e2e-tls"), free_port(), data("tls"));
    let tls = tls.display();
    let hash = "$2y$04$WQ/lakDnZg/tXg/xWUvyJe/X0NzgfnzKnH7dYdLIrULwRfYXDVoAC";
    let text = format!(
        "tls_server_config:\n  cert_file: {tls}/server.pem\n  key_file: {tls}/server.key\n  client_ca_file: {tls}/ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [scraper.example]\nbasic_auth_users:\n  alice: {hash}\n"
    );
    folder.write("web.yml", &text);
    let text = format!("[serve]\nlisten = \"127.0.0.1:{port}\"\nweb_config = \"web.yml\"\n");
    let config = folder.write("cwbridge.toml", &text);
    let _process = Process::start(cwbridge().arg("run").arg("--config").arg(config));
    Prometheus::start_with_password(&program, &folder, port);
}

fn unix_time() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests with real peers run in real time"
    )]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .try_into()
        .unwrap()
}

/// Waits for a minute to begin, and a little for the look in it. Returns its start.
fn wait_for_minute() -> i64 {
    let minute = (unix_time() / 60 + 1) * 60;
    wait_until(minute);
    minute
}

/// Waits until the first look of the second `at` has been shown.
fn wait_until(at: i64) {
    wait(3 * MINUTE, "a point in time", || {
        (unix_time() >= at).then_some(())
    });
    crate::world::pause(Duration::from_millis(700));
}

fn wait_for_state(port: u16, state: &str) {
    let page = || {
        let alarm = get(port, "/api/v1/alarms/cpu-hot")?;
        let alarm: serde_json::Value = serde_json::from_str(&alarm).ok()?;
        (alarm["state"] == state).then_some(())
    };
    wait(MINUTE, &format!("the alarm to be {state}"), page);
}

fn hostname(port: u16) -> String {
    let page = get(port, "/").unwrap();
    page.split("<h2>Host ")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned()
}

/// The share of CPU time in percent that was not idle between two pages of metrics.
fn utilization(before: &str, after: &str) -> f64 {
    let seconds = |page: &str, idle: bool| -> f64 {
        let lines = page
            .lines()
            .filter(|line| line.starts_with("node_cpu_seconds_total{"));
        let of_mode = lines.filter(|line| {
            !idle || line.contains("mode=\"idle\"") || line.contains("mode=\"iowait\"")
        });
        of_mode.map(|line| value(line, "").unwrap()).sum()
    };
    let spent = |idle| seconds(after, idle) - seconds(before, idle);
    100.0 * (1.0 - spent(true) / spent(false))
}

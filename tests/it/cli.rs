//! The program from outside: exit codes, messages, and its way down.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use expect_test::{Expect, expect};

use crate::world::{Folder, Process, cwbridge, data, free_port, get, pause, wait};

const LIMIT: Duration = Duration::from_mins(1);

/// Runs the program to its end in a folder with the given files; what it says on both streams, and its exit code.
#[track_caller]
fn check(name: &str, args: &[&str], files: &[(&str, &str)], expected: Expect) {
    let folder = Folder::new(name);
    for (name, text) in files {
        folder.write(name, text);
    }
    let output = cwbridge()
        .args(args)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    expected.assert_eq(&format!(
        "{}{}exit {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    ));
}

const ALARM: &str = r#"{"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Average", "Period": 60,
 "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 50}"#;

#[test]
fn every_mistake_in_every_file_is_told_and_nothing_is_started() {
    let alarms = ALARM.replace("60", "61").replace("\"Average\"", "\"Mean\"");
    check(
        "mistakes",
        &["run", "--config", "c.toml"],
        &[
            (
                "c.toml",
                "alarms = [\"a.json\", \"b.json\", \"none.json\", \"x*.json\"]",
            ),
            ("a.json", &alarms),
            ("b.json", "{\"AlarmName\":\n"),
        ],
        expect![[r#"
            error: b.json:1:1: unclosed bracket '{'
            error: c.toml:1:31: `alarms`: `none.json` cannot be read: No such file or directory (os error 2)
            error: c.toml:1:44: `alarms`: no file matches `x*.json`
            error: a.json:1:70: alarm `a`: `Statistic` is `Mean`, but must be `Average`, `Sum`, `Minimum`, `Maximum` or `SampleCount`
            error: a.json:1:88: alarm `a`: Period must be 10, 20, 30 or a multiple of 60
            exit 2
        "#]],
    );
    check(
        "mistakes-config",
        &["run", "--config", "c.toml"],
        &[("c.toml", "[serve]\nlisten = 5\n[publsh]\nregion = \"moon\"")],
        expect![[r#"
            error: c.toml:2:10: `listen` is the number 5, but must be a string
            error: c.toml:3:2: the configuration has no key `publsh`; did you mean `publish`?
            exit 2
        "#]],
    );
}

#[test]
fn two_alarms_of_one_name_are_refused() {
    let files = [
        ("c.toml", "alarms = [\"*.json\"]"),
        ("a.json", ALARM),
        ("b.json", ALARM),
    ];
    check(
        "twice",
        &["run", "--config", "c.toml"],
        &files,
        expect![[r#"
            error: b.json:1:1: alarm `a` is defined twice, first at a.json:1:1
            exit 2
        "#]],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line() {
    check(
        "unreadable",
        &["run", "--config", "none.toml"],
        &[],
        expect![[r#"
            error: --config: `none.toml` cannot be read: No such file or directory (os error 2)
            exit 2
        "#]],
    );
}

#[test]
fn a_region_that_is_malformed_is_an_error_wherever_it_is_set() {
    let run = |variable, value| cwbridge().arg("run").env(variable, value).output().unwrap();
    assert!(run("AWS_DEFAULT_REGION", "us-east-1a").status.code() == Some(2));
    let output = run("AWS_REGION", "Ireland");
    assert_eq!(output.status.code(), Some(2));
    expect![[r#"
        error: `AWS_REGION`: region `Ireland` is malformed; a region is named like `us-east-1`
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = cwbridge()
        .args(["run", "--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).replace(&address, "ADDRESS");
    expect![[r#"
        error: cannot listen on `ADDRESS` (`--listen` takes another address): Address already in use (os error 98)
    "#]].assert_eq(&said);
}

#[test]
fn wrong_usage_is_explained() {
    check(
        "usage",
        &["run", "--lisen", "x"],
        &[],
        expect![[r#"
        error: unexpected argument '--lisen' found

          tip: a similar argument exists: '--listen'

        Usage: cwbridge run --listen <ADDR>

        For more information, try '--help'.
        exit 2
    "#]],
    );
    check(
        "nothing",
        &["run", "--listen", "localhost"],
        &[],
        expect![[r#"
            error: invalid value 'localhost' for '--listen <ADDR>': invalid socket address syntax

            For more information, try '--help'.
            exit 2
        "#]],
    );
}

#[test]
fn without_aws_it_serves_judges_and_stops_when_asked() {
    for signal in ["TERM", "INT"] {
        let port = free_port();
        let mut process =
            Process::start(cwbridge().args(["run", "--listen", &format!("127.0.0.1:{port}")]));
        let metrics = wait(LIMIT, "/metrics", || get(port, "/metrics"));
        assert!(
            metrics.contains("node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}"),
            "{metrics}"
        );
        wait(LIMIT, "the alarm", || get(port, "/api/v1/alarms/cpu-high"));
        process.wait_for_line("there is no region", LIMIT);
        pause(Duration::from_secs(3));
        assert_eq!(process.count("resumed"), 0, "{}", process.log());
        let (code, took) = process.stop(signal);
        assert_eq!(code, Some(0), "{}", process.log());
        // A minute that ended meanwhile is one more.
        let closed = ["waiting=1", "waiting=2"].map(|said| process.count(said));
        assert!(
            closed.iter().sum::<usize>() == 1,
            "the open minute was closed: {}",
            process.log()
        );
        assert!(
            took < Duration::from_secs(5),
            "nothing is left to wait for, and it took {took:?}"
        );
    }
}

#[test]
fn without_credentials_there_is_one_warning() {
    let port = free_port();
    let folder = Folder::new("no-credentials");
    // Else a minute that ends just then may be another warning.
    let config = folder.write("c.toml", "alarms = []\n");
    let listen = format!("127.0.0.1:{port}");
    let mut command = cwbridge();
    command.env("AWS_REGION", "eu-west-1");
    command.args(["run", "--listen", &listen, "--config"]);
    let process = Process::start(command.arg(config));
    process.wait_for_line("there are no credentials", LIMIT);
    wait(LIMIT, "readiness", || get(port, "/-/ready"));
    assert_eq!(process.count("WARN"), 1, "{}", process.log());
    assert!(process.log().contains("held=0 error="), "{}", process.log());
}

#[test]
fn off_loopback_there_is_a_warning() {
    let process =
        Process::start(cwbridge().args(["run", "--listen", &format!("0.0.0.0:{}", free_port())]));
    process.wait_for_line("anyone who reaches this address", LIMIT);
}

/// TLS and passwords as exporter-toolkit's file has them, read anew when it changes.
#[test]
fn a_web_config_keeps_out_who_has_no_password() {
    let folder = Folder::new("web-config");
    let (port, tls) = (free_port(), data("tls"));
    let tls = tls.display();
    let with = |user: &str| {
        // The password is `scrape`.
        let hash = "$2y$04$WQ/lakDnZg/tXg/xWUvyJe/X0NzgfnzKnH7dYdLIrULwRfYXDVoAC";
        let text = format!(
            "tls_server_config:\n  cert_file: {tls}/server.pem\n  key_file: {tls}/server.key\nbasic_auth_users:\n  {user}: {hash}\n"
        );
        folder.write("web.yml", &text);
    };
    with("alice");
    let text = format!("[serve]\nlisten = \"127.0.0.1:{port}\"\nweb_config = \"web.yml\"\n");
    let config = folder.write("cwbridge.toml", &text);
    let mut process = Process::start(cwbridge().arg("run").arg("--config").arg(&config));
    process.wait_for_line("https://127.0.0.1", LIMIT);
    let list = |user: &str| {
        let mut command = cwbridge();
        command.args(["alarms", "list", "--state-dir", "nowhere", "--url"]);
        command.arg(format!("https://{user}@127.0.0.1:{port}"));
        command.env("SSL_CERT_FILE", data("tls/ca.pem"));
        let output = command.output().unwrap();
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (told(&output.stdout), told(&output.stderr))
    };
    wait(LIMIT, "the alarms", || {
        let (told, _) = list("alice:scrape");
        told.contains("cpu-high").then_some(())
    });
    let (told, refused) = list("alice:guess");
    assert!(
        told.is_empty() && refused.contains("401"),
        "{told}{refused}"
    );
    assert!(!refused.contains("guess"), "{refused}");
    assert!(get(port, "/metrics").is_none());
    with("bob");
    wait(LIMIT, "the change", || {
        let (told, _) = list("bob:scrape");
        told.contains("cpu-high").then_some(())
    });
    assert!(list("alice:scrape").1.contains("401"));
    let log = process.log();
    assert!(log.contains("the web config was read anew"), "{log}");
    // A mistake keeps the program from starting.
    folder.write("web.yml", "basic_auth_users: {alice: scrape}\n");
    process.stop("TERM");
    let output = cwbridge().arg("run").arg("--config").arg(&config).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("web.yml:1:27: the password of `alice` must be a hash of bcrypt"),
        "{told}"
    );
}

#[test]
fn a_check_of_a_configuration_tells_what_publishing_costs() {
    let folder = Folder::new("check-cost");
    let text = "[publish]\ndimensions = { Team = \"${tag:Team}\", Of = \"${env:OF}\" }\n[[publish.metric]]\nnames = [\"mem_used_percent\", \"swap_used_percent\"]\ndimensions = [[\"InstanceId\"], []]\n\
        [[publish.metric]]\nnames = [\"load_1\"]\ndimensions = [[\"AutoScalingGroupName\"]]\n";
    let config = folder.write("c.toml", text);
    let check = |more: &[&str]| {
        let mut command = cwbridge();
        command.args(["check", "--config"]).arg(&config).args(more);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    expect![[r#"
        there are no alarms in these files
        publishing from a host like this one: about $1.94 a month (5 metrics, 43800 requests)
          `mem_used_percent`, `swap_used_percent`: about $1.20 a month (4 metrics)
          `load_1`: about $0.30 a month (1 metric)
    "#]]
    .assert_eq(&check(&[]));
    let json: serde_json::Value = serde_json::from_str(&check(&["--format", "json"])).unwrap();
    assert_eq!(json["publishing"]["dollars_a_month"], 1.94);
    assert_eq!(json["publishing"]["entries"][1]["metrics"], 1);
}

#[test]
fn a_dry_run_prints_what_would_be_sent() {
    let folder = Folder::new("dry");
    let text = "[[publish.metric]]\nnames = [\"CPUUtilization\"]\ndimensions = [[\"host\"]]\nhigh_resolution = true
[[publish.metric]]\nnames = [\"CPUUtilization\"]\ndimensions = [[]]\n
[[publish.metric]]\nnames = [\"net_bytes_recv\"]\ndimensions = [[\"interface\"]]\ninclude = { interface = \"^lo$\" }\n";
    let config = folder.write("c.toml", text);
    let output = cwbridge()
        .args(["run", "--dry-run", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let data: Vec<serde_json::Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let (data, differences): (Vec<_>, Vec<_>) = data
        .into_iter()
        .partition(|datum| datum["MetricName"] == "CPUUtilization");
    // Whenever in a minute it is begun, what counters rose by is there.
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0]["Dimensions"][0][1], "lo");
    let count = |resolution: i64| -> f64 {
        let of = data
            .iter()
            .filter(|datum| datum["StorageResolution"] == resolution);
        of.flat_map(|datum| datum["Counts"].as_array().unwrap())
            .map(|count| count.as_f64().unwrap())
            .sum()
    };
    assert!(
        data.iter()
            .all(|datum| datum["Unit"] == "Percent" && datum["Namespace"] == "CWBridge"),
        "{data:?}"
    );
    assert_eq!(count(1), count(60), "both are made of the same looks");
}

/// What a new user sees: a few lines that say what will be done, and at what price.
#[test]
fn the_start_says_what_will_be_done() {
    let folder = Folder::new("start");
    let p99 = ALARM.replace("\"a\"", "\"b\"").replace(
        "\"Statistic\": \"Average\"",
        "\"ExtendedStatistic\": \"p99\"",
    );
    let c = r#"{"AlarmName": "c", "AlarmRule": "ALARM(elsewhere)"}"#;
    let d = r#"{"AlarmName": "d", "AlarmRule": "FALSE", "ActionsSuppressor": "s", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 60}"#;
    folder.write("alarms.json", &format!("[{ALARM}, {p99}, {c}, {d}]"));
    let config = folder.write(
        "c.toml",
        "alarms = [\"alarms.json\"]\n[publish]\ndimensions = { host = \"web-1\" }\n",
    );
    let (port, endpoint) = (free_port(), free_port());
    let mut command = cwbridge();
    command.envs([
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{endpoint}")),
    ]);
    let listen = format!("127.0.0.1:{port}");
    let process = Process::start(command.args([
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &listen,
    ]));
    process.wait_for_line("there are no credentials", LIMIT);
    let text: Vec<String> = process
        .lines()
        .iter()
        .filter(|line| !line.contains("alarm changed state"))
        .map(|line| line.split_once(' ').unwrap().1.trim().to_owned())
        .map(|line| match line.split_once(" dir=") {
            Some((line, _)) => format!("{line} dir=DIR"),
            None => line,
        })
        .collect();
    let said = text
        .join("\n")
        .replace(&port.to_string(), "PORT")
        .replace(&endpoint.to_string(), "ENDPOINT");
    expect![[r#"
        INFO cwbridge started version="0.1.0" metrics=http://127.0.0.1:PORT/metrics
        INFO keeping datapoints, states and transitions dir=DIR
        WARN alarm is not mirrored alarm="a" reason="this host has no metric `n m`"
        WARN alarm is not mirrored alarm="b" reason="this host has no metric `n m`"
        WARN alarm is not mirrored alarm="c" reason="it depends on alarm `elsewhere`, which is not judged here"
        INFO judging alarms mirrored=1 not_mirrored=3 first=["d"]
        WARN the actions suppressor is not judged here: actions are taken as not suppressed alarm="d" suppressor="s"
        INFO will publish to CloudWatch metrics=1 first=["CWBridge CPUUtilization {host=web-1}"] region="eu-west-1" endpoint="http://127.0.0.1:ENDPOINT" every=1m cost=about $0.74 a month (1 metric, 43800 requests)
        WARN nothing can be published; datapoints are held held=0 error="there are no credentials: the credential provider was not enabled: no credentials found in chain. Attempted: Environment: the credential provider was not enabled: environment variable not set; Profile: the credential provider was not enabled; WebIdentityToken: the credential provider was not enabled: $AWS_WEB_IDENTITY_TOKEN_FILE was not set; EcsContainer: the credential provider was not enabled: ECS provider not configured; Ec2InstanceMetadata: the credential provider was not enabled: IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to `true`""#]].assert_eq(&said);
}

/// A configuration that is wrong changes nothing; one that is right does, and an alarm that did not change keeps its state.
#[test]
fn a_reload_brings_all_of_a_configuration_or_nothing() {
    let folder = Folder::new("reload");
    let on_host = r#""MetricName": "CPUUtilization", "Namespace": "CWBridge", "Dimensions": [{"Name": "host", "Value": "h"}]"#;
    let alarm = |name: &str| {
        ALARM
            .replace("\"a\"", &format!("\"{name}\""))
            .replace(r#""Namespace": "n", "MetricName": "m""#, on_host)
    };
    folder.write("alarms.json", &alarm("a"));
    let text = "alarms = [\"alarms.json\"]\n[publish]\ndimensions = { host = \"h\" }\n";
    let config = folder.write("c.toml", text);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut command = cwbridge();
    let mut process = Process::start(command.args([
        "run",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &listen,
    ]));
    let alarms = || get(port, "/api/v1/alarms").unwrap_or_default();
    let shows = |successful: u8| {
        let line = format!("cwbridge_config_last_reload_successful {successful}\n");
        let shown = || get(port, "/metrics")?.contains(&line).then_some(());
        wait(LIMIT, &line, shown);
    };
    wait(LIMIT, "the first alarm", || {
        alarms().contains("\"a\"").then_some(())
    });
    shows(1);

    folder.write("alarms.json", "{");
    process.signal("HUP");
    process.wait_for_line("the configuration was not reloaded", LIMIT);
    process.wait_for_line("alarms.json:1:1: unclosed bracket", LIMIT);
    assert!(alarms().contains("\"a\""));
    shows(0);

    folder.write("c.toml", &format!("{text}region = \"eu-west-1\"\n"));
    folder.write("alarms.json", &format!("[{}, {}]", alarm("a"), alarm("b")));
    process.signal("HUP");
    process.wait_for_line(
        "`region` under `[publish]` cannot change while the program runs",
        LIMIT,
    );

    folder.write("c.toml", text);
    process.signal("HUP");
    process.wait_for_line("the configuration was reloaded", LIMIT);
    wait(LIMIT, "the second alarm", || {
        alarms().contains("\"b\"").then_some(())
    });
    shows(1);
    assert_eq!(process.stop("TERM").0, Some(0));
}

/// By its size, without reading it.
#[test]
fn a_huge_file_is_refused() {
    let folder = Folder::new("huge");
    let path = folder.write("huge.json", "");
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    let output = cwbridge().arg("check").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("has 104857600 bytes, but at most 67108864 are read"),
        "{said}"
    );
}

/// `script` of util-linux is the terminal.
#[test]
fn on_a_terminal_a_long_replay_shows_how_far_it_is() {
    let folder = Folder::new("progress");
    folder.write("alarm.yaml", "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Average, Period: 60, EvaluationPeriods: 1, Threshold: 80, ComparisonOperator: GreaterThanThreshold}");
    let rows = (0..200_000).map(|minute| format!("{},1\n", 1_704_067_200 + 60 * minute));
    let rows: String = rows.collect();
    folder.write("history.csv", &["timestamp,value\n", &rows].concat());
    let command = format!(
        "{} replay alarm.yaml --csv history.csv",
        env!("CARGO_BIN_EXE_cwbridge")
    );
    let terminal = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .current_dir(folder.path())
        .output();
    let Ok(terminal) = terminal else {
        return;
    };
    let told = String::from_utf8(terminal.stdout).unwrap();
    assert!(told.contains(" of 2.4"), "{told}");
    let mut command = cwbridge();
    let command = command.args(["replay", "alarm.yaml", "--csv", "history.csv"]);
    let elsewhere = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(elsewhere.stderr).unwrap(), "");
}

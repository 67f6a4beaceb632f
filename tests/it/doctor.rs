//! `cwbridge doctor` and `cwbridge import`, from outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use cwbridge::clock;

use crate::endpoint::{Answer, serve};
use crate::world::{Folder, Process, cwbridge, data, free_port};

/// Answers everything with the status, with a clock that is so many seconds off.
fn aws(status: &'static str, off: i64) -> String {
    serve(move |_, _| {
        let date = (clock::now() + off).calendar();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        // An empty map in CBOR.
        let body: &[u8] = match status {
            "200 OK" => b"\xa0",
            _ => b"",
        };
        Answer {
            date: Some(date),
            ..Answer::cbor(status, body)
        }
    })
}

/// The exit code, and the lines, of which those that differ from machine to machine are left out.
fn doctor(name: &str, config: &str, url: Option<&str>) -> (Option<i32>, String) {
    let folder = Folder::new(name);
    let listen = format!("[serve]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    let config = folder.write("c.toml", &(listen + config));
    let mut command = cwbridge();
    command.args(["doctor", "--state-dir", "state", "--config"]);
    command.arg(config).current_dir(folder.path());
    if let Some(url) = url {
        command.envs([
            ("AWS_ENDPOINT_URL", url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let told = told.replace(url.unwrap_or("URL"), "URL");
    let lines = told
        .lines()
        .filter(|line| !line.contains("limits: ") && !line.contains("port: "));
    (
        output.status.code(),
        lines.flat_map(|line| [line, "\n"]).collect(),
    )
}

#[test]
fn what_is_well_is_said() {
    let url = aws("200 OK", 0);
    let (code, told) = doctor("doctor-well", "[mirror]\n", Some(&url));
    expect_test::expect![[r#"
        ok       configuration: it can be read, with 1 alarm
        ok       state directory: `state` can be written
        ok       instance metadata: not asked: `AWS_EC2_METADATA_DISABLED` is set
        ok       publishing: about $0.74 a month (1 metric, 43800 requests)
        ok       region: us-east-1, by the environment or the profile
        ok       endpoint: URL answers
        ok       clock: within 5 s of the endpoint's
        ok       credentials: of `EnvironmentVariable`, without an end
        ok       cloudwatch:PutMetricData: allowed (tried with a datapoint that is too old to be taken)
        ok       cloudwatch:DescribeAlarms: allowed (tried with the name of an alarm that nobody has)
    "#]].assert_eq(&told);
    assert_eq!(code, Some(0));
}

#[test]
fn a_refusal_names_the_policy_and_a_clock_that_is_off_is_told() {
    let url = aws("403 Forbidden", -1_000);
    let (code, told) = doctor("doctor-refused", "[mirror]\n", Some(&url));
    // A second may pass between the two.
    let told = told.replace("it is 1001 s", "it is 1000 s");
    expect_test::expect![[r#"
        ok       configuration: it can be read, with 1 alarm
        ok       state directory: `state` can be written
        ok       instance metadata: not asked: `AWS_EC2_METADATA_DISABLED` is set
        ok       publishing: about $0.74 a month (1 metric, 43800 requests)
        ok       region: us-east-1, by the environment or the profile
        ok       endpoint: URL answers
        failure  clock: it is 1000 s ahead of the endpoint's, so that requests are refused; let chrony or systemd-timesyncd set it
        ok       credentials: of `EnvironmentVariable`, without an end
        failure  cloudwatch:PutMetricData: refused (tried with a datapoint that is too old to be taken): service error: unhandled error: end of input bytes; `deploy/iam/publish.json` is the policy that allows it
        failure  cloudwatch:DescribeAlarms: refused (tried with the name of an alarm that nobody has): service error: unhandled error: end of input bytes; `deploy/iam/mirror.json` is the policy that allows it
    "#]].assert_eq(&told);
    assert_eq!(code, Some(2));
    let (code, told) = doctor("doctor-off", "", Some(&aws("200 OK", -20)));
    let is_told = |seconds| told.contains(&format!("warning  clock: it is {seconds} s ahead"));
    assert!((20..25).any(is_told), "{told}");
    assert_eq!(code, Some(1));
}

#[test]
fn those_who_are_to_be_told_are_looked_at() {
    let url = serve(|path, body| {
        let status = match body {
            _ if path.ends_with("/invocations") => "403 Forbidden",
            body if body.starts_with("Action=Publish") && body.contains("none") => "404 Not Found",
            body if body.starts_with("Action=Publish") || body.contains("Entries") => {
                "400 Bad Request"
            }
            _ => return Answer::cbor("200 OK", *b"\xa0"),
        };
        Answer::cbor(status, *b"{\"__type\": \"Code\", \"message\": \"why\"}")
    });
    let one = |to: &str| format!("[[notify]]\nname = {to}\nwhen = \"always\"\n");
    let config = [
        "[publish]\nmetric = []\n[events]\neventbridge = \"default\"\n".to_owned(),
        one("\"topic\"\nsns = \"arn:aws:sns:us-east-1:1:ops\""),
        one("\"none\"\nsns = \"arn:aws:sns:us-east-1:1:none\""),
        one("\"function\"\nlambda = \"arn:aws:lambda:us-east-1:1:function:f\""),
        one("\"hook\"\nwebhook = \"https://localhost/${env:HOOK_OF_NOBODY}\""),
        one("\"program\"\ncommand = [\"/bin/sh\"]"),
    ];
    let (code, told) = doctor("doctor-notify", &config.concat(), Some(&url));
    assert_eq!(code, Some(2));
    let is_of_notify = |line: &&str| line.contains("notify `") || line.contains(" for `");
    let lines: Vec<&str> = told.lines().filter(is_of_notify).collect();
    expect_test::expect![[r#"
        failure  notify `hook`: the variable `HOOK_OF_NOBODY` is not set; correct it
        ok       notify `program`: what it needs is there; `cwbridge alarms notify-test` tells whether it arrives
        ok       sns:Publish for `topic`: allowed (tried with a message that has no text)
        failure  sns:Publish for `none`: Code: why (tried with a message that has no text); see the lines above
        failure  lambda:InvokeFunction for `function`: refused (tried as a dry run): Code: why; `deploy/iam/notify.json` is the policy that allows it; topics and functions have policies of their own
        ok       events:PutEvents for `events.eventbridge`: allowed (tried without an event)"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn what_goes_to_cloudwatch_logs_is_looked_at() {
    let url = serve(|_, body| {
        let (status, name) = match body {
            body if body.contains("\"/new\"") => ("400 Bad Request", "ResourceNotFoundException"),
            body if body.contains("\"/mine\"") => ("400 Bad Request", "InvalidParameterException"),
            body if body.contains("\"/foreign\"") => ("400 Bad Request", "AccessDeniedException"),
            _ => return Answer::cbor("200 OK", *b"\xa0"),
        };
        let body = format!("{{\"__type\": \"{name}\", \"message\": \"why\"}}");
        Answer {
            content_type: "application/x-amz-json-1.1",
            ..Answer::cbor(status, body)
        }
    });
    let files = |group: &str, path: &str| {
        format!("[[logs.file]]\ngroup = \"{group}\"\npaths = [\"{path}\"]\n")
    };
    let config = [
        "[publish]\nmetric = []\n[logs]\ngroup = \"/new\"\n".to_owned(),
        files("/mine", "/etc/hostname"),
        files("/foreign", "/nonexistent/*.log"),
        files("/${aws:InstanceId}", "/etc/hostname"),
    ];
    let (code, told) = doctor("doctor-logs", &config.concat(), Some(&url));
    assert_eq!(code, Some(2));
    let lines = told.lines().filter(|line| line.contains("log"));
    let lines: Vec<&str> = lines.collect();
    expect_test::expect![[r#"
        ok       log files `/etc/hostname`: 1 can be read
        warning  log files `/nonexistent/*.log`: there is none yet; nothing is sent until there is
        ok       log files `/etc/hostname`: 1 can be read
        ok       logs:PutLogEvents to `/new`: allowed (tried without an event); the group or the stream is not there yet, and whether they may be created is not tried
        ok       logs:PutLogEvents to `/mine`: allowed (tried without an event)
        failure  logs:PutLogEvents to `/foreign`: refused (tried without an event): AccessDeniedException: why; `deploy/iam/logs.json` is the policy that allows it
        failure  log group `/${aws:InstanceId}`: `${aws:InstanceId}` is not known on this host; nothing is written there"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn what_is_missing_is_said_with_what_mends_it() {
    let (code, told) = doctor("doctor-none", "[publish]\nregoin = \"a\"\n", None);
    assert!(
        told.contains("`[publish]` has no key `regoin`; did you mean `region`?"),
        "{told}"
    );
    assert!(
        told.contains("failure  region: there is none; set `region` under `[publish]`"),
        "{told}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn an_agents_configuration_is_taken_over() {
    let folder = Folder::new("import");
    let agent = r#"{"metrics": {"metrics_collected": {"mem": {"measurement": ["used_percent"]}, "collectd": {}}}}"#;
    folder.write("agent.json", agent);
    folder.write("broken.json", "{");
    let import = |file: &str| {
        let arguments = ["import", "cloudwatch-agent", file];
        let output = cwbridge()
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, made, told) = import("agent.json");
    assert_eq!(code, Some(1));
    assert_eq!(
        told,
        "error: not taken: `metrics.metrics_collected.collectd`\n"
    );
    folder.write("made.toml", &made);
    let mut command = cwbridge();
    let command = command.args(["check", "--config", "made.toml"]);
    let checked = command.current_dir(folder.path()).output().unwrap();
    let told = String::from_utf8(checked.stdout).unwrap();
    let cost = "there are no alarms in these files\npublishing from a host like this one: about $";
    assert!(told.starts_with(cost), "{told}");
    let (code, made, told) = import("broken.json");
    assert_eq!((code, made), (Some(2), String::new()));
    assert!(told.starts_with("error: broken.json: EOF"), "{told}");
}

/// A proxy that lets nobody through, and tells where they wanted to go.
fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = write!(
                stream,
                "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
            );
            let _ = sender.send(line.trim_end().to_owned());
        }
    });
    (url, asked)
}

/// Requests go where the SDK sends them: partitions, FIPS and dual-stack endpoints, by the proxy that is set.
#[test]
fn the_endpoint_is_that_of_the_partition_and_by_the_proxy() {
    let (url, asked) = proxy();
    let region = |name: &'static str| ("AWS_REGION", name);
    let (fips, dual) = (
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
    );
    for (variables, host) in [
        (
            vec![region("eu-west-1")],
            "monitoring.eu-west-1.amazonaws.com",
        ),
        (
            vec![region("us-east-1"), fips],
            "monitoring-fips.us-east-1.amazonaws.com",
        ),
        (
            vec![region("us-east-1"), dual],
            "monitoring.us-east-1.api.aws",
        ),
        (
            vec![region("cn-north-1")],
            "monitoring.cn-north-1.amazonaws.com.cn",
        ),
        (
            vec![region("us-gov-west-1")],
            "monitoring.us-gov-west-1.amazonaws.com",
        ),
    ] {
        let mut command = cwbridge();
        command.args(["doctor", "--state-dir", "/nonexistent/state"]);
        command.env("HTTPS_PROXY", &url).envs(variables);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(
            told.contains(&format!("failure  endpoint: https://{host}: ")),
            "{told}"
        );
        assert_eq!(
            asked.recv().unwrap(),
            format!("CONNECT {host}:443 HTTP/1.1")
        );
    }
}

/// An endpoint whose certificate is signed by an authority of one's own.
#[test]
fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let (folder, port, tls) = (Folder::new("doctor-ca"), free_port(), data("tls"));
    let tls = tls.display();
    let text =
        format!("tls_server_config: {{cert_file: {tls}/server.pem, key_file: {tls}/server.key}}\n");
    folder.write("web.yml", &text);
    let text = format!("[serve]\nlisten = \"127.0.0.1:{port}\"\nweb_config = \"web.yml\"\n");
    let config = folder.write("c.toml", &text);
    let server = Process::start(cwbridge().arg("run").arg("--config").arg(config));
    server.wait_for_line("cwbridge started", Duration::from_secs(10));
    let url = format!("https://localhost:{port}");
    for (authority, expected) in [
        (
            Some(data("tls/ca.pem")),
            format!("ok       endpoint: {url} answers"),
        ),
        (None, format!("failure  endpoint: {url}: ")),
    ] {
        let mut command = cwbridge();
        command.args(["doctor", "--state-dir", "/nonexistent/state"]);
        command.envs([("AWS_ENDPOINT_URL", &*url), ("AWS_REGION", "us-east-1")]);
        command.envs(authority.map(|file| ("SSL_CERT_FILE", file)));
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(&expected), "{told}");
    }
}

/// Whose port it is, is told: of a daemon that asks for a password, of others, and of an address that is not this host's.
#[test]
fn the_port_is_told_to_be_whose_it_is() {
    let folder = Folder::new("doctor-port");
    let port = free_port();
    let hash = "$2y$04$WQ/lakDnZg/tXg/xWUvyJe/X0NzgfnzKnH7dYdLIrULwRfYXDVoAC";
    folder.write("web.yml", &format!("basic_auth_users: {{alice: {hash}}}\n"));
    let config = |name: &str, address: &str| {
        let text = format!("[serve]\nlisten = \"{address}\"\nweb_config = \"web.yml\"\n");
        folder.write(name, &text)
    };
    let own = config("own.toml", &format!("127.0.0.1:{port}"));
    let told = |config: &std::path::Path| {
        let mut command = cwbridge();
        command.args(["doctor", "--state-dir", "/nonexistent/state", "--config"]);
        let output = command.arg(config).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let line = told.lines().find(|line| line.contains(" port: "));
        line.unwrap().to_owned()
    };
    assert_eq!(
        told(&own),
        format!("ok       port: `127.0.0.1:{port}` is free")
    );
    let daemon = Process::start(cwbridge().arg("run").arg("--config").arg(&own));
    daemon.wait_for_line("cwbridge started", Duration::from_secs(10));
    let expected =
        format!("ok       port: a daemon answers on `127.0.0.1:{port}`, and asks for a password");
    assert_eq!(told(&own), expected);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || other.incoming().for_each(drop));
    let line = told(&config("other.toml", &address));
    assert!(
        line.starts_with(&format!(
            "failure  port: nobody can listen on `{address}`: Address already in use"
        )),
        "{line}"
    );
    let line = told(&config("elsewhere.toml", "192.0.2.1:443"));
    assert!(
        line.starts_with("failure  port: nobody can listen on `192.0.2.1:443`: Cannot assign"),
        "{line}"
    );
}

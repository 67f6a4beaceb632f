//! LocalStack, and the `aws` command line to ask it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::world::{Folder, Process, free_port, get, root, skip, wait};

/// Credentials that LocalStack takes like any others.
const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
];

pub(super) struct LocalStack {
    _process: Process,
    _folder: Folder,
    venv: PathBuf,
    port: u16,
}

impl LocalStack {
    /// `None` where it is not installed.
    pub(super) fn start() -> Option<Self> {
        let Some(venv) = std::env::var_os("CWBRIDGE_TEST_VENV").map(PathBuf::from) else {
            skip("LocalStack (`tests/run` installs it)");
            return None;
        };
        let (port, folder) = (free_port(), Folder::new("localstack"));
        let mut command = Command::new(venv.join("bin/python"));
        command
            .arg(root().join("tests/run-localstack.py"))
            .env_remove("AWS_ENDPOINT_URL")
            .envs([
                ("SERVICES", "cloudwatch,logs,sns,sqs,sts,iam"),
                ("GATEWAY_LISTEN", &format!("127.0.0.1:{port}")),
                ("DISABLE_EVENTS", "1"),
                ("SKIP_SSL_CERT_DOWNLOAD", "1"),
                ("LOCALSTACK_SKIP_INFRA_DOWNLOADS", "1"),
                ("FILESYSTEM_ROOT", folder.path().to_str().unwrap()),
                ("OVERRIDE_IN_DOCKER", "0"),
            ]);
        let mut process = Process::start(&mut command);
        wait(Duration::from_mins(2), "LocalStack", || {
            assert_eq!(process.child.try_wait().unwrap(), None, "{}", process.log());
            get(port, "/_localstack/health")
        });
        let cloud = Self {
            _process: process,
            _folder: folder,
            venv,
            port,
        };
        // What is asked first of a service loads it, which may take longer than a program waits for an answer.
        let first = [
            ["cloudwatch", "list-metrics"],
            ["logs", "describe-log-groups"],
        ];
        let asked = first.map(|question| Process::start(&mut cloud.command(&question)));
        for mut process in asked {
            let status = wait(Duration::from_mins(2), "a first answer", || {
                process.child.try_wait().unwrap()
            });
            assert!(status.success(), "{}", process.log());
        }
        Some(cloud)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a program publish here.
    pub(super) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for of_this_host in ["AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SESSION_TOKEN"] {
            command.env_remove(of_this_host);
        }
        command
            .env("AWS_ENDPOINT_URL", self.url())
            .env("NO_PROXY", "127.0.0.1")
            .envs(CREDENTIALS)
    }

    /// The `aws` command line.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut aws = Command::new(self.venv.join("bin/aws"));
        self.environment(&mut aws)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .args(arguments)
            .args(["--output", "json", "--endpoint-url", &self.url()]);
        aws
    }

    pub(super) fn folder_of_aws(&self) -> PathBuf {
        self.venv.join("bin")
    }

    /// What it prints.
    pub(super) fn aws(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// One statistic of `CWBridge CPUUtilization` over the time given, all of it one period; `None` without data.
    pub(super) fn statistics(
        &self,
        dimensions: &[&str],
        statistic: &str,
        start: i64,
        end: i64,
    ) -> Option<f64> {
        let (period, start, end) = (
            (end - start).to_string(),
            start.to_string(),
            end.to_string(),
        );
        let mut aws = Command::new(self.venv.join("bin/aws"));
        let aws = self
            .environment(&mut aws)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .args([
                "cloudwatch",
                "get-metric-statistics",
                "--output",
                "json",
                "--namespace",
                "CWBridge",
            ]);
        let aws = aws.args(["--metric-name", "CPUUtilization", "--statistics", statistic]);
        let aws = aws
            .args([
                "--start-time",
                &start,
                "--end-time",
                &end,
                "--period",
                &period,
                "--dimensions",
            ])
            .args(dimensions);
        let output = aws.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["Datapoints"].as_array().unwrap().first()?[statistic].as_f64()
    }
}

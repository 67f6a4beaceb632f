//! Prometheus scraping the program, and promtool.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::{Folder, Process, data, free_port, get, skip, wait};

pub(super) struct Prometheus {
    _process: Process,
    port: u16,
}

/// A program on the path; said to be skipped where there is none.
pub(super) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let package = match name {
            "promtool" => "prometheus",
            _ => name,
        };
        skip(&format!("{name} (Debian package {package})"));
    }
    found
}

impl Prometheus {
    pub(super) fn program() -> Option<PathBuf> {
        installed("prometheus")
    }

    /// Scrapes `target` once a second.
    pub(super) fn start(program: &Path, folder: &Folder, target: u16) -> Self {
        let prometheus = Self::launch(program, folder, target);
        wait(Duration::from_secs(30), "Prometheus to scrape", || {
            prometheus.query("up == 1")
        });
        prometheus
    }

    /// Scrapes `target` with TLS, a certificate of its own and a password.
    pub(super) fn start_with_password(program: &Path, folder: &Folder, target: u16) -> Self {
        let tls = data("tls");
        let tls = tls.display();
        let more = format!(
            "scheme: https, tls_config: {{ca_file: {tls}/ca.pem, cert_file: {tls}/client.pem, key_file: {tls}/client.key}}, basic_auth: {{username: alice, password: scrape}}"
        );
        let prometheus = Self::configured(program, folder, target, &more);
        wait(Duration::from_secs(30), "Prometheus to scrape", || {
            prometheus.query("up == 1")
        });
        prometheus
    }

    /// Answers, and has nothing to scrape.
    pub(super) fn idle(program: &Path, folder: &Folder) -> Self {
        let prometheus = Self::launch(program, folder, free_port());
        wait(Duration::from_secs(30), "Prometheus to answer", || {
            prometheus.query("vector(1)")
        });
        prometheus
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn launch(program: &Path, folder: &Folder, target: u16) -> Self {
        Self::configured(program, folder, target, "scheme: http")
    }

    /// Scrapes `target` once a second, with more members of the job's configuration.
    fn configured(program: &Path, folder: &Folder, target: u16, more: &str) -> Self {
        let text = format!(
            "scrape_configs: [{{job_name: cwbridge, scrape_interval: 1s, {more}, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]"
        );
        let config = folder.write("prometheus.yml", &text);
        let port = free_port();
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let process = Process::start(Command::new(program).args([
            flag("config.file", config.to_str().unwrap()),
            flag(
                "storage.tsdb.path",
                folder.path().join("tsdb").to_str().unwrap(),
            ),
            flag("web.listen-address", &format!("127.0.0.1:{port}")),
        ]));
        Self {
            _process: process,
            port,
        }
    }

    /// The value of the first series that answers.
    pub(super) fn query(&self, query: &str) -> Option<f64> {
        let encoded: String = query
            .bytes()
            .flat_map(|byte| format!("%{byte:02X}").into_bytes())
            .map(char::from)
            .collect();
        let answer: serde_json::Value =
            serde_json::from_str(&get(self.port, &format!("/api/v1/query?query={encoded}"))?)
                .ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}

/// What promtool complains about.
pub(super) fn check_metrics(promtool: &Path, metrics: &str) -> String {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

//! Reading the web-config file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;

use crate::finding::{Finding, Position, Report, one_of};
use crate::tree::{self, Node};

use super::limit::Limit;
use super::password::cost;
use super::tls::{self, Clients, Settings};
use super::{Rules, Stamp, stamp};

/// A larger file is not what it is taken for.
const FILE_BYTES_MAX: u64 = 1 << 20;

const KEYS: [&str; 4] = [
    "tls_server_config",
    "http_server_config",
    "basic_auth_users",
    "rate_limit",
];
const TLS_KEYS: [&str; 13] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
const HTTP_KEYS: [&str; 2] = ["http2", "headers"];
const LIMIT_KEYS: [&str; 2] = ["interval", "burst"];

/// The headers that can be set, each with the values that it may have; none: any.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    (
        "Content-Security-Policy",
        header::CONTENT_SECURITY_POLICY,
        &[],
    ),
    (
        "X-Frame-Options",
        header::X_FRAME_OPTIONS,
        &["deny", "sameorigin"],
    ),
    (
        "X-Content-Type-Options",
        header::X_CONTENT_TYPE_OPTIONS,
        &["nosniff"],
    ),
    ("X-XSS-Protection", header::X_XSS_PROTECTION, &[]),
    (
        "Strict-Transport-Security",
        header::STRICT_TRANSPORT_SECURITY,
        &[],
    ),
];

/// What bcrypt can be told to do; each step takes twice as long.
const COSTS: RangeInclusive<u32> = 4..=31;

const VERSIONS: [&str; 2] = ["TLS12", "TLS13"];

/// The most requests that may come at once.
const BURST_MAX: u32 = 1_000_000;

/// Reads the file and those it names. Every mistake, if there is one.
pub(super) fn read(path: &Path) -> Result<Rules, Vec<Finding>> {
    let mut report = Report::new(&path.display().to_string());
    let mut reader = Reader {
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        files: Vec::new(),
        report: &mut report,
    };
    let bytes = reader.bytes(path.to_owned()).map(String::from_utf8);
    let text = bytes.and_then(|text| text.map_err(|_| "the file is not UTF-8".to_owned()));
    let rules = match text {
        Ok(text) => reader.rules(&text),
        Err(error) => {
            reader.report.add(Position::default(), error);
            Rules::default()
        }
    };
    match report.findings.is_empty() {
        true => Ok(rules),
        false => {
            report.findings.sort_by_key(|finding| finding.position);
            Err(report.findings)
        }
    }
}

/// The bytes of a file, with what it was like before and after they were read.
fn bytes(path: &Path) -> Result<(Vec<u8>, Option<Stamp>), String> {
    let shown = path.display();
    let cannot = |error: io::Error| format!("`{shown}` cannot be read: {error}");
    let before = stamp(path);
    // To open a pipe would wait for somebody to write into it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("`{shown}` is no regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(cannot)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("`{shown}` is larger than 1 MB"));
    }
    match stamp(path) == before {
        true => Ok((bytes, before)),
        false => Err(format!("`{shown}` was written while it was read")),
    }
}

/// A member that is not null.
fn present<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|node| node.value != tree::Value::Null)
}

struct Reader<'a> {
    /// What paths in the file are relative to.
    folder: PathBuf,
    files: Vec<(PathBuf, Option<Stamp>)>,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn rules(mut self, text: &str) -> Rules {
        let mut rules = Rules {
            is_empty: text.trim().is_empty(),
            ..Rules::default()
        };
        // An empty file asks for nothing.
        let tree = match rules.is_empty {
            true => return self.with_files(rules),
            false => tree::yaml(text, self.report),
        };
        let Some(tree) = tree else { return rules };
        if tree.value == tree::Value::Null {
            return self.with_files(rules);
        }
        self.keys("the web config", &tree, &KEYS);
        if let Some(node) = present(&tree, "tls_server_config") {
            let tls = self.tls(node);
            rules.needs_certificate = tls.as_ref().is_some_and(|(_, needs)| *needs);
            rules.tls = tls.map(|(config, _)| Arc::new(config));
        }
        if let Some(node) = present(&tree, "http_server_config") {
            rules.headers = self.http(node);
        }
        if let Some(node) = present(&tree, "basic_auth_users") {
            rules.users = self.users(node);
        }
        if let Some(node) = present(&tree, "rate_limit") {
            rules.limit = self.limit(node).map(Arc::new);
        }
        self.with_files(rules)
    }

    fn with_files(self, rules: Rules) -> Rules {
        Rules {
            files: self.files,
            ..rules
        }
    }

    fn bytes(&mut self, path: PathBuf) -> Result<Vec<u8>, String> {
        let read = bytes(&path);
        let seen = read.as_ref().map_or(None, |(_, seen)| *seen);
        self.files.push((path, seen));
        read.map(|(bytes, _)| bytes)
    }

    /// What stands there instead is not told: it may be a secret.
    fn keys(&mut self, whose: &str, node: &Node, known: &[&str]) {
        match node.value {
            tree::Value::Table(_) => self.report.unknown_keys(whose, node, known),
            _ => {
                let keys = one_of(known.iter().copied());
                self.report.add(
                    node.position,
                    format!("{whose} must be a table, with {keys}"),
                );
            }
        }
    }

    /// With whether clients must have a certificate that is verified.
    fn tls(&mut self, node: &Node) -> Option<(rustls::ServerConfig, bool)> {
        self.keys("`tls_server_config`", node, &TLS_KEYS);
        let certificate = self.pem(node, "cert", "cert_file");
        let key = self.pem(node, "key", "key_file");
        let client_ca = self.pem(node, "client_ca", "client_ca_file");
        for (what, found) in [("cert", &certificate), ("key", &key)] {
            if found.is_none()
                && [what, &format!("{what}_file")]
                    .iter()
                    .all(|key| node.get(key).is_none())
            {
                let text = format!("`tls_server_config` has neither `{what}` nor `{what}_file`");
                self.report.add(node.position, text);
            }
        }
        let clients = self.clients(node, client_ca.is_some());
        let names = |reader: &mut Self, key: &str, known: &[&str]| {
            let node = node.get(key)?;
            Some(reader.names(key, node, known))
        };
        let suites = names(self, "cipher_suites", &tls::cipher_suites());
        let curves = names(
            self,
            "curve_preferences",
            &tls::CURVES.map(|(name, _)| name),
        );
        let min = self.version(node, "min_version").unwrap_or(VERSIONS[0]);
        let max = self.version(node, "max_version").unwrap_or(VERSIONS[1]);
        if min > max {
            let text = format!("`min_version` is `{min}`, but `max_version` is `{max}`");
            self.report.add(node.position, text);
        }
        if let Some(node) = node.get("prefer_server_cipher_suites") {
            self.report.boolean("prefer_server_cipher_suites", node);
        }
        if !self.report.findings.is_empty() {
            return None;
        }
        let needs = clients.required && clients.verifies;
        let settings = Settings {
            certificate: &certificate?,
            key: &key?,
            client_ca: client_ca.as_deref(),
            clients,
            versions: min..=max,
            suites,
            curves,
        };
        match settings.build() {
            Ok(config) => Some((config, needs)),
            Err((key, message)) => {
                let at = [key, &format!("{key}_file")]
                    .iter()
                    .find_map(|key| node.get(key));
                let position = at.map_or(node.position, |node| node.position);
                self.report.add(position, message);
                None
            }
        }
    }

    /// What stands in the file itself, or in one that it names.
    fn pem(&mut self, node: &Node, inline: &str, file: &str) -> Option<Vec<u8>> {
        match (node.get(inline), node.get(file)) {
            (Some(_), Some(node)) => {
                let text = format!("both `{inline}` and `{file}` are set; one of them is enough");
                self.report.add(node.position, text);
                None
            }
            (Some(node), None) => Some(self.report.string(inline, node)?.into_bytes()),
            (None, Some(node)) => {
                let path = self.report.string(file, node)?;
                if path.contains('\n') || path.contains("-----BEGIN") {
                    let text = format!("`{file}` has no path, but what `{inline}` takes");
                    self.report.add(node.position, text);
                    return None;
                }
                let read = self.bytes(self.folder.join(path));
                let told = read
                    .map_err(|error| self.report.add(node.position, format!("`{file}`: {error}")));
                told.ok()
            }
            (None, None) => None,
        }
    }

    fn clients(&mut self, node: &Node, has_ca: bool) -> Clients {
        let kind = node.get("client_auth_type");
        let known: Vec<&str> = Clients::NAMES.map(|(name, _)| name).into();
        let known = [&known[..], &[Clients::ALIAS.0]].concat();
        let kind = kind.and_then(|node| Some((self.one(node, "client_auth_type", &known)?, node)));
        let (kind, position) = match kind {
            Some((name, at)) => (Clients::named(name), at.position),
            None => (Clients::default(), node.position),
        };
        if has_ca && !kind.asks {
            let text = "there is a certificate authority for clients, but `client_auth_type` asks for no certificate";
            self.report.add(position, text);
        }
        if kind.verifies && !has_ca {
            let text = "to verify certificates of clients `client_ca_file` is needed";
            self.report.add(position, text);
        }
        let Some(sans) = node.get("client_allowed_sans") else {
            return kind;
        };
        let allowed = self
            .report
            .strings("client_allowed_sans", sans)
            .unwrap_or_default();
        if allowed.is_empty() {
            let text = "`client_allowed_sans` is empty, so that no client would be let in";
            self.report.add(sans.position, text);
        }
        if !kind.required {
            let text = "`client_allowed_sans` needs a `client_auth_type` of `RequireAnyClientCert` or `RequireAndVerifyClientCert`";
            self.report.add(sans.position, text);
        }
        for email in allowed
            .iter()
            .filter(|name| name.contains('@') && !name.contains("://"))
        {
            let text = format!(
                "`client_allowed_sans` has `{email}`, but only names of hosts, IP addresses and URIs are looked for"
            );
            self.report.add(sans.position, text);
        }
        Clients { allowed, ..kind }
    }

    fn version(&mut self, node: &Node, key: &str) -> Option<&'static str> {
        self.one(node.get(key)?, key, &VERSIONS)
    }

    /// One of the names that are known.
    fn one<'k>(&mut self, node: &Node, what: &str, known: &[&'k str]) -> Option<&'k str> {
        let name = self.report.string(what, node)?;
        let found = known.iter().find(|known| **known == name).copied();
        if found.is_none() {
            let known = one_of(known.iter().copied());
            let text = format!("`{what}` is `{name}`, but must be {known}");
            self.report.add(node.position, text);
        }
        found
    }

    fn names(&mut self, what: &str, node: &Node, known: &[&str]) -> Vec<String> {
        let nodes = self.report.list(what, node).unwrap_or_default();
        let name = |node| self.one(node, what, known).map(str::to_owned);
        nodes.iter().filter_map(name).collect()
    }

    fn http(&mut self, node: &Node) -> Vec<(HeaderName, HeaderValue)> {
        self.keys("`http_server_config`", node, &HTTP_KEYS);
        if let Some(node) = node.get("http2") {
            self.report.boolean("http2", node);
        }
        let Some(headers) = present(node, "headers") else {
            return Vec::new();
        };
        self.keys("`headers`", headers, &HEADERS.map(|(name, ..)| name));
        let header = |(name, header, values): (&str, HeaderName, &[&str])| {
            let node = headers.get(name)?;
            let text = self.report.string(name, node)?;
            if text.is_empty() {
                return None;
            }
            if !values.is_empty() {
                self.one(node, name, values)?;
            }
            match HeaderValue::from_str(&text) {
                Ok(value) => Some((header, value)),
                Err(_) => {
                    let text = format!("`{name}` is {text:?}, which cannot stand in a header");
                    self.report.add(node.position, text);
                    None
                }
            }
        };
        HEADERS.into_iter().filter_map(header).collect()
    }

    fn users(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut users = BTreeMap::new();
        // What was found instead may be a password.
        let tree::Value::Table(entries) = &node.value else {
            let text = "`basic_auth_users` must be a table of names with hashes of passwords";
            self.report.add(node.position, text);
            return users;
        };
        for entry in entries {
            let name = &entry.key;
            let hash = match &entry.node.value {
                tree::Value::String(hash) if cost(hash).is_some_and(|it| COSTS.contains(&it)) => {
                    hash
                }
                _ => {
                    let text = format!(
                        "the password of `{name}` must be a hash of bcrypt, such as `htpasswd -nB {name}` prints"
                    );
                    self.report.add(entry.node.position, text);
                    continue;
                }
            };
            if name.contains(':') {
                let text = format!("`{name}` can be no name of a user, because of the colon");
                self.report.add(entry.position, text);
            }
            users.insert(name.clone(), hash.clone());
        }
        users
    }

    /// `None` where it is switched off.
    fn limit(&mut self, node: &Node) -> Option<Limit> {
        self.keys("`rate_limit`", node, &LIMIT_KEYS);
        let interval = node.get("interval");
        let interval = interval.map_or(Some(Duration::ZERO), |node| self.interval(node));
        let burst = node.get("burst");
        let burst = burst.and_then(|node| self.report.integer("burst", node, 0..=BURST_MAX));
        let interval = interval.filter(|interval| !interval.is_zero())?;
        let burst = burst.filter(|burst| *burst > 0);
        if burst.is_none() {
            let text = "`rate_limit` has an `interval`, but its `burst` lets no request through";
            self.report.add(node.position, text);
        }
        Some(Limit::new(interval, burst?, Instant::now()))
    }

    fn interval(&mut self, node: &Node) -> Option<Duration> {
        if node.value == tree::Value::Number(0.0) {
            return Some(Duration::ZERO);
        }
        let text = self.report.string("interval", node)?;
        match humantime::parse_duration(&text) {
            Ok(interval) => Some(interval),
            Err(error) => {
                let text = format!(
                    "`interval` is `{text}`, but must be a time such as `1s` or `100ms`: {error}"
                );
                self.report.add(node.position, text);
                None
            }
        }
    }
}

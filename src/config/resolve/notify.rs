//! `[[notify]]` and `[events]`

use std::path::Path;
use std::time::Duration;

use crate::finding::{did_you_mean, one_of};
use crate::tree::Node;

use super::super::notify::{
    CERTAINTIES, Notify, Pattern, Recipient, STATES, Secret, Shape, Webhook, When,
};
use super::{Reader, check_region};

/// Who is told: one of these in each section.
const RECIPIENTS: [&str; 6] = [
    "sns",
    "lambda",
    "webhook",
    "alertmanager",
    "command",
    "journald",
];
/// What stands beside it.
const KEYS: [&str; 15] = [
    "name",
    "alarms",
    "states",
    "when",
    "certainty",
    "delay_up",
    "delay_down",
    "repeat",
    "repeat_max",
    "timeout",
    "max_age",
    "shape",
    "key",
    "headers",
    LABELS,
];
const LABELS: &str = "labels";
const EVENT_KEYS: [&str; 4] = ["file", "eventbridge", "source", "max_age"];

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_mins(5);
const AGE_DEFAULT: Duration = Duration::from_hours(24);
const AGE_MIN: Duration = Duration::from_mins(1);
const AGE_MAX: Duration = Duration::from_hours(14 * 24);
const DELAY_MAX: Duration = Duration::from_hours(24);
const REPEAT_MIN: Duration = Duration::from_mins(1);
const REPEAT_MAX: Duration = Duration::from_hours(7 * 24);
const REPEATS_DEFAULT: u32 = 10;
const REPEATS_MAX: u32 = 1_000;

/// Alertmanager forgets an alert that it is not told again: as often as Prometheus does.
const ALERTMANAGER_REPEAT: Duration = Duration::from_mins(1);

/// Datapoints are published within twenty seconds after each minute, and an attempt takes some.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(90);
const EVIDENCE_MARGIN: Duration = Duration::from_secs(30);

const EVENT_SOURCE: &str = "cwbridge";

/// By what it is known how CloudWatch is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// How often, if it is mirrored.
    pub(super) mirror: Option<Duration>,
    pub(super) publishes: bool,
}

impl Asked {
    /// By then it was asked for something.
    fn within(self) -> Duration {
        match (self.publishes, self.mirror) {
            (false, Some(interval)) => interval + EVIDENCE_MARGIN,
            _ => PUBLISHED_WITHIN,
        }
    }
}

impl Reader<'_> {
    /// Those of `[[notify]]` and of `[events]`.
    pub(super) fn notify(
        &mut self,
        node: Option<&Node>,
        events: Option<&Node>,
        asked: Asked,
    ) -> Vec<Notify> {
        let nodes = node.and_then(|node| self.report.list("notify", node));
        let mut all: Vec<Notify> = Vec::new();
        for node in nodes.unwrap_or_default() {
            let Some(one) = self.notified(node, asked) else {
                continue;
            };
            self.check_when(node, one.when, asked);
            if all.iter().any(|other| other.name == one.name) {
                let text = format!(
                    "two `[[notify]]` are called `{}`; `name` tells them apart",
                    one.name
                );
                self.report.add(node.position, text);
            }
            all.push(one);
        }
        if let Some(events) = events {
            self.events(events, &mut all);
        }
        all
    }

    fn notified(&mut self, node: &Node, asked: Asked) -> Option<Notify> {
        let known: Vec<&str> = RECIPIENTS.into_iter().chain(KEYS).collect();
        self.keys("`[[notify]]`", node, &known);
        let to = self.recipient(node)?;
        self.check_keys(node, &to);
        let name = node.get("name");
        let name = name.and_then(|name| self.report.string("name", name));
        let name = name.unwrap_or_else(|| to.kind().to_owned());
        let is_alertmanager = matches!(to, Recipient::Alertmanager { .. });
        let alarms = node.get("alarms");
        let alarms = alarms.and_then(|node| self.report.strings("alarms", node));
        let alarms = alarms.unwrap_or_default();
        let mut time = |key, least: Duration, most: Duration, example| {
            let node = node.get(key)?;
            self.duration(key, node, least..=most, example)
        };
        let delay_up = time("delay_up", Duration::ZERO, DELAY_MAX, "2m");
        let delay_down = time("delay_down", Duration::ZERO, DELAY_MAX, "2m");
        let repeat = time("repeat", REPEAT_MIN, REPEAT_MAX, "4h");
        let timeout = time("timeout", Duration::from_secs(1), TIMEOUT_MAX, "10s");
        let max_age = time("max_age", AGE_MIN, AGE_MAX, "1d");
        let repeat_max = node.get("repeat_max").and_then(|node| {
            let most = self.report.integer("repeat_max", node, 1..=REPEATS_MAX);
            most.map(|most| most as _)
        });
        Some(Notify {
            name,
            to,
            alarms: alarms.iter().map(|alarm| Pattern::new(alarm)).collect(),
            states: match is_alertmanager {
                true => STATES.to_vec(),
                false => self.states(node),
            },
            when: self.when(node),
            certainties: self.certainties(node),
            delay_up: delay_up.unwrap_or_default(),
            delay_down: delay_down.unwrap_or_default(),
            repeat: repeat.or(is_alertmanager.then_some(ALERTMANAGER_REPEAT)),
            repeat_max: match is_alertmanager {
                true => u32::MAX,
                false => repeat_max.unwrap_or(REPEATS_DEFAULT),
            },
            evidence_within: asked.within(),
            timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
            max_age: max_age.unwrap_or(AGE_DEFAULT),
        })
    }

    fn recipient(&mut self, node: &Node) -> Option<Recipient> {
        let named = RECIPIENTS
            .into_iter()
            .filter(|kind| node.get(kind).is_some());
        let named: Vec<&str> = named.collect();
        let [kind] = named[..] else {
            let found = match named[..] {
                [] => "none".to_owned(),
                _ => one_of(named.iter().copied()).replace(" or ", " and "),
            };
            let text = format!(
                "`[[notify]]` must have one of {}, and has {found}",
                one_of(RECIPIENTS)
            );
            self.report.add(node.position, text);
            return None;
        };
        let value = node.get(kind)?;
        match kind {
            "sns" => self.arn(kind, value, "sns").map(Recipient::Sns),
            "lambda" => self.arn(kind, value, "lambda").map(Recipient::Lambda),
            "webhook" => self.webhook(node, value).map(Recipient::Webhook),
            "alertmanager" => Some(Recipient::Alertmanager {
                url: self.url(kind, value)?,
                labels: self.labels(node),
                headers: self.headers(node),
            }),
            "command" => self.command(value).map(Recipient::Command),
            _ => match self.report.boolean(kind, value)? {
                true => Some(Recipient::Journald),
                false => None,
            },
        }
    }

    /// Keys that mean something for another recipient only.
    fn check_keys(&mut self, node: &Node, to: &Recipient) {
        const ONLY: [(&str, &[&str]); 7] = [
            ("shape", &["webhook"]),
            ("key", &["webhook"]),
            ("headers", &["webhook", "alertmanager"]),
            (LABELS, &["alertmanager"]),
            (
                "states",
                &["sns", "lambda", "webhook", "command", "journald"],
            ),
            (
                "repeat",
                &["sns", "lambda", "webhook", "command", "journald"],
            ),
            (
                "repeat_max",
                &["sns", "lambda", "webhook", "command", "journald"],
            ),
        ];
        for (key, kinds) in ONLY {
            if let Some(found) = node.get(key)
                && !kinds.contains(&to.kind())
            {
                let kinds = one_of(kinds.iter().copied());
                let text = format!("`{key}` goes with {kinds}, not with `{}`", to.kind());
                self.report.add(found.position, text);
            }
        }
    }

    fn arn(&mut self, what: &str, node: &Node, service: &str) -> Option<String> {
        let arn = self.report.string(what, node)?;
        let parts: Vec<&str> = arn.split(':').collect();
        let is_one = parts.len() >= 6
            && parts[0] == "arn"
            && parts[2] == service
            && check_region(parts[3]).is_ok()
            && parts[4..].iter().all(|part| !part.is_empty());
        if !is_one {
            let example = match service {
                "sns" => "arn:aws:sns:eu-west-1:123456789012:ops",
                _ => "arn:aws:lambda:eu-west-1:123456789012:function:page",
            };
            let text = format!("`{what}` is `{arn}`, but must be an ARN such as `{example}`");
            self.report.add(node.position, text);
        }
        Some(arn)
    }

    fn webhook(&mut self, node: &Node, value: &Node) -> Option<Webhook> {
        let key = node.get("key").and_then(|node| {
            let key = self.secret("key", node)?;
            let is_reference = key.references().count() == 1;
            if !is_reference || !key.0.starts_with("${") || !key.0.ends_with('}') {
                self.report.add(node.position, "`key` must be `${file:PATH}` or `${env:NAME}`, so that the key itself does not stand here");
            }
            Some(key)
        });
        Some(Webhook {
            url: self.url("webhook", value)?,
            shape: self.shape(node),
            key,
            headers: self.headers(node),
        })
    }

    fn shape(&mut self, node: &Node) -> Shape {
        let Some(node) = node.get("shape") else {
            return Shape::Sns;
        };
        match self.report.string("shape", node).as_deref() {
            Some("eventbridge") => Shape::EventBridge,
            Some("sns") | None => Shape::Sns,
            Some(text) => {
                let hint = did_you_mean(text, ["sns", "eventbridge"]);
                let text = format!("`shape` is `{text}`, but must be `sns` or `eventbridge`{hint}");
                self.report.add(node.position, text);
                Shape::Sns
            }
        }
    }

    fn url(&mut self, what: &str, node: &Node) -> Option<Secret> {
        let url = self.secret(what, node)?;
        let text = &url.0;
        let host = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        // The whole of it may be a secret.
        let is_reference = text.starts_with("${");
        if !is_reference && host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':']))
        {
            let text = format!(
                "`{what}` must be an address that begins with `http://` or `https://` and names a host"
            );
            self.report.add(node.position, text);
        } else if host.is_some_and(|host| host.contains('@')) && url.references().count() == 0 {
            let text = format!(
                "`{what}` has a password in it; `${{file:PATH}}` or `${{env:NAME}}` can stand for it"
            );
            self.report.add(node.position, text);
        }
        Some(url)
    }

    /// A text with references. Files are relative to the configuration.
    fn secret(&mut self, what: &str, node: &Node) -> Option<Secret> {
        let secret = Secret(self.report.string(what, node)?);
        let mut text = secret.0.clone();
        for reference in secret.references() {
            match reference.split_once(':') {
                Some(("env", name)) if !name.is_empty() => {}
                Some(("file", path)) if !path.is_empty() => {
                    let folder = Path::new(&self.report.file).parent();
                    let path = folder.unwrap_or(Path::new("")).join(path);
                    let absolute = format!("${{file:{}}}", path.display());
                    text = text.replace(&format!("${{{reference}}}"), &absolute);
                }
                _ => {
                    let text = format!(
                        "`{what}` has `${{{reference}}}`, but only `${{env:NAME}}` and `${{file:PATH}}` can stand here"
                    );
                    self.report.add(node.position, text);
                }
            }
        }
        Some(Secret(text))
    }

    fn headers(&mut self, node: &Node) -> Vec<(String, Secret)> {
        const SECRET: [&str; 6] = ["auth", "cookie", "key", "pass", "secret", "token"];
        let Some(node) = node.get("headers") else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for entry in self.report.table("headers", node).unwrap_or_default() {
            let Some(value) = self.secret(&entry.key, &entry.node) else {
                continue;
            };
            let name = entry.key.to_ascii_lowercase();
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                let text = format!("`{name}` is no name of a header");
                self.report.add(entry.position, text);
            }
            let is_secret = SECRET.iter().any(|part| name.contains(part));
            if is_secret && value.references().count() == 0 {
                let text = format!(
                    "the header `{}` is a secret: `${{file:PATH}}` or `${{env:NAME}}` must stand for it",
                    entry.key
                );
                self.report.add(entry.node.position, text);
            }
            headers.push((entry.key.clone(), value));
        }
        headers
    }

    fn labels(&mut self, node: &Node) -> Vec<(String, String)> {
        let Some(node) = node.get(LABELS) else {
            return Vec::new();
        };
        let mut labels = Vec::new();
        for entry in self.report.table(LABELS, node).unwrap_or_default() {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_name = entry.key.bytes().all(is_letter)
                && !entry.key.starts_with(|char: char| char.is_ascii_digit());
            if !is_name || entry.key.is_empty() {
                let text = format!("`{}` is no name of a label", entry.key);
                self.report.add(entry.position, text);
            }
            if let Some(value) = self.report.string(&entry.key, &entry.node) {
                labels.push((entry.key.clone(), value));
            }
        }
        labels
    }

    fn command(&mut self, node: &Node) -> Option<Vec<String>> {
        let arguments = self.report.strings("command", node)?;
        let is_program = arguments
            .first()
            .is_some_and(|program| program.starts_with('/'));
        if !is_program {
            let text = "`command` must be a list whose first element is the path of a program, such as `[\"/usr/local/bin/page\", \"--now\"]`; there is no shell";
            self.report.add(node.position, text);
        }
        Some(arguments)
    }

    fn states(&mut self, node: &Node) -> Vec<&'static str> {
        let default = vec!["ALARM", "OK"];
        match node.get("states") {
            Some(node) => self.some_of("states", node, &STATES),
            None => default,
        }
    }

    fn certainties(&mut self, node: &Node) -> Vec<&'static str> {
        match node.get("certainty") {
            Some(node) => self.some_of("certainty", node, &CERTAINTIES),
            None => vec!["determined"],
        }
    }

    fn some_of(&mut self, what: &str, node: &Node, known: &[&'static str]) -> Vec<&'static str> {
        let names = self.names(what, node, known);
        if names.is_empty() {
            let text = format!(
                "`{what}` must name at least one of {}",
                one_of(known.iter().copied())
            );
            self.report.add(node.position, text);
        }
        let is_named = |state: &&&'static str| names.iter().any(|name| name == **state);
        known.iter().filter(is_named).copied().collect()
    }

    /// It has no default: whoever is told beside CloudWatch should know when.
    fn when(&mut self, node: &Node) -> When {
        let names = || When::ALL.into_iter().map(|(name, _)| name);
        let (position, found) = match node.get("when") {
            None => (node.position, "is not set".to_owned()),
            Some(node) => {
                let Some(text) = self.report.string("when", node) else {
                    return When::Always;
                };
                let mut known = When::ALL.into_iter();
                match known.find(|(name, _)| *name == text) {
                    Some((_, when)) => return when,
                    None => (node.position, format!("is `{text}`")),
                }
            }
        };
        let text = format!(
            "`when` {found}, but must be {}: CloudWatch has actions of its own",
            one_of(names())
        );
        self.report.add(position, text);
        When::Always
    }

    /// What is known of CloudWatch only by asking it.
    fn check_when(&mut self, node: &Node, when: When, asked: Asked) {
        let text = match (when, asked) {
            (When::Ahead, Asked { mirror: None, .. }) => {
                "`when` is `ahead`, but without `[mirror]` it is not known what CloudWatch has found"
            }
            (
                When::Unreachable,
                Asked {
                    mirror: None,
                    publishes: false,
                },
            ) => {
                "`when` is `unreachable`, but nothing is published and there is no `[mirror]`: it is not known whether CloudWatch can be reached"
            }
            _ => return,
        };
        let position = node.get("when").map_or(node.position, |node| node.position);
        self.report.add(position, text);
    }

    fn events(&mut self, node: &Node, all: &mut Vec<Notify>) {
        self.keys("`[events]`", node, &EVENT_KEYS);
        let mut string = |key: &str| {
            let node = node.get(key)?;
            self.report.string(key, node)
        };
        let (file, bus) = (string("file"), string("eventbridge"));
        let source = string("source").unwrap_or_else(|| EVENT_SOURCE.to_owned());
        if source.starts_with("aws.") || source.is_empty() {
            let text = format!(
                "`source` is `{source}`, but EventBridge keeps what begins with `aws.` for AWS services"
            );
            self.report.add(node.position, text);
        }
        let max_age = node
            .get("max_age")
            .and_then(|node| self.duration("max_age", node, AGE_MIN..=AGE_MAX, "1d"));
        let to_file = file.map(|path| {
            let folder = Path::new(&self.report.file).parent();
            let path = folder.unwrap_or(Path::new("")).join(path);
            Recipient::File(path.display().to_string())
        });
        let to_bus = bus.map(|bus| Recipient::EventBridge { bus, source });
        for to in to_file.into_iter().chain(to_bus) {
            all.push(Notify {
                name: format!("events.{}", to.kind()),
                to,
                alarms: Vec::new(),
                states: STATES.to_vec(),
                when: When::Always,
                certainties: CERTAINTIES.to_vec(),
                delay_up: Duration::ZERO,
                delay_down: Duration::ZERO,
                repeat: None,
                repeat_max: 0,
                evidence_within: Duration::ZERO,
                timeout: TIMEOUT_DEFAULT,
                max_age: max_age.unwrap_or(AGE_DEFAULT),
            });
        }
    }
}

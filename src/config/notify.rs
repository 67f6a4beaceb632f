//! Who is told of state changes.

use std::time::Duration;

/// Somebody who is told of state changes, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// What logs and metrics call it.
    pub name: String,
    pub to: Recipient,
    /// Patterns, in which `*` stands for anything; without any all alarms.
    pub alarms: Vec<Pattern>,
    /// Of [`STATES`].
    pub states: Vec<&'static str>,
    pub when: When,
    /// Of [`CERTAINTIES`]: verdicts that are told.
    pub certainties: Vec<&'static str>,
    /// How long an alarm must have been in ALARM, and out of it, until that is told.
    pub delay_up: Duration,
    pub delay_down: Duration,
    /// How often it is told again while an alarm is in ALARM.
    pub repeat: Option<Duration>,
    /// How many times at most.
    pub repeat_max: u32,
    /// By then CloudWatch was asked for something, so that it is known whether it can be reached.
    pub evidence_within: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What could not be delivered by then is given up.
    pub max_age: Duration,
}

/// Where notifications go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A topic, by its ARN.
    Sns(String),
    /// A function, by its ARN.
    Lambda(String),
    /// A bus, by name or ARN, and the name under which events are put on it.
    EventBridge {
        bus: String,
        source: String,
    },
    Webhook(Webhook),
    Alertmanager {
        url: Secret,
        labels: Vec<(String, String)>,
        headers: Vec<(String, Secret)>,
    },
    /// A program with its arguments.
    Command(Vec<String>),
    /// The journal of systemd.
    Journald,
    /// A file, a line for each event.
    File(String),
}

impl Recipient {
    /// Its key in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sns(_) => "sns",
            Self::Lambda(_) => "lambda",
            Self::EventBridge { .. } => "eventbridge",
            Self::Webhook(_) => "webhook",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Command(_) => "command",
            Self::Journald => "journald",
            Self::File(_) => "file",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: Secret,
    pub shape: Shape,
    /// What requests are signed with.
    pub key: Option<Secret>,
    pub headers: Vec<(String, Secret)>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The message that CloudWatch sends to an SNS topic.
    Sns,
    /// The event of `EventBridge`.
    EventBridge,
}

/// When somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Unless CloudWatch has the alarm in that state already.
    Ahead,
    /// While CloudWatch cannot be reached.
    Unreachable,
}

impl When {
    pub const ALL: [(&'static str, Self); 3] = [
        ("always", Self::Always),
        ("ahead", Self::Ahead),
        ("unreachable", Self::Unreachable),
    ];

    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(_, when)| *when == self);
        named.map_or("always", |(name, _)| name)
    }
}

/// The states of alarms.
pub const STATES: [&str; 3] = ["ALARM", "INSUFFICIENT_DATA", "OK"];

/// How certain verdicts are, from the least.
pub const CERTAINTIES: [&str; 6] = [
    "history_incomplete",
    "undetermined",
    "depends_on_range",
    "near_threshold",
    "measured_in_guest",
    "determined",
];

/// A name in which `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(last)
    }
}

/// A text that may have a secret in it, by reference: `${env:NAME}` or `${file:PATH}`. It is looked up when it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// What is looked up of it: `env:NAME`, `file:PATH`.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            let start = rest.find("${")?;
            let end = start + rest[start..].find('}')?;
            let reference = &rest[start + 2..end];
            rest = &rest[end + 1..];
            Some(reference)
        })
    }

    /// The text, with what `variable` and `file` give of a name.
    pub fn reveal(
        &self,
        variable: impl Fn(&str) -> Option<String>,
        file: impl Fn(&str) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut text = self.0.clone();
        for reference in self.references() {
            let value = match reference.split_once(':') {
                Some(("env", name)) => {
                    variable(name).ok_or_else(|| format!("the variable `{name}` is not set"))?
                }
                Some(("file", path)) => file(path)?.trim_end().to_owned(),
                _ => continue,
            };
            text = text.replace(&format!("${{{reference}}}"), &value);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, name, matches) in [
            ("cpu-*", "cpu-high", true),
            ("cpu-*", "my-cpu-high", false),
            ("*", "a\nb", true),
            ("a.c", "abc", false),
            ("a[*]", "a[1]", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), matches, "{pattern}");
        }
    }

    #[test]
    fn secrets_are_looked_up_where_they_are_used() {
        let variable = |name: &str| (name == "T").then(|| "t".to_owned());
        let file = |path: &str| match path {
            "/k" => Ok("key\n".to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let reveal = |text: &str| Secret(text.to_owned()).reveal(variable, file);
        assert_eq!(reveal("a/${env:T}/${file:/k}").unwrap(), "a/t/key");
        assert_eq!(
            reveal("${env:X}").unwrap_err(),
            "the variable `X` is not set"
        );
        assert_eq!(reveal("${file:/none}").unwrap_err(), "no such file");
        assert_eq!(reveal("${x").unwrap(), "${x");
    }
}

//! Whether those can be told who are to be: tried without telling anybody anything.

use std::io::Write;
use std::path::Path;

use crate::aws::{Messages, Tried};
use crate::clock;
use crate::config::{Config, Notify, Recipient, Secret};
use crate::notify::{JOURNAL_SOCKET, read_secret};

use super::Findings;

/// What needs no AWS.
pub(super) fn local(
    config: &Config,
    variable: fn(&str) -> Option<String>,
    findings: &mut Findings<'_, impl Write>,
) {
    for notify in &config.notify {
        let what = format!("notify `{}`", notify.name);
        let problem = match &notify.to {
            Recipient::Webhook(webhook) => {
                let headers = webhook.headers.iter().map(|(_, value)| value);
                let all = [&webhook.url]
                    .into_iter()
                    .chain(&webhook.key)
                    .chain(headers);
                secrets(all, variable)
            }
            Recipient::Alertmanager { url, headers, .. } => {
                let headers = headers.iter().map(|(_, value)| value);
                secrets([url].into_iter().chain(headers), variable)
            }
            Recipient::Command(arguments) => {
                let program = arguments.first().map(String::as_str).unwrap_or_default();
                missing(program)
            }
            Recipient::Journald => missing(JOURNAL_SOCKET),
            Recipient::File(path) => match Path::new(path).parent() {
                Some(folder) if folder.is_dir() || folder.as_os_str().is_empty() => None,
                _ => Some(format!("the folder of `{path}` is not there")),
            },
            Recipient::Sns(_) | Recipient::Lambda(_) | Recipient::EventBridge { .. } => continue,
        };
        match problem {
            None => findings.ok(
                &what,
                "what it needs is there; `cwbridge alarms notify-test` tells whether it arrives",
            ),
            Some(problem) => findings.failure(&what, &problem, "correct it"),
        }
    }
}

fn secrets<'a>(
    mut all: impl Iterator<Item = &'a Secret>,
    variable: fn(&str) -> Option<String>,
) -> Option<String> {
    all.find_map(|secret| secret.reveal(variable, read_secret).err())
}

fn missing(path: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("`{path}` is not there"))
}

/// What AWS has to allow.
pub(super) async fn by_aws(
    config: &Config,
    messages: &Messages,
    findings: &mut Findings<'_, impl Write>,
) {
    for Notify { name, to, .. } in &config.notify {
        let now = clock::now();
        let (call, tried, outcome) = match to {
            Recipient::Sns(topic) => (
                "sns:Publish",
                "tried with a message that has no text",
                messages.may_publish(topic, now).await,
            ),
            Recipient::Lambda(function) => (
                "lambda:InvokeFunction",
                "tried as a dry run",
                messages.may_invoke(function, now).await,
            ),
            Recipient::EventBridge { bus, .. } => (
                "events:PutEvents",
                "tried without an event",
                messages.may_put_events(bus, now).await,
            ),
            _ => continue,
        };
        let what = format!("{call} for `{name}`");
        match outcome {
            Tried::Allowed => findings.ok(&what, &format!("allowed ({tried})")),
            Tried::Refused(message) => findings.failure(
                &what,
                &format!("refused ({tried}): {message}"),
                "`deploy/iam/notify.json` is the policy that allows it; topics and functions have policies of their own",
            ),
            Tried::Unknown(message) => {
                findings.failure(&what, &format!("{message} ({tried})"), "see the lines above");
            }
        }
    }
}

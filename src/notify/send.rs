//! Deliveries to those who are told, each in its own way.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::value::RawValue;
use sha2::Sha256;

use crate::aws::{Messages, Publication, PutEvent};
use crate::clock;
use crate::config::{Notify, Recipient, Secret, Webhook};
use crate::definition::uuid;
use crate::metric::Timestamp;
use crate::web::{Request, Unanswered, WebClient};

use super::{Delivery, command, journald};

/// Where the journal of systemd listens.
pub const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// How long an alert lasts in Alertmanager that is told again every minute, in seconds: four times as long, as Prometheus has
/// it.
const ALERT_LASTS: i64 = 4 * 60;

const DETAIL_TYPE: &str = "CloudWatch Alarm State Change";

/// A larger key is none.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Why a delivery did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub message: String,
    /// Whether it may have arrived all the same.
    pub answer_lost: bool,
}

impl Failed {
    pub(super) fn lost(message: String) -> Self {
        Self {
            message,
            answer_lost: true,
        }
    }

    pub(super) fn not_sent(message: String) -> Self {
        Self {
            message,
            answer_lost: false,
        }
    }
}

impl From<Unanswered> for Failed {
    fn from(Unanswered { message, is_lost }: Unanswered) -> Self {
        Self {
            message,
            answer_lost: is_lost,
        }
    }
}

/// Delivers to everybody.
#[derive(Debug)]
pub struct Sender {
    messages: Messages,
    web: WebClient,
    /// What `${env:NAME}` stands for.
    variable: fn(&str) -> Option<String>,
}

impl Sender {
    pub fn new(region: Option<String>, variable: fn(&str) -> Option<String>) -> Self {
        Self {
            messages: Messages::new(region, WebClient::default()),
            web: WebClient::default(),
            variable,
        }
    }

    pub async fn send(self: Arc<Self>, notify: Notify, delivery: Delivery) -> Result<(), Failed> {
        let now = clock::now();
        match &notify.to {
            Recipient::Sns(topic_arn) => self.publish(topic_arn, &delivery, now).await,
            Recipient::Lambda(function) => {
                let context = STANDARD.encode(context(&delivery));
                let invoked = self
                    .messages
                    .invoke(function, &delivery.body, &context, now);
                Ok(invoked.await?)
            }
            Recipient::EventBridge { bus, source } => {
                let event = PutEvent {
                    source,
                    detail_type: DETAIL_TYPE,
                    detail: &delivery.body,
                    event_bus_name: bus,
                    resources: [&delivery.arn],
                    time: delivery.at.seconds(),
                };
                Ok(self.messages.put_event(event, now).await?)
            }
            Recipient::Webhook(webhook) => self.webhook(webhook, &delivery, now).await,
            Recipient::Alertmanager { url, headers, .. } => {
                self.alertmanager(url, headers, &delivery, now).await
            }
            Recipient::Command(arguments) => command::run(arguments, &delivery).await,
            Recipient::Journald => journald::tell(JOURNAL_SOCKET.as_ref(), &delivery).await,
            Recipient::File(path) => append(path, delivery.body).await,
        }
    }

    async fn publish(
        &self,
        topic_arn: &str,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let mut attributes = vec![
            ("sender", env!("CARGO_PKG_NAME")),
            ("host", &*delivery.host),
            ("certainty", &*delivery.certainty),
            ("id", &*delivery.key),
        ];
        if delivery.is_test {
            attributes.push(("test", "true"));
        }
        attributes.retain(|(_, value)| !value.is_empty());
        let publication = Publication {
            topic_arn,
            subject: &delivery.subject,
            message: &delivery.body,
            attributes: &attributes,
            group: &uuid(&delivery.arn),
            key: &delivery.key,
        };
        Ok(self.messages.publish(publication, now).await?)
    }

    /// Signed as Standard Webhooks has it, so that whoever listens has a library for it.
    async fn webhook(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let seconds = now.seconds().to_string();
        let signature = match &webhook.key {
            Some(key) => {
                let key = self.reveal(key).await?;
                Some(signature(&key, &delivery.key, &seconds, &delivery.body)?)
            }
            None => None,
        };
        let mut headers = vec![
            ("webhook-id", delivery.key.as_str()),
            ("webhook-timestamp", &seconds),
            (
                "x-cwbridge-test",
                if delivery.is_test { "true" } else { "false" },
            ),
        ];
        headers.extend(signature.as_deref().map(|it| ("webhook-signature", it)));
        let body = delivery.body.clone();
        self.post(&webhook.url, "", &webhook.headers, &headers, body)
            .await
    }

    async fn alertmanager(
        &self,
        url: &Secret,
        headers: &[(String, Secret)],
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let ends_at = match delivery.state.as_str() {
            "ALARM" => now + ALERT_LASTS,
            _ => delivery.at,
        };
        let body = alerts(&delivery.body, ends_at);
        self.post(url, "/api/v2/alerts", headers, &[], body).await
    }

    async fn post(
        &self,
        url: &Secret,
        path: &str,
        configured: &[(String, Secret)],
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<(), Failed> {
        let url = self.reveal(url).await?;
        let url = format!("{}{path}", url.trim_end_matches('/'));
        let mut revealed = Vec::new();
        for (name, value) in configured {
            revealed.push((name.as_str(), self.reveal(value).await?));
        }
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        let mut all = vec![("content-type", "application/json"), ("user-agent", agent)];
        all.extend_from_slice(headers);
        all.extend(revealed.iter().map(|(name, value)| (*name, value.as_str())));
        let answered = self
            .web
            .ask(Request {
                method: "POST",
                url: &url,
                headers: &all,
                body: body.into_bytes(),
            })
            .await?;
        match answered.status {
            200..300 => Ok(()),
            status => Err(Failed {
                message: format!("the answer is status {status}"),
                answer_lost: status == 408 || status >= 500,
            }),
        }
    }

    /// Looked up anew each time: a key may be replaced while the program runs.
    async fn reveal(&self, secret: &Secret) -> Result<String, Failed> {
        let (secret, variable) = (secret.clone(), self.variable);
        let reveal = move || secret.reveal(variable, read_secret);
        let revealed = tokio::task::spawn_blocking(reveal).await;
        let revealed = revealed.unwrap_or_else(|error| Err(error.to_string()));
        revealed.map_err(Failed::not_sent)
    }
}

/// The text of a file that a secret is in.
pub fn read_secret(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    // A pipe might never be written.
    if std::fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err(format!("`{path}` is no file"));
    }
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("`{path}` cannot be read: {error}")),
    }
}

/// What a function is told beside the payload, which is CloudWatch's own.
fn context(delivery: &Delivery) -> String {
    let custom = serde_json::json!({
        "sender": env!("CARGO_PKG_NAME"),
        "id": delivery.key,
        "host": delivery.host,
        "certainty": delivery.certainty,
        "test": delivery.is_test.to_string(),
    });
    serde_json::json!({ "custom": custom }).to_string()
}

/// `v1,` and the signature of id, time and body.
fn signature(key: &str, id: &str, seconds: &str, body: &str) -> Result<String, Failed> {
    let decoded = key.strip_prefix("whsec_").map(|key| STANDARD.decode(key));
    let key = match decoded {
        Some(Ok(key)) => key,
        Some(Err(_)) => {
            return Err(Failed::not_sent(
                "the key is not what `whsec_` announces".to_owned(),
            ));
        }
        None => key.as_bytes().to_vec(),
    };
    let mac = Hmac::<Sha256>::new_from_slice(&key);
    let mut mac = mac.map_err(|error| Failed::not_sent(error.to_string()))?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

/// The alert with its end, as a list.
fn alerts(alert: &str, ends_at: Timestamp) -> String {
    let mut alert: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(alert).unwrap_or_default();
    let end = serde_json::value::to_raw_value(&ends_at.in_history());
    alert.extend(end.ok().map(|end| ("endsAt".to_owned(), end)));
    serde_json::to_string(&[alert]).expect("what was JSON is JSON")
}

async fn append(path: &str, mut line: String) -> Result<(), Failed> {
    line.push('\n');
    let (path, name) = (path.to_owned(), path.to_owned());
    let write = move || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path)?;
        file.write_all(line.as_bytes())
    };
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    written.map_err(|error| Failed::not_sent(format!("`{name}` cannot be written: {error}")))
}

#[cfg(test)]
mod tests;

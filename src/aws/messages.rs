//! Messages to others by way of AWS: a topic of SNS, a function of Lambda, a bus of `EventBridge`.

use aws_config::SdkConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::metric::Timestamp;
use crate::web::{Answered, Unanswered, WebClient};

use super::signed::{Call, said};
use super::{ATTEMPTS_MAX, sdk_config};

/// What a form leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Who takes messages.
#[derive(Debug)]
pub struct Messages {
    /// For what has no region of its own.
    region: Option<String>,
    config: OnceCell<SdkConfig>,
    web: WebClient,
}

/// A message to a topic.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    pub topic_arn: &'a str,
    pub subject: &'a str,
    pub message: &'a str,
    pub attributes: &'a [(&'a str, &'a str)],
    /// Of a FIFO topic: what keeps an order, and what is not taken twice.
    pub group: &'a str,
    pub key: &'a str,
}

/// An event for a bus.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutEvent<'a> {
    pub source: &'a str,
    pub detail_type: &'a str,
    /// JSON.
    pub detail: &'a str,
    pub event_bus_name: &'a str,
    pub resources: [&'a str; 1],
    /// In seconds since the epoch.
    pub time: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entries<'a> {
    entries: &'a [PutEvent<'a>],
}

/// What an attempt told that could not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was refused for what was wrong with it.
    Allowed,
    Refused(String),
    /// There is no such thing, or no answer.
    Unknown(String),
}

fn tried(answer: &Result<Answered, Unanswered>) -> Tried {
    let answered = match answer {
        Ok(answered) => answered,
        Err(unanswered) => return Tried::Unknown(unanswered.message.clone()),
    };
    let said = said(answered);
    let is_refused = [
        "AccessDenied",
        "AuthorizationError",
        "InvalidClientTokenId",
        "Signature",
    ];
    match answered.status {
        200..300 => Tried::Allowed,
        401 | 403 => Tried::Refused(said),
        _ if is_refused.iter().any(|code| said.contains(code)) => Tried::Refused(said),
        400 => Tried::Allowed,
        _ => Tried::Unknown(said),
    }
}

impl Messages {
    /// Nothing is asked yet. The endpoint that is configured is CloudWatch's; one for all comes from the environment.
    pub fn new(region: Option<String>, web: WebClient) -> Self {
        Self {
            region,
            config: OnceCell::new(),
            web,
        }
    }

    /// `sns:Publish`
    pub async fn publish(&self, of: Publication<'_>, now: Timestamp) -> Result<(), Unanswered> {
        done(&self.call_sns(of, now).await?)
    }

    async fn call_sns(&self, of: Publication<'_>, now: Timestamp) -> Result<Answered, Unanswered> {
        let call = Call {
            service: "sns",
            region: region_of(of.topic_arn),
            method: "POST",
            path: "/",
            headers: &[FORM],
            body: form(of).into_bytes(),
        };
        call.make(self.config().await, &self.web, now).await
    }

    /// `lambda:InvokeFunction`, which does not wait for the function. `context`: what it is told beside the payload, as Base64 of
    /// JSON.
    pub async fn invoke(
        &self,
        function_arn: &str,
        payload: &str,
        context: &str,
        now: Timestamp,
    ) -> Result<(), Unanswered> {
        let headers = [
            JSON,
            ("x-amz-client-context", context),
            ("x-amz-invocation-type", "Event"),
        ];
        let called = self.call_lambda(function_arn, &headers, payload, now);
        done(&called.await?)
    }

    async fn call_lambda(
        &self,
        function_arn: &str,
        headers: &[(&str, &str)],
        payload: &str,
        now: Timestamp,
    ) -> Result<Answered, Unanswered> {
        let arn = utf8_percent_encode(function_arn, PLAIN);
        let path = format!("/2015-03-31/functions/{arn}/invocations");
        let call = Call {
            service: "lambda",
            region: region_of(function_arn),
            method: "POST",
            path: &path,
            headers,
            body: payload.as_bytes().to_vec(),
        };
        call.make(self.config().await, &self.web, now).await
    }

    /// `events:PutEvents`
    pub async fn put_event(&self, event: PutEvent<'_>, now: Timestamp) -> Result<(), Unanswered> {
        let answered = self
            .call_events(&[event], event.event_bus_name, now)
            .await?;
        done(&answered)?;
        taken(&answered.body)
    }

    async fn call_events(
        &self,
        entries: &[PutEvent<'_>],
        bus: &str,
        now: Timestamp,
    ) -> Result<Answered, Unanswered> {
        let of_bus = match region_of(bus) {
            "" => self.region.as_deref(),
            region => Some(region),
        };
        let region = of_bus.ok_or_else(|| Unanswered {
            message: "there is no region for the bus".to_owned(),
            is_lost: false,
        })?;
        let entries = Entries { entries };
        let call = Call {
            service: "events",
            region,
            method: "POST",
            path: "/",
            headers: &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "AWSEvents.PutEvents"),
            ],
            body: serde_json::to_vec(&entries).expect("strings and numbers are always JSON"),
        };
        call.make(self.config().await, &self.web, now).await
    }

    /// Whether a topic may be told, by a message without a text, which it does not take.
    pub async fn may_publish(&self, topic_arn: &str, now: Timestamp) -> Tried {
        let nothing = Publication {
            topic_arn,
            subject: "cwbridge",
            message: "",
            attributes: &[],
            group: "cwbridge",
            key: "cwbridge",
        };
        tried(&self.call_sns(nothing, now).await)
    }

    /// Whether a function may be invoked, without doing it.
    pub async fn may_invoke(&self, function_arn: &str, now: Timestamp) -> Tried {
        let headers = [JSON, ("x-amz-invocation-type", "DryRun")];
        tried(&self.call_lambda(function_arn, &headers, "{}", now).await)
    }

    /// Whether events may be put on a bus, without any.
    pub async fn may_put_events(&self, bus: &str, now: Timestamp) -> Tried {
        tried(&self.call_events(&[], bus, now).await)
    }

    async fn config(&self) -> &SdkConfig {
        let region = self.region.as_deref().unwrap_or("us-east-1");
        let load = || sdk_config(region, None, ATTEMPTS_MAX);
        self.config.get_or_init(load).await
    }
}

/// The region that stands in an ARN; nothing where it is none.
fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

fn form(of: Publication<'_>) -> String {
    let mut members = vec![
        ("Action".to_owned(), "Publish"),
        ("Version".to_owned(), "2010-03-31"),
        ("TopicArn".to_owned(), of.topic_arn),
        ("Subject".to_owned(), of.subject),
        ("Message".to_owned(), of.message),
    ];
    for (place, (name, value)) in (1..).zip(of.attributes) {
        let member = |what: &str| format!("MessageAttributes.entry.{place}.{what}");
        members.push((member("Name"), name));
        members.push((member("Value.DataType"), "String"));
        members.push((member("Value.StringValue"), value));
    }
    let is_fifo = of
        .topic_arn
        .rsplit_once('.')
        .is_some_and(|(_, end)| end == "fifo");
    if is_fifo {
        members.push(("MessageGroupId".to_owned(), of.group));
        members.push(("MessageDeduplicationId".to_owned(), of.key));
    }
    let member =
        |(name, value): &(String, &str)| format!("{name}={}", utf8_percent_encode(value, PLAIN));
    let members: Vec<String> = members.iter().map(member).collect();
    members.join("&")
}

/// What was not done may have been all the same where whoever answered did not know.
fn done(answered: &Answered) -> Result<(), Unanswered> {
    match answered.status {
        200..300 => Ok(()),
        status => Err(Unanswered {
            message: said(answered),
            is_lost: status == 408 || status >= 500,
        }),
    }
}

/// A request may succeed in which the one event is refused.
fn taken(answer: &str) -> Result<(), Unanswered> {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    match answer["FailedEntryCount"].as_u64() {
        Some(1..) => {
            let said = |name: &str| answer["Entries"][0][name].as_str().unwrap_or_default();
            Err(Unanswered {
                message: format!("{}: {}", said("ErrorCode"), said("ErrorMessage")),
                is_lost: false,
            })
        }
        _ => Ok(()),
    }
}

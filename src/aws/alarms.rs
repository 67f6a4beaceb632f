//! The alarms and mute rules of an account, as the requests that would make them.

mod read;
mod write;

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::types::AlarmType;
use serde_json::Value;

use super::failure::{Failure, failure};
use super::{ATTEMPTS_MAX, READ_ATTEMPTS_MAX, WATCH_ATTEMPTS_MAX, said, sdk_config};

/// The most alarms that one request describes, or deletes (SPEC section 18).
const PAGE_ALARMS_MAX: i32 = 100;
/// The most names that one request may ask for.
pub const NAMES_MAX: usize = 100;

/// What there is in an account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// By name: what PutMetricAlarm, PutCompositeAlarm or PutLogAlarm would be told.
    pub alarms: BTreeMap<String, Described>,
    /// By name: what PutAlarmMuteRule would be told.
    pub mute_rules: BTreeMap<String, Value>,
}

/// An alarm in an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub request: Value,
    pub arn: String,
    /// The state by its name, since when, and why.
    pub state: String,
    /// In milliseconds since 1970.
    pub state_since: i64,
    pub reason: String,
    /// What it was found from, as JSON.
    pub reason_data: Option<String>,
    /// Why CloudWatch could not judge it as it should, by the name that it has for that.
    pub evaluation_state: Option<String>,
}

/// Which alarms are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those whose names begin so, or all.
    Prefix(Option<String>),
    /// At most [`NAMES_MAX`].
    Names(Vec<String>),
}

/// Alarms by their names, and what the next page is asked for with, if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub alarms: Vec<(String, Described)>,
    pub token: Option<String>,
}

/// CloudWatch as the keeper of alarms.
#[derive(Clone, Debug)]
pub struct Alarms {
    client: Client,
    /// Where the newest operations are asked for: once only of a service that is not AWS's, which may not know them.
    newest: Client,
}

impl Alarms {
    /// For whoever waits for the answer.
    pub async fn connect(region: &str, endpoint_url: Option<&str>) -> Self {
        Self::with_attempts(region, endpoint_url, READ_ATTEMPTS_MAX).await
    }

    /// For the daemon, which asks again by itself.
    pub async fn connect_to_watch(region: &str, endpoint_url: Option<&str>) -> Self {
        Self::with_attempts(region, endpoint_url, WATCH_ATTEMPTS_MAX).await
    }

    async fn with_attempts(region: &str, endpoint_url: Option<&str>, attempts: u32) -> Self {
        let config = sdk_config(region, endpoint_url, attempts).await;
        let client = Client::new(&config);
        let newest = match endpoint_url {
            None => client.clone(),
            Some(_) => Client::new(&sdk_config(region, endpoint_url, ATTEMPTS_MAX).await),
        };
        Self { client, newest }
    }

    /// Every alarm of every type whose name begins so.
    pub async fn alarms(
        &self,
        prefix: Option<&str>,
    ) -> Result<BTreeMap<String, Described>, String> {
        let (mut all, mut token) = (BTreeMap::new(), None);
        let asked = Asked::Prefix(prefix.map(str::to_owned));
        loop {
            let page = self.page(&asked, token).await;
            let page = page.map_err(|failure| format!("DescribeAlarms: {}", failure.message()))?;
            all.extend(page.alarms);
            token = page.token;
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Alarms of every type, one page of them. `token`: what the page before ended with.
    pub async fn page(&self, asked: &Asked, token: Option<String>) -> Result<Page, Failure> {
        let request = self
            .client
            .describe_alarms()
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .alarm_types(AlarmType::LogAlarm)
            .max_records(PAGE_ALARMS_MAX)
            .set_next_token(token);
        let request = match asked {
            Asked::Prefix(prefix) => request.set_alarm_name_prefix(prefix.clone()),
            Asked::Names(names) => request.set_alarm_names(Some(names.clone())),
        };
        let page = request.send().await.map_err(|error| match &error {
            // Most of all for want of credentials.
            SdkError::ConstructionFailure(_) => Failure::NotSent(said(&error)),
            SdkError::DispatchFailure(of) if !of.is_io() && !of.is_timeout() => {
                Failure::NotSent(said(&error))
            }
            _ => failure(&error),
        })?;
        let metric = page.metric_alarms().iter().map(read::metric_alarm);
        let composite = page.composite_alarms().iter().map(read::composite_alarm);
        let log = page.log_alarms().iter().map(read::log_alarm);
        Ok(Page {
            alarms: metric.chain(composite).chain(log).collect(),
            token: page.next_token().map(str::to_owned),
        })
    }

    /// Every mute rule. Where the service does not know them there are none.
    pub async fn mute_rules(&self) -> Result<BTreeMap<String, Value>, String> {
        let mut arns = Vec::new();
        let mut token = None;
        loop {
            let asked = self.newest.list_alarm_mute_rules().set_next_token(token);
            let page = match asked.send().await {
                Ok(page) => page,
                Err(error) if is_unknown_operation(&said(&error)) => return Ok(BTreeMap::new()),
                Err(error) => return Err(format!("ListAlarmMuteRules: {}", said(&error))),
            };
            let summaries = page.alarm_mute_rule_summaries().iter();
            arns.extend(summaries.filter_map(|rule| rule.alarm_mute_rule_arn().map(str::to_owned)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let mut all = BTreeMap::new();
        for arn in arns {
            let name = arn.rsplit([':', '/']).next().unwrap_or(&arn).to_owned();
            let asked = self
                .client
                .get_alarm_mute_rule()
                .alarm_mute_rule_name(&name);
            let found = asked
                .send()
                .await
                .map_err(|error| format!("GetAlarmMuteRule `{name}`: {}", said(&error)))?;
            all.insert(name, read::mute_rule(&found));
        }
        Ok(all)
    }

    /// Creates or changes what the request is about.
    pub async fn put(&self, request: &Value) -> Result<(), String> {
        write::put(&self.client, request).await
    }

    pub async fn delete_alarm(&self, name: &str) -> Result<(), String> {
        let asked = self.client.delete_alarms().alarm_names(name).send().await;
        asked
            .map(drop)
            .map_err(|error| format!("DeleteAlarms: {}", said(&error)))
    }

    pub async fn delete_mute_rule(&self, name: &str) -> Result<(), String> {
        let asked = self
            .client
            .delete_alarm_mute_rule()
            .alarm_mute_rule_name(name);
        let answer = asked.send().await;
        answer
            .map(drop)
            .map_err(|error| format!("DeleteAlarmMuteRule: {}", said(&error)))
    }
}

/// Endpoints that are not AWS's lack the newest operations.
fn is_unknown_operation(said: &str) -> bool {
    let codes = ["UnknownOperation", "InvalidAction", "NotImplemented"];
    codes.iter().any(|code| said.starts_with(code)) || said.contains("unknown operation")
}

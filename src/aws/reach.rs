//! Whether CloudWatch can be reached at all, by the way that every request takes: proxy, FIPS or dual-stack endpoint,
//! certificate authorities.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_cloudwatch::config::{
    ConfigBag, Credentials, Intercept, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_cloudwatch::error::BoxError;

use crate::finding::error_chain;
use crate::metric::Timestamp;

use super::{ATTEMPTS_MAX, sdk_config};

/// Who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The endpoint that was asked.
    pub endpoint: String,
    /// What time it has; `None` if it does not say.
    pub date: Option<Timestamp>,
}

/// Sends a request that no account takes, with credentials that are none, and tells who answered; else who was asked, and why
/// there is no answer.
pub async fn reach(region: &str, endpoint_url: Option<&str>) -> Result<Reached, (String, String)> {
    let config = sdk_config(region, endpoint_url, ATTEMPTS_MAX).await;
    let nobody = Credentials::new("doctor", "doctor", None, None, "doctor");
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .build();
    let (client, ear) = (Client::new(&config), Ear::default());
    let request = client.describe_alarms().alarm_names("cwbridge-doctor");
    let answer = request.customize().interceptor(ear.clone()).send().await;
    let heard = ear.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match answer {
        Err(error) if !heard.has_answered => Err((heard.reached.endpoint, error_chain(&error))),
        _ => Ok(heard.reached),
    }
}

#[derive(Clone, Debug, Default)]
struct Heard {
    reached: Reached,
    has_answered: bool,
}

/// Listens to what goes out and comes in.
#[derive(Clone, Debug, Default)]
struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    fn hear(&self, heard: impl FnOnce(&mut Heard)) {
        heard(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Intercept for Ear {
    fn name(&self) -> &'static str {
        "Ear"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri();
        let path = uri
            .find("://")
            .and_then(|at| Some(at + 3 + uri[at + 3..].find('/')?));
        self.hear(|heard| uri[..path.unwrap_or(uri.len())].clone_into(&mut heard.reached.endpoint));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let date = date.map(|date| Timestamp::from_seconds(date.timestamp().as_second()));
        self.hear(|heard| {
            heard.has_answered = true;
            heard.reached.date = date;
        });
        Ok(())
    }
}

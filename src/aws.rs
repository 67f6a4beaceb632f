//! Amazon Web Services: the only place that names their crates. It takes and gives the core's types.

mod alarms;
mod failure;
mod history;
mod identity;
mod logs;
mod messages;
mod metrics;
mod reach;
mod signed;
mod tags;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatch::config::AppName;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};

use crate::finding::error_chain;

pub use alarms::{Account, Alarms, Asked, Described, NAMES_MAX, Page};
pub use failure::Failure;
pub use history::{History, Window, windows};
pub use identity::{Instance, Notices, configured_region, instance, instance_with_tags, notices};
pub use logs::{
    EventsAsked, FoundEvent, LogGroup, LogStream, Logs, NewEvent, NotPut, Rejected, Token,
};
pub use messages::{Messages, Publication, PutEvent, Tried};
pub use metrics::{Credentials, Metrics};
pub use reach::{Reached, reach};
pub use tags::tags;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// The publisher tries again by itself, after longer and longer waits, and counts what it sends twice.
const ATTEMPTS_MAX: u32 = 1;
const WATCH_ATTEMPTS_MAX: u32 = 2;
/// Whoever asks at the command line waits for an answer, also where requests are throttled.
const READ_ATTEMPTS_MAX: u32 = 8;

/// Settings of every client; credentials are looked up when they are first needed.
async fn sdk_config(region: &str, endpoint_url: Option<&str>, attempts: u32) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .app_name(AppName::new(env!("CARGO_PKG_NAME")).expect("the name is made of letters"));
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// ``AccessDenied: User … is not authorized``, or why there is no answer.
fn said<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => error_chain(error),
    }
}

//! PutMetricData.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_cloudwatch::operation::RequestId as _;
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{self, MetricDatum, StandardUnit};

use crate::finding::error_chain;
use crate::metric::{Datapoint, Resolution};

use super::{ATTEMPTS_MAX, sdk_config};

/// Finding credentials may mean to run a program or to ask a service.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);

/// CloudWatch as a place to put datapoints.
#[derive(Clone, Debug)]
pub struct Metrics {
    region: String,
    endpoint_url: Option<String>,
    connection: Arc<Mutex<Connection>>,
}

#[derive(Clone, Debug)]
struct Connection {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
}

impl Connection {
    async fn new(region: &str, endpoint_url: Option<&str>) -> Self {
        let config = sdk_config(region, endpoint_url, ATTEMPTS_MAX).await;
        Self {
            client: Client::new(&config),
            credentials: config.credentials_provider(),
        }
    }
}

/// Why datapoints were not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is nowhere to send it, or nothing to sign it with; no request was made.
    NotSent(String),
    /// The request is not acceptable as it is, however often it is sent.
    Rejected(String),
    TooLarge(String),
    /// The credentials do not allow it.
    Denied(String),
    Throttled(String),
    /// No answer, or none that says what became of the request.
    Failed {
        message: String,
        answer_lost: bool,
    },
}

impl Failure {
    /// The value of the label `outcome`; `None` if no request was made.
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::NotSent(_) => None,
            Self::Rejected(_) => Some("rejected"),
            Self::TooLarge(_) => Some("too_large"),
            Self::Denied(_) => Some("denied"),
            Self::Throttled(_) => Some("throttled"),
            Self::Failed { .. } => Some("failed"),
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::NotSent(message)
            | Self::Rejected(message)
            | Self::TooLarge(message)
            | Self::Denied(message)
            | Self::Throttled(message)
            | Self::Failed { message, .. } => message,
        }
    }
}

impl Metrics {
    pub async fn connect(region: &str, endpoint_url: Option<&str>) -> Self {
        let connection = Connection::new(region, endpoint_url).await;
        Self {
            region: region.to_owned(),
            endpoint_url: endpoint_url.map(str::to_owned),
            connection: Arc::new(Mutex::new(connection)),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the credentials up where they come from, the next time that some are needed. The SDK holds those that it found
    /// for as long as they say they are good for: keys in a file for ever, though somebody may have replaced them.
    async fn forget_credentials(&self) {
        let connection = Connection::new(&self.region, self.endpoint_url.as_deref()).await;
        *self.connection() = connection;
    }

    /// Looks the credentials up; `Err` says that there are none, and why.
    pub async fn check_credentials(&self) -> Result<(), Failure> {
        let missing = |why: String| Failure::NotSent(format!("there are no credentials: {why}"));
        let Some(provider) = self.connection().credentials.clone() else {
            return Err(missing("no provider is configured".to_owned()));
        };
        match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(missing(error_chain(&error))),
            Err(_) => Err(missing(format!(
                "no answer within {}",
                humantime::format_duration(CREDENTIALS_TIMEOUT)
            ))),
        }
    }

    /// Sends datapoints, all of one namespace and within the limits of one request. Credentials that are refused are looked up
    /// anew for the next attempt.
    pub async fn put(&self, datapoints: &[Arc<Datapoint>]) -> Result<(), Failure> {
        let answer = self.try_put(datapoints).await;
        if matches!(answer, Err(Failure::Denied(_))) {
            self.forget_credentials().await;
        }
        answer
    }

    async fn try_put(&self, datapoints: &[Arc<Datapoint>]) -> Result<(), Failure> {
        let Some(first) = datapoints.first() else {
            return Ok(());
        };
        let data = datapoints
            .iter()
            .map(|datapoint| datum(datapoint))
            .collect();
        let client = self.connection().client.clone();
        let request = client
            .put_metric_data()
            .namespace(&first.metric.namespace)
            .set_metric_data(Some(data));
        let error = match request.send().await {
            Ok(answer) if answer.request_id().is_some() => return Ok(()),
            // The SDK takes any success for CloudWatch's, also the page of a proxy.
            Ok(_) => {
                return Err(Failure::Failed {
                    message: "the answer has no request id: it is not CloudWatch's".to_owned(),
                    answer_lost: true,
                });
            }
            Err(error) => error,
        };
        let unsent = match &error {
            SdkError::ConstructionFailure(_) => true,
            SdkError::DispatchFailure(dispatch) => !dispatch.is_io() && !dispatch.is_timeout(),
            _ => false,
        };
        if unsent {
            // The SDK does not tell whether it was for want of credentials.
            self.check_credentials().await?;
        }
        Err(failure(&error))
    }
}

fn datum(datapoint: &Datapoint) -> MetricDatum {
    let dimension = |dimension: &crate::metric::Dimension| {
        types::Dimension::builder()
            .name(&dimension.name)
            .value(&dimension.value)
            .build()
    };
    let datum = MetricDatum::builder()
        .metric_name(&datapoint.metric.name)
        .set_dimensions(Some(
            datapoint
                .metric
                .dimensions()
                .iter()
                .map(dimension)
                .collect(),
        ))
        .timestamp(DateTime::from_secs(datapoint.start.seconds()))
        .unit(StandardUnit::from(datapoint.unit.name()))
        .set_storage_resolution((datapoint.resolution == Resolution::High).then_some(1));
    match &datapoint.values {
        Some(distribution) => {
            let (values, counts) = distribution.values().into_iter().unzip();
            datum
                .set_values(Some(values))
                .set_counts(Some(counts))
                .build()
        }
        None => {
            let set = &datapoint.statistics;
            let statistics = types::StatisticSet::builder()
                .sample_count(set.sample_count)
                .sum(set.sum)
                .minimum(set.minimum)
                .maximum(set.maximum);
            datum.statistic_values(statistics.build()).build()
        }
    }
}

fn failure(error: &SdkError<PutMetricDataError>) -> Failure {
    let message = error_chain(error);
    match error {
        SdkError::ServiceError(service) => {
            let message = message_of(error).unwrap_or(message);
            let status = service.raw().status().as_u16();
            match service.err().code() {
                // Whoever answers without an error code and a request id is not CloudWatch, and what it says is no verdict.
                Some(code) if error.request_id().is_some() => classify(status, code, message),
                _ => classify_stranger(status, message),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::Failed {
            message,
            answer_lost: false,
        },
        SdkError::DispatchFailure(_) => Failure::Failed {
            message,
            answer_lost: !never_sent(error),
        },
        _ => Failure::Failed {
            message,
            answer_lost: true,
        },
    }
}

/// ``AccessDenied: User … is not authorized``
fn message_of(error: &SdkError<PutMetricDataError>) -> Option<String> {
    let (code, message) = (error.code()?, error.message()?);
    Some(format!("{code}: {message}"))
}

/// CloudWatch's answers are told apart by status and error code. Only what is known to be a verdict on the data is taken for
/// one: everything else may be over by the next attempt.
fn classify(status: u16, code: &str, message: String) -> Failure {
    const REJECTED: [&str; 5] = [
        "InvalidParameter",
        "InvalidFormat",
        "MissingParameter",
        "MissingRequiredParameter",
        "Validation",
    ];
    const DENIED: [&str; 7] = [
        "AccessDenied",
        "ExpiredToken",
        "InvalidClientTokenId",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ];
    const THROTTLED: [&str; 6] = [
        "LimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttl",
        "TooManyRequests",
    ];
    let is = |codes: &[&str]| codes.iter().any(|known| code.starts_with(known));
    match status {
        _ if is(&THROTTLED) => Failure::Throttled(message),
        _ if is(&DENIED) => Failure::Denied(message),
        400 if is(&REJECTED) => Failure::Rejected(message),
        _ => classify_stranger(status, message),
    }
}

/// Answers known by their status alone.
fn classify_stranger(status: u16, message: String) -> Failure {
    match status {
        413 => Failure::TooLarge(message),
        429 => Failure::Throttled(message),
        401 | 403 => Failure::Denied(message),
        _ => Failure::Failed {
            message: format!("status {status}: {message}"),
            // Whoever stands in between may have passed it on, and CloudWatch may have taken it before it failed.
            answer_lost: status == 408 || status >= 500,
        },
    }
}

/// Whether the connection was not even made: no name, no route, nobody who listens, no TLS.
fn never_sent(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let client = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Dimension, Distribution, Metric, StatisticSet, Timestamp, Unit};

    #[test]
    fn answers_are_told_apart_by_status_and_code() {
        let outcome = |status, code| classify(status, code, String::new()).outcome().unwrap();
        assert_eq!(outcome(400, "InvalidParameterValue"), "rejected");
        assert_eq!(
            outcome(400, "InvalidParameterCombinationException"),
            "rejected"
        );
        assert_eq!(outcome(400, "ValidationError"), "rejected");
        assert_eq!(outcome(400, "ThrottlingException"), "throttled");
        assert_eq!(outcome(400, "TooManyRequestsException"), "throttled");
        assert_eq!(outcome(400, "ExpiredToken"), "denied");
        assert_eq!(outcome(400, "SomethingNew"), "failed");
        assert_eq!(outcome(403, "whatever"), "denied");
        assert_eq!(outcome(413, ""), "too_large");
        assert_eq!(outcome(429, ""), "throttled");
        assert_eq!(outcome(500, "InternalServiceFault"), "failed");
        assert_eq!(outcome(404, ""), "failed");
    }

    fn datapoint(resolution: Resolution, values: Option<Distribution>) -> Datapoint {
        Datapoint {
            metric: Arc::new(Metric::new("n", "m", vec![Dimension::new("host", "a")])),
            unit: Unit::PERCENT,
            resolution,
            start: Timestamp::from_seconds(60),
            statistics: StatisticSet {
                sample_count: 3.0,
                sum: 5.0,
                minimum: 1.0,
                maximum: 2.0,
            },
            values,
        }
    }

    #[test]
    fn values_and_counts_are_sent_so_that_percentiles_work() {
        let mut values = Distribution::new();
        values.add(1.0, 1.0);
        values.add(2.0, 2.0);
        let datum = datum(&datapoint(Resolution::Standard, Some(values)));
        assert_eq!(
            (datum.values(), datum.counts()),
            (&[1.0, 2.0][..], &[1.0, 2.0][..])
        );
        assert_eq!(
            (
                datum.unit(),
                datum.storage_resolution(),
                datum.statistic_values()
            ),
            (Some(&StandardUnit::Percent), None, None)
        );
        assert_eq!(datum.timestamp(), Some(&DateTime::from_secs(60)));
    }

    #[test]
    fn a_statistic_set_is_sent_where_values_are_not_known() {
        let datum = datum(&datapoint(Resolution::High, None));
        assert_eq!(
            (datum.values(), datum.storage_resolution()),
            (&[][..], Some(1))
        );
        assert_eq!(datum.statistic_values().unwrap().maximum(), Some(2.0));
    }
}

//! PutMetricData.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{
    Credentials as SdkCredentials, ProvideCredentials as _, SharedCredentialsProvider,
};
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::RequestId as _;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{self, MetricDatum, StandardUnit};

use crate::finding::error_chain;
use crate::metric::{Datapoint, Resolution, Timestamp};

use super::failure::{Failure, failure};
use super::{ATTEMPTS_MAX, sdk_config};

/// Finding credentials may mean to run a program or to ask a service.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);

/// What may be told of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// As the SDK calls it, such as `Ec2InstanceMetadata`.
    pub source: String,
    pub expires: Option<Timestamp>,
}

impl Credentials {
    fn of(found: &SdkCredentials) -> Self {
        // The SDK tells the source nowhere else, and the keys not even there in full.
        let told = format!("{found:?}");
        let source = told.split("provider_name: \"").nth(1);
        let source = source.and_then(|rest| rest.split('"').next());
        let expires = found
            .expiry()
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let seconds = expires.and_then(|since| i64::try_from(since.as_secs()).ok());
        Self {
            source: source.unwrap_or("an unknown place").to_owned(),
            expires: seconds.map(Timestamp::from_seconds),
        }
    }
}

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
        self.credentials().await.map(drop)
    }

    /// Where the credentials come from, and until when they are good.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        let missing = |why: String| Failure::NotSent(format!("there are no credentials: {why}"));
        let Some(provider) = self.connection().credentials.clone() else {
            return Err(missing("no provider is configured".to_owned()));
        };
        match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(found)) => Ok(Credentials::of(&found)),
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
    let set = &datapoint.statistics;
    let statistics = types::StatisticSet::builder()
        .sample_count(set.sample_count)
        .sum(set.sum)
        .minimum(set.minimum)
        .maximum(set.maximum)
        .build();
    match &datapoint.values {
        Some(distribution) => {
            let (values, counts) = distribution.values().into_iter().unzip();
            // Of values that were gathered into buckets the extremes and the sum are known exactly all the same.
            let datum = match distribution.relative_error() {
                0.0 => datum,
                _ => datum.statistic_values(statistics),
            };
            datum
                .set_values(Some(values))
                .set_counts(Some(counts))
                .build()
        }
        None => datum.statistic_values(statistics).build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Dimension, Distribution, Metric, StatisticSet, Timestamp, Unit};

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

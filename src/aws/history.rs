//! What CloudWatch keeps of metrics.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as SdkMetric, MetricDataQuery, MetricStat, ScanBy, StandardUnit, StatusCode,
};

use crate::metric::{Metric, Timestamp, Unit};

use super::{READ_ATTEMPTS_MAX, said, sdk_config};

/// The most datapoints in one answer (SPEC section 18).
const DATAPOINTS_MAX: i64 = 100_800;

/// The most statistics that are asked for at once.
const STATISTICS_MAX: i64 = 4;

const DAY: i64 = 86_400;

/// A range with the seconds between datapoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
    pub period: i64,
}

/// The ranges to be asked for one after the other, so that each comes in one answer, with the finest datapoints that are kept of
/// each: minutes for 15 days before `now`, five minutes for 63, hours for 455.
pub fn windows(start: Timestamp, end: Timestamp, now: Timestamp) -> Vec<Window> {
    let kept = [(now - 63 * DAY, 3_600), (now - 15 * DAY, 300), (end, 60)];
    let mut windows = Vec::new();
    let mut from = start.floor(60);
    for (until, period) in kept {
        // Of the stretch before, the whole of its last datapoint.
        let until = match period {
            60 => until,
            _ => until.ceil(3_600).min(end),
        };
        if from >= until {
            continue;
        }
        from = from.floor(period);
        let length = DATAPOINTS_MAX / STATISTICS_MAX * period / DAY * DAY;
        while from < until {
            let to = (from + length).min(until.ceil(period));
            windows.push(Window {
                start: from,
                end: to,
                period,
            });
            from = to;
        }
    }
    windows
}

/// CloudWatch as a source of histories.
#[derive(Clone, Debug)]
pub struct History {
    client: Client,
}

impl History {
    pub async fn connect(region: &str, endpoint_url: Option<&str>) -> Self {
        let config = sdk_config(region, endpoint_url, READ_ATTEMPTS_MAX).await;
        Self {
            client: Client::new(&config),
        }
    }

    /// The datapoints of a metric with a value for each of the statistics, oldest first; those that lack one are left out.
    pub async fn statistics(
        &self,
        metric: &Metric,
        unit: Option<Unit>,
        statistics: &[String],
        window: Window,
    ) -> Result<Vec<(Timestamp, Vec<f64>)>, String> {
        let queries: Vec<MetricDataQuery> = statistics
            .iter()
            .enumerate()
            .map(|(place, statistic)| query(place, metric, unit, statistic, window.period))
            .collect();
        let mut values: BTreeMap<Timestamp, Vec<Option<f64>>> = BTreeMap::new();
        let mut token = None;
        loop {
            let answer = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(window.start.milliseconds() / 1_000))
                .end_time(DateTime::from_secs(window.end.milliseconds() / 1_000))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token)
                .send()
                .await;
            let answer =
                answer.map_err(|error| format!("GetMetricData of `{metric}`: {}", said(&error)))?;
            for result in answer.metric_data_results() {
                if result.status_code() == Some(&StatusCode::InternalError) {
                    return Err(format!("CloudWatch has no whole answer for `{metric}`"));
                }
                let place = result.id().and_then(|id| id.strip_prefix('s'));
                let Some(place) = place.and_then(|place| place.parse::<usize>().ok()) else {
                    continue;
                };
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    let at = Timestamp::from_milliseconds(at.to_millis().unwrap_or_default());
                    let all = values
                        .entry(at)
                        .or_insert_with(|| vec![None; statistics.len()]);
                    if let Some(known) = all.get_mut(place) {
                        *known = Some(*value);
                    }
                }
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let whole = |(at, values): (Timestamp, Vec<Option<f64>>)| {
            let values: Option<Vec<f64>> = values.into_iter().collect();
            Some((at, values?))
        };
        Ok(values.into_iter().filter_map(whole).collect())
    }
}

fn query(
    place: usize,
    metric: &Metric,
    unit: Option<Unit>,
    statistic: &str,
    period: i64,
) -> MetricDataQuery {
    let dimension = |dimension: &crate::metric::Dimension| {
        Dimension::builder()
            .name(&dimension.name)
            .value(&dimension.value)
            .build()
    };
    let of = SdkMetric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(metric.dimensions().iter().map(dimension).collect()))
        .build();
    let stat = MetricStat::builder()
        .metric(of)
        .period(i32::try_from(period).unwrap_or(i32::MAX))
        .stat(statistic)
        .set_unit(unit.map(|unit| StandardUnit::from(unit.name())))
        .build();
    MetricDataQuery::builder()
        .id(format!("s{place}"))
        .metric_stat(stat)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_is_asked_for_as_finely_as_it_is_kept() {
        let now = Timestamp::from_seconds(1_000 * DAY);
        let ago = |days: i64| now - days * DAY;
        let asked = |start: i64, end: i64| -> Vec<(i64, i64)> {
            let windows = windows(ago(start), ago(end), now);
            for pair in windows.windows(2) {
                assert_eq!(
                    pair[0].end, pair[1].start,
                    "nothing is left out or asked for twice"
                );
            }
            assert_eq!(windows.first().unwrap().start, ago(start));
            assert_eq!(windows.last().unwrap().end, ago(end));
            let days = windows
                .iter()
                .map(|of| ((of.end - of.start) / DAY, of.period));
            days.collect()
        };
        assert_eq!(asked(10, 0), [(10, 60)]);
        assert_eq!(asked(20, 5), [(5, 300), (10, 60)]);
        assert_eq!(asked(60, 40), [(20, 300)]);
        assert_eq!(asked(70, 0), [(7, 3_600), (48, 300), (15, 60)]);
        assert_eq!(asked(200, 100), [(100, 3_600)]);
    }
}

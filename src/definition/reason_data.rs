//! `StateReasonData` as DescribeAlarms shows it.

use serde::Serialize;

use crate::alarm::{EvaluatedDatapoint, ReasonData};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    version: &'static str,
    query_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    statistic: &'static str,
    period: i64,
    recent_datapoints: Vec<f64>,
    threshold: f64,
    evaluated_datapoints: Vec<JsonDatapoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonDatapoint {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
}

/// The JSON text that CloudWatch puts into the member (SPEC section 6.4).
pub fn reason_data(data: &ReasonData) -> String {
    let json = Json {
        version: "1.0",
        query_date: data.query_date.in_reason_data(),
        start_date: data
            .start_date
            .map(crate::metric::Timestamp::in_reason_data),
        unit: data.unit.map(crate::metric::Unit::name),
        statistic: data.statistic.name(),
        period: data.period.seconds(),
        recent_datapoints: data.recent_datapoints.clone(),
        threshold: data.threshold,
        evaluated_datapoints: data.evaluated_datapoints.iter().map(datapoint).collect(),
    };
    serde_json::to_string(&json).expect("strings and numbers are always JSON")
}

fn datapoint(
    &EvaluatedDatapoint {
        timestamp,
        value,
        sample_count,
    }: &EvaluatedDatapoint,
) -> JsonDatapoint {
    JsonDatapoint {
        timestamp: timestamp.in_reason_data(),
        sample_count: value.map(|_| sample_count),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Period, Statistic, Timestamp, Unit};

    /// The documented sample event (UG26 cloudwatch-and-eventbridge), with the later member `evaluatedDatapoints`.
    #[test]
    fn reason_data_reads_as_documented() {
        let data = ReasonData {
            query_date: Timestamp::from_seconds(1_570_035_880),
            start_date: Some(Timestamp::from_seconds(1_570_035_540)),
            unit: None,
            statistic: Statistic::Average,
            period: Period::new(300).unwrap(),
            recent_datapoints: vec![99.501_602_296_934_34],
            threshold: 50.0,
            evaluated_datapoints: vec![EvaluatedDatapoint {
                timestamp: Timestamp::from_seconds(1_570_035_540),
                value: Some(99.501_602_296_934_34),
                sample_count: 5.0,
            }],
        };
        assert_eq!(
            reason_data(&data),
            r#"{"version":"1.0","queryDate":"2019-10-02T17:04:40.000+0000","startDate":"2019-10-02T16:59:00.000+0000","statistic":"Average","period":300,"recentDatapoints":[99.50160229693434],"threshold":50.0,"evaluatedDatapoints":[{"timestamp":"2019-10-02T16:59:00.000+0000","sampleCount":5.0,"value":99.50160229693434}]}"#
        );
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let data = ReasonData {
            query_date: Timestamp::from_seconds(0),
            start_date: None,
            unit: Unit::from_name("Seconds"),
            statistic: Statistic::Sum,
            period: Period::new(10).unwrap(),
            recent_datapoints: vec![],
            threshold: 2.0,
            evaluated_datapoints: vec![EvaluatedDatapoint {
                timestamp: Timestamp::from_seconds(0),
                value: None,
                sample_count: 0.0,
            }],
        };
        assert_eq!(
            reason_data(&data),
            r#"{"version":"1.0","queryDate":"1970-01-01T00:00:00.000+0000","unit":"Seconds","statistic":"Sum","period":10,"recentDatapoints":[],"threshold":2.0,"evaluatedDatapoints":[{"timestamp":"1970-01-01T00:00:00.000+0000"}]}"#
        );
    }
}

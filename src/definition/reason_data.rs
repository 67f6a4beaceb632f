//! `StateReasonData` as DescribeAlarms shows it (SPEC section 6.4).

use jiff::Timestamp as Instant;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::alarm::{
    DatapointsData, JavaDouble, Point, QueryResultsData, ReasonData, TriggeringAlarm,
};
use crate::metric::{Statistic, Timestamp, Unit};

/// `StateReasonData` has at most so many characters (SPEC section 6.4).
const CHARACTERS_MAX: usize = 4_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct Datapoints<'a> {
    version: &'static str,
    query_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<&'a str>,
    period: i64,
    recent_datapoints: Vec<Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recent_lower_thresholds: Vec<Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recent_upper_thresholds: Vec<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Number>,
    evaluated_datapoints: Vec<Datapoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Datapoint {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_count: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Number>,
}

/// The datapoints that reason data lists as evaluated, those with a value; none where the text is of another shape.
pub fn evaluated_datapoints(reason_data: &str) -> Vec<(Timestamp, f64)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        #[serde(default)]
        evaluated_datapoints: Vec<Evaluated>,
    }
    #[derive(Deserialize)]
    struct Evaluated {
        timestamp: String,
        value: Option<f64>,
    }
    let Ok(Data {
        evaluated_datapoints,
    }) = serde_json::from_str(reason_data)
    else {
        return Vec::new();
    };
    let datapoint = |Evaluated { timestamp, value }| {
        let at = Instant::strptime("%Y-%m-%dT%H:%M:%S%.f%z", &timestamp).ok()?;
        let at = Timestamp::from_milliseconds(at.as_millisecond());
        Some((at, value?))
    };
    evaluated_datapoints
        .into_iter()
        .filter_map(datapoint)
        .collect()
}

/// A number written as in state reasons.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match RawValue::from_string(JavaDouble(self.0).to_string()) {
            Ok(number) => number.serialize(serializer),
            // Not a number in JSON.
            Err(_) => serializer.serialize_none(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TriggeringAlarms<'a> {
    triggering_alarms: Vec<Triggering<'a>>,
}

#[derive(Serialize)]
struct Triggering<'a> {
    arn: &'a str,
    state: TriggeringState,
}

#[derive(Serialize)]
struct TriggeringState {
    value: &'static str,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "named as CloudWatch names them")]
struct QueryResults {
    threshold: Number,
    query_results_to_evaluate: usize,
    query_results_to_alarm: usize,
    results: Vec<QueryResult>,
}

#[derive(Serialize)]
struct QueryResult {
    status: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Number>,
}

/// The JSON text that CloudWatch puts into the member, with as many datapoints, alarms or results as fit.
pub fn reason_data(data: &ReasonData) -> String {
    match data {
        ReasonData::Datapoints(data) => {
            fitting(&data.evaluated, |evaluated| datapoints(data, evaluated))
        }
        ReasonData::TriggeringAlarms(alarms) => fitting(alarms, |alarms| {
            to_json(&TriggeringAlarms {
                triggering_alarms: alarms.iter().map(triggering).collect(),
            })
        }),
        ReasonData::QueryResults(data) => {
            fitting(&data.results, |results| query_results(data, results))
        }
        ReasonData::Given(text) => text.clone(),
    }
}

/// The text of as many of the first `parts` as do not make it too long.
fn fitting<T>(parts: &[T], text: impl Fn(&[T]) -> String) -> String {
    let whole = text(parts);
    if fits(&whole) {
        return whole;
    }
    let counts: Vec<usize> = (1..parts.len()).collect();
    let most = counts.partition_point(|count| fits(&text(&parts[..*count])));
    text(&parts[..most])
}

fn fits(text: &str) -> bool {
    text.chars().count() <= CHARACTERS_MAX
}

fn datapoints(data: &DatapointsData, evaluated: &[Point]) -> String {
    let oldest_first = || evaluated.iter().rev();
    let bands = || oldest_first().filter_map(|point| point.band);
    to_json(&Datapoints {
        version: "1.0",
        query_date: data.query_date.in_reason_data(),
        start_date: data.start_date.map(Timestamp::in_reason_data),
        unit: data.unit.map(Unit::name),
        statistic: data.statistic.as_ref().map(Statistic::name),
        period: data.period.seconds(),
        recent_datapoints: oldest_first()
            .filter_map(|point| point.value.map(Number))
            .collect(),
        recent_lower_thresholds: bands().map(|band| Number(band.lower)).collect(),
        recent_upper_thresholds: bands().map(|band| Number(band.upper)).collect(),
        threshold: data.threshold.map(Number),
        evaluated_datapoints: evaluated
            .iter()
            .map(|point| datapoint(point, data.statistic.is_some()))
            .collect(),
    })
}

fn datapoint(point: &Point, counts_samples: bool) -> Datapoint {
    Datapoint {
        timestamp: point.start.in_reason_data(),
        sample_count: point
            .value
            .filter(|_| counts_samples)
            .map(|_| Number(point.sample_count)),
        value: point.value.map(Number),
    }
}

fn triggering(TriggeringAlarm { arn, state, at }: &TriggeringAlarm) -> Triggering<'_> {
    Triggering {
        arn,
        state: TriggeringState {
            value: state.name(),
            timestamp: at.in_reason_data(),
        },
    }
}

fn query_results(data: &QueryResultsData, results: &[Point]) -> String {
    let result = |point: &Point| QueryResult {
        status: if point.value.is_some() {
            "COMPLETE"
        } else {
            "FAILED"
        },
        timestamp: point.start.in_reason_data(),
        value: point.value.map(Number),
    };
    to_json(&QueryResults {
        threshold: Number(data.threshold),
        query_results_to_evaluate: data.to_evaluate,
        query_results_to_alarm: data.to_alarm,
        results: results.iter().map(result).collect(),
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Period;

    fn data(period: u32, points: Vec<Point>, unit: Option<Unit>) -> DatapointsData {
        let oldest = points.iter().rev().find(|point| point.value.is_some());
        DatapointsData {
            query_date: Timestamp::from_milliseconds(1_570_035_880_985),
            start_date: oldest.map(|point| point.start),
            unit,
            statistic: Statistic::from_name("Average"),
            period: Period::new(period).unwrap(),
            threshold: Some(50.0),
            evaluated: points,
        }
    }

    fn point(start: i64, value: Option<f64>) -> Point {
        Point {
            start: Timestamp::from_seconds(start),
            value,
            sample_count: 5.0,
            band: None,
        }
    }

    /// The documented sample event (UG26 cloudwatch-and-eventbridge), with the later member `evaluatedDatapoints`.
    #[test]
    fn reason_data_reads_as_documented() {
        let data = data(
            300,
            vec![point(1_570_035_540, Some(99.501_602_296_934_34))],
            None,
        );
        assert_eq!(
            reason_data(&ReasonData::Datapoints(data)),
            r#"{"version":"1.0","queryDate":"2019-10-02T17:04:40.985+0000","startDate":"2019-10-02T16:59:00.000+0000","statistic":"Average","period":300,"recentDatapoints":[99.50160229693434],"threshold":50.0,"evaluatedDatapoints":[{"timestamp":"2019-10-02T16:59:00.000+0000","sampleCount":5.0,"value":99.50160229693434}]}"#
        );
    }

    #[test]
    fn large_numbers_are_written_as_in_reasons() {
        let data = data(60, vec![point(0, Some(2e7))], None);
        let text = reason_data(&ReasonData::Datapoints(data));
        assert!(text.contains(r#""recentDatapoints":[2.0E7],"#), "{text}");
        assert!(
            text.contains(r#""sampleCount":5.0,"value":2.0E7}"#),
            "{text}"
        );
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let data = data(10, vec![point(0, None)], Unit::from_name("Seconds"));
        assert_eq!(
            reason_data(&ReasonData::Datapoints(data)),
            r#"{"version":"1.0","queryDate":"2019-10-02T17:04:40.985+0000","unit":"Seconds","statistic":"Average","period":10,"recentDatapoints":[],"threshold":50.0,"evaluatedDatapoints":[{"timestamp":"1970-01-01T00:00:00.000+0000"}]}"#
        );
    }

    /// The newest ones are listed, in both lists, and the oldest one used still has its date.
    #[test]
    fn datapoints_that_do_not_fit_are_left_out() {
        for value in [Some(0.5), Some(0.123_456_789_012_345_67), None] {
            let points: Vec<Point> = (0..88).map(|i| point(-60 * i, value)).collect();
            let whole = data(60, points, None);
            let text = reason_data(&ReasonData::Datapoints(whole.clone()));
            assert!(fits(&text) && text.len() > CHARACTERS_MAX - 120, "{text}");
            let listed = text.matches("timestamp").count();
            assert_eq!(text, datapoints(&whole, &whole.evaluated[..listed]));
            assert!(!fits(&datapoints(&whole, &whole.evaluated[..=listed])));
        }
    }

    #[test]
    fn the_child_that_brought_it_about_is_named() {
        let child = TriggeringAlarm {
            arn: "arn:aws:cloudwatch:us-east-1:1:alarm:a".into(),
            state: crate::alarm::StateValue::Alarm,
            at: Timestamp::from_milliseconds(1_658_505_465_394),
        };
        assert_eq!(
            reason_data(&ReasonData::TriggeringAlarms(vec![child])),
            r#"{"triggeringAlarms":[{"arn":"arn:aws:cloudwatch:us-east-1:1:alarm:a","state":{"value":"ALARM","timestamp":"2022-07-22T15:57:45.394+0000"}}]}"#
        );
    }
}

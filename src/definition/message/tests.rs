//! Messages beside what SPEC section 16 knows of CloudWatch's.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::*;
use crate::alarm::{Options, StateValue};
use crate::definition::parse;
use crate::metric::Timestamp;
use crate::pipeline::Pipeline;

const METRIC: &str = r#"{"AlarmName": "cpu", "AlarmDescription": "why", "Namespace": "CWBridge", "MetricName": "CPUUtilization",
    "Dimensions": [{"Name": "InstanceId", "Value": "i-1"}], "Statistic": "Average", "Period": 60, "EvaluationPeriods": 2,
    "DatapointsToAlarm": 2, "Threshold": 50, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "breaching",
    "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:ops"]}"#;
const PERCENTILE: &str = r#"{"AlarmName": "p", "Namespace": "n", "MetricName": "m", "ExtendedStatistic": "p99", "Period": 60,
    "EvaluationPeriods": 1, "Threshold": 2e7, "ComparisonOperator": "LessThanThreshold", "Unit": "Seconds",
    "EvaluateLowSampleCountPercentile": "ignore"}"#;
const MATH: &str = r#"{"AlarmName": "math", "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
    "Metrics": [{"Id": "e", "Expression": "m / 2", "Label": "half", "ReturnData": true}, {"Id": "m", "ReturnData": false,
      "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m", "Dimensions": [{"Name": "a", "Value": "b"}]}, "Period": 60, "Stat": "Sum"}}]}"#;
const COMPOSITE: &str = r#"{"AlarmName": "both", "AlarmRule": "ALARM(cpu)"}"#;

/// What is told of the last of these alarms when the first one enters ALARM.
fn told<T>(alarms: &[&str], tell: impl Fn(Told<'_>) -> T) -> T {
    let text = format!("[{}]", alarms.join(","));
    let parsed = parse("a.json", &text).alarms.into_iter();
    let alarms: Vec<_> = parsed.map(|definition| definition.alarm).collect();
    let (first, last) = (alarms[0].name.clone(), alarms.last().unwrap().name.clone());
    let mut pipeline = Pipeline::new(Options {
        region: Some("us-east-1".to_owned()),
        account: Some("123456789012".to_owned()),
        ..Options::default()
    });
    pipeline.set_alarms(alarms, Timestamp::from_seconds(0));
    let at = Timestamp::from_milliseconds(1_500);
    let data = r#"{"version":"1.0"}"#;
    pipeline.advance(&crate::metric::Reading {
        at,
        samples: Vec::new(),
    });
    pipeline.set_state(&first, StateValue::Alarm, "because", Some(data), at);
    let status = pipeline.status(&last).unwrap();
    let change = status.changes().next().unwrap();
    tell(Told {
        status: &status,
        change,
        after_mute_window: false,
        muted_by: None,
    })
}

const OWN: Own<'_> = Own {
    id: "id-1",
    host: "web-1",
    certainty: "determined",
    test: false,
};

fn check(text: &str, expected: Expect) {
    let value: Value = serde_json::from_str(text).unwrap();
    expected.assert_eq(&format!("{value:#}\n"));
    // Members stand in CloudWatch's order, which a sorted map does not show.
    assert!(
        text.starts_with("{\"AlarmName\"")
            || text.starts_with("{\"source\"")
            || text.starts_with("{\"version\""),
        "{text}"
    );
}

#[test]
fn a_metric_alarm_is_told_to_a_topic_as_recorded() {
    check(
        &told(&[METRIC], sns_message),
        expect![[r#"
        {
          "AWSAccountId": "123456789012",
          "ActionExecutedAfterMuteWindow": false,
          "AlarmActions": [
            "arn:aws:sns:us-east-1:123456789012:ops"
          ],
          "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu",
          "AlarmConfigurationUpdatedTimestamp": "1970-01-01T00:00:00.000+0000",
          "AlarmDescription": "why",
          "AlarmName": "cpu",
          "InsufficientDataActions": [],
          "NewStateReason": "because",
          "NewStateValue": "ALARM",
          "OKActions": [],
          "OldStateValue": "INSUFFICIENT_DATA",
          "Region": "US East (N. Virginia)",
          "StateChangeTime": "1970-01-01T00:00:01.500+0000",
          "Trigger": {
            "ComparisonOperator": "GreaterThanThreshold",
            "DatapointsToAlarm": 2,
            "Dimensions": [
              {
                "name": "InstanceId",
                "value": "i-1"
              }
            ],
            "EvaluateLowSampleCountPercentile": "",
            "EvaluationPeriods": 2,
            "MetricName": "CPUUtilization",
            "Namespace": "CWBridge",
            "Period": 60,
            "Statistic": "AVERAGE",
            "StatisticType": "Statistic",
            "Threshold": 50.0,
            "TreatMissingData": "breaching",
            "Unit": null
          }
        }
    "#]],
    );
}

#[test]
fn a_percentile_is_told_by_its_name() {
    check(
        &told(&[PERCENTILE], sns_message),
        expect![[r#"
        {
          "AWSAccountId": "123456789012",
          "ActionExecutedAfterMuteWindow": false,
          "AlarmActions": [],
          "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:p",
          "AlarmConfigurationUpdatedTimestamp": "1970-01-01T00:00:00.000+0000",
          "AlarmDescription": null,
          "AlarmName": "p",
          "InsufficientDataActions": [],
          "NewStateReason": "because",
          "NewStateValue": "ALARM",
          "OKActions": [],
          "OldStateValue": "INSUFFICIENT_DATA",
          "Region": "US East (N. Virginia)",
          "StateChangeTime": "1970-01-01T00:00:01.500+0000",
          "Trigger": {
            "ComparisonOperator": "LessThanThreshold",
            "Dimensions": [],
            "EvaluateLowSampleCountPercentile": "ignore",
            "EvaluationPeriods": 1,
            "ExtendedStatistic": "p99",
            "MetricName": "m",
            "Namespace": "n",
            "Period": 60,
            "StatisticType": "ExtendedStatistic",
            "Threshold": 20000000.0,
            "TreatMissingData": "missing",
            "Unit": "Seconds"
          }
        }
    "#]],
    );
}

#[test]
fn a_math_alarm_is_told_with_its_metrics() {
    check(
        &told(&[MATH], sns_message),
        expect![[r#"
        {
          "AWSAccountId": "123456789012",
          "ActionExecutedAfterMuteWindow": false,
          "AlarmActions": [],
          "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:math",
          "AlarmConfigurationUpdatedTimestamp": "1970-01-01T00:00:00.000+0000",
          "AlarmDescription": null,
          "AlarmName": "math",
          "InsufficientDataActions": [],
          "NewStateReason": "because",
          "NewStateValue": "ALARM",
          "OKActions": [],
          "OldStateValue": "INSUFFICIENT_DATA",
          "Region": "US East (N. Virginia)",
          "StateChangeTime": "1970-01-01T00:00:01.500+0000",
          "Trigger": {
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluateLowSampleCountPercentile": "",
            "EvaluationPeriods": 1,
            "Metrics": [
              {
                "Expression": "m / 2",
                "Id": "e",
                "Label": "half",
                "ReturnData": true
              },
              {
                "Id": "m",
                "MetricStat": {
                  "Metric": {
                    "Dimensions": [
                      {
                        "name": "a",
                        "value": "b"
                      }
                    ],
                    "MetricName": "m",
                    "Namespace": "n"
                  },
                  "Period": 60,
                  "Stat": "Sum"
                },
                "ReturnData": false
              }
            ],
            "Period": 60,
            "Threshold": 5.0,
            "TreatMissingData": "missing"
          }
        }
    "#]],
    );
}

#[test]
fn a_composite_alarm_is_told_with_the_children_that_triggered_it() {
    check(
        &told(&[METRIC, COMPOSITE], sns_message),
        expect![[r#"
        {
          "AWSAccountId": "123456789012",
          "AlarmActions": [],
          "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:both",
          "AlarmDescription": null,
          "AlarmName": "both",
          "AlarmRule": "ALARM(cpu)",
          "InsufficientDataActions": [],
          "NewStateReason": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu transitioned to ALARM at Thursday 01 January, 1970 00:00:01 UTC",
          "NewStateValue": "ALARM",
          "OKActions": [],
          "OldStateValue": "OK",
          "Region": "US East (N. Virginia)",
          "StateChangeTime": "1970-01-01T00:00:01.500+0000",
          "TriggeringChildren": [
            {
              "Arn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu",
              "State": {
                "Timestamp": "1970-01-01T00:00:01.500+0000",
                "Value": "ALARM"
              }
            }
          ]
        }
    "#]],
    );
}

#[test]
fn a_function_is_told_as_recorded() {
    check(
        &told(&[METRIC], lambda_payload),
        expect![[r#"
        {
          "accountId": "123456789012",
          "alarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cpu",
          "alarmData": {
            "alarmName": "cpu",
            "configuration": {
              "description": "why",
              "metrics": [
                {
                  "id": "a68d6bb4-448b-8822-836d-bc797bafadf9",
                  "metricStat": {
                    "metric": {
                      "dimensions": {
                        "InstanceId": "i-1"
                      },
                      "name": "CPUUtilization",
                      "namespace": "CWBridge"
                    },
                    "period": 60,
                    "stat": "Average"
                  },
                  "returnData": true
                }
              ]
            },
            "previousState": {
              "reason": "Unchecked: Initial alarm creation",
              "timestamp": "1970-01-01T00:00:00.000+0000",
              "value": "INSUFFICIENT_DATA"
            },
            "state": {
              "reason": "because",
              "reasonData": "{\"version\":\"1.0\"}",
              "timestamp": "1970-01-01T00:00:01.500+0000",
              "value": "ALARM"
            }
          },
          "region": "us-east-1",
          "source": "aws.cloudwatch",
          "time": "1970-01-01T00:00:01.500+0000"
        }
    "#]],
    );
}

#[test]
fn an_event_has_the_envelope_of_eventbridge() {
    let whole = |told: Told<'_>| event(told, OWN, "cwbridge").whole;
    check(
        &told(&[MATH], whole),
        expect![[r#"
            {
              "account": "123456789012",
              "detail": {
                "alarmName": "math",
                "configuration": {
                  "metrics": [
                    {
                      "expression": "m / 2",
                      "id": "e",
                      "label": "half",
                      "returnData": true
                    },
                    {
                      "id": "m",
                      "metricStat": {
                        "metric": {
                          "dimensions": {
                            "a": "b"
                          },
                          "name": "m",
                          "namespace": "n"
                        },
                        "period": 60,
                        "stat": "Sum"
                      },
                      "returnData": false
                    }
                  ]
                },
                "cwbridge": {
                  "certainty": "determined",
                  "host": "web-1",
                  "id": "id-1",
                  "test": false
                },
                "previousState": {
                  "reason": "Unchecked: Initial alarm creation",
                  "timestamp": "1970-01-01T00:00:00.000+0000",
                  "value": "INSUFFICIENT_DATA"
                },
                "state": {
                  "reason": "because",
                  "reasonData": "{\"version\":\"1.0\"}",
                  "timestamp": "1970-01-01T00:00:01.500+0000",
                  "value": "ALARM"
                }
              },
              "detail-type": "CloudWatch Alarm State Change",
              "id": "id-1",
              "region": "us-east-1",
              "resources": [
                "arn:aws:cloudwatch:us-east-1:123456789012:alarm:math"
              ],
              "source": "cwbridge",
              "time": "1970-01-01T00:00:01Z",
              "version": "0"
            }
        "#]],
    );
    let detail = told(&[METRIC, COMPOSITE], |told| event(told, OWN, "s").detail);
    assert!(detail.contains(r#""alarmRule":"ALARM(cpu)""#), "{detail}");
}

#[test]
fn a_subject_is_short_and_printable() {
    let subject = |told: Told<'_>| sns_subject("[cwbridge] ", told);
    let of = |alarm: &str| told(&[alarm], subject);
    assert_eq!(
        of(METRIC),
        "[cwbridge] ALARM: \"cpu\" in US East (N. Virginia)"
    );
    let long = METRIC.replace("\"cpu\"", &format!("\"{}\"", "\u{e9}".repeat(200)));
    let subject = of(&long);
    assert_eq!(subject.len(), 100);
    assert!(
        subject.ends_with("???...\" in US East (N. Virginia)"),
        "{subject}"
    );
}

//! Samples as PutMetricData takes them (SPEC sections 2.2 and 18).

use std::sync::Arc;

use crate::alarm::validate_namespace;
use crate::finding::{Finding, Report};
use crate::metric::{
    AGE_MAX, AHEAD_MAX, Content, DISTRIBUTION_VALUES_MAX, Metric, Resolution, Sample, StatisticSet,
    Timestamp, Unit, VALUE_MAX,
};
use crate::tree::{self, Node};

/// SPEC section 2.2.
const DATA_MAX: usize = 1_000;
const DIMENSIONS_MAX: usize = 30;

/// What a datum carries: exactly one of these.
const CONTENTS: [&str; 3] = ["Value", "Values", "StatisticValues"];

/// Reads `{"Namespace": …, "MetricData": […]}`. A datum without `Timestamp` is stamped with `now`.
pub fn metric_data(file: &str, text: &str, now: Timestamp) -> Result<Vec<Sample>, Vec<Finding>> {
    let mut report = Report::new(file);
    let samples = tree::yaml(text, &mut report).and_then(|node| read(&node, now, &mut report));
    samples
        .filter(|_| report.findings.is_empty())
        .ok_or(report.findings)
}

fn read(node: &Node, now: Timestamp, report: &mut Report) -> Option<Vec<Sample>> {
    report.table("the request", node)?;
    report.unknown_keys(
        "PutMetricData",
        node,
        &["MetricData", "Namespace", "StrictEntityValidation"],
    );
    let mut required = |member: &str| {
        let found = node.get(member);
        if found.is_none() {
            report.add(node.position, format!("`{member}` is missing"));
        }
        found
    };
    let (namespace, data) = (required("Namespace"), required("MetricData"));
    let namespace = namespace.and_then(|node| {
        let namespace = report.string("Namespace", node)?;
        for refusal in validate_namespace(&namespace) {
            report.add(node.position, format!("`Namespace`: {}", refusal.text));
        }
        Some(namespace)
    });
    let data = report.list("MetricData", data?)?;
    if data.len() > DATA_MAX {
        report.add(
            node.position,
            format!(
                "`MetricData` has {} elements, but at most {DATA_MAX} are allowed",
                data.len()
            ),
        );
    }
    let namespace = namespace?;
    let samples = data.iter().enumerate();
    samples
        .map(|(i, node)| {
            Datum {
                node,
                number: i + 1,
            }
            .sample(&namespace, now, report)
        })
        .collect()
}

/// One element of `MetricData`, counted from 1 as in CloudWatch's answers.
struct Datum<'n> {
    node: &'n Node,
    number: usize,
}

impl Datum<'_> {
    fn sample(&self, namespace: &str, now: Timestamp, report: &mut Report) -> Option<Sample> {
        let node = self.node;
        report.table("MetricData", node)?;
        let name = match node.get("MetricName") {
            Some(name) => report.string("MetricName", name),
            None => {
                report.add(node.position, "`MetricName` is missing");
                None
            }
        };
        let dimensions = match node.get("Dimensions") {
            Some(list) => super::json::dimensions(report, "Dimensions", list),
            None => Some(Vec::new()),
        };
        if dimensions
            .as_ref()
            .is_some_and(|dimensions| dimensions.len() > DIMENSIONS_MAX)
        {
            report.add(
                node.position,
                format!("a datum has more than {DIMENSIONS_MAX} dimensions"),
            );
        }
        let unit = match node.get("Unit") {
            Some(unit) => super::json::unit(report, "Unit", unit),
            None => Some(Unit::NONE),
        };
        let resolution = match node.get("StorageResolution") {
            Some(resolution) => storage_resolution(resolution, report),
            None => Some(Resolution::Standard),
        };
        let at = match node.get("Timestamp") {
            Some(at) => timestamp(at, now, report),
            None => Some(now),
        };
        let content = self.content(report);
        Some(Sample {
            metric: Arc::new(Metric::new(namespace, name?, dimensions?)),
            unit: unit?,
            resolution: resolution?,
            at: at?,
            content: content?,
        })
    }

    fn content(&self, report: &mut Report) -> Option<Content> {
        let given: Vec<&str> = CONTENTS
            .into_iter()
            .filter(|member| self.node.get(member).is_some())
            .collect();
        let number = self.number;
        match given[..] {
            ["Value"] => Some(Content::Value(number_in_range(
                "Value",
                self.node.get("Value")?,
                report,
            )?)),
            ["Values"] => self.values(report),
            ["StatisticValues"] => statistic_set(self.node.get("StatisticValues")?, report),
            [first, second, ..] => {
                let text = format!(
                    "The parameters MetricData.member.{number}.{first} and MetricData.member.{number}.{second} are mutually exclusive and you have specified both."
                );
                report.add(self.node.position, text);
                None
            }
            [] | [_] => {
                report.add(
                    self.node.position,
                    "a datum has none of `Value`, `Values` and `StatisticValues`",
                );
                None
            }
        }
    }

    fn values(&self, report: &mut Report) -> Option<Content> {
        let numbers = |member: &str, report: &mut Report| -> Option<Vec<f64>> {
            let nodes = report.list(member, self.node.get(member)?)?;
            nodes
                .iter()
                .map(|node| number_in_range(member, node, report))
                .collect()
        };
        let values = numbers("Values", report)?;
        if values.len() > DISTRIBUTION_VALUES_MAX {
            let text = format!(
                "`Values` has {} elements, but at most {DISTRIBUTION_VALUES_MAX} are allowed",
                values.len()
            );
            report.add(self.node.position, text);
        }
        let counts = match self.node.get("Counts") {
            Some(_) => numbers("Counts", report)?,
            None => vec![1.0; values.len()],
        };
        if counts.len() != values.len() {
            let number = self.number;
            let text = format!(
                "The parameters MetricData.member.{number}.Values and MetricData.member.{number}.Counts must be of the same size."
            );
            report.add(self.node.position, text);
            return None;
        }
        Some(Content::Values(values.into_iter().zip(counts).collect()))
    }
}

fn storage_resolution(node: &Node, report: &mut Report) -> Option<Resolution> {
    match report.integer("StorageResolution", node, 1..=60)? {
        1 => Some(Resolution::High),
        60 => Some(Resolution::Standard),
        other => {
            report.add(
                node.position,
                format!("`StorageResolution` is {other}, but must be 1 or 60"),
            );
            None
        }
    }
}

fn number_in_range(what: &str, node: &Node, report: &mut Report) -> Option<f64> {
    let number = report.number(what, node)?;
    if number.abs() > VALUE_MAX {
        report.add(
            node.position,
            format!("`{what}` is {number}, but must be within -2^360 to 2^360"),
        );
        return None;
    }
    Some(number)
}

fn statistic_set(node: &Node, report: &mut Report) -> Option<Content> {
    report.table("StatisticValues", node)?;
    let mut number = |member: &str| match node.get(member) {
        Some(node) => number_in_range(member, node, report),
        None => {
            report.add(node.position, format!("`{member}` is missing"));
            None
        }
    };
    let (sample_count, sum) = (number("SampleCount"), number("Sum"));
    let (minimum, maximum) = (number("Minimum"), number("Maximum"));
    Some(Content::StatisticSet(StatisticSet {
        sample_count: sample_count?,
        sum: sum?,
        minimum: minimum?,
        maximum: maximum?,
    }))
}

/// RFC 3339.
fn timestamp(node: &Node, now: Timestamp, report: &mut Report) -> Option<Timestamp> {
    let text = report.string("Timestamp", node)?;
    let at: Option<jiff::Timestamp> = text.parse().ok();
    if at.is_none() {
        report.add(node.position, format!("`Timestamp` is `{text}`, but must be a date and time such as `2026-01-31T18:00:00Z`"));
    }
    let at = Timestamp::from_milliseconds(at?.as_millisecond());
    if !(now - AGE_MAX..=now + AHEAD_MAX).contains(&at) {
        let text = format!(
            "`Timestamp` is `{text}`, but must be from two weeks before {now} to two hours after it"
        );
        report.add(node.position, text);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudwatch_does_not_take_is_told_at_once() {
        let text = r#"{"Namespace": ":n", "MetricData": [
            {"MetricName": "m", "Value": 1, "Timestamp": "2026-01-15T12:00:00Z"},
            {"MetricName": "m", "Value": 1, "Timestamp": "2026-01-01T11:59:59Z"},
            {"MetricName": "m", "Value": 1, "Timestamp": "2026-01-15T14:00:01Z"},
            {"MetricName": "m", "Value": 1, "Timestamp": "noon"}]}"#;
        let now: jiff::Timestamp = "2026-01-15T12:00:00Z".parse().unwrap();
        let now = Timestamp::from_seconds(now.as_second());
        let findings = metric_data("a.json", text, now).unwrap_err();
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        expect_test::expect![[r#"
            a.json:1:15: `Namespace`: `:n` starts with `:`, which a namespace must not
            a.json:3:58: `Timestamp` is `2026-01-01T11:59:59Z`, but must be from two weeks before 2026-01-15T12:00:00Z to two hours after it
            a.json:4:58: `Timestamp` is `2026-01-15T14:00:01Z`, but must be from two weeks before 2026-01-15T12:00:00Z to two hours after it
            a.json:5:58: `Timestamp` is `noon`, but must be a date and time such as `2026-01-31T18:00:00Z`"#]].assert_eq(&told.join("\n"));
    }
}

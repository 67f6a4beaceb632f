//! Alarms in what `terraform show -json` prints of a plan or a state.
//!
//! Terraform writes what is not set as `null`, an empty text, an empty list or, for numbers, 0.

mod unknown;

use crate::finding::{Position, Report};
use crate::tree::{Entry, Node, Value};

use super::values::StandIns;
use super::{Element, Inputs};
use unknown::{Configuration, Plan, Unknown};

const METRIC_ALARM: &str = "aws_cloudwatch_metric_alarm";
const COMPOSITE_ALARM: &str = "aws_cloudwatch_composite_alarm";

/// Modules within modules, at most.
const DEPTH_MAX: usize = 64;

/// Attributes whose names are not simply those of the request in another case.
const RENAMED: [(&str, &str); 5] = [
    (
        "evaluate_low_sample_count_percentiles",
        "EvaluateLowSampleCountPercentile",
    ),
    ("insufficient_data_actions", "InsufficientDataActions"),
    ("metric_query", "Metrics"),
    ("ok_actions", "OKActions"),
    ("return_data", "ReturnData"),
];

/// What Terraform has beside the members of the request.
const NOT_OURS: [&str; 5] = ["Arn", "Id", "Region", "Tags", "TagsAll"];

pub(super) fn is_terraform(document: &Node) -> bool {
    document.get("terraform_version").is_some()
        || document.get("planned_values").is_some()
        || document.get("format_version").is_some()
}

/// The requests that the plan or the state stands for.
pub(super) fn elements(
    document: &Node,
    inputs: &Inputs,
    report: &mut Report,
) -> Option<Vec<Element<'static>>> {
    let values = document
        .get("planned_values")
        .or_else(|| document.get("values"));
    let mut found = Found {
        elements: Vec::new(),
        stand_ins: inputs.stand_ins(),
    };
    match values.and_then(|values| values.get("root_module")) {
        Some(root) => {
            let configuration = document.get("configuration");
            let plan = Plan::new(document);
            let unknown = Unknown {
                plan: &plan,
                configuration: Configuration::new(
                    configuration.and_then(|all| all.get("root_module")),
                ),
                module: String::new(),
            };
            module(root, &unknown, 0, report, &mut found);
        }
        // A state without resources has no values at all.
        None if values.is_none()
            && document.get("format_version").is_some()
            && document.get("resources").is_none() => {}
        None => {
            report.add(
                document.position,
                "this is a state or a plan as it is kept; what `terraform show -json` prints of it is read here",
            );
            return None;
        }
    }
    Some(found.elements)
}

/// What was found so far.
struct Found {
    elements: Vec<Element<'static>>,
    stand_ins: StandIns,
}

fn module(
    node: &Node,
    unknown: &Unknown<'_>,
    depth: usize,
    report: &mut Report,
    found: &mut Found,
) {
    for resource in items(node.get("resources")) {
        let element = element(resource, unknown, found.stand_ins, report);
        found.elements.extend(element);
    }
    for child in items(node.get("child_modules"))
        .iter()
        .filter(|_| depth < DEPTH_MAX)
    {
        let address = text(child, "address").unwrap_or_default();
        // `module.a["b"].module.c[0]` in `module.a["b"]` is `c` there.
        let inner = address.get(unknown.module.len()..).unwrap_or_default();
        let inner = inner.trim_start_matches("module.");
        let call = inner.split('[').next().unwrap_or_default();
        let inside = Unknown {
            plan: unknown.plan,
            configuration: Configuration::new(unknown.configuration.called(call)),
            module: format!("{address}."),
        };
        module(child, &inside, depth + 1, report, found);
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn text<'n>(node: &'n Node, member: &str) -> Option<&'n str> {
    match &node.get(member)?.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn element(
    resource: &Node,
    unknown: &Unknown<'_>,
    stand_ins: StandIns,
    report: &mut Report,
) -> Option<Element<'static>> {
    if text(resource, "mode") == Some("data") {
        // It is only looked up.
        return None;
    }
    let kind = text(resource, "type").filter(|of| [METRIC_ALARM, COMPOSITE_ALARM].contains(of))?;
    report.subject = format!("resource `{}`", text(resource, "address").unwrap_or(kind));
    let mut node = request(&unknown.filled(resource, resource.get("values")?));
    if let Value::Table(entries) = &mut node.value {
        let is_band = entries.iter().any(|entry| entry.key == "ThresholdMetricId");
        entries.retain(|entry| {
            let is_unset = is_band && entry.key == "Threshold" && is_zero(&entry.node);
            !is_unset && !NOT_OURS.contains(&entry.key.as_str())
        });
    }
    node.position = resource.position;
    let element = Element::written(node, stand_ins, "", report);
    report.subject.clear();
    Some(element)
}

fn request(values: &Node) -> Node {
    let entries = values.entries().iter();
    let set =
        entries.filter(|entry| is_set(&entry.node) && !NOT_OURS.contains(&entry.key.as_str()));
    let entries = set.flat_map(members).collect();
    Node {
        position: values.position,
        value: Value::Table(entries),
    }
}

fn is_set(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Table(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn is_zero(node: &Node) -> bool {
    matches!(node.value, Value::Number(number) if number == 0.0)
}

/// What an attribute is in the request.
fn members(
    Entry {
        position,
        key,
        node,
    }: &Entry,
) -> Vec<Entry> {
    let one = |name: &str, node: Node| {
        vec![Entry {
            position: *position,
            key: name.to_owned(),
            node,
        }]
    };
    match key.as_str() {
        "datapoints_to_alarm" | "period" if is_zero(node) => Vec::new(),
        "dimensions" => one("Dimensions", dimensions(node)),
        "metric_query" => one("Metrics", list(node, metric_query)),
        "actions_suppressor" => items(Some(node)).iter().flat_map(suppressor).collect(),
        _ => one(&renamed(key), node.clone()),
    }
}

fn list(node: &Node, each: impl Fn(&Node) -> Node) -> Node {
    Node {
        position: node.position,
        value: Value::List(items(Some(node)).iter().map(each).collect()),
    }
}

fn string(position: Position, text: &str) -> Node {
    Node {
        position,
        value: Value::String(text.to_owned()),
    }
}

/// A table of names and values, as the list that the request has.
fn dimensions(node: &Node) -> Node {
    let dimension = |entry: &Entry| {
        let member = |key: &str, node: Node| Entry {
            position: entry.position,
            key: key.to_owned(),
            node,
        };
        Node {
            position: entry.position,
            value: Value::Table(vec![
                member("Name", string(entry.position, &entry.key)),
                member("Value", entry.node.clone()),
            ]),
        }
    };
    Node {
        position: node.position,
        value: Value::List(node.entries().iter().map(dimension).collect()),
    }
}

/// `metric` is a list of one, and has what `MetricStat` and the metric in it have.
fn metric_query(query: &Node) -> Node {
    let mut node = request(query);
    let Value::Table(entries) = &mut node.value else {
        return node;
    };
    entries.retain(|entry| entry.key != "Metric");
    if !entries.iter().any(|entry| entry.key == "ReturnData") {
        // Not what the API takes for granted.
        entries.push(Entry {
            position: query.position,
            key: "ReturnData".to_owned(),
            node: Node {
                position: query.position,
                value: Value::Bool(false),
            },
        });
    }
    if let Some(metric) = items(query.get("metric")).first() {
        let (of_metric, of_stat): (Vec<Entry>, Vec<Entry>) = match request(metric).value {
            Value::Table(entries) => entries.into_iter().partition(|entry| {
                ["Namespace", "MetricName", "Dimensions"].contains(&entry.key.as_str())
            }),
            _ => return node,
        };
        let table = |entries| Node {
            position: metric.position,
            value: Value::Table(entries),
        };
        let entry = |key: &str, node| Entry {
            position: metric.position,
            key: key.to_owned(),
            node,
        };
        let mut stat = of_stat;
        stat.push(entry("Metric", table(of_metric)));
        entries.push(entry("MetricStat", table(stat)));
    }
    node
}

fn suppressor(node: &Node) -> Vec<Entry> {
    const NAMES: [(&str, &str); 3] = [
        ("alarm", "ActionsSuppressor"),
        ("extension_period", "ActionsSuppressorExtensionPeriod"),
        ("wait_period", "ActionsSuppressorWaitPeriod"),
    ];
    let entry = |(theirs, ours): (&str, &str)| {
        let found = node.get(theirs).filter(|node| is_set(node))?;
        Some(Entry {
            position: found.position,
            key: ours.to_owned(),
            node: found.clone(),
        })
    };
    NAMES.into_iter().filter_map(entry).collect()
}

/// `alarm_name` as `AlarmName`.
fn renamed(key: &str) -> String {
    if let Some((_, ours)) = RENAMED.iter().find(|(theirs, _)| *theirs == key) {
        return (*ours).to_owned();
    }
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    key.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use crate::alarm::Rule;
    use crate::definition::parse;

    const PLAN: &str = r#"{
      "format_version": "1.2", "terraform_version": "1.9.8",
      "planned_values": {"root_module": {
        "resources": [
          {"address": "aws_sns_topic.t", "type": "aws_sns_topic", "values": {}},
          {"address": "aws_cloudwatch_metric_alarm.cpu", "mode": "managed", "type": "aws_cloudwatch_metric_alarm", "name": "cpu",
           "values": {"actions_enabled": true, "alarm_actions": ["arn:aws:sns:eu-west-1:111122223333:a"], "alarm_description": null,
             "alarm_name": "cpu-high", "comparison_operator": "GreaterThanThreshold", "datapoints_to_alarm": 0,
             "dimensions": {"InstanceId": "i-0"}, "evaluate_low_sample_count_percentiles": "", "evaluation_periods": 2,
             "extended_statistic": "", "insufficient_data_actions": [], "metric_name": "CPUUtilization", "metric_query": [],
             "namespace": "AWS/EC2", "ok_actions": null, "period": 300, "statistic": "Average", "tags": null, "threshold": 80,
             "threshold_metric_id": "", "treat_missing_data": "missing", "unit": ""}}],
        "child_modules": [{"address": "module.m", "resources": [
          {"address": "module.m.aws_cloudwatch_metric_alarm.errors", "type": "aws_cloudwatch_metric_alarm",
           "values": {"alarm_name": "errors", "comparison_operator": "GreaterThanThreshold", "evaluation_periods": 1, "threshold": 1,
             "metric_query": [
               {"id": "e", "expression": "m / 2", "label": "", "metric": [], "period": 0, "return_data": true},
               {"id": "m", "expression": "", "metric": [{"namespace": "n", "metric_name": "m", "period": 60, "stat": "Sum", "unit": "",
                 "dimensions": {"d": "v"}}], "return_data": false}]}},
          {"address": "module.m.aws_cloudwatch_composite_alarm.c", "type": "aws_cloudwatch_composite_alarm",
           "values": {"alarm_name": "c", "alarm_rule": "ALARM(errors)",
             "actions_suppressor": [{"alarm": "cpu-high", "extension_period": 60, "wait_period": 60}]}}]}]
      }}}"#;

    #[test]
    fn a_plan_comes_to_its_alarms() {
        let parsed = parse("plan.json", PLAN);
        assert_eq!(parsed.findings, []);
        let names: Vec<_> = parsed
            .alarms
            .iter()
            .map(|found| &*found.alarm.name)
            .collect();
        assert_eq!(names, ["cpu-high", "errors", "c"]);
        let metric = |i: usize| match &parsed.alarms[i].alarm.rule {
            Rule::Metric(rule) => rule,
            _ => panic!("it is on a metric"),
        };
        assert_eq!(
            metric(0).stats()[0].metric.to_string(),
            "AWS/EC2 CPUUtilization {InstanceId=i-0}"
        );
        assert_eq!(metric(0).datapoints_to_alarm, None);
        assert_eq!(metric(1).stats()[0].metric.to_string(), "n m {d=v}");
        assert_eq!(
            parsed.alarms[2].alarm.suppressor().unwrap().alarm,
            "cpu-high"
        );
    }

    #[test]
    fn what_terraform_leaves_out_is_what_it_sends() {
        let plan = PLAN
            .replace(r#""return_data": false"#, r#""return_data": null"#)
            .replace(r#""mode": "managed""#, r#""mode": "data""#);
        let parsed = parse("plan.json", &plan);
        assert_eq!(parsed.findings, []);
        assert_eq!(parsed.alarms.len(), 2);
    }

    #[test]
    fn a_state_is_read_like_a_plan() {
        let state = PLAN.replace("planned_values", "values");
        assert_eq!(parse("s.json", &state).alarms.len(), 3);
        let empty = parse(
            "s.json",
            r#"{"format_version": "1.0", "terraform_version": "1.9.8"}"#,
        );
        assert_eq!((empty.alarms.len(), empty.findings.len()), (0, 0));
    }
}

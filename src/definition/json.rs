//! Alarms and mute rules as CloudWatch's API has them: the output of `aws cloudwatch describe-alarms`, and the input of
//! `put-metric-alarm`, `put-composite-alarm`, `put-log-alarm` and `put-alarm-mute-rule`. Every other format is brought to this.

mod composite;
mod metric;
mod metrics;
mod mute;
mod queries;
mod reader;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::alarm::{Account, Alarm, Rule, validate_common};
use crate::finding::{Position, Report};
use crate::tree::{self, Entry, Node, Value};

use super::request::request;
use super::values::StandIns;
use super::{Definition, Element, MuteDefinition, Parsed, template, terraform};

pub(super) use metric::{dimensions, unit};

pub(super) use reader::Form;
use reader::Reader;

/// The lists in the output of describe-alarms.
const DESCRIBED: [&str; 3] = ["MetricAlarms", "CompositeAlarms", "LogAlarms"];

/// Reads one file in any format that alarms are written in, which it recognises: an alarm, a mute rule or a list of them as the
/// API has them, what describe-alarms prints, a CloudFormation template, or what `terraform show -json` prints. What is sound
/// is returned beside the findings about the rest. Nothing is known of the account.
pub fn parse(file: &str, text: &str) -> Parsed {
    parse_with(file, text, &Inputs::default())
}

/// The same, for an account of which something is known.
pub fn parse_in(file: &str, text: &str, account: &Account) -> Parsed {
    let inputs = Inputs {
        account: account.clone(),
        ..Inputs::default()
    };
    parse_with(file, text, &inputs)
}

/// What is known besides the file.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub account: Account,
    /// Of a template, by name.
    pub parameters: BTreeMap<String, String>,
    /// Whether the requests are wanted beside what they mean.
    pub keeps_requests: bool,
    /// Whether something stands in for what is not known, so that the rest can be looked at; an alarm is not the one that is
    /// meant, then.
    pub stands_in: bool,
}

impl Inputs {
    pub(super) fn stand_ins(&self) -> StandIns {
        match self.stands_in {
            true => StandIns::Any,
            false => StandIns::None,
        }
    }
}

/// The same, with everything that is known.
pub fn parse_with(file: &str, text: &str, inputs: &Inputs) -> Parsed {
    let mut report = Report::new(file);
    let mut parsed = Parsed::default();
    if let Some(document) = tree::yaml(text, &mut report) {
        let elements = if template::is_template(&document) {
            parsed.parameters = template::declared(&document);
            parsed.types = template::types(&document);
            Some(template::elements(&document, inputs, &mut report))
        } else if terraform::is_terraform(&document) {
            terraform::elements(&document, inputs, &mut report)
        } else {
            elements(&document, &mut report)
        };
        parsed.is_readable = elements.is_some();
        for element in elements.into_iter().flatten() {
            add(element, inputs, &mut report, &mut parsed);
        }
    }
    report.findings.sort_by_key(|finding| finding.position);
    report.unresolved.sort_by_key(|finding| finding.position);
    (parsed.findings, parsed.unresolved) = (report.findings, report.unresolved);
    parsed.unknown = report.unknown;
    parsed
}

/// The elements of a document of the API; `None` where it is none.
fn elements<'n>(document: &'n Node, report: &mut Report) -> Option<Vec<Element<'n>>> {
    let element = |node: &'n Node, form| Element {
        node: Cow::Borrowed(node),
        form,
        allowed: Vec::new(),
        is_whole: true,
        unknown: Vec::new(),
        is_conditional: false,
    };
    let described: Vec<&Node> = DESCRIBED
        .iter()
        .filter_map(|list| document.get(list))
        .collect();
    if !described.is_empty() {
        let lists = described
            .into_iter()
            .filter_map(|node| report.list("the list of alarms", node));
        let elements = lists.flatten().map(|node| element(node, Form::Description));
        return Some(elements.collect());
    }
    match &document.value {
        Value::List(nodes) => {
            // One that is none does not hide the others.
            let of = nodes.iter().map(|node| match &node.value {
                Value::Table(_) if !is_request(node) && !is_described(node) => {
                    vec![element(node, Form::Request)]
                }
                _ => elements(node, report).unwrap_or_default(),
            });
            Some(of.flatten().collect())
        }
        // Only CloudWatch gives an alarm or a mute rule its ARN.
        Value::Table(_) if is_described(document) => {
            Some(vec![element(document, Form::Description)])
        }
        Value::Table(_) if is_request(document) => Some(vec![element(document, Form::Request)]),
        Value::Table(_) => {
            report.add(
                document.position,
                format!("this is none of what is read here: {EXPECTED}"),
            );
            None
        }
        found => {
            report.add(
                document.position,
                format!("{found} found, but {EXPECTED} is expected"),
            );
            None
        }
    }
}

fn is_described(node: &Node) -> bool {
    let lists = DESCRIBED.iter().chain(&["AlarmArn", "AlarmMuteRuleArn"]);
    lists.into_iter().any(|member| node.get(member).is_some())
}

const EXPECTED: &str = "an alarm, a list of alarms, the output of `aws cloudwatch describe-alarms`, a CloudFormation template or the output of `terraform show -json`";

/// Whether it has a member that only requests for alarms and mute rules have.
fn is_request(node: &Node) -> bool {
    const TELLING: [&str; 12] = [
        "AlarmActions",
        "AlarmName",
        "AlarmRule",
        "ComparisonOperator",
        "EvaluationCriteria",
        "EvaluationPeriods",
        "MetricName",
        "Metrics",
        "MuteTargets",
        "Rule",
        "ScheduledQueryConfiguration",
        "Threshold",
    ];
    let is_telling = |entry: &Entry| {
        TELLING
            .iter()
            .any(|name| strsim::damerau_levenshtein(name, &entry.key) <= 1)
    };
    node.entries().iter().any(is_telling)
}

fn add(
    Element {
        node,
        form,
        allowed,
        is_whole,
        unknown,
        is_conditional,
    }: Element<'_>,
    inputs: &Inputs,
    report: &mut Report,
    parsed: &mut Parsed,
) {
    let request = inputs.keeps_requests.then(|| request(&node));
    if matches!(node, Cow::Owned(_)) {
        placeholders(&node, &mut parsed.placeholders);
    }
    if mute::is_mute_rule(&node) {
        let mute_rule = is_whole.then(|| mute::mute_rule(&node, form, report));
        parsed
            .mute_rules
            .extend(mute_rule.flatten().map(|rule| MuteDefinition {
                rule,
                file: report.file.clone(),
                position: node.position,
                allowed,
                request,
            }));
    } else {
        let read = is_whole.then(|| definition(&node, form, &inputs.account, report));
        match read.flatten() {
            Some(definition) => parsed.alarms.push(Definition {
                allowed,
                request,
                unknown,
                is_conditional,
                ..definition
            }),
            None => parsed.unread.extend(name(&node).map(str::to_owned)),
        }
    }
    report.subject.clear();
}

fn definition(
    node: &Node,
    form: Form,
    account: &Account,
    report: &mut Report,
) -> Option<Definition> {
    let sound = report.findings.len();
    report.table("the alarm", node)?;
    report.subject = match name(node) {
        Some(name) => format!("alarm `{name}`"),
        None => "the alarm".to_owned(),
    };
    let alarm = alarm(&mut Reader { node, form, report }, account);
    let alarm = alarm.filter(|_| report.findings.len() == sound)?;
    Some(Definition {
        alarm,
        file: report.file.clone(),
        position: node.position,
        places: places(node),
        allowed: Vec::new(),
        request: None,
        unknown: Vec::new(),
        is_conditional: false,
    })
}

fn name(node: &Node) -> Option<&str> {
    match &node.get("AlarmName")?.value {
        Value::String(name) => Some(name),
        _ => None,
    }
}

/// Adds what stands for values that are not known here.
fn placeholders(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::String(text) => {
            let parts = text.split("${").skip(1);
            let names = parts.filter_map(|part| part.split_once('}'));
            found.extend(names.map(|(name, _)| format!("${{{name}}}")));
        }
        Value::List(items) => items.iter().for_each(|item| placeholders(item, found)),
        Value::Table(entries) => {
            for entry in entries {
                placeholders(&entry.node, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn places(node: &Node) -> Vec<(String, Position)> {
    let mut places: Vec<(String, Position)> = Vec::new();
    let mut add = |before: &str, of: &Node| {
        let place = |entry: &Entry| (format!("{before}{}", entry.key), entry.node.position);
        places.extend(of.entries().iter().map(place));
    };
    add("", node);
    let queries = match node.get("Metrics").map(|queries| &queries.value) {
        Some(Value::List(queries)) => queries.as_slice(),
        _ => &[],
    };
    for query in queries {
        let Some(Value::String(id)) = query.get("Id").map(|id| &id.value) else {
            continue;
        };
        let before = format!("Metrics.{id}.");
        add(&before, query);
        let stat = query.get("MetricStat");
        let metric = stat.and_then(|stat| stat.get("Metric"));
        for of in stat.into_iter().chain(metric) {
            add(&before, of);
        }
    }
    places
}

/// Reads an alarm of any kind. What could be read is checked even where the rest could not.
fn alarm(reader: &mut Reader<'_>, account: &Account) -> Option<Alarm> {
    let name = reader.required("AlarmName", Report::string);
    let arn = reader.optional("AlarmArn", Report::string);
    let description = reader.optional("AlarmDescription", Report::string);
    let actions = reader.actions();
    let rule = rule(reader);
    let alarm = match (&name, rule) {
        (Some(name), Some(rule)) => Some(Alarm {
            name: name.clone(),
            arn,
            description: description.clone(),
            actions: actions.clone(),
            rule,
            not_here: None,
        }),
        _ => None,
    };
    let refusals = match &alarm {
        Some(alarm) => alarm.validate(account),
        None => validate_common(
            name.as_deref().unwrap_or("?"),
            description.as_deref(),
            &actions,
            account,
        ),
    };
    for refusal in refusals {
        reader.refuse(refusal.member, refusal.text);
    }
    alarm
}

fn rule(reader: &mut Reader<'_>) -> Option<Rule> {
    if reader.has("AlarmRule") {
        composite::composite(reader).map(Rule::Composite)
    } else if reader.has("ScheduledQueryConfiguration") {
        queries::log_alarm(reader).map(Rule::Log)
    } else if reader.has("EvaluationCriteria") {
        queries::promql_alarm(reader).map(Rule::PromQl)
    } else {
        metric::metric_alarm(reader).map(Rule::Metric)
    }
}

#[cfg(test)]
mod tests;

//! Alarms and mute rules in JSON: the output of `aws cloudwatch describe-alarms`, and the input of `put-metric-alarm`,
//! `put-composite-alarm`, `put-log-alarm` and `put-alarm-mute-rule`.

mod composite;
mod metric;
mod metrics;
mod mute;
mod queries;
mod reader;

use crate::alarm::{Account, Alarm, Rule, validate_common};
use crate::finding::Report;
use crate::tree::{self, Node, Value};

use super::{Definition, Parsed};

pub(super) use metric::{dimensions, unit};

use reader::{Form, Reader};

/// The lists in the output of describe-alarms.
const DESCRIBED: [&str; 3] = ["MetricAlarms", "CompositeAlarms", "LogAlarms"];

/// Reads one file: an alarm, a mute rule, a list of them, or what describe-alarms prints. What is sound is returned beside
/// the findings about the rest. Nothing is known of the account.
pub fn parse(file: &str, text: &str) -> Parsed {
    parse_in(file, text, &Account::default())
}

/// The same, for an account of which something is known.
pub fn parse_in(file: &str, text: &str, account: &Account) -> Parsed {
    let mut report = Report::new(file);
    let mut parsed = Parsed::default();
    if let Some(document) = tree::json(text, &mut report) {
        for (node, form) in elements(&document, &mut report) {
            element(node, form, account, &mut report, &mut parsed);
        }
    }
    report.findings.sort_by_key(|finding| finding.position);
    parsed.findings = report.findings;
    parsed
}

fn elements<'n>(document: &'n Node, report: &mut Report) -> Vec<(&'n Node, Form)> {
    let described: Vec<&Node> = DESCRIBED
        .iter()
        .filter_map(|list| document.get(list))
        .collect();
    if !described.is_empty() {
        let lists = described
            .into_iter()
            .filter_map(|node| report.list("the list of alarms", node));
        return lists
            .flatten()
            .map(|node| (node, Form::Description))
            .collect();
    }
    match &document.value {
        Value::List(nodes) => nodes
            .iter()
            .flat_map(|node| elements(node, report))
            .collect(),
        // Only CloudWatch gives an alarm or a mute rule its ARN.
        Value::Table(_)
            if ["AlarmArn", "AlarmMuteRuleArn"]
                .iter()
                .any(|arn| document.get(arn).is_some()) =>
        {
            vec![(document, Form::Description)]
        }
        Value::Table(_) => vec![(document, Form::Request)],
        found => {
            report.add(document.position, format!("{found} found, but an alarm, a list of alarms or the output of `aws cloudwatch describe-alarms` is expected"));
            Vec::new()
        }
    }
}

fn element(node: &Node, form: Form, account: &Account, report: &mut Report, parsed: &mut Parsed) {
    if mute::is_mute_rule(node) {
        parsed
            .mute_rules
            .extend(mute::mute_rule(node, form, report));
    } else {
        parsed
            .alarms
            .extend(definition(node, form, account, report));
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
    report.subject = match node.get("AlarmName").map(|name| &name.value) {
        Some(Value::String(name)) => format!("alarm `{name}`"),
        _ => "the alarm".to_owned(),
    };
    let alarm = alarm(&mut Reader { node, form, report }, account);
    let alarm = alarm.filter(|_| report.findings.len() == sound)?;
    Some(Definition {
        alarm,
        file: report.file.clone(),
        position: node.position,
    })
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

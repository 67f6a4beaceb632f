//! Alarms in CloudFormation and SAM templates, also those that CDK writes.
//!
//! The properties of the resources are the members of the requests, so that a template comes to a list of requests once its
//! functions are computed. What is only known when the stack is there stands as a placeholder, `${Instance}`.

mod conditions;
mod functions;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::finding::{Position, Report};
use crate::tree::{Entry, Node, Value};

use super::{Allowed, Element, Inputs};

/// What the AWS documentation calls the type, and what the resource is here.
const TYPES: [&str; 3] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::AlarmMuteRule",
];

/// So many letters from the name of a type are a typing error.
const TYPE_DISTANCE_MAX: usize = 2;

/// The member that names a resource.
const NAMES: [&str; 3] = ["AlarmName", "AlarmName", "Name"];

/// The parameters that CloudFormation gives.
const PSEUDO: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// The longest text that functions may come to, in bytes.
const TEXT_MAX: usize = 1 << 16;

/// Functions within functions, and conditions within conditions, at most.
const DEPTH_MAX: usize = 64;

pub(super) fn is_template(document: &Node) -> bool {
    let resources = document.get("Resources").map(|node| &node.value);
    matches!(resources, Some(Value::Table(_))) || document.get("AWSTemplateFormatVersion").is_some()
}

/// The parameters that the template declares, and those that every template has.
pub(super) fn declared(document: &Node) -> BTreeSet<String> {
    let own = document.get("Parameters").map_or(&[][..], Node::entries);
    let own = own.iter().map(|parameter| parameter.key.clone());
    own.chain(PSEUDO.map(str::to_owned)).collect()
}

/// The types of the resources, by what stands for a reference to them.
pub(super) fn types(document: &Node) -> BTreeMap<String, String> {
    let resources = document.get("Resources").map_or(&[][..], Node::entries);
    let of = |resource: &Entry| match &resource.node.get("Type")?.value {
        Value::String(of) => Some((format!("${{{}}}", resource.key), of.clone())),
        _ => None,
    };
    resources.iter().filter_map(of).collect()
}

/// The requests that the template stands for.
pub(super) fn elements(
    document: &Node,
    inputs: &Inputs,
    report: &mut Report,
) -> Vec<Element<'static>> {
    let resources = document.get("Resources").map_or(&[][..], Node::entries);
    let mut template = Template::new(document, &inputs.parameters, report);
    let mut found = Vec::new();
    for resource in resources {
        template.tell_repetition(resource);
        let Some(kind) = kind(&resource.node) else {
            template.tell_type(resource);
            continue;
        };
        let is_there = template.is_there(&resource.node);
        if is_there == Some(false) {
            continue;
        }
        template.report.subject = format!("resource `{}`", resource.key);
        if let Some(node) = template.request(resource, kind) {
            let hint = "; `--parameter NAME=VALUE` gives a parameter of a template";
            found.push(Element {
                allowed: allowed(&resource.node, template.report),
                is_conditional: is_there.is_none(),
                ..Element::written(node, inputs.stand_ins(), hint, template.report)
            });
        }
        template.report.subject.clear();
    }
    found
}

/// The place of its type in [`TYPES`].
fn kind(resource: &Node) -> Option<usize> {
    match &resource.get("Type")?.value {
        Value::String(of) => TYPES.iter().position(|known| known == of),
        _ => None,
    }
}

struct Template<'a> {
    resources: HashMap<&'a str, &'a Entry>,
    /// What the template declares beside its resources, and whether there may be more than it declares.
    declared: BTreeSet<String>,
    makes_more: bool,
    conditions: Option<&'a Node>,
    mappings: Option<&'a Node>,
    parameters: BTreeMap<String, Node>,
    /// The conditions that were asked for so far.
    held: BTreeMap<String, Option<bool>>,
    /// Of the alarms that others named so far; `None` while it is computed, and if it cannot be.
    names: BTreeMap<String, Option<String>>,
    /// Whether something could not be computed at all.
    is_circular: bool,
    report: &'a mut Report,
}

impl<'a> Template<'a> {
    fn new(document: &'a Node, given: &BTreeMap<String, String>, report: &'a mut Report) -> Self {
        let resources = document.get("Resources").map_or(&[][..], Node::entries);
        let mut template = Self {
            resources: resources
                .iter()
                .map(|entry| (entry.key.as_str(), entry))
                .collect(),
            declared: declared(document),
            makes_more: document.get("Transform").is_some() || resources.iter().any(repeats),
            conditions: document.get("Conditions"),
            mappings: document.get("Mappings"),
            parameters: BTreeMap::new(),
            held: BTreeMap::new(),
            names: BTreeMap::new(),
            is_circular: false,
            report,
        };
        for parameter in document.get("Parameters").map_or(&[][..], Node::entries) {
            // Of a parameter of Systems Manager the default is its name, and the value is only known there.
            if let Some(default) = parameter
                .node
                .get("Default")
                .filter(|_| !is_elsewhere(&parameter.node))
            {
                let value = list_of(&parameter.node, default);
                template.parameters.insert(parameter.key.clone(), value);
            }
        }
        for (name, value) in given {
            let declared = document.get("Parameters").and_then(|all| all.get(name));
            template.check_allowed(name, value, declared);
            let node = Node {
                position: declared.map_or_else(Position::default, |declared| declared.position),
                value: Value::String(value.clone()),
            };
            let node = declared.map_or(node.clone(), |declared| list_of(declared, &node));
            template.parameters.insert(name.clone(), node);
        }
        template
    }

    fn check_allowed(&mut self, name: &str, value: &str, declared: Option<&Node>) {
        let Some(Node {
            position,
            value: Value::List(allowed),
        }) = declared.and_then(|declared| declared.get("AllowedValues"))
        else {
            return;
        };
        let allowed: Vec<String> = allowed.iter().filter_map(functions::text_of).collect();
        if !allowed.iter().any(|allowed| allowed == value) {
            let allowed = allowed.join("`, `");
            let text = format!("parameter `{name}` is `{value}`, but only `{allowed}` are allowed");
            self.report.add(*position, text);
        }
    }

    /// Whether its condition holds, where that is known.
    fn is_there(&mut self, resource: &Node) -> Option<bool> {
        match resource.get("Condition") {
            Some(Node {
                position,
                value: Value::String(name),
            }) => self.condition(name, *position, 0),
            _ => Some(true),
        }
    }

    /// A type that is nearly that of an alarm would be left out without a word.
    fn tell_type(&mut self, resource: &Entry) {
        let Some(Node {
            position,
            value: Value::String(of),
        }) = resource.node.get("Type")
        else {
            return;
        };
        // Of most types the length alone tells that they are others.
        let is_near = |known: &str| {
            known.len().abs_diff(of.len()) <= TYPE_DISTANCE_MAX
                && strsim::damerau_levenshtein(of, known) <= TYPE_DISTANCE_MAX
        };
        if let Some(known) = TYPES.iter().find(|known| is_near(known)) {
            let text = format!("there is no type `{of}`; did you mean `{known}`?");
            self.report.add(*position, text);
        }
    }

    /// What a loop makes is not looked at, which has to be said.
    fn tell_repetition(&mut self, resource: &Entry) {
        if repeats(resource) {
            let text = format!(
                "`{}` is not expanded here: what it makes is not read; `aws cloudformation get-template --template-stage Processed` has it expanded",
                resource.key
            );
            self.report.add_unresolved(resource.position, text);
        }
    }

    /// The request of a resource; `None` where it cannot be read as one.
    fn request(&mut self, resource: &Entry, kind: usize) -> Option<Node> {
        let properties = resource.node.get("Properties");
        self.is_circular = false;
        let mut node = match properties {
            Some(properties) => self.computed(properties, 0).filter(|_| !self.is_circular)?,
            None => Node {
                position: resource.position,
                value: Value::Table(Vec::new()),
            },
        };
        node.position = resource.position;
        if let Value::Table(entries) = &mut node.value
            && !entries.iter().any(|entry| entry.key == NAMES[kind])
        {
            // CloudFormation makes a name of the stack's, this one and random letters.
            entries.push(Entry {
                position: resource.position,
                key: NAMES[kind].to_owned(),
                node: Node {
                    position: resource.position,
                    value: Value::String(resource.key.clone()),
                },
            });
        }
        Some(node)
    }

    /// The name of an alarm that the template makes; found once, for others may name it often.
    fn alarm_name(&mut self, resource: &Entry, depth: usize) -> Option<String> {
        let kind = kind(&resource.node)?;
        match self.names.get(&resource.key) {
            Some(Some(name)) => return Some(name.clone()),
            Some(None) => {
                self.is_circular = true;
                let text = format!(
                    "the name of `{}` is made of itself, in a circle",
                    resource.key
                );
                self.report.add(resource.position, text);
                return None;
            }
            None => {}
        }
        self.names.insert(resource.key.clone(), None);
        let name = resource.node.get("Properties")?.get(NAMES[kind]);
        let name = match name.map(|name| self.computed(name, depth)) {
            Some(Some(Node {
                value: Value::String(name),
                ..
            })) => name,
            _ => resource.key.clone(),
        };
        if !self.is_circular {
            self.names.insert(resource.key.clone(), Some(name.clone()));
        }
        Some(name)
    }
}

/// Whether it is a loop that makes resources.
fn repeats(resource: &Entry) -> bool {
    resource.key.starts_with("Fn::ForEach")
}

fn is_elsewhere(parameter: &Node) -> bool {
    matches!(parameter.get("Type").map(|of| &of.value), Some(Value::String(of)) if of.starts_with("AWS::SSM::"))
}

/// A list that is given as one text, `a,b`.
fn list_of(parameter: &Node, given: &Node) -> Node {
    let is_list = match parameter.get("Type").map(|of| &of.value) {
        Some(Value::String(of)) => of == "CommaDelimitedList" || of.starts_with("List<"),
        _ => false,
    };
    let Value::String(text) = &given.value else {
        return given.clone();
    };
    if !is_list {
        return given.clone();
    }
    let item = |item: &str| Node {
        position: given.position,
        value: Value::String(item.trim().to_owned()),
    };
    Node {
        position: given.position,
        value: Value::List(text.split(',').map(item).collect()),
    }
}

/// `Metadata: {cwbridge: {allow: [{rule: ID, until: DATE}]}}`, or the rule's id alone.
fn allowed(resource: &Node, report: &mut Report) -> Vec<Allowed> {
    let ours = resource
        .get("Metadata")
        .and_then(|metadata| metadata.get("cwbridge"))
        .and_then(|ours| ours.get("allow"));
    let Some(list) = ours.and_then(|list| report.list("allow", list)) else {
        return Vec::new();
    };
    let one = |node: &Node| match &node.value {
        Value::String(rule) => Some(Allowed {
            rule: rule.clone(),
            until: None,
            position: node.position,
        }),
        Value::Table(_) => Some(Allowed {
            rule: {
                report.unknown_keys("what is allowed", node, &["rule", "until"]);
                report.string("rule", node.get("rule")?)?
            },
            until: match node.get("until") {
                Some(until) => Some(report.string("until", until)?),
                None => None,
            },
            position: node.position,
        }),
        _ => None,
    };
    list.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests;

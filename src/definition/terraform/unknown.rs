//! What a plan leaves open: values that are only known once it is applied.
//!
//! A plan has no value for them, just a note that there will be one. The configuration, which the plan carries too, says what
//! they are made of, so that `aws_sns_topic.pages.arn` stands as the placeholder `${aws_sns_topic.pages.arn}`.

use std::collections::HashMap;

use crate::finding::Position;
use crate::tree::{Entry, Node, Value};

use super::{DEPTH_MAX, items, text};

/// The part of a plan that says what is unknown of one resource, and where its values come from.
pub(super) struct Unknown<'a> {
    pub(super) plan: &'a Plan<'a>,
    /// That of the resource's module.
    pub(super) configuration: Configuration<'a>,
    /// The address of the module, with a dot after it; empty for the root.
    pub(super) module: String,
}

/// What is unknown of each resource, by its address.
pub(super) struct Plan<'a>(HashMap<&'a str, &'a Node>);

impl<'a> Plan<'a> {
    pub(super) fn new(document: &'a Node) -> Self {
        let changes = items(document.get("resource_changes")).iter();
        let unknown = |change: &'a Node| {
            let unknown = change.get("change")?.get("after_unknown")?;
            Some((text(change, "address")?, unknown))
        };
        Self(changes.filter_map(unknown).collect())
    }
}

/// The configuration of a module.
pub(super) struct Configuration<'a> {
    module: Option<&'a Node>,
    /// What each resource's values are made of, by its type and its name.
    expressions: HashMap<(&'a str, &'a str), &'a Node>,
}

impl<'a> Configuration<'a> {
    pub(super) fn new(module: Option<&'a Node>) -> Self {
        let resources = items(module.and_then(|module| module.get("resources"))).iter();
        let managed = resources.filter(|resource| text(resource, "mode") != Some("data"));
        let expressions = managed.filter_map(|resource| {
            let of = (text(resource, "type")?, text(resource, "name")?);
            Some((of, resource.get("expressions")?))
        });
        Self {
            module,
            expressions: expressions.collect(),
        }
    }

    /// That of a module that this one calls.
    pub(super) fn called(&self, call: &str) -> Option<&'a Node> {
        self.module?.get("module_calls")?.get(call)?.get("module")
    }
}

impl Unknown<'_> {
    /// The values of a resource with placeholders for what is unknown.
    pub(super) fn filled(&self, resource: &Node, values: &Node) -> Node {
        let address = text(resource, "address").unwrap_or_default();
        let Some(unknown) = self.plan.0.get(address) else {
            return values.clone();
        };
        let expressions = self.expressions(resource);
        let mut filled = values.clone();
        let Value::Table(entries) = &mut filled.value else {
            return filled;
        };
        for Entry { key, node, .. } in unknown.entries() {
            // What is not configured is not set: the provider finds a value for it.
            let Some(expression) = expressions.and_then(|all| all.get(key)) else {
                continue;
            };
            let path = format!("{address}.{key}");
            let name = self.reference(expression).unwrap_or(path);
            let known = entries.iter().position(|entry| entry.key == *key);
            let before = known.map(|place| entries.swap_remove(place).node);
            let position = before
                .as_ref()
                .map_or(values.position, |node| node.position);
            let Some(node) = merged(before, node, key, &name, position, 0) else {
                continue;
            };
            entries.push(Entry {
                position,
                key: key.clone(),
                node,
            });
        }
        filled
    }

    fn expressions(&self, resource: &Node) -> Option<&Node> {
        let of = (text(resource, "type")?, text(resource, "name")?);
        self.configuration.expressions.get(&of).copied()
    }

    /// The one thing that an expression names, if it is one and the same for each instance.
    fn reference(&self, expression: &Node) -> Option<String> {
        let references = items(expression.get("references")).iter();
        let names: Vec<&str> = references
            .filter_map(|node| match &node.value {
                Value::String(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        // `a.b.c` is followed by `a.b`, which it belongs to.
        let is_whole = |name: &&str| !names.iter().any(|other| is_part(other, name));
        let mut whole = names.iter().copied().filter(is_whole);
        let name = whole.next()?;
        let is_of_instance = ["count.", "each.", "self."].map(|of| name.starts_with(of));
        (whole.next().is_none() && !is_of_instance.contains(&true))
            .then(|| format!("{}{name}", self.module))
    }
}

/// Whether `longer` says more exactly what `name` says.
fn is_part(longer: &str, name: &str) -> bool {
    longer
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// A value with placeholders where `unknown` is true; nothing where nothing is there and nothing unknown.
fn merged(
    value: Option<Node>,
    unknown: &Node,
    key: &str,
    name: &str,
    position: Position,
    depth: usize,
) -> Option<Node> {
    if depth > DEPTH_MAX {
        return value;
    }
    match &unknown.value {
        Value::Bool(true) => Some(placeholder(key, name, position)),
        Value::List(of) => {
            let known = match value.map(|node| node.value) {
                Some(Value::List(known)) => known,
                _ => Vec::new(),
            };
            let mut known = known.into_iter();
            let mut list: Vec<Node> = of
                .iter()
                .enumerate()
                .filter_map(|(place, unknown)| {
                    let name = match of.len() {
                        1 => name.to_owned(),
                        _ => format!("{name}[{place}]"),
                    };
                    merged(known.next(), unknown, key, &name, position, depth + 1)
                })
                .collect();
            list.extend(known);
            Some(Node {
                position,
                value: Value::List(list),
            })
        }
        Value::Table(of) => {
            let mut entries = match value.map(|node| node.value) {
                Some(Value::Table(known)) => known,
                _ => Vec::new(),
            };
            for Entry { key, node, .. } in of {
                let known = entries.iter().position(|entry| entry.key == *key);
                let before = known.map(|place| entries.swap_remove(place).node);
                let name = format!("{name}.{key}");
                if let Some(node) = merged(before, node, key, &name, position, depth + 1) {
                    entries.push(Entry {
                        position,
                        key: key.clone(),
                        node,
                    });
                }
            }
            Some(Node {
                position,
                value: Value::Table(entries),
            })
        }
        _ => value,
    }
}

fn placeholder(key: &str, name: &str, position: Position) -> Node {
    let text = Node {
        position,
        value: Value::String(format!("${{{name}}}")),
    };
    match key {
        // Neither their names are known nor how many there are.
        "dimensions" => Node {
            position,
            value: Value::Table(vec![Entry {
                position,
                key: format!("${{{name}}}"),
                node: text,
            }]),
        },
        _ => text,
    }
}

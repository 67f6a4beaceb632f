//! What a plan leaves open: values that are only known once it is applied.
//!
//! A plan has no value for them, just a note that there will be one. The configuration, which the plan carries too, says what
//! they are made of, so that `aws_sns_topic.pages.arn` stands as the placeholder `${aws_sns_topic.pages.arn}`.

use crate::finding::Position;
use crate::tree::{Entry, Node, Value};

use super::{DEPTH_MAX, items, text};

/// The part of a plan that says what is unknown of one resource, and where its values come from.
pub(super) struct Unknown<'a> {
    pub(super) plan: &'a Node,
    /// The configuration of the resource's module.
    pub(super) configuration: Option<&'a Node>,
    /// The address of the module, with a dot after it; empty for the root.
    pub(super) module: String,
}

impl Unknown<'_> {
    /// The values of a resource with placeholders for what is unknown.
    pub(super) fn filled(&self, resource: &Node, values: &Node) -> Node {
        let address = text(resource, "address").unwrap_or_default();
        let mut changes = items(self.plan.get("resource_changes")).iter();
        let unknown = changes
            .find(|change| text(change, "address") == Some(address))
            .and_then(|change| change.get("change"))
            .and_then(|change| change.get("after_unknown"));
        let Some(unknown) = unknown else {
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
        let (kind, name) = (text(resource, "type")?, text(resource, "name")?);
        let mut all = items(self.configuration?.get("resources")).iter();
        all.find(|found| {
            text(found, "type") == Some(kind)
                && text(found, "name") == Some(name)
                && text(found, "mode") != Some("data")
        })?
        .get("expressions")
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

//! What a template's functions come to.

use crate::finding::{Position, did_you_mean};
use crate::tree::{Entry, Node, Value};

use super::{DEPTH_MAX, TEXT_MAX, Template};

/// Each hint looks at every name there is.
const HINTS_MAX: usize = 20;

/// Functions whose result is only known where the stack is made.
const OF_THE_STACK: [&str; 5] = [
    "Fn::ImportValue",
    "Fn::GetAZs",
    "Fn::Transform",
    "Fn::Cidr",
    "Fn::GetStackOutput",
];

impl<'a> Template<'a> {
    /// The value with every function computed; `None` for `AWS::NoValue`.
    pub(super) fn computed(&mut self, node: &Node, depth: usize) -> Option<Node> {
        if depth > DEPTH_MAX {
            self.is_circular = true;
            self.report.add(
                node.position,
                format!("functions are nested more than {DEPTH_MAX} deep, or name each other in a circle"),
            );
            return None;
        }
        let value = match &node.value {
            Value::List(items) => Value::List(
                items
                    .iter()
                    .filter_map(|item| self.computed(item, depth + 1))
                    .collect(),
            ),
            Value::Table(entries) => match entries.as_slice() {
                [entry] if is_function(&entry.key) => {
                    return self.call(entry, node.position, depth);
                }
                _ => Value::Table(
                    entries
                        .iter()
                        .filter_map(|entry| self.entry(entry, depth))
                        .collect(),
                ),
            },
            Value::String(text) => Value::String(dynamic(text)),
            scalar => scalar.clone(),
        };
        Some(Node {
            position: node.position,
            value,
        })
    }

    fn entry(&mut self, entry: &Entry, depth: usize) -> Option<Entry> {
        Some(Entry {
            node: self.computed(&entry.node, depth + 1)?,
            position: entry.position,
            key: entry.key.clone(),
        })
    }

    fn call(
        &mut self,
        Entry { key, node, .. }: &Entry,
        at: Position,
        depth: usize,
    ) -> Option<Node> {
        let text = |text: String| Node {
            position: at,
            value: Value::String(text),
        };
        let depth = depth + 1;
        if key == "Ref" {
            let Value::String(name) = &node.value else {
                return Some(self.malformed(key, node));
            };
            return self.reference(name, at, depth);
        }
        if key == "Fn::If" {
            return self.choose(node, depth);
        }
        if key == "Fn::Sub" {
            let filled = self.substituted(node, depth)?;
            return Some(text(self.bounded(filled, at)));
        }
        let node = self.computed(node, depth)?;
        let computed = match key.as_str() {
            "Fn::GetAtt" => attribute_of(&node)
                .map(|(name, attribute)| text(self.attribute(&name, &attribute, at, depth))),
            "Fn::Join" => joined(&node).map(|joined| text(self.bounded(joined, at))),
            "Fn::Select" => selected(&node),
            "Fn::Split" => split(&node),
            "Fn::FindInMap" => self.in_map(&node),
            "Fn::Base64" => Some(text("${Base64}".to_owned())),
            stack if OF_THE_STACK.contains(&stack) => {
                let of = text_of(&node)
                    .unwrap_or_default()
                    .replace("${", "")
                    .replace('}', "");
                let name = stack.trim_start_matches("Fn::");
                Some(text(format!("${{{name}:{of}}}")))
            }
            unknown => {
                self.report.add_unresolved(at, format!("the function `{unknown}` is not known here; what it comes to stands as a placeholder"));
                Some(text(format!("${{{}}}", unknown.trim_start_matches("Fn::"))))
            }
        };
        Some(computed.unwrap_or_else(|| self.malformed(key, &node)))
    }

    /// Texts that are made of texts can grow without end.
    fn bounded(&mut self, text: String, at: Position) -> String {
        if text.len() <= TEXT_MAX {
            return text;
        }
        self.is_circular = true;
        self.report
            .add(at, format!("the text comes to more than {TEXT_MAX} bytes"));
        String::new()
    }

    /// What a function is given that it cannot take is told, and stands as a placeholder.
    fn malformed(&mut self, function: &str, node: &Node) -> Node {
        self.report.add(
            node.position,
            format!("`{function}` cannot take {}", node.value),
        );
        Node {
            position: node.position,
            value: Value::String(format!("${{{function}}}")),
        }
    }

    fn reference(&mut self, name: &str, at: Position, depth: usize) -> Option<Node> {
        if name == "AWS::NoValue" {
            return None;
        }
        if let Some(value) = self.parameters.get(name) {
            return Some(Node {
                position: at,
                value: value.value.clone(),
            });
        }
        Some(Node {
            position: at,
            value: Value::String(self.named(name, at, depth)),
        })
    }

    /// What `Ref` gives as a text.
    fn named(&mut self, name: &str, at: Position, depth: usize) -> String {
        let found = self.resource(name, at);
        found
            .and_then(|entry| self.alarm_name(entry, depth))
            .unwrap_or_else(|| format!("${{{name}}}"))
    }

    /// The resource of that name. One that is neither there nor a parameter is a mistake, unless something makes more of them.
    fn resource(&mut self, name: &str, at: Position) -> Option<&'a Entry> {
        let found = self.resources.get(name).copied();
        if found.is_none() && !self.makes_more && !self.declared.contains(name) {
            let known = self.resources.keys().copied();
            let known = known.chain(self.declared.iter().map(String::as_str));
            // Where everything is missing, no name is nearly another.
            let hint = match self.report.findings.len() {
                ..HINTS_MAX => did_you_mean(name, known),
                _ => String::new(),
            };
            let text = format!("the template has no resource or parameter `{name}`{hint}");
            self.report.add(at, text);
        }
        found
    }

    fn attribute(&mut self, name: &str, attribute: &str, at: Position, depth: usize) -> String {
        let found = self.resource(name, at);
        match found.and_then(|entry| self.alarm_name(entry, depth)) {
            Some(alarm) if attribute == "Arn" => {
                let [region, account, partition] =
                    ["Region", "AccountId", "Partition"].map(|name| self.pseudo(name));
                format!("arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarm}")
            }
            _ => format!("${{{name}.{attribute}}}"),
        }
    }

    /// `AWS::Region` and the like, if it was given.
    fn pseudo(&self, name: &str) -> String {
        let name = format!("AWS::{name}");
        match self.parameters.get(&name).map(|node| &node.value) {
            Some(Value::String(value)) => value.clone(),
            _ => format!("${{{name}}}"),
        }
    }

    fn choose(&mut self, node: &Node, depth: usize) -> Option<Node> {
        let Value::List(items) = &node.value else {
            return Some(self.malformed("Fn::If", node));
        };
        let [
            Node {
                position,
                value: Value::String(condition),
            },
            yes,
            no,
        ] = items.as_slice()
        else {
            return Some(self.malformed("Fn::If", node));
        };
        match self.condition(condition, *position, depth) {
            Some(false) => self.computed(no, depth),
            _ => self.computed(yes, depth),
        }
    }

    fn substituted(&mut self, node: &Node, depth: usize) -> Option<String> {
        let (text, own) = match &node.value {
            Value::String(text) => (text.clone(), None),
            Value::List(items) => match items.as_slice() {
                [
                    Node {
                        value: Value::String(text),
                        ..
                    },
                    own,
                ] => (text.clone(), self.computed(own, depth)),
                _ => return text_of(&self.malformed("Fn::Sub", node)),
            },
            _ => return text_of(&self.malformed("Fn::Sub", node)),
        };
        let mut done = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                done.push_str("${");
                rest = after;
                continue;
            };
            done.push_str(&self.variable(name, own.as_ref(), node.position, depth));
            rest = after;
        }
        done.push_str(rest);
        Some(dynamic(&done))
    }

    /// `${Name}`, `${Name.Attribute}` or, for a text that is to stay as it is, `${!Name}`.
    fn variable(&mut self, name: &str, own: Option<&Node>, at: Position, depth: usize) -> String {
        if let Some(literal) = name.strip_prefix('!') {
            return format!("${{{literal}}}");
        }
        let given = own.and_then(|own| own.get(name)).and_then(text_of);
        let parameter = || self.parameters.get(name).and_then(text_of);
        if let Some(text) = given.or_else(parameter) {
            return text;
        }
        match name.split_once('.') {
            Some((name, attribute)) => self.attribute(name, attribute, at, depth),
            None => self.named(name, at, depth),
        }
    }

    fn in_map(&self, node: &Node) -> Option<Node> {
        let Value::List(keys) = &node.value else {
            return None;
        };
        let [map, first, second] = keys.get(..3)? else {
            return None;
        };
        let found = self
            .mappings?
            .get(&text_of(map)?)
            .and_then(|map| map.get(&text_of(first)?))
            .and_then(|map| map.get(&text_of(second)?));
        let otherwise = || keys.get(3).and_then(|more| more.get("DefaultValue"));
        let unknown = || Node {
            position: node.position,
            value: Value::String("${FindInMap}".to_owned()),
        };
        Some(found.or_else(otherwise).cloned().unwrap_or_else(unknown))
    }
}

/// References to secrets and parameters of Systems Manager, `{{resolve:ssm:name}}`, as placeholders.
fn dynamic(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{resolve:") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        done.extend([before, "${resolve:", name, "}"]);
        rest = after;
    }
    done.push_str(rest);
    done
}

fn is_function(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

/// A scalar as it stands in a text.
pub(super) fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::List(_) | Value::Table(_) => None,
    }
}

fn attribute_of(node: &Node) -> Option<(String, String)> {
    match &node.value {
        Value::String(text) => {
            let (name, attribute) = text.split_once('.')?;
            Some((name.to_owned(), attribute.to_owned()))
        }
        Value::List(items) => match items.as_slice() {
            [name, attribute] => Some((text_of(name)?, text_of(attribute)?)),
            _ => None,
        },
        _ => None,
    }
}

fn two(node: &Node) -> Option<(&Node, &Node)> {
    match &node.value {
        Value::List(items) => match items.as_slice() {
            [first, second] => Some((first, second)),
            _ => None,
        },
        _ => None,
    }
}

fn joined(node: &Node) -> Option<String> {
    let (separator, list) = two(node)?;
    let separator = text_of(separator)?;
    match &list.value {
        Value::List(items) => {
            let texts: Option<Vec<String>> = items.iter().map(text_of).collect();
            Some(texts?.join(&separator))
        }
        // A list that is only known where the stack is made.
        _ => text_of(list),
    }
}

fn selected(node: &Node) -> Option<Node> {
    let (index, list) = two(node)?;
    let index: usize = text_of(index)?.parse().ok()?;
    match &list.value {
        Value::List(items) => items.get(index).cloned(),
        Value::String(unknown) => {
            let inner = unknown.replace("${", "").replace('}', "");
            Some(Node {
                position: node.position,
                value: Value::String(format!("${{{inner}.{index}}}")),
            })
        }
        _ => None,
    }
}

fn split(node: &Node) -> Option<Node> {
    let (separator, text) = two(node)?;
    let (separator, whole) = (text_of(separator)?, text_of(text)?);
    if whole.contains("${") {
        // How many parts there are is only known when the stack is there.
        return Some(text.clone());
    }
    let part = |part: &str| Node {
        position: text.position,
        value: Value::String(part.to_owned()),
    };
    Some(Node {
        position: node.position,
        value: Value::List(whole.split(&separator).map(part).collect()),
    })
}

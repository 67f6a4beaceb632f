//! Text to trees.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, Tagged};
use toml::de::{DeTable, DeValue};

use crate::finding::{Position, Report};

use super::{Entry, Node, Value};

/// The most nodes read from one JSON document: far beyond an account's alarms, near enough to bound the memory.
const NODES_MAX: usize = 2_000_000;
const DEPTH_MAX: usize = 100;

/// What is told of a document beyond that.
const TOO_MUCH: &str = "the document comes to more than is read of one: two million values, nested a hundred deep, or aliases that multiply";

/// Reads a TOML document, as much of it as can be read; syntax errors are reported.
pub fn toml(text: &str, report: &mut Report) -> Node {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut last_line = 0;
    for error in errors {
        let position = lines.position(error.span().map_or(0, |span| span.start));
        // The parser stumbles on, and says more about a line that it has already given up.
        if position.line > last_line {
            report.add(position, error.message());
        }
        last_line = last_line.max(position.line);
    }
    lines.table(table.get_ref(), 0)
}

/// Reads a document in JSON or YAML; `None` after a syntax error, which is reported. A value with a tag of its own, `!Ref a`, is
/// read as CloudFormation means it: as a table of one, `{"Ref": "a"}`, or `{"Fn::Name": …}` for any other name.
pub fn yaml(text: &str, report: &mut Report) -> Option<Node> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! { max_nodes: NODES_MAX, max_events: 4 * NODES_MAX, max_depth: DEPTH_MAX },
    };
    match serde_saphyr::from_str_with_options::<Place>(text, options) {
        Ok(document) => Some(node(document)),
        Err(error) => {
            let at = error
                .location()
                .map_or_else(Position::default, |at| Position {
                    line: at.line(),
                    column: at.column(),
                });
            let message = error.without_snippet().to_string();
            report.add(
                at,
                match message.lines().next().unwrap_or_default() {
                    beyond if beyond.starts_with("budget breached") => TOO_MUCH,
                    message => ours(message),
                },
            );
            None
        }
    }
}

/// What the parser says, without its advice to programmers and without the place, which is told beside it.
fn ours(message: &str) -> &str {
    const KNOWN: [(&str, &str); 2] = [
        (
            "multiple YAML documents",
            "there is more than one document in the file; each wants a file of its own",
        ),
        (
            "recursive references",
            "an alias stands for something that it is in itself",
        ),
    ];
    if let Some((_, said)) = KNOWN.iter().find(|(theirs, _)| message.contains(theirs)) {
        return said;
    }
    let ends = [", set ", "; use ", ", use ", " at line "];
    let end = ends.iter().filter_map(|end| message.find(end)).min();
    &message[..end.unwrap_or(message.len())]
}

/// Where each line of a text starts.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(i, _)| i + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let column = self
            .text
            .get(self.starts[line - 1]..offset)
            .map_or(0, |before| before.chars().count());
        Position {
            line: line as u64,
            column: column as u64 + 1,
        }
    }

    fn table(&self, table: &DeTable<'_>, offset: usize) -> Node {
        let entry = |(key, value): (
            &toml::Spanned<toml::de::DeString<'_>>,
            &toml::Spanned<DeValue<'_>>,
        )| Entry {
            position: self.position(key.span().start),
            key: key.get_ref().clone().into_owned(),
            node: self.value(value),
        };
        let mut entries: Vec<Entry> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.position);
        Node {
            position: self.position(offset),
            value: Value::Table(entries),
        }
    }

    fn value(&self, value: &toml::Spanned<DeValue<'_>>) -> Node {
        let offset = value.span().start;
        let value = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, offset),
            DeValue::Array(values) => {
                Value::List(values.iter().map(|value| self.value(value)).collect())
            }
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(value) => Value::Bool(*value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "no setting needs more than 53 bits"
            )]
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Number(f64::NAN), |number| {
                    Value::Number(number as f64)
                }),
            DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Datetime(value) => Value::String(value.to_string()),
        };
        Node {
            position: self.position(offset),
            value,
        }
    }
}

/// A value with its place and its tag.
type Place = Spanned<Tagged<Yaml>>;

fn node(
    Spanned {
        value: Tagged(value, tag),
        referenced,
        ..
    }: Place,
) -> Node {
    let position = Position {
        line: referenced.line(),
        column: referenced.column(),
    };
    let value = match value {
        Yaml::Scalar(value) => value,
        Yaml::List(items) => Value::List(items.into_iter().map(node).collect()),
        Yaml::Table(entries) => Value::Table(entries.into_iter().map(entry).collect()),
    };
    let node = Node { position, value };
    let Some(name) = tag.as_deref().and_then(|tag| tag.strip_prefix('!')) else {
        return node;
    };
    let key = match name {
        "Ref" | "Condition" => name.to_owned(),
        _ => format!("Fn::{name}"),
    };
    let entry = Entry {
        position,
        key,
        node,
    };
    Node {
        position,
        value: Value::Table(vec![entry]),
    }
}

fn entry((key, value): (Spanned<String>, Place)) -> Entry {
    let position = Position {
        line: key.referenced.line(),
        column: key.referenced.column(),
    };
    Entry {
        position,
        key: key.value,
        node: node(value),
    }
}

/// What the parser hands over before it is made a tree.
enum Yaml {
    Scalar(Value),
    List(Vec<Place>),
    Table(Vec<(Spanned<String>, Place)>),
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

#[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles")]
impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Null))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Yaml, E> {
        self.visit_unit()
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Yaml, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Yaml, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Yaml::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(node: &Node) -> (u64, u64) {
        (node.position.line, node.position.column)
    }

    #[test]
    fn json_values_know_their_place() {
        let mut report = Report::new("f");
        let tree = yaml(
            "{\n\t\"a\": [1, \"2\", true],\n  \"b\": null\n}",
            &mut report,
        )
        .unwrap();
        assert_eq!(report.findings, []);
        let Value::List(items) = &tree.get("a").unwrap().value else {
            panic!("a list")
        };
        let values: Vec<_> = items.iter().map(|item| item.value.clone()).collect();
        assert_eq!(
            values,
            [
                Value::Number(1.0),
                Value::String("2".into()),
                Value::Bool(true)
            ]
        );
        assert_eq!(at(&items[1]), (2, 11));
        assert_eq!(tree.get("b").unwrap().value, Value::Null);
        assert_eq!(tree.entries()[1].position, Position { line: 3, column: 3 });
    }

    #[test]
    fn tags_are_read_as_cloudformation_means_them() {
        let mut report = Report::new("f");
        let tree = yaml(
            "a: !Ref b\nc: !GetAtt d.e\nf: !If [g, !Sub h, 1]\n",
            &mut report,
        )
        .unwrap();
        assert_eq!(report.findings, []);
        let long = yaml(
            "{\"a\": {\"Ref\": \"b\"}, \"c\": {\"Fn::GetAtt\": \"d.e\"}, \"f\": {\"Fn::If\": [\"g\", {\"Fn::Sub\": \"h\"}, 1]}}",
            &mut report,
        );
        assert_eq!(bare(&tree), bare(&long.unwrap()));
        assert_eq!(at(tree.get("c").unwrap()), (2, 12));
    }

    /// The tree without places.
    fn bare(node: &Node) -> String {
        match &node.value {
            Value::List(items) => format!("{:?}", items.iter().map(bare).collect::<Vec<_>>()),
            Value::Table(entries) => {
                let entry = |entry: &Entry| format!("{}={}", entry.key, bare(&entry.node));
                format!("{:?}", entries.iter().map(entry).collect::<Vec<_>>())
            }
            scalar => scalar.to_string(),
        }
    }

    #[test]
    fn toml_values_know_their_place() {
        let mut report = Report::new("f");
        let tree = toml("a = 1\n[b]\nc = [\"x\", 2.5]\n", &mut report);
        assert_eq!(report.findings, []);
        let list = tree.get("b").and_then(|b| b.get("c")).unwrap();
        assert_eq!(at(list), (3, 5));
        let Value::List(items) = &list.value else {
            panic!("a list")
        };
        assert_eq!(
            (at(&items[1]), &items[1].value),
            ((3, 11), &Value::Number(2.5))
        );
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let mut report = Report::new("f");
        toml("a = 1\nb = = 2\nc = 'x\n", &mut report);
        let lines: Vec<u64> = report
            .findings
            .iter()
            .map(|finding| finding.position.line)
            .collect();
        assert_eq!(lines, [2, 3]);
        let mut report = Report::new("f");
        assert_eq!(yaml("{\n \"a\": 1,\n \"b\" 2}", &mut report), None);
        assert_eq!(report.findings[0].position.line, 3);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut report = Report::new("f");
        assert_eq!(yaml(&"[".repeat(100_000), &mut report), None);
        assert_eq!(report.findings.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*|[\\[\\]{}:,\"'=\\s0-9a-b.]*") {
            yaml(&text, &mut Report::new("f"));
            toml(&text, &mut Report::new("f"));
        }
    }
}

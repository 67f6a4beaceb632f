//! TOML and JSON as trees in which every value knows its place, and the questions that readers of such trees ask.
//!
//! Serde would stop at the first mistake; a tree lets a reader go on and report all of them.

mod parse;

use std::fmt;
use std::ops::RangeInclusive;

use crate::finding::{Position, Report, did_you_mean};

pub use parse::{toml, yaml};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub position: Position,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value. Keys of one table are distinct.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub position: Position,
    pub key: String,
    pub node: Node,
}

impl Node {
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }
}

/// As messages name what they found: ``the string `a` ``, `a list`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "`{value}`"),
            Self::Number(value) => write!(f, "the number {value}"),
            Self::String(value) => write!(f, "the string {value:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

/// Readers of values: each returns what it finds, or reports what it found instead of what is allowed.
impl Report {
    fn expected<T>(&mut self, what: &str, node: &Node, allowed: &str) -> Option<T> {
        self.add(
            node.position,
            format!("`{what}` is {}, but must be {allowed}", node.value),
        );
        None
    }

    pub fn string(&mut self, what: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::String(value) => Some(value.clone()),
            _ => self.expected(what, node, "a string"),
        }
    }

    pub fn number(&mut self, what: &str, node: &Node) -> Option<f64> {
        match node.value {
            Value::Number(value) if value.is_finite() => Some(value),
            _ => self.expected(what, node, "a number"),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in the range"
    )]
    pub fn integer(
        &mut self,
        what: &str,
        node: &Node,
        allowed: RangeInclusive<u32>,
    ) -> Option<u32> {
        let bounds = f64::from(*allowed.start())..=f64::from(*allowed.end());
        match node.value {
            Value::Number(value) if value.fract() == 0.0 && bounds.contains(&value) => {
                Some(value as u32)
            }
            _ if *allowed.end() == u32::MAX => self.expected(
                what,
                node,
                &format!("a whole number, at least {}", allowed.start()),
            ),
            _ => self.expected(
                what,
                node,
                &format!(
                    "a whole number from {} to {}",
                    allowed.start(),
                    allowed.end()
                ),
            ),
        }
    }

    pub fn boolean(&mut self, what: &str, node: &Node) -> Option<bool> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => self.expected(what, node, "`true` or `false`"),
        }
    }

    pub fn list<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(nodes) => Some(nodes),
            _ => self.expected(what, node, "a list"),
        }
    }

    pub fn strings(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        self.list(what, node)?
            .iter()
            .map(|node| self.string(what, node))
            .collect()
    }

    pub fn table<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Table(entries) => Some(entries),
            _ => self.expected(what, node, "a table"),
        }
    }

    /// Reports every key of `node` that is not among `known`.
    pub fn unknown_keys(&mut self, whose: &str, node: &Node, known: &[&str]) {
        for entry in node
            .entries()
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let hint = did_you_mean(&entry.key, known.iter().copied());
            self.add(
                entry.position,
                format!("{whose} has no key `{}`{hint}", entry.key),
            );
        }
    }
}

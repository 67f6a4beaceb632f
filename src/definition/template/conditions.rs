//! Whether a template's conditions hold.

use crate::finding::{Position, did_you_mean};
use crate::tree::{Node, Value};

use super::functions::text_of;
use super::{DEPTH_MAX, Template};

impl Template<'_> {
    /// `None` where that is only known when the stack is made.
    pub(super) fn condition(&mut self, name: &str, at: Position, depth: usize) -> Option<bool> {
        if let Some(known) = self.held.get(name) {
            return *known;
        }
        let Some(node) = self.conditions.and_then(|all| all.get(name)) else {
            let all = self.conditions.map_or(&[][..], Node::entries);
            let hint = did_you_mean(name, all.iter().map(|entry| entry.key.as_str()));
            let text = format!("the template has no condition `{name}`{hint}");
            self.report.add(at, text);
            self.held.insert(name.to_owned(), None);
            return None;
        };
        // One that leads back to itself is not known.
        self.held.insert(name.to_owned(), None);
        let holds = self.holds(node, depth);
        self.held.insert(name.to_owned(), holds);
        holds
    }

    fn holds(&mut self, node: &Node, depth: usize) -> Option<bool> {
        if depth > DEPTH_MAX {
            return None;
        }
        let [entry] = node.entries() else {
            return None;
        };
        let depth = depth + 1;
        if let ("Condition", Value::String(name)) = (entry.key.as_str(), &entry.node.value) {
            return self.condition(name, entry.node.position, depth);
        }
        let Value::List(items) = &entry.node.value else {
            return None;
        };
        match entry.key.as_str() {
            "Fn::Equals" => self.are_equal(items, depth),
            "Fn::Not" => self.holds(items.first()?, depth).map(|holds| !holds),
            "Fn::And" => self.all(items, true, depth),
            "Fn::Or" => self.all(items, false, depth),
            _ => None,
        }
    }

    /// Whether all are `wanted`; one that is not decides.
    fn all(&mut self, items: &[Node], wanted: bool, depth: usize) -> Option<bool> {
        let all: Vec<Option<bool>> = items.iter().map(|item| self.holds(item, depth)).collect();
        if all.contains(&Some(!wanted)) {
            return Some(!wanted);
        }
        all.iter()
            .all(|holds| *holds == Some(wanted))
            .then_some(wanted)
    }

    fn are_equal(&mut self, items: &[Node], depth: usize) -> Option<bool> {
        let [a, b] = items else {
            return None;
        };
        let (a, b) = (
            text_of(&self.computed(a, depth)?)?,
            text_of(&self.computed(b, depth)?)?,
        );
        let is_known = |text: &str| !text.contains("${");
        (is_known(&a) && is_known(&b)).then(|| a == b)
    }
}

//! The members of one alarm, and the questions that are asked of them.

use crate::alarm::{Actions, TreatMissingData};
use crate::finding::{Position, Report, did_you_mean, one_of};
use crate::tree::{Node, Value};

/// Whether an alarm is what a person asks for, in which a member that CloudWatch does not know is a mistake, or what
/// CloudWatch answered, in which it is news.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::definition) enum Form {
    Request,
    Description,
}

pub(super) struct Reader<'a> {
    pub(super) node: &'a Node,
    pub(super) form: Form,
    pub(super) report: &'a mut Report,
}

/// The place of a member, or of the alarm when it is absent.
pub(super) fn place_of(node: &Node, member: &str) -> Position {
    node.get(member).unwrap_or(node).position
}

/// Whether a member is there; an empty list is not.
pub(super) fn has(node: &Node, member: &str) -> bool {
    match node.get(member).map(|node| &node.value) {
        None | Some(Value::Null) => false,
        Some(Value::List(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

impl<'a> Reader<'a> {
    pub(super) fn has(&self, member: &str) -> bool {
        has(self.node, member)
    }

    /// Reads a member that is there.
    pub(super) fn get(&self, member: &str) -> Option<&'a Node> {
        self.node.get(member).filter(|_| self.has(member))
    }

    pub(super) fn refuse(&mut self, member: &str, text: impl Into<String>) {
        self.report.add(place_of(self.node, member), text);
    }

    /// Reports members that the request does not have.
    pub(super) fn unknown_members(&mut self, request: &str, known: &[&str]) {
        let node = self.node;
        if self.form == Form::Description {
            return;
        }
        let is_unknown = |key: &str| !known.contains(&key) && !COMMON.contains(&key);
        for entry in node.entries().iter().filter(|entry| is_unknown(&entry.key)) {
            let all = known.iter().chain(&COMMON).copied();
            let hint = did_you_mean(&entry.key, all);
            self.report.add(
                entry.position,
                format!("{request} has no member `{}`{hint}", entry.key),
            );
        }
    }

    /// Reports members that cannot stand beside `because`.
    pub(super) fn forbid(&mut self, members: &[&str], because: &str) {
        for member in members.iter().filter(|member| has(self.node, member)) {
            let text = format!("`{member}` must not be given with `{because}`");
            self.report.add(place_of(self.node, member), text);
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Report, &str, &Node) -> Option<T>,
    ) -> Option<T> {
        read(self.report, member, self.get(member)?)
    }

    pub(super) fn required<T>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Report, &str, &Node) -> Option<T>,
    ) -> Option<T> {
        let missing = format!("`{member}` is missing");
        self.required_or(member, &missing, read)
    }

    /// As [`Reader::required`], with CloudWatch's own words for what is missing.
    pub(super) fn required_or<T>(
        &mut self,
        member: &str,
        missing: &str,
        read: impl FnOnce(&mut Report, &str, &Node) -> Option<T>,
    ) -> Option<T> {
        if self.has(member) {
            return self.optional(member, read);
        }
        self.report.add(self.node.position, missing);
        None
    }

    pub(super) fn actions(&mut self) -> Actions {
        let tags = self.get("Tags").map_or(0, |tags| match &tags.value {
            Value::List(tags) => tags.len(),
            _ => 0,
        });
        if tags > TAGS_MAX {
            self.refuse(
                "Tags",
                format!("{tags} tags found, but at most {TAGS_MAX} are allowed"),
            );
        }
        let enabled = self.optional("ActionsEnabled", Report::boolean);
        let mut list = |member| self.optional(member, Report::strings).unwrap_or_default();
        Actions {
            enabled: enabled.unwrap_or(true),
            ok: list("OKActions"),
            alarm: list("AlarmActions"),
            insufficient_data: list("InsufficientDataActions"),
        }
    }

    pub(super) fn treat_missing_data(&mut self) -> Option<TreatMissingData> {
        self.optional("TreatMissingData", |report, what, node| {
            named(
                report,
                what,
                node,
                TreatMissingData::from_name,
                TreatMissingData::ALL.map(TreatMissingData::name),
            )
        })
    }
}

/// SPEC section 18.
const TAGS_MAX: usize = 50;

/// The members that every alarm has.
const COMMON: [&str; 8] = [
    "ActionConfiguration",
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "InsufficientDataActions",
    "OKActions",
    "Tags",
];

pub(super) fn at_least_one(report: &mut Report, what: &str, node: &Node) -> Option<u32> {
    report.integer(what, node, 1..=u32::MAX)
}

/// A string that is one of `names`.
pub(super) fn named<T, const N: usize>(
    report: &mut Report,
    what: &str,
    node: &Node,
    find: impl Fn(&str) -> Option<T>,
    names: [&str; N],
) -> Option<T> {
    const LISTED_MAX: usize = 10;
    let text = report.string(what, node)?;
    let found = find(&text);
    if found.is_none() {
        let hint = did_you_mean(&text, names);
        let allowed = if N <= LISTED_MAX {
            one_of(names)
        } else {
            "a name that CloudWatch knows".to_owned()
        };
        report.add(
            node.position,
            format!("`{what}` is `{text}`, but must be {allowed}{hint}"),
        );
    }
    found
}

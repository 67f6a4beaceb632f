//! Alarm definitions as AWS tools write them, to alarms and back.
//!
//! Functions of text: nothing is opened here.

mod history;
mod json;
mod metric_data;
mod placeholder;
mod reason_data;
mod snapshot;
mod state;
mod template;
mod terraform;
mod values;
mod zone;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::alarm::{Alarm, MuteRule};
use crate::finding::{Finding, Position};
use crate::tree::Node;

use json::Form;

pub use history::{HistoryJson, history_item};
pub use json::{Inputs, parse, parse_in, parse_with};
pub use metric_data::metric_data;
pub use placeholder::{Placeholders, substitute};
pub use reason_data::reason_data;
pub use snapshot::{alarm_snapshot, read_alarm_snapshot};
pub use state::{StateRequest, set_alarm_state};
pub use zone::time_zone;

/// The article's alarm, used when no alarm file is configured.
pub const BUILT_IN: &str = include_str!("../config/alarms.json");

/// An alarm and where it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub alarm: Alarm,
    pub file: String,
    pub position: Position,
    /// Where its members stand, by their names in the request.
    pub places: Vec<(String, Position)>,
    pub allowed: Vec<Allowed>,
}

/// A rule of the linter that an alarm may break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub rule: String,
    /// The last day of it, as it was written.
    pub until: Option<String>,
    pub position: Position,
}

/// A request, or what CloudWatch answered, before it is read.
struct Element<'n> {
    node: Cow<'n, Node>,
    form: Form,
    allowed: Vec<Allowed>,
}

impl Element<'static> {
    fn new(node: Node, allowed: Vec<Allowed>) -> Self {
        Self {
            node: Cow::Owned(node),
            form: Form::Request,
            allowed,
        }
    }
}

impl Definition {
    /// The place of a member, or of the alarm where it has none.
    pub fn place(&self, member: &str) -> Position {
        let mut places = self.places.iter();
        let found = places.find(|(name, _)| name == member);
        found.map_or(self.position, |(_, position)| *position)
    }
}

/// What a file holds, as far as it is sound, and what is wrong with the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub alarms: Vec<Definition>,
    pub mute_rules: Vec<MuteRule>,
    pub findings: Vec<Finding>,
    /// Whether the file could be parsed at all.
    pub is_readable: bool,
}

/// One finding for each alarm whose name another one bears already.
pub fn duplicates(definitions: &[Definition]) -> Vec<Finding> {
    let mut first: HashMap<&str, &Definition> = HashMap::new();
    let mut findings = Vec::new();
    for definition in definitions {
        let name = definition.alarm.name.as_str();
        match first.get(name) {
            None => drop(first.insert(name, definition)),
            Some(Definition {
                file,
                position: Position { line, column },
                ..
            }) => findings.push(Finding {
                file: definition.file.clone(),
                position: definition.position,
                message: format!(
                    "alarm `{name}` is defined twice, first at {file}:{line}:{column}"
                ),
            }),
        }
    }
    findings
}

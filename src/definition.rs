//! Alarm definitions as AWS tools write them, to alarms and back.
//!
//! Functions of text: nothing is opened here.

mod json;
mod placeholder;
mod reason_data;

use std::collections::HashMap;

use crate::alarm::Alarm;
use crate::finding::{Finding, Position};

pub use json::parse;
pub use placeholder::{Placeholders, substitute};
pub use reason_data::reason_data;

/// The article's alarm, used when no alarm file is configured.
pub const BUILT_IN: &str = include_str!("../config/alarms.json");

/// An alarm and where it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub alarm: Alarm,
    pub file: String,
    pub position: Position,
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

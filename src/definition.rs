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
mod zone;

use std::collections::HashMap;

use crate::alarm::{Alarm, MuteRule};
use crate::finding::{Finding, Position};

pub use history::{HistoryJson, history_item};
pub use json::{parse, parse_in};
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
}

/// What a file holds, as far as it is sound, and what is wrong with the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub alarms: Vec<Definition>,
    pub mute_rules: Vec<MuteRule>,
    pub findings: Vec<Finding>,
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

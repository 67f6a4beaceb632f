//! Alarm definitions as AWS tools write them, to alarms and back.
//!
//! Functions of text: nothing is opened here.

mod history;
mod json;
mod message;
mod metric_data;
mod placeholder;
mod reason_data;
mod region;
mod request;
mod snapshot;
mod state;
mod template;
mod terraform;
mod uuid;
mod values;
mod zone;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::alarm::{Alarm, MuteRule};
use crate::finding::{Finding, Position, Report};
use crate::tree::{Node, Value};

use json::Form;
use values::{StandIns, Typing};

pub use history::{HistoryJson, history_item, past_item};
pub use json::{Inputs, parse, parse_in, parse_with};
pub use message::{Event, Own, Told, event, lambda_payload, sns_message, sns_subject};
pub use metric_data::metric_data;
pub use placeholder::{Placeholders, substitute};
pub use reason_data::{evaluated_datapoints, reason_data};
pub use request::{canonical, differences};
pub use snapshot::{alarm_snapshot, read_alarm_snapshot};
pub use state::{StateRequest, set_alarm_state};
pub use uuid::uuid;
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
    /// The request that makes it, if it is wanted.
    pub request: Option<serde_json::Value>,
    /// The members whose value is not known, and another one stands here.
    pub unknown: Vec<String>,
    /// Whether it is there only if something holds that is not known here.
    pub is_conditional: bool,
}

/// A mute rule and where it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct MuteDefinition {
    pub rule: MuteRule,
    pub file: String,
    pub position: Position,
    pub allowed: Vec<Allowed>,
    /// The request that makes it, if it is wanted.
    pub request: Option<serde_json::Value>,
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
    /// Whether every member that has to be is known here, or something stands in for it.
    is_whole: bool,
    /// The members that something stands in for.
    unknown: Vec<String>,
    /// Whether it is there only if something holds that is not known here.
    is_conditional: bool,
}

impl Element<'static> {
    /// A request as a tool wrote it, whose values are not yet of their types. `hint`: how somebody may tell what is not known.
    fn written(
        mut node: Node,
        stand_ins: StandIns,
        hint: &'static str,
        report: &mut Report,
    ) -> Self {
        let mut typing = Typing {
            stand_ins,
            hint,
            report,
            unknown: Vec::new(),
            is_whole: true,
        };
        typing.typed(&mut node);
        // M is within N, whatever that is.
        if typing
            .unknown
            .iter()
            .any(|name| name == "EvaluationPeriods")
            && let Value::Table(entries) = &mut node.value
        {
            entries.retain(|entry| entry.key != "DatapointsToAlarm");
        }
        Self {
            is_whole: typing.is_whole,
            unknown: typing.unknown,
            node: Cow::Owned(node),
            form: Form::Request,
            allowed: Vec::new(),
            is_conditional: false,
        }
    }
}

impl Definition {
    /// The place of a member, such as `Period` or `Metrics.m1.Period`, or of what it would be in where it is not there.
    pub fn place(&self, member: &str) -> Position {
        let mut places = self.places.iter();
        if let Some((_, position)) = places.find(|(name, _)| name == member) {
            return *position;
        }
        match member.rsplit_once('.') {
            Some((inside, _)) if inside != "Metrics" => self.place(inside),
            Some(_) => self.place("Metrics"),
            None => self.position,
        }
    }
}

/// What a file holds, as far as it is sound, and what is wrong with the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub alarms: Vec<Definition>,
    pub mute_rules: Vec<MuteDefinition>,
    pub findings: Vec<Finding>,
    /// What may be right and cannot be told from the file alone.
    pub unresolved: Vec<Finding>,
    /// The same of what does not keep the rest from being read.
    pub unknown: Vec<Finding>,
    /// The names of alarms that are there and could not be read.
    pub unread: BTreeSet<String>,
    /// What stands for values that are not known here, as `${Topic}`.
    pub placeholders: BTreeSet<String>,
    /// The parameters that the file declares.
    pub parameters: BTreeSet<String>,
    /// The types of a template's resources, by what stands for a reference to them, as `${Queue}`.
    pub types: BTreeMap<String, String>,
    /// Whether the file could be parsed at all.
    pub is_readable: bool,
}

impl Parsed {
    /// Takes up what another file holds.
    pub fn append(&mut self, mut other: Self) {
        self.alarms.append(&mut other.alarms);
        self.mute_rules.append(&mut other.mute_rules);
        self.findings.append(&mut other.findings);
        self.unresolved.append(&mut other.unresolved);
        self.unread.append(&mut other.unread);
        self.placeholders.append(&mut other.placeholders);
        self.parameters.append(&mut other.parameters);
        self.unknown.append(&mut other.unknown);
        self.types.append(&mut other.types);
    }

    /// The alarms and the mute rules without their places.
    pub fn into_rules(self) -> (Vec<Alarm>, Vec<MuteRule>) {
        let alarms = self.alarms.into_iter().map(|found| found.alarm);
        let mute_rules = self.mute_rules.into_iter().map(|found| found.rule);
        (alarms.collect(), mute_rules.collect())
    }

    /// Everything that keeps alarms from being read.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(&self.unresolved)
    }
}

/// One finding for each alarm whose name another one bears already.
pub fn duplicates(definitions: &[Definition]) -> Vec<Finding> {
    let mut first: HashMap<&str, &Definition> = HashMap::new();
    let mut findings = Vec::new();
    for definition in definitions {
        let name = definition.alarm.name.as_str();
        match first.get(name) {
            None => drop(first.insert(name, definition)),
            // Of two that depend on conditions perhaps only one is there.
            Some(first) if first.is_conditional && definition.is_conditional => {}
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

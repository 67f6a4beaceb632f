//! What is unwise about alarms that CloudWatch accepts.
//!
//! Each rule is a file in `rules`: what it finds, why that matters, and an example of each kind. Functions of definitions:
//! nothing is opened here.

mod allow;
mod catalogue;
mod rules;

use std::collections::BTreeMap;

use crate::alarm::{Alarm, MetricAlarm, MetricStat, Rule as AlarmRule};
use crate::definition::Definition;
use crate::finding::Position;
use crate::metric::Metric;

pub use allow::{Allowance, Allowances};
pub use rules::ALL;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It will probably not do what it is meant to.
    Warning,
    /// CloudWatch refuses it, or it can never do what it says.
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that alarms should not do.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Named for the bad thing.
    pub id: &'static str,
    pub severity: Severity,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// Why that matters, and what to do instead.
    pub why: &'static str,
    /// An alarm file that breaks it, and one that does not.
    pub bad: &'static str,
    pub good: &'static str,
    check: fn(&Case<'_>) -> Vec<Hit>,
}

/// A rule that an alarm breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    pub rule: &'static str,
    pub severity: Severity,
    pub file: String,
    pub position: Position,
    pub alarm: String,
    pub message: String,
}

/// What a rule found: the member that it is about, and what is wrong with it.
struct Hit {
    member: &'static str,
    message: String,
}

fn hit(member: &'static str, message: impl Into<String>) -> Vec<Hit> {
    vec![Hit {
        member,
        message: message.into(),
    }]
}

/// One alarm among all that there are.
struct Case<'a> {
    definition: &'a Definition,
    all: &'a Alarms<'a>,
    /// The metrics that this host publishes, where that is known.
    published: &'a [Metric],
}

/// All alarms, by name.
struct Alarms<'a> {
    definitions: &'a [Definition],
    by_name: BTreeMap<&'a str, &'a Definition>,
}

impl<'a> Case<'a> {
    fn alarm(&self) -> &'a Alarm {
        &self.definition.alarm
    }

    fn metric_alarm(&self) -> Option<&'a MetricAlarm> {
        match &self.alarm().rule {
            AlarmRule::Metric(alarm) => Some(alarm),
            _ => None,
        }
    }

    /// The alarm on one statistic of one metric, if it is that.
    fn on_one_metric(&self) -> Option<(&'a MetricAlarm, &'a MetricStat)> {
        let alarm = self.metric_alarm()?;
        Some((alarm, alarm.stat()?))
    }

    /// The same, where the catalogue knows the metric.
    fn known(&self) -> Option<(&'a MetricAlarm, &'a MetricStat, &'static catalogue::Entry)> {
        let (alarm, stat) = self.on_one_metric()?;
        Some((alarm, stat, catalogue::find(&stat.metric)?))
    }

    /// Every action of the alarm, with the member that it stands in.
    fn actions(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let actions = &self.alarm().actions;
        let lists = [
            ("AlarmActions", &actions.alarm),
            ("OKActions", &actions.ok),
            ("InsufficientDataActions", &actions.insufficient_data),
        ];
        lists
            .into_iter()
            .flat_map(|(member, list)| list.iter().map(move |action| (member, action.as_str())))
    }
}

/// Everything that the rules say about these alarms, in the order of the files. `published`: what this host publishes, if it is
/// the one that the alarms are about.
pub fn lint(definitions: &[Definition], published: &[Metric]) -> Vec<Lint> {
    let alarms = Alarms {
        definitions,
        by_name: by_name(definitions),
    };
    let mut lints = Vec::new();
    for definition in definitions {
        let case = Case {
            definition,
            all: &alarms,
            published,
        };
        for rule in &ALL {
            let lint = |hit: Hit| Lint {
                rule: rule.id,
                severity: rule.severity,
                file: definition.file.clone(),
                position: definition.place(hit.member),
                alarm: definition.alarm.name.clone(),
                message: hit.message,
            };
            lints.extend((rule.check)(&case).into_iter().map(lint));
        }
    }
    lints
}

fn by_name(definitions: &[Definition]) -> BTreeMap<&str, &Definition> {
    let named = definitions.iter();
    named
        .map(|definition| (definition.alarm.name.as_str(), definition))
        .collect()
}

/// The rule with that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests;

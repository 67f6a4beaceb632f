//! What is unwise about alarms that CloudWatch accepts.
//!
//! Each rule is a file in `rules`: what it finds, why that matters, and an example of each kind. Functions of definitions:
//! nothing is opened here.

mod allow;
mod catalogue;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::alarm::{
    Actions, Alarm, AlarmRule as CompositeRule, ChildRef, MetricAlarm, MetricDataQuery, MetricStat,
    QueryContent, Rule as AlarmRule, Source, TreatMissingData, alarm_name,
};
use crate::definition::Definition;
use crate::finding::Position;
use crate::metric::{Dimension, Metric};

pub use allow::{Allowances, AllowedRules};
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

/// The names of a composite alarm's children; none of any other.
fn children(alarm: &Alarm) -> impl Iterator<Item = &str> {
    let rule = match &alarm.rule {
        AlarmRule::Composite(composite) => Some(&composite.rule),
        _ => None,
    };
    let children = rule.into_iter().flat_map(CompositeRule::children);
    children.map(ChildRef::name)
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

/// All alarms, and what is asked of them for each.
struct Alarms<'a> {
    by_name: BTreeMap<&'a str, &'a Definition>,
    /// The children and suppressors of composite alarms.
    followed: HashSet<&'a str>,
    /// The first alarm, by name, of each rule with each actions.
    first_of_rule: HashMap<(u64, &'a Actions), &'a str>,
    /// The dimensions of the targets whose healthy hosts are watched.
    healthy_hosts: HashSet<&'a [Dimension]>,
    /// Those that may depend on themselves: the ones that are left when all are taken away that depend on none of the rest.
    perhaps_circular: HashSet<&'a str>,
}

impl<'a> Alarms<'a> {
    fn new(definitions: &'a [Definition]) -> Self {
        let mut alarms = Self {
            by_name: BTreeMap::new(),
            followed: HashSet::new(),
            first_of_rule: HashMap::new(),
            healthy_hosts: HashSet::new(),
            perhaps_circular: HashSet::new(),
        };
        for definition in definitions {
            alarms.add(definition);
        }
        alarms.find_circles();
        alarms
    }

    fn find_circles(&mut self) {
        let mut waits_for: HashMap<&str, usize> = HashMap::new();
        let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, definition) in &self.by_name {
            if !matches!(definition.alarm.rule, AlarmRule::Composite(_)) {
                continue;
            }
            let children: BTreeSet<&str> = children(&definition.alarm)
                .filter(|child| self.by_name.contains_key(child))
                .collect();
            waits_for.insert(name, children.len());
            for child in children {
                parents.entry(child).or_default().push(name);
            }
        }
        let is_free = |name: &&str| waits_for.get(name).is_none_or(|children| *children == 0);
        let mut free: Vec<&str> = self.by_name.keys().copied().filter(is_free).collect();
        while let Some(name) = free.pop() {
            waits_for.remove(name);
            for parent in parents.remove(name).unwrap_or_default() {
                if let Some(children) = waits_for.get_mut(parent) {
                    *children -= 1;
                    if *children == 0 {
                        free.push(parent);
                    }
                }
            }
        }
        self.perhaps_circular = waits_for.into_keys().collect();
    }

    fn add(&mut self, definition: &'a Definition) {
        let alarm = &definition.alarm;
        self.by_name.insert(&alarm.name, definition);
        let first = self
            .first_of_rule
            .entry((alarm.fingerprint(), &alarm.actions))
            .or_insert(&alarm.name);
        *first = alarm.name.as_str().min(first);
        match &alarm.rule {
            AlarmRule::Metric(rule) => {
                let stats = rule.stats().into_iter();
                let healthy = stats.filter(|stat| stat.metric.name == "HealthyHostCount");
                self.healthy_hosts
                    .extend(healthy.map(|stat| stat.metric.dimensions()));
            }
            AlarmRule::Composite(composite) => {
                self.followed.extend(children(alarm));
                let suppressor = composite.suppressor.as_ref();
                self.followed
                    .extend(suppressor.map(|suppressor| alarm_name(&suppressor.alarm)));
            }
            AlarmRule::PromQl(_) | AlarmRule::Log(_) => {}
        }
    }
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
        let stat = match &alarm.source {
            Source::Stat(stat) => stat,
            // As the console and CDK write it.
            Source::Math(math) => match math.queries() {
                [
                    MetricDataQuery {
                        content: QueryContent::Stat(stat),
                        ..
                    },
                ] => stat,
                _ => return None,
            },
            Source::Query { .. } => return None,
        };
        Some((alarm, stat))
    }

    /// The same, where the catalogue knows the metric.
    fn known(&self) -> Option<(&'a MetricAlarm, &'a MetricStat, &'static catalogue::Entry)> {
        let (alarm, stat) = self.on_one_metric()?;
        Some((alarm, stat, catalogue::find(&stat.metric)?))
    }

    /// The same, where the metric has datapoints only when something happens.
    fn sparse(&self) -> Option<(&'a MetricAlarm, &'a MetricStat, &'static catalogue::Entry)> {
        self.known()
            .filter(|(_, _, entry)| entry.kind == catalogue::Kind::Sparse)
    }

    /// The metric, if it is such a one and what is missing of it counts so.
    fn sparse_treated_as(&self, treatment: TreatMissingData) -> Option<&'a Metric> {
        let (alarm, stat, _) = self.sparse()?;
        (alarm.treatment() == treatment).then_some(&*stat.metric)
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
    let alarms = Alarms::new(definitions);
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

/// The rule with that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests;

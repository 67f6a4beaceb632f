//! What is unwise about alarms that CloudWatch accepts.
//!
//! Each rule is a file in `rules`: what it finds, why that matters, and an example of each kind. Functions of definitions:
//! nothing is opened here.

mod allow;
mod catalogue;
mod rules;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::alarm::{
    Actions, Alarm, AlarmRule as CompositeRule, ChildRef, MetricAlarm, MetricDataQuery, MetricStat,
    MuteRule, QueryContent, Rule as AlarmRule, Source, TreatMissingData, alarm_name,
};
use crate::definition::{Definition, Parsed};
use crate::finding::Position;
use crate::metric::{Dimension, Metric, Period, Timestamp};

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
    check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
enum Check {
    Alarm(fn(&Case<'_>) -> Vec<Hit>),
    MuteRule(fn(&MuteCase<'_>) -> Vec<Hit>),
}

/// A rule that an alarm breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    pub rule: &'static str,
    pub severity: Severity,
    pub file: String,
    pub position: Position,
    /// `alarm` or `mute rule`.
    pub kind: &'static str,
    pub name: String,
    pub message: String,
}

/// What a rule found: the member that it is about, and what is wrong with it.
struct Hit {
    member: Cow<'static, str>,
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
        member: Cow::Borrowed(member),
        message: message.into(),
    }]
}

/// A statistic that an alarm reads, alone or in its `Metrics`.
struct Read<'a> {
    /// Which of `Metrics` it is.
    id: Option<&'a str>,
    stat: &'a MetricStat,
    period: Period,
}

impl Read<'_> {
    fn known(&self) -> Option<&'static catalogue::Entry> {
        catalogue::find(&self.stat.metric)
    }

    fn hit(&self, member: &'static str, message: impl Into<String>) -> Hit {
        Hit {
            member: match self.id {
                Some(id) => Cow::Owned(format!("Metrics.{id}.{member}")),
                None => Cow::Borrowed(member),
            },
            message: message.into(),
        }
    }
}

/// What is known beside the alarms.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What this host publishes, if it is the one that the alarms are about.
    pub published: &'a [Metric],
    /// When mute rules are looked at.
    pub now: Timestamp,
}

/// One mute rule among all alarms.
struct MuteCase<'a> {
    rule: &'a MuteRule,
    all: &'a Alarms<'a>,
    now: Timestamp,
}

/// One alarm among all that there are.
struct Case<'a> {
    definition: &'a Definition,
    all: &'a Alarms<'a>,
    /// The metrics that this host publishes, where that is known.
    published: &'a [Metric],
}

/// What an alarm does to an instance, and its name.
type Done<'a> = (&'static str, &'a str);

/// All alarms, and what is asked of them for each.
struct Alarms<'a> {
    by_name: BTreeMap<&'a str, &'a Definition>,
    /// Those that are there and could not be read.
    unread: &'a BTreeSet<String>,
    /// The types of a template's resources, by what stands for them.
    types: &'a BTreeMap<String, String>,
    /// What is done to each instance, by the time that it takes and the name of the alarm.
    on_instances: HashMap<(&'a [Dimension], i64), Vec<Done<'a>>>,
    /// The dimensions of the resources of whose silence some alarm tells.
    silence_told: HashSet<&'a [Dimension]>,
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
    fn new(parsed: &'a Parsed) -> Self {
        let mut alarms = Self {
            by_name: BTreeMap::new(),
            unread: &parsed.unread,
            types: &parsed.types,
            on_instances: HashMap::new(),
            silence_told: HashSet::new(),
            followed: HashSet::new(),
            first_of_rule: HashMap::new(),
            healthy_hosts: HashSet::new(),
            perhaps_circular: HashSet::new(),
        };
        for definition in &parsed.alarms {
            alarms.add(definition);
        }
        alarms.find_circles();
        alarms
    }

    /// Whether there is such an alarm, as far as its name tells.
    fn has(&self, name: &str) -> bool {
        name.contains("${") || self.by_name.contains_key(name) || self.unread.contains(name)
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
                let tells_silence = rule.treatment() == TreatMissingData::Breaching
                    || !alarm.actions.insufficient_data.is_empty();
                if tells_silence {
                    let stats = rule.stats().into_iter();
                    self.silence_told
                        .extend(stats.map(|stat| stat.metric.dimensions()));
                }
                if let Some(place) = rules::instance_and_span(rule) {
                    let done = alarm.actions.alarm.iter();
                    let done = done.filter_map(|action| rules::on_instance(action));
                    let of_instance = self.on_instances.entry(place).or_default();
                    of_instance.extend(done.map(|does| (does, alarm.name.as_str())));
                }
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

    /// Every statistic that the alarm reads.
    fn reads(&self) -> Vec<Read<'a>> {
        let Some(alarm) = self.metric_alarm() else {
            return Vec::new();
        };
        match &alarm.source {
            Source::Stat(stat) => vec![Read {
                id: None,
                stat,
                period: alarm.period,
            }],
            Source::Math(math) => math
                .queries()
                .iter()
                .filter_map(|query| match &query.content {
                    QueryContent::Stat(stat) => Some(Read {
                        id: Some(&query.id),
                        stat,
                        period: query.period.unwrap_or(alarm.period),
                    }),
                    QueryContent::Expression(_) => None,
                })
                .collect(),
            Source::Query { .. } => Vec::new(),
        }
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

/// Everything that the rules say about what the files hold, in the order of the files.
pub fn lint(parsed: &Parsed, known: Known<'_>) -> Vec<Lint> {
    let all = Alarms::new(parsed);
    let mut lints = Vec::new();
    for definition in &parsed.alarms {
        let case = Case {
            definition,
            all: &all,
            published: known.published,
        };
        for rule in &ALL {
            let Check::Alarm(check) = rule.check else {
                continue;
            };
            let is_unknown = |member: &str| {
                let last = member.rsplit('.').next();
                definition
                    .unknown
                    .iter()
                    .any(|unknown| Some(unknown.as_str()) == last)
            };
            let hits = check(&case).into_iter();
            let hits = hits.filter(|hit| !is_unknown(&hit.member));
            lints.extend(hits.map(|hit| Lint {
                rule: rule.id,
                severity: rule.severity,
                file: definition.file.clone(),
                position: definition.place(&hit.member),
                kind: "alarm",
                name: definition.alarm.name.clone(),
                message: hit.message,
            }));
        }
    }
    for definition in &parsed.mute_rules {
        let case = MuteCase {
            rule: &definition.rule,
            all: &all,
            now: known.now,
        };
        for rule in &ALL {
            let Check::MuteRule(check) = rule.check else {
                continue;
            };
            lints.extend(check(&case).into_iter().map(|hit| Lint {
                rule: rule.id,
                severity: rule.severity,
                file: definition.file.clone(),
                position: definition.position,
                kind: "mute rule",
                name: definition.rule.name.clone(),
                message: hit.message,
            }));
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

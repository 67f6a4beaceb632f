//! Which of an account's alarms are about this host.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::alarm::{Alarm, Rule};
use crate::aws::Described;
use crate::config::Select;
use crate::definition::parse;

use super::task::Kept;
use super::{Found, View, Views, Wanted};

/// The most alarms that are mirrored; of more the first by name are.
const MIRRORED_MAX: usize = 10_000;

/// What was taken out of CloudWatch's answers so far.
#[derive(Debug, Default)]
pub struct Selection {
    alarms: BTreeMap<String, (Option<Alarm>, Described)>,
    /// Composite alarms, which are about this host if what they follow is.
    composites: BTreeMap<String, (Option<Alarm>, Described)>,
    /// What is about this host and cannot be read here, with the reason.
    pub unreadable: BTreeMap<String, String>,
    /// How many are left out because there are too many.
    pub left_out: usize,
}

impl Selection {
    /// Takes what is about this host out of one answer. What was asked for by its name is kept in any case.
    pub fn add(&mut self, wanted: &Wanted, page: Vec<(String, Described)>, by_name: bool) {
        let mut readable = read(&page);
        for (name, described) in page {
            let alarm = readable.remove(&name);
            if alarm.is_none() {
                self.unreadable.insert(name.clone(), why(&described));
            }
            let keeps = by_name || wanted.selects(&name, alarm.as_ref(), &described.request);
            let is_composite = described.request.get("AlarmRule").is_some();
            let is_full = self.alarms.len() >= MIRRORED_MAX && !wanted.configured.contains(&name);
            match (keeps, is_composite) {
                (true, _) if is_full => self.left_out += 1,
                (true, _) => drop(self.alarms.insert(name, (alarm, described))),
                (false, true) => drop(self.composites.insert(name, (alarm, described))),
                (false, false) => drop(self.unreadable.remove(&name)),
            }
        }
    }

    /// Takes up the composite alarms that follow what is about this host.
    pub fn complete(&mut self) {
        loop {
            let follows = |(alarm, _): &(Option<Alarm>, Described)| match alarm {
                Some(Alarm {
                    rule: Rule::Composite(composite),
                    ..
                }) => {
                    let mut children = composite.rule.children().into_iter();
                    children.any(|child| self.alarms.contains_key(child.name()))
                }
                _ => false,
            };
            let found = self.composites.iter().filter(|(_, known)| follows(known));
            let found: Vec<String> = found.map(|(name, _)| name.clone()).collect();
            if found.is_empty() {
                break;
            }
            let found = found
                .into_iter()
                .filter_map(|name| self.composites.remove_entry(&name));
            self.alarms.extend(found);
        }
        for (name, (alarm, described)) in std::mem::take(&mut self.composites) {
            let rule = described.request.get("AlarmRule").and_then(Value::as_str);
            let mut known = self.alarms.keys();
            let names_one = rule.is_some_and(|rule| known.any(|known| rule.contains(known)));
            // One that cannot be read is told if it may follow what is about this host.
            if alarm.is_some() || !names_one {
                self.unreadable.remove(&name);
            }
        }
    }

    pub fn names(&self) -> BTreeSet<String> {
        self.alarms.keys().cloned().collect()
    }

    /// What is kept of those that are only in CloudWatch, for a start without it.
    pub fn kept(&self, wanted: &Wanted) -> Vec<Kept> {
        let all = self.alarms.iter();
        let others = all.filter(|(name, _)| !wanted.configured.contains(*name));
        others
            .map(|(_, (_, described))| Kept::of(described))
            .collect()
    }

    /// What is to be judged, and what CloudWatch says of it.
    pub fn split(self, wanted: &Wanted, asked_at: crate::metric::Timestamp) -> (Found, Views) {
        let mut found = Found::default();
        let mut views = Views {
            asked_at,
            ..Views::default()
        };
        for (name, (alarm, described)) in self.alarms {
            let view = View::of(&described, alarm.clone());
            if let Some(alarm) = alarm.filter(|_| !wanted.configured.contains(&name)) {
                found
                    .states
                    .extend(view.as_ref().map(|view| view.snapshot(&alarm)));
                found.alarms.push(alarm);
            }
            views.alarms.extend(view.map(|view| (name, view)));
        }
        (found, views)
    }
}

impl Wanted {
    fn selects(&self, name: &str, alarm: Option<&Alarm>, request: &Value) -> bool {
        let prefix = self.config.name_prefix.as_deref().unwrap_or_default();
        if self.configured.contains(name) {
            return true;
        }
        if !name.starts_with(prefix) {
            return false;
        }
        match (self.config.select, alarm) {
            (Select::All, _) => true,
            (Select::Host, Some(alarm)) => self
                .is_about_here(alarm)
                .unwrap_or_else(|| self.names_this_host(request)),
            (Select::Host, None) => self.names_this_host(request),
        }
    }

    /// What cannot be read, and what only a query says, may be about anything: where the instance or the host is a text in it, it
    /// is about this host.
    fn names_this_host(&self, request: &Value) -> bool {
        let text = request.to_string();
        let is_named = |name: &String| {
            let mut escapes = ["", "\\"].iter();
            escapes.any(|escape| text.contains(&format!("\"{name}{escape}\"")))
        };
        let id = self.instance_id.as_ref();
        id.is_some_and(|id| text.contains(id)) || self.names.iter().any(is_named)
    }

    /// Whether it looks at a metric of this host, or at one of AWS's about this instance; `None` if its rule names no metric.
    fn is_about_here(&self, alarm: &Alarm) -> Option<bool> {
        let stats = match &alarm.rule {
            Rule::Metric(rule) => rule.stats(),
            Rule::Composite(_) => return Some(false),
            Rule::PromQl(_) | Rule::Log(_) => Vec::new(),
        };
        if stats.is_empty() {
            return None;
        }
        let is_here = |dimension: &crate::metric::Dimension| {
            dimension.name == "InstanceId" && Some(&dimension.value) == self.instance_id.as_ref()
        };
        let is_about_here = stats.into_iter().any(|stat| {
            self.sources.has(&stat.metric) || stat.metric.dimensions().iter().any(is_here)
        });
        Some(is_about_here)
    }
}

/// The alarms by their names, as far as they can be read.
pub(super) fn read(page: &[(String, Described)]) -> BTreeMap<String, Alarm> {
    let requests: Vec<&Value> = page.iter().map(|(_, of)| &of.request).collect();
    let text = serde_json::to_string(&requests).unwrap_or_default();
    let parsed = parse("CloudWatch", &text).alarms.into_iter();
    let mut alarms: BTreeMap<String, Alarm> = parsed
        .map(|found| (found.alarm.name.clone(), found.alarm))
        .collect();
    for (name, described) in page {
        if let Some(alarm) = alarms.get_mut(name) {
            alarm.arn = Some(described.arn.clone()).filter(|arn| !arn.is_empty());
        }
    }
    alarms
}

/// Why an alarm cannot be read.
fn why(described: &Described) -> String {
    let alone = parse("CloudWatch", &described.request.to_string());
    let first = alone.problems().next().map(|found| found.message.clone());
    first.unwrap_or_default()
}

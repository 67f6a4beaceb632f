//! Which of an account's alarms are about this host.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::alarm::{Alarm, Rule};
use crate::aws::Described;
use crate::config::Select;
use crate::definition::parse;

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
        let mut readable = read(&page, &mut self.unreadable);
        for (name, described) in page {
            let alarm = readable.remove(&name).map(|alarm| Alarm {
                arn: Some(described.arn.clone()).filter(|arn| !arn.is_empty()),
                ..alarm
            });
            let keeps = by_name || wanted.selects(&name, alarm.as_ref(), &described.request);
            let is_composite = described.request.get("AlarmRule").is_some();
            match (keeps, is_composite) {
                (true, _) => drop(self.alarms.insert(name, (alarm, described))),
                (false, true) => drop(self.composites.insert(name, (alarm, described))),
                (false, false) => drop(self.unreadable.remove(&name)),
            }
        }
    }

    /// Takes up the composite alarms that follow what is about this host, and leaves out what is too much.
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
        for name in std::mem::take(&mut self.composites).into_keys() {
            self.unreadable.remove(&name);
        }
        while self.alarms.len() > MIRRORED_MAX {
            self.alarms.pop_last();
            self.left_out += 1;
        }
    }

    pub fn names(&self) -> BTreeSet<String> {
        self.alarms.keys().cloned().collect()
    }

    /// The requests that would make what was selected.
    pub fn requests(&self) -> Vec<&Value> {
        let all = self.alarms.values();
        all.map(|(_, described)| &described.request).collect()
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
            (Select::Host, Some(alarm)) => self.is_about_here(alarm),
            // What cannot be read may be about anything; where it names this instance it is about this host.
            (Select::Host, None) => {
                let id = self.instance_id.as_deref();
                id.is_some_and(|id| request.to_string().contains(id))
            }
        }
    }

    /// Whether it looks at a metric of this host, or at one of AWS's about this instance.
    fn is_about_here(&self, alarm: &Alarm) -> bool {
        let Rule::Metric(rule) = &alarm.rule else {
            return false;
        };
        let is_here = |dimension: &crate::metric::Dimension| {
            dimension.name == "InstanceId" && Some(&dimension.value) == self.instance_id.as_ref()
        };
        rule.stats().into_iter().any(|stat| {
            self.sources.has(&stat.metric) || stat.metric.dimensions().iter().any(is_here)
        })
    }
}

/// The alarms by their names, as far as they can be read.
fn read(
    page: &[(String, Described)],
    unreadable: &mut BTreeMap<String, String>,
) -> BTreeMap<String, Alarm> {
    let requests: Vec<&Value> = page
        .iter()
        .map(|(_, described)| &described.request)
        .collect();
    let text = serde_json::to_string(&requests).unwrap_or_default();
    let parsed = parse("CloudWatch", &text);
    let sound = parsed.alarms.iter().map(|found| found.alarm.name.as_str());
    let sound: BTreeSet<&str> = sound.collect();
    for (name, described) in page.iter().filter(|(name, _)| !sound.contains(&**name)) {
        // Alone, so that what is said is about this one.
        let alone = parse("CloudWatch", &described.request.to_string());
        let why = alone.problems().next().map(|found| found.message.clone());
        unreadable.insert(name.clone(), why.unwrap_or_default());
    }
    let alarms = parsed.alarms.into_iter().map(|found| found.alarm);
    alarms.map(|alarm| (alarm.name.clone(), alarm)).collect()
}

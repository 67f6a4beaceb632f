//! What has to be done so that CloudWatch has what the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::Value;

use crate::alarm::{AlarmRule, ChildRef, alarm_name};
use crate::aws::{Account, Alarms};
use crate::definition::differences;

use super::{Trouble, cannot_write};

/// What the files hold, by name.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) alarms: BTreeMap<String, Value>,
    pub(super) mute_rules: BTreeMap<String, Value>,
}

/// What of CloudWatch is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// What the files name.
    Named,
    /// All that there is; what the files do not name is to go.
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alarm,
    MuteRule,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::MuteRule => "mute rule",
        }
    }
}

/// One thing to be done.
#[derive(Debug)]
struct Step {
    kind: Kind,
    name: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Create(Value),
    /// With the members that differ: what is there, and what is to be.
    Change(Value, Vec<(String, Value, Value)>),
    Delete,
}

/// Everything to be done, in an order in which nothing is named that is not there.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
    unchanged: usize,
}

impl Plan {
    pub(super) fn new(local: Local, account: Account, scope: Scope) -> Self {
        let there: BTreeMap<String, Value> = account
            .alarms
            .into_iter()
            .map(|(name, found)| (name, found.request))
            .collect();
        let mut plan = Self {
            steps: Vec::new(),
            unchanged: 0,
        };
        let order = in_order(&local.alarms);
        plan.put(Kind::Alarm, order, &local.alarms, &there);
        let names = local.mute_rules.keys().cloned().collect();
        plan.put(
            Kind::MuteRule,
            names,
            &local.mute_rules,
            &account.mute_rules,
        );
        if scope == Scope::Everything {
            let names = account.mute_rules.keys().cloned().collect();
            plan.delete(Kind::MuteRule, names, &local.mute_rules);
            // What others name goes after them.
            let mut names = in_order(&there);
            names.reverse();
            plan.delete(Kind::Alarm, names, &local.alarms);
        }
        plan
    }

    fn put(
        &mut self,
        kind: Kind,
        names: Vec<String>,
        wanted: &BTreeMap<String, Value>,
        there: &BTreeMap<String, Value>,
    ) {
        for name in names {
            let Some(request) = wanted.get(&name) else {
                continue;
            };
            let what = match there.get(&name) {
                None => What::Create(request.clone()),
                Some(found) => match differences(found, request) {
                    differences if differences.is_empty() => {
                        self.unchanged += 1;
                        continue;
                    }
                    differences => What::Change(request.clone(), differences),
                },
            };
            self.steps.push(Step { kind, name, what });
        }
    }

    fn delete(&mut self, kind: Kind, names: Vec<String>, wanted: &BTreeMap<String, Value>) {
        let gone = names.into_iter().filter(|name| !wanted.contains_key(name));
        self.steps.extend(gone.map(|name| Step {
            kind,
            name,
            what: What::Delete,
        }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        for Step { kind, name, what } in &self.steps {
            let kind = kind.name();
            match what {
                What::Create(_) => writeln!(out, "+ {kind} {name}")?,
                What::Delete => writeln!(out, "- {kind} {name}")?,
                What::Change(_, differences) => {
                    writeln!(out, "~ {kind} {name}")?;
                    for (member, there, wanted) in differences {
                        writeln!(out, "    {member}: {} -> {}", shown(there), shown(wanted))?;
                    }
                }
            }
        }
        let count = |is: fn(&What) -> bool| self.steps.iter().filter(|step| is(&step.what)).count();
        writeln!(
            out,
            "{} to create, {} to change, {} to delete, {} as they are",
            count(|what| matches!(what, What::Create(_))),
            count(|what| matches!(what, What::Change(..))),
            count(|what| matches!(what, What::Delete)),
            self.unchanged
        )
    }

    /// Does it step by step. What was done is told as it is done; after a failure, what was not.
    pub(super) async fn carry_out(
        &self,
        client: &Alarms,
        out: &mut impl Write,
    ) -> Result<(), Trouble> {
        let mut unwritable = None;
        for (place, Step { kind, name, what }) in self.steps.iter().enumerate() {
            let done = match (kind, what) {
                (_, What::Create(request) | What::Change(request, _)) => client.put(request).await,
                (Kind::Alarm, What::Delete) => client.delete_alarm(name).await,
                (Kind::MuteRule, What::Delete) => client.delete_mute_rule(name).await,
            };
            let kind = kind.name();
            if let Err(error) = done {
                let left: Vec<&str> = self.steps[place..].iter().map(|step| &*step.name).collect();
                return Err(vec![
                    format!("{kind} `{name}`: {error}"),
                    format!(
                        "{place} of {} were done; not done: {}; pushing again goes on from there",
                        self.steps.len(),
                        left.join(", ")
                    ),
                ]);
            }
            let verb = match what {
                What::Create(_) => "created",
                What::Change(..) => "changed",
                What::Delete => "deleted",
            };
            // Whoever reads along may be gone; what was begun is brought to its end.
            let told = writeln!(out, "{verb} {kind} {name}");
            unwritable = unwritable.or(told.err());
        }
        unwritable.map_or(Ok(()), |error| Err(cannot_write(error)))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        value => value.to_string(),
    }
}

/// The names, each after those that its rule and its suppressor name.
fn in_order(requests: &BTreeMap<String, Value>) -> Vec<String> {
    let (mut order, mut seen, mut done) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for name in requests.keys() {
        // What still waits for others, with those that it waits for.
        let mut open = vec![(name.as_str(), below(requests, name))];
        while let Some((name, waits_for)) = open.last_mut() {
            match waits_for.pop() {
                Some(child) if !seen.contains(&child) => {
                    if let Some((child, _)) = requests.get_key_value(&child) {
                        seen.insert(child.clone());
                        open.push((child, below(requests, child)));
                    }
                }
                Some(_) => {}
                None => {
                    let name = (*name).to_owned();
                    open.pop();
                    if done.insert(name.clone()) {
                        seen.insert(name.clone());
                        order.push(name);
                    }
                }
            }
        }
    }
    order
}

/// The alarms that an alarm names.
fn below(requests: &BTreeMap<String, Value>, name: &str) -> Vec<String> {
    let text = |member: &str| requests.get(name)?.get(member)?.as_str();
    let rule = text("AlarmRule").and_then(|rule| AlarmRule::parse(rule).ok());
    let children = rule
        .iter()
        .flat_map(AlarmRule::children)
        .map(ChildRef::name);
    let suppressor = text("ActionsSuppressor").map(alarm_name);
    children.chain(suppressor).map(str::to_owned).collect()
}

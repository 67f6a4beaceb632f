//! What of an alarm the tests reach.

use std::collections::BTreeMap;

use crate::alarm::{Rule, StateValue, Status, TreatMissingData};

/// What was reached of each alarm, by its name.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    alarms: BTreeMap<String, BTreeMap<String, bool>>,
}

/// What of one alarm there is to be reached, and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmCoverage {
    pub alarm: String,
    pub reached: usize,
    pub all: usize,
    pub missed: Vec<String>,
}

impl Coverage {
    /// Notes where an alarm stands.
    pub fn see(&mut self, status: &Status) {
        let branches = match self.alarms.get_mut(&status.alarm.name) {
            Some(branches) => branches,
            None => self
                .alarms
                .entry(status.alarm.name.clone())
                .or_insert_with(|| to_be_reached(status)),
        };
        let mut reach = |branch: &str| {
            if let Some(reached) = branches.get_mut(branch) {
                *reached = true;
            }
        };
        reach(status.state.name());
        for (from, to) in status.transitions.keys() {
            reach(&format!("{from} -> {to}"));
        }
        if let Some(evaluation) = &status.evaluation {
            reach(match evaluation.decision.basis {
                basis if basis.filled == 0 => NONE_MISSING,
                basis if basis.used == 0 => ALL_MISSING,
                _ => SOME_MISSING,
            });
        }
    }

    pub fn alarms(&self) -> Vec<AlarmCoverage> {
        let one = |(alarm, branches): (&String, &BTreeMap<String, bool>)| AlarmCoverage {
            alarm: alarm.clone(),
            reached: branches.values().filter(|reached| **reached).count(),
            all: branches.len(),
            missed: branches
                .iter()
                .filter(|(_, reached)| !**reached)
                .map(|(branch, _)| branch.clone())
                .collect(),
        };
        self.alarms.iter().map(one).collect()
    }

    /// Of everything there is, in percent.
    pub fn percent(&self) -> f64 {
        let alarms = self.alarms();
        let count = |of: fn(&AlarmCoverage) -> usize| -> f64 {
            u32::try_from(alarms.iter().map(of).sum::<usize>()).map_or(f64::MAX, f64::from)
        };
        match count(|alarm| alarm.all) {
            0.0 => 100.0,
            all => 100.0 * count(|alarm| alarm.reached) / all,
        }
    }
}

const NONE_MISSING: &str = "no datapoint missing";
const SOME_MISSING: &str = "some datapoints missing";
const ALL_MISSING: &str = "all datapoints missing";

/// The states that the alarm can come to, the ways between them, and how much of its datapoints may be missing.
fn to_be_reached(status: &Status) -> BTreeMap<String, bool> {
    let mut states = vec![StateValue::Ok, StateValue::Alarm];
    let mut branches = BTreeMap::new();
    if let Rule::Metric(alarm) = &status.alarm.rule {
        if alarm.treatment() == TreatMissingData::Missing {
            states.push(StateValue::InsufficientData);
        }
        branches.extend(
            [NONE_MISSING, SOME_MISSING, ALL_MISSING].map(|branch| (branch.to_owned(), false)),
        );
    }
    for from in &states {
        branches.insert(from.name().to_owned(), false);
        let ways = states.iter().filter(|to| *to != from);
        branches.extend(ways.map(|to| (format!("{from} -> {to}"), false)));
    }
    branches
}

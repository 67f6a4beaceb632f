//! What of an alarm the tests reach.

use std::collections::BTreeMap;

use crate::alarm::{Alarm, Rule, StateValue, Transition, TreatMissingData};

use super::Seen;

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
    /// Notes what a test sees. What the test sets is no doing of the alarm.
    pub fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Transition(Transition {
                alarm, from, to, ..
            }) => {
                let way = format!("{from} -> {to}");
                self.reach(alarm, &[&way, to.name()]);
            }
            Seen::Status(status) => {
                let Some(evaluation) = &status.evaluation else {
                    return self.reach(&status.alarm, &[]);
                };
                let missing = match evaluation.decision.basis {
                    basis if basis.filled == 0 => NONE_MISSING,
                    basis if basis.used == 0 => ALL_MISSING,
                    _ => SOME_MISSING,
                };
                self.reach(&status.alarm, &[status.state.name(), missing]);
            }
        }
    }

    fn reach(&mut self, alarm: &Alarm, reached: &[&str]) {
        let branches = match self.alarms.get_mut(&alarm.name) {
            Some(branches) => branches,
            None => self
                .alarms
                .entry(alarm.name.clone())
                .or_insert_with(|| to_be_reached(alarm)),
        };
        for branch in reached {
            if let Some(is_reached) = branches.get_mut(*branch) {
                *is_reached = true;
            }
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
fn to_be_reached(alarm: &Alarm) -> BTreeMap<String, bool> {
    let mut states = vec![StateValue::Ok, StateValue::Alarm];
    let mut branches = BTreeMap::new();
    if let Rule::Metric(alarm) = &alarm.rule {
        if alarm.treatment() == TreatMissingData::Missing {
            states.push(StateValue::InsufficientData);
        }
        branches.extend([NONE_MISSING, ALL_MISSING].map(|branch| (branch.to_owned(), false)));
        // Of one datapoint there is no part.
        if alarm.evaluation_periods > 1 {
            branches.insert(SOME_MISSING.to_owned(), false);
        }
    }
    for from in &states {
        branches.insert(from.name().to_owned(), false);
        let ways = states.iter().filter(|to| *to != from);
        branches.extend(ways.map(|to| (format!("{from} -> {to}"), false)));
    }
    branches
}

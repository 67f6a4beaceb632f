//! Unit tests of alarms: files that say which samples come when, and which states are to follow.
//!
//! Functions of text and of alarms: nothing is opened here. The tests run through the same [`Pipeline`](crate::pipeline) as
//! everything else.

mod coverage;
mod file;
mod mutate;
mod run;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::StateValue;
use crate::finding::Position;
use crate::metric::{Content, Metric, Resolution, Timestamp, Unit};

pub use coverage::{AlarmCoverage, Coverage};
pub use file::parse;
pub use mutate::{Unnoticed, unnoticed};
pub use run::{Failure, Seen, Subject, run};

/// A file of tests.
#[derive(Clone, Debug, PartialEq)]
pub struct TestFile {
    /// The files or patterns that the alarms are in.
    pub alarms: Vec<(String, Position)>,
    pub tests: Vec<Test>,
}

/// One test. Times are seconds after its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    pub name: String,
    pub position: Position,
    /// When it starts.
    pub start: Timestamp,
    pub samples: Vec<InputSample>,
    /// The metrics that the samples are of, and where each stands.
    pub series: Vec<(Arc<Metric>, Position)>,
    /// The states that alarms have when they are created.
    pub initial_state: BTreeMap<String, StateValue>,
    pub created_at: i64,
    /// `None`: one period of the slowest alarm after the last sample, or at the last expectation if that is later.
    pub until: Option<i64>,
    /// When the program is stopped and started again.
    pub restarts: Vec<i64>,
    /// States that are set from outside, as SetAlarmState does.
    pub set_states: Vec<SetState>,
    pub expect: Vec<Expectation>,
    pub expect_transitions: Vec<Expected>,
    pub expect_actions: Vec<Expected>,
}

/// A sample, and when it comes.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSample {
    pub metric: Arc<Metric>,
    pub unit: Unit,
    pub resolution: Resolution,
    pub at: i64,
    pub comes_at: i64,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SetState {
    pub at: i64,
    pub alarm: String,
    pub position: Position,
    pub state: StateValue,
}

/// What is to be at some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub at: i64,
    pub alarm: String,
    pub position: Position,
    pub state: Option<StateValue>,
    pub reason: Option<String>,
    pub reason_contains: Option<String>,
    pub certainty: Option<String>,
}

/// All that is to happen to an alarm in the test's time, as lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub alarm: String,
    pub position: Position,
    pub lines: Vec<String>,
}

/// Seconds as tests write them: `90s` as `1m30s`, `6m`, `1h30m`, `63d`.
pub fn time(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds.max(0);
    if rest == 0 {
        return "0m".to_owned();
    }
    let mut text = String::new();
    for (length, unit) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    text
}

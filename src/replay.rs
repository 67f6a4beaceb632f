//! Alarms over history: what they would have done.
//!
//! Rows of a history go through the same [`Pipeline`](crate::pipeline) as everything else, one instant after the other, so that
//! no more of a history is in memory than the alarms look at.

mod rows;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::{Alarm, MuteRule, Options, Transition};
use crate::metric::{Content, Metric, Reading, Resolution, Sample, Timestamp, Unit};
use crate::pipeline::{Outcome, Pipeline};

pub use rows::{Csv, Wrong, instant, json_rows};
pub use summary::Summary;

/// Something that a history has at some instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub at: Timestamp,
    pub metric: Arc<Metric>,
    pub unit: Unit,
    pub resolution: Resolution,
    pub content: Content,
}

/// Alarms on their way through a history.
#[derive(Debug)]
pub struct Replay {
    pipeline: Pipeline,
    /// What came at the newest instant, and is not judged yet.
    reading: Option<Reading>,
    summaries: BTreeMap<String, Summary>,
    /// Rows that came after later ones: they count as late samples.
    pub disordered: u64,
    /// Rows that CloudWatch would not have taken: too late, or no number.
    pub dropped: u64,
    pub rows: u64,
    pub evaluated: u64,
}

impl Replay {
    /// Alarms that are created at `start`, with no data yet.
    pub fn new(alarms: Vec<Alarm>, mute_rules: Vec<MuteRule>, start: Timestamp) -> Self {
        let mut pipeline = Pipeline::new(Options::default());
        let summaries = alarms
            .iter()
            .map(|alarm| (alarm.name.clone(), Summary::new(start)))
            .collect();
        pipeline.set_alarms(alarms, start);
        pipeline.set_mute_rules(mute_rules, start);
        Self {
            pipeline,
            reading: None,
            summaries,
            disordered: 0,
            dropped: 0,
            rows: 0,
            evaluated: 0,
        }
    }

    /// Takes the next row, and judges what was due before it. Returns what the alarms did.
    pub fn row(&mut self, row: Row) -> Vec<Transition> {
        self.rows += 1;
        let sample = Sample {
            metric: row.metric,
            unit: row.unit,
            resolution: row.resolution,
            at: row.at,
            content: row.content,
        };
        match &mut self.reading {
            Some(reading) if row.at <= reading.at => {
                self.disordered += u64::from(row.at < reading.at);
                reading.samples.push(sample);
                Vec::new()
            }
            _ => {
                let done = self.step();
                self.reading = Some(Reading {
                    at: row.at,
                    samples: vec![sample],
                });
                done
            }
        }
    }

    /// Judges up to `until`, after the last row.
    pub fn end(&mut self, until: Timestamp) -> Vec<Transition> {
        let mut transitions = self.step();
        let last = Reading {
            at: until,
            samples: Vec::new(),
        };
        let outcome = self.pipeline.advance(&last);
        transitions.append(&mut self.note(outcome));
        for summary in self.summaries.values_mut() {
            summary.end(until);
        }
        transitions
    }

    fn step(&mut self) -> Vec<Transition> {
        match self.reading.take() {
            Some(reading) => {
                let outcome = self.pipeline.advance(&reading);
                self.note(outcome)
            }
            None => Vec::new(),
        }
    }

    fn note(&mut self, outcome: Outcome) -> Vec<Transition> {
        self.evaluated += outcome.evaluated as u64;
        self.dropped += outcome.dropped.len() as u64;
        for transition in &outcome.events.transitions {
            if let Some(summary) = self.summaries.get_mut(&transition.alarm.name) {
                summary.enter(transition.from, transition.to, transition.at);
            }
        }
        outcome.events.transitions
    }

    /// By the alarm's name.
    pub fn summaries(&self) -> &BTreeMap<String, Summary> {
        &self.summaries
    }

    /// Why an alarm was not judged, if it was not.
    pub fn not_mirrored(&self) -> Vec<(String, String)> {
        let statuses = self.pipeline.statuses();
        let told = statuses
            .iter()
            .filter_map(|status| Some((status.alarm.name.clone(), status.not_mirrored.clone()?)));
        told.collect()
    }
}

#[cfg(test)]
mod tests;

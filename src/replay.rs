//! Alarms over history: what they would have done.
//!
//! Rows of a history go through the same [`Pipeline`](crate::pipeline) as everything else, one instant after the other, so that
//! no more of a history is in memory than the alarms look at.

mod chart;
mod heat;
mod incidents;
mod rows;
mod summary;
mod svg;
mod sweep;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::{Alarm, MetricAlarm, MuteRule, Options, StateValue, Transition};
use crate::metric::{Content, Reading, Sample, Timestamp};
use crate::pipeline::{Outcome, Pipeline};

pub use chart::{Chart, svg};
pub use heat::{Heat, heat_svg};
pub use incidents::{Caught, Incident, incidents};
pub use rows::{Batch, Csv, Only, Reads, Table, Wrong, instant, json_rows};
pub use summary::Summary;
pub use sweep::{Axis, COMBINATIONS_MAX, Parameter, Setting, Variant, axis, variants};

/// The most rows of one instant that are held until the next.
const SAMPLES_MAX: usize = 4_096;

/// Alarms on their way through a history.
#[derive(Debug)]
pub struct Replay {
    /// Whether there are mute rules.
    can_withhold: bool,
    pipeline: Pipeline,
    /// What came at the newest instant; nothing at the beginning.
    reading: Reading,
    is_judged: bool,
    summaries: BTreeMap<String, Summary>,
    /// Of the alarms that pictures are wanted of.
    charts: BTreeMap<String, Chart>,
    /// Rows that came after later ones: they count as late samples.
    pub disordered: u64,
    /// Rows that CloudWatch would not have taken: too late, or no number.
    pub dropped: u64,
    pub rows: u64,
    pub evaluated: u64,
}

impl Replay {
    /// Alarms that are created at `start`, with no data yet.
    pub fn new(
        alarms: Vec<Alarm>,
        mute_rules: Vec<MuteRule>,
        start: Timestamp,
        incidents: Option<&Arc<[Incident]>>,
    ) -> Self {
        let mut pipeline = Pipeline::for_alarms_only(Options::default());
        let caught = || incidents.map(|known| Caught::new(Arc::clone(known)));
        let summaries = alarms
            .iter()
            .map(|alarm| (alarm.name.clone(), Summary::new(start, caught())))
            .collect();
        pipeline.set_alarms(alarms, start);
        let can_withhold = !mute_rules.is_empty();
        pipeline.set_mute_rules(mute_rules, start);
        Self {
            can_withhold,
            pipeline,
            reading: Reading {
                at: Timestamp::MIN,
                samples: Vec::new(),
            },
            is_judged: true,
            summaries,
            charts: BTreeMap::new(),
            disordered: 0,
            dropped: 0,
            rows: 0,
            evaluated: 0,
        }
    }

    /// Draws every alarm on metrics from now on.
    pub fn draw(&mut self, start: Timestamp) {
        for status in self.pipeline.statuses() {
            if let Some(rule) = status.alarm.metric_rule() {
                let name = &status.alarm.name;
                let chart = Chart::new(name, rule.threshold(), start);
                self.charts.insert(name.clone(), chart);
            }
        }
    }

    /// Takes the next row, and judges what was due before it. Returns what the alarms did.
    #[inline(always)]
    pub fn row(&mut self, row: &Sample) -> Vec<Transition> {
        self.rows += 1;
        if !self.charts.is_empty() {
            self.draw_row(row);
        }
        let mut done = Vec::new();
        // Many rows of one instant are not all held.
        if row.at > self.reading.at || self.reading.samples.len() == SAMPLES_MAX {
            done = self.step();
            self.reading.at = self.reading.at.max(row.at);
        }
        self.disordered += u64::from(row.at < self.reading.at);
        self.hold(row);
        done
    }

    #[inline(always)]
    fn hold(&mut self, row: &Sample) {
        let was_judged = std::mem::take(&mut self.is_judged);
        match self.reading.samples.as_mut_slice() {
            // As in every history of one metric: counting anew who holds it would take a tenth of the time.
            [only] if was_judged && Arc::ptr_eq(&only.metric, &row.metric) => {
                only.unit = row.unit;
                only.resolution = row.resolution;
                only.at = row.at;
                only.content.clone_from(&row.content);
            }
            _ => {
                if was_judged {
                    self.reading.samples.clear();
                }
                self.reading.samples.push(row.clone());
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
        let not_judged: BTreeMap<String, String> = self.not_mirrored().into_iter().collect();
        for (name, summary) in &mut self.summaries {
            summary.count(until);
            summary.not_judged = not_judged.get(name).cloned();
        }
        for chart in self.charts.values_mut() {
            chart.end(until);
        }
        transitions
    }

    fn draw_row(&mut self, row: &Sample) {
        let (low, high) = match &row.content {
            Content::Value(value) => (*value, *value),
            Content::Values(values) => values.iter().fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(low, high), (value, _)| (low.min(*value), high.max(*value)),
            ),
            Content::StatisticSet(set) => (set.minimum, set.maximum),
        };
        for (name, chart) in &mut self.charts {
            let status = self.pipeline.status(name);
            let rule = status
                .as_ref()
                .and_then(|status| status.alarm.metric_rule());
            let stats = rule.map(MetricAlarm::stats).unwrap_or_default();
            if stats.iter().any(|stat| *stat.metric == *row.metric) {
                chart.sample(row.at, low, high);
            }
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Vec<Transition> {
        if self.is_judged {
            return Vec::new();
        }
        let outcome = self.pipeline.advance(&self.reading);
        self.is_judged = true;
        self.note(outcome)
    }

    #[inline(always)]
    fn note(&mut self, outcome: Outcome) -> Vec<Transition> {
        self.evaluated += outcome.evaluated as u64;
        self.dropped += outcome.dropped.len() as u64;
        for transition in &outcome.events.transitions {
            let goes_off = transition.to == StateValue::Alarm;
            let is_withheld = goes_off && self.is_withheld(&transition.alarm);
            if let Some(summary) = self.summaries.get_mut(&transition.alarm.name) {
                summary.enter(transition.from, transition.to, transition.at);
                summary.withheld += u64::from(is_withheld);
            }
            if let Some(chart) = self.charts.get_mut(&transition.alarm.name) {
                chart.state(transition.at, transition.to);
            }
        }
        if outcome.evaluated > 0 {
            for (name, chart) in &mut self.charts {
                if let Some(status) = self.pipeline.status(name) {
                    chart.status(&status);
                }
            }
        }
        outcome.events.transitions
    }

    /// Whether nobody hears of it. What mutes and suppresses is looked for only where there can be something.
    fn is_withheld(&self, alarm: &Alarm) -> bool {
        if !alarm.actions.enabled {
            return true;
        }
        if !self.can_withhold && alarm.suppressor().is_none() {
            return false;
        }
        let status = self.pipeline.status(&alarm.name);
        status.is_some_and(|status| status.muted_until.is_some() || status.suppressed_by.is_some())
    }

    /// In the order of the alarms' names.
    pub fn charts(&self) -> Vec<Chart> {
        self.charts.values().cloned().collect()
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

//! Datapoints that CloudWatch does not have yet, in memory and bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::{AGE_MAX, Datapoint, Timestamp};

/// The most datapoints held. With one metric a minute that is almost three days; beyond it the oldest go.
pub const OUTBOX_MAX: usize = 4_096;

/// What one PutMetricData request may carry (SPEC section 2.2): a thousand datums and, not compressed, a megabyte, of which
/// a part is left for the envelope.
const REQUEST_DATAPOINTS_MAX: usize = 1_000;
const REQUEST_BYTES_MAX: usize = 900_000;

/// A datapoint by its place in the order of sending: its start, and when it was put in.
type Key = (Timestamp, u64);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    key: Key,
    pub(super) datapoint: Arc<Datapoint>,
    /// It was sent, and no answer told what became of it.
    pub(super) answer_lost: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: BTreeMap<Key, Entry>,
    pushed: u64,
}

impl Outbox {
    /// Returns the oldest datapoint if it had to make room.
    pub(super) fn push(&mut self, datapoint: Datapoint) -> Option<Arc<Datapoint>> {
        let key = (datapoint.start, self.pushed);
        self.pushed += 1;
        self.entries.insert(
            key,
            Entry {
                key,
                datapoint: Arc::new(datapoint),
                answer_lost: false,
            },
        );
        if self.entries.len() <= OUTBOX_MAX {
            return None;
        }
        self.entries.pop_first().map(|(_, entry)| entry.datapoint)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(start, _)| *start)
    }

    /// The minute of the newest datapoint.
    pub(super) fn newest_minute(&self) -> Timestamp {
        self.entries
            .keys()
            .next_back()
            .map_or(Timestamp::from_seconds(i64::MAX), |(start, _)| {
                start.floor(60)
            })
    }

    /// Removes what CloudWatch would not take any more, and returns how many those were.
    pub(super) fn remove_too_old(&mut self, now: Timestamp) -> usize {
        let kept = self.entries.split_off(&(now - AGE_MAX, 0));
        std::mem::replace(&mut self.entries, kept).len()
    }

    /// What one request can carry: first what starts in `newest` or later, then the rest from the oldest on.
    pub(super) fn batch(&self, newest: Timestamp) -> Option<Vec<Entry>> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.datapoint.request_size();
            bytes <= REQUEST_BYTES_MAX
        };
        let in_order = self
            .entries
            .range((newest, 0)..)
            .chain(self.entries.range(..(newest, 0)));
        let batch: Vec<Entry> = in_order
            .map(|(_, entry)| entry)
            .take(REQUEST_DATAPOINTS_MAX)
            .take_while(fits)
            .cloned()
            .collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// Returns how many of the batch were still there.
    pub(super) fn remove(&mut self, batch: &[Entry]) -> usize {
        batch
            .iter()
            .filter_map(|entry| self.entries.remove(&entry.key))
            .count()
    }

    pub(super) fn mark_answer_lost(&mut self, batch: &[Entry]) {
        for entry in batch {
            if let Some(entry) = self.entries.get_mut(&entry.key) {
                entry.answer_lost = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Dimension, Distribution, Metric, Resolution, StatisticSet, Unit};

    fn datapoint(start: i64, dimensions: usize) -> Datapoint {
        let dimensions = (0..dimensions)
            .map(|i| Dimension::new(format!("d{i}"), "v".repeat(1024)))
            .collect();
        Datapoint {
            metric: Arc::new(Metric::new("n", "m", dimensions)),
            unit: Unit::PERCENT,
            resolution: Resolution::Standard,
            start: Timestamp::from_seconds(start),
            statistics: StatisticSet::of(1.0, 1.0),
            values: Some(Distribution::new()),
        }
    }

    fn outbox(starts: impl IntoIterator<Item = i64>) -> Outbox {
        let mut outbox = Outbox::default();
        starts
            .into_iter()
            .for_each(|start| drop(outbox.push(datapoint(start, 0))));
        outbox
    }

    fn starts(batch: Option<Vec<Entry>>) -> Vec<i64> {
        batch
            .into_iter()
            .flatten()
            .map(|entry| entry.datapoint.start.seconds())
            .collect()
    }

    #[test]
    fn the_current_minute_goes_first_then_the_oldest() {
        let outbox = outbox([60, 240, 120, 180, 240]);
        assert_eq!(
            starts(outbox.batch(outbox.newest_minute())),
            [240, 240, 60, 120, 180]
        );
        assert!(
            Outbox::default()
                .batch(Timestamp::from_seconds(i64::MAX))
                .is_none()
        );
    }

    #[test]
    fn batches_keep_to_the_limits_of_the_api() {
        let outbox = outbox((0..1500).map(|_| 60));
        assert_eq!(outbox.batch(outbox.newest_minute()).unwrap().len(), 1000);
        let mut wide = Outbox::default();
        (0..100).for_each(|_| drop(wide.push(datapoint(60, 30))));
        let batch = wide.batch(wide.newest_minute()).unwrap();
        assert!(
            (20..30).contains(&batch.len()),
            "{} datapoints of 32 kB",
            batch.len()
        );
    }

    #[test]
    fn beyond_the_bound_the_oldest_makes_room() {
        let mut outbox = outbox((0..OUTBOX_MAX as i64).map(|minute| minute * 60));
        assert_eq!(
            outbox.push(datapoint(1_000_000, 0)).unwrap().start,
            Timestamp::from_seconds(0)
        );
        assert_eq!(outbox.len(), OUTBOX_MAX);
    }

    #[test]
    fn what_is_too_old_for_cloudwatch_is_removed() {
        let mut outbox = outbox([60, 120]);
        assert_eq!(
            outbox.remove_too_old(Timestamp::from_seconds(120 + AGE_MAX)),
            1
        );
        assert_eq!(outbox.oldest(), Some(Timestamp::from_seconds(120)));
    }
}

//! The datapoints that an alarm looks at, as they move along with time.

use std::collections::VecDeque;

use crate::metric::Timestamp;

use super::decision::Tally;
use super::{Band, Comparison};

/// One period in an alarm's evaluation range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The start of the period.
    pub start: Timestamp,
    /// `None` when no sample fell into the period.
    pub value: Option<f64>,
    pub sample_count: f64,
    /// What the value is compared with, where that is a band.
    pub band: Option<Band>,
}

/// The datapoints of the longest plausible evaluation range. Each one knows how many there were up to it, so that judging them
/// costs nearly the same however many there are. Ages are in periods, the newest period being 1.
#[derive(Debug, Default)]
pub(super) struct EvaluationRange {
    /// Newest first.
    slots: VecDeque<Slot>,
    /// Those of `slots`, for an alarm on a band.
    bands: VecDeque<Option<Band>>,
    /// The most periods looked at.
    length: usize,
    /// Up to the newest period, and up to the newest one that has left the range.
    counted: Counts,
    gone: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: Timestamp,
    /// NaN for a missing datapoint.
    value: f64,
    sample_count: f64,
    breaching: bool,
    near: bool,
    /// Up to this period, with it.
    counted: Counts,
}

/// How many datapoints there were.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    existing: usize,
    breaching: usize,
    /// How many lie so near the threshold that an approximation decides.
    near: usize,
}

impl Slot {
    fn breaching(&self) -> Option<bool> {
        (!self.value.is_nan()).then_some(self.breaching)
    }
}

impl EvaluationRange {
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    /// The most periods looked at.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bands.clear();
        (self.counted, self.gone) = (Counts::default(), Counts::default());
    }

    /// Adds the newest period, by which every other one ages. A value whose band is missing is missing, too. `tolerance` is
    /// how far the value may be off, as a share of the threshold.
    #[inline(always)]
    pub(super) fn push(&mut self, point: Point, comparison: &Comparison, tolerance: f64) {
        let breaching = point
            .value
            .and_then(|value| comparison.is_breaching(value, point.band));
        let value = point
            .value
            .filter(|_| breaching.is_some())
            .unwrap_or(f64::NAN);
        let near = tolerance > 0.0 && breaching.is_some() && is_near(comparison, value, tolerance);
        let counted = Counts {
            existing: self.counted.existing + usize::from(!value.is_nan()),
            breaching: self.counted.breaching + usize::from(breaching == Some(true)),
            near: self.counted.near + usize::from(near),
        };
        self.counted = counted;
        if self.slots.len() == self.length
            && let Some(slot) = self.slots.pop_back()
        {
            self.bands.truncate(self.slots.len());
            self.gone = slot.counted;
        }
        self.slots.push_front(Slot {
            start: point.start,
            value,
            sample_count: point.sample_count,
            breaching: breaching.unwrap_or(false),
            near,
            counted,
        });
        if matches!(comparison, Comparison::Band { .. }) {
            self.bands.push_front(point.band);
        }
    }

    /// Counts the `range` newest periods.
    #[inline(always)]
    fn newest(&self, range: usize) -> Counts {
        let before = self.slots.get(range).map_or(self.gone, |slot| slot.counted);
        Counts {
            existing: self.counted.existing - before.existing,
            breaching: self.counted.breaching - before.breaching,
            near: self.counted.near - before.near,
        }
    }

    /// How many of the `range` newest periods have a datapoint.
    pub(super) fn existing(&self, range: usize) -> usize {
        self.newest(range).existing
    }

    /// Counts what an alarm with N looks at in the `range` newest periods.
    #[inline(always)]
    pub(super) fn tally(&self, range: usize, n: usize) -> Tally {
        let used = self.existing(range).min(n);
        let oldest = match self.existing(used) == used {
            true => used,
            false => {
                let unused = self.counted.existing - used;
                self.slots
                    .partition_point(|slot| slot.counted.existing > unused)
            }
        };
        Tally {
            used,
            breaching: self.newest(oldest).breaching,
            oldest,
        }
    }

    /// Counts it as if every datapoint near the threshold were breaching, or none.
    pub(super) fn tally_if_near(&self, breaching: bool, range: usize, n: usize) -> Tally {
        let seen = |slot: &Slot| Some(slot.breaching()? && !slot.near || slot.near && breaching);
        Tally::of(self.slots.iter().take(range).map(seen), n)
    }

    pub(super) fn has_near(&self) -> bool {
        self.newest(self.slots.len()).near > 0
    }

    /// Whether a datapoint exists among the periods of these ages.
    pub(super) fn exists_between(&self, youngest: usize, oldest: usize) -> bool {
        let ages = self
            .slots
            .iter()
            .take(oldest)
            .skip(youngest.saturating_sub(1));
        ages.clone().any(|slot| slot.breaching().is_some())
    }

    /// The start of the period of that age.
    pub(super) fn start(&self, age: usize) -> Option<Timestamp> {
        Some(self.slots.get(age.checked_sub(1)?)?.start)
    }

    /// The sample counts of the newest `used` existing datapoints: all together, and the least.
    pub(super) fn sample_counts(&self, used: usize) -> (f64, f64) {
        let existing = self.slots.iter().filter(|slot| slot.breaching().is_some());
        existing
            .take(used)
            .fold((0.0, f64::INFINITY), |(sum, least), slot| {
                (sum + slot.sample_count, least.min(slot.sample_count))
            })
    }

    /// The `range` newest periods, newest first.
    pub(super) fn points(&self, range: usize) -> Vec<Point> {
        let point = |(k, slot): (usize, &Slot)| Point {
            start: slot.start,
            value: slot.breaching().map(|_| slot.value),
            sample_count: slot.sample_count,
            band: self.bands.get(k).copied().flatten(),
        };
        self.slots
            .iter()
            .take(range)
            .enumerate()
            .map(point)
            .collect()
    }
}

fn is_near(comparison: &Comparison, value: f64, tolerance: f64) -> bool {
    match comparison {
        Comparison::Threshold { threshold, .. } => {
            (value - threshold).abs() <= tolerance * threshold.abs()
        }
        Comparison::Band { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::ComparisonOperator;
    use proptest::prelude::*;

    const ABOVE_ONE: Comparison = Comparison::Threshold {
        operator: ComparisonOperator::GreaterThanThreshold,
        threshold: 1.0,
    };

    fn point(value: Option<f64>) -> Point {
        Point {
            start: Timestamp::from_seconds(0),
            value,
            sample_count: 2.0,
            band: None,
        }
    }

    proptest! {
        /// Counting along gives what counting anew gives.
        #[test]
        fn what_moves_is_counted_right(
            values in prop::collection::vec(prop::option::of(0..3_i32), 0..60), length in 1..12_usize, range in 1..12_usize, n in 1..14_usize
        ) {
            let (mut moving, range) = (EvaluationRange::new(length), range.min(length));
            for (i, value) in values.iter().enumerate() {
                moving.push(point(value.map(f64::from)), &ABOVE_ONE, 0.0);
                let newest_first = values[..=i].iter().rev().take(range);
                let expected = Tally::of(newest_first.map(|value| value.map(|value| value > 1)), n);
                prop_assert_eq!(moving.tally(range, n), expected);
                prop_assert_eq!(moving.sample_counts(expected.used).0, 2.0 * expected.used as f64);
            }
        }
    }

    #[test]
    fn a_value_near_the_threshold_may_count_either_way() {
        let mut range = EvaluationRange::new(3);
        for value in [2.0, 0.96, 1.04] {
            range.push(point(Some(value)), &ABOVE_ONE, 0.05);
        }
        let breaching = [true, false].map(|near| range.tally_if_near(near, 3, 3).breaching);
        assert_eq!((range.has_near(), breaching), (true, [3, 1]));
        range.push(point(None), &ABOVE_ONE, 0.05);
        range.push(point(None), &ABOVE_ONE, 0.05);
        range.push(point(None), &ABOVE_ONE, 0.05);
        assert!(!range.has_near());
    }

    #[test]
    fn an_exact_value_on_the_threshold_is_not_near_it() {
        let mut range = EvaluationRange::new(1);
        range.push(point(Some(1.0)), &ABOVE_ONE, 0.0);
        assert!(!range.has_near());
    }

    #[test]
    fn a_value_without_its_band_is_missing() {
        let outside = Comparison::Band {
            operator: crate::alarm::BandOperator::LessThanLowerOrGreaterThanUpperThreshold,
            threshold_metric_id: "ad1".into(),
        };
        let mut range = EvaluationRange::new(4);
        let band = Some(Band {
            lower: 1.0,
            upper: 2.0,
        });
        for (value, band) in [(3.0, band), (3.0, None), (2.0, band)] {
            range.push(
                Point {
                    band,
                    ..point(Some(value))
                },
                &outside,
                0.0,
            );
        }
        let expected = Tally {
            used: 2,
            breaching: 1,
            oldest: 3,
        };
        assert_eq!(range.tally(4, 4), expected);
        assert_eq!(range.points(4)[0].band, band);
    }
}

//! The closed slots of one series, as far back as its alarms read.

use std::collections::VecDeque;

use crate::metric::{Resolution, StatisticSet, Timestamp};

use super::Window;

/// The most slots kept of one series: eight days of minutes, a day more than any alarm may span. One-second slots reach
/// back as far as CloudWatch keeps them, three hours.
const HISTORY_SLOTS_MAX: i64 = 8 * 1_440;

/// One set per slot without gaps, so that a window is read by position.
#[derive(Debug)]
pub(super) struct History {
    resolution: Resolution,
    slots_max: usize,
    /// The start of `slots[0]`.
    first: Timestamp,
    slots: VecDeque<StatisticSet>,
}

impl History {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            slots_max: 0,
            first: Timestamp(0),
            slots: VecDeque::new(),
        }
    }

    pub(super) fn keep(&mut self, seconds: i64) {
        let slots = (seconds + self.resolution.seconds() - 1) / self.resolution.seconds();
        self.slots_max = usize::try_from(slots.clamp(0, HISTORY_SLOTS_MAX)).unwrap_or(0);
        self.forget();
    }

    /// Merges `set` into the slot that starts at `start`, if it is recent enough to be kept.
    pub(super) fn add(&mut self, start: Timestamp, set: &StatisticSet) {
        let step = self.resolution.seconds();
        let slots_max = i64::try_from(self.slots_max).unwrap_or(i64::MAX);
        if start - self.end() >= slots_max.saturating_mul(step) {
            self.slots.clear();
        }
        if self.slots.is_empty() {
            self.first = start;
        }
        if self.end() - start > slots_max.saturating_mul(step) {
            return;
        }
        while start < self.first {
            self.slots.push_front(StatisticSet::EMPTY);
            self.first = self.first - step;
        }
        while start >= self.end() {
            self.slots.push_back(StatisticSet::EMPTY);
        }
        if let Ok(position) = usize::try_from((start - self.first) / step) {
            self.slots[position].merge(set);
        }
        self.forget();
    }

    /// The end of the newest slot.
    fn end(&self) -> Timestamp {
        let length = i64::try_from(self.slots.len()).unwrap_or(i64::MAX);
        self.first + length.saturating_mul(self.resolution.seconds())
    }

    fn forget(&mut self) {
        while self.slots.len() > self.slots_max {
            self.slots.pop_front();
            self.first = self.first + self.resolution.seconds();
        }
    }

    /// Merges every slot of the window into the period it starts in.
    pub(super) fn fill(&self, window: Window, periods: &mut [StatisticSet]) {
        let step = self.resolution.seconds();
        let period = window.period.seconds();
        let mut start = self.end();
        for slot in self.slots.iter().rev() {
            start = start - step;
            if slot.is_empty() || start >= window.end || start + step > window.now {
                continue;
            }
            let back =
                usize::try_from((window.end - start - 1).div_euclid(period)).unwrap_or(usize::MAX);
            match periods.get_mut(back) {
                Some(set) => set.merge(slot),
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Period;

    fn history(slots: i64) -> History {
        let mut history = History::new(Resolution::Standard);
        history.keep(slots * 60);
        history
    }

    /// The sums of one-minute periods back from minute `end`.
    fn sums(history: &History, end: i64, range: usize) -> Vec<f64> {
        let end = Timestamp(end * 60);
        let mut periods = vec![StatisticSet::EMPTY; range];
        history.fill(
            Window {
                now: end,
                end,
                period: Period::new(60).unwrap(),
                range,
            },
            &mut periods,
        );
        periods.iter().map(|set| set.sum).collect()
    }

    fn add(history: &mut History, minute: i64, value: f64) {
        history.add(Timestamp(minute * 60), &StatisticSet::of(value, 1.0));
    }

    #[test]
    fn gaps_are_empty_and_the_oldest_is_forgotten() {
        let mut history = history(3);
        add(&mut history, 10, 1.0);
        add(&mut history, 12, 3.0);
        assert_eq!(sums(&history, 13, 4), [3.0, 0.0, 1.0, 0.0]);
        add(&mut history, 13, 4.0);
        assert_eq!(sums(&history, 14, 4), [4.0, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn late_slots_find_their_place_or_are_too_old() {
        let mut history = history(4);
        add(&mut history, 10, 1.0);
        add(&mut history, 8, 8.0);
        add(&mut history, 9, 9.0);
        assert_eq!(sums(&history, 11, 4), [1.0, 9.0, 8.0, 0.0]);
        add(&mut history, 1, 1.0);
        add(&mut history, 11, 2.0);
        assert_eq!(sums(&history, 12, 5), [2.0, 1.0, 9.0, 8.0, 0.0]);
    }

    #[test]
    fn a_long_gap_costs_no_memory() {
        let mut history = history(4);
        add(&mut history, 10, 1.0);
        add(&mut history, 1_000_000_000, 2.0);
        assert_eq!(history.slots.len(), 1);
        assert_eq!(sums(&history, 1_000_000_001, 2), [2.0, 0.0]);
    }

    #[test]
    fn without_a_reader_nothing_is_kept() {
        let mut history = history(0);
        add(&mut history, 10, 1.0);
        assert_eq!(history.slots.len(), 0);
    }

    #[test]
    fn a_slot_is_seen_when_its_time_is_over() {
        let mut history = History::new(Resolution::Basic);
        history.keep(600);
        history.add(Timestamp(300), &StatisticSet::of(7.0, 1.0));
        let at = |now: i64| {
            let mut periods = vec![StatisticSet::EMPTY; 5];
            history.fill(
                Window {
                    now: Timestamp(now),
                    end: Timestamp(now),
                    period: Period::new(60).unwrap(),
                    range: 5,
                },
                &mut periods,
            );
            periods
                .iter()
                .map(|set| set.sample_count)
                .collect::<Vec<_>>()
        };
        assert_eq!(at(599 / 60 * 60), [0.0; 5]);
        assert_eq!(at(600), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}

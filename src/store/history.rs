//! The closed slots of one series, as far back as its alarms read.

use std::collections::VecDeque;

use crate::metric::{Resolution, StatisticSet, Timestamp};

use super::Window;

/// The most slots kept of one series: 22 days of minutes, which is more than the evaluation range of any alarm, and takes a
/// megabyte. A range that reaches back further is known to be incomplete.
const HISTORY_SLOTS_MAX: i64 = 22 * 1_440;

/// Windows end on multiples of ten seconds, so that nothing finer is ever asked for.
const STEP_MIN: i64 = 10;

/// One set per step without gaps, so that a window is read by position.
#[derive(Debug)]
pub(super) struct History {
    /// The length of a slot here, in seconds.
    step: i64,
    slots_max: i64,
    /// The start of `slots[0]`.
    first: Timestamp,
    slots: VecDeque<StatisticSet>,
    /// The end of the newest slot there ever was.
    newest_end: Option<Timestamp>,
    complete_since: Timestamp,
}

impl History {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            step: resolution.seconds().max(STEP_MIN),
            slots_max: 0,
            first: Timestamp::from_seconds(0),
            slots: VecDeque::new(),
            newest_end: None,
            complete_since: Timestamp::MIN,
        }
    }

    /// Keeps so many seconds from now on.
    pub(super) fn keep(&mut self, seconds: i64) {
        let slots = seconds.saturating_add(self.step - 1) / self.step;
        let kept = self.slots_max.saturating_mul(self.step);
        self.slots_max = slots.clamp(0, HISTORY_SLOTS_MAX);
        if let Some(end) = self
            .newest_end
            .filter(|_| self.slots_max.saturating_mul(self.step) > kept)
        {
            self.complete_since = self.complete_since.max(end - kept);
        }
        self.forget();
    }

    /// Since when everything recorded is still here.
    pub(super) fn complete_since(&self) -> Timestamp {
        let reach = self.slots_max.saturating_mul(self.step);
        self.newest_end.map_or(self.complete_since, |end| {
            self.complete_since.max(end - reach)
        })
    }

    /// Merges `set` into the slot that holds `start`, if it is recent enough to be kept.
    pub(super) fn add(&mut self, start: Timestamp, set: &StatisticSet) {
        let start = start.floor(self.step);
        let reach = self.slots_max.saturating_mul(self.step);
        self.newest_end = self.newest_end.max(Some(start + self.step));
        if start - self.end() >= reach {
            self.slots.clear();
        }
        if self.slots.is_empty() {
            self.first = start;
        }
        if self.end() - start > reach {
            return;
        }
        while start < self.first {
            self.slots.push_front(StatisticSet::EMPTY);
            self.first = self.first - self.step;
        }
        while start >= self.end() {
            self.slots.push_back(StatisticSet::EMPTY);
        }
        if let Ok(position) = usize::try_from((start - self.first) / self.step) {
            self.slots[position].merge(set);
        }
        self.forget();
    }

    /// Forgets what lies after `now`.
    pub(super) fn cut(&mut self, now: Timestamp) {
        while self.end() > now && self.slots.pop_back().is_some() {}
        self.newest_end = self.newest_end.map(|end| end.min(now));
    }

    /// The end of the newest slot.
    fn end(&self) -> Timestamp {
        let length = i64::try_from(self.slots.len()).unwrap_or(i64::MAX);
        self.first + length.saturating_mul(self.step)
    }

    fn forget(&mut self) {
        while i64::try_from(self.slots.len()).is_ok_and(|length| length > self.slots_max) {
            self.slots.pop_front();
            self.first = self.first + self.step;
        }
    }

    /// Merges every slot of the window into the period it starts in. Returns whether there was one.
    pub(super) fn fill(&self, window: Window, periods: &mut [StatisticSet]) -> bool {
        let period = window.period.seconds();
        let mut start = self.end();
        let mut found = false;
        for slot in self.slots.iter().rev() {
            start = start - self.step;
            if slot.is_empty() || start >= window.end || start + self.step > window.now {
                continue;
            }
            let back =
                usize::try_from((window.end - start - 1).div_euclid(period)).unwrap_or(usize::MAX);
            let Some(set) = periods.get_mut(back) else {
                break;
            };
            set.merge(slot);
            found = true;
        }
        found
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
        let end = Timestamp::from_seconds(end * 60);
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
        history.add(
            Timestamp::from_seconds(minute * 60),
            &StatisticSet::of(value, 1.0),
        );
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
    fn a_longer_history_is_complete_only_from_where_the_shorter_one_began() {
        let mut history = history(2);
        (0..10).for_each(|minute| add(&mut history, minute, 1.0));
        assert_eq!(history.complete_since(), Timestamp::from_seconds(8 * 60));
        history.keep(5 * 60);
        assert_eq!(history.complete_since(), Timestamp::from_seconds(8 * 60));
        (10..20).for_each(|minute| add(&mut history, minute, 1.0));
        assert_eq!(history.complete_since(), Timestamp::from_seconds(15 * 60));
    }

    #[test]
    fn seconds_are_kept_ten_by_ten() {
        let mut history = History::new(Resolution::High);
        history.keep(6 * 3_600);
        (0..21_600).for_each(|second| {
            history.add(Timestamp::from_seconds(second), &StatisticSet::of(1.0, 1.0))
        });
        let mut periods = [StatisticSet::EMPTY];
        let end = Timestamp::from_seconds(21_600);
        history.fill(
            Window {
                now: end,
                end,
                period: Period::new(21_600).unwrap(),
                range: 1,
            },
            &mut periods,
        );
        assert_eq!(periods[0].sample_count, 21_600.0);
    }

    #[test]
    fn what_lies_ahead_can_be_cut_off() {
        let mut history = history(5);
        (10..14).for_each(|minute| add(&mut history, minute, 1.0));
        history.cut(Timestamp::from_seconds(12 * 60));
        assert_eq!(sums(&history, 14, 4), [0.0, 0.0, 1.0, 1.0]);
        history.cut(Timestamp::from_seconds(0));
        assert_eq!(sums(&history, 14, 4), [0.0; 4]);
    }

    #[test]
    fn a_slot_is_seen_when_its_time_is_over() {
        let mut history = History::new(Resolution::Basic);
        history.keep(600);
        history.add(Timestamp::from_seconds(300), &StatisticSet::of(7.0, 1.0));
        let at = |now: i64| {
            let mut periods = vec![StatisticSet::EMPTY; 5];
            history.fill(
                Window {
                    now: Timestamp::from_seconds(now),
                    end: Timestamp::from_seconds(now),
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

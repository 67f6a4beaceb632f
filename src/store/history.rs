//! The closed slots of one series, as far back as its alarms read.

use std::collections::VecDeque;

use crate::metric::{Distribution, Resolution, StatisticSet, Timestamp};

use super::Need;

/// The most slots kept of one series: 22 days of minutes, which is more than the evaluation range of any alarm, and takes a
/// megabyte. A range that reaches back further is known to be incomplete.
const HISTORY_SLOTS_MAX: usize = 22 * 1_440;

/// Windows end on multiples of ten seconds, so that nothing finer is ever asked for.
const STEP_MIN: i64 = 10;

/// A slot by its start, with its samples where they are kept and known.
pub(super) type Slot = (Timestamp, StatisticSet, Option<Distribution>);

/// One set per step without gaps, so that a period is read by position.
#[derive(Debug)]
pub(super) struct History {
    /// The length of a slot here, in seconds.
    step: i64,
    slots_max: usize,
    /// The start of `slots[0]`, and the end of the last.
    first: Timestamp,
    end: Timestamp,
    slots: VecDeque<StatisticSet>,
    /// The samples of each slot, where an extended statistic reads them; `None` for a slot whose samples are not known.
    values: Option<VecDeque<Option<Distribution>>>,
    /// The end of the newest slot there ever was.
    newest_end: Option<Timestamp>,
    complete_since: Timestamp,
    /// The end of the newest period that was read.
    read_until: Timestamp,
    /// How often something changed that had been read.
    revision: u64,
}

impl History {
    pub(super) fn new(resolution: Resolution) -> Self {
        Self {
            step: resolution.seconds().max(STEP_MIN),
            slots_max: 0,
            first: Timestamp::from_seconds(0),
            end: Timestamp::from_seconds(0),
            slots: VecDeque::new(),
            values: None,
            newest_end: None,
            complete_since: Timestamp::MIN,
            read_until: Timestamp::MIN,
            revision: 0,
        }
    }

    /// One whose past is unknown.
    pub(super) fn beginning_at(resolution: Resolution, at: Timestamp) -> Self {
        Self {
            complete_since: at,
            ..Self::new(resolution)
        }
    }

    /// Keeps so much from now on.
    pub(super) fn keep(&mut self, need: Need) {
        let slots = need.seconds.saturating_add(self.step - 1) / self.step;
        let kept = match need.values && self.values.is_none() {
            true => 0,
            false => self.reach(),
        };
        let slots = usize::try_from(slots).unwrap_or_default();
        self.slots_max = slots.min(HISTORY_SLOTS_MAX);
        if let Some(end) = self.newest_end.filter(|_| self.reach() > kept) {
            self.complete_since = self.complete_since.max(end - kept);
        }
        self.values = match (need.values, self.values.take()) {
            (true, None) => Some(self.slots.iter().map(|_| None).collect()),
            (true, values) => values,
            (false, _) => None,
        };
        self.revision += 1;
        self.forget();
    }

    pub(super) fn keeps_values(&self) -> bool {
        self.values.is_some()
    }

    /// How many seconds are kept.
    fn reach(&self) -> i64 {
        let slots = i64::try_from(self.slots_max).unwrap_or(i64::MAX);
        slots.saturating_mul(self.step)
    }

    /// Since when everything recorded is still here.
    pub(super) fn complete_since(&self) -> Timestamp {
        self.newest_end.map_or(self.complete_since, |end| {
            self.complete_since.max(end - self.reach())
        })
    }

    /// Counts the changes of what had been read: when it is as it was, so is every period read before.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Merges a closed slot into the one that holds `start`, if it is recent enough to be kept.
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        start: Timestamp,
        set: &StatisticSet,
        values: Option<&Distribution>,
    ) {
        // Most slots come in order, and dividing takes longer than comparing.
        let start = match start == self.end {
            true => start,
            false => start.floor(self.step),
        };
        self.newest_end = self.newest_end.max(Some(start + self.step));
        self.revision += u64::from(start < self.read_until);
        if start != self.end && !self.make_room(start) {
            return;
        }
        match start == self.end {
            true => self.push(*set, values.cloned()),
            false if start + self.step == self.end => {
                self.merge(self.slots.len() - 1, set, values);
            }
            false => self.merge(self.steps(start - self.first), set, values),
        }
        self.forget();
    }

    /// Fills up with empty slots from or to one at `start`. Returns whether that one is recent enough to be kept.
    fn make_room(&mut self, start: Timestamp) -> bool {
        let reach = self.reach();
        if self.slots.is_empty() || start - self.end >= reach {
            self.clear();
            (self.first, self.end) = (start, start);
        }
        if self.end - start > reach {
            return false;
        }
        while start < self.first {
            self.slots.push_front(StatisticSet::EMPTY);
            if let Some(values) = &mut self.values {
                values.push_front(None);
            }
            self.first = self.first - self.step;
        }
        while start > self.end {
            self.push(StatisticSet::EMPTY, None);
        }
        true
    }

    #[inline(always)]
    fn push(&mut self, set: StatisticSet, values: Option<Distribution>) {
        self.slots.push_back(set);
        if let Some(all) = &mut self.values {
            all.push_back(values);
        }
        self.end = self.end + self.step;
    }

    fn merge(&mut self, position: usize, set: &StatisticSet, values: Option<&Distribution>) {
        let slot = &mut self.slots[position];
        if let Some(all) = &mut self.values {
            let known = &mut all[position];
            match (known.as_mut(), values) {
                (Some(known), Some(more)) => more
                    .values()
                    .into_iter()
                    .for_each(|(value, count)| known.add(value, count)),
                (None, Some(first)) if slot.is_empty() => *known = Some(first.clone()),
                _ => *known = None,
            }
        }
        slot.merge(set);
    }

    fn clear(&mut self) {
        self.slots.clear();
        if let Some(values) = &mut self.values {
            values.clear();
        }
    }

    /// Takes out what was closed and lies after `now`, oldest first.
    pub(super) fn cut(&mut self, now: Timestamp) -> Vec<Slot> {
        let mut ahead = Vec::new();
        while self.end > now
            && let Some(statistics) = self.slots.pop_back()
        {
            self.end = self.end - self.step;
            let values = self.values.as_mut().and_then(VecDeque::pop_back).flatten();
            ahead.push((self.end, statistics, values));
        }
        ahead.retain(|(_, statistics, _)| !statistics.is_empty());
        ahead.reverse();
        self.newest_end = self.newest_end.map(|end| end.min(now));
        self.revision += 1;
        ahead
    }

    /// The start of what is kept.
    pub(super) fn first(&self) -> Timestamp {
        self.first
    }

    /// Not everything before is known.
    pub(super) fn is_incomplete_until(&mut self, until: Timestamp) {
        self.complete_since = self.complete_since.max(until);
    }

    #[inline(always)]
    fn forget(&mut self) {
        while self.slots.len() > self.slots_max {
            self.slots.pop_front();
            if let Some(values) = &mut self.values {
                values.pop_front();
            }
            self.first = self.first + self.step;
        }
    }

    /// The positions of the slots that start in the period and whose time is over at `now`.
    #[inline(always)]
    fn positions(
        &self,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
    ) -> std::ops::Range<usize> {
        let end = end.min(now - self.step + 1);
        let newest = self.end - self.step;
        // Most periods are the newest, and dividing takes longer than comparing.
        let position = |at: Timestamp| match at {
            _ if at > newest => self.slots.len(),
            _ if at > newest - self.step => self.slots.len().saturating_sub(1),
            _ => self.steps(at - self.first + self.step - 1),
        };
        let end = position(end);
        position(start).min(end)..end
    }

    /// How many whole slots so many seconds are; none before the first.
    fn steps(&self, seconds: i64) -> usize {
        usize::try_from(seconds.div_euclid(self.step)).unwrap_or(0)
    }

    /// Merges the slots of a period. A period holds the slots that start in it; a slot is seen once its time is over.
    pub(super) fn period(
        &mut self,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
    ) -> StatisticSet {
        self.read_until = self.read_until.max(end);
        let slots = self.slots.range(self.positions(start, end, now));
        let merged = slots.copied().reduce(|mut set, slot| {
            set.merge(&slot);
            set
        });
        merged.unwrap_or(StatisticSet::EMPTY)
    }

    /// Appends the samples of a period, ascending within each slot. Returns whether all of them are known.
    pub(super) fn values(
        &self,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
        into: &mut Vec<(f64, f64)>,
    ) -> bool {
        let positions = self.positions(start, end, now);
        let Some(values) = &self.values else {
            return positions.is_empty();
        };
        for position in positions {
            match &values[position] {
                Some(values) => into.append(&mut values.values()),
                None if self.slots[position].is_empty() => {}
                None => return false,
            }
        }
        true
    }

    /// The start of the first slot with samples that reaches beyond `since`.
    pub(super) fn first_since(&self, since: Timestamp) -> Option<Timestamp> {
        let reached = (since - self.first).div_euclid(self.step).max(0);
        let skipped = usize::try_from(reached).unwrap_or(usize::MAX);
        let position = self
            .slots
            .iter()
            .skip(skipped)
            .position(|slot| !slot.is_empty())?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Some(self.first + (reached + position) * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Need {
        Need {
            seconds,
            values: false,
        }
    }

    fn history(slots: i64) -> History {
        let mut history = History::new(Resolution::Standard);
        history.keep(seconds(slots * 60));
        history
    }

    /// The periods of `period` seconds back from `end`, newest first.
    fn periods(
        history: &mut History,
        end: i64,
        now: i64,
        period: i64,
        range: i64,
    ) -> Vec<StatisticSet> {
        let at = |k: i64| Timestamp::from_seconds(end - k * period);
        (0..range)
            .map(|k| history.period(at(k + 1), at(k), Timestamp::from_seconds(now)))
            .collect()
    }

    /// The sums of one-minute periods back from minute `end`.
    fn sums(history: &mut History, end: i64, range: i64) -> Vec<f64> {
        let end = end * 60;
        let periods = periods(history, end, end, 60, range);
        periods.iter().map(|set| set.sum).collect()
    }

    fn add(history: &mut History, minute: i64, value: f64) {
        let start = Timestamp::from_seconds(minute * 60);
        history.add(start, &StatisticSet::of(value, 1.0), None);
    }

    #[test]
    fn gaps_are_empty_and_the_oldest_is_forgotten() {
        let mut history = history(3);
        add(&mut history, 10, 1.0);
        add(&mut history, 12, 3.0);
        assert_eq!(sums(&mut history, 13, 4), [3.0, 0.0, 1.0, 0.0]);
        add(&mut history, 13, 4.0);
        assert_eq!(sums(&mut history, 14, 4), [4.0, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn late_slots_find_their_place_or_are_too_old() {
        let mut history = history(4);
        add(&mut history, 10, 1.0);
        add(&mut history, 8, 8.0);
        add(&mut history, 9, 9.0);
        assert_eq!(sums(&mut history, 11, 4), [1.0, 9.0, 8.0, 0.0]);
        add(&mut history, 1, 1.0);
        add(&mut history, 11, 2.0);
        assert_eq!(sums(&mut history, 12, 5), [2.0, 1.0, 9.0, 8.0, 0.0]);
    }

    #[test]
    fn a_long_gap_costs_no_memory() {
        let mut history = history(4);
        add(&mut history, 10, 1.0);
        add(&mut history, 1_000_000_000, 2.0);
        assert_eq!(history.slots.len(), 1);
        assert_eq!(sums(&mut history, 1_000_000_001, 2), [2.0, 0.0]);
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
        history.keep(seconds(5 * 60));
        assert_eq!(history.complete_since(), Timestamp::from_seconds(8 * 60));
        (10..20).for_each(|minute| add(&mut history, minute, 1.0));
        assert_eq!(history.complete_since(), Timestamp::from_seconds(15 * 60));
    }

    #[test]
    fn seconds_are_kept_ten_by_ten() {
        let mut history = History::new(Resolution::High);
        history.keep(seconds(6 * 3_600));
        for second in 0..21_600 {
            let start = Timestamp::from_seconds(second);
            history.add(start, &StatisticSet::of(1.0, 1.0), None);
        }
        let day = periods(&mut history, 21_600, 21_600, 21_600, 1);
        assert_eq!(day[0].sample_count, 21_600.0);
    }

    #[test]
    fn what_lies_ahead_is_taken_out() {
        let mut history = history(5);
        (10..14).for_each(|minute| add(&mut history, minute, 1.0));
        let ahead = history.cut(Timestamp::from_seconds(12 * 60));
        let starts: Vec<i64> = ahead
            .iter()
            .map(|(start, ..)| start.seconds() / 60)
            .collect();
        assert_eq!(starts, [12, 13]);
        assert_eq!(sums(&mut history, 14, 4), [0.0, 0.0, 1.0, 1.0]);
        history.cut(Timestamp::from_seconds(0));
        assert_eq!(sums(&mut history, 14, 4), [0.0; 4]);
    }

    #[test]
    fn a_slot_is_seen_when_its_time_is_over() {
        let mut history = History::new(Resolution::Basic);
        history.keep(seconds(600));
        history.add(
            Timestamp::from_seconds(300),
            &StatisticSet::of(7.0, 1.0),
            None,
        );
        let mut at = |now: i64| {
            let periods = periods(&mut history, now, now, 60, 5);
            periods
                .iter()
                .map(|set| set.sample_count)
                .collect::<Vec<_>>()
        };
        assert_eq!(at(540), [0.0; 5]);
        assert_eq!(at(600), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn only_what_was_read_counts_as_changed() {
        let mut history = history(9);
        add(&mut history, 10, 1.0);
        let before = history.revision();
        sums(&mut history, 11, 1);
        add(&mut history, 11, 1.0);
        assert_eq!(history.revision(), before);
        add(&mut history, 10, 1.0);
        assert_ne!(history.revision(), before);
    }

    #[test]
    fn samples_are_kept_where_they_are_read_and_known() {
        let mut history = history(5);
        history.keep(Need {
            seconds: 300,
            values: true,
        });
        let mut values = Distribution::new();
        values.add(2.0, 3.0);
        let at = |minute: i64| Timestamp::from_seconds(minute * 60);
        history.add(at(1), &StatisticSet::of(2.0, 3.0), Some(&values));
        history.add(at(1), &StatisticSet::of(2.0, 3.0), Some(&values));
        let mut read = Vec::new();
        assert!(history.values(at(0), at(3), at(3), &mut read));
        assert_eq!(read, [(2.0, 6.0)]);
        history.add(at(2), &StatisticSet::of(2.0, 3.0), None);
        assert!(!history.values(at(0), at(3), at(3), &mut read));
    }

    #[test]
    fn the_first_sample_since_an_instant_is_found() {
        let mut history = history(9);
        add(&mut history, 10, 1.0);
        add(&mut history, 12, 1.0);
        let first = |seconds: i64| history.first_since(Timestamp::from_seconds(seconds));
        assert_eq!(first(0), Some(Timestamp::from_seconds(600)));
        assert_eq!(first(600 + 59), Some(Timestamp::from_seconds(600)));
        assert_eq!(first(660), Some(Timestamp::from_seconds(720)));
        assert_eq!(first(780), None);
    }
}

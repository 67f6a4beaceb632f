//! What is to be delivered, what is due of it, and what becomes of it: a function of time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::config::Notify;
use crate::keeper;
use crate::metric::Timestamp;

use super::{DELIVERIES_MAX, Delivery, Phase};

/// Waits between attempts: twice as long each time, up to this.
const BACKOFF_MIN: f64 = 1.0;
const BACKOFF_MAX: f64 = 300.0;

/// The state in which a delivery is told again.
const ALARM: &str = "ALARM";

/// Everything that is to be delivered, in order.
#[derive(Debug, Default)]
pub struct Queue {
    deliveries: BTreeMap<u64, Delivery>,
    next: u64,
    /// What has to be written.
    changes: BTreeMap<String, Option<String>>,
}

/// Why a delivery was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    pub target: String,
    pub alarm: String,
    pub reason: &'static str,
}

/// Whether two deliveries are of the same alarm, for the same target.
fn is_same_pair(one: &Delivery, other: &Delivery) -> bool {
    one.target == other.target && one.alarm == other.alarm
}

impl Queue {
    /// Goes on with what an earlier program left. What was under way then may have arrived.
    pub fn restore(texts: impl IntoIterator<Item = String>) -> Self {
        let mut queue = Self::default();
        let known = texts.into_iter();
        let known = known.filter_map(|text| serde_json::from_str::<Delivery>(&text).ok());
        let (mut new, known): (Vec<Delivery>, Vec<Delivery>) =
            known.partition(|delivery| delivery.place == NEW);
        for mut delivery in known {
            if delivery.phase == Phase::InFlight {
                delivery.phase = Phase::Waiting;
                delivery.answer_lost = true;
            }
            queue.next = queue.next.max(delivery.place + 1);
            queue.deliveries.insert(delivery.place, delivery);
        }
        // Written with their state changes, and no more.
        new.sort_by_key(|delivery| (delivery.made, delivery.at));
        for delivery in new {
            queue.add(delivery);
        }
        queue
    }

    /// What has changed since the last time, to be written.
    pub fn take_changes(&mut self) -> Vec<keeper::Delivery> {
        std::mem::take(&mut self.changes).into_iter().collect()
    }

    pub fn get(&self, place: u64) -> Option<&Delivery> {
        self.deliveries.get(&place)
    }

    /// What is under way.
    pub fn in_flight(&self) -> impl Iterator<Item = &Delivery> {
        let all = self.deliveries.values();
        all.filter(|it| it.phase == Phase::InFlight)
    }

    /// How many wait for each target.
    pub fn waiting(&self) -> BTreeMap<&str, usize> {
        let mut waiting = BTreeMap::new();
        for delivery in self
            .deliveries
            .values()
            .filter(|it| it.phase != Phase::Told)
        {
            *waiting.entry(&*delivery.target).or_default() += 1;
        }
        waiting
    }

    /// Takes up a delivery. Of one that waits out its delay nothing is told once the state is another.
    pub fn add(&mut self, mut delivery: Delivery) -> Option<Dropped> {
        self.next = self.next.max(NEW + 1);
        delivery.place = self.next;
        self.next += 1;
        let is_new = |delivery: &Delivery| delivery.attempts == 0 && !delivery.answer_lost;
        if !delivery.is_test {
            let is_delayed = |it: &Delivery| {
                it.phase == Phase::Waiting && is_new(it) && it.due > delivery.made && !it.is_test
            };
            let delayed = self.places(|it| is_same_pair(it, &delivery) && is_delayed(it));
            for place in &delayed {
                self.remove(*place);
            }
            let mut of_pair = self.deliveries.values().rev();
            let told = of_pair.find(|it| is_same_pair(it, &delivery) && !it.is_test);
            let told = told.map(|it| (it.place, it.phase, it.state == delivery.state));
            match told {
                // Nobody heard of the state that is over, so that there is nothing to be said of its end.
                Some((_, _, true)) | None if !delayed.is_empty() => {
                    // It was told, and goes on.
                    return self.forgotten(&delivery);
                }
                Some((place, Phase::Told, false)) if delivery.is_silent => self.remove(place),
                Some((place, Phase::Told, false)) => self.repeat_no_more(place),
                _ => {}
            }
            if delivery.is_silent {
                return self.forgotten(&delivery);
            }
        }
        self.put(delivery);
        self.make_room()
    }

    /// Of what is not taken up nothing is kept, though it was written with the state change.
    fn forgotten(&mut self, delivery: &Delivery) -> Option<Dropped> {
        self.changes.insert(delivery.key.clone(), None);
        None
    }

    fn make_room(&mut self) -> Option<Dropped> {
        let waiting = |it: &Delivery| it.phase == Phase::Waiting;
        if self.deliveries.values().filter(|it| waiting(it)).count() <= DELIVERIES_MAX {
            return None;
        }
        let oldest = self.deliveries.values().find(|it| waiting(it))?.place;
        self.drop(oldest, "queue_full")
    }

    /// What could be delivered at `now`: the oldest of each alarm and target, unless one of these is under way.
    pub fn due(&self, now: Timestamp) -> Vec<u64> {
        let heads = self.heads();
        heads
            .filter(|it| it.phase == Phase::Waiting && it.due <= now)
            .map(|it| it.place)
            .collect()
    }

    /// When something will be due; `None` where nothing waits.
    pub fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.heads().filter(|it| it.phase == Phase::Waiting);
        let told = self
            .deliveries
            .values()
            .filter(|it| it.phase == Phase::Told);
        waiting.chain(told).map(|it| it.due).min()
    }

    fn heads(&self) -> impl Iterator<Item = &Delivery> {
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        let open = self
            .deliveries
            .values()
            .filter(|it| it.phase != Phase::Told);
        // Tests wait for nobody.
        open.filter(move |it| it.is_test || seen.insert((&it.target, &it.alarm)))
    }

    /// What is to be told again at `now`, in ALARM still. `by_name`: those who are told.
    pub fn repeat(&mut self, now: Timestamp, by_name: &HashMap<&str, &Notify>) {
        let due = self.places(|it| it.phase == Phase::Told && it.due <= now);
        for place in due {
            let Some(told) = self.deliveries.get(&place).cloned() else {
                continue;
            };
            self.repeat_no_more(place);
            let most = by_name.get(&*told.target).map_or(0, |it| it.repeat_max);
            let repeats = told.repeats.saturating_add(1);
            let is_open = |it: &Delivery| is_same_pair(it, &told) && it.phase != Phase::Told;
            if repeats > most || self.deliveries.values().any(is_open) {
                continue;
            }
            let again = Delivery {
                key: crate::definition::uuid(&format!("{}\n{repeats}", told.key)),
                place: self.next,
                phase: Phase::Waiting,
                made: now,
                due: now,
                attempts: 0,
                answer_lost: false,
                repeats,
                ..told
            };
            self.next += 1;
            self.put(again);
        }
    }

    /// What waited for longer than it may, or for somebody who is not told any more.
    pub fn expire(&mut self, now: Timestamp, by_name: &HashMap<&str, &Notify>) -> Vec<Dropped> {
        let age = |it: &Notify| i64::try_from(it.max_age.as_secs()).unwrap_or(i64::MAX);
        let reason = |it: &Delivery| match (by_name.get(&*it.target), it.phase) {
            (_, Phase::InFlight) => None,
            (None, _) => Some("target_gone"),
            (Some(target), Phase::Waiting) if now - it.made > age(target) => Some("too_old"),
            _ => None,
        };
        let gone = self.deliveries.values();
        let gone: Vec<(u64, &'static str)> = gone
            .filter_map(|it| Some((it.place, reason(it)?)))
            .collect();
        let dropped = gone
            .into_iter()
            .filter_map(|(place, reason)| self.drop(place, reason));
        dropped.collect()
    }

    /// It is about to be delivered. Returns it as it is.
    pub fn begin(&mut self, place: u64) -> Option<Delivery> {
        let delivery = self.deliveries.get_mut(&place)?;
        delivery.phase = Phase::InFlight;
        let begun = delivery.clone();
        self.write(&begun);
        Some(begun)
    }

    /// It need not be decided before then.
    pub fn wait(&mut self, place: u64, until: Timestamp) {
        if let Some(delivery) = self.deliveries.get_mut(&place) {
            delivery.due = until;
        }
    }

    /// Nobody is told of it after all.
    pub fn withhold(&mut self, place: u64) {
        self.remove(place);
    }

    /// It arrived at `now`. It is remembered where that matters for what comes after it.
    pub fn succeed(&mut self, place: u64, now: Timestamp, target: Option<&Notify>) {
        let Some(delivery) = self.deliveries.get(&place).cloned() else {
            return;
        };
        if !delivery.is_test {
            let before = |it: &Delivery| is_same_pair(it, &delivery) && it.phase == Phase::Told;
            for place in self.places(before) {
                self.remove(place);
            }
        }
        let is_remembered = |target: &&Notify| {
            let delays = [target.delay_up, target.delay_down];
            delays.iter().any(|delay| !delay.is_zero()) || target.repeat.is_some()
        };
        let Some(target) = target.filter(is_remembered).filter(|_| !delivery.is_test) else {
            return self.remove(place);
        };
        let is_newer = |it: &Delivery| is_same_pair(it, &delivery) && it.place > place;
        let repeat = target.repeat.filter(|_| delivery.state == ALARM);
        let repeat = repeat.filter(|_| !self.deliveries.values().any(is_newer));
        let seconds = |repeat: Duration| i64::try_from(repeat.as_secs()).unwrap_or(i64::MAX);
        let told = Delivery {
            phase: Phase::Told,
            due: repeat.map_or(NEVER, |repeat| now + seconds(repeat)),
            answer_lost: false,
            ..delivery
        };
        self.put(told);
    }

    /// It did not arrive, or nobody knows: it is tried again later. `chance`: from 0 to 1.
    pub fn fail(&mut self, place: u64, now: Timestamp, answer_lost: bool, chance: f64) {
        let Some(delivery) = self.deliveries.get_mut(&place) else {
            return;
        };
        let longest =
            BACKOFF_MAX.min(BACKOFF_MIN * 2_f64.powi(delivery.attempts.min(30).cast_signed()));
        delivery.attempts += 1;
        delivery.phase = Phase::Waiting;
        delivery.answer_lost |= answer_lost;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most the longest wait, in milliseconds"
        )]
        let wait = (longest * (0.5 + chance / 2.0) * 1_000.0) as i64;
        delivery.due = Timestamp::from_milliseconds(now.milliseconds().saturating_add(wait));
        let failed = delivery.clone();
        match failed.is_test {
            // Whoever tests hears that it failed.
            true => self.remove(place),
            false => self.write(&failed),
        }
    }

    fn places(&self, is_it: impl Fn(&Delivery) -> bool) -> Vec<u64> {
        let found = self.deliveries.values().filter(|it| is_it(it));
        found.map(|it| it.place).collect()
    }

    fn repeat_no_more(&mut self, place: u64) {
        if let Some(told) = self.deliveries.get_mut(&place) {
            told.due = NEVER;
            let told = told.clone();
            self.write(&told);
        }
    }

    fn put(&mut self, delivery: Delivery) {
        self.write(&delivery);
        self.deliveries.insert(delivery.place, delivery);
    }

    fn write(&mut self, delivery: &Delivery) {
        self.changes
            .insert(delivery.key.clone(), Some(delivery.text()));
    }

    fn remove(&mut self, place: u64) {
        if let Some(gone) = self.deliveries.remove(&place) {
            self.changes.insert(gone.key, None);
        }
    }

    fn drop(&mut self, place: u64, reason: &'static str) -> Option<Dropped> {
        let gone = self.deliveries.get(&place)?;
        let is_told = gone.phase == Phase::Told;
        let dropped = Dropped {
            target: gone.target.clone(),
            alarm: gone.alarm.clone(),
            reason,
        };
        self.remove(place);
        // What was told is nobody's loss.
        (!is_told).then_some(dropped)
    }
}

/// The place of a delivery that was not taken up yet.
pub(super) const NEW: u64 = 0;

const NEVER: Timestamp = Timestamp::from_milliseconds(i64::MAX);

impl Delivery {
    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
pub(in crate::notify) mod tests;

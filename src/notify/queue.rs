//! What is to be delivered, what is due of it, and what becomes of it: a function of time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::config::Notify;
use crate::keeper;
use crate::metric::Timestamp;

use super::{DELIVERIES_MAX, Delivery, Phase, Standing};

/// Waits between attempts: twice as long each time, up to this.
const BACKOFF_MIN: f64 = 1.0;
const BACKOFF_MAX: f64 = 300.0;

/// When something is looked at again that nothing is due of, in seconds.
const LOOK_AGAIN: i64 = 300;

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
    pub key: String,
    pub target: String,
    pub alarm: String,
    pub reason: &'static str,
}

/// Whether two deliveries are of the same alarm, for the same target.
fn is_same_pair(one: &Delivery, other: &Delivery) -> bool {
    one.target == other.target && one.alarm == other.alarm
}

impl Queue {
    /// Goes on with what an earlier program left. What was under way then may have arrived; what cannot be read is let go.
    pub fn restore(texts: BTreeMap<String, String>) -> Self {
        let mut queue = Self::default();
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (key, text) in texts {
            match serde_json::from_str::<Delivery>(&text) {
                Ok(delivery) if delivery.place == NEW => new.push(delivery),
                Ok(delivery) => known.push(delivery),
                Err(_) => drop(queue.changes.insert(key, None)),
            }
        }
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
        if self.deliveries.values().any(|it| it.key == delivery.key) {
            return None;
        }
        self.next = self.next.max(NEW + 1);
        delivery.place = self.next;
        self.next += 1;
        if !delivery.is_test {
            let is_of_pair = |it: &Delivery| is_same_pair(it, &delivery) && !it.is_test;
            let delayed = self.places(|it| is_of_pair(it) && it.is_delayed(delivery.made));
            for place in &delayed {
                self.remove(*place);
            }
            let told = self.deliveries.values().rev().find(|it| is_of_pair(it));
            let goes_on = told.is_none_or(|told| told.state == delivery.state);
            // Of a state that did not last nobody heard, so that there is nothing to be said of its end.
            let nothing_new = !delayed.is_empty() && goes_on;
            let nothing_to_end = delivery.is_silent && told.is_none();
            if nothing_new || nothing_to_end {
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
        let in_flight = self.in_flight().filter(|it| !it.is_test);
        let busy: HashSet<(&str, &str)> = in_flight.map(Delivery::pair).collect();
        let is_due = |it: &&Delivery| {
            let is_free = it.is_test || !busy.contains(&it.pair());
            it.phase == Phase::Waiting && it.due <= now && is_free
        };
        self.heads().filter(is_due).map(|it| it.place).collect()
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
        let mut behind: HashSet<(&str, &str)> = HashSet::new();
        let open = self
            .deliveries
            .values()
            .filter(|it| it.phase != Phase::Told);
        // Tests wait for nobody, and nobody waits for what waits out its delay.
        open.filter(move |it| {
            let is_head = it.is_test || !behind.contains(&it.pair());
            if !it.is_test && !it.has_delay() {
                behind.insert(it.pair());
            }
            is_head
        })
    }

    /// What is to be told again at `now`, because it lasts. `standing`: how an alarm is, if it is there.
    pub fn repeat(
        &mut self,
        now: Timestamp,
        by_name: &HashMap<&str, &Notify>,
        standing: impl Fn(&str) -> Option<Standing>,
    ) {
        for place in self.places(|it| it.phase == Phase::Told && it.due <= now) {
            let Some(told) = self.deliveries.get(&place).cloned() else {
                continue;
            };
            let target = by_name.get(&*told.target);
            let target = target.filter(|it| it.goes_on_with(&told.alarm, &told.state));
            let repeat = target.and_then(|it| Some((seconds(it.repeat?), it.repeat_max)));
            let open =
                |it: &&Delivery| is_same_pair(it, &told) && it.phase != Phase::Told && !it.is_test;
            let mut open = self.deliveries.values().filter(open).peekable();
            let is_open = open.peek().is_some();
            let is_ending = is_open && open.all(|it| it.is_delayed(now));
            let standing = standing(&told.alarm);
            let lasts = standing.is_some_and(|it| it.state.name() == told.state);
            let (Some((repeat, most)), true) = (repeat, lasts || is_ending) else {
                match is_open {
                    true => self.put_off(place, now + LOOK_AGAIN),
                    false => self.remove(place),
                }
                continue;
            };
            let is_withheld = standing.is_some_and(|it| it.withheld_until.is_some());
            if told.repeats >= most {
                self.put_off(place, NEVER);
                continue;
            }
            self.put_off(place, now + repeat);
            if is_withheld || is_open && !is_ending {
                continue;
            }
            let repeats = told.repeats.saturating_add(1);
            let again = Delivery {
                key: crate::definition::uuid(&format!("{}\n{repeats}", told.key)),
                place: self.next,
                phase: Phase::Waiting,
                made: now,
                due: now,
                settles: now,
                attempts: 0,
                answer_lost: false,
                repeats,
                ..told
            };
            self.next += 1;
            self.put(again);
        }
    }

    /// Forgets what was told of alarms that are there no longer.
    pub fn forget(&mut self, is_there: impl Fn(&str) -> bool) {
        for place in self.places(|it| it.phase == Phase::Told && !is_there(&it.alarm)) {
            self.remove(place);
        }
    }

    /// What waited for longer than it may, or for somebody who is not told any more.
    pub fn expire(&mut self, now: Timestamp, by_name: &HashMap<&str, &Notify>) -> Vec<Dropped> {
        let reason = |it: &Delivery| match (by_name.get(&*it.target), it.phase) {
            (_, Phase::InFlight) => None,
            (None, _) => Some("target_gone"),
            (Some(target), Phase::Waiting) if now - it.made > seconds(target.max_age) => {
                Some("too_old")
            }
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

    /// After the clock was set back nothing waits for longer than it would have.
    pub fn clock_is(&mut self, now: Timestamp) {
        for delivery in self.deliveries.values_mut() {
            let longest = match delivery.attempts {
                0 => delivery.settles - delivery.made,
                _ => LOOK_AGAIN,
            };
            let is_ahead = delivery.made > now + LOOK_AGAIN || delivery.attempts > 0;
            if delivery.phase == Phase::Waiting && is_ahead {
                delivery.due = delivery.due.min(now + longest.max(0));
            }
        }
    }

    /// What is silent is over, and with it what was told of another state.
    pub fn end(&mut self, place: u64) {
        let Some(silent) = self.deliveries.get(&place).cloned() else {
            return;
        };
        let ends = |it: &Delivery| {
            is_same_pair(it, &silent) && it.phase == Phase::Told && it.state != silent.state
        };
        for place in self.places(ends) {
            self.remove(place);
        }
        self.remove(place);
    }

    /// It is about to be delivered. Returns it as it is.
    pub fn begin(&mut self, place: u64) -> Option<Delivery> {
        let delivery = self.deliveries.get_mut(&place)?;
        delivery.phase = Phase::InFlight;
        let begun = delivery.clone();
        self.write(&begun);
        // What was told before is not told again after it.
        let is_over = |it: &Delivery| {
            let is_again = it.repeats > 0 && it.phase == Phase::Waiting;
            is_again && it.place != place && is_same_pair(it, &begun) && !begun.is_test
        };
        for place in self.places(is_over) {
            self.remove(place);
        }
        Some(begun)
    }

    /// It need not be decided before then.
    pub fn wait(&mut self, place: u64, until: Timestamp) {
        if let Some(delivery) = self.deliveries.get_mut(&place) {
            delivery.due = until;
        }
    }

    /// It is withheld until then, and may be over by then.
    pub fn settle_later(&mut self, place: u64, until: Timestamp) {
        if let Some(delivery) = self.deliveries.get_mut(&place) {
            (delivery.due, delivery.settles) = (until, until);
            let delivery = delivery.clone();
            self.write(&delivery);
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
        let repeat = target.repeat.filter(|_| delivery.state == ALARM);
        let repeat = repeat.filter(|_| delivery.repeats < target.repeat_max);
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

    fn put_off(&mut self, place: u64, until: Timestamp) {
        if let Some(told) = self.deliveries.get_mut(&place) {
            told.due = until;
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
        let is_told = gone.phase == Phase::Told || gone.is_silent;
        let dropped = Dropped {
            key: gone.key.clone(),
            target: gone.target.clone(),
            alarm: gone.alarm.clone(),
            reason,
        };
        self.remove(place);
        // What was told, and what nobody is told, is nobody's loss.
        (!is_told).then_some(dropped)
    }
}

/// The place of a delivery that was not taken up yet.
pub(super) const NEW: u64 = 0;

const NEVER: Timestamp = Timestamp::from_milliseconds(i64::MAX);

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl Delivery {
    fn pair(&self) -> (&str, &str) {
        (&self.target, &self.alarm)
    }

    /// Whether it waits, or waited, for its delay alone.
    fn has_delay(&self) -> bool {
        let is_new = self.attempts == 0 && !self.answer_lost;
        self.phase == Phase::Waiting && is_new && self.settles > self.made
    }

    /// Whether it waits out its delay at `now`.
    fn is_delayed(&self, now: Timestamp) -> bool {
        let is_new = self.attempts == 0 && !self.answer_lost;
        self.phase == Phase::Waiting && is_new && self.settles > now
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
pub(in crate::notify) mod tests;

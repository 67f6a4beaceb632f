//! What a history comes to for one alarm.

use crate::alarm::StateValue;
use crate::metric::Timestamp;

use super::incidents::Caught;

/// An alarm that goes off again within so many seconds after it ended flaps.
const FLAP_WITHIN: i64 = 3_600;

const WEEK: f64 = 7.0 * 86_400.0;

/// How long an alarm was in which state, and how often it went off.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    start: Timestamp,
    state: StateValue,
    since: Timestamp,
    /// Seconds in each state, by the places in [`StateValue::ALL`].
    seconds: [i64; 3],
    pub transitions: u64,
    /// How often it went to ALARM, and how often of these within an hour after it had left it.
    pub alarms: u64,
    pub flaps: u64,
    /// The longest time in ALARM, in seconds.
    pub longest: i64,
    /// How often its actions were switched off, muted or suppressed when it went off.
    pub withheld: u64,
    /// Why it was not judged, if it was not: then the rest says nothing.
    pub not_judged: Option<String>,
    left_alarm_at: Option<Timestamp>,
    /// Where incidents are known.
    pub incidents: Option<Caught>,
}

impl Summary {
    pub(super) fn new(start: Timestamp, incidents: Option<Caught>) -> Self {
        Self {
            incidents,
            start,
            state: StateValue::InsufficientData,
            since: start,
            seconds: [0; 3],
            transitions: 0,
            alarms: 0,
            flaps: 0,
            longest: 0,
            withheld: 0,
            not_judged: None,
            left_alarm_at: None,
        }
    }

    pub(super) fn enter(&mut self, from: StateValue, to: StateValue, at: Timestamp) {
        self.state = from;
        self.count(at);
        self.transitions += 1;
        if from == StateValue::Alarm {
            self.left_alarm_at = Some(at);
        }
        if to == StateValue::Alarm {
            self.alarms += 1;
            if let Some(incidents) = &mut self.incidents {
                incidents.alarm(at);
            }
            let flaps = self
                .left_alarm_at
                .is_some_and(|left| at - left <= FLAP_WITHIN);
            self.flaps += u64::from(flaps);
        }
        self.state = to;
    }

    /// Counts the time up to `at` in the state that it is in.
    pub(super) fn count(&mut self, at: Timestamp) {
        let lasted = (at - self.since).max(0);
        self.seconds[self.state as usize] += lasted;
        if self.state == StateValue::Alarm {
            self.longest = self.longest.max(lasted);
        }
        self.since = at;
    }

    pub fn seconds(&self, state: StateValue) -> i64 {
        self.seconds[state as usize]
    }

    /// The time that it was there in all.
    pub fn total(&self) -> i64 {
        (self.since - self.start).max(0)
    }

    /// How often it went off in a week.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and seconds of a few years"
    )]
    pub fn alarms_a_week(&self) -> f64 {
        match self.total() {
            0 => 0.0,
            total => self.alarms as f64 * WEEK / total as f64,
        }
    }
}

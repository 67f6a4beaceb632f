//! Alarm mute rules: when the actions of which alarms are withheld (SPEC section 15).
//!
//! Whether an action is withheld, and what happens when a window ends, is for whoever runs the actions.

mod cron;
mod duration;
mod schedule;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

use crate::metric::Timestamp;

pub use cron::Cron;
pub use duration::MuteDuration;
pub use schedule::{Schedule, ScheduleError};

/// The most alarms that one rule may mute (SPEC section 15).
const TARGETS_MAX: usize = 100;

/// The most characters in the name of a rule or of an alarm.
const NAME_CHARACTERS_MAX: usize = 255;

/// A rule that mutes alarms by a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct MuteRule {
    pub name: String,
    pub schedule: Schedule,
    pub duration: MuteDuration,
    /// The clock that the schedule goes by.
    pub zone: TimeZone,
    /// The zone as it was written.
    pub zone_text: String,
    /// The names of the muted alarms.
    pub targets: Vec<String>,
    /// "The date and time after which the mute rule takes effect."
    pub start: Option<Timestamp>,
    /// "The date and time when the mute rule expires and is no longer evaluated."
    pub expire: Option<Timestamp>,
}

/// A time in which actions are withheld: from its start until just before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// The status of a mute rule, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuteStatus {
    Scheduled,
    Active,
    Expired,
}

impl MuteStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
        }
    }
}

impl MuteRule {
    /// The window that `at` lies in.
    ///
    /// Where windows overlap because the schedule comes round before the duration is over, this is the one that began last:
    /// all are equally long, so it also ends last. Actions are therefore withheld until no window follows, and a new window
    /// within an old one is no end of muting.
    ///
    /// A window counts only as far as it lies between the rule's start and its expiry; one that is under way when the rule
    /// takes effect mutes for the rest of it. AWS does not say so, but a rule without a start "takes effect immediately".
    pub fn window_at(&self, at: Timestamp) -> Option<Window> {
        let begins_after = at - self.duration.seconds();
        let occurrence = self.schedule.last_until(at, begins_after, &self.zone)?;
        self.window(occurrence).filter(|window| window.contains(at))
    }

    /// The first window that begins at or after `from`.
    pub fn next_window(&self, from: Timestamp) -> Option<Window> {
        let Some(start) = self.start.filter(|start| *start >= from) else {
            return self.window(self.schedule.first_from(from, &self.zone)?);
        };
        self.window_at(start)
            .or_else(|| self.window(self.schedule.first_from(start, &self.zone)?))
    }

    pub fn status(&self, at: Timestamp) -> MuteStatus {
        if self.window_at(at).is_some() {
            MuteStatus::Active
        } else if self.next_window(at).is_some() {
            MuteStatus::Scheduled
        } else {
            MuteStatus::Expired
        }
    }

    /// What CloudWatch would refuse although every member has its type. The wording is ours: its own is not known.
    pub fn refusals(&self) -> Vec<String> {
        let mut refusals = Vec::new();
        refusals.extend(length("Name", &self.name));
        if self.targets.len() > TARGETS_MAX {
            refusals.push(format!(
                "{} alarms found, but AlarmNames must have at most {TARGETS_MAX}",
                self.targets.len()
            ));
        }
        refusals.extend(
            self.targets
                .iter()
                .filter_map(|name| length("AlarmNames", name)),
        );
        if let (Some(start), Some(expire)) = (self.start, self.expire)
            && expire <= start
        {
            refusals.push(format!(
                "ExpireDate is {expire} but must be after StartDate, {start}"
            ));
        }
        refusals
    }

    /// What the rule leaves of the window that the schedule begins at `occurrence`.
    fn window(&self, occurrence: Timestamp) -> Option<Window> {
        let end = occurrence + self.duration.seconds();
        let window = Window {
            from: self.start.map_or(occurrence, |start| start.max(occurrence)),
            to: self.expire.map_or(end, |expire| expire.min(end)),
        };
        (window.from < window.to).then_some(window)
    }
}

impl Window {
    pub fn contains(self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// Why `name` is no name, if it is none.
fn length(member: &str, name: &str) -> Option<String> {
    let length = name.chars().count();
    let is_allowed = (1..=NAME_CHARACTERS_MAX).contains(&length);
    (!is_allowed).then(|| {
        format!("{member} has a name of {length} characters but must have from 1 to {NAME_CHARACTERS_MAX}")
    })
}

//! Whether and when CloudWatch would run an alarm's actions: SPEC sections 7.3, 15 and 16.

use std::sync::Arc;

use crate::metric::Timestamp;

use super::mute::MuteRule;
use super::suppression::{Suppression, Withheld};
use super::{Actions, Alarm, StateValue, Suppressor};

/// Auto Scaling's actions are repeated so often while a state lasts, in seconds (SPEC section 16).
const REPEAT_INTERVAL: i64 = 60;

/// How long after a mute window its end is still looked at in its place, in seconds.
const MUTE_CATCH_UP_MAX: i64 = 86_400;

/// The actions of one alarm and state, which CloudWatch runs at this instant.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionRun {
    pub alarm: Arc<Alarm>,
    pub at: Timestamp,
    pub state: StateValue,
    pub occasion: Occasion,
    /// Whether the alarm has an actions suppressor whose state is not known here: CloudWatch may withhold these.
    pub suppressor_unknown: bool,
}

/// Why actions are run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The state was entered, or what suppressed the actions has ended.
    StateChange,
    /// A mute rule's window has ended, and the state is the one whose actions it withheld.
    MuteWindowEnd,
    /// The state lasts, and Auto Scaling's actions are repeated.
    Repeat,
}

/// What holds back one alarm's actions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) suppression: Suppression,
    muted: Option<Muted>,
    /// When Auto Scaling's actions are run again, if the state has such.
    repeat_at: Option<Timestamp>,
}

/// Actions that a mute rule withholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Muted {
    pub state: StateValue,
    pub until: Timestamp,
}

/// What holds back one alarm's actions, to go on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateSnapshot {
    pub withheld: Option<Withheld>,
    pub muted: Option<Muted>,
    pub repeat_at: Option<Timestamp>,
}

impl Gate {
    pub(super) fn snapshot(&self) -> GateSnapshot {
        GateSnapshot {
            withheld: self.suppression.withheld,
            muted: self.muted,
            repeat_at: self.repeat_at,
        }
    }

    pub(super) fn restore(&mut self, snapshot: &GateSnapshot) {
        self.suppression.withheld = snapshot.withheld;
        self.muted = snapshot.muted;
        self.repeat_at = snapshot.repeat_at;
    }

    /// Another definition: its actions are held back as those of the one before were, unless they are switched off.
    pub(super) fn redefined(&mut self, alarm: &Alarm) {
        if !alarm.actions.enabled {
            self.withhold_nothing();
        }
    }

    /// Other mute rules: what they no longer withhold is run at the next look.
    pub(super) fn mute_rules_changed(
        &mut self,
        alarm: &str,
        at: Timestamp,
        mute_rules: &[MuteRule],
    ) {
        if let Some(muted) = &mut self.muted {
            muted.until = muted_until(alarm, at, mute_rules).unwrap_or(at);
        }
        self.repeat_at = self
            .repeat_at
            .map(|repeat_at| repeat_at.min(at + REPEAT_INTERVAL));
    }

    /// The clock was set back to `now`: what was withheld then began now.
    pub(super) fn clock_set_back(&mut self, alarm: &str, now: Timestamp, mute_rules: &[MuteRule]) {
        self.suppression.clock_set_back(now);
        self.mute_rules_changed(alarm, now, mute_rules);
    }

    /// The host slept until `now`: of mute windows that came and went by the minute only what is now counts.
    pub(super) fn skip_silence(&mut self, alarm: &str, now: Timestamp, mute_rules: &[MuteRule]) {
        if self
            .muted
            .is_some_and(|muted| muted.until + MUTE_CATCH_UP_MAX < now)
        {
            self.mute_rules_changed(alarm, now, mute_rules);
        }
        self.repeat_at = self.repeat_at.map(|repeat_at| repeat_at.max(now));
    }

    /// The composite alarm changed its state: what was withheld of the state before is over.
    pub(super) fn composite_changed(
        &mut self,
        actions: &Actions,
        suppressor: &Suppressor,
        in_alarm: bool,
        at: Timestamp,
    ) {
        if actions.enabled {
            (self.muted, self.repeat_at) = (None, None);
            self.suppression.composite_changed(suppressor, in_alarm, at);
        } else {
            self.withhold_nothing();
        }
    }

    fn withhold_nothing(&mut self) {
        (self.muted, self.repeat_at) = (None, None);
        self.suppression = Suppression::default();
    }

    /// The actions of `state` are to be run now, unless a mute rule withholds them.
    pub(super) fn run(
        &mut self,
        alarm: &Arc<Alarm>,
        state: StateValue,
        at: Timestamp,
        occasion: Occasion,
        mute_rules: &[MuteRule],
    ) -> Option<ActionRun> {
        (self.muted, self.repeat_at) = (None, None);
        if !alarm.actions.enabled {
            return None;
        }
        if let Some(until) = muted_until(&alarm.name, at, mute_rules) {
            self.muted = Some(Muted { state, until });
            return None;
        }
        self.repeat_at = scales(alarm, state).then_some(at + REPEAT_INTERVAL);
        Some(ActionRun {
            alarm: Arc::clone(alarm),
            at,
            state,
            occasion,
            suppressor_unknown: false,
        })
    }

    /// Until when a mute rule withholds actions, if it does.
    pub(super) fn muted_until(&self) -> Option<Timestamp> {
        self.muted.map(|muted| muted.until)
    }

    /// When something is due here without the alarm changing.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let suppression = self.suppression.due();
        let muted = self.muted_until();
        let times = suppression.into_iter().chain(muted);
        times.chain(self.repeat_at).min()
    }

    /// What was withheld and is to be run now, the alarm being in `state`; `is_suppressed`: its suppressor is in ALARM.
    pub(super) fn release(
        &mut self,
        alarm: &Arc<Alarm>,
        state: StateValue,
        is_suppressed: bool,
        now: Timestamp,
        mute_rules: &[MuteRule],
    ) -> Option<ActionRun> {
        if self.suppression.ends(now) {
            return self.run(alarm, state, now, Occasion::StateChange, mute_rules);
        }
        let Some(muted) = self.muted.filter(|muted| muted.until <= now) else {
            return self.repeat(alarm, state, now, mute_rules);
        };
        self.muted = None;
        if let Some(suppressor) = alarm.suppressor().filter(|_| is_suppressed) {
            // The window is over, but what suppresses the actions is not.
            self.suppression.composite_changed(suppressor, true, now);
            return None;
        }
        (muted.state == state)
            .then(|| self.run(alarm, state, now, Occasion::MuteWindowEnd, mute_rules))
            .flatten()
    }

    /// Auto Scaling's actions, if they are due again.
    fn repeat(
        &mut self,
        alarm: &Arc<Alarm>,
        state: StateValue,
        now: Timestamp,
        mute_rules: &[MuteRule],
    ) -> Option<ActionRun> {
        self.repeat_at.filter(|repeat_at| *repeat_at <= now)?;
        if !scales(alarm, state) {
            self.repeat_at = None;
            return None;
        }
        if let Some(until) = muted_until(&alarm.name, now, mute_rules) {
            self.repeat_at = Some(until);
            return None;
        }
        self.run(alarm, state, now, Occasion::Repeat, mute_rules)
    }
}

/// Whether the actions of a state are Auto Scaling's.
fn scales(alarm: &Alarm, state: StateValue) -> bool {
    let mut actions = alarm.actions.of(state).iter();
    actions.any(|arn| arn.split(':').nth(2) == Some("autoscaling"))
}

/// The end of the mute window that `at` lies in, if one does; the last to end of several.
fn muted_until(alarm: &str, at: Timestamp, rules: &[MuteRule]) -> Option<Timestamp> {
    let targets = |rule: &&MuteRule| rule.targets.iter().any(|name| name == alarm);
    rules
        .iter()
        .filter(targets)
        .filter_map(|rule| rule.window_at(at))
        .map(|window| window.to)
        .max()
}

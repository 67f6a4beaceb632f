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
    /// When actions were run last, or would have been had they not been muted.
    ran_at: Option<Timestamp>,
    /// Whether the alarm has actions that are repeated.
    repeats: bool,
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
    pub ran_at: Option<Timestamp>,
}

impl Gate {
    pub(super) fn new(alarm: &Alarm) -> Self {
        let states = StateValue::ALL.into_iter();
        Self {
            repeats: states
                .flat_map(|state| alarm.actions.of(state))
                .any(|arn| scales(arn)),
            ..Self::default()
        }
    }

    pub(super) fn snapshot(&self) -> GateSnapshot {
        GateSnapshot {
            withheld: self.suppression.withheld,
            muted: self.muted,
            ran_at: self.ran_at,
        }
    }

    pub(super) fn restore(&mut self, snapshot: &GateSnapshot) {
        self.suppression.withheld = snapshot.withheld;
        self.muted = snapshot.muted;
        self.ran_at = snapshot.ran_at;
    }

    /// Another definition: its actions are held back as those of the one before were, unless they are switched off.
    pub(super) fn redefined(&mut self, alarm: &Alarm) {
        self.repeats = Self::new(alarm).repeats;
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
        self.ran_at = self.ran_at.map(|ran_at| ran_at.min(at));
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
            self.muted = None;
            self.suppression.composite_changed(suppressor, in_alarm, at);
        } else {
            self.withhold_nothing();
        }
    }

    fn withhold_nothing(&mut self) {
        self.muted = None;
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
        self.muted = None;
        if !alarm.actions.enabled {
            return None;
        }
        if let Some(until) = muted_until(&alarm.name, at, mute_rules) {
            self.muted = Some(Muted { state, until });
            return None;
        }
        self.ran_at = Some(at);
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
        suppression.into_iter().chain(muted).min()
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
        let muted = self.muted.filter(|muted| muted.until <= now)?;
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

    /// Auto Scaling's actions, if the alarm has such for the state it is in and they are due again.
    pub(super) fn repeat(
        &mut self,
        alarm: &Arc<Alarm>,
        state: StateValue,
        now: Timestamp,
        mute_rules: &[MuteRule],
    ) -> Option<ActionRun> {
        let last = self.ran_at.filter(|_| self.repeats)?;
        let is_due =
            now - last >= REPEAT_INTERVAL && alarm.actions.of(state).iter().any(|arn| scales(arn));
        if !is_due || self.muted.is_some() {
            return None;
        }
        if let Some(until) = muted_until(&alarm.name, now, mute_rules) {
            // The next one is due when the window ends.
            self.ran_at = Some(until - REPEAT_INTERVAL);
            return None;
        }
        self.run(alarm, state, now, Occasion::Repeat, mute_rules)
    }
}

fn scales(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("autoscaling")
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

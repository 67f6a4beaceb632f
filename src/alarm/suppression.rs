//! Whether a composite alarm's actions are withheld because another alarm is in ALARM: SPEC section 7.3.

use crate::metric::Timestamp;

use super::Suppressor;

/// What withholds a composite alarm's actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressedBy {
    WaitPeriod,
    ExtensionPeriod,
    Alarm,
}

impl SuppressedBy {
    pub const ALL: [Self; 3] = [Self::WaitPeriod, Self::ExtensionPeriod, Self::Alarm];

    /// As CloudWatch names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WaitPeriod => "WaitPeriod",
            Self::ExtensionPeriod => "ExtensionPeriod",
            Self::Alarm => "Alarm",
        }
    }

    /// `ActionsSuppressedReason`.
    pub fn reason(self) -> String {
        format!("Actions suppressed by {}", self.name())
    }
}

/// The actions of one composite alarm, while they are withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suppression {
    pub(super) withheld: Option<Withheld>,
}

/// What withholds actions, since when, and until when at most; `None` while the suppressor is in ALARM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    pub by: SuppressedBy,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

impl Suppression {
    /// The composite alarm changed its state: a period that ran is over, and its actions wait anew. The suppressor in ALARM
    /// goes on suppressing them.
    pub(super) fn composite_changed(
        &mut self,
        suppressor: &Suppressor,
        in_alarm: bool,
        at: Timestamp,
    ) {
        let goes_on = in_alarm && self.by().is_some_and(|(by, _)| by == SuppressedBy::Alarm);
        if goes_on {
            return;
        }
        self.withheld = Some(if in_alarm {
            Withheld {
                by: SuppressedBy::Alarm,
                since: at,
                until: None,
            }
        } else {
            Withheld {
                by: SuppressedBy::WaitPeriod,
                since: at,
                until: Some(at + suppressor.wait_period),
            }
        });
    }

    /// The suppressor entered or left ALARM. Without anything withheld that has no effect.
    pub(super) fn suppressor_changed(
        &mut self,
        suppressor: &Suppressor,
        in_alarm: bool,
        at: Timestamp,
    ) {
        let Some(withheld) = &mut self.withheld else {
            return;
        };
        let (by, until) = match (in_alarm, withheld.by) {
            (true, SuppressedBy::Alarm) => return,
            (true, _) => (SuppressedBy::Alarm, None),
            (false, SuppressedBy::Alarm) => (
                SuppressedBy::ExtensionPeriod,
                Some(at + suppressor.extension_period),
            ),
            (false, _) => return,
        };
        *withheld = Withheld {
            by,
            since: at,
            until,
        };
    }

    /// The clock was set back to `now`: what withholds the actions began no later.
    pub(super) fn clock_set_back(&mut self, now: Timestamp) {
        if let Some(withheld) = &mut self.withheld {
            let ahead = (withheld.since - now).max(0);
            withheld.since = withheld.since - ahead;
            withheld.until = withheld.until.map(|until| until - ahead);
        }
    }

    /// When what withholds the actions ends by itself.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.withheld?.until
    }

    /// Whether the actions are to be run, because what withheld them has ended.
    pub(super) fn ends(&mut self, now: Timestamp) -> bool {
        let ends = self.due().is_some_and(|due| due <= now);
        if ends {
            self.withheld = None;
        }
        ends
    }

    pub(super) fn by(&self) -> Option<(SuppressedBy, Timestamp)> {
        self.withheld.map(|withheld| (withheld.by, withheld.since))
    }
}

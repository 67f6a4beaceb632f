//! What can be set of how alarms are judged.

use crate::metric::Timestamp;

/// What stands in an ARN for what is not known.
pub(super) const ARN_UNKNOWN: &str = "";

/// How alarms are judged, beside their definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The evaluation range of every alarm in periods, where it is known; else it is assumed as SPEC section 4.2 has it.
    pub evaluation_range: Option<u32>,
    /// How many milliseconds into their interval alarms are judged: CloudWatch has a constant offset for each alarm.
    pub evaluation_offset: i64,
    /// For the ARNs of alarms that have none.
    pub region: Option<String>,
    pub account: Option<String>,
}

impl Options {
    /// The first scheduled instant that is not before `at`.
    pub(super) fn first(&self, at: Timestamp, interval: i64) -> Timestamp {
        self.shifted(at, interval, |at| at.ceil(interval))
    }

    /// The first scheduled instant after `at`.
    pub(super) fn after(&self, at: Timestamp, interval: i64) -> Timestamp {
        self.shifted(at, interval, |at| at.floor(interval) + interval)
    }

    fn shifted(
        &self,
        at: Timestamp,
        interval: i64,
        step: impl Fn(Timestamp) -> Timestamp,
    ) -> Timestamp {
        let offset = self.evaluation_offset.rem_euclid(interval * 1_000);
        let by = |at: Timestamp, milliseconds: i64| {
            Timestamp::from_milliseconds(at.milliseconds().saturating_add(milliseconds))
        };
        by(step(by(at, -offset)), offset)
    }
}

//! Whether somebody is told who only wants to know what CloudWatch does not tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::StateValue;
use crate::config::{Notify, When};
use crate::metric::Timestamp;
use crate::stats::Reach;

use super::Delivery;

/// CloudWatch is taken to be out of reach once nothing has come through for so long, in seconds: one request may fail by chance.
const UNREACHABLE_AFTER: i64 = 15;

/// By then somebody has asked CloudWatch for something.
const EVIDENCE_WITHIN: i64 = 90;

/// The state of every alarm in CloudWatch, as it was last told.
pub type CloudWatch = Arc<BTreeMap<String, StateValue>>;

/// What is done with a delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Wait(Timestamp),
    /// For the reason that the metrics give.
    Withhold(&'static str),
}

pub(super) fn verdict(
    delivery: &Delivery,
    target: &Notify,
    now: Timestamp,
    reach: Reach,
    cloudwatch: &BTreeMap<String, StateValue>,
) -> Verdict {
    if delivery.is_test || delivery.repeats > 0 {
        return Verdict::Send;
    }
    match target.when {
        When::Always => Verdict::Send,
        When::Ahead => {
            let theirs = cloudwatch.get(&delivery.alarm);
            match theirs.is_some_and(|state| state.name() == delivery.state) {
                true => Verdict::Withhold("cloudwatch_first"),
                false => Verdict::Send,
            }
        }
        When::Unreachable => while_unreachable(delivery, now, reach),
    }
}

/// What CloudWatch got since the state changed tells whether it can see what was seen here.
fn while_unreachable(delivery: &Delivery, now: Timestamp, reach: Reach) -> Verdict {
    let instant = |at: Option<i64>| at.map(Timestamp::from_milliseconds);
    match (instant(reach.unreachable_since), instant(reach.reached_at)) {
        (None, Some(reached_at)) if reached_at >= delivery.made => {
            Verdict::Withhold("cloudwatch_reachable")
        }
        (Some(since), _) if now - since >= UNREACHABLE_AFTER => Verdict::Send,
        (None, _) if now - delivery.made >= EVIDENCE_WITHIN => Verdict::Send,
        _ => Verdict::Wait(now + 1),
    }
}

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

/// How an alarm is in CloudWatch, as it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub state: StateValue,
    pub since: Timestamp,
}

/// The same of every alarm, by name.
pub type CloudWatch = Arc<BTreeMap<String, Seen>>;

/// How an alarm is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: StateValue,
    /// Until when its actions are withheld at least, if they are.
    pub withheld_until: Option<Timestamp>,
}

/// What is done with a delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Wait(Timestamp),
    /// For the reason that the metrics give.
    Withhold(&'static str),
}

/// What is known when it is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) now: Timestamp,
    pub(super) reach: Reach,
    /// Since when CloudWatch is asked for things.
    pub(super) asked_since: Timestamp,
    pub(super) cloudwatch: &'a BTreeMap<String, Seen>,
}

pub(super) fn verdict(delivery: &Delivery, target: &Notify, known: Known<'_>) -> Verdict {
    match target.when {
        _ if delivery.is_test => Verdict::Send,
        When::Always => Verdict::Send,
        When::Ahead => {
            let is_theirs = |seen: &Seen| {
                // What it had found before the state before is another time that it was in this one.
                seen.state.name() == delivery.state && seen.since >= delivery.before
            };
            let theirs = known.cloudwatch.get(&delivery.alarm);
            match theirs.is_some_and(is_theirs) {
                true => Verdict::Withhold("cloudwatch_first"),
                false => Verdict::Send,
            }
        }
        When::Unreachable => while_unreachable(delivery, target, known),
    }
}

/// What CloudWatch got since the state changed tells whether it can see what was seen here.
fn while_unreachable(delivery: &Delivery, target: &Notify, known: Known<'_>) -> Verdict {
    let instant = |at: Option<i64>| at.map(Timestamp::from_milliseconds);
    let (now, since) = (known.now, delivery.made.max(known.asked_since));
    let within = i64::try_from(target.evidence_within.as_secs()).unwrap_or(i64::MAX);
    let reach = (
        instant(known.reach.unreachable_since),
        instant(known.reach.reached_at),
    );
    match reach {
        (None, Some(reached_at)) if reached_at >= since => {
            Verdict::Withhold("cloudwatch_reachable")
        }
        (Some(since), _) if now - since >= UNREACHABLE_AFTER => Verdict::Send,
        (None, _) if now - since >= within => Verdict::Send,
        _ => Verdict::Wait(now + 1),
    }
}

//! What became of notifications.

use std::collections::BTreeMap;

use crate::family::{Kind, Row, float, row};
use crate::stats::Stats;

use super::Families;

impl Families {
    pub(super) fn notifications(&mut self, stats: &Stats) {
        let told = stats.notifications.get();
        let by_target = |counts: BTreeMap<String, u64>| {
            let row = |(target, count)| row([("target", target)], float(count));
            counts.into_iter().map(row).collect::<Vec<Row>>()
        };
        let by_reason = |counts: BTreeMap<(String, &'static str), u64>| {
            let row = |((target, reason), count): ((String, &str), u64)| {
                row(
                    [("target", target), ("reason", reason.to_owned())],
                    float(count),
                )
            };
            counts.into_iter().map(row).collect::<Vec<Row>>()
        };
        let waiting = told.waiting.into_iter();
        let waiting = waiting
            .map(|(target, count)| (target, count as u64))
            .collect();
        let counter = Kind::Counter;
        for (kind, name, help, rows) in [
            (
                counter,
                "cwbridge_notifications_delivered",
                "Notifications of state changes that arrived.",
                by_target(told.delivered),
            ),
            (
                counter,
                "cwbridge_notifications_failed",
                "Attempts to notify that failed; they are repeated.",
                by_target(told.failed),
            ),
            (
                counter,
                "cwbridge_notifications_resent",
                "Notifications that were made again, because it is unknown whether they arrived.",
                by_target(told.resent),
            ),
            (
                counter,
                "cwbridge_notifications_dropped",
                "Notifications that were given up.",
                by_reason(told.dropped),
            ),
            (
                counter,
                "cwbridge_notifications_withheld",
                "Notifications that were not made, because CloudWatch makes its own.",
                by_reason(told.withheld),
            ),
            (
                Kind::Gauge,
                "cwbridge_notifications_waiting",
                "Notifications that wait to be delivered.",
                by_target(waiting),
            ),
        ] {
            self.push(kind, name, help, rows);
        }
    }
}

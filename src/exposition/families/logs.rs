//! What became of what goes to CloudWatch Logs.

use std::collections::BTreeMap;

use crate::family::{Kind, Row, float, row};
use crate::stats::Stats;

use super::Families;

impl Families {
    pub(super) fn logs(&mut self, stats: &Stats) {
        let counts = stats.logs.get();
        let by = |label: &'static str, counts: BTreeMap<&'static str, u64>| {
            let row = |(value, count): (&str, u64)| row([(label, value.to_owned())], float(count));
            counts.into_iter().map(row).collect::<Vec<Row>>()
        };
        let by_reason = |counts: BTreeMap<(&'static str, &'static str), u64>| {
            let row = |((source, reason), count): ((&str, &str), u64)| {
                let labels = [("source", source.to_owned()), ("reason", reason.to_owned())];
                row(labels, float(count))
            };
            counts.into_iter().map(row).collect::<Vec<Row>>()
        };
        let counter = Kind::Counter;
        for (kind, name, help, rows) in [
            (
                counter,
                "cwbridge_log_events_shipped",
                "Events that CloudWatch Logs took.",
                by("source", counts.shipped),
            ),
            (
                counter,
                "cwbridge_log_events_shipped_bytes",
                "Text of the events that CloudWatch Logs took.",
                by("source", counts.shipped_bytes),
            ),
            (
                counter,
                "cwbridge_log_events_resent",
                "Events that were sent again, because it is unknown whether they had arrived.",
                by("source", counts.resent),
            ),
            (
                counter,
                "cwbridge_log_events_dropped",
                "Events that were not sent, or not taken.",
                by_reason(counts.dropped),
            ),
            (
                counter,
                "cwbridge_log_events_changed",
                "Events that were sent though something was wrong with them.",
                by_reason(counts.changed),
            ),
            (
                counter,
                "cwbridge_log_requests",
                "Requests to write events, by how they ended.",
                by("outcome", counts.requests),
            ),
        ] {
            self.push(kind, name, help, rows);
        }
    }

    pub(super) fn log_files(&mut self, stats: &Stats) {
        let counts = stats.logs.get();
        let of = |source: &str, value: u64| match counts.shipped.contains_key(source) {
            true => vec![row::<0>([], float(value))],
            false => Vec::new(),
        };
        let one = |value: u64| of("file", value);
        let (counter, gauge) = (Kind::Counter, Kind::Gauge);
        for (kind, name, help, rows) in [
            (
                gauge,
                "cwbridge_log_files",
                "Log files that are watched.",
                one(counts.files.watched as u64),
            ),
            (
                gauge,
                "cwbridge_log_files_ignored",
                "Log files that are not watched, because there are too many.",
                one(counts.files.ignored as u64),
            ),
            (
                gauge,
                "cwbridge_log_files_unreadable",
                "Log files and folders that cannot be read, or whose group or stream is not known.",
                one(counts.files.unreadable as u64),
            ),
            (
                gauge,
                "cwbridge_log_files_unread_bytes",
                "What is in the files and not sent yet.",
                one(counts.files.unread_bytes),
            ),
            (
                counter,
                "cwbridge_log_files_lost",
                "Log files that were gone or emptied before all of them was sent.",
                one(counts.lost_files),
            ),
            (
                counter,
                "cwbridge_log_journald_failures",
                "Times that systemd's journal could not be read on.",
                of("journald", counts.journald_failures),
            ),
        ] {
            self.push(kind, name, help, rows);
        }
    }
}

//! What this program has to say itself: state changes, and its log.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use crate::clock;
use crate::config::RecordFormat;
use crate::metric::Timestamp;

/// Lines of the log that wait to be kept; beyond it the oldest are dropped, and counted.
const LINES_MAX: usize = 1_024;

/// A state change, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub alarm: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub reason: &'a str,
    pub certainty: &'a str,
    pub host: &'a str,
    pub at: Timestamp,
    /// The event of `EventBridge`, as JSON.
    pub event: &'a str,
    /// Of the metrics that Embedded Metric Format makes.
    pub namespace: &'a str,
}

impl Change<'_> {
    pub fn write(&self, format: RecordFormat) -> String {
        match format {
            RecordFormat::Json => self.event.to_owned(),
            RecordFormat::Emf => self.with_metrics(),
            RecordFormat::Text => {
                let Self {
                    alarm,
                    from,
                    to,
                    reason,
                    certainty,
                    ..
                } = self;
                format!("{alarm}: {from} -> {to} ({certainty}): {reason}")
            }
        }
    }

    /// The event with the members that make metrics of it
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
    fn with_metrics(&self) -> String {
        let mut event: Map<String, Value> = serde_json::from_str(self.event).unwrap_or_default();
        let aws = json!({
            "Timestamp": self.at.milliseconds(),
            "CloudWatchMetrics": [{
                "Namespace": self.namespace,
                "Dimensions": [["AlarmName", "Host"]],
                "Metrics": [
                    {"Name": "InAlarm", "Unit": "None"},
                    {"Name": "StateChanges", "Unit": "Count"},
                ],
            }],
        });
        let in_alarm = u8::from(self.to == "ALARM");
        let more = [
            ("_aws", aws),
            ("AlarmName", self.alarm.into()),
            ("Host", self.host.into()),
            ("InAlarm", in_alarm.into()),
            ("StateChanges", 1.into()),
        ];
        event.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(event).to_string()
    }
}

/// Where the lines of the log go beside the standard error. They are held from the start of the program on, until it is known
/// whether somebody wants them.
#[derive(Clone, Debug, Default)]
pub struct Tee(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<(Timestamp, String)>,
    lost: usize,
    is_off: bool,
}

impl Tee {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lines are wanted.
    pub fn set(&self, is_wanted: bool) {
        let mut held = self.held();
        held.is_off = !is_wanted;
        if !is_wanted {
            (held.lines, held.lost) = (VecDeque::new(), 0);
        }
    }

    /// What was held, and how many lines were lost since this was asked for.
    pub(super) fn take(&self) -> (Vec<(Timestamp, String)>, usize) {
        let mut held = self.held();
        (
            held.lines.drain(..).collect(),
            std::mem::take(&mut held.lost),
        )
    }
}

/// Takes one line at a time, as the logger writes them.
impl io::Write for Tee {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut held = self.held();
        if !held.is_off {
            let text = String::from_utf8_lossy(line).trim().to_owned();
            held.lines.push_back((clock::precise_now(), text));
            if held.lines.len() > LINES_MAX {
                held.lines.pop_front();
                held.lost += 1;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CHANGE: Change<'_> = Change {
        alarm: "cpu",
        from: "OK",
        to: "ALARM",
        reason: "hot",
        certainty: "determined",
        host: "web-1",
        at: Timestamp::from_seconds(60),
        event: r#"{"detail-type":"CloudWatch Alarm State Change"}"#,
        namespace: "CWBridge",
    };

    #[test]
    fn a_change_is_written_for_people_machines_and_as_metrics() {
        assert_eq!(
            CHANGE.write(RecordFormat::Text),
            "cpu: OK -> ALARM (determined): hot"
        );
        assert_eq!(CHANGE.write(RecordFormat::Json), CHANGE.event);
        let emf: Value = serde_json::from_str(&CHANGE.write(RecordFormat::Emf)).unwrap();
        assert_eq!(emf["detail-type"], "CloudWatch Alarm State Change");
        assert_eq!(emf["_aws"]["Timestamp"], 60_000);
        // Whatever a metric or dimension is called stands beside it.
        let metrics = &emf["_aws"]["CloudWatchMetrics"][0];
        for metric in metrics["Metrics"].as_array().unwrap() {
            assert!(emf[metric["Name"].as_str().unwrap()].is_number());
        }
        for dimension in metrics["Dimensions"][0].as_array().unwrap() {
            assert!(emf[dimension.as_str().unwrap()].is_string());
        }
    }

    #[test]
    fn lines_are_held_until_they_are_not_wanted() {
        let mut tee = Tee::default();
        for line in 0..LINES_MAX + 3 {
            let line = format!("INFO {line}\n");
            tee.write_all(line.as_bytes()).unwrap();
        }
        let (lines, lost) = tee.take();
        assert_eq!(
            (lines[0].1.as_str(), lines.len(), lost),
            ("INFO 3", LINES_MAX, 3)
        );
        tee.set(false);
        tee.write_all(b"nobody\n").unwrap();
        assert_eq!(tee.take(), (vec![], 0));
    }
}

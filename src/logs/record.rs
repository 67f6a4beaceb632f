//! What this program has to say itself: state changes, and its log.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::config::RecordFormat;
use crate::metric::Timestamp;

/// Lines of the log that wait to be kept; beyond it they are dropped, and counted.
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

/// Where the lines of the log go beside the standard error, as soon as somebody listens.
#[derive(Clone, Debug, Default)]
pub struct Tee {
    listener: Arc<Mutex<Option<mpsc::Sender<String>>>>,
    lost: Arc<AtomicUsize>,
}

impl Tee {
    /// The lines to come; whoever listened before hears no more.
    pub(super) fn listen(&self) -> mpsc::Receiver<String> {
        let (lines, lines_in) = mpsc::channel(LINES_MAX);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        lines_in
    }

    /// How many lines were lost since this was asked for.
    pub(super) fn take_lost(&self) -> usize {
        self.lost.swap(0, Relaxed)
    }
}

/// Takes one line at a time, as the logger writes them.
impl io::Write for Tee {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &*listener {
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            if let Err(mpsc::error::TrySendError::Full(_)) = listener.try_send(text) {
                self.lost.fetch_add(1, Relaxed);
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
    fn lines_go_to_whoever_listens_and_wait_for_nobody() {
        let mut tee = Tee::default();
        tee.write_all(b"nobody\n").unwrap();
        let mut lines = tee.listen();
        for _ in 0..LINES_MAX + 3 {
            tee.write_all(b"INFO one\n").unwrap();
        }
        assert_eq!(lines.try_recv().unwrap(), "INFO one");
        assert_eq!(tee.take_lost(), 3);
    }
}

//! What Prometheus reads: one snapshot, in OpenMetrics and in the older text format 0.0.4.

mod families;
mod text;

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus_client::registry::Registry;

use crate::alarm::Status;
use crate::host::{Facts, Look};
use crate::stats::{Stats, process};

pub use families::{Families, Family, Kind, Row};

/// What is known after one reading.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub look: Look,
    pub facts: Arc<Facts>,
    pub statuses: Arc<[Arc<Status>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0
    OpenMetrics,
    /// Prometheus text format 0.0.4
    Text,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A snapshot with its bodies, each rendered when it is first asked for and then shared.
#[derive(Debug)]
pub struct Exposition {
    pub snapshot: Snapshot,
    stats: Arc<Stats>,
    bodies: [OnceLock<Bytes>; 4],
}

impl Exposition {
    pub fn new(snapshot: Snapshot, stats: Arc<Stats>) -> Self {
        Self {
            snapshot,
            stats,
            bodies: Default::default(),
        }
    }

    pub fn body(&self, format: Format, gzip: bool) -> Bytes {
        let text = match format {
            Format::OpenMetrics => 0,
            Format::Text => 1,
        };
        if gzip {
            self.bodies[text + 2]
                .get_or_init(|| compressed(&self.body(format, false)))
                .clone()
        } else {
            self.bodies[text]
                .get_or_init(|| render(self.families(), format).into())
                .clone()
        }
    }

    fn families(&self) -> Families {
        Families::of(&self.snapshot, &self.stats, process())
    }
}

fn render(families: Families, format: Format) -> String {
    match format {
        Format::Text => text::write(&families),
        Format::OpenMetrics => {
            let mut registry = Registry::default();
            registry.register_collector(Box::new(families));
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry)
                .expect("writing to a string does not fail");
            text
        }
    }
}

fn compressed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .expect("writing to memory does not fail");
    encoder
        .finish()
        .expect("writing to memory does not fail")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn families() -> Families {
        let gauge = |labels, value| Row { labels, value };
        Families(vec![
            Family {
                name: "node_cpu_seconds".into(),
                help: "Seconds the CPUs spent in each mode.".into(),
                kind: Kind::Counter,
                rows: vec![
                    gauge(
                        vec![("cpu", "0".to_owned()), ("mode", "idle".to_owned())],
                        1.5,
                    ),
                    gauge(
                        vec![("cpu", "0".to_owned()), ("mode", "user".to_owned())],
                        2e15,
                    ),
                ],
            },
            Family {
                name: "cwbridge_alarm_threshold".into(),
                help: "Threshold of the alarm.".into(),
                kind: Kind::Gauge,
                rows: vec![gauge(
                    vec![("alarm", "a\"b\\c\nd\u{1f525}".to_owned())],
                    -0.25,
                )],
            },
            Family {
                name: "cwbridge_outbox_datapoints".into(),
                help: "Waiting.".into(),
                kind: Kind::Gauge,
                rows: vec![gauge(vec![], 7.0)],
            },
            Family {
                name: "empty".into(),
                help: "Nothing.".into(),
                kind: Kind::Gauge,
                rows: vec![],
            },
        ])
    }

    #[test]
    fn both_formats_say_the_same_in_their_own_way() {
        expect![[r##"
            # HELP node_cpu_seconds Seconds the CPUs spent in each mode.
            # TYPE node_cpu_seconds counter
            node_cpu_seconds_total{cpu="0",mode="idle"} 1.5
            node_cpu_seconds_total{cpu="0",mode="user"} 2000000000000000.0
            # HELP cwbridge_alarm_threshold Threshold of the alarm.
            # TYPE cwbridge_alarm_threshold gauge
            cwbridge_alarm_threshold{alarm="a\"b\\c\nd🔥"} -0.25
            # HELP cwbridge_outbox_datapoints Waiting.
            # TYPE cwbridge_outbox_datapoints gauge
            cwbridge_outbox_datapoints 7.0
            # EOF
        "##]]
        .assert_eq(&render(families(), Format::OpenMetrics));
        expect![[r##"
            # HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
            # TYPE node_cpu_seconds_total counter
            node_cpu_seconds_total{cpu="0",mode="idle"} 1.5
            node_cpu_seconds_total{cpu="0",mode="user"} 2000000000000000
            # HELP cwbridge_alarm_threshold Threshold of the alarm.
            # TYPE cwbridge_alarm_threshold gauge
            cwbridge_alarm_threshold{alarm="a\"b\\c\nd🔥"} -0.25
            # HELP cwbridge_outbox_datapoints Waiting.
            # TYPE cwbridge_outbox_datapoints gauge
            cwbridge_outbox_datapoints 7
        "##]]
        .assert_eq(&render(families(), Format::Text));
    }
}

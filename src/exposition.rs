//! What Prometheus reads: one snapshot, in OpenMetrics and in the older text format 0.0.4.

mod families;
mod text;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus_client::registry::Registry;

use crate::alarm::Status;
use crate::host::{Facts, Look};
use crate::mirror::Comparison;
use crate::stats::{Stats, process};

pub use families::Families;

/// What is known after one reading.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub look: Look,
    pub facts: Arc<Facts>,
    /// `None` until it is known which metrics this host has.
    pub statuses: Option<Arc<[Arc<Status>]>>,
    /// What CloudWatch says of its alarms, by their names.
    pub cloudwatch: Arc<BTreeMap<String, Comparison>>,
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
    families: OnceLock<Arc<Families>>,
    bodies: [OnceLock<Bytes>; 4],
}

impl Exposition {
    pub fn new(snapshot: Snapshot, stats: Arc<Stats>) -> Self {
        Self {
            snapshot,
            stats,
            families: OnceLock::new(),
            bodies: Default::default(),
        }
    }

    /// What does not work as it should, although the daemon does its work.
    pub fn warnings(&self) -> Vec<String> {
        self.stats.journal.trouble().into_iter().collect()
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

    /// What both formats are written from.
    fn families(&self) -> Arc<Families> {
        let read = || Arc::new(Families::of(&self.snapshot, &self.stats, process()));
        Arc::clone(self.families.get_or_init(read))
    }
}

fn render(families: Arc<Families>, format: Format) -> String {
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
    use crate::family::{Family, Kind, row};
    use crate::metric::Timestamp;
    use expect_test::{expect, expect_file};

    fn families() -> Arc<Families> {
        Arc::new(Families::from(vec![
            Family {
                name: "node_cpu_seconds".into(),
                help: "Seconds the CPUs spent in each mode.".into(),
                kind: Kind::Counter,
                rows: vec![
                    row([("cpu", "0".to_owned()), ("mode", "idle".to_owned())], 1.5),
                    row([("cpu", "0".to_owned()), ("mode", "user".to_owned())], 2e15),
                ],
            },
            Family {
                name: "cwbridge_alarm_threshold".into(),
                help: "Threshold of the alarm.".into(),
                kind: Kind::Gauge,
                rows: vec![row([("alarm", "a\"b\\c\nd\u{1f525}".to_owned())], -0.25)],
            },
            Family {
                name: "cwbridge_outbox_datapoints".into(),
                help: "Waiting.".into(),
                kind: Kind::Gauge,
                rows: vec![row([], 7.0)],
            },
            Family {
                name: "empty".into(),
                help: "Nothing.".into(),
                kind: Kind::Gauge,
                rows: vec![],
            },
        ]))
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

    /// Every name, kind and set of labels that is shown: what dashboards and rules rely on.
    #[test]
    fn the_names_are_these() {
        let modes = crate::host::Modes([1.0; 8]);
        let core = crate::host::Core {
            id: 0,
            seconds: modes,
            guests: [1.0; 2],
            utilization: None,
            usage: None,
        };
        let cpu = crate::host::Cpu {
            seconds: modes,
            utilization: None,
            usage: None,
            cores: vec![core],
            boot_time: 1,
            context_switches: 2,
            forks: 3,
            interrupts: 6,
            processes_running: Some(4),
            processes_blocked: Some(5),
        };
        let look = Look {
            at: Timestamp::from_seconds(0),
            cpu: Some(cpu),
            time: std::time::Duration::ZERO,
            cpu_took: None,
            collected: Arc::new([]),
            new: vec![],
        };
        let facts = Arc::new(Facts::default());
        let snapshot = Snapshot {
            look,
            facts,
            statuses: Some(statuses()),
            cloudwatch: Arc::new(comparisons()),
        };
        let families = Families::of(&snapshot, &Stats::default(), process());
        let mut written = String::new();
        for Family {
            name, kind, rows, ..
        } in families.iter()
        {
            let labels: Vec<String> = rows[..]
                .iter()
                .flat_map(|row| &row.labels)
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            let shown = if name.starts_with("cwbridge_build") {
                String::new()
            } else {
                labels.join(" ")
            };
            written.push_str(format!("{name} {kind:?} {} {shown}", rows.len()).trim_end());
            written.push('\n');
        }
        expect_file!["../tests/data/metric-names.txt"].assert_eq(&written);
    }

    /// CloudWatch has the judged one in another state, and was behind before.
    fn comparisons() -> BTreeMap<String, Comparison> {
        let disagreement = crate::mirror::Disagreement {
            why: crate::mirror::Why::DifferentData,
            detail: None,
        };
        let comparison = Comparison {
            state: crate::alarm::StateValue::Ok,
            since: Timestamp::from_seconds(0),
            reason: String::new(),
            asked_at: Timestamp::from_seconds(600),
            agreement: Some(crate::mirror::Agreement::Disagrees(disagreement)),
            lead: Some(61_500),
        };
        BTreeMap::from([("cpu-high".to_owned(), comparison)])
    }

    /// One alarm that went to ALARM, and one that is not mirrored.
    fn statuses() -> Arc<[Arc<Status>]> {
        let text = crate::definition::BUILT_IN;
        let judged = crate::definition::parse("a", text).alarms.remove(0).alarm;
        let other = crate::alarm::Alarm {
            name: "other".into(),
            not_here: Some("no".into()),
            ..judged.clone()
        };
        let mut pipeline = crate::pipeline::Pipeline::default();
        pipeline.set_alarms(vec![judged, other], Timestamp::from_seconds(0));
        pipeline.advance(&crate::metric::Reading {
            at: Timestamp::from_seconds(600),
            samples: vec![],
        });
        pipeline.statuses().into()
    }
}

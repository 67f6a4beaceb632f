//! Every metric family that is shown, with its name, help and rows.
//!
//! Host metrics bear `node_exporter`'s names and help, so that dashboards and rules for it work unchanged.

mod logs;
mod notifications;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::alarm::{Rule, StateValue, Status};
use crate::family::{Family, Kind, Labels, Row, float, row, signed};
use crate::host::{Collected, Cpu, Look, MODES};
use crate::mirror::{Agreement, Comparison, Disagreement};
use crate::stats::{About, Counters, Process, Stats};

use super::Snapshot;

/// What the collectors saw, and what is known beside it.
#[derive(Clone, Debug, Default)]
pub struct Families {
    collected: Arc<[Arc<Collected>]>,
    own: Vec<Family>,
}

/// Why states cannot be compared: the value of the label `reason`.
const OTHER_DEFINITION: &str = "different_definition";

#[cfg(test)]
impl From<Vec<Family>> for Families {
    fn from(own: Vec<Family>) -> Self {
        Self {
            own,
            ..Self::default()
        }
    }
}

impl Families {
    pub(super) fn of(snapshot: &Snapshot, stats: &Stats, process: Option<Process>) -> Self {
        let mut families = Self {
            collected: Arc::clone(&snapshot.look.collected),
            own: Vec::new(),
        };
        if let Some(cpu) = &snapshot.look.cpu {
            families.cpu(cpu);
        }
        families.time(&snapshot.look);
        families.collectors(&snapshot.look);
        families.alarms(snapshot.statuses.as_deref().unwrap_or_default());
        families.cloudwatch(&snapshot.cloudwatch);
        families.own(stats);
        families.mirror(stats);
        families.notifications(stats);
        families.logs(stats);
        families.log_files(stats);
        families.instance(&stats.instance.get());
        if let Some(process) = process {
            families.process(process);
        }
        families
    }

    /// Those that have rows.
    pub fn iter(&self) -> impl Iterator<Item = &Family> {
        let collected = self.collected.iter().flat_map(|of| &of.gathered.families);
        let all = collected.chain(&self.own);
        all.filter(|family| !family.rows.is_empty())
    }

    fn push(
        &mut self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        rows: Vec<Row>,
    ) {
        self.own.push(Family {
            name: name.into(),
            help: help.into(),
            kind,
            rows,
        });
    }

    fn gauge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        value: f64,
    ) {
        self.push(Kind::Gauge, name, help, vec![row([], value)]);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.push(Kind::Counter, name, help, vec![row([], value)]);
    }

    fn cpu(&mut self, cpu: &Cpu) {
        let modes = |core: &crate::host::Core| {
            let id = core.id.to_string();
            let mode = move |(mode, seconds): (&str, f64)| {
                row([("cpu", id.clone()), ("mode", mode.to_owned())], seconds)
            };
            MODES.into_iter().zip(core.seconds.0).map(mode)
        };
        let rows = cpu.cores.iter().flat_map(modes).collect();
        self.push(
            Kind::Counter,
            "node_cpu_seconds",
            "Seconds the CPUs spent in each mode.",
            rows,
        );
        let guests = |core: &crate::host::Core| {
            let id = core.id.to_string();
            let mode = move |(mode, seconds): (&str, f64)| {
                row([("cpu", id.clone()), ("mode", mode.to_owned())], seconds)
            };
            ["user", "nice"].into_iter().zip(core.guests).map(mode)
        };
        let rows = cpu.cores.iter().flat_map(guests).collect();
        self.push(
            Kind::Counter,
            "node_cpu_guest_seconds",
            "Seconds the CPUs spent in guests (VMs) for each mode.",
            rows,
        );
        self.gauge(
            "node_boot_time_seconds",
            "Node boot time, in unixtime.",
            float(cpu.boot_time),
        );
        self.counter(
            "node_context_switches",
            "Total number of context switches.",
            float(cpu.context_switches),
        );
        self.counter("node_forks", "Total number of forks.", float(cpu.forks));
        self.counter(
            "node_intr",
            "Total number of interrupts serviced.",
            float(cpu.interrupts),
        );
        if let Some(running) = cpu.processes_running {
            self.gauge(
                "node_procs_running",
                "Number of processes in runnable state.",
                running.into(),
            );
        }
        if let Some(blocked) = cpu.processes_blocked {
            self.gauge(
                "node_procs_blocked",
                "Number of processes blocked waiting for I/O to complete.",
                blocked.into(),
            );
        }
    }

    /// Rules compare it with when it was scraped, so that it is that of the newest look.
    fn time(&mut self, look: &Look) {
        let is_shown = look.collected.iter().any(|of| of.collector == "time");
        if is_shown {
            let help = "System time in seconds since epoch (1970).";
            self.gauge("node_time_seconds", help, look.time.as_secs_f64());
        }
    }

    /// How the collectors do.
    fn collectors(&mut self, look: &Look) {
        let cpu = look.cpu_took.map(|took| Collected {
            collector: "cpu",
            took,
            error: look.cpu.is_none().then(String::new),
            ..Collected::default()
        });
        let rows = |value: &dyn Fn(&Collected) -> f64| {
            let all = cpu.iter().chain(look.collected.iter().map(|of| &**of));
            let collector = |of: &Collected| [("collector", of.collector.to_owned())];
            all.map(|of| row(collector(of), value(of))).collect()
        };
        self.push(
            Kind::Gauge,
            "node_scrape_collector_duration_seconds",
            "node_exporter: Duration of a collector scrape.",
            rows(&|of| of.took),
        );
        self.push(
            Kind::Gauge,
            "node_scrape_collector_success",
            "node_exporter: Whether a collector succeeded.",
            rows(&|of| f64::from(u8::from(of.error.is_none()))),
        );
        self.push(
            Kind::Gauge,
            "cwbridge_collector_rows_left_out",
            "Rows of a collector that are not shown because there are too many.",
            rows(&|of| float(of.left_out as u64)),
        );
    }

    fn alarms(&mut self, statuses: &[Arc<Status>]) {
        let rows = |value: &dyn Fn(&Status) -> Option<f64>| {
            let alarm = |status: &Arc<Status>| {
                Some(row([("alarm", status.alarm.name.clone())], value(status)?))
            };
            statuses.iter().filter_map(alarm).collect()
        };
        let mirrored = |status: &Status| Some(f64::from(u8::from(status.not_mirrored.is_none())));
        let transitioned =
            |status: &Status| Some(float(status.transitioned_at?.seconds().unsigned_abs()));
        let value = |status: &Status| {
            status
                .evaluation
                .as_ref()?
                .points
                .iter()
                .find_map(|point| point.value)
        };
        let threshold = |status: &Status| match &status.alarm.rule {
            Rule::Metric(rule) if status.not_mirrored.is_none() => rule.threshold(),
            _ => None,
        };
        let families = [
            (
                "cwbridge_alarm_mirrored",
                "Whether the alarm is judged on this host.",
                rows(&mirrored),
            ),
            (
                "cwbridge_alarm_value",
                "Newest datapoint in the alarm's evaluation range.",
                rows(&value),
            ),
            (
                "cwbridge_alarm_threshold",
                "Threshold of the alarm.",
                rows(&threshold),
            ),
            (
                "cwbridge_alarm_last_transition_timestamp_seconds",
                "When the alarm last changed its state, in unixtime.",
                rows(&transitioned),
            ),
        ];
        self.push(
            Kind::Gauge,
            "cwbridge_alarm_state",
            "Whether the alarm is in the state, as judged on this host.",
            states(statuses),
        );
        for (name, help, rows) in families {
            self.push(Kind::Gauge, name, help, rows);
        }
        self.push(
            Kind::Counter,
            "cwbridge_alarm_transitions",
            "Changes of the alarm's state since the journal was begun.",
            transitions(statuses),
        );
    }

    /// What CloudWatch has, for the alarms that it has.
    fn cloudwatch(&mut self, comparisons: &BTreeMap<String, Comparison>) {
        let alarm = |name: &String| ("alarm", name.clone());
        let mut states = Vec::new();
        let (mut disagrees, mut reasons, mut leads) = (Vec::new(), Vec::new(), Vec::new());
        for (name, comparison) in comparisons {
            states.extend(StateValue::ALL.map(|state| {
                let labels = [alarm(name), ("state", state.name().to_owned())];
                row(labels, f64::from(u8::from(state == comparison.state)))
            }));
            let mut because = |reason: &str| {
                reasons.push(row([alarm(name), ("reason", reason.to_owned())], 1.0));
            };
            match &comparison.agreement {
                Some(Agreement::Disagrees(Disagreement { why, .. })) => {
                    disagrees.push(row([alarm(name)], 1.0));
                    because(why.label());
                }
                Some(Agreement::Agrees) => disagrees.push(row([alarm(name)], 0.0)),
                Some(Agreement::OtherDefinition) => because(OTHER_DEFINITION),
                Some(Agreement::NotAskedSince) | None => {}
            }
            leads.extend(
                comparison
                    .lead_seconds()
                    .map(|seconds| row([alarm(name)], seconds)),
            );
        }
        let families = [
            (
                "cwbridge_alarm_cloudwatch_state",
                "Whether the alarm was in the state in CloudWatch when that was asked last.",
                states,
            ),
            (
                "cwbridge_alarm_disagrees",
                "Whether CloudWatch had the alarm in another state than this host, where both can be compared.",
                disagrees,
            ),
            (
                "cwbridge_alarm_disagreement",
                "Why CloudWatch's state is another or cannot be compared, as a constant '1'.",
                reasons,
            ),
            (
                "cwbridge_alarm_lead_seconds",
                "How long before CloudWatch the alarm's state was found on this host, the last time that both entered the same one.",
                leads,
            ),
        ];
        for (name, help, rows) in families {
            self.push(Kind::Gauge, name, help, rows);
        }
    }

    fn own(&mut self, stats: &Stats) {
        self.gauge(
            "cwbridge_outbox_datapoints",
            "Datapoints that wait to be published to CloudWatch.",
            signed(stats.outbox.load(Relaxed)),
        );
        self.instant(
            "cwbridge_outbox_oldest_timestamp_seconds",
            "Start of the oldest datapoint that waits, in unixtime.",
            stats.outbox_oldest.load(Relaxed),
        );
        self.counter(
            "cwbridge_datapoints_published",
            "Datapoints that CloudWatch accepted.",
            float(stats.published.load(Relaxed)),
        );
        self.counter(
            "cwbridge_datapoints_resent",
            "Datapoints sent again because the answer was lost.",
            float(stats.resent.load(Relaxed)),
        );
        self.labeled(
            "cwbridge_datapoints_dropped",
            "Datapoints and samples that will not reach CloudWatch.",
            "reason",
            &stats.dropped,
        );
        self.labeled(
            "cwbridge_publish_requests",
            "Requests to CloudWatch.",
            "outcome",
            &stats.requests,
        );
        self.gauge(
            "cwbridge_journal_usable",
            "Whether the journal can be written; if not, datapoints are held in memory.",
            f64::from(u8::from(stats.journal.trouble().is_none())),
        );
        self.gauge(
            "cwbridge_journal_size_bytes",
            "What the journal takes on its disk.",
            float(stats.journal.size()),
        );
        self.gauge(
            "cwbridge_config_last_reload_successful",
            "Whether the configuration in force is the one that was read last.",
            f64::from(u8::from(stats.reload_successful.load(Relaxed))),
        );
        self.gauge(
            "cwbridge_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read, in unixtime.",
            signed(stats.reloaded_at.load(Relaxed)),
        );
        let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.push(
            Kind::Gauge,
            "cwbridge_build_info",
            "A metric with a constant '1' value labeled by the program's version.",
            vec![row(version, 1.0)],
        );
    }

    fn mirror(&mut self, stats: &Stats) {
        self.labeled(
            "cwbridge_mirror_requests",
            "Questions for CloudWatch's own alarms, each with its second attempt.",
            "outcome",
            &stats.mirror_requests,
        );
        self.instant(
            "cwbridge_mirror_last_success_timestamp_seconds",
            "When CloudWatch last answered about its alarms, in unixtime.",
            stats.mirrored_at.load(Relaxed),
        );
        self.gauge(
            "cwbridge_mirror_unreadable_alarms",
            "Alarms of CloudWatch that are about this host and cannot be read here.",
            float(stats.mirror_unreadable.load(Relaxed)),
        );
    }

    fn instance(&mut self, about: &About) {
        let labels: Labels = about
            .labels
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), value.clone()))
            .collect();
        let info = (!labels.is_empty()).then_some(Row { labels, value: 1.0 });
        self.push(
            Kind::Gauge,
            "cwbridge_instance_info",
            "A metric with a constant '1' value labeled by what EC2 says of this instance.",
            info.into_iter().collect(),
        );
        let interruption = about.interruption.as_ref();
        let interruption =
            interruption.map(|(action, at)| row([("action", action.clone())], signed(*at)));
        self.push(
            Kind::Gauge,
            "cwbridge_instance_interruption_timestamp_seconds",
            "When EC2 is about to interrupt this spot instance, in unixtime.",
            interruption.into_iter().collect(),
        );
        self.instant(
            "cwbridge_instance_rebalance_timestamp_seconds",
            "When EC2 recommended to rebalance this spot instance, in unixtime.",
            about.rebalance.unwrap_or(0),
        );
    }

    /// Seconds since the epoch, where there is such an instant.
    fn instant(&mut self, name: &'static str, help: &'static str, seconds: i64) {
        let rows = (seconds != 0).then(|| row([], signed(seconds)));
        self.push(Kind::Gauge, name, help, rows.into_iter().collect());
    }

    fn labeled(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counters: &Counters,
    ) {
        let rows = counters
            .get()
            .into_iter()
            .map(|(value, count)| row([(label, value.to_owned())], float(count)));
        self.push(Kind::Counter, name, help, rows.collect());
    }

    fn process(&mut self, process: Process) {
        self.counter(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            process.cpu_seconds,
        );
        self.gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            float(process.resident_bytes),
        );
        self.gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            float(process.virtual_bytes),
        );
        self.gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            float(process.open_fds as u64),
        );
        if let Some(max_fds) = process.max_fds {
            self.gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
                float(max_fds),
            );
        }
        self.gauge(
            "process_threads",
            "Number of OS threads in the process.",
            signed(process.threads),
        );
        self.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            process.start_time,
        );
    }
}

fn states(statuses: &[Arc<Status>]) -> Vec<Row> {
    let states = |status: &Arc<Status>| {
        let (name, now) = (status.alarm.name.clone(), status.state);
        let state = move |state: StateValue| {
            row(
                [("alarm", name.clone()), ("state", state.name().to_owned())],
                f64::from(u8::from(state == now)),
            )
        };
        StateValue::ALL.map(state)
    };
    statuses
        .iter()
        .filter(|status| status.not_mirrored.is_none())
        .flat_map(states)
        .collect()
}

/// Every transition that an alarm can make, from the start on: a counter that first appears with a 1 has not risen.
fn transitions(statuses: &[Arc<Status>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for status in statuses
        .iter()
        .filter(|status| status.not_mirrored.is_none())
    {
        let pairs = StateValue::ALL
            .into_iter()
            .flat_map(|from| StateValue::ALL.map(|to| (from.name(), to.name())));
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            let count = status.transitions.get(&(from, to)).copied().unwrap_or(0);
            rows.push(row(
                [
                    ("alarm", status.alarm.name.clone()),
                    ("from", from.to_owned()),
                    ("to", to.to_owned()),
                ],
                float(count),
            ));
        }
    }
    rows
}

/// OpenMetrics, as prometheus-client writes it.
impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for Family {
            name,
            help,
            kind,
            rows,
        } in self.iter()
        {
            let kind = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Untyped => MetricType::Unknown,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for Row { labels, value } in rows {
                if labels.is_empty() {
                    encode(&mut metric, kind, *value)?;
                } else {
                    encode(&mut metric.encode_family(labels)?, kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(encoder: &mut MetricEncoder<'_>, kind: MetricType, value: f64) -> Result<(), fmt::Error> {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}

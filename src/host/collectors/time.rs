//! The clock: what it says, and what it goes by.

use std::fs;

use crate::family::{Kind, Row, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

const AVAILABLE: &str = "Available clocksources read from '/sys/devices/system/clocksource'.";
const CURRENT: &str = "Current clocksource read from '/sys/devices/system/clocksource'.";

#[derive(Debug, Default)]
pub(super) struct Time;

impl Collect for Time {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let now = crate::clock::since_epoch().as_secs_f64();
        gathered.gauge(
            "node_time_seconds",
            "System time in seconds since epoch (1970).",
            now,
        );
        let (mut available, mut current): (Vec<Row>, Vec<Row>) = Default::default();
        for entry in fs::read_dir(roots.sysfs.join("devices/system/clocksource"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(device) = name.strip_prefix("clocksource") else {
                continue;
            };
            let source = |source: &str| {
                let labels = [
                    ("clocksource", source.to_owned()),
                    ("device", device.to_owned()),
                ];
                row(labels, 1.0)
            };
            let read = |file: &str| super::text(&entry.path().join(file));
            let all = read("available_clocksource")?;
            available.extend(all.split_whitespace().map(source));
            current.push(source(read("current_clocksource")?.trim()));
        }
        let gauge = Kind::Gauge;
        gathered.push(
            gauge,
            "node_time_clocksource_available_info",
            AVAILABLE,
            available,
        );
        gathered.push(
            gauge,
            "node_time_clocksource_current_info",
            CURRENT,
            current,
        );
        Ok(())
    }
}

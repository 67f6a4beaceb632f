//! The clock: what it says, and what it goes by.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::family::{Kind, Row, row};
use crate::host::gathered::Gathered;

use super::filesystem::below;
use super::{Collect, Roots};

const AVAILABLE: &str = "Available clocksources read from '/sys/devices/system/clocksource'.";
const CURRENT: &str = "Current clocksource read from '/sys/devices/system/clocksource'.";
const OFFSET: &str = "System time zone offset in seconds.";

#[derive(Debug, Default)]
pub(super) struct Time;

impl Collect for Time {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let now = crate::clock::since_epoch();
        gathered.push(
            Kind::Gauge,
            "node_time_zone_offset_seconds",
            OFFSET,
            vec![offset(roots, now)?],
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

fn offset(roots: &Roots, since_epoch: Duration) -> anyhow::Result<Row> {
    let now = Timestamp::from_second(since_epoch.as_secs().cast_signed())?;
    let zone = zone(&roots.rootfs)?;
    let zone = zone.to_offset_info(now);
    let labels = [("time_zone", zone.abbreviation().to_owned())];
    Ok(row(labels, f64::from(zone.offset().seconds())))
}

/// The time zone of the host: what `/etc/localtime` leads to below its root, and UTC without one (see localtime(5)).
fn zone(rootfs: &Path) -> anyhow::Result<TimeZone> {
    let link = rootfs.join("etc/localtime");
    let path = match fs::read_link(&link) {
        Ok(target) if target.is_absolute() => below(rootfs, &target),
        _ => link,
    };
    match fs::read(&path) {
        Ok(bytes) => TimeZone::tzif("local", &bytes)
            .with_context(|| format!("`{}` is not a time zone", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(TimeZone::UTC),
        Err(error) => Err(error).with_context(|| format!("`{}`", path.display())),
    }
}

//! `/proc/diskstats`: what the disks did.

use std::collections::BTreeMap;

use procfs::{DiskStat, DiskStats};

use crate::family::{Kind, Labels, Row, float, labels, row};
use crate::host::gathered::{Column, Gathered, Published};

use super::{Collect, Roots};

/// The kernel counts in sectors of this size, whatever the disk's are.
const SECTOR_BYTES: f64 = 512.0;

fn seconds(milliseconds: u64) -> f64 {
    float(milliseconds) / 1_000.0
}

fn bytes(sectors: u64) -> f64 {
    float(sectors) * SECTOR_BYTES
}

#[rustfmt::skip]
const COLUMNS: [Column<DiskStat>; 17] = [
    Column::counter("node_disk_reads_completed", "The total number of reads completed successfully.", |d| Some(float(d.reads))),
    Column::counter("node_disk_reads_merged", "The total number of reads merged.", |d| Some(float(d.merged))),
    Column::counter("node_disk_read_bytes", "The total number of bytes read successfully.", |d| Some(bytes(d.sectors_read))),
    Column::counter("node_disk_read_time_seconds", "The total number of seconds spent by all reads.", |d| Some(seconds(d.time_reading))),
    Column::counter("node_disk_writes_completed", "The total number of writes completed successfully.", |d| Some(float(d.writes))),
    Column::counter("node_disk_writes_merged", "The number of writes merged.", |d| Some(float(d.writes_merged))),
    Column::counter("node_disk_written_bytes", "The total number of bytes written successfully.", |d| Some(bytes(d.sectors_written))),
    Column::counter("node_disk_write_time_seconds", "This is the total number of seconds spent by all writes.", |d| Some(seconds(d.time_writing))),
    Column::gauge("node_disk_io_now", "The number of I/Os currently in progress.", |d| Some(float(d.in_progress))),
    Column::counter("node_disk_io_time_seconds", "Total seconds spent doing I/Os.", |d| Some(seconds(d.time_in_progress))),
    Column::counter("node_disk_io_time_weighted_seconds", "The weighted # of seconds spent doing I/Os.", |d| Some(seconds(d.weighted_time_in_progress))),
    Column::counter("node_disk_discards_completed", "The total number of discards completed successfully.", |d| d.discards.map(float)),
    Column::counter("node_disk_discards_merged", "The total number of discards merged.", |d| d.discards_merged.map(float)),
    Column::counter("node_disk_discarded_sectors", "The total number of sectors discarded successfully.", |d| d.sectors_discarded.map(float)),
    Column::counter("node_disk_discard_time_seconds", "This is the total number of seconds spent by all discards.", |d| d.time_discarding.map(seconds)),
    Column::counter("node_disk_flush_requests", "The total number of flush requests completed successfully", |d| d.flushes.map(float)),
    Column::counter("node_disk_flush_requests_time_seconds", "This is the total number of seconds spent by all flush requests.", |d| d.time_flushing.map(seconds)),
];

#[rustfmt::skip]
const PUBLISHED: [Published<DiskStat>; 8] = [
    Published::delta("diskio_reads", "Count", |d| Some(float(d.reads))),
    Published::delta("diskio_writes", "Count", |d| Some(float(d.writes))),
    Published::delta("diskio_read_bytes", "Bytes", |d| Some(bytes(d.sectors_read))),
    Published::delta("diskio_write_bytes", "Bytes", |d| Some(bytes(d.sectors_written))),
    Published::delta("diskio_read_time", "Milliseconds", |d| Some(float(d.time_reading))),
    Published::delta("diskio_write_time", "Milliseconds", |d| Some(float(d.time_writing))),
    Published::delta("diskio_io_time", "Milliseconds", |d| Some(float(d.time_in_progress))),
    Published::now("diskio_iops_in_progress", "Count", |d| Some(float(d.in_progress))),
];

#[derive(Debug, Default)]
pub(super) struct Disks {
    before: BTreeMap<Labels, DiskStat>,
}

impl Collect for Disks {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let DiskStats(disks) = roots.parse("diskstats")?;
        let all = disks.into_iter();
        let all = all.map(|disk| (labels([("device", disk.name.clone())]), disk));
        let all: BTreeMap<Labels, DiskStat> = all.collect();
        let disks = all.iter().filter(|(_, disk)| !is_part(&disk.name));
        let disks: BTreeMap<Labels, DiskStat> = disks
            .map(|(labels, disk)| (labels.clone(), disk.clone()))
            .collect();
        gathered.table(&COLUMNS, &disks);
        let infos = disks.values().map(|disk| info(disk, roots)).collect();
        gathered.push(Kind::Gauge, "node_disk_info", INFO, infos);
        // The CloudWatch agent calls it by another name.
        let name = |labels: &Labels| {
            labels
                .iter()
                .map(|(_, device)| ("name".into(), device.clone()))
                .collect()
        };
        let is_minor = |disk: &DiskStat| is_part(&disk.name);
        gathered.publish(&PUBLISHED, &all, &self.before, name, is_minor);
        self.before = all;
        Ok(())
    }
}

const INFO: &str = "Info of /sys/block/<block_device>.";

/// What udev knows of a disk.
fn info(disk: &DiskStat, roots: &Roots) -> Row {
    let file = format!("run/udev/data/b{}:{}", disk.major, disk.minor);
    let text = super::text(&roots.rootfs.join(file)).unwrap_or_default();
    let property = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("E:"));
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    };
    let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"];
    let serial = serial.into_iter().find_map(property);
    let labels = [
        ("device", disk.name.clone()),
        ("major", disk.major.to_string()),
        ("minor", disk.minor.to_string()),
        ("model", property("ID_MODEL").unwrap_or_default()),
        ("path", property("ID_PATH").unwrap_or_default()),
        ("revision", property("ID_REVISION").unwrap_or_default()),
        ("serial", serial.unwrap_or_default()),
        ("wwn", property("ID_WWN").unwrap_or_default()),
    ];
    row(labels, 1.0)
}

/// What node_exporter leaves out: memory, loops, floppies, and partitions of a disk that is there as a whole:
/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
fn is_part(device: &str) -> bool {
    let name = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if name.len() == device.len() {
        return false;
    }
    let is_letter = |rest: &str| rest.len() == 1 && rest.as_bytes()[0].is_ascii_lowercase();
    let disk = ["hd", "sd", "vd", "xvd"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind));
    let nvme = || {
        let (controller, namespace) = name
            .strip_prefix("nvme")?
            .strip_suffix('p')?
            .split_once('n')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Some(is_number(controller) && is_number(namespace))
    };
    ["ram", "zram", "loop", "fd"].contains(&name)
        || disk.is_some_and(is_letter)
        || nvme() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::is_part;

    #[test]
    fn partitions_and_what_is_no_disk_are_left_out() {
        for part in [
            "sda1",
            "xvda1",
            "vdb12",
            "nvme0n1p1",
            "loop0",
            "ram15",
            "zram0",
            "fd0",
        ] {
            assert!(is_part(part), "{part}");
        }
        for disk in [
            "sda",
            "xvda",
            "nvme0n1",
            "dm-0",
            "md127",
            "mmcblk0p1",
            "sdaa1",
            "sr0",
        ] {
            assert!(!is_part(disk), "{disk}");
        }
    }
}

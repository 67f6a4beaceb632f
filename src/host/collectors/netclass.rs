//! `/sys/class/net`: what the network devices are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::family::{Kind, Labels, Row, labels, row};
use crate::host::gathered::{Column, Gathered};

use super::{Collect, Roots};

/// Numbers by the files that hold them.
type Device = BTreeMap<&'static str, f64>;

const FILES: [&str; 18] = [
    "addr_assign_type",
    "carrier",
    "carrier_changes",
    "carrier_down_count",
    "carrier_up_count",
    "dev_id",
    "dormant",
    "flags",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "netdev_group",
    "operstate",
    "speed",
    "tx_queue_len",
    "type",
];

#[rustfmt::skip]
const COLUMNS: [Column<Device>; 18] = [
    Column::gauge("node_network_address_assign_type", "Network device property: address_assign_type", |d| d.get("addr_assign_type").copied()),
    Column::gauge("node_network_carrier", "Network device property: carrier", |d| d.get("carrier").copied()),
    Column::counter("node_network_carrier_changes", "Network device property: carrier_changes_total", |d| d.get("carrier_changes").copied()),
    Column::counter("node_network_carrier_down_changes", "Network device property: carrier_down_changes_total", |d| d.get("carrier_down_count").copied()),
    Column::counter("node_network_carrier_up_changes", "Network device property: carrier_up_changes_total", |d| d.get("carrier_up_count").copied()),
    Column::gauge("node_network_device_id", "Network device property: device_id", |d| d.get("dev_id").copied()),
    Column::gauge("node_network_dormant", "Network device property: dormant", |d| d.get("dormant").copied()),
    Column::gauge("node_network_flags", "Network device property: flags", |d| d.get("flags").copied()),
    Column::gauge("node_network_iface_id", "Network device property: iface_id", |d| d.get("ifindex").copied()),
    Column::gauge("node_network_iface_link", "Network device property: iface_link", |d| d.get("iflink").copied()),
    Column::gauge("node_network_iface_link_mode", "Network device property: iface_link_mode", |d| d.get("link_mode").copied()),
    Column::gauge("node_network_mtu_bytes", "Network device property: mtu_bytes", |d| d.get("mtu").copied()),
    Column::gauge("node_network_name_assign_type", "Network device property: name_assign_type", |d| d.get("name_assign_type").copied()),
    Column::gauge("node_network_net_dev_group", "Network device property: net_dev_group", |d| d.get("netdev_group").copied()),
    Column::gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", |d| d.get("operstate").copied()),
    // Megabits; a device that does not know its speed says -1, as node_exporter then does.
    Column::gauge("node_network_speed_bytes", "Network device property: speed_bytes", |d| d.get("speed").map(|speed| speed * 1_000_000.0 / 8.0)),
    Column::gauge("node_network_transmit_queue_length", "Network device property: transmit_queue_length", |d| d.get("tx_queue_len").copied()),
    Column::gauge("node_network_protocol_type", "Network device property: protocol_type", |d| d.get("type").copied()),
];

const INFO: &str = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";

#[derive(Debug, Default)]
pub(super) struct Netclass;

impl Collect for Netclass {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let (mut devices, mut infos): (BTreeMap<Labels, Device>, Vec<Row>) = Default::default();
        for entry in fs::read_dir(roots.sysfs.join("class/net"))? {
            let folder = entry?.path();
            // Beside the devices there is a file about bonding.
            if !folder.is_dir() {
                continue;
            }
            let name = folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            infos.push(info(&folder, &name));
            devices.insert(labels([("device", name)]), numbers(&folder));
        }
        infos.sort_by(|a, b| a.labels.cmp(&b.labels));
        gathered.push(Kind::Gauge, "node_network_info", INFO, infos);
        gathered.table(&COLUMNS, &devices);
        Ok(())
    }
}

fn word(folder: &Path, file: &str) -> Option<String> {
    Some(super::text(&folder.join(file)).ok()?.trim().to_owned())
}

fn info(folder: &Path, name: &str) -> Row {
    let word = |file: &str| word(folder, file).unwrap_or_default();
    row(
        [
            ("address", word("address")),
            ("adminstate", adminstate(&word("flags"))),
            ("broadcast", word("broadcast")),
            ("device", name.to_owned()),
            ("duplex", word("duplex")),
            ("ifalias", word("ifalias")),
            ("operstate", word("operstate")),
        ],
        1.0,
    )
}

fn adminstate(flags: &str) -> String {
    const UP: u32 = 1;
    let hex = flags.strip_prefix("0x").unwrap_or_default();
    let state = match u32::from_str_radix(hex, 16) {
        Ok(flags) if flags & UP == UP => "up",
        Ok(_) => "down",
        Err(_) => "unknown",
    };
    state.to_owned()
}

/// A file that is not there, or that the device refuses to tell, is left out.
fn numbers(folder: &Path) -> Device {
    let number = |file: &'static str| {
        let text = word(folder, file)?;
        let value = match file {
            "operstate" => f64::from(u8::from(text == "up")),
            _ => number(&text)?,
        };
        Some((file, value))
    };
    FILES.into_iter().filter_map(number).collect()
}

/// Decimal or `0x1003`.
fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(hex) => Some(f64::from(u32::from_str_radix(hex, 16).ok()?)),
        None => text.parse::<i64>().ok().map(crate::family::signed),
    }
}

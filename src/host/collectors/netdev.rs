//! `/proc/net/dev`: what the network devices received and sent.

use std::collections::BTreeMap;

use procfs::net::{DeviceStatus, InterfaceDeviceStatus};

use crate::family::{Labels, float, labels};
use crate::host::gathered::{Column, Gathered, Published};

use super::{Collect, Roots};

/// A device, and how many packets nobody wanted, which `/proc` does not tell.
#[derive(Debug)]
struct Device {
    counters: DeviceStatus,
    nohandler: Option<u64>,
}

#[rustfmt::skip]
const COLUMNS: [Column<Device>; 17] = [
    Column::counter("node_network_receive_bytes", "Network device statistic receive_bytes.", |d| Some(float(d.counters.recv_bytes))),
    Column::counter("node_network_receive_packets", "Network device statistic receive_packets.", |d| Some(float(d.counters.recv_packets))),
    Column::counter("node_network_receive_errs", "Network device statistic receive_errs.", |d| Some(float(d.counters.recv_errs))),
    Column::counter("node_network_receive_drop", "Network device statistic receive_drop.", |d| Some(float(d.counters.recv_drop))),
    Column::counter("node_network_receive_fifo", "Network device statistic receive_fifo.", |d| Some(float(d.counters.recv_fifo))),
    Column::counter("node_network_receive_frame", "Network device statistic receive_frame.", |d| Some(float(d.counters.recv_frame))),
    Column::counter("node_network_receive_compressed", "Network device statistic receive_compressed.", |d| Some(float(d.counters.recv_compressed))),
    Column::counter("node_network_receive_multicast", "Network device statistic receive_multicast.", |d| Some(float(d.counters.recv_multicast))),
    Column::counter("node_network_receive_nohandler", "Network device statistic receive_nohandler.", |d| d.nohandler.map(float)),
    Column::counter("node_network_transmit_bytes", "Network device statistic transmit_bytes.", |d| Some(float(d.counters.sent_bytes))),
    Column::counter("node_network_transmit_packets", "Network device statistic transmit_packets.", |d| Some(float(d.counters.sent_packets))),
    Column::counter("node_network_transmit_errs", "Network device statistic transmit_errs.", |d| Some(float(d.counters.sent_errs))),
    Column::counter("node_network_transmit_drop", "Network device statistic transmit_drop.", |d| Some(float(d.counters.sent_drop))),
    Column::counter("node_network_transmit_fifo", "Network device statistic transmit_fifo.", |d| Some(float(d.counters.sent_fifo))),
    Column::counter("node_network_transmit_colls", "Network device statistic transmit_colls.", |d| Some(float(d.counters.sent_colls))),
    Column::counter("node_network_transmit_carrier", "Network device statistic transmit_carrier.", |d| Some(float(d.counters.sent_carrier))),
    Column::counter("node_network_transmit_compressed", "Network device statistic transmit_compressed.", |d| Some(float(d.counters.sent_compressed))),
];

#[rustfmt::skip]
const PUBLISHED: [Published<Device>; 8] = [
    Published::delta("net_bytes_sent", "Bytes", |d| Some(float(d.counters.sent_bytes))),
    Published::delta("net_bytes_recv", "Bytes", |d| Some(float(d.counters.recv_bytes))),
    Published::delta("net_packets_sent", "Count", |d| Some(float(d.counters.sent_packets))),
    Published::delta("net_packets_recv", "Count", |d| Some(float(d.counters.recv_packets))),
    Published::delta("net_drop_in", "Count", |d| Some(float(d.counters.recv_drop))),
    Published::delta("net_drop_out", "Count", |d| Some(float(d.counters.sent_drop))),
    Published::delta("net_err_in", "Count", |d| Some(float(d.counters.recv_errs))),
    Published::delta("net_err_out", "Count", |d| Some(float(d.counters.sent_errs))),
];

const LOOPBACK: &str = "lo";

#[derive(Debug, Default)]
pub(super) struct Netdev {
    before: BTreeMap<Labels, Device>,
}

impl Collect for Netdev {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        // Of the network that the first process sees; in a container the own one may be another.
        let InterfaceDeviceStatus(devices) = roots
            .parse("1/net/dev")
            .or_else(|_| roots.parse("net/dev"))?;
        let device = |(name, counters): (String, DeviceStatus)| {
            let file = roots
                .sysfs
                .join("class/net")
                .join(&name)
                .join("statistics/rx_nohandler");
            let nohandler = super::text(&file)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            (
                labels([("device", name)]),
                Device {
                    counters,
                    nohandler,
                },
            )
        };
        let devices: BTreeMap<Labels, Device> = devices.into_iter().map(device).collect();
        gathered.table(&COLUMNS, &devices);
        let interface = |labels: &Labels| {
            labels
                .iter()
                .map(|(_, name)| ("interface".into(), name.clone()))
                .collect()
        };
        // The agent leaves out the loopback device.
        let is_minor = |device: &Device| device.counters.name == LOOPBACK;
        gathered.publish(&PUBLISHED, &devices, &self.before, interface, is_minor);
        self.before = devices;
        Ok(())
    }
}

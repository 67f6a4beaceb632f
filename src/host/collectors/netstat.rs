//! `/proc/net/netstat`, `snmp` and `snmp6`: what the protocols counted.

use std::collections::BTreeMap;

use crate::family::{Kind, Row, signed};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

/// What node_exporter shows unless it is told otherwise.
const SHOWN: [(&str, &[&str]); 11] = [
    ("Icmp", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Icmp6", &["InMsgs", "InErrors", "OutMsgs"]),
    ("Ip", &["Forwarding"]),
    ("Ip6", &["InOctets", "OutOctets"]),
    ("IpExt", &["InOctets", "OutOctets"]),
    (
        "Tcp",
        &[
            "ActiveOpens",
            "CurrEstab",
            "InErrs",
            "InSegs",
            "OutRsts",
            "OutSegs",
            "PassiveOpens",
            "RetransSegs",
        ],
    ),
    (
        "TcpExt",
        &[
            "ListenDrops",
            "ListenOverflows",
            "SyncookiesFailed",
            "SyncookiesRecv",
            "SyncookiesSent",
            "TCPSynRetrans",
            "TCPTimeouts",
            "TCPOFOQueue",
            "TCPRcvQDrop",
        ],
    ),
    ("Udp", UDP),
    ("Udp6", UDP),
    ("UdpLite", &["InErrors"]),
    ("UdpLite6", &["InErrors"]),
];

const UDP: &[&str] = &[
    "InDatagrams",
    "InErrors",
    "NoPorts",
    "OutDatagrams",
    "RcvbufErrors",
    "SndbufErrors",
];

#[derive(Debug, Default)]
pub(super) struct Netstat;

impl Collect for Netstat {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let mut all = BTreeMap::new();
        pairs(&roots.net("netstat")?, &mut all);
        pairs(&roots.net("snmp")?, &mut all);
        // A kernel without IPv6 does not have it.
        if let Ok(text) = roots.net("snmp6") {
            all.extend(text.lines().filter_map(snmp6));
        }
        for (protocol, fields) in SHOWN {
            for field in fields {
                let Some(value) = all.get(&(protocol.to_owned(), (*field).to_owned())) else {
                    continue;
                };
                let name = format!("node_netstat_{protocol}_{field}");
                let help = format!("Statistic {protocol}{field}.");
                let row = Row {
                    labels: vec![],
                    value: signed(*value),
                };
                gathered.push(Kind::Untyped, name, help, vec![row]);
            }
        }
        Ok(())
    }
}

type Fields = BTreeMap<(String, String), i64>;

/// Lines come in pairs: the names of a protocol's fields, and their values.
fn pairs(text: &str, fields: &mut Fields) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((protocol, names)) = names.split_once(':') else {
            continue;
        };
        let values = values.split_once(':').map_or("", |(_, values)| values);
        let values = values.split_whitespace();
        for (name, value) in names.split_whitespace().zip(values) {
            if let Ok(value) = value.parse() {
                fields.insert((protocol.to_owned(), name.to_owned()), value);
            }
        }
    }
}

/// `Ip6InOctets  128`
fn snmp6(line: &str) -> Option<((String, String), i64)> {
    let (name, value) = line.split_once(char::is_whitespace)?;
    let six = name.find('6')?;
    let (protocol, field) = name.split_at(six + 1);
    let value = value.trim().parse().ok()?;
    Some(((protocol.to_owned(), field.to_owned()), value))
}

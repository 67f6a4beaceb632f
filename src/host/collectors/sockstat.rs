//! `/proc/net/sockstat` and `sockstat6`: sockets by protocol.

use crate::family::{Kind, Row, float};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Sockstat;

impl Collect for Sockstat {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let page = rustix::param::page_size() as u64;
        let mut udp = show(&roots.net("sockstat")?, page, gathered);
        // A kernel without IPv6 does not have it.
        if let Ok(text) = roots.net("sockstat6") {
            udp += show(&text, page, gathered);
        }
        // The CloudWatch agent counts the lines of `/proc/net/udp` and `udp6`: one for each that is in use.
        gathered.value("netstat_udp_socket", "Count", float(udp));
        Ok(())
    }
}

/// `TCP: inuse 3 orphan 0 tw 0 alloc 3 mem 171`, where memory is in pages. Returns how many sockets of UDP there are.
fn show(text: &str, page: u64, gathered: &mut Gathered) -> u64 {
    let mut udp = 0;
    for line in text.lines() {
        let Some((protocol, fields)) = line.split_once(':') else {
            continue;
        };
        let words: Vec<&str> = fields.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            let Ok(value) = pair[1].parse::<u64>() else {
                continue;
            };
            push(gathered, protocol, pair[0], value);
            match (protocol, pair[0]) {
                ("UDP" | "UDP6", "inuse") => udp += value,
                (_, "mem") => push(gathered, protocol, "mem_bytes", value.saturating_mul(page)),
                _ => {}
            }
        }
    }
    udp
}

fn push(gathered: &mut Gathered, protocol: &str, field: &str, value: u64) {
    let help = match protocol {
        "sockets" => "Number of IPv4 sockets in use.".to_owned(),
        _ => format!("Number of {protocol} sockets in state {field}."),
    };
    let row = Row {
        labels: vec![],
        value: float(value),
    };
    let name = format!("node_sockstat_{protocol}_{field}");
    gathered.push(Kind::Gauge, name, help, vec![row]);
}

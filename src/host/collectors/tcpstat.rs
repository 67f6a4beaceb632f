//! Sockets of TCP by their state. It costs in proportion to the connections.

mod diag;

use std::collections::BTreeMap;
use std::path::Path;

use procfs::net::{TcpNetEntries, TcpState};
use procfs::{FromBufReadSI, LocalSystemInfo};

use crate::family::{Kind, Row, float, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

/// node_exporter's and the CloudWatch agent's names of the states.
#[rustfmt::skip]
const STATES: [(TcpState, &str, &str); 11] = [
    (TcpState::Close, "close", "netstat_tcp_close"),
    (TcpState::CloseWait, "close_wait", "netstat_tcp_close_wait"),
    (TcpState::Closing, "closing", "netstat_tcp_closing"),
    (TcpState::Established, "established", "netstat_tcp_established"),
    (TcpState::FinWait1, "fin_wait1", "netstat_tcp_fin_wait1"),
    (TcpState::FinWait2, "fin_wait2", "netstat_tcp_fin_wait2"),
    (TcpState::LastAck, "last_ack", "netstat_tcp_last_ack"),
    (TcpState::Listen, "listen", "netstat_tcp_listen"),
    (TcpState::SynRecv, "syn_recv", "netstat_tcp_syn_recv"),
    (TcpState::SynSent, "syn_sent", "netstat_tcp_syn_sent"),
    (TcpState::TimeWait, "time_wait", "netstat_tcp_time_wait"),
];

#[derive(Debug, Default)]
pub(super) struct Tcpstat;

impl Collect for Tcpstat {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let Sockets {
            states: counts,
            received,
            sent,
        } = match roots.procfs == Path::new("/proc") {
            // Of this host's own network, where that may be asked.
            true => Sockets::asked().or_else(|_| Sockets::read(roots))?,
            false => Sockets::read(roots)?,
        };
        let state = |name: &str, value: u64| row([("state", name.to_owned())], float(value));
        let mut rows: Vec<Row> = Vec::new();
        for (tcp, name, published) in STATES {
            let count = counts.get(&tcp.to_u8()).copied().unwrap_or(0);
            rows.push(state(name, count));
            gathered.value(published, "Count", float(count));
        }
        rows.push(state("rx_queued_bytes", received));
        rows.push(state("tx_queued_bytes", sent));
        let help = "Number of connection states.";
        gathered.push(Kind::Gauge, "node_tcp_connection_states", help, rows);
        // A state that TCP does not have, and the CloudWatch agent all the same.
        gathered.value("netstat_tcp_none", "Count", 0.0);
        Ok(())
    }
}

/// How many sockets are in each state, and what waits in them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sockets {
    states: BTreeMap<u8, u64>,
    received: u64,
    sent: u64,
}

impl Sockets {
    fn add(&mut self, state: u8, received: u32, sent: u32) {
        *self.states.entry(state).or_default() += 1;
        self.received += u64::from(received);
        self.sent += u64::from(sent);
    }

    fn asked() -> Result<Self, rustix::io::Errno> {
        let mut sockets = Self::default();
        diag::tcp(&mut |of| {
            sockets.add(of.state, of.received, of.sent);
        })?;
        Ok(sockets)
    }

    fn read(roots: &Roots) -> anyhow::Result<Self> {
        let mut sockets = Self::default();
        for file in ["net/tcp", "net/tcp6"] {
            let Some(TcpNetEntries(entries)) = read(roots, file)? else {
                continue;
            };
            for entry in entries {
                sockets.add(entry.state.to_u8(), entry.rx_queue, entry.tx_queue);
            }
        }
        Ok(sockets)
    }
}

/// `None` where the kernel does without the protocol.
fn read<T: FromBufReadSI>(roots: &Roots, file: &str) -> anyhow::Result<Option<T>> {
    let paths = [format!("1/{file}"), file.to_owned()].map(|file| roots.procfs.join(file));
    let Some(path) = paths.into_iter().find(|path| path.exists()) else {
        return Ok(None);
    };
    let parsed = T::from_buf_read(Roots::open(&path)?, &LocalSystemInfo);
    Ok(Some(parsed?))
}

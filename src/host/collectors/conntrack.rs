//! How full the table of tracked connections is.

use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Conntrack;

impl Collect for Conntrack {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let folder = roots.procfs.join("sys/net/netfilter");
        // Without the kernel's module there is no table.
        if !folder.join("nf_conntrack_count").exists() {
            return Ok(());
        }
        let number = |file: &str| -> anyhow::Result<f64> {
            Ok(super::text(&folder.join(file))?.trim().parse()?)
        };
        gathered.gauge(
            "node_nf_conntrack_entries",
            "Number of currently allocated flow entries for connection tracking.",
            number("nf_conntrack_count")?,
        );
        gathered.gauge(
            "node_nf_conntrack_entries_limit",
            "Maximum size of connection tracking table.",
            number("nf_conntrack_max")?,
        );
        Ok(())
    }
}

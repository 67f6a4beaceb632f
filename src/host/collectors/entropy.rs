//! `/proc/sys/kernel/random`

use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Entropy;

impl Collect for Entropy {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let number = |file: &str| -> anyhow::Result<f64> {
            Ok(roots
                .text(&format!("sys/kernel/random/{file}"))?
                .trim()
                .parse()?)
        };
        gathered.gauge(
            "node_entropy_available_bits",
            "Bits of available entropy.",
            number("entropy_avail")?,
        );
        gathered.gauge(
            "node_entropy_pool_size_bits",
            "Bits of entropy pool.",
            number("poolsize")?,
        );
        Ok(())
    }
}

//! `/proc/sys/fs/file-nr`: open files of the whole host.

use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Filefd;

impl Collect for Filefd {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let text = roots.text("sys/fs/file-nr")?;
        let numbers: Vec<f64> = text
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let [allocated, _, maximum] = numbers[..] else {
            anyhow::bail!("`file-nr` is `{}`, but has three numbers", text.trim());
        };
        gathered.gauge(
            "node_filefd_allocated",
            "File descriptor statistics: allocated.",
            allocated,
        );
        gathered.gauge(
            "node_filefd_maximum",
            "File descriptor statistics: maximum.",
            maximum,
        );
        gathered.value("filefd_allocated", "Count", allocated);
        Ok(())
    }
}

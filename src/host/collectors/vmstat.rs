//! `/proc/vmstat`: paging, swapping, and what the kernel killed for want of memory.

use procfs::{FromBufRead as _, VmStat};

use crate::family::{Kind, Row, signed};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

/// The lines with the fields that node_exporter shows unless it is told otherwise: `^(oom_kill|pgpg|pswp|pg.*fault).*`.
fn is_shown(field: &str) -> bool {
    let begins = ["oom_kill", "pgpg", "pswp"];
    begins.iter().any(|begin| field.starts_with(begin))
        || field.starts_with("pg") && field.contains("fault")
}

#[derive(Debug, Default)]
pub(super) struct Vmstat;

impl Collect for Vmstat {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        // Most of what there is is not shown.
        let text = roots.text("vmstat")?;
        let lines = text.lines().filter(|line| is_shown(line));
        let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
        let VmStat(fields) = VmStat::from_buf_read(lines.as_bytes())?;
        let mut shown: Vec<(String, i64)> = fields.into_iter().collect();
        shown.sort_unstable();
        for (field, value) in shown {
            let help = format!("/proc/vmstat information field {field}.");
            let row = Row {
                labels: vec![],
                value: signed(value),
            };
            gathered.push(
                Kind::Untyped,
                format!("node_vmstat_{field}"),
                help,
                vec![row],
            );
        }
        Ok(())
    }
}

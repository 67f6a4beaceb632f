//! `/proc/pressure`: how long processes waited for what there was too little of.

use std::io::ErrorKind;

use anyhow::Context as _;
use procfs::{PressureRecord, parse_pressure_record};

use crate::family::float;
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

/// What waits for one thing: in `some` at least one process, in `full` all of them.
struct Part {
    file: &'static str,
    kind: &'static str,
    name: &'static str,
    help: &'static str,
    /// As a share of time, in names like the CloudWatch agent's.
    percent: Option<&'static str>,
}

#[rustfmt::skip]
const PARTS: [Part; 6] = [
    Part { file: "cpu", kind: "some", name: "node_pressure_cpu_waiting_seconds", help: "Total time in seconds that processes have waited for CPU time", percent: Some("psi_cpu_some_percent") },
    Part { file: "io", kind: "some", name: "node_pressure_io_waiting_seconds", help: "Total time in seconds that processes have waited due to IO congestion", percent: Some("psi_io_some_percent") },
    Part { file: "io", kind: "full", name: "node_pressure_io_stalled_seconds", help: "Total time in seconds no process could make progress due to IO congestion", percent: Some("psi_io_full_percent") },
    Part { file: "memory", kind: "some", name: "node_pressure_memory_waiting_seconds", help: "Total time in seconds that processes have waited for memory", percent: Some("psi_memory_some_percent") },
    Part { file: "memory", kind: "full", name: "node_pressure_memory_stalled_seconds", help: "Total time in seconds no process could make progress due to memory congestion", percent: Some("psi_memory_full_percent") },
    Part { file: "irq", kind: "full", name: "node_pressure_irq_stalled_seconds", help: "Total time in seconds no process could make progress due to IRQ congestion", percent: None },
];

#[derive(Debug, Default)]
pub(super) struct Pressure;

impl Collect for Pressure {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        for part in PARTS {
            // A kernel without it, or that has it switched off, has nothing to tell; older ones have some of it.
            let Some(text) = text(roots, part.file)? else {
                continue;
            };
            let Some(line) = text.lines().find(|line| line.starts_with(part.kind)) else {
                continue;
            };
            let record = record(line).with_context(|| {
                let file = part.file;
                format!("`pressure/{file}` is not as expected")
            })?;
            gathered.counter(part.name, part.help, float(record.total) / 1e6);
            if let Some(name) = part.percent {
                let percent = (f64::from(record.avg10) * 100.0).round() / 100.0;
                gathered.value(name, "Percent", percent);
            }
        }
        Ok(())
    }
}

/// `None` where the kernel does not tell.
fn text(roots: &Roots, file: &str) -> anyhow::Result<Option<String>> {
    let read = roots.text(&format!("pressure/{file}"));
    read.map(Some).or_else(|error| {
        let kind = error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        match kind {
            Some(ErrorKind::NotFound | ErrorKind::Unsupported) => Ok(None),
            _ => Err(error),
        }
    })
}

/// Of a line that is cut off procfs would make a panic.
fn record(line: &str) -> anyhow::Result<PressureRecord> {
    anyhow::ensure!(
        line.is_char_boundary(5) && line.len() > 5,
        "the line is cut off"
    );
    Ok(parse_pressure_record(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before Linux 5.13 the CPU has no line `full`; before 6.1 there is no `irq`.
    #[test]
    fn an_older_kernel_tells_less() {
        let folder = std::env::temp_dir().join(format!("cwbridge-psi-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("pressure")).unwrap();
        let cpu = "some avg10=1.25 avg60=0.00 avg300=0.00 total=2000000\n";
        std::fs::write(folder.join("pressure/cpu"), cpu).unwrap();
        let roots = Roots {
            procfs: folder.clone(),
            ..Roots::default()
        };
        let mut gathered = Gathered::default();
        Pressure.collect(&roots, &mut gathered).unwrap();
        let told: Vec<(&str, f64)> = gathered
            .values
            .iter()
            .map(|of| (of.name, of.value))
            .collect();
        assert_eq!(told, [("psi_cpu_some_percent", 1.25)]);
        let told: Vec<f64> = gathered
            .families
            .iter()
            .map(|of| of.rows[0].value)
            .collect();
        assert_eq!(told, [2.0]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

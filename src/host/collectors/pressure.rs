//! `/proc/pressure`: how long processes waited for what there was too little of.

use procfs::{CpuPressure, IoPressure, MemoryPressure, PressureRecord};

use crate::family::float;
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

const WAITING: [&str; 3] = [
    "Total time in seconds that processes have waited for CPU time",
    "Total time in seconds that processes have waited due to IO congestion",
    "Total time in seconds that processes have waited for memory",
];
const IO_STALLED: &str =
    "Total time in seconds no process could make progress due to IO congestion";
const MEMORY_STALLED: &str =
    "Total time in seconds no process could make progress due to memory congestion";

#[derive(Debug, Default)]
pub(super) struct Pressure;

impl Collect for Pressure {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        // A kernel without it, or that has it switched off, has nothing to tell.
        if !roots.procfs.join("pressure").is_dir() {
            return Ok(());
        }
        let cpu: CpuPressure = roots.parse("pressure/cpu")?;
        let io: IoPressure = roots.parse("pressure/io")?;
        let memory: MemoryPressure = roots.parse("pressure/memory")?;
        let [cpu_waiting, io_waiting, memory_waiting] = WAITING;
        let seconds = |record: &PressureRecord| float(record.total) / 1e6;
        let counters = [
            ("node_pressure_cpu_waiting_seconds", cpu_waiting, &cpu.some),
            ("node_pressure_io_waiting_seconds", io_waiting, &io.some),
            ("node_pressure_io_stalled_seconds", IO_STALLED, &io.full),
            (
                "node_pressure_memory_waiting_seconds",
                memory_waiting,
                &memory.some,
            ),
            (
                "node_pressure_memory_stalled_seconds",
                MEMORY_STALLED,
                &memory.full,
            ),
        ];
        for (name, help, record) in counters {
            gathered.counter(name, help, seconds(record));
        }
        let percents = [
            ("psi_cpu_some_percent", &cpu.some),
            ("psi_io_some_percent", &io.some),
            ("psi_io_full_percent", &io.full),
            ("psi_memory_some_percent", &memory.some),
            ("psi_memory_full_percent", &memory.full),
        ];
        for (name, record) in percents {
            let percent = (f64::from(record.avg10) * 100.0).round() / 100.0;
            gathered.value(name, "Percent", percent);
        }
        Ok(())
    }
}

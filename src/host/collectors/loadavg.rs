//! `/proc/loadavg`

use procfs::FromRead as _;
use procfs::LoadAverage;

use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Loadavg;

impl Collect for Loadavg {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let load = LoadAverage::from_read(roots.text("loadavg")?.as_bytes())?;
        let [one, five, fifteen] = [load.one, load.five, load.fifteen].map(exact);
        gathered.gauge("node_load1", "1m load average.", one);
        gathered.gauge("node_load5", "5m load average.", five);
        gathered.gauge("node_load15", "15m load average.", fifteen);
        gathered.value("load_1", "None", one);
        gathered.value("load_5", "None", five);
        gathered.value("load_15", "None", fifteen);
        Ok(())
    }
}

/// The kernel writes hundredths; a float of 32 bits has others around it.
fn exact(load: f32) -> f64 {
    (f64::from(load) * 100.0).round() / 100.0
}

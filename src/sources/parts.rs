//! Which parts of the host are looked at.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Collector, Collectors, ProcessGroup};
use crate::host::{Enabled, Filters, Parts, Plan, Roots, group};

/// As they are configured.
pub fn parts(collectors: &Collectors) -> Parts {
    let group = |of: &ProcessGroup| group(&of.name, of.by, &of.of);
    let enabled = |collector: &Collector| Enabled {
        name: collector.name,
        interval: collector.interval,
        directory: collector.directory.as_ref().map(PathBuf::from),
        groups: collector.groups.iter().filter_map(group).collect(),
        filters: Arc::new(Filters::of(&collector.include, &collector.exclude)),
    };
    Parts {
        cpu: collectors.has("cpu"),
        gather: Plan {
            roots: Roots {
                procfs: (&collectors.roots.procfs).into(),
                sysfs: (&collectors.roots.sysfs).into(),
                rootfs: (&collectors.roots.rootfs).into(),
            },
            collectors: collectors.enabled.iter().map(enabled).collect(),
        },
    }
}

//! `os-release`: what the distribution calls itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;

use crate::family::{Kind, labels, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

const INFO: &str = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.";
const NAMES: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];

/// What was read last, and of which state of the file.
#[derive(Debug, Default)]
pub(super) struct Os {
    known: Option<(SystemTime, BTreeMap<String, String>)>,
}

impl Os {
    fn fields(&mut self, roots: &Roots) -> anyhow::Result<&BTreeMap<String, String>> {
        let places = ["etc/os-release", "usr/lib/os-release"];
        let paths = places.map(|place| roots.rootfs.join(place));
        let changed = |path: &PathBuf| Some((path.clone(), path.metadata().ok()?.modified().ok()?));
        let (path, changed) = paths
            .iter()
            .find_map(changed)
            .context("there is no `os-release`")?;
        let is_known = self
            .known
            .as_ref()
            .is_some_and(|(known, _)| *known == changed);
        if !is_known {
            let text = super::text(&path)?;
            self.known = Some((changed, text.lines().filter_map(field).collect()));
        }
        let fields = self.known.as_ref().map(|(_, fields)| fields);
        fields.context("there is no `os-release`")
    }
}

impl Collect for Os {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let fields = self.fields(roots)?;
        let value = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let info = labels(NAMES.map(|name| (name, value(name))));
        let row_of_info = crate::family::Row {
            labels: info,
            value: 1.0,
        };
        gathered.push(Kind::Gauge, "node_os_info", INFO, vec![row_of_info]);
        // `22.04.3` is more than a number.
        let version_id = value("version_id");
        let version: Vec<&str> = version_id.splitn(3, '.').take(2).collect();
        if let Ok(version) = version.join(".").parse() {
            let named = ["id", "id_like", "name"].map(|name| (name, value(name)));
            gathered.push(
                Kind::Gauge,
                "node_os_version",
                "Metric containing the major.minor part of the OS version.",
                vec![row(named, version)],
            );
        }
        Ok(())
    }
}

/// `VERSION_ID="12"`
fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    let value = value.trim_matches(['"', '\'']);
    Some((name.to_ascii_lowercase(), value.to_owned()))
}

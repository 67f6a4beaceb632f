//! `os-release`: what the distribution calls itself.

use std::collections::BTreeMap;

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

#[derive(Debug, Default)]
pub(super) struct Os;

impl Collect for Os {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let places = ["etc/os-release", "usr/lib/os-release"];
        let texts = places.map(|place| super::text(&roots.rootfs.join(place)));
        let [first, second] = texts;
        let text = first.or(second)?;
        let fields: BTreeMap<String, String> = text.lines().filter_map(field).collect();
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

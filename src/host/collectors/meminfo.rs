//! `/proc/meminfo`: every field that the kernel writes.

use std::collections::BTreeMap;

use crate::family::{Kind, Row, float};
use crate::host::gathered::{Gathered, Published};

use super::{Collect, Roots};

type Fields = BTreeMap<String, u64>;

/// As the CloudWatch agent has them: `used` is what is neither free nor could be given back.
const PUBLISHED: [Published<Memory>; 14] = [
    Published::now("mem_active", "Bytes", |m| m.bytes("Active")),
    Published::now("mem_available", "Bytes", |m| m.bytes("MemAvailable")),
    Published::now("mem_buffered", "Bytes", |m| m.bytes("Buffers")),
    Published::now("mem_cached", "Bytes", Memory::cached),
    Published::now("mem_free", "Bytes", |m| m.bytes("MemFree")),
    Published::now("mem_inactive", "Bytes", |m| m.bytes("Inactive")),
    Published::now("mem_shared", "Bytes", |m| m.bytes("Shmem")),
    Published::now("mem_total", "Bytes", |m| m.bytes("MemTotal")),
    Published::now("mem_used", "Bytes", Memory::used),
    Published::now("mem_available_percent", "Percent", |m| {
        m.percent(m.bytes("MemAvailable")?, "MemTotal")
    }),
    Published::now("mem_used_percent", "Percent", |m| {
        m.percent(m.used()?, "MemTotal")
    }),
    Published::now("swap_free", "Bytes", |m| m.bytes("SwapFree")),
    Published::now("swap_used", "Bytes", Memory::swap_used),
    Published::now("swap_used_percent", "Percent", |m| {
        // Without swap none of it is used.
        m.percent(m.swap_used()?, "SwapTotal").or(Some(0.0))
    }),
];

struct Memory(Fields);

impl Memory {
    fn bytes(&self, field: &str) -> Option<f64> {
        self.0.get(field).copied().map(float)
    }

    fn cached(&self) -> Option<f64> {
        Some(self.bytes("Cached")? + self.bytes("SReclaimable").unwrap_or(0.0))
    }

    fn used(&self) -> Option<f64> {
        let rest = self.bytes("MemFree")? + self.bytes("Buffers")? + self.cached()?;
        Some((self.bytes("MemTotal")? - rest).max(0.0))
    }

    fn swap_used(&self) -> Option<f64> {
        Some((self.bytes("SwapTotal")? - self.bytes("SwapFree")?).max(0.0))
    }

    /// To 0.01, so that what is judged is exactly what is published.
    fn percent(&self, part: f64, whole: &str) -> Option<f64> {
        let whole = self.bytes(whole).filter(|whole| *whole > 0.0)?;
        Some((part / whole * 10_000.0).round() / 100.0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Meminfo;

impl Collect for Meminfo {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let (mut fields, mut families) = (Fields::new(), Vec::new());
        for line in roots.text("meminfo")?.lines() {
            let Some((field, value, is_bytes)) = parse(line) else {
                continue;
            };
            let suffix = if is_bytes { "_bytes" } else { "" };
            let name = field.replace('(', "_").replace(')', "") + suffix;
            families.push((name, value));
            fields.insert(field.to_owned(), value);
        }
        anyhow::ensure!(
            fields.contains_key("MemTotal"),
            "`meminfo` has no `MemTotal`"
        );
        for (name, value) in families {
            let row = Row {
                labels: vec![],
                value: float(value),
            };
            let help = format!("Memory information field {name}.");
            gathered.push(Kind::Gauge, format!("node_memory_{name}"), help, vec![row]);
        }
        let memory = BTreeMap::from([(vec![], Memory(fields))]);
        gathered.publish(&PUBLISHED, &memory, &BTreeMap::new(), Clone::clone, |_| {
            false
        });
        Ok(())
    }
}

/// `MemTotal:  2048 kB` as its name, its value, and whether that is in bytes. procfs knows the fields by name, and lacks those
/// that newer kernels have.
fn parse(line: &str) -> Option<(&str, u64, bool)> {
    let (field, rest) = line.split_once(':')?;
    let mut words = rest.split_whitespace();
    let value: u64 = words.next()?.parse().ok()?;
    match words.next() {
        Some("kB") => Some((field, value.checked_mul(1024)?, true)),
        _ => Some((field, value, false)),
    }
}

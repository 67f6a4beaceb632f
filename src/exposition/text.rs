//! Prometheus' text format 0.0.4, which prometheus-client does not write.

use std::fmt::Write as _;

use super::Families;
use crate::family::{Family, Kind, Labels, Row};

const INFALLIBLE: &str = "writing to a string does not fail";

/// Every value shown is finite: it was counted, or read from the kernel, or passed the store.
pub(super) fn write(families: &Families) -> String {
    let mut text = String::new();
    for family in families.iter() {
        write_family(&mut text, family);
    }
    text
}

fn write_family(
    text: &mut String,
    Family {
        name,
        help,
        kind,
        rows,
    }: &Family,
) {
    let (suffix, kind) = match kind {
        Kind::Counter => ("_total", "counter"),
        Kind::Gauge => ("", "gauge"),
        Kind::Untyped => ("", "untyped"),
    };
    writeln!(
        text,
        "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}"
    )
    .expect(INFALLIBLE);
    for Row { labels, value } in rows {
        text.push_str(name);
        text.push_str(suffix);
        write_labels(text, labels);
        writeln!(text, " {value}").expect(INFALLIBLE);
    }
}

fn write_labels(text: &mut String, labels: &Labels) {
    for (i, (label, value)) in labels.iter().enumerate() {
        let value = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', r"\n");
        let open = if i == 0 { '{' } else { ',' };
        write!(text, "{open}{label}=\"{value}\"").expect(INFALLIBLE);
    }
    if !labels.is_empty() {
        text.push('}');
    }
}

//! What Prometheus calls a metric family: a name with its help, its kind, and a row for each set of labels.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Nobody says whether it is one or the other.
    Untyped,
}

/// Labels by their names.
pub type Labels = Vec<(Cow<'static, str>, String)>;

/// Rows of one name; a family without rows is not shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Of a counter without `_total`.
    pub name: Cow<'static, str>,
    pub help: Cow<'static, str>,
    pub kind: Kind,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub labels: Labels,
    pub value: f64,
}

/// A row with so many labels.
pub fn row<const N: usize>(labels: [(&'static str, String); N], value: f64) -> Row {
    Row {
        labels: self::labels(labels),
        value,
    }
}

pub fn labels<const N: usize>(labels: [(&'static str, String); N]) -> Labels {
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| (Cow::Borrowed(name), value))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' values are doubles")]
pub fn float(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' values are doubles")]
pub fn signed(value: i64) -> f64 {
    value as f64
}

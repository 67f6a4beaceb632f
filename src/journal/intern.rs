//! Metrics by number, so that a datapoint names its metric in one or two bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::content::{self, Unreadable};
use crate::metric::{Datapoint, Dimension, Metric, Resolution, Timestamp, Unit};

/// The most metrics remembered; beyond it all are forgotten, and read again as they are met.
const METRICS_REMEMBERED_MAX: usize = 4_096;

/// How far the instant that a metric was last used may lag behind, so that it is written once a day and not each minute.
pub(super) const USED_LAG_MAX: i64 = 86_400_000;

/// A metric with the unit and the resolution of its datapoints.
type Key = (Arc<Metric>, Unit, Resolution);

/// What is remembered of the table.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    ids: HashMap<Key, Known>,
    /// `None` where the row cannot be understood.
    keys: HashMap<i64, Option<Key>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    used: i64,
}

/// A datapoint as it stands in its row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) start: i64,
    metric: i64,
    pub(super) state: i64,
    content: Vec<u8>,
}

impl Row {
    /// From the columns `id, start, metric, state, content`.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            start: row.get(1)?,
            metric: row.get(2)?,
            state: row.get(3)?,
            content: row.get(4)?,
        })
    }
}

impl Metrics {
    /// The number of a datapoint's metric, given to it if need be.
    pub(super) fn id(&mut self, db: &Connection, datapoint: &Datapoint) -> rusqlite::Result<i64> {
        let start = datapoint.start.milliseconds();
        let key = (
            Arc::clone(&datapoint.metric),
            datapoint.unit,
            datapoint.resolution,
        );
        let fresh = |known: &&Known| start <= known.used.saturating_add(USED_LAG_MAX);
        if let Some(known) = self.ids.get(&key).filter(fresh) {
            return Ok(known.id);
        }
        let known = db.query_row(
            "INSERT INTO metric (namespace, name, dimensions, unit, resolution, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET used = max(used, excluded.used) RETURNING id, used",
            params![key.0.namespace, key.0.name, written(key.0.dimensions()), key.1.name(), key.2.seconds(), start],
            |row| Ok(Known { id: row.get(0)?, used: row.get(1)? }),
        )?;
        if self.ids.len() >= METRICS_REMEMBERED_MAX {
            self.ids.clear();
        }
        self.ids.insert(key, known);
        Ok(known.id)
    }

    /// Whether a row is of a metric and of a time that somebody wants; one that cannot be understood is wanted, to be counted.
    pub(super) fn is_wanted(
        &mut self,
        db: &Connection,
        row: &Row,
        wanted: impl Fn(&Metric, Timestamp) -> bool,
    ) -> rusqlite::Result<bool> {
        let start = Timestamp::from_milliseconds(row.start);
        let key = self.key(db, row)?;
        Ok(key
            .as_ref()
            .is_none_or(|(metric, ..)| wanted(metric, start)))
    }

    fn key(&mut self, db: &Connection, row: &Row) -> rusqlite::Result<&Option<Key>> {
        if self.keys.len() >= METRICS_REMEMBERED_MAX {
            self.keys.clear();
        }
        Ok(match self.keys.entry(row.metric) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(key(db, row.metric)?),
        })
    }

    pub(super) fn datapoint(
        &mut self,
        db: &Connection,
        row: &Row,
    ) -> rusqlite::Result<Result<Datapoint, Unreadable>> {
        let key = self.key(db, row)?.clone();
        let datapoint = |(metric, unit, resolution)| {
            let (statistics, values) = content::decode(&row.content)?;
            Ok(Datapoint {
                metric,
                unit,
                resolution,
                start: Timestamp::from_milliseconds(row.start),
                statistics,
                values,
            })
        };
        Ok(key.ok_or(Unreadable).and_then(datapoint))
    }
}

fn key(db: &Connection, id: i64) -> rusqlite::Result<Option<Key>> {
    let row = db.query_row(
        "SELECT namespace, name, dimensions, unit, resolution FROM metric WHERE id = ?1",
        [id],
        |row| {
            let text = |column| row.get::<_, String>(column);
            Ok((text(0)?, text(1)?, text(2)?, text(3)?, row.get(4)?))
        },
    );
    let Some((namespace, name, dimensions, unit, resolution)) = row.optional()? else {
        return Ok(None);
    };
    let metric = Arc::new(Metric::new(namespace, name, parsed(&dimensions)));
    Ok(Unit::from_name(&unit)
        .zip(resolved(resolution))
        .map(|(unit, resolution)| (metric, unit, resolution)))
}

fn resolved(seconds: i64) -> Option<Resolution> {
    [Resolution::High, Resolution::Standard, Resolution::Basic]
        .into_iter()
        .find(|resolution| resolution.seconds() == seconds)
}

/// Lines of `name=value`; a backslash stands before what would be misunderstood.
fn written(dimensions: &[Dimension]) -> String {
    let mut text = String::new();
    for Dimension { name, value } in dimensions {
        escape(&mut text, name);
        text.push('=');
        escape(&mut text, value);
        text.push('\n');
    }
    text
}

fn escape(text: &mut String, part: &str) {
    for char in part.chars() {
        if matches!(char, '\\' | '=' | '\n') {
            text.push('\\');
        }
        text.push(char);
    }
}

fn parsed(text: &str) -> Vec<Dimension> {
    let (mut dimensions, mut parts) = (Vec::new(), [String::new(), String::new()]);
    let (mut chars, mut part) = (text.chars(), 0);
    while let Some(char) = chars.next() {
        match char {
            '\\' => parts[part].extend(chars.next()),
            '=' => part = 1,
            '\n' => {
                let [name, value] = std::mem::take(&mut parts);
                dimensions.push(Dimension { name, value });
                part = 0;
            }
            _ => parts[part].push(char),
        }
    }
    dimensions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dimensions_are_written_for_people() {
        let dimensions = [
            Dimension::new("InstanceId", "i-1"),
            Dimension::new("a=b", ""),
        ];
        assert_eq!(written(&dimensions), "InstanceId=i-1\na\\=b=\n");
    }

    proptest! {
        #[test]
        fn any_dimensions_come_back(parts in prop::collection::vec((r"[\\=\n\PC]{0,9}", any::<String>()), 0..5)) {
            let dimensions: Vec<Dimension> = parts.iter().map(|(name, value)| Dimension::new(name, value)).collect();
            prop_assert_eq!(parsed(&written(&dimensions)), dimensions);
        }
    }
}

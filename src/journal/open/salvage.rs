//! What can still be read of a journal that was set aside.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::metric::{Datapoint, Timestamp};

use super::super::intern::{Metrics, Row};
use super::super::{Append, Journal, LogEvent, POSITIONS_UNKNOWN, Recorded};

/// Datapoints that are taken over in one transaction.
const SALVAGED_AT_ONCE: usize = 1_000;

/// Takes over what waited in a file that was set aside, as far as it can be read. Whether it was being sent is not known.
pub(super) fn salvage(aside: &Path, journal: &mut Journal) -> usize {
    let mut saved = 0;
    let mut keep = |datapoints: &mut Vec<Datapoint>| {
        let recorded: Vec<Recorded<'_>> = datapoints
            .iter()
            .map(|datapoint| Recorded {
                datapoint,
                publish: true,
                answer_lost: true,
            })
            .collect();
        let append = Append {
            datapoints: &recorded,
            ..Append::default()
        };
        if journal.append(append).is_ok() {
            saved += recorded.len();
        }
        datapoints.clear();
    };
    let mut page = Vec::new();
    // Where it cannot be read, that is the end of it.
    let _ = read_outbox(aside, |datapoint| {
        page.push(datapoint);
        if page.len() == SALVAGED_AT_ONCE {
            keep(&mut page);
        }
    });
    if !page.is_empty() {
        keep(&mut page);
    }
    take_over_texts(aside, journal);
    saved
}

/// Takes over what is to be delivered, and what is to be written to CloudWatch Logs and how far that was got.
fn take_over_texts(aside: &Path, journal: &mut Journal) {
    let text = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (deliveries, _) = rows(aside, "SELECT key, text FROM delivery", text);
    let keyed = |(key, text): (String, String)| (key, Some(text));
    let deliveries: Vec<_> = deliveries.into_iter().map(keyed).collect();
    let (positions, is_whole) = rows(aside, "SELECT key, text FROM log_position", text);
    let mut positions: BTreeMap<_, _> = positions.into_iter().map(keyed).collect();
    if !is_whole {
        positions.insert(POSITIONS_UNKNOWN.to_owned(), Some(String::new()));
    }
    let event = |row: &rusqlite::Row<'_>| {
        Ok(LogEvent {
            id: row.get(0)?,
            at: Timestamp::from_milliseconds(row.get(1)?),
            message: row.get(2)?,
        })
    };
    let (events, _) = rows(aside, "SELECT id, at, message FROM log_event", event);
    // What a new journal does not take is told by the next one that wants to write.
    let _ = journal.take_over(&deliveries, positions, &events);
}

/// The rows up to the first that cannot be read, and whether that was all.
fn rows<T>(
    aside: &Path,
    sql: &str,
    row: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> (Vec<T>, bool) {
    let mut read = Vec::new();
    let mut all = || -> rusqlite::Result<()> {
        let connection = open(aside)?;
        let mut select = connection.prepare(sql)?;
        let mut rows = select.query([])?;
        while let Some(next) = rows.next()? {
            read.push(row(next)?);
        }
        Ok(())
    };
    let is_whole = all().is_ok();
    (read, is_whole)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Every datapoint of the outbox, in the order of the rows, so that no index is needed.
fn read_outbox(path: &Path, mut each: impl FnMut(Datapoint)) -> rusqlite::Result<()> {
    let connection = open(path)?;
    let sql =
        "SELECT id, start, metric, state, content FROM datapoint NOT INDEXED WHERE state >= 3";
    let mut select = connection.prepare(sql)?;
    let (mut metrics, mut rows) = (Metrics::default(), select.query([])?);
    while let Some(row) = rows.next()? {
        if let Ok(datapoint) = metrics.datapoint(&connection, &Row::read(row)?)? {
            each(datapoint);
        }
    }
    Ok(())
}

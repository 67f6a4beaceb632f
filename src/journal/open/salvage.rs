//! What can still be read of a journal that was set aside.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::metric::{Datapoint, Timestamp};

use super::super::intern::{Metrics, Row};
use super::super::{Append, Journal, LogEvent, LogProgress, POSITIONS_UNKNOWN, Recorded};

/// Datapoints that are taken over in one transaction.
const SALVAGED_AT_ONCE: usize = 1_000;

/// Takes over what waited in a file that was set aside, as far as it can be read. Whether it was being sent is not known.
/// Returns how many datapoints that were, and whether everything else was taken over as well.
pub(super) fn salvage(aside: &Path, journal: &mut Journal, now: Timestamp) -> (usize, bool) {
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
    (saved, take_over_texts(aside, journal, now))
}

/// Takes over what is to be delivered, and what is to be written to CloudWatch Logs and how far that was got. Whether that was all.
fn take_over_texts(aside: &Path, journal: &mut Journal, now: Timestamp) -> bool {
    // If nothing comes of it, that is known.
    let mut last = None;
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'log_event'";
    let is_last_known = rows(aside, sql, |row| row.get(0), |seq: i64| last = Some(seq));
    let last = match is_last_known {
        true => last.unwrap_or(0),
        // No number is so large.
        false => now.milliseconds(),
    };
    let mut is_whole = journal.begin_anew(last).is_ok() && is_last_known;
    let text = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let keyed = |(key, text): (String, String)| (key, Some(text));
    let mut deliveries = Vec::new();
    is_whole &= rows(aside, "SELECT key, text FROM delivery", text, |delivery| {
        deliveries.push(keyed(delivery));
    });
    let append = Append {
        deliveries: &deliveries,
        ..Append::default()
    };
    is_whole &= journal.append(append).is_ok();
    let mut positions = BTreeMap::new();
    let sql = "SELECT key, text FROM log_position";
    let are_known = rows(aside, sql, text, |position| {
        positions.extend([keyed(position)]);
    });
    if are_known {
        positions
            .entry(POSITIONS_UNKNOWN.to_owned())
            .or_insert(None);
    }
    let written = None;
    let progress = LogProgress { positions, written };
    is_whole &= journal.log_progress(&progress).is_ok() && are_known;
    is_whole & take_over_events(aside, journal)
}

/// A page after the other: there may be many.
fn take_over_events(aside: &Path, journal: &mut Journal) -> bool {
    let event = |row: &rusqlite::Row<'_>| {
        Ok(LogEvent {
            id: row.get(0)?,
            at: Timestamp::from_milliseconds(row.get(1)?),
            message: row.get(2)?,
        })
    };
    let (mut page, mut is_kept) = (Vec::new(), true);
    let is_whole = rows(
        aside,
        "SELECT id, at, message FROM log_event",
        event,
        |event| {
            page.push(event);
            if page.len() == SALVAGED_AT_ONCE {
                is_kept &= journal.take_over(&page).is_ok();
                page.clear();
            }
        },
    );
    is_whole & is_kept & journal.take_over(&page).is_ok()
}

/// Gives the rows up to the first that cannot be read; whether that was all.
fn rows<T>(
    aside: &Path,
    sql: &str,
    row: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    mut each: impl FnMut(T),
) -> bool {
    let mut all = || -> rusqlite::Result<()> {
        let connection = open(aside)?;
        let mut select = connection.prepare(sql)?;
        let mut rows = select.query([])?;
        while let Some(next) = rows.next()? {
            each(row(next)?);
        }
        Ok(())
    };
    all().is_ok()
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

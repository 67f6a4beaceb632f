//! What is to be written to CloudWatch Logs, and how far other places were read.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::metric::Timestamp;

use super::{Journal, Reader, Result, Write, schema};

/// The most events that are kept; beyond it the oldest go.
pub const LOG_EVENTS_MAX: i64 = 100_000;

/// A position with this key says that there were others, which could not be read.
pub const POSITIONS_UNKNOWN: &str = "unknown";

/// Under this key it is kept up to which event they may be under way.
pub const RECORD_POSITION: &str = "record";

/// An event that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// They grow, and none is used twice.
    pub id: i64,
    pub at: Timestamp,
    pub message: String,
}

/// How far was got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogProgress {
    /// Positions by key; `None` for those that are no more.
    pub positions: BTreeMap<String, Option<String>>,
    /// Events up to this one are written, or never will be.
    pub written: Option<i64>,
}

impl LogProgress {
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.written.is_none()
    }

    /// Goes on to what is known later.
    pub fn add(&mut self, later: Self) {
        self.positions.extend(later.positions);
        self.written = self.written.max(later.written);
    }

    /// What was kept, with what came later.
    pub fn over(&self, mut kept: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for (key, text) in &self.positions {
            match text {
                Some(text) => kept.insert(key.clone(), text.clone()),
                None => kept.remove(key),
            };
        }
        kept
    }
}

impl Journal {
    /// Of a file that takes the place of another one: what was sent is not known, and no event has a number that one had there,
    /// up to `last`.
    pub(super) fn begin_anew(&mut self, last: i64) -> Result<()> {
        self.write(|write| {
            let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES ('log_event', ?1)";
            write.transaction.execute(insert, [last])?;
            let insert = "INSERT OR REPLACE INTO log_position (key, text) VALUES (?1, '')";
            write.transaction.execute(insert, [POSITIONS_UNKNOWN])
        })?;
        Ok(())
    }

    /// Takes over events that another file has.
    pub(super) fn take_over(&mut self, events: &[LogEvent]) -> Result<()> {
        self.write(|write| write.take_over(events))
    }

    /// Commits how far was got.
    pub fn log_progress(&mut self, progress: &LogProgress) -> Result<()> {
        self.write(|write| write.log_progress(progress))
    }

    /// How many events had to go since this was asked for.
    pub fn take_log_events_lost(&mut self) -> usize {
        std::mem::take(&mut self.log_events_lost)
    }

    /// Every position, by key.
    pub fn log_positions(&self) -> Result<BTreeMap<String, String>> {
        self.read(positions(&self.connection))
    }

    /// The oldest events after the one given, so many at most.
    pub fn log_events(&self, after: i64, most: usize) -> Result<Vec<LogEvent>> {
        self.read(events(&self.connection, after, most))
    }
}

impl Reader {
    /// As [`Journal::log_positions`]. A file of before knows none.
    pub fn log_positions(&self) -> Result<BTreeMap<String, String>> {
        match schema::pragma(&self.connection, "user_version")? {
            ..4 => Ok(BTreeMap::new()),
            _ => Ok(positions(&self.connection)?),
        }
    }
}

fn positions(db: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select = db.prepare("SELECT key, text FROM log_position")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn events(db: &Connection, after: i64, most: usize) -> rusqlite::Result<Vec<LogEvent>> {
    let mut select =
        db.prepare("SELECT id, at, message FROM log_event WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = select.query_map(params![after, most], |row| {
        Ok(LogEvent {
            id: row.get(0)?,
            at: Timestamp::from_milliseconds(row.get(1)?),
            message: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Up to which event they may be under way: those are left until it is known what became of them.
pub(super) fn under_way(db: &Connection) -> rusqlite::Result<i64> {
    let select = "SELECT CAST(text AS INTEGER) FROM log_position WHERE key = ?1";
    let sending = db.query_row(select, [RECORD_POSITION], |row| row.get(0));
    Ok(sending.optional()?.unwrap_or(0))
}

impl Write<'_> {
    /// Returns how many had to go.
    pub(super) fn log_events(&self, events: &[(Timestamp, String)]) -> rusqlite::Result<usize> {
        if events.is_empty() {
            return Ok(0);
        }
        let db = &self.transaction;
        let mut insert = db.prepare("INSERT INTO log_event (at, message) VALUES (?1, ?2)")?;
        for (at, message) in events {
            insert.execute(params![at.milliseconds(), message])?;
        }
        let newest = db.last_insert_rowid();
        db.execute(
            "DELETE FROM log_event WHERE id <= ?1 AND id > ?2",
            [newest - LOG_EVENTS_MAX, under_way(db)?],
        )
    }

    /// As they are in another file: how far they were sent is told by their numbers.
    fn take_over(&self, events: &[LogEvent]) -> rusqlite::Result<()> {
        let sql = "INSERT INTO log_event (id, at, message) VALUES (?1, ?2, ?3)";
        let mut insert = self.transaction.prepare(sql)?;
        for LogEvent { id, at, message } in events {
            insert.execute(params![id, at.milliseconds(), message])?;
        }
        Ok(())
    }

    fn log_progress(&self, progress: &LogProgress) -> rusqlite::Result<()> {
        let db = &self.transaction;
        if let Some(written) = progress.written {
            db.execute("DELETE FROM log_event WHERE id <= ?1", [written])?;
        }
        let mut upsert =
            db.prepare("INSERT OR REPLACE INTO log_position (key, text) VALUES (?1, ?2)")?;
        let mut delete = db.prepare("DELETE FROM log_position WHERE key = ?1")?;
        for (key, text) in &progress.positions {
            match text {
                Some(text) => upsert.execute([key, text])?,
                None => delete.execute([key])?,
            };
        }
        Ok(())
    }
}

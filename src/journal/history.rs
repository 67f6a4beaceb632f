//! Reading what was: by the daemon that writes it and by any other process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow, params};

use super::intern::{Metrics, Row};
use super::open::{FILE, beside};
use super::schema::{self, Identity};
use super::{Error, Journal, OpenError, Past, Result, Snapshot, Transition};
use crate::metric::{Datapoint, Metric, Timestamp};

/// How many datapoints are read at a time. No reader keeps the database's present state alive for longer than that takes, else
/// the -wal file would grow as long as somebody reads.
const PAGE_ROWS_MAX: usize = 256;

/// A page after a datapoint. The two indexes are merged, each in its order.
const DATAPOINTS: &str = "SELECT id, start, metric, state, content FROM (
            SELECT id, start, metric, state, content FROM datapoint INDEXED BY history
            WHERE state < 3 AND start >= ?1 AND (start > ?1 OR id > ?2)
            UNION ALL
            SELECT id, start, metric, state, content FROM datapoint INDEXED BY outbox
            WHERE state >= 3 AND start >= ?1 AND (start > ?1 OR id > ?2)
         ) ORDER BY start, id LIMIT ?3";

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How long a reader waits in the rare moments in which it has to.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

impl Journal {
    /// Gives every datapoint that starts at `since` or later, in order of start, and returns how many could not be read and
    /// were left out. What is appended meanwhile may or may not be among them.
    pub fn datapoints(&self, since: Timestamp, mut each: impl FnMut(Datapoint)) -> Result<usize> {
        let each = |datapoint| {
            each(datapoint);
            true
        };
        self.datapoints_of(since, |_, _| true, each)
    }

    /// The same of the metrics and starts that are wanted, until `each` says that it is enough.
    pub fn datapoints_of(
        &self,
        since: Timestamp,
        wanted: impl Fn(&Metric, Timestamp) -> bool,
        each: impl FnMut(Datapoint) -> bool,
    ) -> Result<usize> {
        self.read(datapoints(&self.connection, since, wanted, each))
    }

    /// What a pipeline goes on from, with so many transitions of each alarm; `None` if nothing was before.
    pub fn past(&self, transitions: usize) -> Result<Option<Past>> {
        self.read(past(&self.connection, transitions))
    }

    /// As [`Reader::transitions`].
    pub fn transitions(&self, alarm: Option<&str>, most: usize) -> Result<Vec<Transition>> {
        self.read(newest_transitions(&self.connection, alarm, most))
    }

    /// What is to be delivered, by key.
    pub fn deliveries(&self) -> Result<BTreeMap<String, String>> {
        self.read(deliveries(&self.connection))
    }

    /// How many datapoints left the outbox without being published since the file was begun, by reason.
    #[cfg(test)]
    pub(super) fn dropped_by_reason(&self) -> Result<Vec<(String, u64)>> {
        let mut select = self
            .connection
            .prepare("SELECT reason, count FROM dropped ORDER BY reason")?;
        let rows = select.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// A journal that is only read, also while its owner writes it and where this process may not write.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    pub fn open(dir: &Path) -> std::result::Result<Self, OpenError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err(OpenError::Missing {
                dir: dir.to_owned(),
            });
        }
        let failed = |err| OpenError::database(dir, Error::from(err));
        let (connection, identity) = connect(&path).map_err(failed)?;
        match identity {
            Identity::Journal { version } if version > schema::VERSION => Err(OpenError::Newer {
                path,
                version,
                known: schema::VERSION,
            }),
            Identity::Journal { .. } => Ok(Self { connection }),
            Identity::Empty | Identity::Foreign => Err(OpenError::Missing {
                dir: dir.to_owned(),
            }),
        }
    }

    /// As [`Journal::datapoints`].
    pub fn datapoints(&self, since: Timestamp, mut each: impl FnMut(Datapoint)) -> Result<usize> {
        let each = |datapoint| {
            each(datapoint);
            true
        };
        self.datapoints_of(since, |_, _| true, each)
    }

    /// As [`Journal::datapoints_of`].
    pub fn datapoints_of(
        &self,
        since: Timestamp,
        wanted: impl Fn(&Metric, Timestamp) -> bool,
        each: impl FnMut(Datapoint) -> bool,
    ) -> Result<usize> {
        Ok(datapoints(&self.connection, since, wanted, each)?)
    }

    /// As [`Journal::deliveries`]. A file of before knows none.
    pub fn deliveries(&self) -> Result<BTreeMap<String, String>> {
        match schema::pragma(&self.connection, "user_version")? {
            ..3 => Ok(BTreeMap::new()),
            _ => Ok(deliveries(&self.connection)?),
        }
    }

    /// The newest transitions, of one alarm or of all, newest first.
    pub fn transitions(&self, alarm: Option<&str>, most: usize) -> Result<Vec<Transition>> {
        Ok(newest_transitions(&self.connection, alarm, most)?)
    }

    /// As [`Journal::past`].
    pub fn past(&self, transitions: usize) -> Result<Option<Past>> {
        Ok(past(&self.connection, transitions)?)
    }
}

/// A reader needs the files beside the database, and SQLite makes them if it can. In a directory that it may not write to, and
/// with no owner at work, they are not there and not needed: the file is complete and nobody changes it. Should an owner come
/// after all while it is read, the reader may fail, and has to open the journal again.
fn connect(path: &Path) -> rusqlite::Result<(Connection, Identity)> {
    let unchanging = || fs::metadata(beside(path, "-wal")).map_or(0, |wal| wal.len()) == 0;
    match identified(Connection::open_with_flags(path, FLAGS)) {
        Err(_) if unchanging() => immutable(path),
        connected => connected,
    }
}

fn immutable(path: &Path) -> rusqlite::Result<(Connection, Identity)> {
    let uri = format!("{}?immutable=1", uri(path));
    let flags = FLAGS | OpenFlags::SQLITE_OPEN_URI;
    identified(Connection::open_with_flags(uri, flags))
}

fn identified(opened: rusqlite::Result<Connection>) -> rusqlite::Result<(Connection, Identity)> {
    let connection = opened?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA mmap_size = 0")?;
    let identity = schema::identity(&connection)?;
    Ok((connection, identity))
}

fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for char in path.to_string_lossy().chars() {
        match char {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            _ => uri.push(char),
        }
    }
    uri
}

fn datapoints(
    db: &Connection,
    since: Timestamp,
    wanted: impl Fn(&Metric, Timestamp) -> bool,
    mut each: impl FnMut(Datapoint) -> bool,
) -> rusqlite::Result<usize> {
    let mut select = db.prepare(DATAPOINTS)?;
    let (mut metrics, mut unreadable) = (Metrics::default(), 0);
    let mut after = (since.milliseconds(), -1);
    loop {
        let rows = select.query_map(
            params![after.0, after.1, PAGE_ROWS_MAX.cast_signed()],
            Row::read,
        )?;
        let page = rows.collect::<rusqlite::Result<Vec<Row>>>()?;
        for row in &page {
            // Most rows of a long past are of no use, and decoding is what takes time.
            if !metrics.is_wanted(db, row, &wanted)? {
                continue;
            }
            match metrics.datapoint(db, row)? {
                Ok(datapoint) => {
                    if !each(datapoint) {
                        return Ok(unreadable);
                    }
                }
                Err(_) => unreadable += 1,
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE_ROWS_MAX => after = (last.start, last.id),
            _ => return Ok(unreadable),
        }
    }
}

fn past(db: &Connection, transitions: usize) -> rusqlite::Result<Option<Past>> {
    // All tables as of the same commit.
    let transaction = db.unchecked_transaction()?;
    let row = transaction
        .query_row("SELECT at, pipeline FROM snapshot", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((at, pipeline)) = row else {
        return Ok(None);
    };
    let mut alarms = transaction.prepare("SELECT name, snapshot FROM alarm")?;
    let alarms = alarms.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let snapshot = Snapshot {
        at: Timestamp::from_milliseconds(at),
        pipeline,
        alarms: Some(alarms.collect::<rusqlite::Result<_>>()?),
    };
    let names = snapshot.alarms.iter().flatten().map(|(name, _)| name);
    Ok(Some(Past {
        complete_since: complete_since(&transaction)?,
        transitions: latest_transitions(&transaction, names, transitions)?,
        snapshot,
    }))
}

/// A file of the version before does not tell it; it is migrated when it is written.
fn complete_since(db: &Connection) -> rusqlite::Result<Timestamp> {
    let column = match schema::pragma(db, "user_version")? {
        1 => "begun",
        _ => "complete_since",
    };
    let sql = format!("SELECT {column} FROM journal");
    db.query_row(&sql, [], |row| row.get(0))
        .map(Timestamp::from_milliseconds)
}

fn deliveries(db: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select = db.prepare("SELECT key, text FROM delivery")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn newest_transitions(
    db: &Connection,
    alarm: Option<&str>,
    most: usize,
) -> rusqlite::Result<Vec<Transition>> {
    let wanted = match alarm {
        Some(_) => "alarm = ?1",
        None => "?1 IS NULL",
    };
    let mut select = db.prepare(&format!(
        "SELECT alarm, at, from_state, to_state, reason, reason_data, certainty
         FROM transition WHERE {wanted} ORDER BY id DESC LIMIT ?2"
    ))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    select
        .query_map(params![alarm, most], transition)?
        .collect()
}

/// `limit` of each alarm, oldest first.
fn latest_transitions<'a>(
    db: &Connection,
    alarms: impl Iterator<Item = &'a String>,
    limit: usize,
) -> rusqlite::Result<Vec<Transition>> {
    let mut select = db.prepare(
        "SELECT alarm, at, from_state, to_state, reason, reason_data, certainty
         FROM transition WHERE alarm = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for alarm in alarms {
        let rows = select.query_map(params![alarm, limit], transition)?;
        let latest = rows.collect::<rusqlite::Result<Vec<Transition>>>()?;
        all.extend(latest.into_iter().rev());
    }
    Ok(all)
}

fn transition(row: &SqlRow<'_>) -> rusqlite::Result<Transition> {
    Ok(Transition {
        alarm: row.get(0)?,
        at: Timestamp::from_milliseconds(row.get(1)?),
        from: row.get(2)?,
        to: row.get(3)?,
        reason: row.get(4)?,
        reason_data: row.get(5)?,
        certainty: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Dir, NOW, append, minutes};
    use super::*;

    #[test]
    fn history_is_read_without_sorting() {
        let dir = Dir::new();
        let journal = dir.open();
        let sql = format!("EXPLAIN QUERY PLAN {DATAPOINTS}");
        let mut explain = journal.connection.prepare(&sql).unwrap();
        let rows = explain.query_map([0, 0, 1], |row| row.get(3)).unwrap();
        let plan = rows.collect::<rusqlite::Result<Vec<String>>>().unwrap();
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE")),
            "{plan:?}"
        );
        assert_eq!(
            plan.iter()
                .filter(|step| step.contains("USING INDEX"))
                .count(),
            2,
            "{plan:?}"
        );
    }

    #[test]
    fn a_closed_journal_is_read_where_nothing_can_be_written() {
        let dir = Dir::new();
        let mut journal = dir.open();
        append(&mut journal, &minutes(NOW, 3), true).unwrap();
        journal.close().unwrap();
        let (connection, identity) = immutable(&dir.file()).unwrap();
        assert_eq!(
            identity,
            Identity::Journal {
                version: schema::VERSION
            }
        );
        let mut read = 0;
        let each = |_| {
            read += 1;
            true
        };
        datapoints(&connection, NOW, |_, _| true, each).unwrap();
        assert_eq!(read, 3);
    }
}

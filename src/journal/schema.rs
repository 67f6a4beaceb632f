//! The tables, the versions they came in, and how SQLite is set up.
//!
//! A datapoint's `state` is one of the constants below. What is below [`WAITING`] is history, the rest is the outbox, and each
//! half has an index of its own by start: sending, pruning and reading history in order never sort or skip.

use rusqlite::{Connection, Transaction};

/// A datapoint that is not to be published.
pub(super) const HISTORY: i64 = 0;
/// CloudWatch has it.
pub(super) const PUBLISHED: i64 = 1;
/// It was to be published, and never will be.
pub(super) const DROPPED: i64 = 2;
pub(super) const WAITING: i64 = 3;
pub(super) const IN_FLIGHT: i64 = 4;
/// It waits again: it was sent, and no answer told what became of it.
pub(super) const ANSWER_LOST: i64 = 5;
pub(super) const IN_FLIGHT_AGAIN: i64 = 6;

/// The most bytes that the -wal file keeps once a checkpoint has emptied it.
pub(super) const WAL_MAX: u64 = 4 << 20;

/// The value of `application_id` in a journal: `cwbr`.
const APPLICATION: i64 = 0x6377_6272;

/// Steps from each version to the next; the number of steps is the version that this program writes.
const MIGRATIONS: [fn(&Transaction<'_>) -> rusqlite::Result<()>; 4] =
    [begin, tell_completeness, keep_deliveries, keep_logs];

pub(super) const VERSION: i64 = MIGRATIONS.len().cast_signed() as i64;

/// What a file turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing is in it yet.
    Empty,
    Journal {
        version: i64,
    },
    /// A database of something else.
    Foreign,
}

pub(super) fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    let application = pragma(connection, "application_id")?;
    let version = pragma(connection, "user_version")?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, objects) {
        (0, 0, 0) => Identity::Empty,
        (APPLICATION, 1.., _) => Identity::Journal { version },
        _ => Identity::Foreign,
    })
}

pub(super) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// The first two take effect on an empty file only. Mapping the file would count as memory of the process, and turn errors of
/// the disk into signals.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size = 4096;
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -1024;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 512;
         PRAGMA journal_size_limit = {WAL_MAX};
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;"
    ))
}

/// Brings a file of `version` to this program's, each step in its own transaction.
pub(super) fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    for (next, step) in (1..).zip(MIGRATIONS) {
        if next > version {
            let transaction = connection.transaction()?;
            step(&transaction)?;
            transaction.pragma_update(None, "user_version", next)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

/// Ids are never used twice (`AUTOINCREMENT`): an answer that comes late must not meet another datapoint.
fn begin(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.execute_batch(
        "CREATE TABLE journal (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            begun INTEGER NOT NULL,
            clean INTEGER NOT NULL
         ) STRICT;
         CREATE TABLE metric (
            id INTEGER PRIMARY KEY,
            namespace TEXT NOT NULL,
            name TEXT NOT NULL,
            dimensions TEXT NOT NULL,
            unit TEXT NOT NULL,
            resolution INTEGER NOT NULL,
            used INTEGER NOT NULL,
            UNIQUE (namespace, name, dimensions, unit, resolution)
         ) STRICT;
         CREATE TABLE datapoint (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            start INTEGER NOT NULL,
            metric INTEGER NOT NULL,
            state INTEGER NOT NULL,
            content BLOB NOT NULL
         ) STRICT;
         CREATE INDEX history ON datapoint (start) WHERE state < 3;
         CREATE INDEX outbox ON datapoint (start) WHERE state >= 3;
         CREATE TABLE dropped (reason TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
         CREATE TABLE transition (
            id INTEGER PRIMARY KEY,
            alarm TEXT NOT NULL,
            at INTEGER NOT NULL,
            from_state TEXT NOT NULL,
            to_state TEXT NOT NULL,
            reason TEXT NOT NULL,
            reason_data TEXT,
            certainty TEXT NOT NULL
         ) STRICT;
         CREATE INDEX transition_of ON transition (alarm);
         CREATE TABLE snapshot (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            at INTEGER NOT NULL,
            pipeline TEXT NOT NULL
         ) STRICT;
         CREATE TABLE alarm (name TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;",
    )
}

/// Since when every datapoint is in the file. Of a file from before that is when it was begun: what was pruned since is too old
/// for any window.
fn tell_completeness(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE journal ADD COLUMN complete_since INTEGER NOT NULL DEFAULT 0;
         UPDATE journal SET complete_since = begun;",
    )
}

/// What is to be delivered to somebody, in texts that only the one who delivers can read.
fn keep_deliveries(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE delivery (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    )
}

/// What is to be written to CloudWatch Logs, and how far what is sent there of other places was read, in texts that only the one
/// who sends it can read.
fn keep_logs(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE log_event (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at INTEGER NOT NULL,
            message TEXT NOT NULL
         ) STRICT;
         CREATE TABLE log_position (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    )
}

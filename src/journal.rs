//! The journal: one SQLite file that is history, outbox and alarm log at once, so that nothing is lost whenever the daemon
//! ends. A closed datapoint is committed here before it is offered to CloudWatch, and it stays in the outbox until CloudWatch
//! has it.
//!
//! There is one writer, held to be the only one by a lock on a file beside the database; readers, also of other processes
//! ([`Reader`]), never wait for it nor make it wait. Everything here blocks on the disk: it belongs on a thread of its own.
//!
//! Every change is one transaction, and committed with `synchronous=FULL`: it survives not only the end of the process but
//! also a loss of power. There are some three commits a minute, so the price is nothing that can be measured, and what was
//! marked as in flight is known to be so after any accident.

mod content;
mod error;
mod history;
mod intern;
mod logs;
mod open;
mod outbox;
mod prune;
mod schema;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::metric::{Datapoint, Timestamp};

pub use error::{Cause, Error, OpenError, Result};
pub use history::Reader;
use intern::Metrics;
pub use logs::{LOG_EVENTS_MAX, LogEvent, LogProgress, POSITIONS_UNKNOWN, RECORD_POSITION};
pub use open::Note;
pub use outbox::{Batch, Id, OutOfRange, Outgoing, Waiting};
pub use prune::{Clock, Pruned};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_age: Duration,
    /// In bytes, of the database and what SQLite keeps beside it. Room that is reserved for the latter, 4 MiB, should be a
    /// small part of it.
    pub max_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(15 * 24),
            max_size: 512_000_000,
        }
    }
}

/// What one step brought, to be committed as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Append<'a> {
    pub datapoints: &'a [Recorded<'a>],
    pub transitions: &'a [Transition],
    /// What is to be delivered, by key; `None` for what is no more.
    pub deliveries: &'a [(String, Option<String>)],
    /// What is to be written to CloudWatch Logs, with its time.
    pub log_events: &'a [(Timestamp, String)],
    /// Takes the place of the one before.
    pub snapshot: Option<&'a Snapshot>,
    /// Datapoints up to here, some of them, were let go before they could be appended.
    pub forgotten_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub datapoint: &'a Datapoint,
    /// Whether it goes into the outbox; else it is history at once.
    pub publish: bool,
    /// Of the outbox: it was sent before, and no answer told what became of it.
    pub answer_lost: bool,
}

/// A change of an alarm's state, as it is shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub alarm: String,
    pub at: Timestamp,
    pub from: String,
    pub to: String,
    pub reason: String,
    /// JSON.
    pub reason_data: Option<String>,
    pub certainty: String,
}

/// What a pipeline needs to go on where it was, in texts that only it can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The instant that it stands for.
    pub at: Timestamp,
    pub pipeline: String,
    /// By the alarm's name; `None` where they are as they were.
    pub alarms: Option<BTreeMap<String, String>>,
}

impl Snapshot {
    /// This one, with the alarms of an older one if it has none of its own.
    #[must_use]
    pub fn or_alarms_of(self, older: Self) -> Self {
        Self {
            alarms: self.alarms.or(older.alarms),
            ..self
        }
    }
}

/// What a pipeline goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    pub snapshot: Snapshot,
    /// Since when every datapoint is in the journal: before, the file was not there yet, or it was pruned.
    pub complete_since: Timestamp,
    /// The latest of each alarm, oldest first.
    pub transitions: Vec<Transition>,
}

#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    metrics: Metrics,
    waiting: Waiting,
    limits: Limits,
    path: PathBuf,
    /// Events for CloudWatch Logs that had to go since this was asked for.
    log_events_lost: usize,
    /// When the file was begun, in milliseconds: tells its rows from those of a file that was set aside.
    begun: i64,
    /// The last to be dropped, when the database is closed.
    lock: File,
}

impl Journal {
    /// Opens the journal of a state directory, or begins one. What is no journal or a corrupt one is set aside, which the
    /// notes tell; what was in flight when the last owner ended waits again, as sent with its answer lost.
    pub fn open(
        dir: &Path,
        limits: Limits,
        now: Timestamp,
    ) -> std::result::Result<(Self, Vec<Note>), OpenError> {
        open::open(dir, limits, now)
    }

    /// Takes effect with the next [`Journal::prune`].
    #[cfg(test)]
    fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Commits everything that one step brought, or nothing.
    pub fn append(&mut self, append: Append<'_>) -> Result<()> {
        let lost = self.write(|write| {
            write.datapoints(append.datapoints)?;
            write.transitions(append.transitions)?;
            write.deliveries(append.deliveries)?;
            let lost = write.log_events(append.log_events)?;
            write.tell_completeness(append.forgotten_until)?;
            append
                .snapshot
                .map_or(Ok(()), |snapshot| write.snapshot(snapshot))?;
            Ok(lost)
        })?;
        self.log_events_lost += lost;
        Ok(())
    }

    /// Lets the file grow to so many pages, as a disk that is full or has room again does.
    #[cfg(test)]
    pub(crate) fn limit_pages(&mut self, pages: i64) {
        let limit = self.connection.pragma_update(None, "max_page_count", pages);
        limit.expect("a limit can be set");
    }

    /// Has the next call read everything from the disk.
    #[cfg(test)]
    pub(crate) fn forget_cache(&self) {
        let forgotten = self.connection.execute_batch("PRAGMA shrink_memory");
        forgotten.expect("memory can be given back");
    }

    /// The bytes that the journal takes on its disk now.
    pub fn size(&self) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        length(self.path.clone()) + length(open::beside(&self.path, "-wal"))
    }

    /// Leaves one file that is complete, and marked as such.
    pub fn close(mut self) -> Result<()> {
        self.write(|write| write.mark_clean(true))?;
        self.connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        open::forget_owner(&self.lock);
        self.connection.close().map_err(|(_, err)| err.into())
    }

    /// Does `work` as one transaction. After an error nothing of it is done, and the journal is as it was.
    fn write<T>(&mut self, work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let committed = self.try_write(work).map_err(Error::from);
        if let Err(err) = &committed {
            // It may know metrics whose rows were rolled back.
            self.metrics = Metrics::default();
            self.note_corruption(err);
        }
        committed
    }

    fn try_write<T>(
        &mut self,
        work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut write = Write {
            transaction,
            metrics: &mut self.metrics,
            begun: self.begun,
            waiting: self.waiting.count,
        };
        let done = work(&mut write)?;
        let waiting = outbox::waiting(&write.transaction, write.waiting)?;
        write.transaction.commit()?;
        self.waiting = waiting;
        Ok(done)
    }

    /// So that the next owner does not trust the file, whatever a quick check says.
    fn note_corruption(&self, err: &Error) {
        if matches!(err, Error::Corrupt(_)) {
            open::suspect(&self.lock);
        }
    }

    fn read<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        let read = result.map_err(Error::from);
        if let Err(err) = &read {
            self.note_corruption(err);
        }
        read
    }
}

/// A transaction, and what is known about the rows it works on.
#[derive(Debug)]
struct Write<'a> {
    transaction: Transaction<'a>,
    metrics: &'a mut Metrics,
    begun: i64,
    /// How many datapoints the outbox holds.
    waiting: usize,
}

impl Write<'_> {
    fn datapoints(&mut self, datapoints: &[Recorded<'_>]) -> rusqlite::Result<()> {
        let mut insert = self.transaction.prepare(
            "INSERT INTO datapoint (start, metric, state, content) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for Recorded {
            datapoint,
            publish,
            answer_lost,
        } in datapoints
        {
            let metric = self.metrics.id(&self.transaction, datapoint)?;
            let content = content::encode(&datapoint.statistics, datapoint.values.as_ref());
            let state = match (*publish, *answer_lost) {
                (true, true) => schema::ANSWER_LOST,
                (true, false) => schema::WAITING,
                (false, _) => schema::HISTORY,
            };
            insert.execute(params![
                datapoint.start.milliseconds(),
                metric,
                state,
                content
            ])?;
            self.waiting += usize::from(*publish);
        }
        Ok(())
    }

    fn transitions(&self, transitions: &[Transition]) -> rusqlite::Result<()> {
        let mut insert = self.transaction.prepare(
            "INSERT INTO transition (alarm, at, from_state, to_state, reason, reason_data, certainty)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for transition in transitions {
            insert.execute(params![
                transition.alarm,
                transition.at.milliseconds(),
                transition.from,
                transition.to,
                transition.reason,
                transition.reason_data,
                transition.certainty,
            ])?;
        }
        Ok(())
    }

    fn deliveries(&self, deliveries: &[(String, Option<String>)]) -> rusqlite::Result<()> {
        let db = &self.transaction;
        let mut upsert =
            db.prepare("INSERT OR REPLACE INTO delivery (key, text) VALUES (?1, ?2)")?;
        let mut delete = db.prepare("DELETE FROM delivery WHERE key = ?1")?;
        for (key, text) in deliveries {
            match text {
                Some(text) => upsert.execute([key, text])?,
                None => delete.execute([key])?,
            };
        }
        Ok(())
    }

    /// Writes only the texts that changed: most of many alarms say the same as a minute ago.
    fn snapshot(&self, snapshot: &Snapshot) -> rusqlite::Result<()> {
        let db = &self.transaction;
        db.execute(
            "INSERT OR REPLACE INTO snapshot (only, at, pipeline) VALUES (1, ?1, ?2)",
            params![snapshot.at.milliseconds(), snapshot.pipeline],
        )?;
        let Some(alarms) = &snapshot.alarms else {
            return Ok(());
        };
        let mut names = db.prepare("SELECT name FROM alarm")?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        let mut gone = names.collect::<rusqlite::Result<Vec<String>>>()?;
        gone.retain(|name| !alarms.contains_key(name));
        let mut delete = db.prepare("DELETE FROM alarm WHERE name = ?1")?;
        for name in gone {
            delete.execute([name])?;
        }
        let mut upsert = db.prepare(
            "INSERT INTO alarm (name, snapshot) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET snapshot = excluded.snapshot WHERE snapshot <> excluded.snapshot",
        )?;
        for (name, text) in alarms {
            upsert.execute([name, text])?;
        }
        Ok(())
    }

    fn mark_clean(&self, clean: bool) -> rusqlite::Result<()> {
        self.transaction
            .execute("UPDATE journal SET clean = ?1", [clean])
            .map(drop)
    }
}

#[cfg(test)]
mod tests;

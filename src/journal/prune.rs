//! Keeping the journal within its limits, a little at a time.
//!
//! Room is made oldest first, from history as long as there is any, then from transitions, then from the events for CloudWatch
//! Logs, then from the outbox. Transitions also go with the history of their time, so that many of them do not crowd out the
//! datapoints. The alarms' snapshot and the metrics that are in use stay. What is free in the file is used again, and given back to
//! the disk once it is much.

use rusqlite::Connection;

use super::intern::{Metrics, USED_LAG_MAX};
use super::logs::under_way;
use super::schema::{ANSWER_LOST, WAITING, WAL_MAX, pragma};
use super::{Journal, Limits, Result, Write};
use crate::metric::{AGE_MAX, Timestamp};

/// What one call does at most: so many rows at a time, so many times; and so many pages given back to the disk.
const ROWS_MAX: i64 = 256;
const ROUNDS_MAX: usize = 16;
const PAGES_GIVEN_BACK_MAX: i64 = 1_024;

/// The most free pages that the file keeps for what comes.
const PAGES_FREE_MAX: i64 = 1_024;

/// Whether the time that a call is given can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Right,
    /// It goes on, and that is all that is known: history may go for its age, what waits to be sent may not.
    Steady,
    Unknown,
}

/// What a call removed, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// History: what was published, dropped, or never to be published.
    pub published: usize,
    /// What CloudWatch will never get; counted as dropped for the reason `pruned`.
    pub unpublished: usize,
    pub transitions: usize,
    /// Events that CloudWatch Logs will never get: for want of room, and because it does not take what is so old.
    pub log_events: usize,
    pub old_log_events: usize,
    /// The start of the newest datapoint removed.
    pub until: Option<Timestamp>,
    /// The limits are not kept yet: the call wants to be repeated.
    pub more: bool,
}

/// Datapoints, and the start of the newest of them.
#[derive(Clone, Copy, Debug, Default)]
struct Removed {
    count: usize,
    until: Option<Timestamp>,
}

impl Pruned {
    /// Counts what one round removed. Returns whether that was anything.
    fn add(&mut self, published: Removed, unpublished: Removed, transitions: usize) -> bool {
        self.published += published.count;
        self.unpublished += unpublished.count;
        self.transitions += transitions;
        self.until = self.until.max(published.until).max(unpublished.until);
        published.count + unpublished.count + transitions > 0
    }
}

impl Limits {
    fn max_age(&self) -> i64 {
        i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX)
    }

    /// What the database itself may take, in pages.
    fn max_pages(&self, page: i64) -> i64 {
        let bytes = self.max_size.saturating_sub(WAL_MAX).max(self.max_size / 2);
        i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1)
    }
}

impl Journal {
    /// Removes what is beyond the limits; to be called after every append. It is cheap when there is nothing to do, and does
    /// a bounded amount of work otherwise. Nothing goes for its age by a clock that may be wrong.
    pub fn prune(&mut self, now: Timestamp, clock: Clock) -> Result<Pruned> {
        let limits = self.limits;
        let pruned = self.write(|write| {
            let mut pruned = Pruned::default();
            write.prune_by_age(now, clock, &limits, &mut pruned)?;
            write.prune_by_size(&limits, &mut pruned)?;
            write.count_dropped("pruned", pruned.unpublished)?;
            write.waiting = write.waiting.saturating_sub(pruned.unpublished);
            write.tell_completeness(pruned.until)?;
            if pruned.published + pruned.unpublished > 0 {
                write.prune_metrics()?;
            }
            let given_back = give_back(&write.transaction, &limits)?;
            pruned.more |= given_back == PAGES_GIVEN_BACK_MAX;
            Ok((pruned, given_back))
        });
        let (pruned, given_back) = pruned?;
        if given_back > 0 {
            // The file itself becomes shorter only with a checkpoint, which does what readers allow.
            let checkpoint = self
                .connection
                .execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
            self.read(checkpoint)?;
        }
        Ok(pruned)
    }
}

impl Journal {
    /// Makes room in a file that cannot grow, by removing some of the oldest history. Returns whether there was any.
    pub fn give_up_history(&mut self) -> Result<bool> {
        self.write(|write| {
            let mut until = None;
            for _ in 0..ROUNDS_MAX {
                until = delete_history(&write.transaction, i64::MAX)?
                    .until
                    .max(until);
            }
            write.tell_completeness(until)?;
            Ok(until.is_some())
        })
    }
}

impl Write<'_> {
    /// What CloudWatch would still take is kept, however short the limit.
    fn prune_by_age(
        &self,
        now: Timestamp,
        clock: Clock,
        limits: &Limits,
        pruned: &mut Pruned,
    ) -> rusqlite::Result<()> {
        if clock == Clock::Unknown {
            return Ok(());
        }
        let db = &self.transaction;
        let before = (now - limits.max_age()).milliseconds();
        let not_taken = (now - limits.max_age().max(AGE_MAX)).milliseconds();
        // CloudWatch Logs takes what is as old as CloudWatch takes.
        let not_logged = (now - AGE_MAX).milliseconds();
        for _ in 0..ROUNDS_MAX {
            let published = delete_history(db, before)?;
            let unpublished = match clock {
                Clock::Right => delete_outbox(db, not_taken)?,
                _ => Removed::default(),
            };
            let transitions = delete_transitions(db, before)?;
            let log_events = match clock {
                Clock::Right => delete_log_events(db, not_logged)?,
                _ => 0,
            };
            pruned.old_log_events += log_events;
            if !pruned.add(published, unpublished, transitions) && log_events == 0 {
                return Ok(());
            }
        }
        pruned.more = true;
        Ok(())
    }

    fn prune_by_size(&self, limits: &Limits, pruned: &mut Pruned) -> rusqlite::Result<()> {
        let db = &self.transaction;
        let max = limits.max_pages(pragma(db, "page_size")?);
        for _ in 0..ROUNDS_MAX {
            if pragma(db, "page_count")? - pragma(db, "freelist_count")? <= max {
                return Ok(());
            }
            let published = delete_history(db, i64::MAX)?;
            let until = published.until.map_or(i64::MAX, Timestamp::milliseconds);
            let transitions = delete_transitions(db, until)?;
            let log_events = match published.count + transitions {
                0 => delete_log_events(db, i64::MAX)?,
                _ => 0,
            };
            pruned.log_events += log_events;
            let unpublished = match published.count + transitions + log_events {
                0 => delete_outbox(db, i64::MAX)?,
                _ => Removed::default(),
            };
            if !pruned.add(published, unpublished, transitions) && log_events == 0 {
                return Ok(());
            }
        }
        pruned.more = true;
        Ok(())
    }

    /// Datapoints up to `until` were removed.
    pub(super) fn tell_completeness(&self, until: Option<Timestamp>) -> rusqlite::Result<()> {
        let Some(until) = until else {
            return Ok(());
        };
        self.transaction
            .execute(
                "UPDATE journal SET complete_since = max(complete_since, ?1)",
                [until.milliseconds().saturating_add(1)],
            )
            .map(drop)
    }

    /// Removes metrics that no datapoint is left of: those last used before the oldest datapoint.
    fn prune_metrics(&mut self) -> rusqlite::Result<()> {
        let oldest: Option<i64> = self
            .transaction
            .query_row(
                "SELECT min(start) FROM (
                    SELECT * FROM (SELECT start FROM datapoint INDEXED BY history WHERE state < 3 ORDER BY start LIMIT 1)
                    UNION ALL
                    SELECT * FROM (SELECT start FROM datapoint INDEXED BY outbox WHERE state >= 3 ORDER BY start LIMIT 1))",
                [],
                |row| row.get(0),
            )?;
        let Some(oldest) = oldest else {
            return Ok(());
        };
        let removed = self.transaction.execute(
            "DELETE FROM metric WHERE used < ?1",
            [oldest.saturating_sub(USED_LAG_MAX)],
        )?;
        if removed > 0 {
            *self.metrics = Metrics::default();
        }
        Ok(())
    }
}

/// Removes some of the oldest history that starts before an instant.
fn delete_history(db: &Connection, before: i64) -> rusqlite::Result<Removed> {
    delete(
        db,
        "SELECT id, start FROM datapoint INDEXED BY history WHERE state < 3 AND start < ?1 ORDER BY start LIMIT ?2",
        before,
    )
}

/// As before, from the outbox. What is in flight is left until it is known what became of it.
fn delete_outbox(db: &Connection, before: i64) -> rusqlite::Result<Removed> {
    delete(
        db,
        &format!(
            "SELECT id, start FROM datapoint INDEXED BY outbox
             WHERE state >= 3 AND start < ?1 AND state IN ({WAITING}, {ANSWER_LOST}) ORDER BY start LIMIT ?2"
        ),
        before,
    )
}

fn delete(db: &Connection, which: &str, before: i64) -> rusqlite::Result<Removed> {
    let until: Option<i64> = db.query_row(
        &format!("SELECT max(start) FROM ({which})"),
        [before, ROWS_MAX],
        |row| row.get(0),
    )?;
    let count = db.execute(
        &format!("DELETE FROM datapoint WHERE id IN (SELECT id FROM ({which}))"),
        [before, ROWS_MAX],
    )?;
    Ok(Removed {
        count,
        until: until.map(Timestamp::from_milliseconds),
    })
}

/// Removes some of the first transitions that were recorded, as far as they are of before an instant.
fn delete_transitions(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM transition WHERE id IN (
            SELECT id FROM (SELECT id, at FROM transition ORDER BY id LIMIT ?2) WHERE at < ?1)",
        [before, ROWS_MAX],
    )
}

/// The same of events for CloudWatch Logs. What is under way is left until it is known what became of it.
fn delete_log_events(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.execute(
        "DELETE FROM log_event WHERE id IN (
            SELECT id FROM (SELECT id, at FROM log_event WHERE id > ?3 ORDER BY id LIMIT ?2) WHERE at < ?1)",
        [before, ROWS_MAX, under_way(db)?],
    )
}

/// Shortens the file if it is too large or much of it is free. Returns by how many pages.
fn give_back(db: &Connection, limits: &Limits) -> rusqlite::Result<i64> {
    let free = pragma(db, "freelist_count")?;
    let too_many = pragma(db, "page_count")? - limits.max_pages(pragma(db, "page_size")?);
    let pages = (free - PAGES_FREE_MAX)
        .max(too_many)
        .clamp(0, free.min(PAGES_GIVEN_BACK_MAX));
    if pages > 0 {
        // Each step of the statement gives back one page.
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(pages)
}

#[cfg(test)]
mod tests;

//! The outbox: the datapoints that CloudWatch does not have yet, in the order in which they are sent.

use rusqlite::{Connection, OptionalExtension, params};

use super::intern::Row;
use super::schema::{ANSWER_LOST, DROPPED, IN_FLIGHT, IN_FLIGHT_AGAIN, PUBLISHED, WAITING};
use super::{Journal, Result, Write};
use crate::metric::{AGE_MAX, AHEAD_MAX, Datapoint, Timestamp};

/// How many datapoints are dropped in one transaction.
const DROPPED_AT_ONCE_MAX: i64 = 1_000;

/// A datapoint in the outbox. It stays good for the same file, also when that is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    journal: i64,
    row: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub id: Id,
    pub datapoint: Datapoint,
    /// It was sent before, and no answer told what became of it.
    pub answer_lost: bool,
}

/// What one request can carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub outgoing: Vec<Outgoing>,
    /// How many datapoints on the way to these could not be read; they were dropped as `unreadable`.
    pub unreadable: usize,
}

/// What CloudWatch does not have yet, whether it waits or is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: usize,
    /// The starts of the first and of the last of them.
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
}

/// How many datapoints were dropped because CloudWatch would not take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutOfRange {
    pub too_old: usize,
    pub too_far_ahead: usize,
}

impl Journal {
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// What waits and one request can carry of what starts `within` two instants: first what starts at `newest` or later, then
    /// the rest from the oldest on. A datapoint that is too large for any request is given by itself, for CloudWatch to
    /// refuse.
    pub fn next_batch(
        &mut self,
        newest: Timestamp,
        within: (Timestamp, Timestamp),
        max_datums: usize,
        max_bytes: usize,
    ) -> Result<Batch> {
        let mut batch = Batch::default();
        loop {
            let read = self.read_batch(newest, within, max_datums, max_bytes);
            let (outgoing, unreadable) = self.read(read)?;
            batch.unreadable += self.dropped(&unreadable, "unreadable")?;
            batch.outgoing = outgoing;
            if !batch.outgoing.is_empty() || unreadable.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// To be called before they are sent: what is in flight is not given again, and counts as sent if no answer comes.
    pub fn mark_in_flight(&mut self, ids: &[Id]) -> Result<usize> {
        self.write(|write| {
            let marked = write.set(ids, IN_FLIGHT, &[WAITING])?;
            Ok(marked + write.set(ids, IN_FLIGHT_AGAIN, &[ANSWER_LOST])?)
        })
    }

    /// CloudWatch has them. Returns how many of them were still in the outbox, as the following do.
    pub fn accepted(&mut self, ids: &[Id]) -> Result<usize> {
        self.write(|write| write.settle(ids, PUBLISHED))
    }

    /// They were sent, and nobody knows what became of them: they wait again.
    pub fn answer_lost(&mut self, ids: &[Id]) -> Result<usize> {
        self.write(|write| write.set(ids, ANSWER_LOST, &[IN_FLIGHT, IN_FLIGHT_AGAIN]))
    }

    /// They certainly did not arrive: they wait again, as they did before.
    pub fn not_sent(&mut self, ids: &[Id]) -> Result<usize> {
        self.write(|write| {
            let marked = write.set(ids, WAITING, &[IN_FLIGHT])?;
            Ok(marked + write.set(ids, ANSWER_LOST, &[IN_FLIGHT_AGAIN])?)
        })
    }

    /// They are history from now on, and counted under `reason`.
    pub fn dropped(&mut self, ids: &[Id], reason: &str) -> Result<usize> {
        if ids.is_empty() {
            return Ok(0);
        }
        self.write(|write| {
            let dropped = write.settle(ids, DROPPED)?;
            write.count_dropped(reason, dropped)?;
            Ok(dropped)
        })
    }

    /// Drops what CloudWatch would not take for its age, unless it is in flight. After a long absence that can be much: it is
    /// done in pieces, and what was done before an error stays done.
    pub fn drop_too_old(&mut self, now: Timestamp) -> Result<OutOfRange> {
        let oldest = (now - AGE_MAX).milliseconds();
        let newest = (now + AHEAD_MAX).milliseconds();
        Ok(OutOfRange {
            too_old: self.drop_beyond("start < ?2", oldest, "too_old")?,
            too_far_ahead: self.drop_beyond("start > ?2", newest, "too_far_ahead")?,
        })
    }

    fn drop_beyond(&mut self, condition: &str, bound: i64, reason: &str) -> Result<usize> {
        let update = format!(
            "UPDATE datapoint SET state = {DROPPED} WHERE id IN (
                SELECT id FROM datapoint INDEXED BY outbox
                WHERE state >= 3 AND {condition} AND state IN ({WAITING}, {ANSWER_LOST}) LIMIT ?1)"
        );
        let mut all = 0;
        let outside = |edge: Option<Timestamp>| {
            edge.is_some_and(|edge| match reason {
                "too_old" => edge.milliseconds() < bound,
                _ => edge.milliseconds() > bound,
            })
        };
        // Known without asking the disk, in almost every call.
        while outside(self.waiting.oldest) || outside(self.waiting.newest) {
            let dropped = self.write(|write| {
                let dropped = write
                    .transaction
                    .execute(&update, params![DROPPED_AT_ONCE_MAX, bound])?;
                write.waiting = write.waiting.saturating_sub(dropped);
                write.count_dropped(reason, dropped)?;
                Ok(dropped)
            })?;
            all += dropped;
            if dropped == 0 {
                break;
            }
        }
        Ok(all)
    }

    /// A batch, and the rows on the way to it that cannot be read.
    fn read_batch(
        &mut self,
        newest: Timestamp,
        within: (Timestamp, Timestamp),
        max_datums: usize,
        max_bytes: usize,
    ) -> rusqlite::Result<(Vec<Outgoing>, Vec<Id>)> {
        let (mut outgoing, mut unreadable, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (newest, oldest, latest) = (
            newest.milliseconds(),
            within.0.milliseconds(),
            within.1.milliseconds(),
        );
        for (from, to) in [
            (newest.max(oldest), latest),
            (oldest, latest.min(newest.saturating_sub(1))),
        ] {
            let mut select = self.connection.prepare(&format!(
                "SELECT id, start, metric, state, content FROM datapoint INDEXED BY outbox
                 WHERE state >= 3 AND start BETWEEN ?1 AND ?2 AND state IN ({WAITING}, {ANSWER_LOST})
                 ORDER BY start, id LIMIT ?3"
            ))?;
            let room = i64::try_from(max_datums - outgoing.len()).unwrap_or(i64::MAX);
            let mut rows = select.query(params![from, to, room])?;
            while let Some(row) = rows.next()? {
                let row = Row::read(row)?;
                let id = Id {
                    journal: self.begun,
                    row: row.id,
                };
                let Ok(datapoint) = self.metrics.datapoint(&self.connection, &row)? else {
                    unreadable.push(id);
                    continue;
                };
                bytes += datapoint.request_size();
                if bytes > max_bytes && !outgoing.is_empty() {
                    return Ok((outgoing, unreadable));
                }
                outgoing.push(Outgoing {
                    id,
                    datapoint,
                    answer_lost: row.state == ANSWER_LOST,
                });
            }
        }
        Ok((outgoing, unreadable))
    }
}

impl Write<'_> {
    /// Gives `state` to those that are in one of the states `from`.
    fn set(&self, ids: &[Id], state: i64, from: &[i64]) -> rusqlite::Result<usize> {
        let from: Vec<String> = from.iter().map(i64::to_string).collect();
        let mut update = self.transaction.prepare(&format!(
            "UPDATE datapoint SET state = {state} WHERE id = ?1 AND state IN ({})",
            from.join(", ")
        ))?;
        ids.iter()
            .filter(|id| id.journal == self.begun)
            .map(|id| update.execute([id.row]))
            .sum()
    }

    fn settle(&mut self, ids: &[Id], state: i64) -> rusqlite::Result<usize> {
        let from = [WAITING, IN_FLIGHT, ANSWER_LOST, IN_FLIGHT_AGAIN];
        let settled = self.set(ids, state, &from)?;
        self.waiting = self.waiting.saturating_sub(settled);
        Ok(settled)
    }

    pub(super) fn count_dropped(&self, reason: &str, count: usize) -> rusqlite::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let insert = "INSERT INTO dropped (reason, count) VALUES (?1, ?2)
                      ON CONFLICT DO UPDATE SET count = count + excluded.count";
        self.transaction
            .execute(insert, params![reason, count.cast_signed()])
            .map(drop)
    }
}

/// `count`, with the ends of the outbox.
pub(super) fn waiting(db: &Connection, count: usize) -> rusqlite::Result<Waiting> {
    let end = |order: &str| -> rusqlite::Result<Option<Timestamp>> {
        let sql = format!(
            "SELECT start FROM datapoint INDEXED BY outbox WHERE state >= 3 ORDER BY start {order} LIMIT 1"
        );
        let start = db.query_row(&sql, [], |row| row.get(0)).optional()?;
        Ok(start.map(Timestamp::from_milliseconds))
    };
    Ok(Waiting {
        count,
        oldest: end("ASC")?,
        newest: end("DESC")?,
    })
}

/// What was in flight when the last owner ended waits again. Returns how many datapoints those are.
pub(super) fn lose_answers(db: &Connection) -> rusqlite::Result<usize> {
    let update = format!(
        "UPDATE datapoint SET state = {ANSWER_LOST} WHERE id IN (
            SELECT id FROM datapoint INDEXED BY outbox WHERE state >= 3 AND state IN ({IN_FLIGHT}, {IN_FLIGHT_AGAIN}))"
    );
    db.execute(&update, [])
}

pub(super) fn count(db: &Connection) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM datapoint INDEXED BY outbox WHERE state >= 3";
    let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests;

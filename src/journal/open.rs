//! From a directory to a journal: one owner, one file that can be trusted.
//!
//! Whether a file is sound is asked only if the last owner did not close it, and only of a small file, for that reads all of
//! it: SQLite's own recovery is what makes it good again after an accident. That it is shorter than it should be is seen in
//! any case. Damage that is met later is an [`Error::Corrupt`], and leaves a word in the lock file: then the next owner sets
//! the file aside without asking.

mod salvage;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, process};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::intern::Metrics;
use super::schema::{self, Identity};
use super::{Error, Journal, Limits, OpenError, outbox};
use crate::metric::Timestamp;
use salvage::salvage;

pub(super) const FILE: &str = "journal.sqlite3";
const LOCK_FILE: &str = "journal.lock";

/// The word in the lock file that says not to trust the journal.
const SUSPECT: &str = "suspect";

/// The most files that are kept after they were set aside; beyond it the oldest go, else a bad disk would fill up with them.
const SET_ASIDE_MAX: usize = 3;

/// The largest file that is checked after an unclean end, in bytes. Without anything of it in memory a half gigabyte took
/// seven seconds to check, this takes less than one.
const CHECKED_MAX: i64 = 64 << 20;

/// How long to wait for other processes: only one that writes where it should not can take long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Something about an opened journal that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What was there could not be used; it is now at `path`, and a new journal was begun.
    /// So many datapoints that waited in it could be taken over; whether that could be done with all of the rest is told, too.
    SetAside {
        path: PathBuf,
        found: String,
        saved: usize,
        is_whole: bool,
    },
    /// So many datapoints were in flight when the last owner ended; they will be sent again.
    AnswersLost(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside {
                path,
                found,
                saved,
                is_whole,
            } => {
                write!(
                    f,
                    "the journal could not be used ({found}) and was set aside as `{}`; a new one was begun, with {saved} datapoints that waited in it",
                    path.display()
                )?;
                match is_whole {
                    true => Ok(()),
                    false => f.write_str(
                        "; notifications and events for CloudWatch Logs that waited could not all be read",
                    ),
                }
            }
            Self::AnswersLost(count) => write!(
                f,
                "{count} datapoints were being sent when the daemon ended; they are sent again"
            ),
        }
    }
}

/// What keeps a file from being used.
enum Refusal {
    Newer(i64),
    /// It will not get better.
    Broken(String),
    Failed(Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(err: rusqlite::Error) -> Self {
        match Error::from(err) {
            Error::Corrupt(err) => Self::Broken(err.to_string()),
            // The statements are right and so is what they ask for: it is the tables that are not.
            Error::Other(err)
                if matches!(err.sqlite_error_code(), None | Some(ErrorCode::Unknown)) =>
            {
                Self::Broken(err.to_string())
            }
            err => Self::Failed(err),
        }
    }
}

/// A file that is ready to be written.
struct Ready {
    connection: Connection,
    begun: i64,
    waiting: outbox::Waiting,
    answers_lost: usize,
}

pub(super) fn open(
    dir: &Path,
    limits: Limits,
    now: Timestamp,
) -> Result<(Journal, Vec<Note>), OpenError> {
    let failed = |err| OpenError::io(dir, err);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let (lock, suspect) = lock(dir)?;
    let (path, mut notes) = (dir.join(FILE), Vec::new());
    let ready = match suspect && path.exists() {
        true => Err(Refusal::Broken(
            "it failed as corrupt when last used".into(),
        )),
        false => ready(&path, now),
    };
    let ready = match ready {
        Err(Refusal::Broken(found)) => {
            let aside = set_aside(dir, now).map_err(failed)?;
            notes.push(Note::SetAside {
                path: aside,
                found,
                saved: 0,
                is_whole: false,
            });
            self::ready(&path, now)
        }
        ready => ready,
    };
    let ready = ready.map_err(|refusal| refused(dir, refusal))?;
    if ready.answers_lost > 0 {
        notes.push(Note::AnswersLost(ready.answers_lost));
    }
    if suspect {
        own(&lock, false);
    }
    let mut journal = Journal {
        connection: ready.connection,
        metrics: Metrics::default(),
        waiting: ready.waiting,
        limits,
        path,
        log_events_lost: 0,
        begun: ready.begun,
        lock,
    };
    for note in &mut notes {
        if let Note::SetAside {
            path,
            saved,
            is_whole,
            ..
        } = note
        {
            (*saved, *is_whole) = salvage(path, &mut journal, now);
        }
    }
    Ok((journal, notes))
}

/// The path of what SQLite keeps beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Leaves word for the next owner not to trust the file.
pub(super) fn suspect(lock: &File) {
    own(lock, true);
}

pub(super) fn forget_owner(lock: &File) {
    drop(rewrite(lock, ""));
}

/// Writes this process into the lock file. On a full disk it does not: then others are told less, and a check of the file has
/// to find out what is wrong with it.
fn own(lock: &File, suspect: bool) {
    let word = if suspect { SUSPECT } else { "" };
    drop(rewrite(lock, &format!("{}\n{word}\n", process::id())));
}

fn rewrite(mut lock: &File, text: &str) -> io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(text.as_bytes())
}

/// How long it is waited for a lock that somebody has for a moment.
const LOCK_ATTEMPTS_MAX: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The lock on a directory, which ends with the process however that ends, and whether the journal is suspect.
fn lock(dir: &Path) -> Result<(File, bool), OpenError> {
    let failed = |err| OpenError::io(dir, err);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK_FILE))
        .map_err(failed)?;
    let mut locked = file.try_lock();
    // A program that is just being started has it too, until it is.
    for _ in 0..LOCK_ATTEMPTS_MAX {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the journal has a thread of its own"
        )]
        std::thread::sleep(LOCK_PAUSE);
        locked = file.try_lock();
    }
    let mut text = String::new();
    // What is no text says nothing.
    drop(file.read_to_string(&mut text));
    let mut lines = text.lines();
    match locked {
        Ok(()) => {
            let suspect = lines.any(|line| line == SUSPECT);
            own(&file, suspect);
            Ok((file, suspect))
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            dir: dir.to_owned(),
            pid: lines.next().and_then(|pid| pid.parse().ok()),
        }),
        Err(TryLockError::Error(err)) => Err(failed(err)),
    }
}

fn ready(path: &Path, now: Timestamp) -> Result<Ready, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // What turns out to be of no use stays as it is, also when it is closed.
    let untouched = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(untouched, true)?;
    let version = match schema::identity(&connection)? {
        Identity::Empty => 0,
        Identity::Journal { version } if version <= schema::VERSION => version,
        Identity::Journal { version } => return Err(Refusal::Newer(version)),
        Identity::Foreign => return Err(Refusal::Broken("it is no journal".into())),
    };
    schema::set_up(&connection)?;
    if version > 0 && !is_clean(&connection)? {
        check(&connection)?;
    }
    schema::migrate(&mut connection, version)?;

    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT INTO journal (only, begun, clean, complete_since) VALUES (1, ?1, 0, ?1)
         ON CONFLICT DO UPDATE SET clean = 0, complete_since = min(complete_since, ?1)",
        params![now.milliseconds()],
    )?;
    let begun = transaction.query_row("SELECT begun FROM journal", [], |row| row.get(0))?;
    let answers_lost = outbox::lose_answers(&transaction)?;
    let waiting = outbox::waiting(&transaction, outbox::count(&transaction)?)?;
    transaction.commit()?;
    connection.set_db_config(untouched, false)?;
    Ok(Ready {
        connection,
        begun,
        waiting,
        answers_lost,
    })
}

fn is_clean(connection: &Connection) -> rusqlite::Result<bool> {
    let clean = connection.query_row("SELECT clean FROM journal", [], |row| row.get(0));
    Ok(clean.optional()?.unwrap_or(false))
}

fn check(connection: &Connection) -> Result<(), Refusal> {
    let page = schema::pragma(connection, "page_size")?;
    if schema::pragma(connection, "page_count")?.saturating_mul(page) > CHECKED_MAX {
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(Refusal::Broken(found.replace('\n', " "))),
    }
}

fn refused(dir: &Path, refusal: Refusal) -> OpenError {
    match refusal {
        Refusal::Newer(version) => OpenError::Newer {
            path: dir.join(FILE),
            version,
            known: schema::VERSION,
        },
        Refusal::Broken(found) => OpenError::Other {
            dir: dir.to_owned(),
            source: found.into(),
        },
        Refusal::Failed(err) => OpenError::database(dir, err),
    }
}

/// Renames the database and what is beside it. The database goes last: a -wal file without its database would be taken for
/// part of the next one.
fn set_aside(dir: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let path = dir.join(FILE);
    let stamp = now.to_string().replace([':', '-'], "");
    let name = |number: usize| match number {
        1 => format!("{FILE}.corrupt-{stamp}"),
        _ => format!("{FILE}.corrupt-{stamp}.{number}"),
    };
    let aside = (1..1_000)
        .map(|number| dir.join(name(number)))
        .find(|aside| !aside.exists())
        .ok_or(io::ErrorKind::AlreadyExists)?;
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(beside(&path, suffix), beside(&aside, suffix)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
    }
    remove_oldest_aside(dir)?;
    Ok(aside)
}

fn remove_oldest_aside(dir: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    names.retain(|name| {
        name.starts_with(&format!("{FILE}.corrupt-"))
            && !name.ends_with("-wal")
            && !name.ends_with("-shm")
    });
    names.sort();
    let surplus = names.len().saturating_sub(SET_ASIDE_MAX);
    for name in &names[..surplus] {
        for suffix in ["-wal", "-shm", ""] {
            drop(fs::remove_file(beside(&dir.join(name), suffix)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

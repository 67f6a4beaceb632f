//! What can go wrong with the journal, told apart by what its owner can do about it.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on an open journal failed. Nothing of it was written: every operation is one transaction. It may be tried
/// again on the same journal, save after [`Error::Corrupt`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no room for the journal; free space on its disk")]
    Full(#[source] rusqlite::Error),
    #[error(
        "the journal cannot be written; check its permissions and whether its disk is mounted read-only"
    )]
    ReadOnly(#[source] rusqlite::Error),
    /// The journal has to be dropped and opened again, which sets the bad file aside.
    #[error("the journal is corrupt; it is set aside when it is opened again")]
    Corrupt(#[source] rusqlite::Error),
    #[error("another process holds the journal's lock for too long")]
    Busy(#[source] rusqlite::Error),
    #[error("the journal failed")]
    Other(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(err: rusqlite::Error) -> Self {
        let Some(sqlite) = err.sqlite_error() else {
            return match err {
                // What was written here can be read, unless it was changed since.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => Self::Corrupt(err),
                err => Self::Other(err),
            };
        };
        match sqlite.code {
            ErrorCode::DiskFull => Self::Full(err),
            // The shared index of the -wal file could not grow, which fails in this way on a full disk.
            ErrorCode::SystemIoFailure if sqlite.extended_code == SQLITE_IOERR_SHMSIZE => {
                Self::Full(err)
            }
            ErrorCode::ReadOnly => Self::ReadOnly(err),
            // Nothing that is written here goes against a constraint of sound tables.
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => Self::Corrupt(err),
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed => Self::Busy(err),
            _ => Self::Other(err),
        }
    }
}

/// Why there is no journal to be had. All but [`OpenError::InUse`], [`OpenError::Newer`] and [`OpenError::Missing`] may pass by
/// themselves: a daemon goes on in memory and tries again later.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the state directory `{dir}` is in use by another daemon{}; stop it or choose another directory", process(*pid))]
    InUse { dir: PathBuf, pid: Option<u32> },
    #[error(
        "the journal `{path}` is of version {version} but this program knows versions up to {known}; use the newer program or another directory"
    )]
    Newer {
        path: PathBuf,
        version: i64,
        known: i64,
    },
    #[error("there is no journal in `{dir}`; a daemon that keeps its state there begins one")]
    Missing { dir: PathBuf },
    #[error("there is no room for the journal in `{dir}`; free space on its disk")]
    Full { dir: PathBuf, source: Cause },
    #[error("the journal in `{dir}` cannot be written: the disk or the file is read-only")]
    ReadOnly { dir: PathBuf, source: Cause },
    #[error(
        "the journal in `{dir}` cannot be opened; check the owner and the permissions of the directory and its files"
    )]
    Denied { dir: PathBuf, source: Cause },
    #[error("the journal in `{dir}` cannot be used")]
    Other { dir: PathBuf, source: Cause },
}

/// What the operating system or SQLite said.
pub type Cause = Box<dyn StdError + Send + Sync>;

impl OpenError {
    pub(super) fn io(dir: &Path, err: io::Error) -> Self {
        let (dir, kind) = (dir.to_owned(), err.kind());
        let source = err.into();
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { dir, source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { dir, source },
            io::ErrorKind::PermissionDenied => Self::Denied { dir, source },
            _ => Self::Other { dir, source },
        }
    }

    pub(super) fn database(dir: &Path, err: Error) -> Self {
        let dir = dir.to_owned();
        match err {
            Error::Full(err) => Self::Full {
                dir,
                source: err.into(),
            },
            Error::ReadOnly(err) => Self::ReadOnly {
                dir,
                source: err.into(),
            },
            Error::Other(err)
                if matches!(
                    err.sqlite_error_code(),
                    Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
                ) =>
            {
                Self::Denied {
                    dir,
                    source: err.into(),
                }
            }
            err => Self::Other {
                dir,
                source: err.into(),
            },
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

//! Who may read what is served: the web-config file of the exporter-toolkit, with TLS, passwords, headers and a limit on
//! requests (`docs/web-configuration.md` of that project).
//!
//! The file and those it names are looked at again before a request, at most once a second, so that a renewed certificate or a
//! changed password needs no reload. While they cannot be read, or say something wrong, what they said before stays in force.

mod file;
mod limit;
mod password;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::finding::Finding;

use limit::Limit;
use password::Passwords;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is asked of those who ask.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `None`: in the clear.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Put onto every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Hashes of passwords by name; empty: nobody is asked.
    users: BTreeMap<String, String>,
    /// Whether clients must have a certificate of an authority that is named.
    needs_certificate: bool,
    limit: Option<Arc<Limit>>,
    /// The files that all of this was read from.
    files: Vec<PathBuf>,
}

/// Why somebody may not have what he asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoPassword,
    TooMany,
}

/// Keeps the rules that a file makes.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    current: Mutex<Current>,
    passwords: Passwords,
}

#[derive(Debug)]
struct Current {
    rules: Arc<Rules>,
    /// The files as they were when they were read last, with or without success.
    seen: Vec<Option<Stamp>>,
    looked_at: Instant,
}

/// What changes when a file is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Guard {
    /// Every mistake, if there is one.
    pub fn open(path: &Path) -> Result<Self, Vec<Finding>> {
        let rules = file::read(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: Mutex::new(Current {
                seen: stamps(&rules.files),
                rules: Arc::new(rules),
                looked_at: Instant::now(),
            }),
            passwords: Passwords::default(),
        })
    }

    /// The rules in force at `now`.
    pub fn rules(&self, now: Instant) -> Arc<Rules> {
        let mut current = self.current();
        if now.saturating_duration_since(current.looked_at) >= LOOK_INTERVAL {
            current.looked_at = now;
            self.look(&mut current);
        }
        Arc::clone(&current.rules)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, current: &mut Current) {
        let seen = stamps(&current.rules.files);
        if seen == current.seen {
            return;
        }
        current.seen = seen;
        match file::read(&self.path) {
            Ok(rules) => {
                info!(file = %self.path.display(), "the web config was read anew");
                current.seen = stamps(&rules.files);
                current.rules = Arc::new(rules);
            }
            Err(findings) => {
                for finding in findings {
                    warn!(%finding, "the web config cannot be used; what it said before stays in force");
                }
            }
        }
    }

    /// Whether a request with these headers may be answered.
    pub async fn admit(
        &self,
        rules: &Rules,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<(), Refusal> {
        if rules.limit.as_ref().is_some_and(|limit| !limit.take(now)) {
            return Err(Refusal::TooMany);
        }
        if rules.users.is_empty() {
            return Ok(());
        }
        let authorization = headers.get(header::AUTHORIZATION);
        let given = authorization.and_then(|value| password::credentials(value.as_bytes()));
        let Some((name, password)) = given else {
            return Err(Refusal::NoPassword);
        };
        match self.passwords.fit(&rules.users, name, password).await {
            true => Ok(()),
            false => Err(Refusal::NoPassword),
        }
    }
}

impl Rules {
    /// Whether not everyone who reaches the address may read.
    pub fn is_closed(&self) -> bool {
        !self.users.is_empty() || self.needs_certificate
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests;

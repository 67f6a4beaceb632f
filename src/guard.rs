//! Who may read what is served: the web-config file of the exporter-toolkit, with TLS, passwords, headers and a limit on
//! requests (`docs/web-configuration.md` of that project).
//!
//! The file and those it names are looked at again every second, so that a renewed certificate or a changed password needs no
//! reload. While they cannot be read, say something wrong, or are empty, what they said before stays in force; TLS is not switched
//! off without a restart.

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
    /// Whether the file has nothing in it, as half-way through being written.
    is_empty: bool,
    limit: Option<Arc<Limit>>,
    /// The files that all of this was read from, as they were then.
    files: Vec<(PathBuf, Option<Stamp>)>,
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
    rules: Mutex<Arc<Rules>>,
    passwords: Passwords,
}

/// What changes when a file is written anew, or may be read by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Guard {
    /// Every mistake, if there is one.
    pub fn open(path: &Path) -> Result<Self, Vec<Finding>> {
        Ok(Self {
            path: path.to_owned(),
            rules: Mutex::new(Arc::new(file::read(path)?)),
            passwords: Passwords::default(),
        })
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.held())
    }

    fn held(&self) -> MutexGuard<'_, Arc<Rules>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for changes as long as the program runs, in a thread that a file which cannot be read does not matter to.
    pub async fn watch(self: Arc<Self>) {
        let mut told = Vec::new();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let guard = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || guard.look()).await;
            let problems = looked.unwrap_or_default();
            if problems != told {
                for problem in &problems {
                    warn!("{problem}; what the web config said before stays in force");
                }
                told = problems;
            }
        }
    }

    /// Takes up what has changed. What was wrong is looked at anew the next time, and returned.
    fn look(&self) -> Vec<String> {
        let rules = self.rules();
        let is_same = |(file, seen): &(PathBuf, Option<Stamp>)| stamp(file) == *seen;
        if rules.files.iter().all(is_same) {
            return Vec::new();
        }
        match file::read(&self.path) {
            Ok(new) => self.take(new).err().into_iter().collect(),
            Err(findings) => findings.iter().map(ToString::to_string).collect(),
        }
    }

    /// Goes on with the rules of another reading of the file.
    pub fn take(&self, new: Rules) -> Result<(), String> {
        let file = self.path.display();
        let before = self.rules();
        if new.is_empty {
            return Err(format!("{file}: the file is empty"));
        }
        if before.tls.is_some() != new.tls.is_some() {
            let what = if new.tls.is_some() { "on" } else { "off" };
            return Err(format!("{file}: to switch TLS {what} needs a restart"));
        }
        info!(%file, "the web config was read anew");
        if before.is_closed() && !new.is_closed() {
            warn!(%file, "anyone who reaches the address can read the metrics now: no password is asked for any more");
        }
        *self.held() = Arc::new(new);
        Ok(())
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

/// `None` for a file that is not there.
fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests;

//! Basic authentication against hashes of bcrypt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

/// Passwords that were right are remembered, because to try one takes a good part of a second of a whole core.
const ACCEPTED_MAX: usize = 128;

/// Nobody has a longer one; of bcrypt the first 72 bytes count.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// A name with a password and the hash that it fits, as a digest: no password is kept.
type Accepted = [u8; 32];

/// Tries passwords, one after the other, on a thread that holds up nothing else.
#[derive(Debug)]
pub(super) struct Passwords {
    accepted: Mutex<BTreeSet<Accepted>>,
    pub(super) turn: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            accepted: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Passwords {
    /// Whether it is the password of somebody. It takes as long to find out that there is nobody of that name.
    pub(super) async fn fit(
        &self,
        users: &BTreeMap<String, String>,
        name: String,
        password: Vec<u8>,
    ) -> bool {
        let known = users.get(&name);
        let slowest = || users.values().max_by_key(|hash| cost(hash));
        let Some(hash) = known.or_else(slowest).cloned() else {
            return false;
        };
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let digest = digest(&[name.as_bytes(), &password, hash.as_bytes()]);
        if known.is_some() && self.accepted().contains(&digest) {
            return true;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        let tried = move || {
            let fits = bcrypt::verify(password, &hash).unwrap_or(false);
            // Whoever asked may have left; the next one waits all the same.
            drop(turn);
            fits
        };
        let fits = tokio::task::spawn_blocking(tried).await.unwrap_or(false);
        if !fits || known.is_none() {
            return false;
        }
        let mut accepted = self.accepted();
        if accepted.len() == ACCEPTED_MAX {
            // Hashes change, and what was accepted once need not be any more.
            accepted.clear();
        }
        accepted.insert(digest);
        true
    }

    fn accepted(&self) -> MutexGuard<'_, BTreeSet<Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many times a password is hashed, as a power of two; `None` for what is no hash.
pub(super) fn cost(hash: &str) -> Option<u32> {
    Some(hash.parse::<bcrypt::HashParts>().ok()?.get_cost())
}

/// Of parts whose borders count.
fn digest(parts: &[&[u8]]) -> Accepted {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Name and password of an `Authorization` header.
pub(super) fn credentials(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

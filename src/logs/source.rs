//! A file that is watched: how far it is sent, and whether there is something new in it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::file::{Kept, Print};
use super::lines::{End, Place};
use super::ship::Stream;

/// What is less, in bytes, waits for more, but no longer than this, in seconds.
const ENOUGH: u64 = 256 << 10;
const WAIT_MAX: i64 = 5;
/// After so many seconds without anything new the last event is taken to be complete.
const QUIET: i64 = 5;
/// A file without a name that matches may still be written to for so long, in seconds.
const GONE: i64 = 60;

pub(super) struct Source {
    /// By which it was found first, and where it is now.
    pub(super) name: PathBuf,
    pub(super) path: PathBuf,
    pub(super) entry: usize,
    pub(super) stream: Arc<Stream>,
    pub(super) file: Option<File>,
    pub(super) print: Print,
    pub(super) place: Place,
    /// Up to here it is being sent.
    pub(super) sending: Option<u64>,
    /// Up to here it may have been sent before.
    pub(super) lost_until: u64,
    pub(super) size: u64,
    /// How large it was when it was last seen to be the same file.
    pub(super) sure_size: u64,
    /// Of what may have been sent before it was counted up to here that it is sent again.
    pub(super) counted_until: u64,
    pub(super) grown_at: Timestamp,
    /// When it was last seen to be what it was before.
    pub(super) seen_at: Timestamp,
    pub(super) unread_since: Option<Timestamp>,
    /// The last reading found nothing that is complete: with which size, and taken as how complete.
    pub(super) fruitless: Option<(u64, End)>,
    /// Whether it has the name that it was found by.
    pub(super) is_named: bool,
    /// Since when it has not.
    pub(super) gone_at: Option<Timestamp>,
}

impl Source {
    pub(super) fn kept(&self, now: Timestamp) -> Kept {
        let sent_until = self.sending.unwrap_or(0).max(self.lost_until);
        Kept {
            name: self.name.clone(),
            path: self.path.clone(),
            offset: self.place.offset,
            is_inside: self.place.is_inside,
            last_at: self.place.last_at,
            sending: Some(sent_until).filter(|until| *until > self.place.offset),
            print: self.print.clone(),
            seen: now.seconds(),
        }
    }

    /// As how complete it is to be taken.
    pub(super) fn end(&self, now: Timestamp) -> End {
        // The clock may have been set back.
        let since = |at: Timestamp| (now - at).abs();
        let is_gone = self.gone_at.is_some_and(|at| since(at) >= GONE);
        match since(self.grown_at) {
            0..QUIET => End::Open,
            GONE.. if is_gone => End::Closed,
            _ => End::Quiet,
        }
    }

    pub(super) fn is_done(&self, end: End) -> bool {
        let is_read =
            self.place.offset >= self.size || self.fruitless == Some((self.size, End::Closed));
        end == End::Closed && is_read
    }

    pub(super) fn is_due(&self, end: End, now: Timestamp) -> bool {
        if self.size <= self.place.offset {
            return false;
        }
        if let Some(fruitless) = self.fruitless {
            return fruitless != (self.size, end);
        }
        let has_waited = self
            .unread_since
            .is_none_or(|since| !(since..since + WAIT_MAX).contains(&now));
        let is_again = self.lost_until > self.place.offset;
        self.size - self.place.offset >= ENOUGH || has_waited || is_again || !self.is_named
    }
}

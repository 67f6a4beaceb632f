//! Which files there are to watch.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tracing::info;

use crate::config::{LogFiles, StartAt};
use crate::journal::POSITIONS_UNKNOWN;
use crate::metric::Timestamp;
use crate::stats::FileCounts;

use super::ANY_FILE;
use super::file::{FileId, Kept, Print};
use super::files::{FILES_MAX, Files};

/// What is compressed was a log before, and has been sent.
const COMPRESSED: [&str; 6] = ["gz", "xz", "bz2", "zst", "lz4", "zip"];

/// What an earlier program sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Known,
    Unknown,
    /// And others are still to learn that.
    UnknownToOthers,
}

/// What is told of a copy.
pub(super) const COPY: &str = "a file is the copy of one that is watched, and not sent";

impl Files {
    pub(super) fn scan(&mut self, now: Timestamp) {
        let is_first = self.scanned_at.replace(now).is_none();
        let (mut ignored, mut is_whole) = (0, true);
        for place in 0..self.entries.len() {
            if let Err(problem) = (self.resolve)(&self.entries[place].config, Path::new(ANY_FILE)) {
                // Nothing is decided of its files until they have a name to be sent under.
                let paths = self.entries[place].config.paths.join(" ");
                self.troubled(Path::new(&paths), &problem, now);
                is_whole = false;
                continue;
            }
            let entry = &mut self.entries[place];
            let is_new = std::mem::take(&mut entry.is_first);
            if is_new {
                self.changed.insert(entry.key.clone(), Some(String::new()));
            }
            let (found, unreadable) = found(&entry.config.paths, &entry.exclude);
            for error in unreadable {
                self.troubled(error.path(), error.error(), now);
            }
            for path in found {
                ignored += usize::from(!self.found(place, path, is_new, now));
            }
        }
        if is_first {
            self.adopt(now);
        }
        let before = self.before;
        if is_whole {
            self.before = Before::Known;
        }
        if is_whole && before == Before::Unknown {
            self.changed.insert(POSITIONS_UNKNOWN.to_owned(), None);
        }
        self.forget_troubles(now);
        self.note_all_daily(now);
        let unread = self.sources.values();
        let unread = unread
            .map(|it| it.size.saturating_sub(it.place.offset))
            .sum();
        self.stats.logs.set_files(FileCounts {
            watched: self.sources.len(),
            ignored,
            unreadable: self.troubles.len(),
            unread_bytes: unread,
        });
    }

    /// Whether there is room for it.
    fn found(&mut self, entry: usize, path: PathBuf, is_new: bool, now: Timestamp) -> bool {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.troubled(&path, &error, now);
                return true;
            }
            _ => return true,
        };
        let id = FileId::of(&metadata);
        if let Some(known) = self.sources.get_mut(&id) {
            if known.entry != entry {
                self.tell_once(
                    id,
                    &path,
                    "a file is sent by the first section that has it, and not by another",
                );
                return true;
            }
            if !known.is_named {
                (known.path, known.is_named, known.gone_at) = (path.clone(), true, None);
                self.is_at(id, path);
            }
            return true;
        }
        if self.sources.len() >= FILES_MAX {
            return false;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                self.troubled(&path, &error, now);
                return true;
            }
        };
        if self.is_copy(id, &path, &file) {
            self.tell_once(id, &path, COPY);
            return true;
        }
        let config = &self.entries[entry].config;
        let at_end = is_new && config.start_at == StartAt::End;
        let offset = if at_end { metadata.len() } else { 0 };
        let kept = self.kept_of(id, &path, &file);
        let size = metadata.len();
        let kept = kept.or_else(|| self.unknown(&path, &file, (offset, size), now));
        self.add(entry, path, file, (id, offset), kept, now);
        true
    }

    /// What was kept of a file. The number of its device may be another one after a restart of the host.
    fn kept_of(&mut self, id: FileId, path: &Path, file: &File) -> Option<Kept> {
        if let Some(kept) = self.kept.remove(&id.key()) {
            return Some(kept);
        }
        let is_its = |(key, kept): &(&String, &Kept)| {
            let is_there = kept.path == path && id.has_inode_of(key);
            is_there && !kept.print.is_empty() && kept.print.is_of(file).unwrap_or(false)
        };
        let key = self.kept.iter().find(is_its)?.0.clone();
        self.changed.insert(key.clone(), None);
        self.kept.remove(&key)
    }

    /// Where it is not known what an earlier program sent, all that is there may have been.
    fn unknown(
        &self,
        path: &Path,
        file: &File,
        (offset, size): (u64, u64),
        now: Timestamp,
    ) -> Option<Kept> {
        (self.before != Before::Known).then(|| Kept {
            name: path.to_owned(),
            path: path.to_owned(),
            offset,
            is_inside: false,
            last_at: None,
            sending: Some(size),
            print: Print::of(file).unwrap_or_default(),
            seen: now.seconds(),
        })
    }

    fn tell_once(&mut self, id: FileId, path: &Path, what: &'static str) {
        if self.told.len() >= FILES_MAX {
            self.told.clear();
        }
        if self.told.insert((id, what)) {
            info!(path = %path.display(), "{what}");
        }
    }

    /// What was not written down for long counts as gone.
    fn note_all_daily(&mut self, now: Timestamp) {
        const DAY: i64 = 86_400;
        if (self.noted_at..self.noted_at + DAY).contains(&now) {
            return;
        }
        self.noted_at = now;
        let ids: Vec<FileId> = self.sources.keys().copied().collect();
        for id in ids {
            self.note(id, now);
        }
    }
}

pub(super) fn patterns(globs: &[String]) -> Vec<glob::Pattern> {
    let patterns = globs
        .iter()
        .filter_map(|glob| glob::Pattern::new(glob).ok());
    patterns.collect()
}

/// The files of a section that are there now, and what is wrong with folders that cannot be looked through.
pub fn matching(files: &LogFiles) -> (BTreeSet<PathBuf>, Vec<String>) {
    let (paths, unreadable) = found(&files.paths, &patterns(&files.exclude_paths));
    let paths = paths.into_iter().filter(|path| path.is_file()).collect();
    let told = |error: &glob::GlobError| format!("`{}`: {}", error.path().display(), error.error());
    (paths, unreadable.iter().map(told).collect())
}

/// What matches now, those with the shortest names first: the name of a copy is longer than that of its file. And which folders
/// cannot be looked through.
fn found(globs: &[String], exclude: &[glob::Pattern]) -> (Vec<PathBuf>, Vec<glob::GlobError>) {
    let paths = globs.iter().filter_map(|glob| glob::glob(glob).ok());
    let is_wanted = |path: &PathBuf| {
        let is_compressed = path
            .extension()
            .is_some_and(|it| COMPRESSED.iter().any(|known| it == *known));
        !is_compressed && !exclude.iter().any(|pattern| pattern.matches_path(path))
    };
    let (mut found, mut unreadable) = (BTreeSet::new(), Vec::new());
    for path in paths.flatten() {
        match path {
            Ok(path) if is_wanted(&path) => drop(found.insert(path)),
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
    let mut found: Vec<PathBuf> = found.into_iter().collect();
    found.sort_by_key(|path| path.as_os_str().len());
    (found, unreadable)
}

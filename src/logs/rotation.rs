//! Files that are renamed, and files that are copied and emptied.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::metric::Timestamp;

use super::file::{FileId, Kept, Print, by_id, copy_of, later_copies, originals};
use super::files::Files;
use super::lines::Place;
use super::scan::{COPY, patterns};
use super::source::Source;

/// Positions of files that are not found are kept for so long, in seconds: older events would not be taken any more.
const KEPT: i64 = 14 * 86_400;

impl Files {
    /// Files of which the beginning was sent, and which are called something else since.
    pub(super) fn adopt(&mut self, now: Timestamp) {
        let kept: Vec<(String, Kept)> = std::mem::take(&mut self.kept).into_iter().collect();
        let mut folders: BTreeMap<PathBuf, BTreeMap<String, PathBuf>> = BTreeMap::new();
        for (key, kept) in kept {
            let entry = self.entries.iter().position(|entry| {
                let all = patterns(&entry.config.paths);
                all.iter().any(|pattern| pattern.matches_path(&kept.name))
            });
            let found = kept.path.parent().and_then(|folder| {
                let files = folders.entry(folder.to_owned());
                let files = files.or_insert_with_key(|folder| {
                    let files = by_id(folder).into_iter();
                    files.map(|(id, path)| (id.key(), path)).collect()
                });
                let path = files.get(&key)?.clone();
                let file = File::open(&path).ok()?;
                kept.print
                    .is_of(&file)
                    .unwrap_or(false)
                    .then_some((path, file))
            });
            match (entry, found) {
                (Some(entry), Some((path, file))) => {
                    info!(path = %path.display(), "the rest of a file that was renamed is sent");
                    self.add_nameless(entry, path, file, kept, now);
                }
                _ if kept.seen < now.seconds() - KEPT => drop(self.changed.insert(key, None)),
                _ => drop(self.kept.insert(key, kept)),
            }
        }
    }

    /// Whether a file is the copy of one that is about to be emptied: what is new is sent of that one.
    pub(super) fn is_copy(&self, id: FileId, path: &Path, file: &File) -> bool {
        let was_copy = self.told.contains(&(id, COPY));
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        // A file may only begin like another one, and go on otherwise; unless that is emptied already.
        let is_within = |source: &Source| {
            let now = fs::metadata(&source.path).map_or(0, |metadata| metadata.len());
            let is_measured = source.sending.is_none();
            length <= now || now < source.place.offset || was_copy && !is_measured
        };
        let is_of = |source: &Source| {
            !source.print.is_empty()
                && source.print.is_of(file).unwrap_or(false)
                && is_within(source)
        };
        let mut originals = originals(path).into_iter();
        originals.any(|path| self.at(&path).is_some_and(is_of))
    }

    /// It was emptied, and may have been copied before. `size`: what it had before that, as far as is known.
    pub(super) fn emptied(&mut self, id: FileId, size: u64, now: Timestamp) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let (before, seen_at) = (source.kept(now), source.seen_at);
        let (path, entry) = (source.path.clone(), source.entry);
        // Another file may have its name by now.
        let is_opened = source.file.is_none();
        let file = source.file.take().or_else(|| File::open(&path).ok());
        let is_same = |file: &File| file.metadata().is_ok_and(|it| FileId::of(&it) == id);
        source.file = file.filter(is_same);
        let print = source.file.as_ref().map(Print::of);
        source.print = print.and_then(Result::ok).unwrap_or_default();
        (source.size, source.sure_size, source.counted_until) = (0, 0, 0);
        (source.place, source.lost_until) = (Place::default(), 0);
        (source.fruitless, source.unread_since, source.grown_at) = (None, None, now);
        if is_opened {
            self.opened(id);
        }
        self.note(id, now);
        self.send_copies((&before, seen_at), (path, id), (entry, size), now);
    }

    /// What was not sent of a file that was emptied is in its copy; what came and went since is in copies that are younger.
    fn send_copies(
        &mut self,
        (before, seen_at): (&Kept, Timestamp),
        (path, id): (PathBuf, FileId),
        (entry, size): (usize, u64),
        now: Timestamp,
    ) {
        let copy = match before.print.is_empty() {
            true => None,
            false => copy_of(&path, id, before, seen_at),
        };
        let copy = copy.and_then(|(path, file)| Some((path, file.metadata().ok()?, file)));
        let Some((copied, metadata, file)) = copy else {
            if size > before.offset {
                let unread = size - before.offset;
                warn!(path = %path.display(), unread, "a file was emptied before all of it was sent");
                self.stats.logs.lost_file();
            }
            return;
        };
        info!(path = %copied.display(), "a file was emptied; the rest of its copy is sent");
        let younger = later_copies(&path, &metadata);
        self.add_nameless(entry, copied, file, before.clone(), now);
        for (path, file) in younger {
            // What was copied is not yet emptied, and is sent from where it is.
            let is_copy = file
                .metadata()
                .is_ok_and(|it| self.is_copy(FileId::of(&it), &path, &file));
            if !is_copy {
                info!(path = %path.display(), "a file was emptied again; its copy is sent");
                let whole = Kept {
                    path: path.clone(),
                    offset: 0,
                    is_inside: false,
                    last_at: None,
                    sending: None,
                    print: Print::of(&file).unwrap_or_default(),
                    ..before.clone()
                };
                self.add_nameless(entry, path, file, whole, now);
            }
        }
    }

    /// A file that is no longer, or never was, under the name that is looked for.
    fn add_nameless(
        &mut self,
        entry: usize,
        path: PathBuf,
        file: File,
        kept: Kept,
        now: Timestamp,
    ) {
        let Ok(metadata) = file.metadata() else {
            return;
        };
        let id = FileId::of(&metadata);
        if self.sources.contains_key(&id) {
            return;
        }
        self.add(entry, path, file, (id, 0), Some(kept), now);
        if let Some(source) = self.sources.get_mut(&id) {
            (source.is_named, source.gone_at) = (false, Some(now));
        }
    }
}

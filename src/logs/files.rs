//! All files that are watched: which there are, what is new in them, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, warn};

use crate::config::{LogFiles, StartAt};
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::file::{FileId, Kept, Print, read, renamed};
use super::lines::{Counts, End, Place, Rules, Taken};
use super::ship::{Backoff, Fate, Stream};
use super::source::Source;

/// What the metrics call events of files.
pub(super) const SOURCE: &str = "file";

/// The most files that are watched; those found later are not.
const FILES_MAX: usize = 10_000;
/// The most that are kept open between readings.
const OPEN_MAX: usize = 128;
/// The most that are looked at in one look: of more it is one after the other's turn.
const LOOKED_AT_MAX: usize = 1_000;

/// How often it is looked for new files, in seconds.
const SCAN: i64 = 5;

/// What is compressed was a log before, and has been sent.
const COMPRESSED: [&str; 6] = ["gz", "xz", "bz2", "zst", "lz4", "zip"];

/// Files of one section of the configuration.
pub(super) struct Entry {
    pub(super) config: LogFiles,
    pub(super) exclude: Vec<glob::Pattern>,
    pub(super) rules: Rules,
    /// Whether what is found now was there before the first look.
    pub(super) is_first: bool,
}

/// Events that are to be sent.
pub(super) struct Ready {
    pub(super) id: FileId,
    pub(super) stream: Arc<Stream>,
    pub(super) taken: Taken,
}

/// Positions that have changed, by key.
pub(super) type Positions = BTreeMap<String, Option<String>>;

/// The stream of a file, or what is not known of it.
pub(super) type Resolve = Arc<dyn Fn(&LogFiles, &Path) -> Result<Stream, String> + Send + Sync>;

pub(super) struct Files {
    pub(super) entries: Vec<Entry>,
    pub(super) sources: BTreeMap<FileId, Source>,
    /// Of earlier programs, as long as their files are not found.
    pub(super) kept: BTreeMap<String, Kept>,
    pub(super) backoffs: BTreeMap<(String, String), Backoff>,
    pub(super) resolve: Resolve,
    pub(super) stats: Arc<Stats>,
    pub(super) scanned_at: Option<Timestamp>,
    pub(super) turn: usize,
    /// Something was passed without a batch: there may be more at once.
    has_more: bool,
    /// The journal did not take the last positions.
    is_unkept: bool,
    pub(super) changed: Positions,
    pub(super) troubles: BTreeMap<PathBuf, String>,
}

impl Files {
    /// `kept`: the positions that an earlier program left.
    pub(super) fn new(
        configs: Vec<LogFiles>,
        kept: &BTreeMap<String, String>,
        resolve: Resolve,
        stats: Arc<Stats>,
    ) -> Self {
        let kept = kept.iter().filter(|(key, _)| key.starts_with("file "));
        let kept =
            kept.filter_map(|(key, text)| Some((key.clone(), serde_json::from_str(text).ok()?)));
        let entry = |config: LogFiles| Entry {
            exclude: patterns(&config.exclude_paths),
            rules: Rules::new(&config),
            is_first: true,
            config,
        };
        Self {
            entries: configs.into_iter().map(entry).collect(),
            sources: BTreeMap::new(),
            kept: kept.collect(),
            backoffs: BTreeMap::new(),
            resolve,
            stats,
            scanned_at: None,
            turn: 0,
            has_more: false,
            is_unkept: false,
            changed: Positions::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// What has changed of the positions since this was asked for.
    pub(super) fn take_changes(&mut self) -> Positions {
        std::mem::take(&mut self.changed)
    }

    /// Whether the last look left something that is due.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Positions that could not be kept are kept with the next ones, and then those of all files: the journal may be a new one.
    pub(super) fn was_kept(&mut self, positions: Positions, is_kept: bool, now: Timestamp) {
        if !is_kept {
            for (key, text) in positions {
                self.changed.entry(key).or_insert(text);
            }
        } else if self.is_unkept {
            let ids: Vec<FileId> = self.sources.keys().copied().collect();
            for id in ids {
                self.note(id, now);
            }
        }
        self.is_unkept = !is_kept;
    }

    /// Looks for files, and for what is new in them. Returns so many batches at most.
    pub(super) fn look(&mut self, now: Timestamp, most: usize) -> Vec<Ready> {
        // Of many files the folders take long to look through.
        let thousands = i64::try_from(self.sources.len() / LOOKED_AT_MAX).unwrap_or(0);
        let interval = SCAN * (1 + thousands);
        let is_due = |at: Timestamp| !(at..at + interval).contains(&now);
        if self.scanned_at.is_none_or(is_due) {
            self.scan(now);
        }
        self.has_more = false;
        let mut ready = Vec::new();
        let ids: Vec<FileId> = self.sources.keys().copied().collect();
        let start = if ids.is_empty() {
            0
        } else {
            self.turn % ids.len()
        };
        let in_turn = ids[start..].iter().chain(&ids[..start]);
        for id in in_turn.take(LOOKED_AT_MAX) {
            if ready.len() >= most {
                break;
            }
            self.turn += 1;
            ready.extend(self.examine(*id, now));
        }
        if self.turn >= ids.len() {
            self.turn = self.turn.checked_rem(ids.len()).unwrap_or(0);
        }
        ready
    }

    fn scan(&mut self, now: Timestamp) {
        let is_first = self.scanned_at.replace(now).is_none();
        let mut ignored = 0;
        for place in 0..self.entries.len() {
            let entry = &self.entries[place];
            let found: BTreeSet<PathBuf> = found(&entry.config.paths, &entry.exclude);
            let is_new = std::mem::take(&mut self.entries[place].is_first)
                && !found
                    .iter()
                    .any(|path| self.kept.values().any(|kept| kept.path == *path));
            for path in found {
                ignored += usize::from(!self.found(place, path, is_new, now));
            }
        }
        if is_first {
            self.adopt(now);
        }
        let unread = self.sources.values();
        let unread = unread
            .map(|it| it.size.saturating_sub(it.place.offset))
            .sum();
        self.stats
            .logs
            .set_files(self.sources.len(), ignored, unread);
    }

    /// Whether there is room for it.
    fn found(&mut self, entry: usize, path: PathBuf, is_new: bool, now: Timestamp) -> bool {
        let Some(metadata) = fs::metadata(&path).ok().filter(fs::Metadata::is_file) else {
            return true;
        };
        let id = FileId::of(&metadata);
        if let Some(known) = self.sources.get_mut(&id) {
            if known.entry == entry && !known.is_named {
                (known.path, known.is_named, known.gone_at) = (path, true, None);
            }
            return true;
        }
        if self.sources.len() >= FILES_MAX {
            return false;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                self.troubled(&path, &error);
                return true;
            }
        };
        if self.is_copy(&path, &file) {
            return true;
        }
        let config = &self.entries[entry].config;
        let at_end = is_new && config.start_at == StartAt::End;
        let offset = if at_end { metadata.len() } else { 0 };
        let kept = self.kept_of(id, &path, &file);
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

    pub(super) fn add(
        &mut self,
        entry: usize,
        path: PathBuf,
        file: File,
        (id, offset): (FileId, u64),
        kept: Option<Kept>,
        now: Timestamp,
    ) {
        // Another file may have its number by now.
        let is_its = |kept: &Kept| kept.print.is_of(&file).unwrap_or(false);
        let is_other = kept.as_ref().is_some_and(|kept| !is_its(kept));
        let name = match &kept {
            Some(kept) if !is_other => kept.name.clone(),
            _ => path.clone(),
        };
        let stream = match (self.resolve)(&self.entries[entry].config, &name) {
            Ok(stream) => stream,
            Err(problem) => return self.troubled(&path, &problem),
        };
        let print = match &kept {
            Some(kept) => kept.print.clone(),
            None => Print::of(&file).unwrap_or_default(),
        };
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let place = Place {
            offset: kept.as_ref().map_or(offset, |kept| kept.offset),
            is_inside: kept.as_ref().is_some_and(|kept| kept.is_inside),
        };
        debug!(path = %path.display(), offset = place.offset, "watching a file");
        let source = Source {
            name,
            path,
            entry,
            stream: Arc::new(stream),
            file: Some(file),
            print,
            place,
            sending: None,
            lost_until: kept.and_then(|kept| kept.sending).unwrap_or(0),
            size,
            grown_at: now,
            unread_since: None,
            fruitless: None,
            is_named: true,
            gone_at: None,
        };
        self.sources.insert(id, source);
        self.close_some(id);
        self.note(id, now);
        if is_other {
            self.emptied(id, now);
        }
    }

    /// No more files than may be are kept open.
    fn close_some(&mut self, but: FileId) {
        let open = self.sources.iter().filter(|(_, it)| it.file.is_some());
        let surplus = open.count().saturating_sub(OPEN_MAX);
        let others = self.sources.iter_mut();
        let others = others.filter(|(id, it)| **id != but && it.file.is_some());
        for (_, source) in others.take(surplus) {
            source.file = None;
        }
    }

    /// What is to be sent of a file now.
    fn examine(&mut self, id: FileId, now: Timestamp) -> Option<Ready> {
        let source = self.sources.get(&id)?;
        let backoff = self.backoffs.get(&source.stream.key());
        if source.sending.is_some() || !backoff.is_none_or(|backoff| backoff.is_over(now)) {
            return None;
        }
        self.measure(id, now);
        let source = self.sources.get_mut(&id)?;
        let end = source.end(now);
        if !source.is_named && source.is_done(end) {
            self.sources.remove(&id);
            self.changed.insert(id.key(), None);
            return None;
        }
        if !source.is_due(end, now) {
            return None;
        }
        match self.read(id, end, now) {
            Ok(taken) => self.taken(id, taken, end, now),
            Err(error) => {
                let path = self.sources.get(&id)?.path.clone();
                self.troubled(&path, &error);
                None
            }
        }
    }

    /// Sees how large a file is, and whether it still is the one that has its name.
    fn measure(&mut self, id: FileId, now: Timestamp) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        if source.is_named {
            match fs::metadata(&source.path) {
                Ok(found) if FileId::of(&found) == id => {
                    return self.is_so_large(id, found.len(), now);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = source.path.clone();
                    return self.troubled(&path, &error);
                }
                _ => {
                    (source.is_named, source.gone_at) = (false, Some(now));
                    // What has its name now is to be found soon.
                    self.scanned_at = None;
                }
            }
        }
        if source.file.is_none()
            && let Some(path) = renamed(&source.path, id)
        {
            match File::open(&path) {
                Ok(file) => (source.file, source.path) = (Some(file), path),
                Err(error) => return self.troubled(&path, &error),
            }
        }
        match source.file.as_ref().and_then(|file| file.metadata().ok()) {
            Some(found) if FileId::of(&found) == id => self.is_so_large(id, found.len(), now),
            _ => self.gone(id, now),
        }
    }

    /// Its position is kept for a while: the folder may come back.
    fn gone(&mut self, id: FileId, now: Timestamp) {
        let Some(source) = self.sources.remove(&id) else {
            return;
        };
        if source.size > source.place.offset {
            let unread = source.size - source.place.offset;
            warn!(path = %source.path.display(), unread, "a file is gone before all of it was sent");
            self.stats.logs.lost_file();
        }
        self.kept.insert(id.key(), source.kept(now));
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.seen);
        if let Some(oldest) = oldest.filter(|_| self.kept.len() > FILES_MAX) {
            let key = oldest.0.clone();
            self.kept.remove(&key);
            self.changed.insert(key, None);
        }
    }

    fn is_so_large(&mut self, id: FileId, size: u64, now: Timestamp) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        if size < source.place.offset {
            let is_same = |file: &File| source.print.is_of(file).unwrap_or(false);
            let is_same = !source.print.is_short() && source.file.as_ref().is_some_and(is_same);
            if !is_same {
                return self.emptied(id, now);
            }
            // Its end was cut off, and had been sent.
            (source.place.offset, source.size) = (size, size);
            return self.note(id, now);
        }
        if size != source.size {
            (source.size, source.grown_at) = (size, now);
        }
        if size > source.place.offset && source.unread_since.is_none() {
            source.unread_since = Some(now);
        }
    }

    fn read(&mut self, id: FileId, end: End, now: Timestamp) -> io::Result<Taken> {
        let Some(source) = self.sources.get_mut(&id) else {
            return Ok(Taken::default());
        };
        let file = match source.file.take() {
            Some(file) => file,
            None => File::open(&source.path)?,
        };
        if FileId::of(&file.metadata()?) != id {
            return Ok(nothing(source.place));
        }
        if !source.print.is_of(&file)? {
            self.emptied(id, now);
            return Ok(nothing(Place::default()));
        }
        if source.print.is_short() {
            source.print = Print::of(&file)?;
        }
        let until = match source.lost_until {
            again if again > source.place.offset => again.min(source.size),
            _ => source.size,
        };
        let end = if until < source.size { End::Quiet } else { end };
        let rules = &mut self.entries[source.entry].rules;
        let taken = read(&file, rules, source.place, until, (now, end));
        source.file = Some(file);
        self.close_some(id);
        taken
    }

    /// What was read is to be sent, unless there is nothing in it.
    fn taken(&mut self, id: FileId, taken: Taken, end: End, now: Timestamp) -> Option<Ready> {
        let source = self.sources.get_mut(&id)?;
        if taken.place == source.place && taken.batch.is_empty() {
            if source.lost_until > source.place.offset {
                source.lost_until = 0;
            } else {
                source.fruitless = Some((source.size, end));
            }
            return None;
        }
        source.fruitless = None;
        if taken.batch.is_empty() {
            self.has_more = true;
            self.moved(id, taken.place, taken.counts, now);
            return None;
        }
        source.sending = Some(taken.place.offset);
        let again = source.lost_until > source.place.offset;
        if again {
            self.stats.logs.resent(SOURCE, taken.batch.len());
        }
        let stream = Arc::clone(&source.stream);
        self.note(id, now);
        Some(Ready { id, stream, taken })
    }

    /// Everything before a place has been dealt with.
    fn moved(&mut self, id: FileId, place: Place, counts: Counts, now: Timestamp) {
        let logs = &self.stats.logs;
        logs.dropped(SOURCE, "filtered", counts.filtered);
        logs.dropped(SOURCE, "too_old", counts.too_old);
        logs.dropped(SOURCE, "too_new", counts.too_new);
        logs.changed(SOURCE, "invalid_utf8", counts.invalid_utf8);
        logs.changed(SOURCE, "too_long", counts.too_long);
        if let Some(source) = self.sources.get_mut(&id) {
            source.place = place;
            source.unread_since = None;
        }
        self.note(id, now);
    }

    /// What became of events.
    pub(super) fn settle(
        &mut self,
        id: FileId,
        (place, counts): (Place, Counts),
        fate: &Fate,
        now: Timestamp,
    ) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let sending = source.sending.take().unwrap_or(0);
        let backoff = self.backoffs.entry(source.stream.key()).or_default();
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                backoff.succeeded();
                self.moved(id, place, counts, now);
            }
            Fate::Failed { answer_lost } => {
                backoff.failed(now);
                if *answer_lost {
                    source.lost_until = source.lost_until.max(sending);
                }
                self.note(id, now);
            }
        }
    }

    /// Writes down how far a file is.
    pub(super) fn note(&mut self, id: FileId, now: Timestamp) {
        if let Some(source) = self.sources.get(&id) {
            let kept = serde_json::to_string(&source.kept(now));
            self.changed.insert(id.key(), kept.ok());
        }
    }

    /// One line for each thing that is wrong with a file.
    fn troubled(&mut self, path: &Path, problem: &dyn std::fmt::Display) {
        let problem = problem.to_string();
        if self.troubles.get(path) == Some(&problem) {
            return;
        }
        warn!(path = %path.display(), error = problem, "a file cannot be read");
        if self.troubles.len() >= FILES_MAX {
            self.troubles.clear();
        }
        self.troubles.insert(path.to_owned(), problem);
    }
}

fn nothing(place: Place) -> Taken {
    Taken {
        place,
        ..Taken::default()
    }
}

pub(super) fn patterns(globs: &[String]) -> Vec<glob::Pattern> {
    let patterns = globs
        .iter()
        .filter_map(|glob| glob::Pattern::new(glob).ok());
    patterns.collect()
}

/// The files of a section that are there now.
pub fn matching(files: &LogFiles) -> BTreeSet<PathBuf> {
    let paths = found(&files.paths, &patterns(&files.exclude_paths));
    paths.into_iter().filter(|path| path.is_file()).collect()
}

/// What matches now.
fn found(globs: &[String], exclude: &[glob::Pattern]) -> BTreeSet<PathBuf> {
    let paths = globs.iter().filter_map(|glob| glob::glob(glob).ok());
    let is_wanted = |path: &PathBuf| {
        let is_compressed = path
            .extension()
            .is_some_and(|it| COMPRESSED.iter().any(|known| it == *known));
        !is_compressed && !exclude.iter().any(|pattern| pattern.matches_path(path))
    };
    paths.flatten().flatten().filter(is_wanted).collect()
}

#[cfg(test)]
mod tests;

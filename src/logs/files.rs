//! All files that are watched: which there are, what is new in them, and what became of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, warn};

use crate::config::LogFiles;
use crate::journal::POSITIONS_UNKNOWN;
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::file::{FileId, Kept, Print, read, renamed};
use super::lines::{Counts, End, Place, Rules, Taken};
use super::scan::{Before, patterns};
use super::ship::{Backoff, Fate, Stream};
use super::source::Source;

/// What the metrics call events of files.
pub(super) const SOURCE: &str = "file";

/// The most files that are watched; those found later are not.
pub(super) const FILES_MAX: usize = 10_000;
/// The most that are kept open between readings.
const OPEN_MAX: usize = 128;
/// The most that are looked at in one look: of more it is one after the other's turn.
const LOOKED_AT_MAX: usize = 1_000;

/// What is wrong with a file is over if it was not met again for so long, in seconds.
const TROUBLE_KEPT: i64 = 120;

/// How the key begins under which it is kept that it was looked for files of a section.
const SECTION: &str = "section ";

/// How often it is looked for new files, in seconds.
const SCAN: i64 = 5;

/// Files of one section of the configuration.
pub(super) struct Entry {
    pub(super) config: LogFiles,
    /// Under which it is kept that it was looked for them.
    pub(super) key: String,
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

/// For how much there is room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) requests: usize,
    /// What is taken last may go beyond it.
    pub(super) bytes: usize,
}

/// Positions that have changed, by key.
pub(super) type Positions = BTreeMap<String, Option<String>>;

/// The stream of a file, or what is not known of it.
pub(super) type Resolve = Arc<dyn Fn(&LogFiles, &Path) -> Result<Stream, String> + Send + Sync>;

pub(super) struct Files {
    pub(super) entries: Vec<Entry>,
    pub(super) sources: BTreeMap<FileId, Source>,
    /// Which file was last seen where.
    places: BTreeMap<PathBuf, FileId>,
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
    pub(super) before: Before,
    pub(super) changed: Positions,
    /// What is wrong with files and folders, and when that was last met.
    pub(super) troubles: BTreeMap<PathBuf, (String, Timestamp)>,
    /// What was told of files that are not sent, or not by every section.
    pub(super) told: BTreeSet<(FileId, &'static str)>,
    /// When all positions were written down.
    pub(super) noted_at: Timestamp,
    /// Which files there are in folders where something was renamed, for as long as one look takes.
    folders: BTreeMap<PathBuf, BTreeMap<FileId, PathBuf>>,
    /// Files that are open, and some that were; the oldest first.
    open: VecDeque<FileId>,
}

impl Files {
    /// `kept`: the positions that an earlier program left.
    pub(super) fn new(
        configs: Vec<LogFiles>,
        kept: &BTreeMap<String, String>,
        resolve: Resolve,
        stats: Arc<Stats>,
    ) -> Self {
        let before = match kept.contains_key(POSITIONS_UNKNOWN) {
            true => Before::Unknown,
            false => Before::Known,
        };
        let is_known = |section: &str| kept.contains_key(section);
        let entry = |config: LogFiles| {
            let key = format!("{SECTION}{}", config.paths.join(" "));
            Entry {
                exclude: patterns(&config.exclude_paths),
                rules: Rules::new(&config),
                is_first: !is_known(&key),
                key,
                config,
            }
        };
        let entries: Vec<Entry> = configs.into_iter().map(entry).collect();
        let sections = kept.keys().filter(|key| key.starts_with(SECTION));
        let gone = sections.filter(|key| entries.iter().all(|entry| entry.key != **key));
        let changed = gone.map(|key| (key.clone(), None)).collect();
        let kept = kept.iter().filter(|(key, _)| key.starts_with("file "));
        let kept =
            kept.filter_map(|(key, text)| Some((key.clone(), serde_json::from_str(text).ok()?)));
        Self {
            entries,
            sources: BTreeMap::new(),
            places: BTreeMap::new(),
            kept: kept.collect(),
            backoffs: BTreeMap::new(),
            resolve,
            stats,
            scanned_at: None,
            turn: 0,
            has_more: false,
            is_unkept: false,
            before,
            changed,
            troubles: BTreeMap::new(),
            told: BTreeSet::new(),
            noted_at: Timestamp::default(),
            folders: BTreeMap::new(),
            open: VecDeque::new(),
        }
    }

    /// Leaves it to others to note that it is unknown what was sent before.
    pub(super) fn leave_unknown(&mut self) {
        if self.before == Before::Unknown {
            self.before = Before::UnknownToOthers;
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

    /// Once positions are kept again those of all files are: the journal may be a new one.
    pub(super) fn was_kept(&mut self, is_kept: bool, now: Timestamp) {
        if is_kept && self.is_unkept {
            let ids: Vec<FileId> = self.sources.keys().copied().collect();
            for id in ids {
                self.note(id, now);
            }
        }
        self.is_unkept = !is_kept;
    }

    /// Looks for files, and for what is new in them.
    pub(super) fn look(&mut self, now: Timestamp, room: Room) -> Vec<Ready> {
        // Of many files the folders take long to look through.
        let thousands = i64::try_from(self.sources.len() / LOOKED_AT_MAX).unwrap_or(0);
        let interval = SCAN * (1 + thousands);
        let is_due = |at: Timestamp| !(at..at + interval).contains(&now);
        if self.scanned_at.is_none_or(is_due) {
            self.scan(now);
        }
        self.has_more = false;
        self.folders.clear();
        let (mut ready, mut bytes) = (Vec::new(), 0);
        let ids: Vec<FileId> = self.sources.keys().copied().collect();
        let start = if ids.is_empty() {
            0
        } else {
            self.turn % ids.len()
        };
        let in_turn = ids[start..].iter().chain(&ids[..start]);
        for id in in_turn.take(LOOKED_AT_MAX) {
            if ready.len() >= room.requests || bytes >= room.bytes {
                break;
            }
            self.turn += 1;
            if let Some(next) = self.examine(*id, now) {
                bytes += next.taken.batch.bytes();
                ready.push(next);
            }
        }
        if self.turn >= ids.len() {
            self.turn = self.turn.checked_rem(ids.len()).unwrap_or(0);
        }
        ready
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
        let is_its = |kept: &Kept| match kept.print.is_empty() {
            true => kept.path == path,
            false => kept.print.is_of(&file).unwrap_or(false),
        };
        let is_other = kept.as_ref().is_some_and(|kept| !is_its(kept));
        let name = match &kept {
            Some(kept) if !is_other => kept.name.clone(),
            _ => path.clone(),
        };
        let stream = match (self.resolve)(&self.entries[entry].config, &name) {
            Ok(stream) => stream,
            Err(problem) => return self.troubled(&path, &problem, now),
        };
        let print = match &kept {
            Some(kept) => kept.print.clone(),
            None => Print::of(&file).unwrap_or_default(),
        };
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let place = Place {
            offset: kept.as_ref().map_or(offset, |kept| kept.offset),
            is_inside: kept.as_ref().is_some_and(|kept| kept.is_inside),
            last_at: kept
                .as_ref()
                .filter(|kept| kept.is_fresh(now))
                .and_then(|kept| kept.last_at),
        };
        self.troubles.remove(&path);
        debug!(path = %path.display(), offset = place.offset, "watching a file");
        let kept_seen = kept.as_ref().map(|it| Timestamp::from_seconds(it.seen));
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
            sure_size: place.offset,
            counted_until: 0,
            grown_at: now,
            seen_at: kept_seen.unwrap_or(now),
            unread_since: None,
            fruitless: None,
            is_named: true,
            gone_at: None,
        };
        self.is_at(id, source.path.clone());
        self.sources.insert(id, source);
        self.opened(id);
        self.note(id, now);
        if is_other {
            self.emptied(id, place.offset, now);
        }
    }

    pub(super) fn is_at(&mut self, id: FileId, path: PathBuf) {
        if self.places.len() >= 2 * FILES_MAX {
            let sources = &self.sources;
            let is_there =
                |path: &PathBuf, id: &FileId| sources.get(id).is_some_and(|it| it.path == *path);
            self.places.retain(|path, id| is_there(path, id));
        }
        self.places.insert(path, id);
    }

    /// The file that is watched there.
    pub(super) fn at(&self, path: &Path) -> Option<&Source> {
        let source = self.sources.get(self.places.get(path)?)?;
        (source.path == path).then_some(source)
    }

    /// No more files than may be are kept open: those that were opened last.
    pub(super) fn opened(&mut self, id: FileId) {
        self.open.push_back(id);
        if self.open.len() > OPEN_MAX
            && let Some(oldest) = self.open.pop_front()
            && let Some(source) = self.sources.get_mut(&oldest)
            && oldest != id
        {
            source.file = None;
        }
    }

    /// What is to be sent of a file now.
    fn examine(&mut self, id: FileId, now: Timestamp) -> Option<Ready> {
        if self.sources.get(&id)?.sending.is_some() {
            return None;
        }
        self.measure(id, now);
        let source = self.sources.get(&id)?;
        let backoff = self.backoffs.get(&source.stream.key());
        if !backoff.is_none_or(|backoff| backoff.is_over(now)) {
            return None;
        }
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
                self.troubled(&path, &error, now);
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
                    return self.troubled(&path, &error, now);
                }
                _ => {
                    (source.is_named, source.gone_at) = (false, Some(now));
                    // What has its name now is to be found soon.
                    self.scanned_at = None;
                }
            }
        }
        if source.file.is_none()
            && let Some(path) = renamed(&mut self.folders, &source.path, id)
        {
            match File::open(&path) {
                // Its number may be another file's by now, and is if nothing was in it.
                Ok(file)
                    if source.print.is_empty() || !source.print.is_of(&file).unwrap_or(false) =>
                {
                    return self.gone(id, now);
                }
                Ok(file) => {
                    (source.file, source.path) = (Some(file), path.clone());
                    self.is_at(id, path);
                    self.opened(id);
                }
                Err(error) => return self.troubled(&path, &error, now),
            }
        }
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
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
                let size_before = source.size;
                return self.emptied(id, size_before, now);
            }
            // Its end was cut off, and had been sent.
            (source.place.offset, source.size) = (size, size);
            return self.note(id, now);
        }
        if source.print.is_empty() && size > 0 {
            // By that it is known again, whatever it is called then.
            let print = match &source.file {
                Some(file) => Print::of(file),
                None => File::open(&source.path).and_then(|file| Print::of(&file)),
            };
            source.print = print.unwrap_or_default();
        }
        if size == source.size {
            source.seen_at = now;
        } else {
            if source.place.offset >= source.size && source.end(now) != End::Open {
                // What comes after a silence does not belong to what was before.
                source.place.last_at = None;
            }
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
        let (file, is_opened) = match source.file.take() {
            Some(file) => (file, false),
            None => (File::open(&source.path)?, true),
        };
        if FileId::of(&file.metadata()?) != id {
            return Ok(Taken::nothing(source.place));
        }
        if !source.print.is_of(&file)? {
            let size_before = source.sure_size;
            self.emptied(id, size_before, now);
            return Ok(Taken::nothing(Place::default()));
        }
        (source.sure_size, source.seen_at) = (source.size, now);
        if source.print.is_short() {
            source.print = Print::of(&file)?;
        }
        // What was counted as sent again, and what may have been sent, goes by itself.
        let parts = [source.counted_until, source.lost_until, source.size];
        let until = parts.into_iter().find(|part| *part > source.place.offset);
        let until = until.unwrap_or(source.size).min(source.size);
        let end = if until < source.size { End::Quiet } else { end };
        let backoff = self.backoffs.get(&source.stream.key());
        let bytes_max = backoff.copied().unwrap_or_default().bytes_max();
        let rules = &mut self.entries[source.entry].rules;
        let taken = read(&file, rules, source.place, until, bytes_max, (now, end));
        source.file = Some(file);
        if is_opened {
            self.opened(id);
        }
        taken
    }

    /// What was read is to be sent, unless there is nothing in it.
    fn taken(&mut self, id: FileId, taken: Taken, end: End, now: Timestamp) -> Option<Ready> {
        let source = self.sources.get_mut(&id)?;
        if taken.place == source.place && taken.batch.is_empty() {
            if source.lost_until > source.place.offset {
                (source.lost_until, source.counted_until) = (0, 0);
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
        let is_again = source.lost_until > source.place.offset;
        // What did not get out since it was counted is not counted again.
        if is_again && taken.place.offset > source.counted_until {
            source.counted_until = taken.place.offset;
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
        if self.backoffs.len() >= FILES_MAX {
            self.backoffs.clear();
        }
        let backoff = self.backoffs.entry(source.stream.key()).or_default();
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                backoff.succeeded();
                if *backoff == Backoff::default() {
                    self.backoffs.remove(&source.stream.key());
                }
                self.moved(id, place, counts, now);
            }
            Fate::Failed { answer_lost } => {
                backoff.failed(now, *answer_lost);
                if *answer_lost {
                    source.lost_until = source.lost_until.max(sending);
                    source.counted_until = 0;
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

    /// One line for each thing that is wrong with a file or a folder.
    pub(super) fn troubled(
        &mut self,
        path: &Path,
        problem: &dyn std::fmt::Display,
        now: Timestamp,
    ) {
        let problem = problem.to_string();
        if let Some((before, at)) = self.troubles.get_mut(path)
            && *before == problem
        {
            *at = now;
            return;
        }
        warn!(path = %path.display(), error = problem, "cannot be sent");
        if self.troubles.len() >= FILES_MAX {
            self.troubles.clear();
        }
        self.troubles.insert(path.to_owned(), (problem, now));
    }

    /// What was not met again for a while is over.
    pub(super) fn forget_troubles(&mut self, now: Timestamp) {
        let is_met = |at: Timestamp| (at..at + TROUBLE_KEPT).contains(&now);
        self.troubles.retain(|_, (_, at)| is_met(*at));
    }
}

#[cfg(test)]
mod tests;

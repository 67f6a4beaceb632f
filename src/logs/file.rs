//! One file: which it is, and what is read of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::metric::Timestamp;

use super::lines::{Assembler, End, Place, Rules, Taken};

/// The most bytes that are read for one batch; lines that are not sent do not fill it.
const READ_MAX: u64 = 4 << 20;
const CHUNK: usize = 64 << 10;

/// What comes later than this after the program before, in seconds, belongs to nothing that was read before.
const FRESH: i64 = 60;

/// By how many of its first bytes a file is known again.
const PRINT_MAX: usize = 1_024;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Whether a key is of a file with the same number, on whatever device.
    pub(super) fn has_inode_of(self, key: &str) -> bool {
        let inode = key.rsplit_once('-').map(|(_, inode)| inode.parse());
        inode == Some(Ok(self.inode))
    }

    /// Under which its position is kept.
    pub(super) fn key(self) -> String {
        format!("file {}-{}", self.device, self.inode)
    }
}

/// How a file begins: an inode may be another file's later, and a file may be emptied and written anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    length: u64,
    hash: String,
}

impl Print {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Self::of_first(file, PRINT_MAX as u64)
    }

    fn of_first(file: &File, most: u64) -> io::Result<Self> {
        let mut bytes = [0; PRINT_MAX];
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
        let mut length = 0;
        while length < most {
            match file.read_at(&mut bytes[length..most], length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        let digest = Sha256::digest(&bytes[..length]);
        let hash = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        Ok(Self {
            length: length as u64,
            hash: hash.collect(),
        })
    }

    /// Whether a file begins so. Nothing is the beginning of everything.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        Ok(Self::of_first(file, self.length)? == *self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether more of the file would make it surer.
    pub(super) fn is_short(&self) -> bool {
        self.length < PRINT_MAX as u64
    }
}

/// What is kept of a file over the end of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// By which it was found first: its stream has its name from it.
    pub(super) name: PathBuf,
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) is_inside: bool,
    /// See [`Place`].
    #[serde(default)]
    pub(super) last_at: Option<i64>,
    /// Up to here it was being sent, or may have been, without an answer.
    pub(super) sending: Option<u64>,
    pub(super) print: Print,
    /// When it was last written down, in seconds.
    pub(super) seen: i64,
}

impl Kept {
    /// Whether what is read next may belong to what was read before.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        (now.seconds() - self.seen).abs() <= FRESH
    }
}

/// What goes into the next request; reads no further than `until`.
pub(super) fn read(
    file: &File,
    rules: &mut Rules,
    place: Place,
    until: u64,
    bytes_max: usize,
    (now, end): (Timestamp, End),
) -> io::Result<Taken> {
    let mut assembler = Assembler::new(rules, place, now, bytes_max);
    let mut chunk = vec![0; CHUNK];
    let mut offset = place.offset;
    let most = until.min(place.offset + READ_MAX);
    while offset < most {
        let room = usize::try_from(most - offset).unwrap_or(CHUNK).min(CHUNK);
        let read = match file.read_at(&mut chunk[..room], offset) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        offset += read as u64;
        if !assembler.feed(&chunk[..read]) {
            break;
        }
    }
    // More follows than may be read at once. What is longer than that ends there.
    let end = match most < until {
        true if assembler.is_stuck(place) => End::Quiet,
        true => End::Open,
        false => end,
    };
    Ok(assembler.end(end))
}

/// The files of a folder.
pub(super) fn by_id(folder: &Path) -> BTreeMap<FileId, PathBuf> {
    let paths = folder.read_dir().into_iter().flatten().flatten();
    let paths = paths.map(|entry| entry.path());
    let known = paths.filter_map(|path| Some((FileId::of(&std::fs::metadata(&path).ok()?), path)));
    known.collect()
}

/// The file that is called something else now, in the folder where it was.
pub(super) fn renamed(
    folders: &mut BTreeMap<PathBuf, BTreeMap<FileId, PathBuf>>,
    path: &Path,
    id: FileId,
) -> Option<PathBuf> {
    let folder = path.parent()?.to_owned();
    let files = folders
        .entry(folder)
        .or_insert_with_key(|folder| by_id(folder));
    files.get(&id).filter(|found| *found != path).cloned()
}

/// What is in the folder of a file and not the file.
fn siblings(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = path.parent().and_then(|folder| folder.read_dir().ok());
    let entries = entries.into_iter().flatten().flatten();
    let path = path.to_owned();
    entries
        .map(|entry| entry.path())
        .filter(move |other| *other != path)
}

/// A copy of what a file was, before it was emptied: it is named after the file, and begins like it. Of several that begin alike
/// it is the first that was made since the file was last seen; or if they bear other times, the last one.
pub(super) fn copy_of(
    path: &Path,
    id: FileId,
    before: &Kept,
    seen_at: Timestamp,
) -> Option<(PathBuf, File)> {
    let copies = siblings(path).filter_map(|other| {
        let is_named = mark_of_copy(&other, path).is_some();
        let metadata = is_named.then(|| std::fs::metadata(&other).ok()).flatten()?;
        let is_whole = metadata.is_file() && metadata.len() >= before.offset;
        let fits = is_whole && FileId::of(&metadata) != id;
        let file = fits.then(|| File::open(&other).ok()).flatten()?;
        let is_alike = before.print.is_of(&file).unwrap_or(false);
        is_alike.then_some((metadata.mtime(), other, file))
    });
    let mut copies: Vec<_> = copies.collect();
    copies.sort_by_key(|(modified, ..)| *modified);
    // It is looked at each second.
    let is_since = |(modified, ..): &(i64, _, _)| *modified >= seen_at.seconds() - 2;
    let last = copies.len().checked_sub(1)?;
    let place = copies.iter().position(is_since).unwrap_or(last);
    let (_, path, file) = copies.swap_remove(place);
    Some((path, file))
}

/// What tells the name of a copy from that of the file in the same folder: `.1` of `app.log.1`, or where the ending is kept, of
/// `app.1.log`. `None` if it cannot be a copy.
pub(super) fn mark_of_copy<'a>(copy: &'a Path, of: &Path) -> Option<&'a [u8]> {
    if copy.parent() != of.parent() {
        return None;
    }
    let copy = copy.file_name()?.as_encoded_bytes();
    let name = of.file_name()?.as_encoded_bytes();
    let mark = copy.strip_prefix(name).filter(|mark| is_mark(mark));
    mark.or_else(|| {
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let (stem, ending) = name.split_at(dot);
        let mark = copy.strip_prefix(stem)?.strip_suffix(ending)?;
        (is_mark(mark) && is_number(mark)).then_some(mark)
    })
}

/// Every file of which one may be the copy, by its name: see [`mark_of_copy`].
pub(super) fn originals(copy: &Path) -> Vec<PathBuf> {
    let name = copy.file_name().unwrap_or_default().as_encoded_bytes();
    let ends = (1..name.len()).filter(|end| is_mark(&name[*end..]));
    let mut names: Vec<Vec<u8>> = ends.map(|end| name[..end].to_vec()).collect();
    if let Some(dot) = name.iter().rposition(|byte| *byte == b'.') {
        let (head, ending) = name.split_at(dot);
        let ends = (1..dot).rev().take_while(|end| is_number(&head[*end..]));
        let ends = ends.filter(|end| is_mark(&head[*end..]));
        names.extend(ends.map(|end| [&head[..end], ending].concat()));
    }
    let in_folder = |name| copy.with_file_name(OsString::from_vec(name));
    names.into_iter().map(in_folder).collect()
}

/// Whether what follows a name is not just more of the name.
fn is_mark(mark: &[u8]) -> bool {
    mark.first()
        .is_some_and(|byte| !byte.is_ascii_alphanumeric())
}

/// Whether it is as `logrotate` counts or dates.
fn is_number(mark: &[u8]) -> bool {
    let mut bytes = mark.iter();
    bytes.all(|byte| byte.is_ascii_digit() || b".-_".contains(byte))
}

/// Copies of a file that were made after another one, oldest first: of what it was between two times that it was emptied.
pub(super) fn later_copies(path: &Path, than: &Metadata) -> Vec<(PathBuf, File)> {
    let Ok(since) = than.modified() else {
        return Vec::new();
    };
    let mut copies: Vec<_> = siblings(path)
        .filter_map(|other| {
            let is_named = mark_of_copy(&other, path).is_some_and(is_number);
            let metadata = is_named.then(|| std::fs::metadata(&other).ok()).flatten()?;
            let modified = metadata.modified().ok()?;
            let is_later = modified >= since && FileId::of(&metadata) != FileId::of(than);
            let is_copy = metadata.is_file() && is_later;
            let file = is_copy.then(|| File::open(&other).ok()).flatten()?;
            Some((modified, other, file))
        })
        .collect();
    copies.sort_by_key(|(modified, ..)| *modified);
    let copies = copies.into_iter();
    copies.map(|(_, path, file)| (path, file)).collect()
}

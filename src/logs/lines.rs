//! From the bytes of a file to events.

use regex_lite::Regex;

use crate::aws::NewEvent;
use crate::config::{LogFiles, LogFilter, TIMESTAMP};
use crate::metric::Timestamp;

use super::batch::{Batch, EVENT_MAX, cut};
use super::time::Times;

/// CloudWatch Logs takes nothing older or further ahead than this, in seconds.
const OLD_MAX: i64 = 14 * 86_400;
const AHEAD_MAX: i64 = 2 * 3_600;

/// What becomes of lines.
#[derive(Debug)]
pub(super) struct Rules {
    start: Start,
    filter: Filter,
    times: Option<Times>,
}

/// Where an event begins.
#[derive(Debug)]
enum Start {
    EveryLine,
    AtTime,
    Pattern(Regex),
}

/// Which events are sent.
#[derive(Debug)]
pub(super) struct Filter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Filter {
    pub(super) fn new(filter: &LogFilter) -> Self {
        // The configuration has been checked.
        let all = |patterns: &[String]| {
            let patterns = patterns.iter();
            patterns.filter_map(|it| Regex::new(it).ok()).collect()
        };
        Self {
            include: all(&filter.include),
            exclude: all(&filter.exclude),
        }
    }

    pub(super) fn passes(&self, text: &str) -> bool {
        let matches = |patterns: &[Regex]| patterns.iter().any(|it| it.is_match(text));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }
}

impl Rules {
    pub(super) fn new(files: &LogFiles) -> Self {
        let times = files.timestamp_format.as_ref();
        let start = match files.multi_line_start.as_deref() {
            None => Start::EveryLine,
            Some(TIMESTAMP) => Start::AtTime,
            Some(pattern) => Regex::new(pattern).map_or(Start::EveryLine, Start::Pattern),
        };
        Self {
            start,
            filter: Filter::new(&files.filter),
            times: times.map(|format| Times::new(format, &files.timezone)),
        }
    }

    fn begins(&mut self, line: &str, now: Timestamp) -> bool {
        match &self.start {
            Start::EveryLine => true,
            Start::AtTime => self.time(line, now).is_some(),
            Start::Pattern(pattern) => pattern.is_match(line),
        }
    }

    fn time(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        self.times.as_mut()?.find(line, now)
    }
}

/// How far a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// It is in the middle of a line whose start was sent already, because the line is too long.
    pub(super) is_inside: bool,
    /// The time of the event before, in milliseconds, if the reading that ended there had one that said its time: lines without
    /// one belong to it.
    pub(super) last_at: Option<i64>,
}

/// What happened to lines on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) filtered: usize,
    pub(super) too_old: usize,
    pub(super) too_new: usize,
    pub(super) invalid_utf8: usize,
    pub(super) too_long: usize,
}

/// What goes into one request.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) batch: Batch,
    pub(super) counts: Counts,
    /// Where the next one begins.
    pub(super) place: Place,
}

impl Taken {
    pub(super) fn nothing(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }
}

/// A line, or an event of several, as it is sent.
#[derive(Debug)]
struct Event {
    message: String,
    /// Something of it was cut off.
    is_cut: bool,
    /// Something of it was no text.
    is_invalid: bool,
}

impl Event {
    fn go_on(&mut self, line: &Self) {
        self.message.push('\n');
        self.message.push_str(&line.message);
        self.is_cut |= line.is_cut | cut(&mut self.message, EVENT_MAX);
        self.is_invalid |= line.is_invalid;
    }
}

/// How a reading ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// More may come, also to the last event.
    Open,
    /// Nothing has come for a while: the last event is complete, a line without its end is not.
    Quiet,
    /// Nothing comes any more.
    Closed,
}

/// Takes events from bytes until a batch is full.
#[derive(Debug)]
pub(super) struct Assembler<'a> {
    rules: &'a mut Rules,
    now: Timestamp,
    taken: Taken,
    is_full: bool,
    /// Of the byte that comes next.
    offset: u64,
    line: Vec<u8>,
    line_start: u64,
    /// The line is longer than what was kept of it.
    is_cut: bool,
    /// The event whose end is not known yet.
    open: Option<Event>,
    /// The time of the last event that said its time, and that if it was in this reading.
    last_at: Option<Timestamp>,
    said_at: Option<i64>,
}

impl<'a> Assembler<'a> {
    /// The batch will have `bytes_max` at most.
    pub(super) fn new(
        rules: &'a mut Rules,
        place: Place,
        now: Timestamp,
        bytes_max: usize,
    ) -> Self {
        Self {
            rules,
            now,
            taken: Taken {
                batch: Batch::new(bytes_max),
                place,
                ..Taken::default()
            },
            is_full: false,
            offset: place.offset,
            line: Vec::new(),
            line_start: place.offset,
            is_cut: false,
            open: None,
            last_at: place.last_at.map(Timestamp::from_milliseconds),
            said_at: None,
        }
    }

    /// Whether more is wanted.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !self.is_full {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.taken.place.is_inside {
                let room = EVENT_MAX.saturating_sub(self.line.len());
                self.is_cut |= part.len() > room;
                self.line.extend_from_slice(&part[..part.len().min(room)]);
            }
            let read = part.len() + usize::from(end.is_some());
            self.offset += read as u64;
            bytes = &bytes[read..];
            if end.is_some() {
                self.end_line();
            }
        }
        !self.is_full
    }

    /// The line ends at the present offset.
    fn end_line(&mut self) {
        if self.taken.place.is_inside {
            (self.taken.place.offset, self.taken.place.is_inside) = (self.offset, false);
        } else {
            let line = self.take_line();
            if self.rules.begins(&line.message, self.now) {
                self.emit(self.line_start);
                self.open = Some(line);
            } else if let Some(open) = &mut self.open {
                open.go_on(&line);
            } else {
                self.open = Some(line);
            }
            if matches!(self.rules.start, Start::EveryLine) {
                self.emit(self.offset);
            }
        }
        self.line_start = self.offset;
    }

    fn take_line(&mut self) -> Event {
        let mut bytes = std::mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let (mut text, is_invalid) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                // Of what was cut the last character may be half.
                let is_end = error.utf8_error().error_len().is_none() && self.is_cut;
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (text, !is_end)
            }
        };
        let is_cut = std::mem::take(&mut self.is_cut) | cut(&mut text, EVENT_MAX);
        Event {
            message: text,
            is_cut,
            is_invalid,
        }
    }

    /// The open event, if there is one, ends at an offset.
    fn emit(&mut self, end: u64) {
        let Some(open) = self.open.take().filter(|_| !self.is_full) else {
            return;
        };
        let Event {
            message,
            is_cut,
            is_invalid,
        } = open;
        let found = self.rules.time(&message, self.now);
        let at = found.or(self.last_at).unwrap_or(self.now);
        let counts = &mut self.taken.counts;
        if !self.rules.filter.passes(&message) {
            counts.filtered += 1;
        } else if at < self.now - OLD_MAX {
            counts.too_old += 1;
        } else if at > self.now + AHEAD_MAX {
            counts.too_new += 1;
        } else if !message.is_empty() {
            if !self.taken.batch.push(NewEvent { at, message }) {
                self.is_full = true;
                return;
            }
            counts.too_long += usize::from(is_cut);
            counts.invalid_utf8 += usize::from(is_invalid);
        }
        self.taken.place.offset = end;
        if found.is_some() {
            (self.last_at, self.said_at) = (found, Some(at.milliseconds()));
        }
        self.taken.place.last_at = self.said_at;
    }

    /// Whether nothing has come of what was read.
    pub(super) fn is_stuck(&self, place: Place) -> bool {
        !self.is_full && self.taken.place == place
    }

    pub(super) fn end(mut self, end: End) -> Taken {
        // What follows is read again, from where the batch ends.
        if self.is_full {
            return self.taken;
        }
        let is_too_long = self.is_cut;
        if is_too_long || end == End::Closed && !self.line.is_empty() {
            self.end_line();
        }
        if is_too_long || end != End::Open {
            self.emit(self.line_start);
        }
        if is_too_long && !self.is_full {
            self.taken.place.is_inside = end != End::Closed;
        }
        // What is not sent of a line has been dealt with.
        if self.taken.place.is_inside {
            self.taken.place.offset = self.offset;
        }
        self.taken
    }
}

#[cfg(test)]
pub(super) mod tests;

//! `cwbridge logs tail`

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::aws::{EventsAsked, FoundEvent, Logs};
use crate::clock;
use crate::metric::Timestamp;
use crate::replay::instant;

use super::super::{Exit, Service, cannot_write, complain};
use super::{Format, Trouble, connect, json_line};

/// How often it is asked for what is new. `FilterLogEvents` may be called some five times a second, by all of an account.
const INTERVAL: Duration = Duration::from_secs(2);

/// And how seldom, where it fails.
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Events may come to be found later than others that are newer, by so many seconds.
const LATE_MAX: i64 = 60;

/// Where nothing was found, what is older than this is not asked for again, in seconds: only what is sent very late is missed.
const EMPTY_MAX: i64 = 600;

/// The most events that are remembered as having been shown.
const SHOWN_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[arg(value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    group: String,
    /// From so long ago on [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "start")]
    since: Option<Duration>,
    /// From then on: RFC 3339 or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<Timestamp>,
    /// Until then, not included
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "follow")]
    end: Option<Timestamp>,
    /// Only events that match the filter pattern of CloudWatch Logs, such as `"ERROR"` or `{ $.detail.state.value = "ALARM" }`
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    filter: Option<String>,
    /// Only streams whose names begin so
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    stream_prefix: Option<String>,
    /// Go on with the events to come, until interrupted
    #[arg(long, short)]
    follow: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Whether times and streams are coloured
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    #[command(flatten)]
    service: Service,
}

const SINCE_DEFAULT: Duration = Duration::from_mins(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Colour {
    /// On a terminal
    Auto,
    Always,
    Never,
}

pub(super) async fn run(args: &Args, out: &mut impl Write) -> Result<Exit, Trouble> {
    let since = args.since.unwrap_or(SINCE_DEFAULT);
    let since = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let start = args.start.unwrap_or_else(|| clock::now() - since);
    if let Some(end) = args.end.filter(|end| *end <= start) {
        return Err(vec![format!(
            "it begins at {start}, which is not before the end, {end}"
        )]);
    }
    let asked = EventsAsked {
        group: args.group.clone(),
        stream_prefix: args.stream_prefix.clone(),
        pattern: args.filter.clone(),
        start: Some(start),
        end: args.end,
    };
    let mut reader = Reader {
        logs: connect(&args.service).await?,
        asked,
        shown: Shown::default(),
        printer: Printer::new(args),
    };
    if !args.follow {
        reader.read(out).await?;
        return Ok(Exit::Done);
    }
    tokio::select! {
        trouble = reader.follow(out) => Err(trouble),
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
    }
}

/// What was shown already.
#[derive(Debug, Default)]
struct Shown {
    /// In the order of time, with what tells them apart.
    events: BTreeSet<(Timestamp, String)>,
    newest: Option<Timestamp>,
    /// Not all of what happened until then is remembered.
    forgotten: Option<Timestamp>,
}

impl Shown {
    /// Whether it was not shown before.
    fn add(&mut self, event: &FoundEvent) -> bool {
        let key = (event.at, event.id.clone());
        if !self.events.insert(key) {
            return false;
        }
        self.newest = self.newest.max(Some(event.at));
        if self.events.len() > SHOWN_MAX
            && let Some((at, _)) = self.events.pop_first()
        {
            self.forgotten = self.forgotten.max(Some(at));
        }
        true
    }

    /// From when on it is to be asked for what is new: some of that was shown, and is known again.
    fn start(&self, now: Timestamp) -> Timestamp {
        // What is told to come from the future does not hide what comes until then.
        let late = self
            .newest
            .map_or(now - EMPTY_MAX, |newest| newest.min(now) - LATE_MAX);
        let after = |at: Timestamp| Timestamp::from_milliseconds(at.milliseconds() + 1);
        self.forgotten.map_or(late, |at| late.max(after(at)))
    }

    /// Forgets what is not asked for again.
    fn forget_before(&mut self, start: Timestamp) {
        self.events = self.events.split_off(&(start, String::new()));
    }
}

/// Why reading ended.
enum Failed {
    ToRead(String),
    ToWrite(Trouble),
}

struct Reader {
    logs: Logs,
    asked: EventsAsked,
    shown: Shown,
    printer: Printer,
}

impl Reader {
    /// Shows what comes until that is not possible any more. What is wrong at first is taken to stay wrong; what goes wrong
    /// later is waited for.
    async fn follow(&mut self, out: &mut impl Write) -> Trouble {
        if let Err(trouble) = self.read(out).await {
            return trouble;
        }
        let (mut told, mut wait) = (None, INTERVAL);
        loop {
            tokio::time::sleep(wait).await;
            let trouble = self.page_by_page(out).await;
            match trouble {
                Ok(()) => (told, wait) = (None, INTERVAL),
                Err(Failed::ToWrite(trouble)) => return trouble,
                Err(Failed::ToRead(error)) => {
                    wait = (wait * 2).min(INTERVAL_MAX);
                    if told.as_ref() != Some(&error) {
                        complain(&[format!("{error}; it is tried again")]);
                        told = Some(error);
                    }
                }
            }
        }
    }

    async fn read(&mut self, out: &mut impl Write) -> Result<(), Trouble> {
        let read = self.page_by_page(out).await;
        read.map_err(|failed| match failed {
            Failed::ToRead(error) => vec![error],
            Failed::ToWrite(trouble) => trouble,
        })
    }

    /// Shows what is new: on each page they are in the order of time.
    async fn page_by_page(&mut self, out: &mut impl Write) -> Result<(), Failed> {
        let mut token = None;
        loop {
            let page = self.logs.events(&self.asked, token).await;
            let (events, next) = page.map_err(Failed::ToRead)?;
            for event in &events {
                if self.shown.add(event) {
                    let printed = self.printer.print(event, out);
                    printed.map_err(Failed::ToWrite)?;
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        let flushed = out.flush().map_err(cannot_write);
        flushed.map_err(Failed::ToWrite)?;
        let start = self.shown.start(clock::now());
        if Some(start) > self.asked.start {
            self.asked.start = Some(start);
            self.shown.forget_before(start);
        }
        Ok(())
    }
}

/// As the API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    log_stream_name: &'a str,
    timestamp: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_time: Option<i64>,
    event_id: &'a str,
}

struct Printer {
    format: Format,
    is_coloured: bool,
    /// The colour of each stream, in the order in which they came.
    colours: BTreeMap<String, usize>,
}

/// ANSI's cyan, green, magenta, yellow, blue.
const COLOURS: [u8; 5] = [36, 32, 35, 33, 34];

impl Printer {
    fn new(args: &Args) -> Self {
        let is_coloured = match args.color {
            Colour::Auto => io::stdout().is_terminal(),
            Colour::Always => true,
            Colour::Never => false,
        };
        Self {
            format: args.format,
            is_coloured,
            colours: BTreeMap::new(),
        }
    }

    fn print(&mut self, event: &FoundEvent, out: &mut impl Write) -> Result<(), Trouble> {
        let FoundEvent {
            id,
            stream,
            at,
            taken_at,
            message,
        } = event;
        if self.format == Format::Json {
            let json = EventJson {
                log_stream_name: stream,
                timestamp: at.milliseconds(),
                message,
                ingestion_time: taken_at.map(Timestamp::milliseconds),
                event_id: id,
            };
            return json_line(out, &json);
        }
        let (at, message) = (at.in_history(), plain(message.trim_end()));
        let name = plain_line(stream);
        let told = if self.is_coloured {
            let next = self.colours.len();
            let place = *self.colours.entry(stream.clone()).or_insert(next);
            let colour = COLOURS[place % COLOURS.len()];
            writeln!(
                out,
                "\x1b[2m{at}\x1b[0m \x1b[{colour}m{name}\x1b[0m {message}"
            )
        } else {
            writeln!(out, "{at} {name} {message}")
        };
        told.map_err(cannot_write)
    }
}

/// The same of what stands in one line: streams may be called by files.
pub(super) fn plain_line(name: &str) -> String {
    plain(name).replace(['\n', '\t'], "\u{fffd}")
}

/// Without what would do something to a terminal: whoever writes to a log may not be who reads it.
fn plain(message: &str) -> String {
    let shown = |it: char| match it {
        '\n' | '\t' => it,
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    message.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, at: i64) -> FoundEvent {
        FoundEvent {
            id: id.to_owned(),
            stream: "web".to_owned(),
            at: Timestamp::from_seconds(at),
            taken_at: None,
            message: "a\x1b[31mb\n".to_owned(),
        }
    }

    #[test]
    fn an_event_is_shown_once_also_where_it_is_found_again() {
        let mut shown = Shown::default();
        assert!(shown.add(&event("1", 100)));
        assert!(shown.add(&event("2", 90)), "it was found late");
        assert!(!shown.add(&event("1", 100)));
        assert_eq!(shown.newest, Some(Timestamp::from_seconds(100)));
        shown.forget_before(Timestamp::from_seconds(95));
        assert_eq!(shown.events.len(), 1);
        assert!(!shown.add(&event("1", 100)));
    }

    #[test]
    fn what_is_too_much_to_be_remembered_is_not_shown_again() {
        let mut shown = Shown::default();
        let at = |it: usize| i64::try_from(it).unwrap();
        for it in 0..SHOWN_MAX + 10 {
            assert!(shown.add(&event(&it.to_string(), at(it))));
        }
        assert_eq!(shown.events.len(), SHOWN_MAX);
        let end = Timestamp::from_seconds(at(SHOWN_MAX + 9));
        assert_eq!(Shown::default().start(end), end - EMPTY_MAX);
        assert_eq!(shown.start(end), end - LATE_MAX);
        // So many at the same time.
        for it in 0..SHOWN_MAX + 10 {
            assert!(shown.add(&event(&format!("more {it}"), at(SHOWN_MAX))));
        }
        let after = shown.start(end).milliseconds();
        assert_eq!(after, at(SHOWN_MAX) * 1_000 + 1);
        assert!(!shown.add(&event("more 99999", at(SHOWN_MAX))));
    }

    #[test]
    fn only_this_program_speaks_to_the_terminal() {
        let mut printer = Printer {
            format: Format::Text,
            is_coloured: true,
            colours: BTreeMap::new(),
        };
        let mut out = Vec::new();
        printer.print(&event("1", 100), &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let expected = "\x1b[2m1970-01-01T00:01:40.000Z\x1b[0m \x1b[36mweb\x1b[0m a\u{fffd}[31mb\n";
        assert_eq!(told, expected);
    }
}

//! `cwbridge logs tail`

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::aws::{EventsAsked, FoundEvent, Logs};
use crate::clock;
use crate::metric::Timestamp;
use crate::replay::instant;

use super::super::{Exit, cannot_write};
use super::{Format, Service, Trouble, json_line};

/// How often it is asked for what is new. `FilterLogEvents` may be called some five times a second, by all of an account.
const INTERVAL: Duration = Duration::from_secs(2);

/// Events may come to be found later than others that are newer, by so many seconds.
const LATE_MAX: i64 = 60;

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
        logs: args.service.connect().await?,
        asked,
        shown: Shown::default(),
        printer: Printer::new(args),
    };
    reader.read(out).await?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => reader.read(out).await?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

/// What was shown already.
#[derive(Debug, Default)]
struct Shown {
    ids: HashSet<String>,
    order: VecDeque<(Timestamp, String)>,
    newest: Option<Timestamp>,
}

impl Shown {
    /// Whether it was not shown before.
    fn add(&mut self, event: &FoundEvent) -> bool {
        let is_new = self.ids.insert(event.id.clone());
        if is_new {
            self.order.push_back((event.at, event.id.clone()));
            self.newest = self.newest.max(Some(event.at));
        }
        if self.order.len() > SHOWN_MAX
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        is_new
    }

    /// Forgets what is not asked for again.
    fn forget_before(&mut self, start: Timestamp) {
        let ids = &mut self.ids;
        self.order.retain(|(at, id)| {
            let stays = *at >= start;
            if !stays {
                ids.remove(id);
            }
            stays
        });
    }
}

struct Reader {
    logs: Logs,
    asked: EventsAsked,
    shown: Shown,
    printer: Printer,
}

impl Reader {
    /// Shows what is new, page by page: on each they are in the order of time.
    async fn read(&mut self, out: &mut impl Write) -> Result<(), Trouble> {
        let mut token = None;
        loop {
            let page = self.logs.events(&self.asked, token).await;
            let (events, next) = page.map_err(|error| vec![error])?;
            for event in &events {
                if self.shown.add(event) {
                    self.printer.print(event, out)?;
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        out.flush().map_err(cannot_write)?;
        // What is told to come from the future does not hide what comes until then.
        let newest = self.shown.newest.map(|newest| newest.min(clock::now()));
        let start = newest.map(|newest| newest - LATE_MAX);
        if let Some(start) = start.filter(|start| Some(*start) > self.asked.start) {
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
        let told = if self.is_coloured {
            let next = self.colours.len();
            let place = *self.colours.entry(stream.clone()).or_insert(next);
            let colour = COLOURS[place % COLOURS.len()];
            writeln!(
                out,
                "\x1b[2m{at}\x1b[0m \x1b[{colour}m{stream}\x1b[0m {message}"
            )
        } else {
            writeln!(out, "{at} {stream} {message}")
        };
        told.map_err(cannot_write)
    }
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
        assert_eq!(shown.ids.len(), 1);
        assert!(!shown.add(&event("1", 100)));
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

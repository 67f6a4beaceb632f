//! `cwbridge logs`

mod tail;

use std::collections::BTreeMap;
use std::io::Write;

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;

use crate::aws::{LogGroup, LogStream, Logs};
use crate::config::retention;
use crate::metric::Timestamp;

use super::{Exit, Service, cannot_write, complain, runtime};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the groups, by name
    Groups(GroupsArgs),
    /// Create a group, unless it is there already
    Create(CreateArgs),
    /// List the streams of a group, the last written first
    Streams(StreamsArgs),
    /// Show the events of a group as they happened, and those to come
    Tail(tail::Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct GroupsArgs {
    /// Only groups whose names begin so
    #[arg(value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    service: Service,
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    #[arg(value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// How long events are kept, such as `30d` [default: for ever]
    #[arg(long, value_parser = retention)]
    retention: Option<i32>,
    /// A tag of the group
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = super::load::parameter)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    service: Service,
}

#[derive(Debug, clap::Args)]
pub(super) struct StreamsArgs {
    #[arg(value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    group: String,
    /// Only streams whose names begin so
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    prefix: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// One object in each line, with the members that the API has
    Json,
}

/// What goes wrong on the way.
type Trouble = Vec<String>;

pub(super) fn run(command: Command, out: &mut impl Write) -> Exit {
    let done = match runtime() {
        Err(problem) => Err(vec![problem]),
        Ok(runtime) => runtime.block_on(async {
            match command {
                Command::Groups(args) => groups(&args, out).await,
                Command::Create(args) => create(&args, out).await,
                Command::Streams(args) => streams(&args, out).await,
                Command::Tail(args) => tail::run(&args, out).await,
            }
        }),
    };
    done.unwrap_or_else(|problems| {
        complain(&problems);
        Exit::CouldNotStart
    })
}

async fn connect(service: &Service) -> Result<Logs, Trouble> {
    let region = service.region().await.map_err(|problem| vec![problem])?;
    Ok(Logs::connect(&region, service.endpoint_url.as_deref()).await)
}

/// As the API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson<'a> {
    log_group_name: &'a str,
    arn: &'a str,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_in_days: Option<i32>,
    stored_bytes: i64,
}

/// As the API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamJson<'a> {
    log_stream_name: &'a str,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<i64>,
}

fn json_line(out: &mut impl Write, object: &impl Serialize) -> Result<(), Trouble> {
    let text = serde_json::to_string(object).map_err(|error| vec![error.to_string()])?;
    writeln!(out, "{text}").map_err(cannot_write)
}

async fn groups(args: &GroupsArgs, out: &mut impl Write) -> Result<Exit, Trouble> {
    let (logs, mut token) = (connect(&args.service).await?, None);
    loop {
        let page = logs.groups(args.prefix.as_deref(), token).await;
        let (groups, next) = page.map_err(|error| vec![error])?;
        for group in &groups {
            tell_group(args.format, group, out)?;
        }
        token = next;
        if token.is_none() {
            return Ok(Exit::Done);
        }
    }
}

fn tell_group(format: Format, group: &LogGroup, out: &mut impl Write) -> Result<(), Trouble> {
    if format == Format::Json {
        let json = GroupJson {
            log_group_name: &group.name,
            arn: &group.arn,
            creation_time: group.created.milliseconds(),
            retention_in_days: group.retention,
            stored_bytes: group.stored_bytes,
        };
        return json_line(out, &json);
    }
    let kept = kept(group);
    let bytes = u64::try_from(group.stored_bytes).unwrap_or(0);
    let size = bytesize::ByteSize::b(bytes).display().si();
    let (name, created) = (&group.name, group.created);
    writeln!(out, "{name}  created {created}, kept {kept}, {size}").map_err(cannot_write)
}

fn kept(group: &LogGroup) -> String {
    match group.retention {
        Some(1) => "1 day".to_owned(),
        Some(days) => format!("{days} days"),
        None => "for ever".to_owned(),
    }
}

async fn create(args: &CreateArgs, out: &mut impl Write) -> Result<Exit, Trouble> {
    let (logs, name) = (connect(&args.service).await?, &args.name);
    let tags: BTreeMap<String, String> = args.tags.iter().cloned().collect();
    let failed = |what: &str, failure: &crate::aws::Failure| {
        vec![format!("{what} `{name}`: {}", failure.message())]
    };
    let created = logs.create_group(name, &tags).await;
    let created = created.map_err(|failure| failed("CreateLogGroup", &failure))?;
    if let (true, Some(days)) = (created, args.retention) {
        let put = logs.put_retention(name, days).await;
        let what = "the group is created, and keeps its events for ever: PutRetentionPolicy";
        put.map_err(|failure| failed(what, &failure))?;
    }
    let told = match created {
        true => "is created".to_owned(),
        false => already(&logs, name).await,
    };
    writeln!(out, "`{name}` {told}").map_err(cannot_write)?;
    Ok(Exit::Done)
}

/// Of a group that is not created. It may be one of a moment ago, of which the answer was lost.
async fn already(logs: &Logs, name: &str) -> String {
    let page = logs.groups(Some(name), None).await;
    let (groups, _) = page.unwrap_or_default();
    let group = groups.iter().find(|group| group.name == *name);
    let keeps = group.map(|group| format!(", and keeps its events {}", kept(group)));
    let keeps = keeps.unwrap_or_default();
    format!("is there already{keeps}; its retention and tags are as they were")
}

async fn streams(args: &StreamsArgs, out: &mut impl Write) -> Result<Exit, Trouble> {
    let (logs, mut token, mut all) = (connect(&args.service).await?, None, Vec::new());
    loop {
        let page = logs.streams(&args.group, args.prefix.as_deref(), token);
        let (mut streams, next) = page.await.map_err(|error| vec![error])?;
        token = next;
        match args.prefix {
            // These come by name, and have to be sorted.
            Some(_) => all.append(&mut streams),
            None => tell_streams(args.format, &streams, out)?,
        }
        if token.is_none() {
            break;
        }
    }
    all.sort_by_key(|stream| std::cmp::Reverse(stream.last_event));
    tell_streams(args.format, &all, out)?;
    Ok(Exit::Done)
}

fn tell_streams(
    format: Format,
    streams: &[LogStream],
    out: &mut impl Write,
) -> Result<(), Trouble> {
    for stream in streams {
        if format == Format::Json {
            let json = StreamJson {
                log_stream_name: &stream.name,
                creation_time: stream.created.milliseconds(),
                first_event_timestamp: stream.first_event.map(Timestamp::milliseconds),
                last_event_timestamp: stream.last_event.map(Timestamp::milliseconds),
            };
            json_line(out, &json)?;
            continue;
        }
        let name = tail::plain_line(&stream.name);
        let told = match stream.last_event {
            Some(last) => writeln!(out, "{name}  last event {last}"),
            None => writeln!(out, "{name}  no event yet"),
        };
        told.map_err(cannot_write)?;
    }
    Ok(())
}

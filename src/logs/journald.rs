//! The journal of systemd, as `journalctl` tells it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::clock;
use crate::config::{StartAt, SystemdJournal};
use crate::journal::{LogProgress, POSITIONS_UNKNOWN};
use crate::keeper::Handle;
use crate::metric::Timestamp;
use crate::stats::Stats;

use super::batch::Batch;
use super::entries::{Entry, Lines, entry, message_of};
use super::lines::Filter;
use super::ship::{Backoff, Fate, Shipper, Stream};

/// What the metrics call it.
pub(super) const SOURCE: &str = "journald";

const PROGRAM: &str = "journalctl";

/// What the program says if there is nothing.
const NO_ENTRIES: &[u8] = b"-- No entries --";

/// How long events wait for more.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Between attempts to start the program.
const RESTART: Duration = Duration::from_mins(1);

/// The most text of what the program complains of.
const COMPLAINT_MAX: usize = 1_000;

/// How far it is read, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    cursor: Option<String>,
    /// Up to here it was being sent, or may have been, without an answer.
    sending: Option<String>,
    /// What happened before may have been sent by an earlier program; in seconds.
    #[serde(default)]
    unknown_until: Option<i64>,
    /// Where it is sent: group and stream.
    #[serde(default)]
    stream: Option<(String, String)>,
    /// When what the cursor stands for happened, in milliseconds.
    #[serde(default)]
    at: Option<i64>,
}

/// Sends what is new in the journal.
pub(super) struct Follower {
    pub(super) config: SystemdJournal,
    pub(super) stream: Stream,
    pub(super) shipper: Arc<Shipper>,
    pub(super) keeper: Handle,
    pub(super) stats: Arc<Stats>,
    /// What an earlier program left.
    pub(super) positions: Arc<BTreeMap<String, String>>,
    /// Under which positions are kept of all that is configured.
    pub(super) keys: Arc<BTreeSet<String>>,
}

/// Under which it is kept how far a selection is sent to a stream.
pub(super) fn key(config: &SystemdJournal, stream: &Stream) -> String {
    let (units, priority) = (config.units.join(" "), &config.priority);
    let priority = priority.as_deref().unwrap_or_default();
    let (group, name) = (&stream.group, &stream.name);
    format!("journald {group} {name} {priority} {units}")
}

impl Follower {
    pub(super) async fn run(self, mut ended: watch::Receiver<bool>) {
        let key = self.key();
        let kept = self.positions.get(&key);
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_str(text).ok());
        let kept = self.begin(&key, kept).await;
        let mut reading = Reading {
            filter: Filter::new(&self.config.filter),
            kept: kept.or_else(|| self.unknown()).unwrap_or_default(),
            follower: self,
            key,
            held: None,
            read_at: None,
            backoff: Backoff::default(),
            trouble: None,
        };
        loop {
            let followed = tokio::select! {
                followed = reading.follow() => followed,
                _ = ended.wait_for(|ended| *ended) => return,
            };
            reading.follower.stats.logs.journald_failed();
            if reading.trouble.as_ref() != Some(&followed) {
                warn!(
                    error = followed,
                    "the journal of systemd cannot be read; it is tried again"
                );
                reading.trouble = Some(followed);
            }
            tokio::select! {
                () = tokio::time::sleep(RESTART) => {}
                _ = ended.wait_for(|ended| *ended) => return,
            }
        }
    }

    /// What is to be kept where it is not known what an earlier program sent.
    fn unknown(&self) -> Option<Kept> {
        let is_unknown = self.positions.contains_key(POSITIONS_UNKNOWN);
        let is_unknown = is_unknown && !self.positions.contains_key(&self.key());
        is_unknown.then(|| Kept {
            unknown_until: Some(clock::now().seconds()),
            ..Kept::default()
        })
    }

    /// Writes that down.
    pub(super) async fn note_unknown(&self) {
        if let Some(kept) = self.unknown() {
            let text = serde_json::to_string(&kept).ok();
            let progress = LogProgress {
                positions: BTreeMap::from([(self.key(), text)]),
                written: None,
            };
            self.keeper.log_progress(progress).await;
        }
    }

    fn key(&self) -> String {
        key(&self.config, &self.stream)
    }

    /// A selection that was changed goes on where it was: else everything that systemd has would go to the same stream again.
    /// Positions of selections that are not configured any more go.
    async fn begin(&self, key: &str, kept: Option<Kept>) -> Option<Kept> {
        let (keys, others) = gone(&self.positions, &self.keys, &self.stream);
        let is_new = kept.is_none();
        let kept = kept.or_else(|| taken_over(others, clock::now()));
        if keys.is_empty() {
            return kept;
        }
        if let Some(Kept { cursor, .. }) = kept.as_ref().filter(|_| is_new) {
            info!(
                cursor,
                "what is sent of the journal of systemd has changed; it goes on where it was"
            );
        }
        let own = kept.as_ref().map(serde_json::to_string);
        let own = (key.to_owned(), own.and_then(Result::ok));
        let keys = keys.into_iter().map(|key| (key, None));
        let progress = LogProgress {
            positions: keys.chain([own]).collect(),
            written: None,
        };
        self.keeper.log_progress(progress).await;
        kept
    }

    fn arguments(&self, cursor: Option<&str>) -> Vec<String> {
        let mut arguments = vec![
            "--output=json".to_owned(),
            "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_COMM,_PID".to_owned(),
            "--no-pager".to_owned(),
            "--follow".to_owned(),
            "--no-tail".to_owned(),
            // Else long messages are left out, and what was written before the host was started anew.
            "--all".to_owned(),
            "--merge".to_owned(),
        ];
        // From that entry on, which is passed: `--after-cursor` would pass another one where a unit or a priority leaves it out.
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        arguments.extend(cursor.map(|cursor| format!("--cursor={cursor}")));
        let units = self.config.units.iter();
        arguments.extend(units.map(|unit| format!("--unit={unit}")));
        let priority = self.config.priority.iter();
        arguments.extend(priority.map(|priority| format!("--priority={priority}")));
        arguments.extend(of_this_machine());
        arguments
    }
}

/// The positions of selections that were sent to a stream and are not configured any more, with their keys.
fn gone(
    positions: &BTreeMap<String, String>,
    configured: &BTreeSet<String>,
    stream: &Stream,
) -> (Vec<String>, Vec<Kept>) {
    let others = positions.iter().filter_map(|(key, text)| {
        let is_gone = key.starts_with("journald ") && !configured.contains(key);
        let kept: Kept = serde_json::from_str(text).ok().filter(|_| is_gone)?;
        (kept.stream == Some(stream.key())).then(|| (key.clone(), kept))
    });
    others.unzip()
}

/// Where a new selection begins: of several before it, at the place of the one that was least far. What the others had sent, or
/// may have, may be sent again.
fn taken_over(others: Vec<Kept>, now: Timestamp) -> Option<Kept> {
    let ahead = match others.iter().any(|kept| kept.sending.is_some()) {
        true => Some(now.milliseconds()),
        false if others.len() > 1 => others.iter().filter_map(|kept| kept.at).max(),
        false => None,
    };
    let least = others.into_iter().min_by_key(|kept| kept.at)?;
    Some(Kept {
        unknown_until: least.unknown_until.max(ahead.map(|at| at / 1_000 + 1)),
        ..least
    })
}

struct Reading {
    filter: Filter,
    follower: Follower,
    kept: Kept,
    key: String,
    /// What did not fit into the batch before.
    held: Option<Entry>,
    /// When the last entry of the batch happened, in milliseconds.
    read_at: Option<i64>,
    backoff: Backoff,
    /// Why it was not read, if it was not.
    trouble: Option<String>,
}

impl Reading {
    /// Until the program ends, or cannot be started; returns why.
    async fn follow(&mut self) -> String {
        self.held = None;
        if self.kept.cursor.is_none() && self.follower.config.start_at == StartAt::End {
            // Written down at once: what comes from now on is not passed by a later start.
            match newest().await {
                Ok(cursor) => {
                    self.kept.at = Some(clock::now().milliseconds());
                    self.keep(Some(cursor), None).await;
                }
                Err(problem) => return problem,
            }
        }
        let cursor = self.kept.cursor.as_deref();
        let started = Command::new(PROGRAM)
            .args(self.follower.arguments(cursor))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return format!("`{PROGRAM}` cannot be started: {error}"),
        };
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return format!("`{PROGRAM}` has no output");
        };
        let said = tokio::spawn(beginning(err));
        let mut out = Lines::new(BufReader::new(out));
        while self.batch(&mut out).await {}
        complaint(child.wait().await, &said.await.unwrap_or_default())
    }

    /// Sends the next events. `false` if nothing more comes.
    async fn batch(&mut self, out: &mut Lines<BufReader<ChildStdout>>) -> bool {
        let (mut batch, mut cursor) = (Batch::new(self.backoff.bytes_max()), None);
        let (mut filtered, mut cut_entries) = (0, 0);
        let mut deadline = tokio::time::Instant::now();
        let mut is_again = self.kept.sending.is_some();
        let goes_on = loop {
            let next = match self.held.take() {
                Some(held) => Ok(Some(held)),
                None if cursor.is_none() => self.next(out).await,
                None => match tokio::time::timeout_at(deadline, self.next(out)).await {
                    Ok(next) => next,
                    Err(_) => break true,
                },
            };
            let Ok(Some(entry)) = next else {
                break false;
            };
            let unknown_until = self.kept.unknown_until;
            is_again |= unknown_until.is_some_and(|until| entry.event.at.seconds() < until);
            let is_wanted = self.filter.passes(&entry.event.message);
            if is_wanted && !batch.push(entry.event.clone()) {
                self.held = Some(entry);
                break true;
            }
            filtered += usize::from(!is_wanted);
            cut_entries += usize::from(is_wanted && entry.is_cut);
            self.read_at = Some(entry.event.at.milliseconds());
            // What may have been sent before is sent again by itself.
            let is_limit = self.kept.sending.as_ref() == Some(&entry.cursor);
            if cursor.replace(entry.cursor).is_none() {
                deadline = tokio::time::Instant::now() + WAIT_MAX;
            }
            if is_limit {
                break true;
            }
        };
        if let Some(cursor) = cursor {
            self.send(batch, is_again, cursor).await;
            let logs = &self.follower.stats.logs;
            logs.dropped(SOURCE, "filtered", filtered);
            logs.changed(SOURCE, "too_long", cut_entries);
        }
        goes_on
    }

    /// The next entry that can be read.
    async fn next(
        &mut self,
        out: &mut Lines<BufReader<ChildStdout>>,
    ) -> std::io::Result<Option<Entry>> {
        while let Some(line) = out.next().await? {
            match entry(&line) {
                Some(entry) if self.kept.cursor.as_ref() == Some(&entry.cursor) => {}
                Some(entry) => {
                    if self.trouble.take().is_some() {
                        info!("the journal of systemd is read again");
                    }
                    return Ok(Some(entry));
                }
                None => self.follower.stats.logs.dropped(SOURCE, "unreadable", 1),
            }
        }
        Ok(None)
    }

    /// Tries until CloudWatch Logs has them.
    async fn send(&mut self, batch: Batch, is_again: bool, cursor: String) {
        // Each with whether it may have arrived before.
        let mut parts = VecDeque::from([(batch, is_again)]);
        while let Some((batch, is_again)) = parts.pop_front() {
            if batch.is_empty() {
                continue;
            }
            if is_again {
                self.follower.stats.logs.resent(SOURCE, batch.len());
            }
            self.keep(self.kept.cursor.clone(), Some(cursor.clone()))
                .await;
            let Follower {
                shipper, stream, ..
            } = &self.follower;
            match shipper.ship(SOURCE, stream, batch.clone()).await {
                Fate::Accepted(_) | Fate::Refused(_) => self.backoff.succeeded(),
                Fate::Failed { answer_lost: true } => {
                    self.backoff.failed(clock::now(), true);
                    // There may have been too much for the way to AWS.
                    let (first, rest) = batch.halves();
                    for part in rest.into_iter().chain([first]) {
                        parts.push_front((part, true));
                    }
                }
                Fate::Failed { answer_lost: false } => {
                    self.backoff.failed(clock::now(), false);
                    // It did not get out since it was counted.
                    parts.push_front((batch, false));
                }
            }
            while !self.backoff.is_over(clock::now()) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        self.kept.at = self.read_at;
        self.keep(Some(cursor), None).await;
    }

    async fn keep(&mut self, cursor: Option<String>, sending: Option<String>) {
        self.kept.cursor = cursor;
        self.kept.sending = sending;
        self.kept.stream = Some(self.follower.stream.key());
        let text = serde_json::to_string(&self.kept).ok();
        let progress = LogProgress {
            positions: BTreeMap::from([(self.key.clone(), text)]),
            written: None,
        };
        self.follower.keeper.log_progress(progress).await;
    }
}

/// Only this host's own entries, though others' may have been received.
fn of_this_machine() -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| format!("_MACHINE_ID={id}"))
}

/// Where the journal ends; empty if nothing is in it.
async fn newest() -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    command.args(["--output=json", "--output-fields=_PID", "--no-pager"]);
    command
        .args(["--merge", "--lines=1"])
        .args(of_this_machine());
    command.stdin(Stdio::null());
    let answer = command.kill_on_drop(true).output().await;
    let answer = answer.map_err(|error| format!("`{PROGRAM}` cannot be started: {error}"))?;
    if !answer.status.success() {
        return Err(complaint(Ok(answer.status), &answer.stderr));
    }
    if answer.stdout.is_empty() || answer.stdout.starts_with(NO_ENTRIES) {
        return Ok(String::new());
    }
    let entry: Option<Value> = serde_json::from_slice(&answer.stdout).ok();
    let cursor = entry.and_then(|entry| message_of(entry.get("__CURSOR")?));
    cursor.ok_or_else(|| format!("`{PROGRAM}` does not tell where the journal ends"))
}

/// How it begins; the rest is read as well, so that whoever writes it is not held up.
async fn beginning(mut out: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut chunk) = (Vec::new(), [0; 1_024]);
    // What cannot be read is not told.
    while let Ok(read @ 1..) = out.read(&mut chunk).await {
        let room = COMPLAINT_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..read.min(room)]);
    }
    kept
}

/// Why the program ended, in its own words.
fn complaint(ended: std::io::Result<ExitStatus>, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(&said[..said.len().min(COMPLAINT_MAX)]);
    match ended {
        Ok(status) => format!("`{PROGRAM}` ended with {status}: {}", said.trim()),
        Err(error) => format!("`{PROGRAM}`: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_selection_begins_where_the_least_far_of_those_before_was() {
        let stream = |name: &str| Stream {
            group: "/j".to_owned(),
            name: name.to_owned(),
            retention: None,
            tags: BTreeMap::new(),
        };
        let kept = |name: &str, cursor: &str, at| {
            let kept = Kept {
                cursor: Some(cursor.to_owned()),
                stream: Some(stream(name).key()),
                at,
                ..Kept::default()
            };
            serde_json::to_string(&kept).unwrap()
        };
        let positions = BTreeMap::from([
            (
                "journald /j s  a".to_owned(),
                kept("s", "late", Some(90_500)),
            ),
            (
                "journald /j s  bb".to_owned(),
                kept("s", "early", Some(90_400)),
            ),
            (
                "journald /j s  c".to_owned(),
                kept("s", "there still", Some(10)),
            ),
            (
                "journald /j s x  ".to_owned(),
                kept("s x", "elsewhere", Some(5)),
            ),
            (
                "journald /j s  old".to_owned(),
                "{\"cursor\":\"unsaid\"}".to_owned(),
            ),
            ("record".to_owned(), "7".to_owned()),
        ]);
        let configured = BTreeSet::from(["journald /j s  c".to_owned()]);
        let (keys, others) = gone(&positions, &configured, &stream("s"));
        assert_eq!(keys, ["journald /j s  a", "journald /j s  bb"]);
        let now = Timestamp::from_seconds(1_000);
        let begin = |others: &[Kept]| {
            let kept = taken_over(others.to_vec(), now)?;
            Some((kept.cursor?, kept.unknown_until))
        };
        assert_eq!(begin(&others), Some(("early".to_owned(), Some(91))));
        assert_eq!(begin(&others[..1]), Some(("late".to_owned(), None)));
        let sending = Kept {
            sending: Some("later".to_owned()),
            ..others[0].clone()
        };
        assert_eq!(begin(&[sending]), Some(("late".to_owned(), Some(1_001))));
        assert_eq!(begin(&[]), None);
        assert!(gone(&positions, &configured, &stream("t")).0.is_empty());
    }
}

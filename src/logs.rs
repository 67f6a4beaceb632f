//! What goes to CloudWatch Logs: this program's own record, the files of the host, the journal of systemd.
//!
//! What is sent is committed to the journal before: of a file, from where to where. When the answer to a request is lost, with
//! the program or without it, the same is sent again, and counted. Everything waits where it is, in the journal or in its file,
//! until it is sent, so that an outage takes no memory.

mod batch;
mod entries;
mod file;
mod files;
mod groups;
mod journald;
mod lines;
mod record;
mod rotation;
mod scan;
mod ship;
mod source;
mod task;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::aws::Failure;
use crate::config::{self, LOG_NAME_MAX, LogFiles, LogTarget, SystemdJournal};
use crate::definition::Placeholders;
use crate::journal::{LogProgress, POSITIONS_UNKNOWN};
use crate::keeper::Handle;
use crate::stats::{FileCounts, RECORD, Stats};

use files::Files;
use groups::Groups;
use journald::Follower;
pub use record::{Change, Tee};
pub use scan::matching;
use ship::{Shipper, Stream};

/// A file for which a section has a name if it has one for any.
const ANY_FILE: &str = "/any";

/// How often lines of this program's log are kept.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How often the journal is asked how far an earlier program got, and in all: within a minute.
const POSITIONS_INTERVAL: Duration = Duration::from_secs(1);
const POSITIONS_ATTEMPTS: usize = 60;

/// What it takes to send.
#[derive(Clone)]
pub struct Inputs {
    pub config: config::Logs,
    pub keeper: Handle,
    pub stats: Arc<Stats>,
    pub placeholders: Placeholders,
    /// The region, or why it is not known.
    pub region: Arc<dyn Fn() -> Result<String, Failure> + Send + Sync>,
    pub tee: Tee,
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut inputs = f.debug_struct("Inputs");
        inputs.field("config", &self.config).finish_non_exhaustive()
    }
}

/// Sends until `ended` says so, and what is under way has its answer.
pub async fn run(inputs: Inputs, mut ended: watch::Receiver<bool>) {
    let Inputs {
        config,
        keeper,
        stats,
        placeholders,
        region,
        tee,
    } = inputs;
    let mut tasks = JoinSet::new();
    let record = config.record.as_ref().and_then(|record| {
        let stream = told(stream(&record.target, &placeholders, None))?;
        Some((stream, record.daemon_log))
    });
    // Lines are kept from the start on, and the last of them before the end of what sends them.
    let mut record_ended = ended.clone();
    if let Some((_, true)) = record {
        let (is_kept, kept) = watch::channel(false);
        record_ended = kept;
        let log = keep_log(tee, keeper.clone(), Arc::clone(&stats), ended.clone());
        tasks.spawn(async move {
            log.await;
            is_kept.send_replace(true);
        });
    }
    let positions = tokio::select! {
        positions = positions(&keeper) => Some(Arc::new(positions)),
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let Some(positions) = positions else {
        return all_ended(tasks).await;
    };
    let groups = Groups::new(keeper.clone(), &positions);
    let shipper = Arc::new(Shipper::new(region, Arc::clone(&stats), groups));
    let is_waiting = waiting(&config, &placeholders) > 0;
    stats.logs.set_files(FileCounts::default());
    if let Some((stream, _)) = record {
        announce(RECORD, &stream, &stats);
        let (shipper, keeper) = (Arc::clone(&shipper), keeper.clone());
        let mut record = task::Record::new(stream, shipper, keeper, &positions, record_ended);
        record.note_unknown().await;
        tasks.spawn(record.run());
    }
    for follower in followers(
        config.journals,
        &placeholders,
        &keeper,
        &shipper,
        &positions,
    ) {
        announce(journald::SOURCE, &follower.stream, &stats);
        follower.note_unknown().await;
        tasks.spawn(follower.run(ended.clone()));
    }
    let has_files = !config.files.is_empty();
    if has_files {
        announce_files(&config.files, &stats);
        let resolve =
            move |files: &LogFiles, path: &Path| stream(&files.target, &placeholders, Some(path));
        let mut files = Files::new(config.files, &positions, Arc::new(resolve), stats);
        if is_waiting {
            files.leave_unknown();
        }
        tasks.spawn(task::files(files, shipper, keeper.clone(), ended.clone()));
    }
    if !has_files && !is_waiting && positions.contains_key(POSITIONS_UNKNOWN) {
        all_noted(&keeper).await;
    }
    all_ended(tasks).await;
}

async fn all_ended(mut tasks: JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Those that send systemd's journal.
fn followers(
    journals: Vec<SystemdJournal>,
    placeholders: &Placeholders,
    keeper: &Handle,
    shipper: &Arc<Shipper>,
    positions: &Arc<BTreeMap<String, String>>,
) -> Vec<Follower> {
    let journals = journals.into_iter().filter_map(|journal| {
        let stream = told(stream(&journal.target, placeholders, None))?;
        Some((journal, stream))
    });
    let journals: Vec<(SystemdJournal, Stream)> = journals.collect();
    let keys = journals
        .iter()
        .map(|(of, stream)| journald::key(of, stream));
    let keys: Arc<BTreeSet<String>> = Arc::new(keys.collect());
    let follower = |(config, stream)| Follower {
        config,
        stream,
        shipper: Arc::clone(shipper),
        keeper: keeper.clone(),
        stats: Arc::clone(shipper.stats()),
        positions: Arc::clone(positions),
        keys: Arc::clone(&keys),
    };
    journals.into_iter().map(follower).collect()
}

/// How far an earlier program got. Where that cannot be read for long, it is not known.
async fn positions(keeper: &Handle) -> BTreeMap<String, String> {
    for _ in 0..POSITIONS_ATTEMPTS {
        if let Some(positions) = keeper.log_positions().await {
            return positions;
        }
        tokio::time::sleep(POSITIONS_INTERVAL).await;
    }
    warn!(
        "the journal cannot be read: what an earlier program sent to CloudWatch Logs may be sent again, and is counted as such"
    );
    [(POSITIONS_UNKNOWN.to_owned(), String::new())].into()
}

fn announce(source: &'static str, stream: &Stream, stats: &Stats) {
    stats.logs.begin(source);
    let (group, name) = (&stream.group, &stream.name);
    info!(
        source,
        group,
        stream = name,
        "will write to CloudWatch Logs"
    );
}

fn announce_files(files: &[LogFiles], stats: &Stats) {
    for of in files {
        info!(paths = ?of.paths, group = of.target.group, "will send files to CloudWatch Logs");
    }
    stats.logs.begin(files::SOURCE);
}

/// That it is unknown what was sent before is noted for every section, and need not be known any more.
async fn all_noted(keeper: &Handle) {
    let positions = [(POSITIONS_UNKNOWN.to_owned(), None)].into();
    let written = None;
    let progress = LogProgress { positions, written };
    keeper.log_progress(progress).await;
}

fn told(stream: Result<Stream, String>) -> Option<Stream> {
    stream
        .inspect_err(|error| warn!(error, "nothing is written to CloudWatch Logs"))
        .ok()
}

/// What a target's group and stream are called on this host, or what of them is not known.
pub fn group_and_stream(
    target: &LogTarget,
    placeholders: &Placeholders,
) -> Result<(String, String), String> {
    let stream = stream(target, placeholders, None)?;
    Ok((stream.group, stream.name))
}

/// How many sections send nothing, because the name of their group or stream depends on what is not known of this host.
pub fn waiting(config: &config::Logs, placeholders: &Placeholders) -> usize {
    let is_waiting = |target: &&LogTarget| {
        let path = Some(Path::new(ANY_FILE));
        stream(target, placeholders, path).is_err()
    };
    config.targets().filter(is_waiting).count()
}

/// What a target is called on this host. `path`: of the file, if it is for one.
fn stream(
    target: &LogTarget,
    placeholders: &Placeholders,
    path: Option<&Path>,
) -> Result<Stream, String> {
    let file = path.and_then(Path::file_name);
    let file = file.map(|name| name.to_string_lossy().into_owned());
    let path = path.map(|path| path.to_string_lossy().into_owned());
    let of_file = [("${file}", file.as_deref()), ("${path}", path.as_deref())];
    let fill = |template: &str| fill(template, placeholders, &of_file);
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-/.#".contains(it);
    let group = fill(&target.group)?;
    let group = group.replace(|it: char| !is_plain(it), "_");
    let name = fill(&target.stream)?.replace([':', '*'], "_");
    for (what, name) in [("group", &group), ("stream", &name)] {
        // What is written here depends on this host.
        let length = name.chars().count();
        if !(1..=LOG_NAME_MAX).contains(&length) {
            return Err(format!(
                "the name of its {what} has {length} characters on this host, but must have 1 to {LOG_NAME_MAX}"
            ));
        }
    }
    Ok(Stream {
        group,
        name,
        retention: target.retention,
        tags: target.tags.iter().cloned().collect(),
    })
}

/// What stands for a file is taken as it is: whoever names a file says nothing of what else is told.
fn fill(
    template: &str,
    placeholders: &Placeholders,
    of_file: &[(&str, Option<&str>)],
) -> Result<String, String> {
    let cut = |(name, value): &(&str, Option<&str>)| {
        let (before, after) = template.split_once(name)?;
        Some((before.to_owned(), (*value)?.to_owned(), after.to_owned()))
    };
    if let Some((before, value, after)) = of_file.iter().find_map(cut) {
        let fill = |part: &str| fill(part, placeholders, of_file);
        return Ok(fill(&before)? + &value + &fill(&after)?);
    }
    let filled = placeholders.fill(template);
    filled.map_err(|unknown| format!("`{unknown}` is not known on this host"))
}

/// Keeps the lines of this program's log until they are sent.
async fn keep_log(tee: Tee, keeper: Handle, stats: Arc<Stats>, mut ended: watch::Receiver<bool>) {
    loop {
        let is_end = tokio::select! {
            () = tokio::time::sleep(LOG_INTERVAL) => false,
            _ = ended.wait_for(|ended| *ended) => true,
        };
        let (lines, lost) = tee.take();
        stats.logs.dropped(RECORD, "queue_full", lost);
        if !lines.is_empty() {
            keeper.log(lines).await;
        }
        if is_end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(stream: &str) -> LogTarget {
        LogTarget {
            group: "/g".to_owned(),
            stream: stream.to_owned(),
            retention: None,
            tags: Vec::new(),
        }
    }

    fn known() -> Placeholders {
        Placeholders {
            instance_id: Some("i-1".to_owned()),
            hostname: "web".to_owned(),
            variable: Some(|_| Some("secret".to_owned())),
            ..Placeholders::default()
        }
    }

    #[test]
    fn what_stands_for_a_file_is_never_a_template() {
        let name = |template: &str, path: &str| {
            stream(&target(template), &known(), Some(Path::new(path))).map(|it| it.name)
        };
        let template = "${aws:InstanceId}/${file}";
        assert_eq!(name(template, "/d/a.log").unwrap(), "i-1/a.log");
        let hostile = "/d/${env:KEY}${hostname}${path}";
        let expected = "i-1/${env_KEY}${hostname}${path}";
        assert_eq!(name(template, hostile).unwrap(), expected);
        assert_eq!(
            name("${path}@${hostname}", "/d/${file}").unwrap(),
            "/d/${file}@web"
        );
        // CloudWatch Logs refuses it, and whatever is sent there.
        let path = format!("/{}", "d".repeat(LOG_NAME_MAX));
        let told = name("${path}", &path).unwrap_err();
        assert!(told.contains("stream has 513 characters"), "{told}");
        assert!(name("${path}", &path[1..]).is_ok());
    }

    #[test]
    fn sections_wait_for_what_is_not_known_of_the_host() {
        let (mut config, findings) = config::resolve(
            "test",
            "[[logs.file]]\npaths = [\"/a\"]\ngroup = \"g\"\nstream = \"${aws:InstanceId}/${file}\"\n",
        );
        assert_eq!(findings, []);
        assert_eq!(waiting(&config.logs, &Placeholders::default()), 1);
        assert_eq!(waiting(&config.logs, &known()), 0);
        config.logs.files[0].target.stream = "${file} of ${tag:Team}".to_owned();
        assert_eq!(waiting(&config.logs, &known()), 1);
    }
}

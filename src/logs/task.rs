//! The tasks that send: one for the files, one for this program's own record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::aws::NewEvent;
use crate::clock;
use crate::journal::LogProgress;
use crate::keeper::Handle;
use crate::stats::Stats;

use super::batch::{Batch, EVENT_MAX, cut};
use super::file::FileId;
use super::files::{Files, Ready, SOURCE};
use super::lines::{Counts, Place};
use super::ship::{Backoff, Fate, Shipper, Stream};

/// Requests with events of files that are under way at a time.
const REQUESTS_MAX: usize = 2;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long what is under way may take to end when everything ends.
const END_MAX: Duration = Duration::from_secs(3);

/// What the metrics call this program's own record.
pub(super) const RECORD: &str = "record";
/// Under which it is kept how far it is sent.
const RECORD_KEY: &str = "record";
const RECORD_INTERVAL: Duration = Duration::from_secs(1);
/// Events that are read from the journal at a time.
const RECORDS_MAX: usize = 1_000;

type Settled = (FileId, (Place, Counts), Fate);

/// Sends what is new in files, until `ended` says so.
pub(super) async fn files(
    mut files: Files,
    shipper: Arc<Shipper>,
    keeper: Handle,
    mut ended: watch::Receiver<bool>,
) {
    let mut under_way: JoinSet<Settled> = JoinSet::new();
    loop {
        let (room, now) = (REQUESTS_MAX - under_way.len(), clock::now());
        // Files are read on a thread that may block.
        let look = tokio::task::spawn_blocking(move || {
            let ready = files.look(now, room);
            (files, ready)
        });
        let Ok((looked, ready)) = look.await else {
            return;
        };
        files = looked;
        keep(&mut files, &keeper).await;
        let is_busy = !ready.is_empty() || files.has_more();
        for ready in ready {
            under_way.spawn(send(Arc::clone(&shipper), ready));
        }
        tokio::select! {
            Some(settled) = under_way.join_next() => settle(&mut files, settled),
            () = tokio::time::sleep(LOOK_INTERVAL), if !is_busy || under_way.len() == REQUESTS_MAX => {}
            () = std::future::ready(()), if is_busy && under_way.len() < REQUESTS_MAX => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
    }
    let rest = async {
        while let Some(settled) = under_way.join_next().await {
            settle(&mut files, settled);
        }
    };
    // What has no answer by then counts as sent twice if it is sent again.
    let _ = tokio::time::timeout(END_MAX, rest).await;
    keep(&mut files, &keeper).await;
}

async fn keep(files: &mut Files, keeper: &Handle) {
    let positions = files.take_changes();
    if !positions.is_empty() {
        let progress = LogProgress {
            positions,
            written: None,
        };
        // While the journal cannot be written it is gone on: a log is wanted most of all then.
        let is_kept = keeper.log_progress(progress.clone()).await;
        files.was_kept(progress.positions, is_kept, clock::now());
    }
}

async fn send(shipper: Arc<Shipper>, ready: Ready) -> Settled {
    let Ready { id, stream, taken } = ready;
    let fate = shipper.ship(SOURCE, &stream, taken.batch).await;
    (id, (taken.place, taken.counts), fate)
}

fn settle(files: &mut Files, settled: Result<Settled, tokio::task::JoinError>) {
    // A panic has been told on the way; what was sent then is sent again after the next start.
    if let Ok((id, done, fate)) = settled {
        files.settle(id, done, &fate, clock::now());
    }
}

/// Sends what this program has to say, until `ended` says so.
pub(super) async fn record(
    stream: Stream,
    shipper: Arc<Shipper>,
    keeper: Handle,
    stats: Arc<Stats>,
    mut ended: watch::Receiver<bool>,
) {
    let kept = keeper.log_positions().await.remove(RECORD_KEY);
    let mut record = Record {
        stream,
        shipper,
        keeper,
        stats,
        // What was being sent when an earlier program ended may have arrived.
        lost_until: kept.and_then(|text| text.parse().ok()).unwrap_or(0),
        unwritten: None,
    };
    let mut backoff = Backoff::default();
    loop {
        let sent = match backoff.is_over(clock::now()) {
            true => record.send().await,
            false => None,
        };
        match sent {
            Some(true) => {
                backoff.succeeded();
                // There may be more.
                continue;
            }
            Some(false) => backoff.failed(clock::now()),
            None => {}
        }
        tokio::select! {
            () = tokio::time::sleep(RECORD_INTERVAL) => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
    }
    // The last word of the program, if it is taken at once.
    let _ = tokio::time::timeout(END_MAX, record.send()).await;
}

/// What this program has to say, on its way.
struct Record {
    stream: Stream,
    shipper: Arc<Shipper>,
    keeper: Handle,
    stats: Arc<Stats>,
    /// Up to this event they may have arrived.
    lost_until: i64,
    /// Up to this event they have, and the journal does not know.
    unwritten: Option<i64>,
}

impl Record {
    /// Whether something was taken, and that is known for good; `None` if there was nothing.
    async fn send(&mut self) -> Option<bool> {
        if let Some(written) = self.unwritten {
            return Some(self.written(written).await);
        }
        let (batch, last, again) = self.batch().await;
        let last = last?;
        if !self.keep(Some(last.max(self.lost_until)), None).await {
            return Some(false);
        }
        if again > 0 {
            self.stats.logs.resent(RECORD, again);
        }
        if batch.is_empty() {
            return Some(self.written(last).await);
        }
        match self.shipper.ship(RECORD, &self.stream, batch).await {
            Fate::Accepted(_) | Fate::Refused(_) => Some(self.written(last).await),
            Fate::Failed { answer_lost } => {
                if answer_lost {
                    self.lost_until = last.max(self.lost_until);
                }
                let lost_until = Some(self.lost_until).filter(|id| *id > 0);
                self.keep(lost_until, None).await;
                Some(false)
            }
        }
    }

    /// What comes next, with its last event, and how many of it may have been sent before.
    async fn batch(&self) -> (Batch, Option<i64>, usize) {
        let (mut batch, mut last, mut again) = (Batch::default(), None, 0);
        for event in self.keeper.log_events(0, RECORDS_MAX).await {
            let (at, mut message) = (event.at, event.message);
            let is_cut = cut(&mut message, EVENT_MAX);
            if !message.is_empty() && !batch.push(NewEvent { at, message }) {
                break;
            }
            let logs = &self.stats.logs;
            logs.changed(RECORD, "too_long", usize::from(is_cut));
            again += usize::from(event.id <= self.lost_until);
            last = Some(event.id);
        }
        (batch, last, again)
    }

    /// Notes that events up to one are written. Until that is noted, nothing is sent.
    async fn written(&mut self, last: i64) -> bool {
        let is_kept = self.keep(None, Some(last)).await;
        self.unwritten = (!is_kept).then_some(last);
        if is_kept {
            self.lost_until = 0;
        }
        is_kept
    }

    async fn keep(&self, sending: Option<i64>, written: Option<i64>) -> bool {
        let text = sending.map(|id| id.to_string());
        let progress = LogProgress {
            positions: [(RECORD_KEY.to_owned(), text)].into(),
            written,
        };
        self.keeper.log_progress(progress).await
    }
}

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
        let is_busy = !ready.is_empty();
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
        // Where there is no journal it is not remembered.
        keeper.log_progress(progress).await;
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
    // What was being sent when an earlier program ended may have arrived.
    let mut lost_until: i64 = kept.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut backoff = Backoff::default();
    loop {
        let sent = match backoff.is_over(clock::now()) {
            true => send_record(&stream, &shipper, &keeper, &stats, &mut lost_until).await,
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
    let last = send_record(&stream, &shipper, &keeper, &stats, &mut lost_until);
    let _ = tokio::time::timeout(END_MAX, last).await;
}

/// Whether it was taken; `None` if there was nothing.
async fn send_record(
    stream: &Stream,
    shipper: &Shipper,
    keeper: &Handle,
    stats: &Stats,
    lost_until: &mut i64,
) -> Option<bool> {
    let events = keeper.log_events(0, RECORDS_MAX).await;
    let (mut batch, mut last, mut again) = (Batch::default(), None, 0);
    for event in events {
        let (at, mut message) = (event.at, event.message);
        let is_cut = cut(&mut message, EVENT_MAX);
        if !message.is_empty() && !batch.push(NewEvent { at, message }) {
            break;
        }
        stats.logs.changed(RECORD, "too_long", usize::from(is_cut));
        again += usize::from(event.id <= *lost_until);
        last = Some(event.id);
    }
    let last = last?;
    if again > 0 {
        stats.logs.resent(RECORD, again);
    }
    keep_record(keeper, Some(last.max(*lost_until)), None).await;
    match shipper.ship(RECORD, stream, batch).await {
        Fate::Accepted(_) | Fate::Refused(_) => {
            keep_record(keeper, None, Some(last)).await;
            *lost_until = 0;
            Some(true)
        }
        Fate::Failed { answer_lost } => {
            if answer_lost {
                *lost_until = last.max(*lost_until);
            }
            keep_record(keeper, Some(*lost_until).filter(|id| *id > 0), None).await;
            Some(false)
        }
    }
}

async fn keep_record(keeper: &Handle, sending: Option<i64>, written: Option<i64>) {
    let text = sending.map(|id| id.to_string());
    let progress = LogProgress {
        positions: [(RECORD_KEY.to_owned(), text)].into(),
        written,
    };
    keeper.log_progress(progress).await;
}

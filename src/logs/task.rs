//! The tasks that send: one for the files, one for this program's own record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::aws::{NewEvent, Rejected};
use crate::clock;
use crate::journal::{LogProgress, POSITIONS_UNKNOWN};
use crate::keeper::Handle;
use crate::metric::Timestamp;
use crate::stats::{RECORD, Stats};

use super::batch::{Batch, EVENT_MAX, cut};
use super::file::FileId;
use super::files::{Files, Ready, Room, SOURCE};
use super::lines::{Counts, Place};
use super::ship::{Backoff, Fate, Shipper, Stream};

/// Requests with events of files that are under way at a time, and how much text has to be in them until no other is begun.
const REQUESTS_MAX: usize = 16;
const UNDER_WAY_MAX: usize = 1 << 20;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long what is under way may take to end when everything ends.
const END_MAX: Duration = Duration::from_secs(3);

/// Under which it is kept how far it is sent.
const RECORD_KEY: &str = "record";
const RECORD_INTERVAL: Duration = Duration::from_secs(1);
/// Events that are read from the journal at a time.
const RECORDS_MAX: usize = 1_000;

/// Of which file what had to be sent, how many bytes that were, and what became of it.
type Settled = (FileId, (Place, Counts), usize, Fate);

/// Sends what is new in files, until `ended` says so.
pub(super) async fn files(
    mut files: Files,
    shipper: Arc<Shipper>,
    keeper: Handle,
    mut ended: watch::Receiver<bool>,
) {
    let mut under_way = UnderWay::default();
    loop {
        let (room, now) = (under_way.room(), clock::now());
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
            under_way.send(&shipper, ready);
        }
        let goes_on = is_busy && under_way.has_room();
        tokio::select! {
            Some(settled) = under_way.next() => under_way.settle(&mut files, settled),
            () = tokio::time::sleep(LOOK_INTERVAL), if !goes_on => {}
            () = std::future::ready(()), if goes_on => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
        under_way.settle_all(&mut files);
    }
    let rest = async {
        while let Some(settled) = under_way.next().await {
            under_way.settle(&mut files, settled);
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
        let is_kept = keeper.log_progress(progress).await;
        files.was_kept(is_kept, clock::now());
    }
}

/// Requests that are under way.
#[derive(Default)]
struct UnderWay {
    requests: JoinSet<Settled>,
    bytes: usize,
}

impl UnderWay {
    fn room(&self) -> Room {
        Room {
            requests: REQUESTS_MAX.saturating_sub(self.requests.len()),
            bytes: UNDER_WAY_MAX.saturating_sub(self.bytes),
        }
    }

    fn has_room(&self) -> bool {
        let Room { requests, bytes } = self.room();
        requests > 0 && bytes > 0
    }

    fn send(&mut self, shipper: &Arc<Shipper>, ready: Ready) {
        let Ready { id, stream, taken } = ready;
        let (done, bytes) = ((taken.place, taken.counts), taken.batch.bytes());
        self.bytes += bytes;
        let shipper = Arc::clone(shipper);
        self.requests.spawn(async move {
            let sent = async move { shipper.ship(SOURCE, &stream, taken.batch).await };
            // After a panic, which has been told on the way, it is not known what arrived.
            let lost = Fate::Failed { answer_lost: true };
            let fate = tokio::spawn(sent).await.unwrap_or(lost);
            (id, done, bytes, fate)
        });
    }

    /// What has its answer next; `None` if nothing is under way.
    async fn next(&mut self) -> Option<Settled> {
        self.requests.join_next().await?.ok()
    }

    fn settle(&mut self, files: &mut Files, (id, done, bytes, fate): Settled) {
        self.bytes = self.bytes.saturating_sub(bytes);
        files.settle(id, done, &fate, clock::now());
    }

    /// Everything that has its answer by now.
    fn settle_all(&mut self, files: &mut Files) {
        while let Some(Ok(settled)) = self.requests.try_join_next() {
            self.settle(files, settled);
        }
    }
}

/// Events that no journal has.
#[derive(Default)]
struct Unkept {
    events: VecDeque<(Timestamp, String)>,
    /// So many of the first may have arrived, and of so many it was counted that they are sent again.
    lost: usize,
    counted: usize,
}

impl Unkept {
    /// The first of them that fit into a request, how many those are, and how many of them are too long.
    fn batch(&self, bytes_max: usize) -> (Batch, usize, usize) {
        let (mut batch, mut count, mut cut_events) = (Batch::new(bytes_max), 0, 0);
        for (at, message) in &self.events {
            let (at, mut message) = (*at, message.clone());
            let is_cut = cut(&mut message, EVENT_MAX);
            if !message.is_empty() && !batch.push(NewEvent { at, message }) {
                break;
            }
            (count, cut_events) = (count + 1, cut_events + usize::from(is_cut));
        }
        (batch, count, cut_events)
    }

    /// Of the first ones, how many are sent again and were not counted yet.
    fn sent_again(&mut self, first: usize) -> usize {
        let again = first.min(self.lost).saturating_sub(self.counted);
        self.counted += again;
        again
    }

    /// Until it is known what became of the first ones they may have arrived. Returns how it was before.
    fn begin(&mut self, first: usize) -> (usize, usize) {
        let before = (self.lost, self.counted);
        (self.lost, self.counted) = (self.lost.max(first), 0);
        before
    }

    /// What became of the first ones.
    fn settle(&mut self, first: usize, fate: &Fate, before: (usize, usize)) {
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                self.events.drain(..first);
                (self.lost, self.counted) = before;
                self.lost = self.lost.saturating_sub(first);
                self.counted = self.counted.saturating_sub(first);
            }
            Fate::Failed { answer_lost: true } => {}
            Fate::Failed { .. } => (self.lost, self.counted) = before,
        }
    }
}

/// What this program has to say, on its way.
pub(super) struct Record {
    stream: Stream,
    shipper: Arc<Shipper>,
    keeper: Handle,
    stats: Arc<Stats>,
    /// Up to this event they may have arrived.
    lost_until: i64,
    /// It is not known which may have: no more than one request was under way.
    is_unknown: bool,
    /// Up to this event it was counted that they are sent again.
    counted_until: i64,
    /// Up to this event they have, and the journal does not know.
    unwritten: Option<i64>,
    unkept: Unkept,
    backoff: Backoff,
}

/// What comes next.
struct Next {
    batch: Batch,
    ids: Vec<i64>,
    last: i64,
    /// How many are too long.
    cut: usize,
}

impl Record {
    pub(super) fn new(
        stream: Stream,
        shipper: Arc<Shipper>,
        keeper: Handle,
        stats: Arc<Stats>,
        positions: &BTreeMap<String, String>,
    ) -> Self {
        // What was being sent when an earlier program ended may have arrived.
        let kept = positions.get(RECORD_KEY);
        let lost_until = match kept {
            Some(text) => text.parse().unwrap_or(0),
            None => 0,
        };
        Self {
            stream,
            shipper,
            keeper,
            stats,
            lost_until,
            is_unknown: kept.is_none() && positions.contains_key(POSITIONS_UNKNOWN),
            counted_until: 0,
            unwritten: None,
            unkept: Unkept::default(),
            backoff: Backoff::default(),
        }
    }

    /// Writes down which may have arrived, where that is not known.
    pub(super) async fn note_unknown(&mut self) {
        if !self.is_unknown {
            return;
        }
        if let Some(next) = self.next().await {
            self.lost_until = next.last;
            self.keep(Some(next.last), None).await;
        }
    }

    /// Sends until `ended` says so.
    pub(super) async fn run(mut self, mut ended: watch::Receiver<bool>) {
        loop {
            // There may be more.
            while !*ended.borrow() && self.backoff.is_over(clock::now()) && self.send().await {}
            tokio::select! {
                () = tokio::time::sleep(RECORD_INTERVAL) => {}
                _ = ended.wait_for(|ended| *ended) => break,
            }
        }
        // The last word of the program, if it is taken at once.
        let _ = tokio::time::timeout(END_MAX, self.send()).await;
        self.give_back().await;
    }

    /// What no journal has may have one yet.
    async fn give_back(&mut self) {
        let again = self.unkept.sent_again(usize::MAX);
        self.stats.logs.resent(RECORD, again);
        let events: Vec<(Timestamp, String)> = self.unkept.events.drain(..).collect();
        if !events.is_empty() {
            self.keeper.log(events).await;
        }
    }

    /// Whether something was taken, and that is known for good.
    async fn send(&mut self) -> bool {
        let unkept = self.try_send_unkept().await;
        let sent = match unkept {
            Some(_) => unkept,
            None => self.try_send().await,
        };
        match sent {
            Some(Fate::Accepted(_) | Fate::Refused(_)) => self.backoff.succeeded(),
            Some(Fate::Failed { answer_lost }) => self.backoff.failed(clock::now(), answer_lost),
            None => {}
        }
        matches!(sent, Some(Fate::Accepted(_) | Fate::Refused(_)))
    }

    /// `None` if there was nothing.
    async fn try_send(&mut self) -> Option<Fate> {
        let unkept = Fate::Failed { answer_lost: false };
        if let Some(written) = self.unwritten {
            let is_kept = self.written(written).await;
            return (!is_kept).then_some(unkept);
        }
        let next = self.next().await?;
        let last = next.last;
        if !self.keep(Some(last.max(self.lost_until)), None).await {
            return Some(unkept);
        }
        // What did not get out since it was counted is not counted again.
        let is_again = |id: &&i64| self.counted_until < **id && **id <= self.lost_until;
        let again = next.ids.iter().filter(is_again).count();
        self.stats.logs.resent(RECORD, again);
        self.counted_until = self.counted_until.max(last.min(self.lost_until));
        let fate = match next.batch.is_empty() {
            true => Fate::Accepted(Rejected::default()),
            false => self.shipper.ship(RECORD, &self.stream, next.batch).await,
        };
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                self.stats.logs.changed(RECORD, "too_long", next.cut);
                if !self.written(last).await {
                    return Some(unkept);
                }
            }
            Fate::Failed { answer_lost } => {
                if answer_lost {
                    self.lost_until = last.max(self.lost_until);
                    self.counted_until = 0;
                }
                let lost_until = Some(self.lost_until).filter(|id| *id > 0);
                self.keep(lost_until, None).await;
            }
        }
        Some(fate)
    }

    /// While the journal cannot be written. `None` if there was nothing.
    async fn try_send_unkept(&mut self) -> Option<Fate> {
        if self.unkept.events.is_empty() {
            let events = self.keeper.take_unkept_log_events(RECORDS_MAX).await;
            self.unkept = Unkept {
                events: events.into(),
                ..Unkept::default()
            };
        }
        if self.unkept.events.is_empty() {
            return None;
        }
        let (batch, first, cut_events) = self.unkept.batch(self.backoff.bytes_max());
        let again = self.unkept.sent_again(first);
        self.stats.logs.resent(RECORD, again);
        let before = self.unkept.begin(first);
        let fate = match batch.is_empty() {
            true => Fate::Accepted(Rejected::default()),
            false => self.shipper.ship(RECORD, &self.stream, batch).await,
        };
        self.unkept.settle(first, &fate, before);
        if matches!(fate, Fate::Accepted(_) | Fate::Refused(_)) {
            self.stats.logs.changed(RECORD, "too_long", cut_events);
        }
        Some(fate)
    }

    async fn next(&self) -> Option<Next> {
        let (mut batch, mut ids, mut cut_events) =
            (Batch::new(self.backoff.bytes_max()), vec![], 0);
        for event in self.keeper.log_events(0, RECORDS_MAX).await {
            let (at, mut message) = (event.at, event.message);
            let is_cut = cut(&mut message, EVENT_MAX);
            if !message.is_empty() && !batch.push(NewEvent { at, message }) {
                break;
            }
            cut_events += usize::from(is_cut);
            ids.push(event.id);
        }
        Some(Next {
            last: *ids.last()?,
            batch,
            ids,
            cut: cut_events,
        })
    }

    /// Notes that events up to one are written. Until that is noted, nothing is sent.
    async fn written(&mut self, last: i64) -> bool {
        if last >= self.lost_until {
            self.lost_until = 0;
        }
        let lost_until = Some(self.lost_until).filter(|id| *id > 0);
        let is_kept = self.keep(lost_until, Some(last)).await;
        self.unwritten = (!is_kept).then_some(last);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// However often an answer is lost, or a request does not get out meanwhile, and whatever fits into a request by then.
    #[test]
    fn what_no_journal_has_is_counted_when_it_is_sent_again() {
        let events = (0..10).map(|it| (Timestamp::from_seconds(it), "x".repeat(74)));
        let mut unkept = Unkept {
            events: events.collect(),
            ..Unkept::default()
        };
        let lost = Fate::Failed { answer_lost: true };
        let unsent = Fate::Failed { answer_lost: false };
        let taken = Fate::Accepted(Rejected::default());
        let mut send = |bytes_max: usize, fate: &Fate| {
            let (batch, first, _) = unkept.batch(bytes_max);
            assert_eq!(batch.len(), first);
            let again = unkept.sent_again(first);
            let before = unkept.begin(first);
            unkept.settle(first, fate, before);
            (first, again)
        };
        assert_eq!(send(600, &unsent), (6, 0));
        assert_eq!(send(600, &lost), (6, 0));
        assert_eq!(send(600, &unsent), (6, 6));
        assert_eq!(send(600, &unsent), (6, 0));
        assert_eq!(send(400, &lost), (4, 0));
        assert_eq!(send(400, &taken), (4, 4));
        assert_eq!(send(400, &taken), (4, 2));
        assert_eq!(send(400, &taken), (2, 0));
    }
}

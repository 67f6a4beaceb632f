//! The tasks that send: one for the files, one for this program's own record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::aws::{NewEvent, Rejected};
use crate::clock;
use crate::journal::{LogEvent, LogProgress, POSITIONS_UNKNOWN, RECORD_POSITION};
use crate::keeper::Handle;
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
/// And of that each of two requests with what this program has to say.
const LAST_WORD_MAX: Duration = Duration::from_millis(1_500);

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

/// So long after everything ended.
async fn ended(ended: &mut watch::Receiver<bool>, since: Duration) {
    // Whoever would say so may be gone.
    let _ = ended.wait_for(|ended| *ended).await;
    tokio::time::sleep(since).await;
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

/// What this program has to say, on its way.
pub(super) struct Record {
    stream: Stream,
    shipper: Arc<Shipper>,
    keeper: Handle,
    stats: Arc<Stats>,
    ended: watch::Receiver<bool>,
    /// Until when the last word may take, once everything ends.
    last_until: Option<Instant>,
    /// Up to this event they may have arrived.
    lost_until: i64,
    /// It is not known which may have: no more than one request was under way.
    is_unknown: bool,
    /// Up to this event it was counted that they are sent again.
    counted_until: i64,
    /// Up to this event they have, and the journal does not know.
    unwritten: Option<i64>,
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

impl Next {
    /// The first events that fit into a request.
    fn of(events: impl IntoIterator<Item = LogEvent>, bytes_max: usize) -> Option<Self> {
        let (mut batch, mut ids, mut cut_events) = (Batch::new(bytes_max), vec![], 0);
        for event in events {
            let (at, mut message) = (event.at, event.message);
            let is_cut = cut(&mut message, EVENT_MAX);
            if !message.is_empty() && !batch.push(NewEvent { at, message }) {
                break;
            }
            cut_events += usize::from(is_cut);
            ids.push(event.id);
        }
        Some(Self {
            last: *ids.last()?,
            batch,
            ids,
            cut: cut_events,
        })
    }
}

impl Record {
    pub(super) fn new(
        stream: Stream,
        shipper: Arc<Shipper>,
        keeper: Handle,
        positions: &BTreeMap<String, String>,
        ended: watch::Receiver<bool>,
    ) -> Self {
        // What was being sent when an earlier program ended may have arrived.
        let kept = positions.get(RECORD_POSITION);
        let lost_until = match kept {
            Some(text) => text.parse().unwrap_or(0),
            None => 0,
        };
        Self {
            stream,
            stats: Arc::clone(shipper.stats()),
            shipper,
            keeper,
            ended,
            last_until: None,
            lost_until,
            is_unknown: kept.is_none() && positions.contains_key(POSITIONS_UNKNOWN),
            counted_until: 0,
            unwritten: None,
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
            self.is_unknown = false;
        } else if self.keeper.log_positions().await.is_some() {
            self.is_unknown = false;
        }
    }

    /// Where no journal could be read at first, it says later which may have arrived.
    async fn learn(&mut self, next: &Next) {
        if !self.is_unknown {
            return;
        }
        let Some(positions) = self.keeper.log_positions().await else {
            return;
        };
        self.is_unknown = false;
        let kept = positions.get(RECORD_POSITION);
        let kept = kept.and_then(|text| text.parse().ok());
        let all = positions.contains_key(POSITIONS_UNKNOWN);
        let all = all.then_some(next.last);
        self.lost_until = self.lost_until.max(kept.or(all).unwrap_or(0));
    }

    /// Sends until everything ends.
    pub(super) async fn run(mut self) {
        loop {
            self.send_all().await;
            tokio::select! {
                () = tokio::time::sleep(RECORD_INTERVAL) => {}
                _ = self.ended.wait_for(|ended| *ended) => break,
            }
        }
        // The last word of the program, if it is taken at once.
        self.last_until = Some(Instant::now() + LAST_WORD_MAX);
        self.send_all().await;
    }

    /// As long as there is something and it is taken.
    async fn send_all(&mut self) {
        let goes_on = |record: &Self| match record.last_until {
            Some(_) => true,
            None => !*record.ended.borrow() && record.backoff.is_over(clock::now()),
        };
        while goes_on(self) {
            let sent = match self.try_send_unkept().await {
                None => self.try_send().await,
                sent => sent,
            };
            match sent {
                Some(Fate::Accepted(_) | Fate::Refused(_)) => self.backoff.succeeded(),
                Some(Fate::Failed { answer_lost }) => {
                    return self.backoff.failed(clock::now(), answer_lost);
                }
                None => return,
            }
        }
    }

    /// While the journal cannot be written. `None` if there was nothing.
    async fn try_send_unkept(&mut self) -> Option<Fate> {
        let mut events = self.keeper.take_unkept_log_events(RECORDS_MAX).await;
        let numbered = events.iter().zip(1..);
        let numbered = numbered.map(|((at, message), id)| LogEvent {
            id,
            at: *at,
            message: message.clone(),
        });
        let next = Next::of(numbered, self.backoff.bytes_max())?;
        let first = next.ids.len();
        let fate = self.ship(next.batch).await;
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                self.stats.logs.changed(RECORD, "too_long", next.cut);
                events.drain(..first);
            }
            // They may have arrived, and are sent again.
            Fate::Failed { answer_lost: true } => self.stats.logs.resent(RECORD, first),
            Fate::Failed { .. } => {}
        }
        // The journal may be well again before these are taken.
        if !events.is_empty() {
            self.keeper.log(events).await;
        }
        Some(fate)
    }

    /// What has no answer for a while when everything ends may have arrived.
    async fn ship(&mut self, batch: Batch) -> Fate {
        if batch.is_empty() {
            return Fate::Accepted(Rejected::default());
        }
        let sent = self.shipper.ship(RECORD, &self.stream, batch);
        let sent = match self.last_until {
            Some(until) => tokio::time::timeout_at(until, sent).await.ok(),
            None => tokio::select! {
                fate = sent => Some(fate),
                () = ended(&mut self.ended, LAST_WORD_MAX) => None,
            },
        };
        sent.unwrap_or(Fate::Failed { answer_lost: true })
    }

    /// `None` if there was nothing, or the journal cannot be written.
    async fn try_send(&mut self) -> Option<Fate> {
        if let Some(written) = self.unwritten
            && !self.written(written).await
        {
            return None;
        }
        let next = self.next().await?;
        self.learn(&next).await;
        let (last, before) = (next.last, self.lost_until);
        let as_before = Some(before).filter(|id| *id > 0);
        if !self.keep(Some(last.max(before)), None).await {
            self.keep(as_before, None).await;
            return None;
        }
        // What did not get out since it was counted is not counted again.
        let is_again = |id: &&i64| self.counted_until < **id && **id <= before;
        let again = next.ids.iter().filter(is_again).count();
        self.stats.logs.resent(RECORD, again);
        let counted = self.counted_until.max(last.min(before));
        // Until there is an answer all of it may have arrived.
        (self.lost_until, self.counted_until) = (last.max(before), 0);
        let fate = self.ship(next.batch).await;
        match fate {
            Fate::Accepted(_) | Fate::Refused(_) => {
                self.counted_until = counted;
                self.stats.logs.changed(RECORD, "too_long", next.cut);
                self.written(last).await;
            }
            Fate::Failed { answer_lost } => {
                if !answer_lost {
                    (self.lost_until, self.counted_until) = (before, counted);
                }
                let lost_until = Some(self.lost_until).filter(|id| *id > 0);
                self.keep(lost_until, None).await;
            }
        }
        Some(fate)
    }

    async fn next(&self) -> Option<Next> {
        let events = self.keeper.log_events(0, RECORDS_MAX).await;
        Next::of(events, self.backoff.bytes_max())
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
            positions: [(RECORD_POSITION.to_owned(), text)].into(),
            written,
        };
        self.keeper.log_progress(progress).await
    }
}

#[cfg(test)]
mod tests {
    use crate::aws::Failure;
    use crate::keeper::in_memory;
    use crate::metric::Timestamp;

    use super::super::groups::Groups;
    use super::*;

    /// They may be kept by then, and are counted if not.
    #[tokio::test]
    async fn events_without_a_journal_that_are_not_taken_go_back() {
        let (stats, none) = (Arc::new(Stats::default()), BTreeMap::new());
        let keeper = in_memory(Arc::clone(&stats));
        let groups = Groups::new(keeper.clone(), &none);
        let nowhere = Arc::new(|| Err(Failure::NotSent("nowhere".to_owned())));
        let shipper = Arc::new(Shipper::new(nowhere, stats, groups));
        let stream = Stream {
            group: "g".to_owned(),
            name: "s".to_owned(),
            retention: None,
            tags: BTreeMap::new(),
        };
        let events = ["one", "two"].map(|text| (Timestamp::from_seconds(0), text.to_owned()));
        keeper.log(events.to_vec()).await;
        let (_ended, ended) = watch::channel(true);
        let record = Record::new(stream, shipper, keeper.clone(), &none, ended);
        record.run().await;
        assert_eq!(keeper.take_unkept_log_events(9).await, events);
    }
}

//! The keeper on a thread of its own, and the handle by which others reach it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::journal::{Limits, LogEvent, LogProgress, OpenError, Past, Transition};
use crate::metric::{Datapoint, Metric, Timestamp};
use crate::stats::Stats;

use super::{Delivery, Fate, Keeper, Key, Outgoing, REQUEST_MAX, RequestLimits, Step};

/// Commands that wait for the disk. One step of the pipeline in a minute is the usual one.
const COMMANDS_MAX: usize = 64;

/// Datapoints that are read from the journal at a time.
const PAGE_DATAPOINTS: usize = 256;

enum Command {
    Append(Step),
    Take(usize, oneshot::Sender<Vec<Outgoing>>),
    Settle(Vec<Key>, Fate),
    Deliver(Vec<Delivery>, oneshot::Sender<()>),
    Deliveries(oneshot::Sender<BTreeMap<String, String>>),
    Log(Vec<(Timestamp, String)>),
    LogProgress(LogProgress, oneshot::Sender<bool>),
    LogPositions(oneshot::Sender<Option<BTreeMap<String, String>>>),
    LogEvents(i64, usize, oneshot::Sender<Vec<LogEvent>>),
    TakeUnkeptLogEvents(usize, oneshot::Sender<Vec<(Timestamp, String)>>),
    Transitions(Option<String>, usize, oneshot::Sender<Vec<Transition>>),
    Past(usize, oneshot::Sender<Option<Past>>),
    Datapoints(
        HashMap<Arc<Metric>, Timestamp>,
        Option<Timestamp>,
        mpsc::Sender<Vec<Datapoint>>,
    ),
}

/// The way to the keeper. When nobody has one any more, the journal is closed.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Command>);

/// A way to the keeper that does not keep it: whoever only reads must not hold up its end.
#[derive(Clone, Debug)]
pub struct WeakHandle(mpsc::WeakSender<Command>);

impl WeakHandle {
    /// See [`Keeper::transitions`]; nothing once the keeper has ended.
    pub async fn transitions(&self, alarm: Option<String>, most: usize) -> Vec<Transition> {
        match self.0.upgrade() {
            Some(commands) => Handle(commands).transitions(alarm, most).await,
            None => Vec::new(),
        }
    }
}

/// Tells when the keeper has ended; once.
#[derive(Debug)]
pub struct Kept(Option<oneshot::Receiver<Result<(), OpenError>>>);

/// Opens the journal in `dir` and keeps it, on a thread of its own.
pub fn start(
    dir: Option<PathBuf>,
    limits: Limits,
    stats: Arc<Stats>,
) -> std::io::Result<(Handle, Kept)> {
    let (commands, mut commands_in) = mpsc::channel(COMMANDS_MAX);
    let (ended, ended_in) = oneshot::channel();
    let keep = move || {
        let mut keeper = Keeper::open(dir, limits, stats, clock::now())?;
        while let Some(command) = commands_in.blocking_recv() {
            keeper.carry_out(command);
        }
        keeper.close(clock::now());
        Ok(())
    };
    let thread = std::thread::Builder::new().name("journal".to_owned());
    // Nobody may be there any more to be told.
    thread.spawn(move || ended.send(keep()))?;
    Ok((Handle(commands), Kept(Some(ended_in))))
}

/// A keeper without a journal, as a task.
#[cfg(test)]
pub(crate) fn in_memory(stats: Arc<Stats>) -> Handle {
    let (commands, mut commands_in) = mpsc::channel(COMMANDS_MAX);
    let keeper = Keeper::open(None, Limits::default(), stats, clock::now());
    let mut keeper = keeper.expect("there is nothing to open");
    tokio::spawn(async move {
        while let Some(command) = commands_in.recv().await {
            keeper.carry_out(command);
        }
    });
    Handle(commands)
}

/// A keeper whose disk never answers, until what is returned beside it is dropped.
#[cfg(test)]
pub(crate) fn stuck() -> (Handle, impl Send) {
    let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
    (Handle(commands), commands_in)
}

impl Keeper {
    /// Whoever asked may have left.
    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Append(step) => self.append(step, clock::now()),
            Command::Take(datapoints, answer) => {
                let limits = RequestLimits {
                    datapoints: datapoints.min(REQUEST_MAX.datapoints),
                    ..REQUEST_MAX
                };
                drop(answer.send(self.take(clock::now(), limits)));
            }
            Command::Settle(keys, fate) => self.settle(&keys, fate, clock::now()),
            Command::Deliver(deliveries, done) => {
                self.deliver(deliveries, clock::now());
                let _ = done.send(());
            }
            Command::Log(events) => self.log(events, clock::now()),
            Command::LogProgress(progress, answer) => {
                let _ = answer.send(self.log_progress(progress, clock::now()));
            }
            Command::LogPositions(answer) => drop(answer.send(self.log_positions(clock::now()))),
            Command::LogEvents(after, most, answer) => {
                drop(answer.send(self.log_events(after, most)));
            }
            Command::TakeUnkeptLogEvents(most, answer) => {
                let taken = self.take_unkept_log_events(most, clock::now());
                if let Err(taken) = answer.send(taken) {
                    self.log(taken, clock::now());
                }
            }
            Command::Deliveries(answer) => drop(answer.send(self.deliveries())),
            Command::Transitions(alarm, most, answer) => {
                drop(answer.send(self.transitions(alarm.as_deref(), most)));
            }
            Command::Past(transitions, answer) => drop(answer.send(self.past(transitions))),
            Command::Datapoints(since, others, pages) => {
                self.give_datapoints(&since, others, &pages);
            }
        }
    }

    /// Page by page, so that a long past is not in memory all at once.
    fn give_datapoints(
        &mut self,
        since: &HashMap<Arc<Metric>, Timestamp>,
        others: Option<Timestamp>,
        pages: &mpsc::Sender<Vec<Datapoint>>,
    ) {
        let mut page = Vec::new();
        // Whoever asked may have left.
        self.datapoints_since(since, others, |datapoint| {
            page.push(datapoint);
            page.len() < PAGE_DATAPOINTS || pages.blocking_send(std::mem::take(&mut page)).is_ok()
        });
        if !page.is_empty() {
            drop(pages.blocking_send(page));
        }
    }
}

impl Handle {
    /// Returns the step if there is no room for it, because the disk takes too long.
    pub fn append(&self, step: Step) -> Result<(), Box<Step>> {
        self.0
            .try_send(Command::Append(step))
            .map_err(|error| match error.into_inner() {
                Command::Append(step) => Box::new(step),
                _ => Box::default(),
            })
    }

    /// As [`Handle::append`], but waits for room: for what comes last.
    pub async fn append_last(&self, step: Step) {
        // Without a keeper there is nothing that could be done.
        let _ = self.0.send(Command::Append(step)).await;
    }

    /// See [`Keeper::take`]; a request's worth and no more than `most`, and nothing if the keeper has ended.
    pub async fn take(&self, most: usize) -> Vec<Outgoing> {
        self.ask(|answer| Command::Take(most, answer))
            .await
            .unwrap_or_default()
    }

    /// See [`Keeper::settle`].
    pub async fn settle(&self, keys: Vec<Key>, fate: Fate) {
        let _ = self.0.send(Command::Settle(keys, fate)).await;
    }

    /// See [`Keeper::deliver`]; waits until that is written, as far as it can be.
    pub async fn deliver(&self, deliveries: Vec<Delivery>) {
        // Without a keeper it is not remembered.
        self.ask(|done| Command::Deliver(deliveries, done)).await;
    }

    /// See [`Keeper::deliveries`].
    pub async fn deliveries(&self) -> BTreeMap<String, String> {
        let deliveries = self.ask(Command::Deliveries).await;
        deliveries.unwrap_or_default()
    }

    /// See [`Keeper::log`].
    pub async fn log(&self, events: Vec<(Timestamp, String)>) {
        // Without a keeper there is nothing that could be done.
        let _ = self.0.send(Command::Log(events)).await;
    }

    /// See [`Keeper::log_progress`].
    pub async fn log_progress(&self, progress: LogProgress) -> bool {
        let kept = self.ask(|answer| Command::LogProgress(progress, answer));
        kept.await.unwrap_or(false)
    }

    /// See [`Keeper::log_positions`].
    pub async fn log_positions(&self) -> Option<BTreeMap<String, String>> {
        self.ask(Command::LogPositions).await.flatten()
    }

    /// See [`Keeper::log_events`].
    pub async fn log_events(&self, after: i64, most: usize) -> Vec<LogEvent> {
        let events = self.ask(|answer| Command::LogEvents(after, most, answer));
        events.await.unwrap_or_default()
    }

    /// See [`Keeper::take_unkept_log_events`].
    pub async fn take_unkept_log_events(&self, most: usize) -> Vec<(Timestamp, String)> {
        let events = self.ask(|answer| Command::TakeUnkeptLogEvents(most, answer));
        events.await.unwrap_or_default()
    }

    /// One that does not keep it.
    pub fn downgrade(&self) -> WeakHandle {
        WeakHandle(self.0.downgrade())
    }

    /// See [`Keeper::transitions`].
    async fn transitions(&self, alarm: Option<String>, most: usize) -> Vec<Transition> {
        let transitions = self.ask(|answer| Command::Transitions(alarm, most, answer));
        transitions.await.unwrap_or_default()
    }

    /// See [`Keeper::past`].
    pub async fn past(&self, transitions: usize) -> Option<Past> {
        self.ask(|answer| Command::Past(transitions, answer))
            .await
            .flatten()
    }

    /// See [`Keeper::datapoints_since`]; page by page.
    pub async fn datapoints(
        &self,
        since: HashMap<Arc<Metric>, Timestamp>,
        others: Option<Timestamp>,
    ) -> mpsc::Receiver<Vec<Datapoint>> {
        let (pages, pages_in) = mpsc::channel(1);
        // Without a keeper there are none.
        let _ = self.0.send(Command::Datapoints(since, others, pages)).await;
        pages_in
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(command(answer)).await.ok()?;
        answered.await.ok()
    }
}

impl Kept {
    /// Resolves when the keeper has ended. An error means that it never began, because another process has the journal.
    pub async fn ended(&mut self) -> Result<(), OpenError> {
        let Some(ended) = &mut self.0 else {
            return Ok(());
        };
        // A panic has been told on the way.
        let outcome = ended.await.unwrap_or(Ok(()));
        self.0 = None;
        outcome
    }
}

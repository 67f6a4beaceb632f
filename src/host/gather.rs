//! The collectors at work: each at its interval, in threads beside the one that looks at the CPU.
//!
//! One thread is enough as long as none of them hangs. Where one does, another thread goes on with the rest, and it is not
//! asked again until it has come back.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::clock;
use crate::metric::Timestamp;

use super::collectors::{Collect, Group, PARTS, Roots, procstat, textfile};
use super::gathered::{Filters, Gathered};

/// A collector that takes longer holds up others, so that they get a thread of their own.
const PATIENCE: Duration = Duration::from_secs(1);

/// One that takes longer is taken to hang: longer than a mount is waited for.
const HANGS_AFTER: Duration = Duration::from_secs(3);

/// The most threads that may hang: one for each collector.
const THREADS_MAX: usize = PARTS.len() + 3;

/// The collector that reads what others write, and the one that looks at groups of processes.
const TEXTFILE: &str = "textfile";
const PROCSTAT: &str = "procstat";

const HANGS: &str = "it does not come back";

/// How long the first look waits for the collectors, so that the first scrape has them.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How long it may take to find out what there is: longer than a mount that hangs is waited for.
const SURVEY_WAIT: Duration = Duration::from_secs(3);

/// The most rows of one collector; what is more is left out, and counted.
const ROWS_MAX: usize = 20_000;

/// What one collector yielded.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    pub collector: &'static str,
    /// In seconds.
    pub took: f64,
    pub error: Option<String>,
    pub gathered: Gathered,
    /// How many rows are left out because there are too many.
    pub left_out: usize,
}

/// Which collectors are at work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub roots: Roots,
    pub collectors: Vec<Enabled>,
}

/// A collector that is at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Enabled {
    pub name: &'static str,
    pub interval: Duration,
    pub filters: Arc<Filters>,
    /// Of `textfile`: where its files are.
    pub directory: Option<PathBuf>,
    /// Of `procstat`: what is looked at.
    pub groups: Vec<Group>,
}

struct Job {
    place: usize,
    name: &'static str,
    filters: Arc<Filters>,
    collect: Box<dyn Collect>,
    roots: Arc<Roots>,
}

struct Done {
    place: usize,
    collect: Box<dyn Collect>,
    collected: Collected,
}

/// What the threads tell.
enum Told {
    /// A thread has begun with a job, at that instant.
    Begun(usize, Instant),
    Done(Done),
}

struct Slot {
    name: &'static str,
    filters: Arc<Filters>,
    interval: i64,
    due: Timestamp,
    /// Not here while a thread has it.
    collect: Option<Box<dyn Collect>>,
    /// Since when a thread is at it.
    begun_at: Option<Instant>,
    latest: Option<Arc<Collected>>,
    is_failing: bool,
    is_late: bool,
}

/// Keeps the collectors and what they saw last.
pub(super) struct Gatherer {
    roots: Arc<Roots>,
    slots: Vec<Slot>,
    jobs: Sender<Job>,
    jobs_out: Arc<Mutex<Receiver<Job>>>,
    told: Sender<Told>,
    told_in: Receiver<Told>,
    threads: usize,
    has_looked: bool,
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.slots.iter().map(|slot| slot.name).collect();
        f.debug_struct("Gatherer")
            .field("slots", &names)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// What it saw before is shown on, as of a collector that fails.
    fn hangs(&mut self) {
        let collector = self.name;
        warn!(
            collector,
            "a collector takes long; the others go on without it"
        );
        let before = self.latest.as_deref().cloned().unwrap_or_default();
        self.latest = Some(Arc::new(Collected {
            collector,
            error: Some(HANGS.to_owned()),
            ..before
        }));
    }
}

impl Gatherer {
    pub(super) fn new(plan: &Plan) -> Self {
        let (jobs, jobs_out) = channel();
        let (told, told_in) = channel();
        let slot = |enabled: &Enabled| {
            let collect = match (&enabled.directory, enabled.name) {
                (Some(folder), TEXTFILE) => textfile(folder.clone()),
                (None, PROCSTAT) => procstat(enabled.groups.clone()),
                _ => (PARTS.iter().find(|part| part.name == enabled.name)?.new)(),
            };
            let interval = enabled.interval.as_secs();
            Some(Slot {
                name: enabled.name,
                filters: Arc::clone(&enabled.filters),
                interval: i64::try_from(interval).unwrap_or(i64::MAX),
                due: Timestamp::MIN,
                collect: Some(collect),
                begun_at: None,
                latest: None,
                is_failing: false,
                is_late: false,
            })
        };
        Self {
            roots: Arc::new(plan.roots.clone()),
            slots: plan.collectors.iter().filter_map(slot).collect(),
            jobs,
            jobs_out: Arc::new(Mutex::new(jobs_out)),
            told,
            told_in,
            threads: 0,
            has_looked: false,
        }
    }

    /// Takes what came back, and gives out what is due. Returns what is new.
    pub(super) fn look(&mut self, at: Timestamp) -> Vec<Arc<Collected>> {
        let mut new = self.take();
        let mut given = 0;
        for place in 0..self.slots.len() {
            given += usize::from(self.give(place, at));
        }
        if given > 0 && self.threads == 0 {
            self.start_thread();
        }
        if !std::mem::replace(&mut self.has_looked, true) {
            new.append(&mut self.wait(FIRST_WAIT));
        }
        new
    }

    /// What all of them see at the second of two looks, or at the first where there is no more.
    pub(super) fn survey(&mut self) -> Vec<Arc<Collected>> {
        for _ in 0..2 {
            for place in 0..self.slots.len() {
                self.slots[place].due = Timestamp::MIN;
                self.give(place, Timestamp::from_seconds(0));
            }
            self.start_thread();
            self.wait(SURVEY_WAIT);
        }
        self.latest()
    }

    /// Waits so long at most for what was given out.
    fn wait(&mut self, longest: Duration) -> Vec<Arc<Collected>> {
        let (until, mut new) = (clock::instant() + longest, Vec::new());
        while self.slots.iter().any(|slot| slot.collect.is_none()) {
            let left = until.saturating_duration_since(clock::instant());
            if left.is_zero() {
                break;
            }
            if let Ok(told) = self.told_in.recv_timeout(left.min(PATIENCE)) {
                new.extend(self.took(told));
            }
            self.look_after(clock::instant());
        }
        new
    }

    /// What each collector saw last.
    pub(super) fn latest(&self) -> Vec<Arc<Collected>> {
        let latest = self.slots.iter();
        latest.filter_map(|slot| slot.latest.clone()).collect()
    }

    fn take(&mut self) -> Vec<Arc<Collected>> {
        let mut new = Vec::new();
        while let Ok(told) = self.told_in.try_recv() {
            new.extend(self.took(told));
        }
        self.look_after(clock::instant());
        new
    }

    /// Finds out what hangs, and starts another thread where all of them do and something waits.
    fn look_after(&mut self, now: Instant) {
        let mut late = 0;
        for slot in &mut self.slots {
            let since = slot
                .begun_at
                .map(|begun_at| now.saturating_duration_since(begun_at));
            late += usize::from(since.is_some_and(|since| since > PATIENCE));
            if since.is_some_and(|since| since > HANGS_AFTER)
                && !std::mem::replace(&mut slot.is_late, true)
            {
                slot.hangs();
            }
        }
        let waits = |slot: &Slot| slot.collect.is_none() && slot.begun_at.is_none();
        if late >= self.threads && self.slots.iter().any(waits) {
            self.start_thread();
        }
    }

    /// What a collector has done, if the thread tells that it has.
    fn took(&mut self, told: Told) -> Option<Arc<Collected>> {
        match told {
            Told::Begun(place, at) => {
                self.slots[place].begun_at = Some(at);
                None
            }
            Told::Done(done) => Some(self.is_done(done)),
        }
    }

    fn is_done(&mut self, done: Done) -> Arc<Collected> {
        let slot = &mut self.slots[done.place];
        slot.collect = Some(done.collect);
        slot.begun_at = None;
        slot.is_late = false;
        let collector = slot.name;
        match &done.collected.error {
            Some(error) if !slot.is_failing => {
                warn!(
                    collector,
                    error, "a collector cannot read its part of the host"
                );
            }
            None if slot.is_failing => info!(collector, "a collector works again"),
            _ => {}
        }
        slot.is_failing = done.collected.error.is_some();
        let collected = Arc::new(done.collected);
        slot.latest = Some(Arc::clone(&collected));
        collected
    }

    /// Whether the collector was due, and there.
    fn give(&mut self, place: usize, at: Timestamp) -> bool {
        let slot = &mut self.slots[place];
        // A clock that was set back must not put off the next look for as long.
        let is_due = at >= slot.due || slot.due - at > slot.interval;
        let Some(collect) = slot.collect.take_if(|_| is_due) else {
            return false;
        };
        slot.due = at + slot.interval;
        let job = Job {
            place,
            name: slot.name,
            filters: Arc::clone(&slot.filters),
            collect,
            roots: Arc::clone(&self.roots),
        };
        self.jobs.send(job).is_ok()
    }

    fn start_thread(&mut self) {
        if self.threads == THREADS_MAX {
            return;
        }
        let (jobs, told) = (Arc::clone(&self.jobs_out), self.told.clone());
        let name = "collectors".to_owned();
        let work = move || work(&jobs, &told);
        match std::thread::Builder::new().name(name).spawn(work) {
            Ok(_) => self.threads += 1,
            Err(error) => warn!(%error, "no thread for the collectors"),
        }
    }
}

/// Ends when nobody gives anything any more, which is when the program ends or another plan is made.
fn work(jobs: &Mutex<Receiver<Job>>, told: &Sender<Told>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = job else {
            return;
        };
        if told.send(Told::Begun(job.place, clock::instant())).is_err() {
            return;
        }
        let collected = run(&mut job);
        let finished = Done {
            place: job.place,
            collect: job.collect,
            collected,
        };
        if told.send(Told::Done(finished)).is_err() {
            return;
        }
    }
}

fn run(job: &mut Job) -> Collected {
    let begun = clock::instant();
    let mut gathered = Gathered::new(Arc::clone(&job.filters));
    let error = job.collect.collect(&job.roots, &mut gathered).err();
    let left_out = gathered.cut(ROWS_MAX);
    Collected {
        collector: job.name,
        took: begun.elapsed().as_secs_f64(),
        error: error.map(|error| format!("{error:#}")),
        gathered,
        left_out,
    }
}

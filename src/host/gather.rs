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

use super::collectors::{Collect, PARTS, Roots, textfile};
use super::gathered::{Filters, Gathered};

/// A collector that takes longer holds up others, so that they get a thread of their own.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most threads that may hang: one for each collector.
const THREADS_MAX: usize = PARTS.len() + 2;

/// The collector that reads what others write.
const TEXTFILE: &str = "textfile";

/// How long the first look waits for the collectors, so that the first scrape has them.
const FIRST_WAIT: Duration = Duration::from_millis(50);

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
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub roots: Roots,
    pub collectors: Vec<Enabled>,
}

/// A collector that is at work.
#[derive(Clone, Debug)]
pub struct Enabled {
    pub name: &'static str,
    pub interval: Duration,
    pub filters: Arc<Filters>,
    /// Of `textfile`: where its files are.
    pub directory: Option<PathBuf>,
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

struct Slot {
    name: &'static str,
    filters: Arc<Filters>,
    interval: i64,
    due: Timestamp,
    /// Not here while a thread has it.
    collect: Option<Box<dyn Collect>>,
    given_at: Instant,
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
    done: Sender<Done>,
    done_in: Receiver<Done>,
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

impl Gatherer {
    pub(super) fn new(plan: &Plan) -> Self {
        let (jobs, jobs_out) = channel();
        let (done, done_in) = channel();
        let slot = |enabled: &Enabled| {
            let collect = match (&enabled.directory, enabled.name) {
                (Some(folder), TEXTFILE) => textfile(folder.clone()),
                _ => (PARTS.iter().find(|part| part.name == enabled.name)?.new)(),
            };
            let interval = enabled.interval.as_secs();
            Some(Slot {
                name: enabled.name,
                filters: Arc::clone(&enabled.filters),
                interval: i64::try_from(interval).unwrap_or(i64::MAX),
                due: Timestamp::MIN,
                collect: Some(collect),
                given_at: clock::instant(),
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
            done,
            done_in,
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
            new.append(&mut self.wait());
        }
        new
    }

    /// Asks all of them once more, and waits for what they say.
    pub(super) fn look_again(&mut self) -> Vec<Arc<Collected>> {
        for place in 0..self.slots.len() {
            self.slots[place].due = Timestamp::MIN;
            self.give(place, Timestamp::from_seconds(0));
        }
        self.wait()
    }

    /// Waits a little for what was given out.
    fn wait(&mut self) -> Vec<Arc<Collected>> {
        let (until, mut new) = (clock::instant() + FIRST_WAIT, Vec::new());
        while self.slots.iter().any(|slot| slot.collect.is_none()) {
            let left = until.saturating_duration_since(clock::instant());
            let Ok(done) = self.done_in.recv_timeout(left) else {
                break;
            };
            new.push(self.took(done));
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
        while let Ok(done) = self.done_in.try_recv() {
            new.push(self.took(done));
        }
        let now = clock::instant();
        let is_late = |slot: &Slot| slot.collect.is_none() && now - slot.given_at > PATIENCE;
        let mut is_held_up = false;
        for slot in &mut self.slots {
            if is_late(slot) && !std::mem::replace(&mut slot.is_late, true) {
                let collector = slot.name;
                warn!(
                    collector,
                    "a collector takes long; the others go on without it"
                );
                is_held_up = true;
            }
        }
        if is_held_up {
            self.start_thread();
        }
        new
    }

    fn took(&mut self, done: Done) -> Arc<Collected> {
        let slot = &mut self.slots[done.place];
        slot.collect = Some(done.collect);
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
        slot.given_at = clock::instant();
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
        let (jobs, done) = (Arc::clone(&self.jobs_out), self.done.clone());
        let name = "collectors".to_owned();
        let work = move || work(&jobs, &done);
        match std::thread::Builder::new().name(name).spawn(work) {
            Ok(_) => self.threads += 1,
            Err(error) => warn!(%error, "no thread for the collectors"),
        }
    }
}

/// Ends when nobody gives anything any more, which is when the program ends or another plan is made.
fn work(jobs: &Mutex<Receiver<Job>>, done: &Sender<Done>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut job) = job else {
            return;
        };
        let collected = run(&mut job);
        let finished = Done {
            place: job.place,
            collect: job.collect,
            collected,
        };
        if done.send(finished).is_err() {
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

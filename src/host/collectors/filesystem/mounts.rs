//! Mounts are asked by a thread.
//!
//! A mount whose server is gone holds up whoever looks at it. So a thread asks, and is waited for no longer than that takes at
//! most; another one takes its place then, and a mount that is stuck is not asked again until its thread returns.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Room;

/// How long a mount may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(2);

/// Threads that wait for mounts that do not answer; beyond, only those are asked that answered the last time, up to
/// [`THREADS_MAX`].
const STUCK_MAX: usize = 16;
const THREADS_MAX: usize = 32;

/// How a mount is asked: a system call, and in tests something that hangs.
type Ask = fn(&Path) -> Option<Room>;

/// What mounts said so far, in the order in which they are asked.
#[derive(Default)]
struct Said {
    rooms: Vec<Option<Room>>,
    /// How many there are to be.
    wanted: usize,
    has_ended: bool,
}

/// What a thread has said, and the news that it has said everything: to wake the one who waits for each mount would take longer
/// than to ask it.
#[derive(Default)]
struct Answers {
    said: Mutex<Said>,
    is_done: Condvar,
}

impl Answers {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything is said, or until nothing more is for so long.
    fn wait(&self, deadline: Duration) -> Vec<Option<Room>> {
        let mut said = self.said();
        loop {
            let before = said.rooms.len();
            if before == said.wanted || said.has_ended {
                return std::mem::take(&mut said.rooms);
            }
            let waited = self.is_done.wait_timeout(said, deadline);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            said = now;
            if timeout.timed_out() && said.rooms.len() == before {
                return std::mem::take(&mut said.rooms);
            }
        }
    }
}

/// A thread that asks the mounts that it is given, one after the other.
struct Worker {
    jobs: Sender<Vec<PathBuf>>,
    answers: Arc<Answers>,
}

impl Worker {
    /// `None` where no thread can be had.
    fn start(ask: Ask) -> Option<Self> {
        let (jobs, jobs_in) = channel::<Vec<PathBuf>>();
        let answers = Arc::new(Answers::default());
        let told = Arc::clone(&answers);
        let work = move || {
            'jobs: for paths in jobs_in {
                for path in paths {
                    let room = ask(&path);
                    let mut said = told.said();
                    said.rooms.push(room);
                    if said.has_ended {
                        // It was given up meanwhile.
                        break 'jobs;
                    }
                    if said.rooms.len() == said.wanted {
                        told.is_done.notify_one();
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("mounts".to_owned());
        thread.spawn(work).ok()?;
        Some(Self { jobs, answers })
    }

    /// What it said of these until it hung, if it did.
    fn ask(&self, paths: Vec<PathBuf>, deadline: Duration) -> Vec<Option<Room>> {
        *self.answers.said() = Said {
            wanted: paths.len(),
            ..Said::default()
        };
        match self.jobs.send(paths) {
            Ok(()) => self.answers.wait(deadline),
            // The thread has ended.
            Err(_) => Vec::new(),
        }
    }
}

/// The mounts of a host, asked from look to look.
pub(super) struct Mounts {
    ask: Ask,
    deadline: Duration,
    /// Who asks, unless the last one is stuck.
    worker: Option<Worker>,
    /// Mounts that do not answer, with where their answer would come.
    stuck: HashMap<PathBuf, Arc<Answers>>,
    /// Mounts that answered the last time.
    well: HashSet<PathBuf>,
}

impl Default for Mounts {
    fn default() -> Self {
        Self {
            ask: Room::of,
            deadline: DEADLINE,
            worker: None,
            stuck: HashMap::new(),
            well: HashSet::new(),
        }
    }
}

impl Mounts {
    /// Asks those that cannot hang, which takes less than to have a thread do it.
    pub(super) fn ask_at_once(&mut self, paths: &[PathBuf]) -> Option<Vec<Option<Room>>> {
        // The first time a disk may have to be read for the answer.
        let are_well = paths.iter().all(|path| self.well.contains(path));
        are_well.then(|| paths.iter().map(|path| (self.ask)(path)).collect())
    }

    /// Asks one after the other in a thread; where one does not answer in time, another thread goes on behind it.
    pub(super) fn ask_all(&mut self, paths: &[PathBuf]) -> Vec<Option<Room>> {
        // What was stuck and has answered meanwhile is asked again.
        let back = self
            .stuck
            .extract_if(|_, answers| !answers.said().rooms.is_empty());
        self.well.extend(back.map(|(path, _)| path));
        let mut rooms = vec![None; paths.len()];
        let asked = (0..paths.len()).filter(|place| !self.stuck.contains_key(&paths[*place]));
        // Those that answer come first, so that others do not hold them up.
        let (well, unknown): (Vec<usize>, Vec<usize>) =
            asked.partition(|place| self.well.contains(&paths[*place]));
        // However many threads wait, one more asks those that answered before.
        let most = THREADS_MAX.max(self.stuck.len() + 1);
        self.ask_some(well.into(), paths, most, &mut rooms);
        self.ask_some(unknown.into(), paths, STUCK_MAX, &mut rooms);
        let is_well = |(path, room): &(&PathBuf, &Option<Room>)| {
            // Of one that was not asked nothing else is known.
            room.is_some() || self.well.contains(*path) && !self.stuck.contains_key(*path)
        };
        let well = paths.iter().zip(&rooms).filter(is_well);
        self.well = well.map(|(path, _)| path.clone()).collect();
        rooms
    }

    /// Until as many mounts are stuck as may be.
    fn ask_some(
        &mut self,
        mut left: VecDeque<usize>,
        paths: &[PathBuf],
        stuck_max: usize,
        rooms: &mut [Option<Room>],
    ) {
        while !left.is_empty() && self.stuck.len() < stuck_max {
            let worker = self.worker.take();
            let Some(worker) = worker.or_else(|| Worker::start(self.ask)) else {
                break;
            };
            // Where many hang, the next one is likely to.
            let deadline = match self.stuck.len() < STUCK_MAX {
                true => self.deadline,
                false => self.deadline / 4,
            };
            let job = left.iter().map(|place| paths[*place].clone()).collect();
            for room in worker.ask(job, deadline) {
                if let Some(place) = left.pop_front() {
                    rooms[place] = room;
                }
            }
            if let Some(place) = left.pop_front() {
                worker.answers.said().has_ended = true;
                self.stuck.insert(paths[place].clone(), worker.answers);
                continue;
            }
            self.worker = Some(worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(path: &Path) -> Option<Room> {
        if path.ends_with("hung") {
            std::thread::park_timeout(Duration::from_mins(10));
            return None;
        }
        Some(Room {
            size: 1_000.0,
            free: 400.0,
            available: 300.0,
            files: 50.0,
            files_free: 20.0,
        })
    }

    impl Mounts {
        pub(in crate::host) fn fixed() -> Self {
            Self {
                ask: fixed,
                deadline: Duration::from_secs(1),
                ..Self::default()
            }
        }
    }

    /// The mounts before it and behind it are asked all the same, and it is not asked again while its thread waits.
    #[test]
    fn a_mount_that_hangs_holds_up_nothing_but_itself() {
        let mut mounts = Mounts::fixed();
        let paths: Vec<PathBuf> = ["/a", "/hung", "/b", "/x/hung", "/c"]
            .map(PathBuf::from)
            .into();
        let expected = [true, false, true, false, true];
        for _ in 0..3 {
            let rooms = mounts.ask_all(&paths);
            let answered: Vec<bool> = rooms.iter().map(Option::is_some).collect();
            assert_eq!(answered, expected);
            assert_eq!(mounts.stuck.len(), 2);
        }
    }

    /// Many mounts of one server that is gone.
    #[test]
    fn those_that_answer_are_asked_however_many_hang() {
        let mut mounts = Mounts {
            deadline: Duration::from_millis(50),
            ..Mounts::fixed()
        };
        let hung = (0..40).map(|place| PathBuf::from(format!("/{place}/hung")));
        let paths: Vec<PathBuf> = [PathBuf::from("/")].into_iter().chain(hung).collect();
        // On a busy machine one that answers may be late once, and is asked again.
        let mut looks = (0..10).map(|_| mounts.ask_all(&paths)[0].is_some());
        assert!(looks.by_ref().take(5).any(|answered| answered));
        assert!(looks.any(|answered| answered));
        assert!((STUCK_MAX..=STUCK_MAX + 1).contains(&mounts.stuck.len()));
    }

    /// Mounts that answered until their server was gone, in front of those that still do.
    #[test]
    fn those_that_answer_are_asked_when_many_others_stop() {
        static IS_GONE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        fn ask(path: &Path) -> Option<Room> {
            let is_gone = IS_GONE.load(std::sync::atomic::Ordering::Relaxed);
            match is_gone && path.starts_with("/nfs") {
                true => fixed(Path::new("/hung")),
                false => fixed(Path::new("/")),
            }
        }
        let mut mounts = Mounts {
            ask,
            deadline: Duration::from_millis(50),
            ..Mounts::fixed()
        };
        let hung = (0..50).map(|place| PathBuf::from(format!("/nfs/{place}")));
        let paths: Vec<PathBuf> = hung.chain(["/".into(), "/data".into()]).collect();
        assert!(mounts.ask_all(&paths).iter().all(Option::is_some));
        IS_GONE.store(true, std::sync::atomic::Ordering::Relaxed);
        let answered: Vec<usize> = (0..30)
            .map(|_| mounts.ask_all(&paths).iter().flatten().count())
            .collect();
        assert!(answered[20..].contains(&2), "{answered:?}");
    }

    /// The first time a thread asks, for there may be something to read.
    #[test]
    fn what_cannot_hang_is_asked_without_a_thread() {
        static ASKED_BY: Mutex<Vec<String>> = Mutex::new(Vec::new());
        fn ask(path: &Path) -> Option<Room> {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default().to_owned();
            ASKED_BY.lock().unwrap().push(name);
            fixed(path)
        }
        let mut mounts = Mounts {
            ask,
            ..Mounts::fixed()
        };
        let asked_by = || std::mem::take(&mut *ASKED_BY.lock().unwrap());
        let paths = ["/a".into(), "/b".into()];
        assert_eq!(mounts.ask_at_once(&paths), None);
        assert!(mounts.ask_all(&paths).iter().all(Option::is_some));
        assert_eq!(asked_by(), ["mounts", "mounts"]);
        let rooms = mounts.ask_at_once(&paths).unwrap();
        assert!(rooms.iter().all(Option::is_some));
        assert!(!asked_by().contains(&"mounts".to_owned()));
        // One that is new.
        let paths = ["/a".into(), "/b".into(), "/c".into()];
        assert_eq!(mounts.ask_at_once(&paths), None);
    }

    #[test]
    fn thousands_of_mounts_are_asked_by_one_thread() {
        let mut mounts = Mounts::fixed();
        let paths: Vec<PathBuf> = (0..2_000).map(|place| format!("/{place}").into()).collect();
        let rooms = mounts.ask_all(&paths);
        assert!(rooms.iter().all(Option::is_some));
    }
}

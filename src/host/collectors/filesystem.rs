//! Mounted file systems: what fits on them, and what is left.
//!
//! A mount whose server is gone holds up whoever looks at it. So a thread asks, and is waited for no longer than that takes at
//! most; another one takes its place then, and a mount that is stuck is not asked again until its thread returns.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use procfs::process::MountInfo;

use crate::family::{Kind, Labels, Row, float, labels, row};
use crate::host::gathered::{Column, Gathered, Published};

use super::{Collect, Roots};

/// How long a mount may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(2);

/// Threads that wait for mounts that do not answer; beyond, only those are asked that answered the last time, up to
/// [`THREADS_MAX`].
const STUCK_MAX: usize = 16;
const THREADS_MAX: usize = 32;

/// What is no file system to store things in, and mount points that belong to something else, as node_exporter leaves out.
const TYPES_LEFT_OUT: [&str; 27] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "ramfs",
    "efivarfs",
];
const PLACES_LEFT_OUT: [&str; 3] = ["/dev", "/proc", "/sys"];
const PLACES_BELOW_LEFT_OUT: [&str; 3] = [
    "/run/credentials/",
    "/var/lib/docker/",
    "/var/lib/containers/storage/",
];

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Room {
    /// In bytes.
    size: f64,
    free: f64,
    /// What is left for users.
    available: f64,
    files: f64,
    files_free: f64,
}

impl Room {
    fn of(path: &Path) -> Option<Self> {
        let answer = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks| float(blocks) * float(answer.f_frsize);
        Some(Self {
            size: bytes(answer.f_blocks),
            free: bytes(answer.f_bfree),
            available: bytes(answer.f_bavail),
            files: float(answer.f_files),
            files_free: float(answer.f_ffree),
        })
    }

    fn used(self) -> f64 {
        self.size - self.free
    }

    /// Of what users may fill; to 0.01, so that what is judged is exactly what is published.
    fn used_percent(self) -> Option<f64> {
        let all = self.used() + self.available;
        (all > 0.0).then(|| (self.used() / all * 10_000.0).round() / 100.0)
    }
}

/// A file system as it was asked; `None` where there was no answer.
#[derive(Clone, Copy, Debug)]
struct Filesystem {
    room: Option<Room>,
    is_read_only: bool,
}

#[rustfmt::skip]
const COLUMNS: [Column<Filesystem>; 7] = [
    Column::gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", |f| Some(f.room?.size)),
    Column::gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", |f| Some(f.room?.free)),
    Column::gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", |f| Some(f.room?.available)),
    Column::gauge("node_filesystem_files", "Filesystem total file nodes.", |f| Some(f.room?.files)),
    Column::gauge("node_filesystem_files_free", "Filesystem total free file nodes.", |f| Some(f.room?.files_free)),
    Column::gauge("node_filesystem_readonly", "Filesystem read-only status.", |f| Some(f64::from(u8::from(f.is_read_only)))),
    Column::gauge("node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.", |f| Some(f64::from(u8::from(f.room.is_none())))),
];

#[rustfmt::skip]
const PUBLISHED: [Published<Filesystem>; 7] = [
    Published::now("disk_free", "Bytes", |f| Some(f.room?.available)),
    Published::now("disk_total", "Bytes", |f| Some(f.room?.size)),
    Published::now("disk_used", "Bytes", |f| Some(f.room?.used())),
    Published::now("disk_used_percent", "Percent", |f| f.room?.used_percent()),
    Published::now("disk_inodes_free", "Count", |f| Some(f.room?.files_free)),
    Published::now("disk_inodes_total", "Count", |f| Some(f.room?.files)),
    Published::now("disk_inodes_used", "Count", |f| Some(f.room?.files - f.room?.files_free)),
];

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

pub(super) struct Filesystems {
    ask: Ask,
    deadline: Duration,
    /// Who asks, unless the last one is stuck.
    worker: Option<Worker>,
    /// Mounts that do not answer, with where their answer would come.
    stuck: HashMap<PathBuf, Arc<Answers>>,
    /// Mounts that answered the last time.
    well: HashSet<PathBuf>,
}

impl Default for Filesystems {
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

impl Collect for Filesystems {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let text = roots
            .bytes("1/mountinfo")
            .or_else(|_| roots.bytes("self/mountinfo"))?;
        let mut shown: Vec<(Labels, PathBuf, MountInfo)> = Vec::new();
        // A line that cannot be read is about one mount.
        for (mount, mount_point, device) in text.split(|byte| *byte == b'\n').filter_map(mount) {
            let place = place(&mount_point, &roots.rootfs);
            if !is_shown(&mount.fs_type, &place) {
                continue;
            }
            let labels = labels([
                ("device", device),
                ("fstype", mount.fs_type.clone()),
                ("mountpoint", place),
            ]);
            if gathered.keeps(&labels) {
                shown.push((labels, below(&roots.rootfs, &mount_point), mount));
            }
        }
        // What is of another host comes last: its server may be gone.
        shown.sort_by_key(|(.., mount)| is_remote(&mount.fs_type));
        let paths: Vec<PathBuf> = shown.iter().map(|(_, path, _)| path.clone()).collect();
        let rooms = self.ask_all(&paths);
        let filesystem = |((labels, _, mount), room): ((Labels, _, MountInfo), Option<Room>)| {
            let options = [&mount.mount_options, &mount.super_options];
            let is_read_only = options.iter().any(|options| options.contains_key("ro"));
            (labels, Filesystem { room, is_read_only })
        };
        let mut infos: Vec<Row> = shown
            .iter()
            .map(|(labels, _, mount)| info(labels, mount))
            .collect();
        // What is mounted twice at one place has one row.
        infos.sort_by(|a, b| a.labels.cmp(&b.labels));
        infos.dedup_by(|a, b| a.labels == b.labels);
        gathered.push(Kind::Gauge, "node_filesystem_mount_info", INFO, infos);
        let all = shown.into_iter().zip(rooms).map(filesystem);
        let filesystems: BTreeMap<Labels, Filesystem> = all.collect();
        gathered.table(&COLUMNS, &filesystems);
        // The CloudWatch agent has none of those that have no room at all.
        let has_room = |filesystem: &Filesystem| filesystem.room.is_some_and(|it| it.size > 0.0);
        let published = filesystems.iter().filter(|(_, it)| has_room(it));
        let published = published
            .map(|(labels, it)| (labels.clone(), *it))
            .collect();
        gathered.publish(&PUBLISHED, &published, &BTreeMap::new(), dimensions, |_| {
            false
        });
        Ok(())
    }
}

impl Filesystems {
    /// Asks one after the other in a thread; where one does not answer in time, another thread goes on behind it.
    fn ask_all(&mut self, paths: &[PathBuf]) -> Vec<Option<Room>> {
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

const INFO: &str = "Filesystem mount information.";

fn info(labels: &Labels, mount: &MountInfo) -> Row {
    let label = |name: &str| {
        let label = labels.iter().find(|(known, _)| known == name);
        label.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (major, minor) = mount.majmin.split_once(':').unwrap_or_default();
    let labels = [
        ("device", label("device")),
        ("major", major.to_owned()),
        ("minor", minor.to_owned()),
        ("mountpoint", label("mountpoint")),
    ];
    row(labels, 1.0)
}

fn is_remote(fs_type: &str) -> bool {
    const KINDS: [&str; 10] = [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fuse",
        "glusterfs",
        "lustre",
        "nfs",
        "smb",
        "virtiofs",
    ];
    KINDS.iter().any(|kind| fs_type.starts_with(kind))
}

/// What a line of `mountinfo` says, with the mount point as the kernel has it, which need not be UTF-8, and the device, of which
/// `none` is one.
fn mount(line: &[u8]) -> Option<(MountInfo, PathBuf, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mount_point = fields.nth(4)?;
    let mut fields = fields.skip_while(|field| *field != b"-");
    // Most are none to store things in, and not worth reading.
    let fs_type = fields.nth(1)?;
    if TYPES_LEFT_OUT
        .iter()
        .any(|left_out| left_out.as_bytes() == fs_type)
    {
        return None;
    }
    let device = unescaped(fields.next()?);
    let device = String::from_utf8_lossy(&device).into_owned();
    let mount = MountInfo::from_line(&String::from_utf8_lossy(line)).ok()?;
    let mount_point = OsString::from_vec(unescaped(mount_point));
    Some((mount, mount_point.into(), device))
}

/// The kernel writes what would break its lines as three octal digits: `\040` for a space.
fn unescaped(mut bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        let digits = rest.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                bytes = &rest[3..];
            }
            None => {
                plain.push(*first);
                bytes = rest;
            }
        }
    }
    plain
}

/// A mount point as the host names it.
fn place(mount_point: &Path, rootfs: &Path) -> String {
    let stripped = match rootfs.parent() {
        None => mount_point,
        Some(_) => mount_point.strip_prefix(rootfs).unwrap_or(mount_point),
    };
    let place = stripped.to_string_lossy();
    match place.starts_with('/') {
        true => place.into_owned(),
        false => format!("/{place}"),
    }
}

/// Where a mount point of the host is seen from here.
pub(super) fn below(rootfs: &Path, mount_point: &Path) -> PathBuf {
    if rootfs.parent().is_none() || mount_point.starts_with(rootfs) {
        return mount_point.to_owned();
    }
    rootfs.join(mount_point.strip_prefix("/").unwrap_or(mount_point))
}

fn is_shown(fs_type: &str, place: &str) -> bool {
    let is_below = |folder: &&str| {
        let rest = place.strip_prefix(*folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !TYPES_LEFT_OUT.contains(&fs_type)
        && !PLACES_LEFT_OUT.iter().any(is_below)
        && !PLACES_BELOW_LEFT_OUT
            .iter()
            .any(|folder| place.starts_with(*folder))
}

/// As the CloudWatch agent tells them apart.
fn dimensions(labels: &Labels) -> Labels {
    let named = |(name, value): &(std::borrow::Cow<'static, str>, String)| match &**name {
        "mountpoint" => ("path".into(), value.clone()),
        "device" => {
            let device = value.strip_prefix("/dev/").unwrap_or(value);
            ("device".into(), device.to_owned())
        }
        _ => (name.clone(), value.clone()),
    };
    labels.iter().map(named).collect()
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

    impl Filesystems {
        pub(in crate::host) fn fixed() -> Self {
            Self {
                ask: fixed,
                deadline: Duration::from_millis(100),
                worker: None,
                stuck: HashMap::new(),
                well: HashSet::new(),
            }
        }
    }

    /// The mounts before it and behind it are asked all the same, and it is not asked again while its thread waits.
    #[test]
    fn a_mount_that_hangs_holds_up_nothing_but_itself() {
        let mut filesystems = Filesystems::fixed();
        let paths: Vec<PathBuf> = ["/a", "/hung", "/b", "/x/hung", "/c"]
            .map(PathBuf::from)
            .into();
        let expected = [true, false, true, false, true];
        for _ in 0..3 {
            let rooms = filesystems.ask_all(&paths);
            let answered: Vec<bool> = rooms.iter().map(Option::is_some).collect();
            assert_eq!(answered, expected);
            assert_eq!(filesystems.stuck.len(), 2);
        }
    }

    /// Many mounts of one server that is gone.
    #[test]
    fn those_that_answer_are_asked_however_many_hang() {
        let mut filesystems = Filesystems {
            deadline: Duration::from_millis(50),
            ..Filesystems::fixed()
        };
        let hung = (0..40).map(|place| PathBuf::from(format!("/{place}/hung")));
        let paths: Vec<PathBuf> = [PathBuf::from("/")].into_iter().chain(hung).collect();
        // On a busy machine one that answers may be late once, and is asked again.
        let mut looks = (0..10).map(|_| filesystems.ask_all(&paths)[0].is_some());
        assert!(looks.by_ref().take(5).any(|answered| answered));
        assert!(looks.any(|answered| answered));
        assert!((STUCK_MAX..=STUCK_MAX + 1).contains(&filesystems.stuck.len()));
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
        let mut filesystems = Filesystems {
            ask,
            deadline: Duration::from_millis(50),
            ..Filesystems::fixed()
        };
        let hung = (0..50).map(|place| PathBuf::from(format!("/nfs/{place}")));
        let paths: Vec<PathBuf> = hung.chain(["/".into(), "/data".into()]).collect();
        assert!(filesystems.ask_all(&paths).iter().all(Option::is_some));
        IS_GONE.store(true, std::sync::atomic::Ordering::Relaxed);
        let answered: Vec<usize> = (0..30)
            .map(|_| filesystems.ask_all(&paths).iter().flatten().count())
            .collect();
        assert!(answered[20..].contains(&2), "{answered:?}");
    }

    #[test]
    fn a_mount_point_that_is_no_text_is_asked_as_it_is() {
        use std::os::unix::ffi::OsStrExt as _;
        let line = b"36 35 98:0 / /caf\xe9\\040x rw,noatime shared:1 - tmpfs none rw";
        let (_, mount_point, device) = mount(line).unwrap();
        assert_eq!(mount_point.as_os_str().as_bytes(), b"/caf\xe9 x");
        assert_eq!(device, "none");
        assert_eq!(place(&mount_point, Path::new("/")), "/caf\u{fffd} x");
    }

    #[test]
    fn thousands_of_mounts_are_asked_by_one_thread() {
        let mut filesystems = Filesystems::fixed();
        let paths: Vec<PathBuf> = (0..2_000).map(|place| format!("/{place}").into()).collect();
        let rooms = filesystems.ask_all(&paths);
        assert!(rooms.iter().all(Option::is_some));
    }

    #[test]
    fn a_host_below_another_root_is_named_as_the_host_does() {
        let rootfs = Path::new("/rootfs");
        for (mount, named, seen) in [
            ("/rootfs", "/", "/rootfs"),
            ("/rootfs/data", "/data", "/rootfs/data"),
            ("/data", "/data", "/rootfs/data"),
        ] {
            assert_eq!(place(Path::new(mount), rootfs), named);
            assert_eq!(below(rootfs, Path::new(mount)), Path::new(seen));
        }
        assert_eq!(
            below(Path::new("/"), Path::new("/data")),
            Path::new("/data")
        );
    }
}

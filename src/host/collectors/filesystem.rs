//! Mounted file systems: what fits on them, and what is left.

mod mounts;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use procfs::process::MountInfo;

use crate::family::{Kind, Labels, Row, float, labels, row};
use crate::host::gathered::{Column, Gathered, Published};

use super::{Collect, Roots};

use mounts::Mounts;

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

/// What answers from the counters that the kernel keeps of it, whatever becomes of the disk. Only where all are such: the way to
/// one may lead through another that hangs.
const NEVER_HANG: [&str; 6] = ["ext2", "ext3", "ext4", "tmpfs", "vfat", "xfs"];

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

/// A line of `mountinfo` that is shown.
struct Mounted {
    labels: Labels,
    is_read_only: bool,
    info: Row,
}

/// What is mounted, read when the kernel's text of it is another than at the last look.
#[derive(Default)]
struct List {
    text: Vec<u8>,
    mounted: Vec<Mounted>,
    /// Where each is seen from here.
    paths: Vec<PathBuf>,
    infos: Vec<Row>,
    never_hang: bool,
}

impl List {
    fn read(text: Vec<u8>, roots: &Roots, keeps: impl Fn(&Labels) -> bool) -> Self {
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
            if keeps(&labels) {
                shown.push((labels, below(&roots.rootfs, &mount_point), mount));
            }
        }
        // What is of another host comes last: its server may be gone.
        shown.sort_by_key(|(.., mount)| is_remote(&mount.fs_type));
        let kinds = || shown.iter().map(|(.., mount)| &*mount.fs_type);
        let never_hang = kinds().all(|kind| NEVER_HANG.contains(&kind));
        let (paths, mounted): (_, Vec<Mounted>) = shown.into_iter().map(mounted).unzip();
        let mut infos: Vec<Row> = mounted.iter().map(|it| it.info.clone()).collect();
        // What is mounted twice at one place has one row.
        infos.sort_by(|a, b| a.labels.cmp(&b.labels));
        infos.dedup_by(|a, b| a.labels == b.labels);
        Self {
            text,
            mounted,
            paths,
            infos,
            never_hang,
        }
    }
}

fn mounted((labels, path, mount): (Labels, PathBuf, MountInfo)) -> (PathBuf, Mounted) {
    let options = [&mount.mount_options, &mount.super_options];
    let is_read_only = options.iter().any(|options| options.contains_key("ro"));
    let info = info(&labels, &mount);
    let mounted = Mounted {
        labels,
        is_read_only,
        info,
    };
    (path, mounted)
}

#[derive(Default)]
pub(super) struct Filesystems {
    list: List,
    mounts: Mounts,
}

impl Collect for Filesystems {
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let text = roots
            .bytes("1/mountinfo")
            .or_else(|_| roots.bytes("self/mountinfo"))?;
        if text != self.list.text {
            self.list = List::read(text, roots, |labels| gathered.keeps(labels));
        }
        let (list, mounts) = (&self.list, &mut self.mounts);
        let at_once = list.never_hang.then(|| mounts.ask_at_once(&list.paths));
        let rooms = at_once.flatten();
        let rooms = rooms.unwrap_or_else(|| mounts.ask_all(&list.paths));
        let infos = list.infos.clone();
        gathered.push(Kind::Gauge, "node_filesystem_mount_info", INFO, infos);
        let filesystem = |(mounted, room): (&Mounted, Option<Room>)| {
            let is_read_only = mounted.is_read_only;
            (mounted.labels.clone(), Filesystem { room, is_read_only })
        };
        let all = list.mounted.iter().zip(rooms).map(filesystem);
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

    impl Filesystems {
        pub(in crate::host) fn fixed() -> Self {
            let (list, mounts) = (List::default(), Mounts::fixed());
            Self { list, mounts }
        }
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

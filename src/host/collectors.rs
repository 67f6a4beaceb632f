//! The parts of the host, one file each with its table of names.

mod cgroup;
mod conntrack;
mod diskstats;
mod entropy;
mod filefd;
mod filesystem;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod pressure;
mod processes;
mod procstat;
mod sockstat;
mod tcpstat;
mod textfile;
mod time;
mod uname;
mod vmstat;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use procfs::FromBufRead;

use super::gathered::Gathered;

/// A file of the kernel's that is larger is not what it is taken for.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What most of the kernel's files fit in, so that they are read at once.
const FILE_BYTES: usize = 8 << 10;

/// Where the host's file systems are; a container sees them elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
        }
    }
}

impl Roots {
    fn open(path: &Path) -> anyhow::Result<impl std::io::BufRead + use<>> {
        let file = File::open(path).with_context(|| format!("`{}`", path.display()))?;
        Ok(BufReader::new(file.take(FILE_BYTES_MAX)))
    }

    /// What procfs makes of a file below `/proc`.
    pub(super) fn parse<T: FromBufRead>(&self, path: &str) -> anyhow::Result<T> {
        let path = self.procfs.join(path);
        let parsed = T::from_buf_read(Self::open(&path)?);
        parsed.with_context(|| format!("`{}` is not as expected", path.display()))
    }

    /// The text of a file below `/proc/net`: of the network that the first process sees, for in a container the own one may be
    /// another.
    pub(super) fn net(&self, file: &str) -> anyhow::Result<String> {
        let first = self.text(&format!("1/net/{file}"));
        first.or_else(|_| self.text(&format!("net/{file}")))
    }

    pub(super) fn text(&self, path: &str) -> anyhow::Result<String> {
        text(&self.procfs.join(path))
    }

    pub(super) fn bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        bytes(&self.procfs.join(path))
    }
}

/// The text of a small file. What is not UTF-8 in it is replaced.
fn text(path: &Path) -> anyhow::Result<String> {
    Ok(match String::from_utf8(bytes(path)?) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    let mut reader = Roots::open(path)?;
    let read = reader.read_to_end(&mut bytes);
    read.with_context(|| format!("`{}`", path.display()))?;
    Ok(bytes)
}

/// A part of the host.
pub(super) trait Collect: Send {
    /// Adds what there is to see. An error says that the part cannot be read; what was added before it counts.
    fn collect(&mut self, roots: &Roots, gathered: &mut Gathered) -> anyhow::Result<()>;
}

pub use procstat::{Group, group};

/// What looks at groups of processes; its name is `procstat`.
pub(super) fn procstat(groups: Vec<Group>) -> Box<dyn Collect> {
    Box::new(procstat::Procstat::new(groups))
}

/// What shows the files in a folder; its name is `textfile`.
pub(super) fn textfile(folder: PathBuf) -> Box<dyn Collect> {
    Box::new(textfile::Textfile { folder })
}

/// A part of the host by the name that node_exporter has for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) new: fn() -> Box<dyn Collect>,
}

#[rustfmt::skip]
pub(super) const PARTS: [Part; 19] = [
    Part { name: "cgroup", new: || Box::new(cgroup::Cgroup) },
    Part { name: "conntrack", new: || Box::new(conntrack::Conntrack) },
    Part { name: "diskstats", new: || Box::new(diskstats::Disks::default()) },
    Part { name: "entropy", new: || Box::new(entropy::Entropy) },
    Part { name: "filefd", new: || Box::new(filefd::Filefd) },
    Part { name: "filesystem", new: || Box::new(filesystem::Filesystems::default()) },
    Part { name: "loadavg", new: || Box::new(loadavg::Loadavg) },
    Part { name: "meminfo", new: || Box::new(meminfo::Meminfo) },
    Part { name: "netclass", new: || Box::new(netclass::Netclass) },
    Part { name: "netdev", new: || Box::new(netdev::Netdev::default()) },
    Part { name: "netstat", new: || Box::new(netstat::Netstat) },
    Part { name: "os", new: || Box::<os::Os>::default() },
    Part { name: "pressure", new: || Box::new(pressure::Pressure) },
    Part { name: "processes", new: || Box::new(processes::Processes) },
    Part { name: "sockstat", new: || Box::new(sockstat::Sockstat) },
    Part { name: "tcpstat", new: || Box::new(tcpstat::Tcpstat) },
    Part { name: "time", new: || Box::new(time::Time) },
    Part { name: "uname", new: || Box::new(uname::Uname) },
    Part { name: "vmstat", new: || Box::new(vmstat::Vmstat) },
];

/// File systems that all say the same, but for one that does not answer.
#[cfg(test)]
pub(super) fn fixed_filesystems() -> Box<dyn Collect> {
    Box::new(filesystem::Filesystems::fixed())
}

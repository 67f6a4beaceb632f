//! What the kernel calls itself.

use crate::family::{Kind, row};
use crate::host::gathered::Gathered;

use super::{Collect, Roots};

#[derive(Debug, Default)]
pub(super) struct Uname;

impl Collect for Uname {
    fn collect(&mut self, _: &Roots, gathered: &mut Gathered) -> anyhow::Result<()> {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let labels = [
            ("domainname", text(uname.domainname())),
            ("machine", text(uname.machine())),
            ("nodename", text(uname.nodename())),
            ("release", text(uname.release())),
            ("sysname", text(uname.sysname())),
            ("version", text(uname.version())),
        ];
        gathered.push(
            Kind::Gauge,
            "node_uname_info",
            "Labeled system information as provided by the uname system call.",
            vec![row(labels, 1.0)],
        );
        Ok(())
    }
}

//! A real CPU load: every core busy until it is dropped.

use std::process::{Child, Command};

pub(super) struct Load(Vec<Child>);

impl Load {
    pub(super) fn start() -> Self {
        let cores = std::thread::available_parallelism().unwrap().get();
        let busy = || {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap()
        };
        Self((0..cores).map(|_| busy()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

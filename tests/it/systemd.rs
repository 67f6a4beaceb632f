//! What the service manager is told.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::world::{Folder, Process, cwbridge, free_port};

struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Waits until a message holds `text`; returns it.
    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let mut buffer = [0; 1_024];
        for _ in 0..100 {
            let length = self.socket.recv(&mut buffer).unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.contains(text) {
                return message;
            }
        }
        panic!("`{text}` was not told");
    }
}

#[test]
fn it_is_told_of_the_start_of_life_of_reloads_and_of_the_end() {
    let folder = Folder::new("systemd");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let manager = Manager { socket };
    let mut command = cwbridge();
    command.env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", "2000000");
    let listen = format!("127.0.0.1:{}", free_port());
    let mut process = Process::start(command.args(["run", "--listen", &listen]));
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    process.signal("HUP");
    assert!(manager.wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.wait_for("READY=1");
    process.signal("TERM");
    manager.wait_for("STOPPING=1");
    assert_eq!(process.stop("TERM").0, Some(0), "{}", process.log());
}

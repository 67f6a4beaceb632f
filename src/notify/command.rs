//! A program is told: the message on its standard input, the rest in its environment.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Delivery, Failed};

/// What is kept of what a program says, for the log.
const SAID_BYTES_MAX: usize = 1 << 10;

/// The program with all that it started ends with whoever waits for it.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Runs it to its end. Whoever waits no longer ends it.
pub(super) async fn run(arguments: &[String], delivery: &Delivery) -> Result<(), Failed> {
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(Failed::not_sent("there is no program".to_owned()));
    };
    let cannot = |error: std::io::Error| Failed::not_sent(format!("`{program}`: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .env("CWBRIDGE_ALARM", &delivery.alarm)
        .env("CWBRIDGE_STATE", &delivery.state)
        .env("CWBRIDGE_CERTAINTY", &delivery.certainty)
        .env("CWBRIDGE_SUBJECT", &delivery.subject)
        .env("CWBRIDGE_ID", &delivery.key)
        .env(
            "CWBRIDGE_TEST",
            if delivery.is_test { "true" } else { "false" },
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(id.and_then(rustix::process::Pid::from_raw));
    let input = child.stdin.take();
    let body = delivery.body.clone();
    let write = async move {
        if let Some(mut input) = input {
            // A program need not read what it is told.
            let _ = input.write_all(body.as_bytes()).await;
        }
    };
    let errors = child.stderr.take();
    let (status, said, ()) = tokio::join!(child.wait(), beginning(errors), write);
    group.0 = None;
    let status = status.map_err(|error| Failed::lost(format!("`{program}`: {error}")))?;
    match (status.success(), said.trim()) {
        (true, _) => Ok(()),
        (false, "") => Err(Failed::lost(format!("`{program}` ended with {status}"))),
        (false, said) => Err(Failed::lost(format!(
            "`{program}` ended with {status}: {said}"
        ))),
    }
}

/// The first of what comes; the rest is read, and forgotten.
async fn beginning(from: Option<impl AsyncRead + Unpin>) -> String {
    let (mut said, mut buffer) = (Vec::new(), vec![0; 4 << 10]);
    if let Some(mut from) = from {
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(read);
            said.extend_from_slice(&buffer[..room]);
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

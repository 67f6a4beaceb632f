//! A program is told: the message on its standard input, the rest in its environment.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Delivery, Failed};

/// What is kept of what a program says, for the log.
const SAID_BYTES_MAX: usize = 1 << 10;

/// How long after its end what a program said is still listened to.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What a program is given of the daemon's own environment, which may have secrets in it.
const KEPT: [&str; 6] = ["HOME", "LANG", "PATH", "TMPDIR", "TZ", "USER"];

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
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
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
    let mut said = Vec::new();
    let listen = beginning(child.stderr.take(), &mut said);
    let ended = async {
        let (status, ()) = tokio::join!(child.wait(), write);
        // What it started may live on with its outputs, and be silent.
        tokio::time::sleep(LAST_WORDS).await;
        status
    };
    let status = tokio::select! {
        status = ended => status,
        () = listen => unreachable!("it listens for ever"),
    };
    group.0 = None;
    let said = String::from_utf8_lossy(&said);
    let status = status.map_err(|error| Failed::lost(format!("`{program}`: {error}")))?;
    match (status.success(), said.trim()) {
        (true, _) => Ok(()),
        (false, "") => Err(Failed::lost(format!("`{program}` ended with {status}"))),
        (false, said) => Err(Failed::lost(format!(
            "`{program}` ended with {status}: {said}"
        ))),
    }
}

/// The first of what comes; the rest is read, and forgotten. It listens for ever.
async fn beginning(from: Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) {
    let mut buffer = vec![0; 4 << 10];
    if let Some(mut from) = from {
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(read);
            said.extend_from_slice(&buffer[..room]);
        }
    }
    std::future::pending::<()>().await;
}

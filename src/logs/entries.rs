//! What `journalctl` writes: entries, one in a line.

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use crate::aws::NewEvent;
use crate::metric::Timestamp;

use super::batch::{EVENT_MAX, cut};

/// The most bytes of an entry, with everything that is told of it.
const ENTRY_MAX: u64 = 4 << 20;

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cursor: String,
    pub(super) event: NewEvent,
    /// Something of it was cut off.
    pub(super) is_cut: bool,
}

/// Lines of an output. Whoever gives up waiting for one loses nothing of it.
pub(super) struct Lines<R> {
    out: R,
    line: Vec<u8>,
    /// What was read of the line before does not belong to it: it is too long.
    is_too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(out: R) -> Self {
        Self {
            out,
            line: Vec::new(),
            is_too_long: false,
        }
    }

    /// The next line, which is empty if it is too long; `None` at the end.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            let room = ENTRY_MAX.saturating_sub(self.line.len() as u64);
            let mut out = (&mut self.out).take(room);
            let read = out.read_until(b'\n', &mut self.line).await?;
            let is_whole = self.line.last() == Some(&b'\n');
            if is_whole || read == 0 && room > 0 {
                let line = std::mem::take(&mut self.line);
                return Ok(match std::mem::take(&mut self.is_too_long) {
                    true => Some(Vec::new()),
                    false => is_whole.then_some(line),
                });
            }
            if self.line.len() as u64 >= ENTRY_MAX {
                self.line.clear();
                self.is_too_long = true;
            }
        }
    }
}

/// What a line says.
pub(super) fn entry(line: &[u8]) -> Option<Entry> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| value.get(name).and_then(message_of);
    let microseconds: i64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
    let mut message = text("MESSAGE").filter(|message| !message.is_empty())?;
    let name = text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM"));
    if let Some(name) = name {
        let pid = text("_PID").map(|pid| format!("[{pid}]"));
        message = format!("{name}{}: {message}", pid.unwrap_or_default());
    }
    let is_cut = cut(&mut message, EVENT_MAX);
    let event = NewEvent {
        at: Timestamp::from_milliseconds(microseconds / 1_000),
        message,
    };
    let cursor = text("__CURSOR")?;
    Some(Entry {
        cursor,
        event,
        is_cut,
    })
}

/// A field is text, or where that cannot be, its bytes; one that is there several times is a list.
pub(super) fn message_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            match bytes {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => items.first().and_then(message_of),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[test]
    fn entries_are_read_also_where_they_are_bytes() {
        let line = br#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1700000000123456","MESSAGE":"hot","SYSLOG_IDENTIFIER":"app","_PID":"7"}"#;
        let found = entry(line).unwrap();
        assert_eq!((found.cursor.as_str(), found.is_cut), ("s=1", false));
        assert_eq!(found.event.message, "app[7]: hot");
        assert_eq!(found.event.at.milliseconds(), 1_700_000_000_123);
        let bytes = br#"{"__CURSOR":"s=2","__REALTIME_TIMESTAMP":"1000","MESSAGE":[104,255,105]}"#;
        assert_eq!(entry(bytes).unwrap().event.message, "h\u{fffd}i");
        assert_eq!(entry(b"-- No entries --"), None);
        assert_eq!(entry(b"{}"), None);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed() {
        let mut text = vec![b'x'; usize::try_from(ENTRY_MAX).unwrap() + 5];
        text.extend(b"\nnext\n");
        let mut lines = Lines::new(BufReader::new(&text[..]));
        assert_eq!(lines.next().await.unwrap(), Some(Vec::new()));
        let next = lines.next().await.unwrap();
        assert_eq!(next.as_deref(), Some(&b"next\n"[..]));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}

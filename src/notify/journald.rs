//! The journal of systemd is told, by its native protocol: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::path::Path;

use tokio::net::UnixDatagram;

use super::{Delivery, Failed};

/// As syslog has them: warning, informational.
const WARNING: &str = "4";
const INFORMATIONAL: &str = "6";

pub(super) async fn tell(socket: &Path, delivery: &Delivery) -> Result<(), Failed> {
    let cannot =
        |error: std::io::Error| Failed::not_sent(format!("`{}`: {error}", socket.display()));
    let from = UnixDatagram::unbound().map_err(cannot)?;
    let sent = from.send_to(&entry(delivery), socket).await;
    sent.map(drop).map_err(cannot)
}

fn entry(delivery: &Delivery) -> Vec<u8> {
    let message = format!("{}: {}", delivery.subject, delivery.body);
    let priority = match delivery.state.as_str() {
        "ALARM" => WARNING,
        _ => INFORMATIONAL,
    };
    let mut entry = Vec::new();
    for (name, value) in [
        ("MESSAGE", message.as_str()),
        ("PRIORITY", priority),
        ("SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME")),
        ("CWBRIDGE_ALARM", &delivery.alarm),
        ("CWBRIDGE_STATE", &delivery.state),
        ("CWBRIDGE_CERTAINTY", &delivery.certainty),
        ("CWBRIDGE_ID", &delivery.key),
    ] {
        // With its length, so that a value may have lines.
        entry.extend_from_slice(name.as_bytes());
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        entry.extend_from_slice(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::queue::tests::delivery;

    #[tokio::test]
    async fn the_journal_gets_every_field_with_its_length() {
        let folder = std::env::temp_dir().join(format!("cwbridge-journald-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        tell(&path, &delivery("a", "ALARM", 0)).await.unwrap();
        let mut entry = vec![0; 4_096];
        let length = journal.recv(&mut entry).await.unwrap();
        let text = String::from_utf8_lossy(&entry[..length]).into_owned();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            text.contains("PRIORITY\n\u{1}\0\0\0\0\0\0\x004\n"),
            "{text:?}"
        );
        assert!(text.contains("MESSAGE\n"), "{text:?}");
        assert!(
            text.contains("CWBRIDGE_STATE\n\u{5}\0\0\0\0\0\0\0ALARM\n"),
            "{text:?}"
        );
        let gone = tell(&path, &delivery("a", "OK", 0)).await.unwrap_err();
        assert!(!gone.answer_lost);
        assert!(gone.message.contains("socket"), "{}", gone.message);
    }
}

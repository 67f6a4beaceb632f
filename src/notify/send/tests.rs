//! Those who are told, as they are met.

use super::*;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::config::Shape;
use crate::notify::queue::tests::{delivery, target};

/// Somebody who answers each request with a status, and what was asked.
async fn listener(status: u16) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4_096];
        while !text.ends_with('}') && !text.ends_with(']') {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text.push_str(str::from_utf8(&buffer[..read]).unwrap());
        }
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        text
    });
    (url, heard)
}

fn sender() -> Arc<Sender> {
    let variable = |name: &str| (name == "KEY").then(|| "topsecret".to_owned());
    Arc::new(Sender::new(None, variable))
}

fn told(to: Recipient) -> Notify {
    Notify { to, ..target("t") }
}

fn webhook(url: &str) -> Webhook {
    Webhook {
        url: Secret(url.to_owned()),
        shape: Shape::Sns,
        key: Some(Secret("${env:KEY}".to_owned())),
        headers: vec![("x-token".to_owned(), Secret("a ${env:KEY}".to_owned()))],
    }
}

/// The example of the specification: <https://github.com/standard-webhooks/standard-webhooks>.
#[test]
fn a_signature_is_that_of_standard_webhooks() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = r#"{"test": 2432232314}"#;
    let signature = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn a_webhook_gets_the_message_signed_and_with_its_id() {
    let (url, heard) = listener(204).await;
    let delivery = delivery("a", "ALARM", 0);
    let to = Recipient::Webhook(webhook(&url));
    sender().send(told(to), delivery.clone()).await.unwrap();
    let heard = heard.await.unwrap();
    let header = |name: &str| {
        let line = heard.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(": ").to_owned())
            .unwrap()
    };
    assert_eq!(header("webhook-id"), delivery.key);
    assert_eq!(header("x-token"), "a topsecret");
    let signed = signature(
        "topsecret",
        &delivery.key,
        &header("webhook-timestamp"),
        "{}",
    );
    assert_eq!(header("webhook-signature"), signed.unwrap());
    assert!(heard.ends_with("\r\n\r\n{}"), "{heard}");
}

#[tokio::test]
async fn what_a_webhook_answers_is_told_without_its_address() {
    for (status, lost) in [(404, false), (500, true)] {
        let (url, heard) = listener(status).await;
        let url = format!("{url}/${{env:KEY}}");
        let to = told(Recipient::Webhook(webhook(&url)));
        let failed = sender().send(to, delivery("a", "OK", 0)).await.unwrap_err();
        assert!(heard.await.unwrap().starts_with("POST /topsecret "));
        assert_eq!(failed.message, format!("the answer is status {status}"));
        assert_eq!(failed.answer_lost, lost);
    }
    // Nobody is there.
    let gone = told(Recipient::Webhook(webhook("http://127.0.0.1:1/${env:KEY}")));
    let failed = sender()
        .send(gone, delivery("a", "OK", 0))
        .await
        .unwrap_err();
    assert!(
        !failed.answer_lost && !failed.message.contains("topsecret"),
        "{failed:?}"
    );
    let unset = told(Recipient::Webhook(webhook(
        "http://127.0.0.1:1/${env:NONE}",
    )));
    let failed = sender()
        .send(unset, delivery("a", "OK", 0))
        .await
        .unwrap_err();
    assert_eq!(failed.message, "the variable `NONE` is not set");
}

#[tokio::test]
async fn alertmanager_gets_an_alert_that_ends() {
    for (state, ends) in [("ALARM", false), ("OK", true)] {
        let (url, heard) = listener(200).await;
        let to = Recipient::Alertmanager {
            url: Secret(url),
            labels: Vec::new(),
            headers: Vec::new(),
        };
        let delivery = Delivery {
            body: r#"{"labels":{"alertname":"a"}}"#.to_owned(),
            ..delivery("a", state, 60)
        };
        sender().send(told(to), delivery).await.unwrap();
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("POST /api/v2/alerts "), "{heard}");
        let body = heard.split("\r\n\r\n").nth(1).unwrap();
        let alerts: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(alerts[0]["labels"]["alertname"], "a");
        let end = alerts[0]["endsAt"].as_str().unwrap();
        assert_eq!(end == "1970-01-01T00:01:00.000Z", ends, "{end}");
    }
}

#[tokio::test]
async fn a_program_is_told_on_its_input_and_in_its_environment() {
    let folder = std::env::temp_dir().join(format!("cwbridge-command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("heard");
    let script = format!(
        "(echo $CWBRIDGE_ALARM $CWBRIDGE_STATE; cat) > {}",
        path.display()
    );
    let run = |script: &str| {
        let arguments = ["/bin/sh", "-c", script].map(str::to_owned);
        sender().send(
            told(Recipient::Command(arguments.into())),
            delivery("a", "ALARM", 0),
        )
    };
    run(&script).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a ALARM\n{}");
    // What it leaves behind is not waited for, and what is secret in the daemon's environment is not there.
    let leaves = run("sleep 60 & [ -z \"$CARGO_MANIFEST_DIR\" ]");
    let left = tokio::time::timeout(Duration::from_secs(5), leaves).await;
    left.unwrap().unwrap();
    let failed = run("echo no pager >&2; exit 3").await.unwrap_err();
    assert_eq!(
        failed.message,
        "`/bin/sh` ended with exit status: 3: no pager"
    );
    // A gigabyte is read and forgotten.
    let failed = run("head -c 1000000000 /dev/zero | tr '\\0' x >&2; exit 1")
        .await
        .unwrap_err();
    assert!(failed.message.len() < 2_000, "{}", failed.message.len());
    // One that never ends goes with whoever waits, and so does what it started.
    let pid = folder.join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let started = async {
        loop {
            let text = std::fs::read_to_string(&pid).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let pid = tokio::select! {
        ended = run(&script) => panic!("{ended:?}"),
        pid = started => pid,
    };
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    for _ in 0..1_000 {
        if !gone() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(gone());
    let missing = told(Recipient::Command(vec!["/no/such/program".to_owned()]));
    let failed = sender()
        .send(missing, delivery("a", "OK", 0))
        .await
        .unwrap_err();
    assert!(
        failed
            .message
            .starts_with("`/no/such/program`: No such file")
    );
    // A file gets a line for each.
    let lines = folder.join("events");
    for _ in 0..2 {
        let to = told(Recipient::File(lines.display().to_string()));
        sender().send(to, delivery("a", "OK", 0)).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&lines).unwrap(), "{}\n{}\n");
    std::fs::remove_dir_all(&folder).unwrap();
}

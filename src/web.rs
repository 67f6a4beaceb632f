//! Servers that are asked: Prometheus and a daemon of ours at the command line, and whoever is told of something.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Builder;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use crate::finding::error_chain;
use crate::metric::Timestamp;

/// A larger answer is not what was asked for.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What is read of an answer that matters by its status.
const BEGINNING_BYTES_MAX: usize = 64 << 10;
const BEGINNING_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that does not answer by then is taken to be gone.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The text at an address, which may begin with a name and a password, `https://name:password@host`.
pub async fn get(url: &str) -> Result<String, String> {
    let (url, authorization) = &credentials(url);
    let request = with(authorization.as_ref(), hyper::Request::get(url)).body(Full::default());
    within(url, ask(url, request)).await
}

/// A name as part of an address.
pub fn in_path(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// An address as it can be shown: without the password.
pub fn shown(url: &str) -> String {
    credentials(url).0
}

/// An address without name and password, and the header that has them.
fn credentials(url: &str) -> (String, Option<String>) {
    let split = || {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), url),
        };
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let port = rest[..authority]
            .rsplit_once(':')
            .map_or("", |(_, port)| port);
        // A password that is not encoded may have what would end it.
        let is_cut = !port.bytes().all(|byte| byte.is_ascii_digit()) || rest.contains('#');
        let at = match rest[..authority].rfind('@') {
            None if is_cut || scheme.is_empty() => rest.rfind('@')?,
            at => at?,
        };
        let pair: Vec<u8> = percent_decode_str(&rest[..at]).collect();
        let header = format!("Basic {}", STANDARD.encode(pair));
        Some((format!("{scheme}{}", &rest[at + 1..]), Some(header)))
    };
    split().unwrap_or_else(|| (url.to_owned(), None))
}

fn with(authorization: Option<&String>, request: Builder) -> Builder {
    match authorization {
        Some(authorization) => request.header(AUTHORIZATION, authorization),
        None => request,
    }
}

async fn within(
    url: &str,
    asked: impl Future<Output = Result<String, String>>,
) -> Result<String, String> {
    let answer = tokio::time::timeout(TIMEOUT, asked).await;
    answer.unwrap_or_else(|_| {
        let time = humantime::format_duration(TIMEOUT);
        Err(format!("{url}: no answer within {time}"))
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

/// What a Prometheus server answers for one range, in steps of so many seconds: the JSON text, or what went wrong.
pub async fn query_range(
    url: &str,
    query: &str,
    from: Timestamp,
    to: Timestamp,
    step: i64,
) -> Result<String, String> {
    let body = format!(
        "query={}&start={from}&end={to}&step={step}",
        utf8_percent_encode(query, NON_ALPHANUMERIC)
    );
    let (url, authorization) = &credentials(url.trim_end_matches('/'));
    let request = hyper::Request::post(format!("{url}/api/v1/query_range"));
    let request = with(authorization.as_ref(), request)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(body));
    within(url, ask(url, request)).await
}

async fn ask(
    url: &str,
    request: Result<hyper::Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<String, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let answer = answer(url, request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let body = body.await.map_err(|error| cannot(&error))?.to_bytes();
    let text = String::from_utf8(body.to_vec()).map_err(|_| cannot(&"the answer is no text"))?;
    let said = serde_json::from_str::<Answer>(&text).ok();
    match said.and_then(|said| said.error) {
        Some(error) => Err(cannot(&format_args!("{status}: {error}"))),
        None if !status.is_success() => Err(cannot(&format_args!("the answer is {status}"))),
        None => Ok(text),
    }
}

async fn answer(
    url: &str,
    request: Result<hyper::Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<Response<Incoming>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let request = request.map_err(|error| cannot(&error))?;
    let client = client().map_err(|error| cannot(&error))?;
    let answer = client.request(request).await;
    answer.map_err(|error| cannot(&error_chain(&error)))
}

/// A request to whoever it may be.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Vec<u8>,
}

/// The answer to one, whatever it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// The beginning of it.
    pub body: String,
}

/// Why there is no answer, or not the one that was hoped for. It does not tell the address, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub message: String,
    /// Whether the request may have been heard.
    pub is_lost: bool,
}

/// Makes requests one after the other, to whoever it may be.
#[derive(Debug, Default)]
pub struct WebClient {
    /// Certificates are read when they are first needed.
    client: OnceLock<Result<Secure, String>>,
}

type Secure = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl WebClient {
    pub async fn ask(&self, asked: Request<'_>) -> Result<Answered, Unanswered> {
        let not_sent = |message: String| Unanswered {
            message,
            is_lost: false,
        };
        let (url, authorization) = credentials(asked.url);
        let request = hyper::Request::builder().method(asked.method).uri(url);
        let mut request = with(authorization.as_ref(), request);
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(asked.body));
        let request = request.map_err(|error| not_sent(error.to_string()))?;
        let client = self.client.get_or_init(client).as_ref();
        let client = client.map_err(|message| not_sent(message.clone()))?;
        let answer = client.request(request).await.map_err(|error| Unanswered {
            message: error_chain(&error),
            is_lost: !error.is_connect(),
        })?;
        let status = answer.status().as_u16();
        // What was asked for is known by the status, whatever becomes of the rest.
        let body = tokio::time::timeout(BEGINNING_TIMEOUT, beginning(answer.into_body())).await;
        let body = body.unwrap_or_default();
        Ok(Answered { status, body })
    }
}

/// What comes after that is not waited for.
async fn beginning(mut body: Incoming) -> String {
    let mut text = Vec::new();
    while text.len() < BEGINNING_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
    }
    text.truncate(BEGINNING_BYTES_MAX);
    String::from_utf8_lossy(&text).into_owned()
}

fn client() -> Result<Secure, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| error.to_string())?
        .https_or_http()
        .enable_http1()
        .build();
    // Requests are rare: a connection would be gone before the next.
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector))
}

/// Why an answer is not whole, if the server says so: one of those that it asked in turn did not answer.
pub fn partial(answer: &str) -> Option<String> {
    let answer = serde_json::from_str::<Answer>(answer).ok()?;
    (!answer.warnings.is_empty()).then(|| answer.warnings.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_into_a_header_and_is_not_shown() {
        for (url, without, header) in [
            ("http://a:1/b@c", "http://a:1/b@c", None),
            (
                "https://me:p%40ss@a/b?c=d@e",
                "https://a/b?c=d@e",
                Some("Basic bWU6cEBzcw=="),
            ),
            ("https://me:p@ss@a", "https://a", Some("Basic bWU6cEBzcw==")),
            ("me:p@a", "a", Some("Basic bWU6cA==")),
            ("https://me:p/q@a/b", "https://a/b", Some("Basic bWU6cC9x")),
            ("https://me:1#q@a", "https://a", Some("Basic bWU6MSNx")),
        ] {
            let (shown, authorization) = credentials(url);
            assert_eq!(
                (shown.as_str(), authorization.as_deref()),
                (without, header)
            );
        }
    }

    #[test]
    fn an_answer_says_whether_it_is_whole() {
        let whole = r#"{"status": "success", "data": {"resultType": "matrix", "result": []}}"#;
        assert_eq!(partial(whole), None);
        let warned = whole.replacen('{', r#"{"warnings": ["store a: timeout", "b"], "#, 1);
        assert_eq!(partial(&warned).as_deref(), Some("store a: timeout; b"));
    }
}

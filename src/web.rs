//! Servers that are asked at the command line: Prometheus, and a daemon of ours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Builder;
use hyper::{Request, Response};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use crate::finding::error_chain;
use crate::metric::Timestamp;

/// A larger answer is not what was asked for.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A server that does not answer by then is taken to be gone.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The text at an address, which may begin with a name and a password, `https://name:password@host`.
pub async fn get(url: &str) -> Result<String, String> {
    let (url, authorization) = &credentials(url);
    let request = with(authorization.as_ref(), Request::get(url)).body(Full::default());
    within(url, ask(url, request)).await
}

/// The same with headers of one's own.
pub async fn get_with<'a>(
    url: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<String, String> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    within(url, ask(url, request.body(Full::default()))).await
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
    let request = Request::post(format!("{url}/api/v1/query_range"));
    let request = with(authorization.as_ref(), request)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(body));
    within(url, ask(url, request)).await
}

async fn ask(
    url: &str,
    request: Result<Request<Full<Bytes>>, hyper::http::Error>,
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
    request: Result<Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<Response<Incoming>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let request = request.map_err(|error| cannot(&error))?;
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| cannot(&error))?
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let answer = client.request(request).await;
    answer.map_err(|error| cannot(&error_chain(&error)))
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

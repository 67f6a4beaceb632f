//! The HTTP server: `/metrics`, health, the alarms as JSON, and a page for people.
//!
//! `/metrics` OpenMetrics or text 0.0.4, gzip or not; `/-/healthy` while the process lives; `/-/ready` with what is
//! wanting; `POST /-/reload`, from this host alone; `/api/v1/alarms` and `/api/v1/alarms/{name}`; `/api/v1/history`, and
//! `/api/v1/events` as they happen; `POST /api/v1/alarms/{name}/notify-test`, from this host alone; `/` with links to them.

mod api;
mod connection;
mod events;
mod negotiation;
mod page;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alarm::Status;
use crate::exposition::{Exposition, Format};
use crate::keeper::WeakHandle;
use crate::mirror::Comparison;
use crate::notify::Tested;

pub use connection::{CONNECTIONS_MAX, Peer, serve};
pub use events::Events;

/// What the server shows: `None` until the first reading.
pub type Shown = watch::Receiver<Option<Arc<Exposition>>>;

/// What CloudWatch says of its alarms, by their names.
type Compared = Arc<BTreeMap<String, Comparison>>;

const NOT_LOOKED: &str = "the host has not been looked at yet";
const NOT_KNOWN: &str = "it is not known yet which metrics this host has";

/// How many transitions are told.
const HISTORY_DEFAULT: usize = 100;
const HISTORY_MAX: usize = 10_000;

/// Somebody wants the configuration read anew.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Who, for the log.
    pub by: &'static str,
    /// Every problem, if it cannot be.
    pub answer: oneshot::Sender<Result<(), Vec<String>>>,
}

/// Where requests for a reload go.
pub type Reloads = mpsc::Sender<ReloadRequest>;

/// Somebody wants to see whether notifications of an alarm arrive.
#[derive(Debug)]
pub struct TestRequest {
    pub alarm: String,
    pub answer: oneshot::Sender<Result<Tested, String>>,
}

/// What is served, and where requests go.
#[derive(Clone, Debug)]
pub struct Served {
    shown: Shown,
    reloads: Reloads,
    tests: mpsc::Sender<TestRequest>,
    events: Events,
    keeper: WeakHandle,
}

impl Served {
    pub fn new(
        shown: Shown,
        reloads: Reloads,
        tests: mpsc::Sender<TestRequest>,
        events: Events,
        keeper: WeakHandle,
    ) -> Self {
        Self {
            shown,
            reloads,
            tests,
            events,
            keeper,
        }
    }
}

impl FromRef<Served> for mpsc::Sender<TestRequest> {
    fn from_ref(served: &Served) -> Self {
        served.tests.clone()
    }
}

impl FromRef<Served> for WeakHandle {
    fn from_ref(served: &Served) -> Self {
        served.keeper.clone()
    }
}

impl FromRef<Served> for Events {
    fn from_ref(served: &Served) -> Self {
        served.events.clone()
    }
}

impl FromRef<Served> for Shown {
    fn from_ref(served: &Served) -> Self {
        served.shown.clone()
    }
}

impl FromRef<Served> for Reloads {
    fn from_ref(served: &Served) -> Self {
        served.reloads.clone()
    }
}

pub fn router(served: Served) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "cwbridge is healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/alarms/{name}", get(alarm))
        .route("/api/v1/alarms/{name}/notify-test", post(notify_test))
        .route("/api/v1/events", get(events))
        .route("/api/v1/history", get(history))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "no such page; `/` lists those there are\n",
            )
        })
        .with_state(served)
}

fn current(shown: &Shown) -> Option<Arc<Exposition>> {
    shown.borrow().clone()
}

/// The alarms, once it is known which of them can be judged, and what CloudWatch says of them.
fn statuses(shown: &Shown) -> Option<(Arc<[Arc<Status>]>, Compared)> {
    let exposition = current(shown)?;
    let snapshot = &exposition.snapshot;
    Some((snapshot.statuses.clone()?, Arc::clone(&snapshot.cloudwatch)))
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let Some(exposition) = current(&shown) else {
        return not_yet(NOT_LOOKED);
    };
    let accept = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let format = negotiation::format(accept(header::ACCEPT));
    let gzip = negotiation::gzip(accept(header::ACCEPT_ENCODING));
    let body = exposition.body(format, gzip);
    let kind = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "accept, accept-encoding"),
    ];
    if gzip {
        (kind, [(header::CONTENT_ENCODING, "gzip")], body).into_response()
    } else {
        (kind, body).into_response()
    }
}

async fn ready(State(shown): State<Shown>) -> Response {
    let exposition = current(&shown);
    let reason = match &exposition {
        None => Some(NOT_LOOKED),
        Some(exposition) if exposition.snapshot.statuses.is_none() => Some(NOT_KNOWN),
        Some(_) => None,
    };
    let warnings = exposition.map(|exposition| exposition.warnings());
    let status = if reason.is_some() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    json(
        status,
        api::readiness(reason, &warnings.unwrap_or_default()),
    )
}

/// Only from this host, and from no page in a browser: it takes no password.
fn refused(peer: Option<Extension<Peer>>, headers: &HeaderMap, what: &str) -> Option<Response> {
    let is_here = |Extension(Peer(peer)): Extension<Peer>| peer.ip().to_canonical().is_loopback();
    let problem = match peer.is_some_and(is_here) {
        false => format!("only this host may ask for {what}"),
        true if headers.contains_key(header::ORIGIN) => {
            format!("a page in a browser may not ask for {what}")
        }
        true => return None,
    };
    Some(json(StatusCode::FORBIDDEN, api::error(&problem)))
}

/// Answers when everybody was told, or cannot be.
async fn notify_test(
    State(tests): State<mpsc::Sender<TestRequest>>,
    Path(alarm): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(peer, &headers, "a test of notifications") {
        return refused;
    }
    let (answer, answered) = oneshot::channel();
    if tests.try_send(TestRequest { alarm, answer }).is_err() {
        return not_yet("the program is starting, or other tests are under way");
    }
    match answered.await {
        Ok(Ok(tested)) => json(StatusCode::OK, api::tested(&tested)),
        Ok(Err(problem)) => json(StatusCode::NOT_FOUND, api::error(&problem)),
        Err(_) => not_yet("the program is about to end"),
    }
}

/// Which transitions are wanted.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// Of all alarms without one.
    alarm: Option<String>,
    limit: Option<usize>,
}

async fn history(State(keeper): State<WeakHandle>, Query(wanted): Query<Wanted>) -> Response {
    let limit = wanted.limit.unwrap_or(HISTORY_DEFAULT).min(HISTORY_MAX);
    let transitions = keeper.transitions(wanted.alarm, limit).await;
    json(StatusCode::OK, api::history(&transitions))
}

async fn events(State(events): State<Events>, headers: HeaderMap) -> Response {
    let after = headers.get("last-event-id");
    let after = after.and_then(|id| id.to_str().ok());
    match events.follow(after) {
        Some(followed) => followed.into_response(),
        None => not_yet("too many follow the events already"),
    }
}

async fn reload(
    State(reloads): State<Reloads>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(peer, &headers, "a reload") {
        return refused;
    }
    let (answer, answered) = oneshot::channel();
    let by = "POST /-/reload";
    if reloads.try_send(ReloadRequest { by, answer }).is_err() {
        return not_yet("another reload is under way");
    }
    match answered.await {
        Ok(Ok(())) => "the configuration was reloaded\n".into_response(),
        Ok(Err(problems)) => json(StatusCode::UNPROCESSABLE_ENTITY, api::problems(&problems)),
        Err(_) => not_yet("the program is about to end"),
    }
}

async fn alarms(State(shown): State<Shown>) -> Response {
    match statuses(&shown) {
        Some((statuses, cloudwatch)) => json(StatusCode::OK, api::alarms(&statuses, &cloudwatch)),
        None => not_yet(NOT_KNOWN),
    }
}

async fn alarm(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    let Some((statuses, cloudwatch)) = statuses(&shown) else {
        return not_yet(NOT_KNOWN);
    };
    match statuses.iter().find(|status| status.alarm.name == name) {
        Some(status) => json(StatusCode::OK, api::alarm(status, cloudwatch.get(&name))),
        None => json(
            StatusCode::NOT_FOUND,
            api::error(&format!(
                "there is no alarm `{name}`; `/api/v1/alarms` lists those there are"
            )),
        ),
    }
}

async fn root(State(shown): State<Shown>) -> Response {
    let body = page::render(
        current(&shown)
            .as_ref()
            .map(|exposition| &exposition.snapshot),
    );
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}

fn not_yet(reason: &str) -> Response {
    json(StatusCode::SERVICE_UNAVAILABLE, api::error(reason))
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, api::JSON)], body).into_response()
}

#[cfg(test)]
mod tests;

//! Connections: how many there are, and how long they may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::guard::{Guard, Refusal};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Further connections wait until one of these ends.
pub const CONNECTIONS_MAX: usize = 64;

/// A client must have sent its request by then, and its next one by then after the answer. Slow or silent clients cannot keep
/// others out for longer; one that scrapes less often connects anew.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of the answer for so long has left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// After an accept that failed for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections for ever; dropping the future closes them. `guard`: what is asked of clients, if anything is.
pub async fn serve(listener: TcpListener, router: Router, guard: Option<Arc<Guard>>) {
    let router = match &guard {
        Some(guard) => router.layer(from_fn_with_state(Arc::clone(guard), guarded)),
        None => router,
    };
    // Ends with this future.
    let mut watching = tokio::task::JoinSet::new();
    if let Some(guard) = &guard {
        watching.spawn(Arc::clone(guard).watch());
    }
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let permit = Arc::clone(&permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone().layer(Extension(Peer(peer)));
                connections.spawn(connection(stream, router, guard.clone(), permit));
            }
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    guard: Option<Arc<Guard>>,
    permit: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    match guard.and_then(|guard| guard.rules().tls.clone()) {
        None => answer(stream, router).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            match tokio::time::timeout(REQUEST_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => answer(stream, router).await,
                Ok(Err(error)) => debug!(%error, "a connection ended in the TLS handshake"),
                Err(_) => debug!("a connection took too long for the TLS handshake"),
            }
        }
    }
    drop(permit);
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT);
    let ended = http
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// Lets through who may, and puts the configured headers onto every answer.
async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let now = Instant::now();
    let rules = guard.rules();
    let mut response = match guard.admit(&rules, request.headers(), now).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let mut response = refused(refusal);
            // Those who may not read keep no connection that others need.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
    };
    for (name, value) in &rules.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoPassword => {
            let asks = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            let text = "a name and a password of the web config are needed\n";
            (StatusCode::UNAUTHORIZED, [asks], text).into_response()
        }
        Refusal::TooMany => {
            let text = "too many requests; `rate_limit` of the web config has the limit\n";
            (StatusCode::TOO_MANY_REQUESTS, text).into_response()
        }
    }
}

//! State changes as they happen, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};

/// Events that whoever comes back can still be given.
const EVENTS_MAX: usize = 64;

/// Others may follow besides; each keeps a connection.
const CLIENTS_MAX: usize = 16;

/// A client behind a proxy is not taken to be gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event: its id, and its JSON.
type Sent = Arc<(String, String)>;

/// The newest events, and whoever follows them.
#[derive(Clone, Debug)]
pub struct Events {
    newest: Arc<Mutex<VecDeque<Sent>>>,
    sender: broadcast::Sender<Sent>,
    clients: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            newest: Arc::default(),
            sender: broadcast::Sender::new(EVENTS_MAX),
            clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
        }
    }
}

impl Events {
    /// To whoever follows now, and whoever comes back.
    pub fn add(&self, id: String, json: String) {
        let event = Arc::new((id, json));
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() == EVENTS_MAX {
            newest.pop_front();
        }
        newest.push_back(Arc::clone(&event));
        // Nobody may follow.
        let _ = self.sender.send(event);
    }

    /// Everything after the event of that id, if that is still known, and all that comes. `None`: too many follow.
    pub(super) fn follow(
        &self,
        after: Option<&str>,
    ) -> Option<Sse<impl Stream<Item = Item> + use<>>> {
        let permit = Arc::clone(&self.clients).try_acquire_owned().ok()?;
        let (missed, followed) = {
            let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let known = after.and_then(|id| newest.iter().position(|event| event.0 == id));
            let missed: Vec<Sent> = match (known, after) {
                (Some(place), _) => newest.iter().skip(place + 1).cloned().collect(),
                (None, Some(_)) => vec![Arc::default()],
                (None, None) => Vec::new(),
            };
            (missed, self.sender.subscribe())
        };
        let (client, client_in) = mpsc::channel(1);
        tokio::spawn(pass_on(missed, followed, client, permit));
        let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
        Some(Sse::new(Followed(client_in)).keep_alive(keep_alive))
    }
}

type Item = Result<Event, Infallible>;

/// Until the client leaves, or the program ends.
async fn pass_on(
    missed: Vec<Sent>,
    mut followed: broadcast::Receiver<Sent>,
    client: mpsc::Sender<Event>,
    _permit: OwnedSemaphorePermit,
) {
    let event = |sent: &Sent| match sent.0.as_str() {
        // What came between is not known any more.
        "" => Event::default().event("missed").data("unknown"),
        id => Event::default().id(id).event("state-change").data(&sent.1),
    };
    for sent in &missed {
        if client.send(event(sent)).await.is_err() {
            return;
        }
    }
    loop {
        let next = tokio::select! {
            next = followed.recv() => next,
            () = client.closed() => return,
        };
        let next = match next {
            Ok(sent) => event(&sent),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                Event::default().event("missed").data(count.to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if client.send(next).await.is_err() {
            return;
        }
    }
}

struct Followed(mpsc::Receiver<Event>);

impl Stream for Followed {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

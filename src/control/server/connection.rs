//! One connection to the control socket: JSON-RPC, one message a line, one after the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::sink::SinkExt;
use futures_util::stream::StreamExt;
use jsonrpsee::core::server::helpers::prepare_error;
use jsonrpsee::core::server::{
    BoundedSubscriptions, ConnectionId, MethodResponse, MethodSink, Methods, SubscriptionState,
};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{ErrorCode, ErrorObject, Id, Params, Request, SubscriptionId};
use jsonrpsee::{Extensions, MethodCallback};
use serde_json::value::RawValue;
use tokio::io::{Interest, Ready};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec, LinesCodecError};

use crate::api::{FaultData, FaultKind};
use crate::control::{LONGEST_REQUEST, LONGEST_RESPONSE};

/// The most messages that wait for the peer. Each may be as long as an answer may be; events wait
/// in a ring of their own.
const MOST_MESSAGES: usize = 2;

/// The most subscriptions of one connection.
const MOST_SUBSCRIPTIONS: u32 = 4;

/// The time for a peer to take one message.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// The code of errors of the bridge itself.
pub(super) const FAULT: i32 = -32000;

/// The time between two looks whether a peer that says nothing more is still there.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Serves a connection until it is over, or until the bridge ends, which closes `end`.
pub(super) async fn serve(
    stream: UnixStream,
    methods: &Methods,
    id: ConnectionId,
    mut end: watch::Receiver<()>,
) {
    let (reading, writing) = stream.into_split();
    let mut lines = FramedRead::new(reading, LinesCodec::new_with_max_length(LONGEST_REQUEST));
    let (outbox, messages) = mpsc::channel(MOST_MESSAGES);
    let write = write(messages, writing);
    tokio::pin!(write);
    let peer = Peer {
        methods,
        id,
        outbox: MethodSink::new_with_limit(outbox, RESPONSE_LIMIT),
        subscriptions: BoundedSubscriptions::new(MOST_SUBSCRIPTIONS),
        names: Names::default(),
    };
    tokio::select! {
        () = peer.listen(&mut lines, &mut end) => {}
        () = &mut write => return,
    }
    drop(peer);
    // Messages that wait are still written; a subscription lasts for as long as the peer is there.
    tokio::select! {
        () = &mut write => {}
        () = hung_up(lines.get_ref()) => {}
    }
}

/// Writes messages until there are no more, or until the peer does not take one.
async fn write(mut messages: mpsc::Receiver<Box<RawValue>>, writing: OwnedWriteHalf) {
    let mut to_peer = FramedWrite::new(writing, LinesCodec::new());
    while let Some(message) = messages.recv().await {
        match timeout(LONGEST_WRITE, to_peer.send(message.get())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                let millis = LONGEST_WRITE.as_millis();
                tracing::info!("a control connection is ended: nothing was read for {millis} ms");
                return;
            }
        }
    }
}

/// Waits until the peer has closed the connection, and not only its own direction.
async fn hung_up(stream: &OwnedReadHalf) {
    loop {
        sleep(BETWEEN_LOOKS).await;
        let ready = stream.as_ref().ready(Interest::WRITABLE).await;
        if ready.is_ok_and(Ready::is_write_closed) {
            return;
        }
    }
}

/// Says why a connection is refused, if that can be done at once.
pub(super) fn say_last(stream: &UnixStream, why: &str) {
    let mut line = failure(Id::Null, FAULT, why.to_owned()).to_string();
    line.push('\n');
    let _ = stream.try_write(line.as_bytes());
}

const RESPONSE_LIMIT: u32 = LONGEST_RESPONSE as u32;

fn failure(id: Id<'_>, code: i32, why: String) -> Box<RawValue> {
    let data = Some(FaultData { kind: FaultKind::NotServed });
    MethodResponse::error(id, ErrorObject::owned(code, why, data)).into_json()
}

/// The lines of a peer.
type Requests = FramedRead<OwnedReadHalf, LinesCodec>;

/// The peer of a connection.
struct Peer<'a> {
    methods: &'a Methods,
    id: ConnectionId,
    outbox: MethodSink,
    subscriptions: BoundedSubscriptions,
    names: Names,
}

impl Peer<'_> {
    /// Handles one line after the other, until the peer says nothing more, takes no answers any
    /// more, or the bridge ends.
    async fn listen(&self, lines: &mut Requests, end: &mut watch::Receiver<()>) {
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                _ = end.changed() => return,
            };
            let answered = match line {
                Some(Ok(line)) => self.line(&line).await,
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                    let why = format!("a message is longer than {LONGEST_REQUEST} bytes");
                    self.fail(Id::Null, ErrorCode::OversizedRequest.code(), why).await;
                    None
                }
                // A line that is no UTF-8, or the end.
                Some(Err(LinesCodecError::Io(_))) | None => None,
            };
            if answered.is_none() {
                return;
            }
        }
    }

    /// Handles a line; `None`: the peer takes no answers any more.
    async fn line(&self, line: &str) -> Option<()> {
        if line.trim_start().starts_with('[') {
            let why = "batches are not served; send one message a line".to_owned();
            return self.fail(Id::Null, ErrorCode::InvalidRequest.code(), why).await;
        }
        match serde_json::from_str::<Request<'_>>(line) {
            Ok(request) => self.request(request).await,
            Err(_) => {
                let (id, code) = prepare_error(line.as_bytes());
                // A notification is no request, and gets no answer.
                if id == Id::Null && is_notification(line) {
                    return Some(());
                }
                self.send(MethodResponse::error(id, ErrorObject::from(code)).into_json()).await
            }
        }
    }

    async fn request(&self, request: Request<'_>) -> Option<()> {
        let Request { id, method, params, .. } = request;
        let params = Params::new(params.as_ref().map(|params| params.get()));
        let extensions = Extensions::new();
        let response = match self.methods.method_with_name(&method) {
            None => MethodResponse::error(id, ErrorObject::from(ErrorCode::MethodNotFound)),
            Some((_, MethodCallback::Sync(call))) => call(id, params, LONGEST_RESPONSE, extensions),
            Some((_, MethodCallback::Async(call))) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                call(id, params, self.id, LONGEST_RESPONSE, extensions).await
            }
            Some((_, MethodCallback::Unsubscription(call))) => {
                call(id, params, self.id, LONGEST_RESPONSE, extensions)
            }
            Some((_, MethodCallback::Subscription(call))) => {
                let Some(subscription_permit) = self.subscriptions.acquire() else {
                    let why = format!("a connection may have {MOST_SUBSCRIPTIONS} subscriptions");
                    return self.fail(id, FAULT, why).await;
                };
                let state = SubscriptionState {
                    conn_id: self.id,
                    id_provider: &self.names,
                    subscription_permit,
                };
                // It sends its answer itself.
                let response = call(id, params, self.outbox.clone(), state, extensions).await;
                let is_success = response.is_success();
                let (_, told, _) = response.into_parts();
                told.into_iter().for_each(|told| told.notify(is_success));
                return Some(());
            }
        };
        self.send(response.into_json()).await
    }

    async fn fail(&self, id: Id<'_>, code: i32, why: String) -> Option<()> {
        self.send(failure(id, code, why)).await
    }

    async fn send(&self, message: Box<RawValue>) -> Option<()> {
        self.outbox.send(message).await.ok()
    }
}

/// Whether a line is an object without an id.
fn is_notification(line: &str) -> bool {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line);
    object.is_ok_and(|object| object.contains_key("method") && !object.contains_key("id"))
}

/// The ids of subscriptions: they are counted.
#[derive(Debug, Default)]
struct Names(AtomicU64);

impl IdProvider for Names {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Num(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

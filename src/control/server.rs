//! The server of the control socket and of metrics: their thread, and whom the socket lets in.

mod connection;
mod http;
mod methods;
mod metrics;
#[cfg(feature = "otel")]
mod telemetry;
mod weight;

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use jsonrpsee::core::server::ConnectionId;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::http::HttpDoor;
use self::methods::Context;
use super::AFTER_FAILURE;
use super::place::OwnSocket;
use super::rpc::ControlApiServer;
use crate::api::{BridgeStatus, ConfigValue};
use crate::link::peer::{self, Namespaces, Stranger};
use crate::runtime::ControlPort;

/// The most connections at once.
const MOST_CONNECTIONS: usize = 64;

/// The most questions and orders that wait for the loop.
const MOST_INQUIRIES: usize = 16;

/// The settings of the server.
#[derive(Debug)]
pub struct ControlSetup {
    /// The facts about the bridge that are known at its start.
    pub bridge: BridgeStatus,
    /// The configuration, as it is at each moment.
    pub config: watch::Receiver<Vec<ConfigValue>>,
    /// The control socket, and the namespaces that a peer may live in; `None`: there is none.
    pub socket: Option<(ControlSocket, Namespaces)>,
    /// The listener for HTTP; `None`: there is none.
    pub http: Option<HttpDoor>,
    /// The collector of OpenTelemetry that gets events; `None`: none does.
    #[cfg(feature = "otel")]
    pub collector: Option<String>,
}

/// The time in which the last answers are written when the bridge ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The control socket of a bridge, and its listener for HTTP, which end with this value.
#[derive(Debug)]
pub struct Control {
    socket: Option<OwnSocket>,
    /// Dropped to end the thread.
    lives: Option<oneshot::Sender<()>>,
    /// Closed when the thread has ended.
    over: Receiver<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            socket.remove();
        }
        // The one who has asked for the end waits for the answer.
        drop(self.lives.take());
        let _ = self.over.recv_timeout(LAST_WORDS + LAST_WORDS);
    }
}

/// A control socket that is bound.
#[derive(Debug)]
pub struct ControlSocket(OwnSocket, StdListener);

impl ControlSocket {
    /// Binds the control socket of this process.
    ///
    /// # Errors
    /// If there is no directory for it that is the user's alone, or those of the system.
    pub fn bind() -> io::Result<ControlSocket> {
        let (socket, listener) = OwnSocket::bind()?;
        listener.set_nonblocking(true)?;
        tracing::debug!("the control socket is {}", socket.path().display());
        Ok(ControlSocket(socket, listener))
    }
}

/// Serves in a thread of its own. Returns what keeps it there, and the loop's end of it.
///
/// # Errors
/// If the system has no thread.
#[allow(clippy::disallowed_methods)] // looks into the process table must not hold the loop
pub fn start(setup: ControlSetup) -> io::Result<(Control, ControlPort)> {
    let (to_loop, inquiries) = mpsc::channel(MOST_INQUIRIES);
    let (lives, ended) = oneshot::channel();
    let http = Arc::default();
    let context = Context { to_loop, bridge: setup.bridge, config: setup.config, http };
    let (socket, listener) = match setup.socket {
        Some((ControlSocket(socket, listener), namespaces)) => {
            (Some(socket), Some((listener, namespaces)))
        }
        None => (None, None),
    };
    let (is_over, over) = sync_channel::<()>(0);
    std::thread::Builder::new().name("control".into()).spawn(move || {
        let _is_over = is_over;
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let served = Served {
                    socket: listener,
                    http: setup.http,
                    #[cfg(feature = "otel")]
                    collector: setup.collector,
                };
                runtime.block_on(served.serve(context, ended));
                // Tasks of subscriptions may still wait.
                runtime.shutdown_background();
            }
            Err(error) => tracing::error!("the control socket is not served: {error}"),
        }
    })?;
    Ok((Control { socket, lives: Some(lives), over }, ControlPort { inquiries }))
}

/// All that is served.
struct Served {
    socket: Option<(StdListener, Namespaces)>,
    http: Option<HttpDoor>,
    #[cfg(feature = "otel")]
    collector: Option<String>,
}

impl Served {
    /// Serves until the bridge ends.
    async fn serve(self, context: Context, ended: oneshot::Receiver<()>) {
        // Closed at the end of the bridge.
        let (ends, end) = watch::channel(());
        let mut doors = JoinSet::new();
        #[cfg(feature = "otel")]
        if let Some(collector) = self.collector {
            let exported = telemetry::export(collector, context.clone(), end.clone());
            doors.spawn(exported);
        }
        if let Some(door) = self.http {
            doors.spawn(http::keep(door, context.clone(), end.clone()));
        }
        if let Some((listener, namespaces)) = self.socket {
            doors.spawn(async move {
                if let Err(error) = keep(listener, context, namespaces, end).await {
                    tracing::error!("the control socket is not served: {error}");
                }
            });
        }
        let _ = ended.await;
        drop(ends);
        let _ = timeout(LAST_WORDS, async { while doors.join_next().await.is_some() {} }).await;
    }
}

/// Takes connections to the control socket until the bridge ends, and waits for the last ones.
async fn keep(
    listener: StdListener,
    context: Context,
    namespaces: Namespaces,
    mut end: watch::Receiver<()>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let methods = Arc::new(context.into_rpc());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            _ = end.changed() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // Out of descriptors, most likely; one that is closed makes room.
            Err(error) => {
                tracing::warn!("a connection to the control socket cannot be taken: {error}");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        if let Err(stranger) = peer::admit(&stream, namespaces) {
            refuse(&stream, stranger);
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            connection::say_last(&stream, "the bridge has too many control connections already");
            continue;
        };
        number += 1;
        let (methods, id, end) = (methods.clone(), ConnectionId(number), end.clone());
        connections.spawn(async move {
            connection::serve(stream, &methods, id, end).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn refuse(stream: &UnixStream, stranger: Stranger) {
    tracing::warn!("a connection to the control socket was refused: {}", stranger.message());
    // Another user gets no byte.
    if stranger != Stranger::OtherUser {
        connection::say_last(stream, stranger.message());
    }
}

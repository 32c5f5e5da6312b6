//! The server of the control socket: the thread that keeps it, and whom it lets in.

mod connection;
mod methods;
mod metrics;
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

use self::methods::Context;
use super::place::OwnSocket;
use super::rpc::ControlApiServer;
use crate::api::{BridgeStatus, ConfigValue};
use crate::link::peer::{self, Namespaces, Stranger};
use crate::runtime::ControlPort;

/// The most connections at once.
const MOST_CONNECTIONS: usize = 64;

/// The most questions and orders that wait for the loop.
const MOST_INQUIRIES: usize = 16;

/// The pause after a connection that could not be taken.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The settings of a control socket.
#[derive(Debug)]
pub struct ControlSetup {
    /// The facts about the bridge that are known at its start.
    pub bridge: BridgeStatus,
    /// The configuration, as it is at each moment.
    pub config: watch::Receiver<Vec<ConfigValue>>,
    /// The namespaces that a peer may live in.
    pub namespaces: Namespaces,
}

/// The time in which the last answers are written when the bridge ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The control socket of this bridge, which is removed with this value.
#[derive(Debug)]
pub struct Control {
    socket: OwnSocket,
    /// Dropped to end the thread.
    lives: Option<oneshot::Sender<()>>,
    /// Closed when the thread has ended.
    over: Receiver<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.socket.remove();
        // The one who has asked for the end waits for the answer.
        drop(self.lives.take());
        let _ = self.over.recv_timeout(LAST_WORDS + LAST_WORDS);
    }
}

/// Binds the control socket of this process and keeps it in a thread of its own. Returns what
/// keeps it there, and the loop's end of it.
///
/// # Errors
/// If there is no directory for it that is the user's alone, or those of the system.
#[allow(clippy::disallowed_methods)] // looks into the process table must not hold the loop
pub fn start(setup: ControlSetup) -> io::Result<(Control, ControlPort)> {
    let (socket, listener) = OwnSocket::bind()?;
    listener.set_nonblocking(true)?;
    let (to_loop, inquiries) = mpsc::channel(MOST_INQUIRIES);
    let (lives, ended) = oneshot::channel();
    let ControlSetup { bridge, config, namespaces } = setup;
    let context = Context { to_loop, bridge, config };
    let (is_over, over) = sync_channel::<()>(0);
    std::thread::Builder::new().name("control".into()).spawn(move || {
        let _is_over = is_over;
        let runtime = Builder::new_current_thread().enable_all().build();
        let kept = runtime.and_then(|runtime| {
            let kept = runtime.block_on(keep(listener, context, namespaces, ended));
            // Tasks of subscriptions may still wait.
            runtime.shutdown_background();
            kept
        });
        if let Err(error) = kept {
            tracing::error!("the control socket is not served: {error}");
        }
    })?;
    tracing::debug!("the control socket is {}", socket.path().display());
    Ok((Control { socket, lives: Some(lives), over }, ControlPort { inquiries }))
}

/// Takes connections until the bridge ends.
async fn keep(
    listener: StdListener,
    context: Context,
    namespaces: Namespaces,
    mut ended: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let methods = Arc::new(context.into_rpc());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    // Closed at the end of the bridge.
    let (ends, end) = watch::channel(());
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            _ = &mut ended => break,
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
    drop(ends);
    let _ = timeout(LAST_WORDS, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

fn refuse(stream: &UnixStream, stranger: Stranger) {
    tracing::warn!("a connection to the control socket was refused: {}", stranger.message());
    // Another user gets no byte.
    if stranger != Stranger::OtherUser {
        connection::say_last(stream, stranger.message());
    }
}

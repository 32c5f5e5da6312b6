//! The door of a daemon: it takes connections, has them introduce themselves, and tells the loop
//! of the clients.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::introduction::{Introduced, Wish, introduced, refuse, say_last};
use super::roster::{Configuration, Refused, Roster};
use super::service_manager::{self, Readiness};
use super::socket::Socket;
use super::trees::EarlierDaemons;
use super::watch::Watch;
use crate::agent_environment::Variables;
use crate::bridge::EarlierBridges;
use crate::link::control::{Control, Hello, Welcome, WhyKind};
use crate::link::peer::Namespaces;
use crate::link::place::Place;
use crate::runtime::{Arrival, Connection, DoorOrder, Link};

/// The most connections that may not have introduced themselves yet. The oldest gives way to a
/// newcomer: a shim says its hello at once.
const MOST_HALF_OPEN: usize = 32;

/// The most clients that are taken at once.
pub(super) const MOST_CLIENTS: usize = 256;

/// The door.
pub(super) struct Door {
    pub(super) socket: Socket,
    pub(super) roster: Roster,
    pub(super) reload: Box<dyn FnMut() -> Result<Configuration, String> + Send>,
    pub(super) namespaces: Namespaces,
    pub(super) to_loop: mpsc::Sender<Arrival>,
    pub(super) orders: mpsc::Receiver<DoorOrder>,
    /// The places for clients.
    pub(super) places: Arc<Semaphore>,
    /// Whether no more editors are taken.
    pub(super) is_retiring: bool,
}

/// Why the door does something.
enum Cause {
    Order(Option<DoorOrder>),
    Connected(io::Result<UnixStream>),
    Introduced(Option<Introduced>),
    Changed,
}

impl Door {
    /// Keeps the door in a thread of its own, until the loop closes it. The thread returns the place
    /// of the socket.
    #[allow(clippy::disallowed_methods)] // looks into the process table must not hold the loop
    pub(super) fn keep(self) -> io::Result<JoinHandle<Option<Place>>> {
        std::thread::Builder::new().name("door".into()).spawn(move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            runtime
                .and_then(|runtime| {
                    let kept = runtime.block_on(self.run());
                    // A lock of an earlier daemon may still be waited for.
                    runtime.shutdown_background();
                    kept
                })
                .inspect_err(|error| tracing::error!("the daemon lets nobody in: {error}"))
                .ok()
        })
    }

    async fn run(mut self) -> io::Result<Place> {
        let mut listener = UnixListener::from_std(self.socket.listener.try_clone()?)?;
        let mut half_open: JoinSet<Option<Introduced>> = JoinSet::new();
        let mut order: VecDeque<AbortHandle> = VecDeque::new();
        let watch = Watch::of(self.socket.place.directory());
        let mut watches = JoinSet::new();
        self.watch_earlier(&mut watches).await;
        let mut identity = self.socket.identity();
        if watch.is_program_replaced() {
            // A shim from before an update has started it.
            self.tell(Arrival::Superseded).await;
        }
        loop {
            let cause = tokio::select! {
                biased;
                order = self.orders.recv() => Cause::Order(order),
                Some(introduced) = half_open.join_next() => Cause::Introduced(introduced.ok().flatten()),
                accepted = listener.accept() => Cause::Connected(accepted.map(|(stream, _)| stream)),
                () = watch.changed() => Cause::Changed,
                Some(_) = watches.join_next() => continue,
            };
            match cause {
                Cause::Order(Some(DoorOrder::Reload(reply))) => {
                    let done = self.reload().await;
                    // Nobody waits for the outcome of a SIGHUP.
                    drop(reply.map(|reply| reply.send(done)));
                }
                Cause::Order(Some(DoorOrder::Close) | None) => break,
                Cause::Connected(Ok(stream)) => {
                    order.retain(|one| !one.is_finished());
                    if order.len() >= MOST_HALF_OPEN
                        && let Some(oldest) = order.pop_front()
                    {
                        oldest.abort();
                    }
                    let introduced = introduced(stream, self.namespaces);
                    order.push_back(half_open.spawn_local(introduced));
                }
                // Out of descriptors, most likely; one that is closed makes room.
                Cause::Connected(Err(error)) => {
                    tracing::warn!("a connection cannot be taken: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Cause::Introduced(Some(Introduced { stream, wish })) => {
                    self.serve(stream, wish).await;
                }
                Cause::Introduced(None) => {}
                Cause::Changed => {
                    if watch.is_program_replaced() {
                        self.tell(Arrival::Superseded).await;
                    }
                    if identity.is_some() && identity != self.socket.place.identity() {
                        listener = self.socket_is_gone(listener).await;
                        identity = self.socket.identity();
                    }
                }
            }
        }
        // From here on another daemon may take the place. It waits for the agents of this one.
        if identity.is_some() && identity == self.socket.place.identity() {
            let _ = self.socket.place.remove_socket();
        }
        Ok(self.socket.place)
    }

    /// Watches the daemons that were here before, if agents of them may still run. No restore is
    /// begun until they have been looked at.
    async fn watch_earlier(&self, watches: &mut JoinSet<()>) {
        let earlier = EarlierDaemons::at(&self.socket.place);
        if let (false, Ok(place)) = (earlier.is_empty(), self.socket.place.again()) {
            tracing::info!("agents of an earlier daemon may still run; restores wait for them");
            let unknown = EarlierBridges { are_ending: true, held: Vec::new() };
            self.tell(Arrival::EarlierBridges(unknown)).await;
            watches.spawn_local(earlier.watch(place, self.to_loop.clone()));
        }
    }

    /// Binds the socket again, whose name is gone, if its directory and its lock are still there.
    /// Otherwise another daemon will take the place of this one.
    async fn socket_is_gone(&mut self, listener: UnixListener) -> UnixListener {
        let path = self.socket.path();
        match self.bind_again() {
            Ok(again) => {
                tracing::warn!("the socket {path} was removed, and is bound again");
                again
            }
            Err(error) => {
                tracing::warn!(
                    "the socket {path} is gone, and the daemon ends when nobody uses it: {error}"
                );
                self.socket.is_bound = false;
                self.tell(Arrival::Superseded).await;
                listener
            }
        }
    }

    fn bind_again(&mut self) -> io::Result<UnixListener> {
        if !self.socket.place.is_locked_by(&self.socket.lock) {
            return Err(io::Error::other("its directory was removed, or its lock"));
        }
        let listener = self.socket.place.bind()?;
        listener.set_nonblocking(true)?;
        self.socket.listener = listener.try_clone()?;
        UnixListener::from_std(listener)
    }

    async fn tell(&self, arrival: Arrival) {
        // The loop may have ended.
        let _ = self.to_loop.send(arrival).await;
    }

    async fn serve(&mut self, stream: StdStream, wish: Wish) {
        match wish {
            Wish::Agent(hello, adopted) => self.let_in(stream, *hello, adopted).await,
            Wish::Reload => {
                let answer = match self.reload().await {
                    Ok(()) => Control::Done,
                    Err(why) => Control::why(WhyKind::Failed, why),
                };
                say(stream, &answer).await;
            }
            Wish::Retire => {
                self.is_retiring = true;
                tracing::info!("a newer daemon takes the place of this one");
                self.tell(Arrival::Superseded).await;
                say(stream, &Control::Done).await;
            }
            Wish::Holds => {
                let (answer, held) = oneshot::channel();
                self.tell(Arrival::Holds(answer)).await;
                if let Ok(held) = held.await {
                    say(stream, &Control::Held(held)).await;
                }
            }
        }
    }

    async fn let_in(&mut self, stream: StdStream, hello: Hello, adopted: Vec<String>) {
        if let Err((kind, why)) = self.try_let_in(&stream, hello, adopted).await {
            tracing::warn!("an editor was refused at the socket: {why}");
            if let Ok(stream) = UnixStream::from_std(stream) {
                refuse(stream, kind, why).await;
            }
        }
    }

    async fn try_let_in(
        &mut self,
        stream: &StdStream,
        hello: Hello,
        adopted: Vec<String>,
    ) -> Result<(), Refused> {
        if self.is_retiring {
            let why = "A newer daemon takes the place of this one.".to_owned();
            return Err((WhyKind::Retiring, why));
        }
        self.roster.check_file(&hello)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            (WhyKind::TooMany, format!("The daemon serves {MOST_CLIENTS} editors already."))
        })?;
        let Hello { agent, directory, environment, umask, editor, pipes, .. } = hello;
        let variables: Variables =
            environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let directory = PathBuf::from(OsString::from(directory));
        let (agent, new) = self.roster.wanted(agent, &variables, &directory)?;
        if let Some(new) = new {
            self.tell(Arrival::Agent(Box::new(new))).await;
        }
        let stream = stream.try_clone().map_err(|error| (WhyKind::Failed, error.to_string()))?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let welcome = Welcome { version, pid: std::process::id(), pipes };
        // Until sessions can be revived, what is kept of one is its id.
        let link = Link { welcome, lost_sessions: adopted, place };
        let connection = Connection {
            stream,
            agent,
            variables,
            umask: Some(umask),
            directory,
            editor,
            link: Some(link),
        };
        self.tell(Arrival::Client(Box::new(connection))).await;
        Ok(())
    }

    /// Reads the configuration again.
    async fn reload(&mut self) -> Result<(), String> {
        service_manager::tell(Readiness::Reloading);
        let read = (self.reload)();
        service_manager::tell(Readiness::Ready);
        match read {
            Ok(configuration) => {
                let agents = self.roster.reconfigure(configuration);
                let limits = Box::new(self.roster.limits());
                self.tell(Arrival::Reconfigured { limits, agents }).await;
                tracing::info!("the configuration was read again");
                Ok(())
            }
            Err(why) => {
                tracing::error!("the configuration stays as it was: {why}");
                Err(why)
            }
        }
    }
}

/// Says one line, and ends the connection.
async fn say(stream: StdStream, line: &Control) {
    if let Ok(stream) = UnixStream::from_std(stream) {
        say_last(stream, line).await;
    }
}

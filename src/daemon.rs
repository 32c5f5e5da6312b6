//! The daemon: a bridge for many editors. It holds the socket, lets shims in, and finds the agent
//! that each editor wants; the bridge itself is that of [`runtime`](crate::runtime).
//!
//! A thread of its own keeps the door, so that no connection costs the loop a look into the
//! process table.

mod door;
mod introduction;
mod roster;
mod service_manager;
mod socket;
mod trees;
mod watch;

use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use self::door::{Door, MOST_CLIENTS};
pub use self::roster::Configuration;
use self::roster::Roster;
use self::service_manager::Readiness;
pub use self::service_manager::listener as given_listener;
pub use self::socket::{NoSocket, Socket};
use crate::link::peer::Namespaces;
use crate::runtime::{Host, Outcome, Setup, run_for_many};

/// The most arrivals that wait for the loop.
const ARRIVALS: usize = 64;

/// The most orders that wait for the door: one of each kind.
const ORDERS: usize = 2;

/// The settings of a daemon.
pub struct DaemonSetup {
    /// Those of the bridge. Its agents are those of the configuration.
    pub bridge: Setup,
    /// The agents, and their limits.
    pub configuration: Configuration,
    /// Reads the configuration again.
    pub reload: Box<dyn FnMut() -> Result<Configuration, String> + Send>,
    /// The namespaces that a peer may live in.
    pub namespaces: Namespaces,
}

/// Runs a daemon on this socket until its end. `ready` is called once it can be connected to.
///
/// # Errors
/// If the threads, the alarm or the system's signals cannot be used at all.
pub fn serve(setup: DaemonSetup, socket: Socket, ready: impl FnOnce()) -> io::Result<Outcome> {
    let DaemonSetup { mut bridge, configuration, reload, namespaces } = setup;
    let (to_loop, arrivals) = mpsc::channel(ARRIVALS);
    let (to_door, orders) = mpsc::channel(ORDERS);
    bridge.limits = configuration.limits.clone();
    let roster = Roster::new(configuration);
    // The first agent is a pattern for others, and no client gets it.
    bridge.agents = vec![roster.pattern()];
    match trees::own(&socket.place) {
        Ok(trees) => bridge.trees = Some(trees),
        Err(error) => tracing::warn!("a later daemon cannot wait for this one's agents: {error}"),
    }
    let door = Door {
        socket,
        roster,
        reload,
        namespaces,
        to_loop,
        orders,
        places: Arc::new(Semaphore::new(MOST_CLIENTS)),
        is_retiring: false,
    };
    let door = door.keep()?;
    ready();
    service_manager::tell(Readiness::Ready);
    let reloads_on_hangup = !has_terminal();
    let outcome = run_for_many(bridge, Host::new(arrivals, to_door, reloads_on_hangup));
    service_manager::tell(Readiness::Stopping);
    // The loop has let go of the door, which has removed the socket.
    let place = door.join();
    if let (Ok(Some(place)), Ok(Outcome::Clean)) = (place, &outcome) {
        trees::forget(&place);
    }
    outcome
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

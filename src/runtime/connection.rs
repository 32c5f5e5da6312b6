//! The news that come to the loop from the door of a daemon: clients, and what is around the
//! bridge.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::setup::AgentSetup;
use crate::agent_environment::Variables;
use crate::bridge::EarlierBridges;
use crate::bridge::config::Limits;
use crate::link::control::Welcome;
use crate::processes::ProcessIdentity;

/// One thing that comes through the door.
#[derive(Debug)]
pub enum Arrival {
    /// One more agent; its number is that of agents before it.
    Agent(Box<AgentSetup>),
    /// A client.
    Client(Box<Connection>),
    /// The knowledge of earlier bridges has changed.
    EarlierBridges(EarlierBridges),
    /// Another bridge takes the place of this one.
    Superseded,
    /// The configuration has changed.
    Reconfigured {
        /// The limits of the bridge as a whole.
        limits: Box<Limits>,
        /// The agents that have changed, with their numbers.
        agents: Vec<(usize, AgentSetup)>,
    },
    /// The question which conversations are held.
    Holds(oneshot::Sender<Vec<String>>),
}

/// An order of the loop to the door.
#[derive(Debug)]
pub enum DoorOrder {
    /// Read the configuration again, and say how that went.
    Reload(Option<oneshot::Sender<Result<(), String>>>),
    /// Let nobody in any more: the bridge ends.
    Close,
}

/// The connection of a client that is not at the bridge's own stdio.
#[derive(Debug)]
pub struct Connection {
    /// The stream, on which both sides write lines of ACP.
    pub stream: UnixStream,
    /// The agent that the client wants: its place in the settings of the bridge.
    pub agent: usize,
    /// The environment of the client.
    pub variables: Variables,
    /// The file mode creation mask that agents get which are started for the client; `None`: that
    /// of the bridge.
    pub umask: Option<u32>,
    /// The directory of the client.
    pub directory: PathBuf,
    /// The program that the person uses: the one that has started the connection.
    pub editor: Option<ProcessIdentity>,
    /// The link to a shim; `None`: the client itself is at the other end.
    pub link: Option<Link>,
}

/// The part of a connection that concerns the shim at its other end, which reads control lines.
#[derive(Debug)]
pub struct Link {
    /// The first line for it, with pipes if it takes them in place of the stream.
    pub welcome: Welcome,
    /// The sessions that its client had in a daemon that is gone.
    pub lost_sessions: Vec<String>,
    /// The place of the client among those that the daemon takes at once.
    pub place: OwnedSemaphorePermit,
}

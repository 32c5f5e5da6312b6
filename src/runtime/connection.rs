//! A client that connects by a socket, and what is known of it before its first line.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::agent_environment::Variables;
use crate::processes::ProcessIdentity;

/// The connection of a client that is not at the bridge's own stdio.
#[derive(Debug)]
pub struct Connection {
    /// The stream, on which both sides write lines of ACP.
    pub stream: UnixStream,
    /// The agent that the client wants: its place in the settings of the bridge.
    pub agent: usize,
    /// The environment of the client.
    pub variables: Variables,
    /// The directory of the client.
    pub directory: PathBuf,
    /// The program that the person uses: the one that has started the connection.
    pub editor: Option<ProcessIdentity>,
}

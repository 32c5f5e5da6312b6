//! The clients that a bridge is there for.

use std::future::pending;

use tokio::sync::mpsc;

use super::connection::Connection;
use crate::bridge::ClientId;

/// The one client of embedded mode: the editor that has started the bridge.
pub(super) const EDITOR: ClientId = ClientId(1);

/// The clients of a bridge.
pub(super) enum Hosting {
    /// The editor at its own stdio, without which the bridge ends.
    Editor,
    /// Those that connect, any number of them.
    Connections(mpsc::Receiver<Connection>),
}

impl Hosting {
    /// The next client that connects.
    pub(super) async fn next(&mut self) -> Connection {
        if let Hosting::Connections(connections) = self
            && let Some(connection) = connections.recv().await
        {
            return connection;
        }
        pending().await
    }
}

//! The socket of a daemon, and the lock that keeps other daemons from it.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;

use nix::fcntl::Flock;

use crate::link::place::Place;

/// The socket of a daemon, which nobody else serves.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) place: Place,
    /// Held for as long as the daemon lets editors in.
    pub(super) lock: Flock<File>,
    /// Whether the name of the socket leads to it because this process has bound it.
    pub(super) is_bound: bool,
}

/// Why there is no socket for a daemon.
#[derive(Debug, thiserror::Error)]
pub enum NoSocket {
    /// Another daemon serves.
    #[error("a daemon serves {0} already")]
    Served(String),
    /// The system refuses it.
    #[error("there is no socket at {0}: {1}")]
    Refused(String, io::Error),
}

impl Socket {
    /// Takes over the socket that the service manager has given, or binds the one at this place.
    ///
    /// # Errors
    /// If another daemon serves there, or if the socket cannot be bound.
    pub fn take(place: Place, given: Option<UnixListener>) -> Result<Socket, NoSocket> {
        let name = place.socket().display().to_string();
        let refused = |error| NoSocket::Refused(name.clone(), error);
        let Some(lock) = place.lock().map_err(refused)? else {
            return Err(NoSocket::Served(name));
        };
        let is_bound = given.is_none();
        let listener = match given {
            Some(listener) => listener,
            None => place.bind().map_err(refused)?,
        };
        listener.set_nonblocking(true).map_err(refused)?;
        Ok(Socket { listener, place, lock, is_bound })
    }

    /// The file that its name leads to, if that is a matter of this process.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        self.place.identity().filter(|_| self.is_bound)
    }

    /// The path of the socket, for people.
    pub fn path(&self) -> String {
        self.place.socket().display().to_string()
    }
}

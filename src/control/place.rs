//! The sockets of bridges: where they are, who serves them, and what is left of those that are
//! gone.
//!
//! A bridge's socket stands in a directory that is the user's alone, beside that of the daemon. Its
//! name tells the machine, the process and the birth of the process. So no two bridges have one
//! name, and a socket whose process is gone can be removed by anybody.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

use crate::link::machine;
use crate::link::place::{directories_of_user, directory_of_user, reach, way};
use crate::processes::ProcessIdentity;
use crate::user_files::Directory;

/// The beginning of the names.
const PREFIX: &str = "control-";

/// The socket of this bridge.
#[derive(Debug)]
pub(super) struct OwnSocket {
    directory: Directory,
    path: PathBuf,
    name: OsString,
}

impl OwnSocket {
    /// Binds the socket of this process, and removes those of bridges that are gone.
    ///
    /// # Errors
    /// If there is no directory for it that is the user's alone, or those of the system.
    pub(super) fn bind() -> io::Result<(OwnSocket, UnixListener)> {
        let (directory, path) = directory_of_user()?;
        let own = ProcessIdentity::of(std::process::id());
        let own =
            own.ok_or_else(|| io::Error::other("this process is not in the process table"))?;
        let name = name_of(own);
        remove_dead(&directory, &path);
        let way = way(&directory, &path, &name)?;
        // Nobody else can get at it, whatever the mask of the editor.
        let mask = umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let listener = UnixListener::bind(way);
        umask(mask);
        let listener = listener?;
        Ok((OwnSocket { directory, path, name }, listener))
    }

    /// Its path, for people.
    pub(super) fn path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// Removes it.
    pub(super) fn remove(&self) {
        let _ = self.directory.remove(&self.name);
    }
}

/// The socket of a bridge of this user on this machine.
#[derive(Debug)]
pub struct BridgeSocket {
    directory: Directory,
    path: PathBuf,
    name: OsString,
    process: ProcessIdentity,
}

impl BridgeSocket {
    /// The process id of the bridge.
    pub const fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Its path, for people.
    pub fn path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// Whether the bridge has not ended. Where other processes are hidden, the socket tells.
    pub fn lives(&self) -> bool {
        self.process.lives() || !is_abandoned(&self.directory, &self.path, &self.name)
    }

    /// Connects to the bridge.
    ///
    /// # Errors
    /// If it is gone, or takes no connections at this moment.
    pub fn connect(&self) -> io::Result<UnixStream> {
        reach(&way(&self.directory, &self.path, &self.name)?)
    }
}

/// The sockets of all bridges of this user on this machine that live, by their process ids. Those
/// of bridges that are gone are removed.
pub fn found() -> Vec<BridgeSocket> {
    let mut all = Vec::new();
    for (directory, path) in directories_of_user() {
        remove_dead(&directory, &path);
        for name in directory.names().unwrap_or_default() {
            if let (Some(process), Ok(directory)) = (bridge_named(&name), directory.again()) {
                all.push(BridgeSocket { directory, path: path.clone(), name, process });
            }
        }
    }
    all.sort_by_key(BridgeSocket::pid);
    all
}

/// Removes the sockets of bridges that are gone: there is no such process, and nobody serves it.
fn remove_dead(directory: &Directory, path: &Path) {
    for name in directory.names().unwrap_or_default() {
        if bridge_named(&name).is_some_and(|process| !process.lives())
            && directory.is_own_socket(&name).is_ok_and(|is_own| is_own)
            && is_abandoned(directory, path, &name)
        {
            let _ = directory.remove(&name);
        }
    }
}

/// Whether nobody serves a socket.
fn is_abandoned(directory: &Directory, path: &Path, name: &OsStr) -> bool {
    let reached = way(directory, path, name).and_then(|way| reach(&way));
    let kind = reached.map_err(|error| error.kind()).err();
    matches!(kind, Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound))
}

fn name_of(process: ProcessIdentity) -> OsString {
    let ProcessIdentity { pid, born_ticks } = process;
    format!("{PREFIX}{}-{pid}.{born_ticks}.sock", machine::mark()).into()
}

/// The process of a bridge on this machine, by the name of its socket.
fn bridge_named(name: &OsStr) -> Option<ProcessIdentity> {
    let rest = name.to_str()?.strip_prefix(PREFIX)?.strip_prefix(&machine::mark())?;
    let (pid, born) = rest.strip_prefix('-')?.strip_suffix(".sock")?.split_once('.')?;
    Some(ProcessIdentity { pid: pid.parse().ok()?, born_ticks: born.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_process() {
        let process = ProcessIdentity { pid: 12, born_ticks: 345 };
        assert_eq!(bridge_named(&name_of(process)), Some(process));
        let mark = machine::mark();
        for other in [
            format!("control-{mark}-12.sock"),
            format!("control-{mark}-12.x.sock"),
            "control-0000000000000000-12.345.sock".to_owned(),
            format!("daemon-{mark}-12.345.sock"),
        ] {
            assert_eq!(bridge_named(OsStr::new(&other)), None, "{other}");
        }
    }
}

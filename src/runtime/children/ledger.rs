//! The ledger: a file that lists the agents without a keeper, so that the next
//! bridge can end the agents which a killed bridge has left.
//!
//! Every bridge that has such agents has a file of its own, and holds a lock on it for as long
//! as it lives: its process id may mean another process, or none, in another container that
//! shares the directory. [`sweep`](sweep::sweep) ends what the bridges of unlocked files have left.

mod entry;
mod place;
pub(super) mod sweep;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use self::entry::LedgerAgent;
use self::place::{FOLDER, Machine, machine};
use crate::bridge::ChannelId;
use crate::processes::ProcessIdentity;
use crate::user_files::Directory;

/// How many names are tried for a new file; in other containers bridges with the same process
/// id may have the first ones.
const NAMES: u32 = 64;

/// Whether there may be ledgers in a state directory.
pub(in crate::runtime) fn may_be_in(state: &Path) -> bool {
    state.join(FOLDER).is_dir()
}

/// The ledger of this bridge.
#[derive(Debug)]
pub(in crate::runtime) struct Ledger {
    /// The state directory; `None`: there is none, or it cannot be used, and nothing is
    /// written.
    state: Option<PathBuf>,
    /// The file, while an agent is listed.
    file: Option<OpenLedger>,
    agents: BTreeMap<ChannelId, LedgerAgent>,
}

/// A ledger file, on which this process holds the lock.
#[derive(Debug)]
struct OpenLedger {
    folder: Directory,
    name: OsString,
    file: Flock<File>,
}

impl Ledger {
    /// An empty ledger in the state directory. The first agent makes the file.
    pub(in crate::runtime) fn in_state(state: Option<&Path>) -> Ledger {
        Ledger { state: state.map(Path::to_owned), file: None, agents: BTreeMap::new() }
    }

    /// Lists an agent that is about to be started.
    pub(super) fn announce(&mut self, channel: ChannelId, cookie: &str) {
        self.agents.insert(channel, LedgerAgent { cookie: cookie.to_owned(), leader: None });
        self.write();
    }

    /// Notes the process of a listed agent, the leader of its group.
    pub(super) fn started(&mut self, channel: ChannelId, pid: u32) {
        if let Some(agent) = self.agents.get_mut(&channel) {
            agent.leader = ProcessIdentity::of(pid);
            self.write();
        }
    }

    /// Removes an agent, after its exit or if its start has failed.
    pub(super) fn remove(&mut self, channel: ChannelId) {
        if self.agents.remove(&channel).is_some() {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(state) = self.state.clone() else { return };
        if let Err(error) = self.try_write(&state) {
            tracing::warn!(
                "no ledger in {}: {error}; if this bridge is killed, its agents stay",
                state.display()
            );
            self.state = None;
        }
    }

    /// Writes the list into the file, which is made for the first agent and removed with the
    /// last.
    fn try_write(&mut self, state: &Path) -> io::Result<()> {
        if self.agents.is_empty() {
            self.file = None;
            return Ok(());
        }
        let open = match self.file.take() {
            Some(open) => open,
            // Without a process table nobody could find the agents.
            None => match machine() {
                Some(machine) => OpenLedger::new(state, &machine)?,
                None => return Ok(()),
            },
        };
        let written = open.write(self.agents.values());
        self.file = Some(open);
        written
    }
}

impl OpenLedger {
    fn new(state: &Path, machine: &Machine) -> io::Result<OpenLedger> {
        let own = std::process::id();
        let names = (0..NAMES).map(|number| machine.file_name(own, number));
        for name in names {
            let folder = Directory::own(state)?.own_inside(FOLDER)?;
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR;
            let file = match folder.open_file(&name, flags) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            // Another bridge may take the empty file for one that was left, and remove it.
            if let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
                && folder.leads_to(&name, &file.metadata()?)
            {
                return Ok(OpenLedger { folder, name, file });
            }
        }
        Err(io::Error::other("no name is left for it"))
    }

    /// Writes over what is there. If this process is killed meanwhile, lines of the earlier
    /// list may stay: whoever reads them looks at each process before it is signalled.
    fn write<'a>(&self, agents: impl Iterator<Item = &'a LedgerAgent>) -> io::Result<()> {
        let text: String = agents.map(LedgerAgent::line).collect();
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

impl Drop for OpenLedger {
    fn drop(&mut self) {
        // The listed agents have got SIGKILL, or get it when their rows are dropped.
        let _ = self.folder.remove(&self.name);
    }
}

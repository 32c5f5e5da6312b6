//! The ledger: a file that lists the agents without a keeper, so that the next
//! bridge can end the agents which a killed bridge has left.
//!
//! Every bridge has a file of its own, and removes it at its end. If a file's bridge
//! is gone, the next bridge that starts ends the groups and trees of the agents in
//! it. The system uses process ids again, so each stands beside the time of its
//! process's birth, and the file names the start of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::tree;
use crate::bridge::ChannelId;
use crate::processes::{self, Spare, Swept};

/// A process, told by its birth from others that have the same process id later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    pid: u32,
    born_ticks: u64,
}

impl Identity {
    fn of(pid: u32) -> Option<Identity> {
        processes::at(pid).map(|entry| Identity { pid, born_ticks: entry.born_ticks })
    }

    fn is_alive(self) -> bool {
        processes::at(self.pid)
            .is_some_and(|entry| entry.born_ticks == self.born_ticks && !entry.is_zombie)
    }

    fn read<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Identity> {
        let pid = words.next()?.parse().ok()?;
        Some(Identity { pid, born_ticks: words.next()?.parse().ok()? })
    }
}

/// An agent in a ledger, which is listed before it is started.
///
/// `leader` is its process, the leader of its group; `None` until that is known.
#[derive(Clone, Debug)]
struct LedgerAgent {
    cookie: String,
    leader: Option<Identity>,
}

/// The ledger of this bridge. `file` is `None`, and nothing is written, without a
/// folder for it or where there is no `/proc`.
#[derive(Debug)]
pub(in crate::runtime) struct Ledger {
    file: Option<PathBuf>,
    heading: String,
    agents: BTreeMap<ChannelId, LedgerAgent>,
}

impl Ledger {
    /// An empty ledger in this folder. The first agent makes the folder.
    pub(in crate::runtime) fn in_folder(folder: Option<&Path>) -> Ledger {
        let own = Identity::of(std::process::id());
        let (file, heading) = match (folder, own, machines_start()) {
            (Some(folder), Some(own), Some(start)) => (
                Some(folder.join(format!("{}-{}", own.pid, own.born_ticks))),
                format!("machine {start}\nbridge {} {}\n", own.pid, own.born_ticks),
            ),
            _ => (None, String::new()),
        };
        Ledger { file, heading, agents: BTreeMap::new() }
    }

    /// Lists an agent that is about to be started.
    pub(super) fn announce(&mut self, channel: ChannelId, cookie: &str) {
        self.agents.insert(channel, LedgerAgent { cookie: cookie.to_owned(), leader: None });
        self.write();
    }

    /// Notes the process of a listed agent, the leader of its group.
    pub(super) fn started(&mut self, channel: ChannelId, pid: u32) {
        if let Some(agent) = self.agents.get_mut(&channel) {
            agent.leader = Identity::of(pid);
            self.write();
        }
    }

    /// Removes an agent, after its exit or if its start has failed.
    pub(super) fn remove(&mut self, channel: ChannelId) {
        if self.agents.remove(&channel).is_some() {
            self.write();
        }
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = self.try_write(file) {
            tracing::debug!("the ledger {} cannot be written: {error}", file.display());
        }
    }

    /// Writes a draft beside the file and renames it, so that the file is always whole.
    /// Removes the file if no agent is listed.
    fn try_write(&self, file: &Path) -> io::Result<()> {
        if self.agents.is_empty() {
            return fs::remove_file(file);
        }
        if let Some(folder) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let draft = file.with_extension("draft");
        let mut text = self.heading.clone();
        for LedgerAgent { cookie, leader } in self.agents.values() {
            let (pid, born) = leader.map_or((0, 0), |leader| (leader.pid, leader.born_ticks));
            text += &format!("agent {pid} {born} {cookie}\n");
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&draft)?.write_all(text.as_bytes())?;
        fs::rename(&draft, file)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(file) = self.file.take().filter(|_| !self.agents.is_empty()) {
            // The listed agents have got SIGKILL, or get it when their rows are dropped.
            let _ = fs::remove_file(file);
        }
    }
}

/// The content of one ledger file.
struct Left {
    machine: String,
    bridge: Identity,
    agents: Vec<LedgerAgent>,
}

impl Left {
    fn read(text: &str) -> Option<Left> {
        let mut lines = text.lines();
        let machine = lines.next()?.strip_prefix("machine ")?.to_owned();
        let bridge = Identity::read(&mut lines.next()?.strip_prefix("bridge ")?.split(' '))?;
        let agent = |line: &str| {
            let mut words = line.strip_prefix("agent ")?.split(' ');
            let leader = Identity::read(&mut words)?;
            let cookie = words.next()?.to_owned();
            Some(LedgerAgent { cookie, leader: Some(leader).filter(|leader| leader.pid > 1) })
        };
        Some(Left { machine, bridge, agents: lines.filter_map(agent).collect() })
    }

    fn end(&self, spare: &Spare) -> Swept {
        let mut swept = Swept::default();
        for agent in &self.agents {
            let mut signalled = BTreeSet::new();
            if let Some(leader) = agent.leader.filter(|leader| leader.is_alive()) {
                // The id is still that of the agent, and so is that of its group.
                let _ = killpg(Pid::from_raw(leader.pid.cast_signed()), Signal::SIGKILL);
                signalled.insert(leader.pid);
            }
            let tree = tree::sweep(&agent.cookie, spare, signalled);
            swept.ended += tree.ended;
            swept.spared.extend(tree.spared);
        }
        swept
    }
}

/// Ends the agents, and their trees, that killed bridges have left, as listed in the
/// ledgers of this folder, and removes these files. It blocks, so the loop must not
/// call it.
pub(super) fn sweep(folder: &Path, spare: &Spare) -> Swept {
    let mut swept = Swept::default();
    let Some(machine) = machines_start() else { return swept };
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let file = entry.path();
        let Some(left) = fs::read_to_string(&file).ok().and_then(|text| Left::read(&text)) else {
            continue;
        };
        if left.machine == machine {
            if left.bridge.is_alive() {
                continue;
            }
            let tree = left.end(spare);
            swept.ended += tree.ended;
            swept.spared.extend(tree.spared);
        }
        // It fails if another bridge has removed the file first.
        let _ = fs::remove_file(file);
    }
    swept
}

/// The system's id of this start of the machine; `None` where it has none.
fn machines_start() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

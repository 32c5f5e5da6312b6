//! The end of the agents that killed bridges have left, as their ledgers list them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::signal::Signal;

use super::entry::LedgerAgent;
use super::place::{FOLDER, Made, machine};
use crate::ladder::REST_GRACE;
use crate::processes::signal::{Sent, send_to_own};
use crate::processes::{self, ProcessIdentity, Spare, Swept};
use crate::runtime::children::tree::CookieSweep;
use crate::user_files::Directory;

/// Ends the agents, and their trees, that killed bridges have left, as listed in the
/// ledgers of this state directory, and removes these files. It blocks, so the loop must not
/// call it.
pub(in crate::runtime::children) fn sweep(state: &Path, spare: &Spare) -> Swept {
    let mut swept = Swept::default();
    let Some(machine) = machine() else { return swept };
    let Ok(folder) = Directory::own_existing(&state.join(FOLDER)) else { return swept };
    for name in folder.names().unwrap_or_default() {
        let Some(made) = machine.made(&name) else { continue };
        // A file that cannot be read or locked is left alone.
        let tree = file(&folder, &name, made, spare).unwrap_or_default();
        swept.ended += tree.ended;
        swept.spared.extend(tree.spared);
    }
    swept
}

/// Ends the agents in a ledger whose bridge is gone, if they can still live, and removes it.
fn file(folder: &Directory, name: &OsStr, made: Made, spare: &Spare) -> io::Result<Swept> {
    let file = folder.open_file(name, OFlag::O_RDWR)?;
    // A bridge that lives holds the lock, in whatever container; so does one that sweeps.
    let mut file =
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
    let mut swept = Swept::default();
    if !folder.leads_to(name, &file.metadata()?) {
        return Ok(swept);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if made == Made::SinceStart {
        for agent in String::from_utf8_lossy(&text).lines().filter_map(LedgerAgent::read) {
            let tree = end(&agent, spare);
            swept.ended += tree.ended;
            swept.spared.extend(tree.spared);
        }
    }
    folder.remove(name)?;
    Ok(swept)
}

/// Ends the tree of an agent, and the rest of its group.
fn end(agent: &LedgerAgent, spare: &Spare) -> Swept {
    let mut signalled = BTreeSet::new();
    if let Some(leader) =
        agent.leader.filter(|leader| ProcessIdentity::of(leader.pid) == Some(*leader))
    {
        // The id is still that of the agent, and so is that of its group.
        for entry in processes::all().filter(|entry| entry.group == leader.pid) {
            if send_to_own(&entry, Signal::SIGKILL, || true) == Sent::Yes {
                signalled.insert(entry.pid);
            }
        }
    }
    let sweep = CookieSweep { cookie: &agent.cookie, spare, terminated: None, grace: REST_GRACE };
    sweep.run(signalled)
}

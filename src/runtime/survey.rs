//! A survey: a look at the process tree of a channel, for the core.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::clock::Clock;
use super::tree::{self, Trace};
use crate::bridge::{ChannelId, Event, Process};
use crate::processes::ProcessEntry;

/// How long a look at a process tree may take.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Looks at a process tree, aside from the loop; if that hangs, nothing was found.
pub(super) async fn look(trace: Option<Trace>) -> Vec<ProcessEntry> {
    let look = spawn_blocking(move || trace.map(|trace| trace.living()));
    let found = timeout(LONGEST_LOOK, look).await;
    found.ok().and_then(Result::ok).flatten().unwrap_or_default()
}

/// The processes found in the tree of a channel, as the core is told of them. `agent` is
/// the agent's own process.
pub(super) fn event(
    channel: ChannelId,
    found: Vec<ProcessEntry>,
    agent: Option<u32>,
    clock: &Clock,
) -> Event {
    // Without the agent itself the look has failed, or was too late.
    let is_whole = found.iter().any(|process| Some(process.pid) == agent);
    let worked = is_whole.then(|| found.iter().map(tree::worked).sum());
    let processes = found
        .into_iter()
        .filter(|process| Some(process.pid) != agent)
        .map(|process| Process {
            pid: process.pid,
            born: clock.moment_of_boot_time(tree::born(&process)),
            name: process.name,
        })
        .collect();
    Event::Surveyed { channel, processes, worked }
}

//! A survey: a look at the process tree of a channel, for the core.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::tree::Trace;
use crate::bridge::{ChannelId, Event, Process};
use crate::processes::ProcessEntry;
use crate::runtime::clock::Clock;

/// The timeout of a look at a process tree.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Looks at a process tree, without blocking the loop. Finds nothing without a trace, or
/// if the look takes longer than [`LONGEST_LOOK`].
pub(super) async fn look(trace: Option<Trace>) -> Vec<ProcessEntry> {
    let look = spawn_blocking(move || trace.map(|trace| trace.living()));
    let found = timeout(LONGEST_LOOK, look).await;
    found.ok().and_then(Result::ok).flatten().unwrap_or_default()
}

/// The event that tells the core which processes were found in the tree of a channel.
/// `agent` is the id of the agent's own process.
pub(in crate::runtime) fn event(
    channel: ChannelId,
    found: Vec<ProcessEntry>,
    agent: Option<u32>,
    clock: &Clock,
) -> Event {
    // If the agent is not among them, the look has failed or the agent has ended.
    let is_whole = found.iter().any(|process| Some(process.pid) == agent);
    let worked = is_whole.then(|| found.iter().map(ProcessEntry::worked_ms).sum());
    let processes: Vec<Process> = found
        .into_iter()
        .filter(|process| Some(process.pid) != agent)
        .map(|process| Process {
            pid: process.pid,
            born: clock.moment_of_boot_time(process.born_ms()),
            name: process.name,
        })
        .collect();
    let processes = is_whole.then_some(processes);
    Event::Surveyed { channel, processes, worked }
}

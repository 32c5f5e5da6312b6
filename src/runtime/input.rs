//! Messages of the tasks to the loop.

use tokio::sync::mpsc;

use super::children::exit::ExitPart;
use super::flow::Batch;
use crate::bridge::{ChannelId, ClientId};
#[cfg(target_os = "linux")]
use crate::keeper::message::Report;
use crate::processes::ProcessEntry;

/// A message of a task to the loop.
#[derive(Debug)]
pub(super) enum Input {
    FromClient(ClientId, Batch),
    /// A client's stream is read to its end; the number is the length of its last line if
    /// that has no line end, in bytes.
    ClientEnded(ClientId, u64),
    /// The processes that bridges without keepers have left, by their ledgers, are ended.
    LedgersSwept,
    /// The process that started a client's connection is gone.
    ParentGone(ClientId),
    FromChannel(ChannelId, Batch),
    /// A part of a channel's exit is done; the number is the length of the stream's last
    /// line if that has no line end, in bytes.
    PartDone(ChannelId, ExitPart, u64),
    /// `EXIT_DRAIN` has passed since a channel's agent ended.
    DrainOver(ChannelId),
    /// An agent closed its stdin or stdout `EXIT_DRAIN` ago, and may still run.
    StillRunning(ChannelId),
    Surveyed(ChannelId, Vec<ProcessEntry>),
    /// The memory of all agent trees, in bytes, and whether programs of the machine wait for memory.
    Weighed(u64, bool),
    /// A report of the keeper of a channel; `None`: the keeper is gone.
    #[cfg(target_os = "linux")]
    FromKeeper(ChannelId, Option<Report>),
}

/// The queues from the tasks to the loop: one for agents, one for clients, which take turns,
/// so that no number of agents holds up a client.
///
/// They have no limit of their own, and need none: a reader has at most one batch in its queue,
/// and every other task sends a message only once.
#[derive(Debug)]
pub(super) struct Inputs {
    from_channels: mpsc::UnboundedReceiver<Input>,
    from_clients: mpsc::UnboundedReceiver<Input>,
    turn: Turn,
}

/// The queue that is looked at first.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Channels,
    Clients,
}

impl Inputs {
    /// The queues, and their beginnings: that of the agents, and that of the clients.
    #[allow(clippy::disallowed_methods)] // a limit costs each frame a lock
    pub(super) fn new() -> (Inputs, mpsc::UnboundedSender<Input>, mpsc::UnboundedSender<Input>) {
        let (to_loop, from_channels) = mpsc::unbounded_channel();
        let (clients_to_loop, from_clients) = mpsc::unbounded_channel();
        (Inputs { from_channels, from_clients, turn: Turn::Channels }, to_loop, clients_to_loop)
    }

    /// The next message; waits for one.
    pub(super) async fn next(&mut self) -> Option<Input> {
        let (input, next) = match self.turn {
            Turn::Channels => tokio::select! {
                biased;
                Some(input) = self.from_channels.recv() => (input, Turn::Clients),
                Some(input) = self.from_clients.recv() => (input, Turn::Channels),
                else => return None,
            },
            Turn::Clients => tokio::select! {
                biased;
                Some(input) = self.from_clients.recv() => (input, Turn::Channels),
                Some(input) = self.from_channels.recv() => (input, Turn::Clients),
                else => return None,
            },
        };
        self.turn = next;
        Some(input)
    }

    /// The next message, if there is one.
    pub(super) fn try_next(&mut self) -> Option<Input> {
        let channel = self.from_channels.try_recv();
        channel.or_else(|_| self.from_clients.try_recv()).ok()
    }
}

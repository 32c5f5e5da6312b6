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
    /// A report of the keeper of a channel; `None`: the keeper is gone.
    #[cfg(target_os = "linux")]
    FromKeeper(ChannelId, Option<Report>),
}

/// Makes a queue from the tasks to the loop. It has no limit of its own, and needs none:
/// a reader has at most one batch in it, and every other task sends a message only once.
#[allow(clippy::disallowed_methods)] // a limit costs each frame a lock
pub(super) fn inputs() -> (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>) {
    mpsc::unbounded_channel()
}

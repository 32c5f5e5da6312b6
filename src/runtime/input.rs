//! Messages of the tasks to the loop.

use tokio::sync::mpsc;

use super::exit::ExitPart;
use super::flow::Batch;
use crate::bridge::{ChannelId, ClientId};
#[cfg(target_os = "linux")]
use crate::keeper::message::Report;
use crate::processes::ProcessEntry;

/// A message of a task to the loop.
#[derive(Debug)]
pub(super) enum Input {
    FromClient(ClientId, Batch),
    /// A client's stream is read to its end; with the bytes of a half line.
    ClientEnded(ClientId, u64),
    FromChannel(ChannelId, Batch),
    /// One of the streams of an exiting channel is read to its end, or its tree
    /// is swept; with the bytes of a half line.
    PartDone(ChannelId, ExitPart, u64),
    /// A channel's exit has waited long enough for its streams.
    DrainOver(ChannelId),
    /// An agent closed its stdin or stdout, and a moment later it may still run.
    StillRunning(ChannelId),
    Surveyed(ChannelId, Vec<ProcessEntry>),
    /// What the keeper of a channel reports; `None`: it is gone.
    #[cfg(target_os = "linux")]
    FromKeeper(ChannelId, Option<Report>),
}

/// A way for tasks to tell the loop something. It is bounded by those who tell: a
/// reader has at most one batch in it, and everything else is said once by each.
#[allow(clippy::disallowed_methods)] // counting it once more costs each frame a lock
pub(super) fn inputs() -> (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>) {
    mpsc::unbounded_channel()
}

//! Everything that the core may ask of the runtime.

use crate::wire::OutgoingFrame;

use super::id::{ChannelId, ClientId};
use super::notice::Notice;

/// Something to be done, in the order in which it is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start the agent's process for this channel. Answered by
    /// `ChannelSpawned` or `SpawnFailed`.
    Spawn {
        /// The row that is waiting for it.
        channel: ChannelId,
        /// The directory to start it in.
        cwd: String,
    },
    /// Show none of these texts when the last words of this channel's agent are
    /// quoted.
    Conceal {
        /// Whose.
        channel: ChannelId,
        /// What.
        secrets: Vec<Box<str>>,
    },
    /// Send a message to an agent.
    ToChannel {
        /// Which one.
        channel: ChannelId,
        /// What.
        frame: OutgoingFrame,
    },
    /// Send a message to a client.
    ToClient {
        /// Which one.
        client: ClientId,
        /// What.
        frame: OutgoingFrame,
    },
    /// Close a channel's stdin once everything queued for it is written.
    CloseStdin(ChannelId),
    /// SIGTERM to the channel's process group.
    Terminate(ChannelId),
    /// SIGKILL to the channel's process group and whatever left it.
    Kill(ChannelId),
    /// Read no more from a channel until [`Effect::Resume`].
    Pause(ChannelId),
    /// Read from a channel again.
    Resume(ChannelId),
    /// Look at the channel's process tree. Answered by `Surveyed`.
    Survey(ChannelId),
    /// Something a person or a subscriber may want to know.
    Publish(Notice),
    /// Everything is over.
    Exit {
        /// Channels whose processes would not die.
        survivors: Vec<ChannelId>,
    },
}

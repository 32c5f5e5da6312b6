//! Everything that the core may ask of the runtime.

use crate::wire::OutgoingFrame;

use super::environment::Origin;
use super::event::ShutdownCause;
use super::id::{AgentId, ChannelId, ClientId, EnvironmentId, Lane};
use super::notice::Notice;
use super::recipe::Keepsake;
use super::restore::{Pair, Record};

/// One thing that the core wants done. Effects are carried out in the order in which they
/// are given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start the agent's process for this channel. Answered by
    /// `ChannelSpawned` or `SpawnFailed`.
    Spawn {
        /// The channel, whose row is there already.
        channel: ChannelId,
        /// The agent.
        agent: AgentId,
        /// The place that it is started from.
        origin: Origin,
        /// The directory to start it in.
        cwd: String,
    },
    /// Forget the variables of an environment: nobody has it any more.
    ForgetEnvironment(EnvironmentId),
    /// Hide these texts wherever the end of the stderr of this channel's agent is quoted.
    Conceal {
        /// The channel.
        channel: ChannelId,
        /// The texts.
        secrets: Vec<Box<str>>,
    },
    /// Send a message to an agent.
    ToChannel {
        /// The channel of the agent.
        channel: ChannelId,
        /// The message.
        frame: OutgoingFrame,
    },
    /// Send a message to a client.
    ToClient {
        /// The client.
        client: ClientId,
        /// The lane: order within it is kept.
        lane: Lane,
        /// The message, or several about one session, with one `\n` between two.
        frame: OutgoingFrame,
    },
    /// Send what follows in this lane of a client only behind everything that was sent to the
    /// client before, in whatever lane: a session that was open on one channel is opened on
    /// another.
    Fence {
        /// The client.
        client: ClientId,
        /// The lane.
        lane: Lane,
    },
    /// Let the connection of a client remember that the client has this session, for a bridge that
    /// comes after this one. It reaches the connection ahead of what follows in the lane.
    Keep {
        /// The client.
        client: ClientId,
        /// The lane of the session.
        lane: Lane,
        /// The id of the session, as the client knows it.
        session: Box<str>,
        /// The keepsake with which a later bridge brings it back; `None`: it cannot be brought back.
        keepsake: Option<Box<Keepsake>>,
    },
    /// A client was attached to a session.
    Attached {
        /// The client.
        client: ClientId,
        /// The lane of the session.
        lane: Lane,
        /// The id of the session, as the client knows it.
        session: Box<str>,
    },
    /// Remember what was learned of a version of an agent that restores sessions, for bridges that
    /// come later.
    Experienced {
        /// The name and version of the agent, as it gives them.
        version: Box<str>,
        /// That which is new.
        record: Record,
    },
    /// Tell what is remembered of a version of an agent. Answered by `Recalled`.
    Recall {
        /// The agent.
        agent: AgentId,
        /// Its name and version, as it gives them.
        version: Box<str>,
    },
    /// Remember, for bridges that come later, that an agent knows a session by another id than
    /// clients do.
    RememberPair {
        /// The agent.
        agent: AgentId,
        /// The session.
        pair: Pair,
    },
    /// Let the connection of a client forget a session that it was to remember.
    Forget {
        /// The client.
        client: ClientId,
        /// The lane of the session.
        lane: Lane,
        /// The id of the session, as the client knows it.
        session: Box<str>,
    },
    /// Look whether the program still lives that started the connection of a client, which is
    /// gone. Answered by `EditorSeen`.
    LookForEditor(ClientId),
    /// End the connection of a client that does not read: what waits for it is dropped, and it
    /// gets these messages, if it reads on.
    DropClient {
        /// The client, which the core does not know any more.
        client: ClientId,
        /// The messages.
        last: Vec<OutgoingFrame>,
    },
    /// Note the files of a channel's agent as they are: from now on a change of one is told as
    /// [`Event::ChannelOutdated`](super::Event::ChannelOutdated).
    NoteFiles(ChannelId),
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
    /// Look how much memory the process trees of all agents take. Answered by `Weighed`.
    Weigh,
    /// All that a client has got is the failure of its `initialize`, which the bridge wrote:
    /// there is no agent for it.
    NoAgent {
        /// The client.
        client: ClientId,
        /// The sentence that it got.
        sentence: String,
        /// The cause of the shutdown, where the bridge serves this client alone.
        cause: ShutdownCause,
    },
    /// Log a notice.
    Publish(Notice),
    /// End the bridge: the shutdown is over.
    Exit {
        /// Channels whose processes would not die.
        survivors: Vec<ChannelId>,
    },
}

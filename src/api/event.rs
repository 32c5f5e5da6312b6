//! Events of a bridge, for those who follow it.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeEvent {
    /// The time of it: milliseconds since 1970 (UTC).
    pub at: u64,
    /// The event itself.
    #[serde(flatten)]
    pub what: Happening,
}

/// The kinds of things that happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A session was opened, loaded or resumed.
    SessionOpened {
        /// Its name in the bridge.
        key: String,
        /// The id by which clients know it.
        id: String,
        /// The name of its channel.
        channel: String,
        /// `opened`, `loaded`, `resumed`, `opened as a fork`, or `brought back`.
        how: String,
    },
    /// A session that was parked is as it was before.
    SessionRestored {
        /// Its name in the bridge, which is a new one.
        key: String,
        /// The id by which clients know it.
        id: String,
        /// The name of its channel.
        channel: String,
    },
    /// A session was closed in order.
    SessionClosed {
        /// Its name in the bridge.
        key: String,
        /// The id by which clients know it.
        id: String,
        /// The name of its channel.
        channel: String,
        /// The reason, as one word: `client_close`, `idle_timeout` and so on.
        reason: String,
        /// The time since it was last used.
        idle_ms: u64,
        /// Whether it is parked: the next request that names it brings it back.
        restorable: bool,
    },
    /// A session was taken from its clients.
    SessionDied {
        /// Its name in the bridge.
        key: String,
        /// The id by which clients know it.
        id: String,
        /// The name of its channel.
        channel: String,
        /// The reason, as one word: `channel_closed`, `killed` or `shutdown`.
        reason: String,
        /// Whether the next request that names it brings it back.
        restorable: bool,
    },
    /// A turn began.
    TurnBegan {
        /// The name of its session in the bridge.
        key: String,
        /// The name of the client that has prompted; `None`: it is gone.
        client: Option<String>,
    },
    /// A turn ended.
    TurnEnded {
        /// The name of its session in the bridge.
        key: String,
        /// How.
        how: TurnEnd,
        /// The time that it took.
        after_ms: u64,
    },
    /// The process of a channel is being started.
    ChannelSpawned {
        /// The name of the channel.
        channel: String,
    },
    /// The agent of a channel has answered `initialize`.
    ChannelReady {
        /// The name of the channel.
        channel: String,
        /// The time since its start.
        after_ms: u64,
    },
    /// A channel gets no new sessions any more.
    ChannelDraining {
        /// The name of the channel.
        channel: String,
        /// The end of the sentence "it drains, because …".
        reason: String,
    },
    /// A channel is being ended.
    ChannelStopping {
        /// The name of the channel.
        channel: String,
        /// The end of the sentence "it stops, because …".
        reason: String,
    },
    /// The process of a channel is gone, or could not be started.
    ChannelStopped {
        /// The name of the channel.
        channel: String,
        /// How it ended, such as `exit code 0`.
        status: String,
    },
    /// A client has connected.
    ClientConnected {
        /// The name of the client.
        client: String,
    },
    /// A client was attached to a session.
    ClientAttached {
        /// The name of the client.
        client: String,
        /// The id by which it knows the session.
        session: String,
    },
    /// A client was detached from a session.
    ClientDetached {
        /// The name of the client.
        client: String,
        /// The id by which it knows the session.
        session: String,
    },
    /// The connection of a client was ended, because it did not read.
    ClientDropped {
        /// The name of the client.
        client: String,
    },
    /// The connection of a client is over.
    ClientLost {
        /// The name of the client.
        client: String,
        /// The number of sessions that it leaves without a client.
        sessions: usize,
    },
    /// The bridge shuts down.
    ShuttingDown {
        /// The end of the sentence "it shuts down, because …".
        reason: String,
    },
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnEnd {
    /// The agent has answered the prompt.
    Answered,
    /// The agent has refused the prompt.
    Failed,
    /// The prompt has timed out, or its session was closed meanwhile.
    Unanswered,
}

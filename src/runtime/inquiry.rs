//! The questions and orders that come to the loop from the control socket, and the events that go
//! there.
//!
//! The loop answers from the books at once; whatever needs a look at the system is left to the one
//! that asks.

use std::collections::BTreeMap;

use tokio::sync::{broadcast, mpsc, oneshot};

pub use super::children::tree::Trace;
use super::tap::Traffic;
use crate::api::{
    AgentStatus, BridgeEvent, Cancelled, ChannelStatus, ClientStatus, Closed, Counts, Explanation,
    Fault, Retirement, Sessions, Stop, Stopped,
};
use crate::bridge::Counters;
use crate::bridge::measures::Measures;

/// Where an answer goes. The one that asks may be gone meanwhile.
pub type Reply<T> = oneshot::Sender<T>;

/// A statement about a channel, and the way to find its processes; `None`: it has none.
pub type Traced<T> = (T, Option<Trace>);

/// One question or order.
#[derive(Debug)]
pub enum Inquiry {
    /// The state of everything.
    Snapshot(Reply<Snapshot>),
    /// The sessions.
    Sessions {
        /// Only those behind the one with this number.
        after: Option<u64>,
        /// The most to name.
        limit: Option<usize>,
        /// Where the answer goes.
        reply: Reply<Sessions>,
    },
    /// The reasons why this channel is alive; `None`: each of them.
    Explain {
        /// Its name.
        channel: Option<String>,
        /// Where the answer goes.
        reply: Reply<Result<Vec<Traced<Explanation>>, Fault>>,
    },
    /// Close a session.
    Close {
        /// Its id, or its name in the bridge.
        session: String,
        /// Where the answer goes.
        reply: Reply<Result<Closed, Fault>>,
    },
    /// Cancel the turn of a session; `None`: of every session.
    Cancel {
        /// Its id, or its name in the bridge.
        session: Option<String>,
        /// Where the answer goes.
        reply: Reply<Result<Cancelled, Fault>>,
    },
    /// Take a channel out of service.
    Retire {
        /// Its name.
        channel: String,
        /// How.
        how: Retirement,
        /// Where the answer goes.
        reply: Reply<Result<Traced<ChannelStatus>, Fault>>,
    },
    /// End the bridge.
    Stop {
        /// How.
        how: Stop,
        /// Where the answer goes.
        reply: Reply<Stopped>,
    },
    /// Read the configuration again.
    Reload(Reply<Result<(), String>>),
    /// Whether it goes on, and the number of rows.
    Health(Reply<Health>),
    /// The figures since the start.
    Figures(Reply<(Figures, Vec<Traced<ChannelStatus>>)>),
    /// Tell all events from now on.
    Follow(Reply<broadcast::Receiver<BridgeEvent>>),
}

impl Inquiry {
    /// Whether it is an order that nobody waits for any more: its asker was told that it failed.
    pub(super) fn is_abandoned_order(&self) -> bool {
        match self {
            Inquiry::Close { reply, .. } => reply.is_closed(),
            Inquiry::Cancel { reply, .. } => reply.is_closed(),
            Inquiry::Retire { reply, .. } => reply.is_closed(),
            Inquiry::Stop { reply, .. } => reply.is_closed(),
            Inquiry::Reload(reply) => reply.is_closed(),
            Inquiry::Snapshot(_)
            | Inquiry::Sessions { .. }
            | Inquiry::Explain { .. }
            | Inquiry::Health(_)
            | Inquiry::Figures(_)
            | Inquiry::Follow(_) => false,
        }
    }
}

/// All that the loop knows of the bridge at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The time since the start of the loop.
    pub age_ms: u64,
    /// Whether a shutdown is under way.
    pub is_ending: bool,
    /// Whether the bridge ends as soon as nobody would lose anything.
    pub is_leaving: bool,
    /// The number of rows.
    pub counts: Counts,
    /// The agents.
    pub agents: Vec<AgentStatus>,
    /// The channels, each with the way to find its processes.
    pub channels: Vec<Traced<ChannelStatus>>,
    /// The clients.
    pub clients: Vec<ClientStatus>,
}

/// Whether a bridge goes on.
#[derive(Debug)]
pub struct Health {
    /// Whether it shuts down, or ends as soon as nobody would lose anything.
    pub is_draining: bool,
    /// The number of rows.
    pub counts: Counts,
}

/// The figures of a bridge.
#[derive(Debug)]
pub struct Figures {
    /// The number of rows.
    pub counts: Counts,
    /// The number of sessions in each state.
    pub in_state: BTreeMap<&'static str, usize>,
    /// The counts of what was thrown away.
    pub counters: Counters,
    /// How often something happened, and how long it took.
    pub measures: Measures,
    /// The messages that passed.
    pub traffic: Traffic,
}

/// The loop's end of the control socket.
#[derive(Debug)]
pub struct ControlPort {
    /// The questions and orders.
    pub inquiries: mpsc::Receiver<Inquiry>,
}

/// The most events that wait for one that follows; who reads no faster is cut off.
const MOST_EVENTS: usize = 1024;

/// The events, for all that follow.
#[derive(Debug)]
pub(super) struct Events {
    to_followers: broadcast::Sender<BridgeEvent>,
    /// Whether the core was told that somebody follows.
    is_told: bool,
}

impl Events {
    pub(super) fn new() -> Events {
        Events { to_followers: broadcast::Sender::new(MOST_EVENTS), is_told: false }
    }

    pub(super) fn follow(&mut self) -> broadcast::Receiver<BridgeEvent> {
        self.is_told = true;
        self.to_followers.subscribe()
    }

    /// Whether anybody follows.
    pub(super) fn are_followed(&self) -> bool {
        self.to_followers.receiver_count() > 0
    }

    /// Whether somebody did when this was last asked.
    pub(super) fn were_followed(&mut self) -> bool {
        std::mem::take(&mut self.is_told)
    }

    pub(super) fn tell(&self, event: BridgeEvent) {
        // The last one may have stopped to follow.
        let _ = self.to_followers.send(event);
    }
}

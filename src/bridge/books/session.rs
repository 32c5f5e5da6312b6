//! One session: one conversation that is live on one channel.

use std::collections::VecDeque;

use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::time::Moment;

/// Turns whose times are remembered; older ones are merged into one.
const MAX_TURNS: usize = 16;

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// These clients, in the order in which they came.
    Attached(Vec<ClientId>),
    /// The last one left on purpose while a turn was running: it ends with the turn.
    Left,
    /// The last one is gone, nobody knows why: it may come back.
    Lost,
}

/// What is known about processes that outlived the turn they were born in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Nobody looked.
    Unknown,
    /// The runtime is looking.
    Asked,
    /// There were none.
    Quiet {
        /// When that was seen.
        at: Moment,
    },
    /// There were some.
    Working {
        /// When that was seen.
        at: Moment,
    },
}

/// A row: one live session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Itself.
    pub key: SessionKey,
    /// The agent that it is a conversation with.
    pub agent: AgentId,
    /// The channel it lives on, for as long as it lives.
    pub channel: ChannelId,
    /// Its id as clients know it.
    pub id: Box<str>,
    /// Its id as the agent knows it.
    pub agent_id: Box<str>,
    /// Its working directory, as it was opened with; empty if it was not said.
    pub cwd: Box<str>,
    /// Who is there.
    pub audience: Audience,
    /// When it last was of use.
    pub last_seen: Moment,
    /// Requests of clients in it, sent or queued.
    pub calls: Ids<CallId>,
    /// Prompts that wait for the running turn, first come first served.
    pub queue: VecDeque<CallId>,
    /// Requests of the agent in it that are open.
    pub questions: Ids<QuestionId>,
    /// Sessions of sub-agents that live and die with it, as the agent names them.
    pub children: Vec<Box<str>>,
    /// When its turns ran, the last one first; no end: it runs.
    turns: VecDeque<(Moment, Option<Moment>)>,
    /// What is known about processes left over from its turns.
    pub background: Background,
    /// Frames that clients got of it, so that a gap can be told.
    pub seq: u64,
}

impl Session {
    /// A session that was just opened.
    pub fn new(
        key: SessionKey,
        (agent, channel): (AgentId, ChannelId),
        id: Box<str>,
        agent_id: Box<str>,
        cwd: Box<str>,
        now: Moment,
    ) -> Self {
        Session {
            key,
            agent,
            channel,
            id,
            agent_id,
            cwd,
            audience: Audience::Lost,
            last_seen: now,
            calls: Ids::default(),
            queue: VecDeque::new(),
            questions: Ids::default(),
            children: Vec::new(),
            turns: VecDeque::new(),
            background: Background::Unknown,
            seq: 0,
        }
    }

    /// The clients that are attached, in the order in which they came.
    pub fn clients(&self) -> &[ClientId] {
        match &self.audience {
            Audience::Attached(clients) => clients,
            Audience::Left | Audience::Lost => &[],
        }
    }

    /// Somebody waits for something: a prompt, any other request, or a question.
    pub fn is_busy(&self) -> bool {
        !self.calls.is_empty() || !self.questions.is_empty()
    }

    /// A client goes by another id than the agent.
    pub fn is_aliased(&self) -> bool {
        self.id != self.agent_id
    }

    /// A turn began.
    pub fn turn_began(&mut self, now: Moment) {
        self.turns.push_front((now, None));
        if self.turns.len() > MAX_TURNS
            && let (Some(old), Some(older)) = (self.turns.pop_back(), self.turns.back_mut())
        {
            // One window over both: rather a process too many than one overlooked.
            older.0 = old.0;
        }
    }

    /// A turn ended: the one that began last, if several run.
    pub fn turn_ended(&mut self, now: Moment) {
        if let Some(turn) = self.turns.iter_mut().find(|(_, end)| end.is_none()) {
            turn.1 = Some(now);
        }
    }

    /// Whether something born at `birth` was born in one of its turns that is over.
    pub fn bore(&self, birth: Moment) -> bool {
        // Births are known to within 10 ms.
        self.turns.iter().any(|(start, end)| {
            start.as_millis() <= birth.as_millis() + 10
                && end.is_some_and(|end| birth.as_millis() <= end.as_millis() + 10)
        })
    }
}

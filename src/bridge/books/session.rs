//! One session: one conversation that is live on one channel.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bridge::books::absence::{Absence, Departure};
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::restoring::Restoring;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, PassingKey, QuestionId, SessionKey};
use crate::bridge::reason::EndReason;
use crate::bridge::recipe::Recipe;
use crate::bridge::time::Moment;

/// The most turns of a session that are remembered; older ones are merged into one.
const MAX_TURNS: usize = 16;

/// The last turns of a session: the start and end of each, the last turn first; `None`: the
/// turn runs.
#[derive(Clone, Debug, Default)]
pub struct Turns(VecDeque<(Moment, Option<Moment>)>);

impl Turns {
    fn began(&mut self, now: Moment) {
        self.0.push_front((now, None));
        if self.0.len() > MAX_TURNS
            && let (Some(old), Some(older)) = (self.0.pop_back(), self.0.back_mut())
        {
            // The two oldest turns become one, with the time between them: rather count a
            // process too many as background work than one too few.
            older.0 = old.0;
        }
    }

    fn ended(&mut self, now: Moment) {
        if let Some(turn) = self.0.iter_mut().find(|(_, end)| end.is_none()) {
            turn.1 = Some(now);
        }
    }

    fn running_since(&self) -> Option<Moment> {
        self.0.iter().find(|(_, end)| end.is_none()).map(|(start, _)| *start)
    }

    /// Whether a process that was born at `birth` was born in one of the turns that are
    /// over.
    fn have_seen(&self, birth: Moment) -> bool {
        // Births are known to within 10 ms.
        self.0.iter().any(|(start, end)| {
            start.as_millis() <= birth.as_millis() + 10
                && end.is_some_and(|end| birth.as_millis() <= end.as_millis() + 10)
        })
    }
}

/// The cost of a closed session for an agent that cannot close sessions.
#[derive(Clone, Debug, Default)]
pub struct HuskCost {
    /// The MCP servers of the session that are processes.
    servers: usize,
    turns: Turns,
    /// The processes that were born in its turns and still ran when they were last looked
    /// for.
    processes: usize,
}

impl HuskCost {
    /// Whether the session had turns, in which processes may have been born.
    pub fn has_turns(&self) -> bool {
        !self.turns.0.is_empty()
    }

    /// How many fresh sessions it costs as much as: one, and two more for each process.
    pub fn weight(&self) -> usize {
        1 + 2 * (self.servers + self.processes)
    }

    /// Counts the processes that were born in its turns, of the births of all that run.
    pub fn count_processes(&mut self, births: &[Moment]) {
        self.processes = births.iter().filter(|birth| self.turns.have_seen(**birth)).count();
    }
}

/// The clients that are attached to a session, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// These clients are attached, in the order in which they came.
    Attached(Vec<ClientId>),
    /// No client is attached.
    Absent(Box<Absence>),
}

/// The background work of a session, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// None was found, or was looked for.
    Unknown,
    /// A survey is under way that was asked for this session.
    Asked {
        /// The reason for which the session is to end if there is none; `None`: that is found then.
        then: Option<EndReason>,
    },
    /// The last survey found some, or failed.
    Working {
        /// When its result came.
        at: Moment,
    },
}

/// A row: one live session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The key of this row.
    pub key: SessionKey,
    /// The agent that it is a conversation with.
    pub agent: AgentId,
    /// The channel it lives on, for as long as it lives.
    pub channel: ChannelId,
    /// Its public id.
    pub id: Box<str>,
    /// Its agent id.
    pub agent_id: Box<str>,
    /// Its directory.
    pub cwd: Arc<str>,
    /// The clients that are attached, or why there is none.
    pub audience: Audience,
    /// When it was last used; its idle time counts from here.
    pub last_seen: Moment,
    /// Open calls in it, sent or queued.
    pub calls: Ids<CallId>,
    /// Prompts that wait for the running turn, first come first served.
    pub queue: VecDeque<CallId>,
    /// Open questions in it.
    pub questions: Ids<QuestionId>,
    /// Its passing ids, which end with it.
    pub children: Ids<PassingKey>,
    /// When the agent last wrote something about it or one of its passing ids.
    pub heard_at: Moment,
    /// Its MCP servers that are processes.
    pub servers: usize,
    turns: Turns,
    /// Its background work, as far as it is known.
    pub background: Background,
    /// The number of notifications for its clients so far, also of those that came while no
    /// client was attached. The message that ends the session carries it.
    pub seq: u64,
    /// The transcript for clients that come later; `None`: nothing is kept for one.
    pub transcript: Option<Box<Transcript>>,
    /// The attached clients that merely watch: they have neither opened it nor prompted in it.
    pub watchers: Vec<ClientId>,
    /// When its agent has answered the load that opened it; `None`: it was opened in another way.
    pub loaded_at: Option<Moment>,
    /// Its recipe; `None`: it is never brought back.
    pub recipe: Option<Box<Recipe>>,
    /// The rest of the work until it is as it was before it was parked; `None`: there is none.
    pub restoring: Option<Box<Restoring>>,
}

impl Session {
    /// A session that was just opened.
    pub fn new(
        key: SessionKey,
        (agent, channel): (AgentId, ChannelId),
        (id, agent_id): (Box<str>, Box<str>),
        cwd: Arc<str>,
        now: Moment,
    ) -> Self {
        Session {
            key,
            agent,
            channel,
            id,
            agent_id,
            cwd,
            audience: Audience::Absent(Box::new(Absence::lost(now, None))),
            last_seen: now,
            calls: Ids::default(),
            queue: VecDeque::new(),
            questions: Ids::default(),
            children: Ids::default(),
            heard_at: now,
            servers: 0,
            turns: Turns::default(),
            background: Background::Unknown,
            seq: 0,
            transcript: None,
            watchers: Vec::new(),
            loaded_at: None,
            recipe: None,
            restoring: None,
        }
    }

    /// The clients that are attached, in the order in which they came.
    pub fn clients(&self) -> &[ClientId] {
        match &self.audience {
            Audience::Attached(clients) => clients,
            Audience::Absent(_) => &[],
        }
    }

    /// Whether one client alone has the session, and nothing is kept for others: nobody but that
    /// client is told of a turn.
    pub fn is_private(&self) -> bool {
        self.transcript.is_none() && self.watchers.is_empty() && self.clients().len() == 1
    }

    /// Whether the last client has left the session on purpose.
    pub fn was_left(&self) -> bool {
        matches!(&self.audience, Audience::Absent(row) if row.departure == Departure::Left)
    }

    /// Whether a request is open in the session, in either direction, or it is being restored.
    pub fn is_busy(&self) -> bool {
        !self.calls.is_empty() || !self.questions.is_empty() || self.restoring.is_some()
    }

    /// Whether its public id is an alias.
    pub fn is_aliased(&self) -> bool {
        self.id != self.agent_id
    }

    /// Notes that a turn began.
    pub fn turn_began(&mut self, now: Moment) {
        self.turns.began(now);
    }

    /// Notes that a turn ended: the one that began last, if several run.
    pub fn turn_ended(&mut self, now: Moment) {
        self.turns.ended(now);
    }

    /// When the turn that runs began, the last one if several run; `None`: none runs.
    pub fn in_turn_since(&self) -> Option<Moment> {
        self.turns.running_since()
    }

    /// Whether a process that was born at `birth` was born in a turn that is over.
    pub fn was_born_in_ended_turn(&self, birth: Moment) -> bool {
        self.turns.have_seen(birth)
    }

    /// The cost of the session as a husk. A turn that still runs ends with the session.
    pub fn husk_cost(&self, now: Moment) -> HuskCost {
        let mut turns = self.turns.clone();
        turns.0.iter_mut().for_each(|(_, end)| *end = end.or(Some(now)));
        HuskCost { servers: self.servers, turns, processes: 0 }
    }
}

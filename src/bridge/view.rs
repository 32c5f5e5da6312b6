//! The books, described in the words of the control API.
//!
//! It only reads. Process ids, memory and write queues are the runtime's to add.

mod apart;
mod channels;
mod clients;
mod fate;
mod moment;
mod requests;
mod sessions;

use std::collections::BTreeMap;

pub use self::moment::View;
use crate::api::{
    AgentStatus, ChannelStatus, ClientStatus, Counts, Explanation, Saving, SessionState, Sessions,
    Unfinished,
};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::session::Session;
use crate::bridge::books::tenure::Leaving;
use crate::bridge::books::under_way::UnderWay;
use crate::bridge::id::{AgentId, ChannelId, ClientId, SessionKey};

/// The most sessions of one page.
const LARGEST_PAGE: usize = 1000;

impl View<'_> {
    /// Every channel, the oldest first.
    pub fn channel_ids(self) -> Vec<ChannelId> {
        self.books.all_channels()
    }

    /// The status of a channel; `None`: there is no such channel.
    pub fn channel(self, id: ChannelId) -> Option<ChannelStatus> {
        self.books.channel(id).map(|row| channels::status(self, id, row))
    }

    /// Every client, in the order in which they came.
    pub fn clients(self) -> impl Iterator<Item = (ClientId, ClientStatus)> {
        let rows = self.books.clients().iter();
        rows.map(move |(id, row)| (*id, clients::status(self, *id, row)))
    }

    /// A page of the sessions, live and parked: those behind the one with the number `after`, at most `limit`. On the
    /// first page there are as many at most that are being opened, behind the live ones.
    pub fn sessions(self, after: Option<u64>, limit: Option<usize>) -> Sessions {
        let limit = limit.unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE);
        let is_behind = |key: &SessionKey| after.is_none_or(|after| key.0 > after);
        let (live, parked) = (self.books.sessions().keys(), self.books.parked_sessions().rows());
        let mut keys: Vec<SessionKey> =
            live.chain(parked.keys()).copied().filter(is_behind).collect();
        keys.sort_unstable();
        let next = (keys.len() > limit).then(|| keys[limit - 1].0);
        keys.truncate(limit);
        let rows = keys.into_iter().filter_map(|key| sessions::of(self, key));
        let opening = self.books.calls().iter().filter(|_| after.is_none());
        let opening = opening.filter_map(|(id, call)| sessions::opening(self, *id, call));
        let mut opening: Vec<_> = opening.take(limit).collect();
        opening.sort_by_key(|session| std::cmp::Reverse(session.idle_ms));
        Sessions { sessions: rows.chain(opening).collect(), next }
    }

    /// Why a channel is alive, with at most `limit` sessions and `limit` requests; `None`: there is
    /// no such channel.
    pub fn explain(self, channel: ChannelId, limit: usize) -> Option<Explanation> {
        let row = self.books.channel(channel)?;
        Some(channels::explanation(self, channel, row, limit))
    }

    /// The agents that have a channel or a client.
    pub fn agents(self) -> Vec<AgentStatus> {
        let agents = self.books.agents().iter().enumerate();
        agents.filter_map(|(place, row)| self.agent(AgentId(place), &row.config.name)).collect()
    }

    fn agent(self, id: AgentId, name: &str) -> Option<AgentStatus> {
        let channels: Vec<&Channel> =
            self.books.channels().values().filter(|row| row.agent == id).collect();
        let has_client = self.books.clients().values().any(|row| row.agent == id);
        if channels.is_empty() && !has_client {
            return None;
        }
        let sessions = channels.iter().map(|row| row.sessions.len()).sum();
        let processes = channels.iter().map(|row| row.sessions.len().saturating_sub(1)).sum();
        let saving = (processes > 0).then_some(Saving { processes, memory_bytes: None });
        let apart = apart::names(self.books, id);
        Some(AgentStatus {
            name: name.to_owned(),
            channels: channels.len(),
            sessions,
            apart,
            saving,
            could_be_parked: sessions::could_be_parked(self, id),
        })
    }

    /// The number of rows of each kind.
    pub fn counts(self) -> Counts {
        let books = self.books;
        let sessions = books.sessions().values();
        let (mut in_turn, mut without_client) = (0, 0);
        for session in sessions {
            in_turn += usize::from(session.in_turn_since().is_some());
            without_client += usize::from(session.clients().is_empty());
        }
        Counts {
            sessions: books.sessions().len(),
            opening: sessions::count_opening(books),
            in_turn,
            questions: books.questions().len(),
            without_client,
            parked: books.parked_sessions().rows().len(),
            parked_bytes: books.parked_sessions().bytes() as u64,
            channels: books.channels().len(),
            stopping: books.channels().values().filter(|row| row.is_stopping()).count(),
            clients: books.clients().len(),
            queued_bytes: 0,
            replay_bytes: books.replay_bytes() as u64,
        }
    }

    /// The number of sessions in each state, by the words for the states.
    pub fn sessions_by_state(self) -> BTreeMap<&'static str, usize> {
        let mut counts: BTreeMap<_, _> =
            SessionState::ALL.iter().map(|state| (state.word(), 0)).collect();
        for row in self.books.sessions().values() {
            *counts.entry(sessions::state(row).word()).or_default() += 1;
        }
        for row in self.books.parked_sessions().rows().values() {
            *counts.entry(sessions::state_of_parked(row).word()).or_default() += 1;
        }
        counts.insert(SessionState::Opening.word(), sessions::count_opening(self.books));
        counts
    }

    /// The work that would be lost if the bridge ended now.
    pub fn unfinished(self) -> Unfinished {
        let questions = self.books.questions().len();
        let sessions = self.books.sessions().len();
        let is_kept =
            |row: &&Session| self.books.limits.is_succeeded && self.books.is_safe_to_end(row);
        let kept = self.books.sessions().values().filter(is_kept).count();
        let mut unfinished = Unfinished { questions, sessions, kept, ..Unfinished::default() };
        for call in self.books.calls().values() {
            match self.books.under_way(call) {
                Some(UnderWay::Turn) => unfinished.turns += 1,
                Some(UnderWay::Open) => unfinished.opening += 1,
                Some(UnderWay::Request) => unfinished.requests += 1,
                None => {}
            }
        }
        unfinished.requests += self.books.fanouts().len();
        unfinished
    }

    /// Why a channel cannot be drained, as the end of a sentence; `None`: it can.
    pub fn obstacle_to_drain(self, channel: ChannelId) -> Option<&'static str> {
        self.books.obstacle_to_drain(channel)
    }

    /// Whether the bridge ends by itself as soon as nobody would lose anything.
    pub fn is_leaving(self) -> bool {
        self.books.leaving() != Leaving::No
    }

    /// The live and parked sessions that a person means by this text: the one with this name in the bridge,
    /// else those that clients know by it.
    pub fn sessions_named(self, text: &str) -> Vec<SessionKey> {
        let number = text.strip_prefix("s-").and_then(|number| number.parse().ok());
        let key = number
            .map(SessionKey)
            .filter(|key| self.books.session(*key).is_some() || self.books.parked(*key).is_some());
        if let Some(key) = key {
            return vec![key];
        }
        // The name of a session that has ended means no other, whatever its agent calls that.
        if number.is_some_and(|number| self.books.has_named(SessionKey(number))) {
            return Vec::new();
        }
        let rows = self.books.sessions().values();
        let live = rows.filter(|row| *row.id == *text).map(|row| row.key);
        let parked = self.books.parked_sessions().rows().values();
        let parked = parked.filter(|row| *row.id == *text).map(|row| row.key);
        let mut keys: Vec<_> = live.chain(parked).collect();
        keys.sort_unstable();
        keys
    }

    /// Whether a turn runs in a session, or a question is open.
    pub fn is_at_work(self, key: SessionKey) -> bool {
        self.books.session(key).is_some_and(|row| {
            row.in_turn_since().is_some() || !row.questions.is_empty() || !row.queue.is_empty()
        })
    }

    /// The live sessions in which a turn runs or a question is open.
    pub fn sessions_at_work(self) -> Vec<SessionKey> {
        let mut keys: Vec<_> = self.books.sessions().keys().copied().collect();
        keys.retain(|key| self.is_at_work(*key));
        keys.sort_unstable();
        keys
    }

    /// Whether a turn runs in a session.
    pub fn is_in_turn(self, key: SessionKey) -> bool {
        self.books.session(key).is_some_and(|row| row.in_turn_since().is_some())
    }

    /// The channel with this name, `ch-3` or `3`.
    pub fn channel_named(self, text: &str) -> Option<ChannelId> {
        let number = text.strip_prefix("ch-").unwrap_or(text).parse().ok()?;
        self.books.channel(ChannelId(number)).map(|_| ChannelId(number))
    }
}

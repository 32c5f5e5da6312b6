//! Parked sessions enter the table and leave it, and queries about them.

use crate::bridge::books::Books;
use crate::bridge::books::absence::Departure;
use crate::bridge::books::call::{Asker, Behind, Call, OpenKind, Opening, Purpose};
use crate::bridge::books::parked::{Failure, Parked, ParkedSessions, Revival};
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::books::table::ids_of;
use crate::bridge::config::Restore;
use crate::bridge::directory::is_same_directory;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::reason::EndReason;
use crate::bridge::recipe::Recipe;
use crate::bridge::restore::Way;

impl Books {
    /// The parked sessions.
    pub fn parked_sessions(&self) -> &ParkedSessions {
        &self.parked
    }

    /// The row of a parked session.
    pub fn parked(&self, key: SessionKey) -> Option<&Parked> {
        self.parked.get(key)
    }

    /// The parked session that a client means by an id: one in which it is dormant.
    pub fn dormant_in(&self, client: ClientId, id: &str) -> Option<SessionKey> {
        let row = self.client(client)?;
        if row.dormant.is_empty() {
            return None;
        }
        let mut named = self.parked.named(row.agent, id);
        named.find(|parked| row.dormant.contains(&parked.key)).map(|parked| parked.key)
    }

    /// The parked conversation that a client means by an id: one in which it is dormant, else the
    /// one in this directory.
    pub fn parked_conversation(&self, client: ClientId, id: &str, cwd: &str) -> Option<SessionKey> {
        self.dormant_in(client, id).or_else(|| {
            let mut named = self.parked.named(self.client(client)?.agent, id);
            named.find(|row| is_same_directory(&row.cwd, cwd)).map(|row| row.key)
        })
    }

    /// Whether a client may mean a parked session by an id.
    pub fn is_parked(&self, agent: AgentId, id: &str) -> bool {
        self.parked.named(agent, id).next().is_some()
    }

    /// The way in which a client's agent brings a session with this recipe back. `Ok(None)`: as a
    /// new session; `Err`: it does not.
    pub fn way_back(&self, client: ClientId, recipe: &Recipe) -> Result<Option<Way>, ()> {
        let row = self.client(client).ok_or(())?;
        let pool = row.pool.and_then(|pool| self.pool(pool)).ok_or(())?;
        let agent = self.agent(row.agent);
        if !recipe.has_record {
            return if agent.config.restore == Restore::None { Err(()) } else { Ok(None) };
        }
        let way = agent.trust.way(&pool.agent_version, pool.capabilities, agent.config.restore);
        way.map(Some).ok_or(())
    }

    /// Whether a session that ends for this reason is parked: it did not end by the wish of its
    /// clients, and its agent may be able to bring it back.
    pub fn may_be_parked(&self, session: &Session, reason: EndReason) -> bool {
        let Some(recipe) = session.recipe.as_deref().filter(|recipe| recipe.is_kept()) else {
            return false;
        };
        let was_left = matches!(&session.audience,
            Audience::Absent(absence) if absence.departure == Departure::Left);
        !self.is_ending()
            && reason.keeps()
            && !was_left
            && self.is_restorable(session, recipe).is_some()
    }

    /// Whether a session that ends with the bridge can be brought back by a later one.
    pub fn is_left_to_another(&self, session: &Session, reason: EndReason) -> bool {
        let recipe = session.recipe.as_deref().filter(|recipe| recipe.is_kept());
        let is_left = self.limits.is_succeeded && reason == EndReason::Shutdown;
        is_left && recipe.is_some_and(|recipe| self.is_restorable(session, recipe).is_some())
    }

    /// Whether a session may be ended by choice without a loss: it is known that it can be brought
    /// back, or it has nothing to lose.
    pub fn is_safe_to_end(&self, session: &Session) -> bool {
        let recipe = session.recipe.as_deref().filter(|recipe| recipe.is_kept());
        recipe.and_then(|recipe| self.is_restorable(session, recipe)).unwrap_or(false)
    }

    /// Whether the agent of a live session can bring it back, as far as it says; and whether that
    /// is known from experience.
    fn is_restorable(&self, session: &Session, recipe: &Recipe) -> Option<bool> {
        let agent = self.agent(session.agent);
        let restore = agent.config.restore;
        if !recipe.has_record {
            return (restore != Restore::None).then_some(true);
        }
        let row = self.channel(session.channel)?;
        let way = agent.trust.way(&row.agent_version, row.capabilities, restore)?;
        Some(agent.trust.is_proven(&row.agent_version, way, restore))
    }

    /// Adds a parked session.
    pub fn park(&mut self, row: Parked) {
        for client in &row.clients {
            if let Some(client) = self.clients.get_mut(client) {
                client.dormant.insert(row.key);
                client.ended.forget(&row.id);
            }
        }
        self.parked.insert(row);
        self.touched.placement = true;
    }

    /// Removes a parked session. A call that is to bring it back does so for nobody any more.
    pub fn unpark(&mut self, key: SessionKey) -> Option<Parked> {
        if let Revival::Opening(call) = self.parked.get(key)?.revival {
            self.end_revival(call);
        }
        let row = self.parked.remove(key)?;
        for client in &row.clients {
            if let Some(client) = self.clients.get_mut(client) {
                client.dormant.remove(&key);
            }
        }
        self.touched.revivals.remove(&key);
        self.touched.placement = true;
        Some(row)
    }

    /// Removes all parked sessions, because the bridge ends.
    pub fn unpark_all(&mut self) {
        for key in ids_of(self.parked.rows()) {
            self.unpark(key);
        }
    }

    /// Takes a client out of a parked session.
    pub fn leave_parked(&mut self, client: ClientId, key: SessionKey) {
        if let Some(row) = self.clients.get_mut(&client) {
            row.dormant.remove(&key);
        }
        self.parked.change_clients(key, |row| {
            row.clients.retain(|other| *other != client);
            row.watchers.retain(|other| *other != client);
        });
    }

    /// Makes a client dormant in a parked session.
    pub fn join_parked(&mut self, client: ClientId, key: SessionKey) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        if row.dormant.insert(key) {
            self.parked.change_clients(key, |row| row.clients.push(client));
        }
    }

    /// Whether the session that an open brings back is to be restored in a process of its own.
    pub fn is_alone(&self, opening: &Opening) -> bool {
        opening.revives.and_then(|key| self.parked.get(key)).is_some_and(|row| row.is_alone)
    }

    /// Notes that a call is to bring a parked session back.
    pub fn revival_began(&mut self, key: SessionKey, call: CallId) {
        if let Some((revival, _)) = self.parked.revival_mut(key) {
            *revival = Revival::Opening(call);
        }
    }

    /// Notes that the call which was to bring a parked session back is over, or does so no more.
    pub fn revival_ended(&mut self, key: SessionKey, call: CallId) {
        if let Some((revival, _)) = self.parked.revival_mut(key)
            && *revival == Revival::Opening(call)
        {
            *revival = Revival::None;
        }
    }

    /// Notes that the attempt to bring a parked session back has failed; at the end of the step
    /// follows what is to be done.
    pub fn revival_failed(&mut self, key: SessionKey, failure: Failure) {
        if let Some((revival, _)) = self.parked.revival_mut(key) {
            *revival = Revival::Failed(failure);
            self.touched.revivals.insert(key);
        }
    }

    /// Takes the next failure of an attempt.
    pub fn next_failed_revival(&mut self) -> Option<(SessionKey, Failure)> {
        let key = self.touched.revivals.pop_first()?;
        let (revival, _) = self.parked.revival_mut(key)?;
        match std::mem::replace(revival, Revival::None) {
            Revival::Failed(failure) => Some((key, failure)),
            other => {
                *revival = other;
                None
            }
        }
    }

    /// Notes that a session is restored in a process of its own from now on; says whether it was
    /// before.
    pub fn set_alone(&mut self, key: SessionKey) -> bool {
        let row = self.parked.revival_mut(key);
        row.is_none_or(|(_, is_alone)| std::mem::replace(is_alone, true))
    }

    /// Makes a call bring no session back any more. It ends here if it was not sent; otherwise its
    /// row stays, so that the answer is recognised.
    pub fn end_revival(&mut self, id: CallId) {
        let is_bridge_s = |asker: &Asker| matches!(asker, Asker::Revival(_));
        let Some(call) = self.calls.get(&id) else { return };
        let (is_unsent, is_its) = (call.is_unsent(), is_bridge_s(&call.asker));
        if !is_its {
            // A client's own open goes on as one that restores nothing known.
            if let Some(Purpose::Open(opening)) =
                self.calls.get_mut(&id).map(|row| &mut row.purpose)
            {
                opening.revives = None;
            }
        } else if is_unsent {
            self.take_call(id);
        } else {
            self.disown_call(id);
        }
    }

    /// Whether a channel's agent replays a history that is not shown, and no turn runs there: then
    /// what it says about ids that nobody knows is a part of that.
    pub fn replays_silently(&self, channel: ChannelId) -> bool {
        let Some(row) = self.channel(channel) else { return false };
        let calls = || row.calls.iter().filter_map(|id| self.calls.get(id));
        let is_revival = |call: &Call| {
            let loads = call.opening().is_some_and(|opening| opening.kind == OpenKind::Load);
            loads && call.is_sent() && matches!(call.asker, Asker::Revival(_))
        };
        calls().any(is_revival) && !calls().any(Call::is_turn)
    }

    /// The client of this parked session for which it is to be brought back if another one does
    /// not want it any more: one that waits for it.
    pub fn other_that_waits(&self, key: SessionKey, but: ClientId) -> Option<ClientId> {
        let row = self.parked.get(key)?;
        let mut others = row.clients.iter().copied().filter(|client| *client != but);
        others.find(|client| !self.waiting_for(*client, &row.id).is_empty())
    }

    /// The requests of a client that wait until a session with this id is brought back, in the
    /// order in which they came.
    pub fn waiting_for(&self, client: ClientId, id: &str) -> Vec<CallId> {
        if self.unplaced.is_empty() {
            return Vec::new();
        }
        let waits = |call: &CallId| {
            self.calls.get(call).is_some_and(|call| {
                call.purpose == Purpose::BehindOpen(Behind::Revival)
                    && call.client() == Some(client)
                    && call.held_session().as_deref() == Some(id)
            })
        };
        self.unplaced.iter().copied().filter(waits).collect()
    }

    /// Whether a session that was brought back is not yet what it was, or requests wait in it that
    /// are older than this call.
    pub fn is_revival_before(&self, id: CallId, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(&key) else { return false };
        let mut waiting =
            session.clients().iter().flat_map(|client| self.waiting_for(*client, &session.id));
        session.restoring.is_some() || waiting.any(|waiting| waiting < id)
    }

    /// Hands a call that brings a session back over to another client.
    pub fn hand_over_revival(&mut self, id: CallId, to: ClientId) {
        let Some(call) = self.calls.get_mut(&id) else { return self.absent(id) };
        let from = call.asker.client();
        call.asker = Asker::Revival(to);
        if let Some(row) = from.and_then(|client| self.clients.get_mut(&client)) {
            row.calls.remove(&id);
        }
        if let Some(row) = self.clients.get_mut(&to) {
            row.calls.insert(id);
        }
        self.touched.placement = true;
    }
}

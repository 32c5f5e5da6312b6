//! Requests enter the tables, move in them, and leave them: calls to agents, questions
//! to clients.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Call, Fanout, Opening, Purpose, RepeatLogin, Stage};
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{CallId, ChannelId, ClientId, FanoutId, SessionKey};
use crate::bridge::time::Moment;
use crate::wire::{Frame, FrameKind};

impl Books {
    /// Makes a client's request a call that waits for a channel. `None`: the client is gone.
    pub fn wait_for_channel(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        frame: &Frame,
        now: Moment,
    ) -> Option<CallId> {
        let agent = self.client(client)?.agent;
        let (asker, stage) = (Asker::Client(client, frame.id()), Stage::held(frame));
        let (channel, session) = (None, None);
        Some(self.add_call(Call { asker, purpose, agent, channel, session, asked_at: now, stage }))
    }

    /// Enters a call into every table that it concerns.
    pub fn add_call(&mut self, call: Call) -> CallId {
        let id = CallId(self.numbers.calls.next());
        if let Some(client) = call.client().and_then(|client| self.clients.get_mut(&client)) {
            client.calls.insert(id);
        }
        match call.channel {
            Some(channel) => {
                if let Some(channel) = self.channel_mut(channel) {
                    channel.calls.insert(id);
                }
            }
            None => {
                self.unplaced.insert(id);
                self.touched.placement = true;
            }
        }
        if let Some((source, public)) = call.opening().and_then(Opening::restored_ids) {
            self.agent_mut(call.agent).aliases.begin_restore(source, public, id);
        }
        // A close is no call in the session: the tombstone keeps it as its `Hold::Closing`.
        if !matches!(call.purpose, Purpose::Close(_))
            && let Some(session) = call.session.and_then(|key| self.session_mut(key))
        {
            session.calls.insert(id);
        }
        if let Purpose::Part(fanout) = call.purpose
            && let Some(fanout) = self.fanouts.get_mut(&fanout)
        {
            fanout.parts.insert(id);
        }
        self.calls.insert(id, call);
        self.touched.rows.push(Due::Call(id));
        id
    }

    /// Enters a fan-out into the tables. Its parts are calls, which are added after it.
    pub fn add_fanout(&mut self, fanout: Fanout) -> FanoutId {
        let id = FanoutId(self.numbers.fanouts.next());
        if let Asker::Client(client, _) = &fanout.asker
            && let Some(client) = self.clients.get_mut(client)
        {
            client.fanouts.insert(id);
        }
        self.fanouts.insert(id, fanout);
        id
    }

    /// Takes a client that is gone out of its fan-outs, so that no client gets their answers.
    pub fn disown_fanouts(&mut self, client: ClientId) {
        for id in self.clients.get(&client).map(|row| row.fanouts.clone()).unwrap_or_default() {
            if let Some(fanout) = self.fanouts.get_mut(&id) {
                fanout.asker = Asker::Nobody;
            }
        }
    }

    /// Counts the answer to one part of a fan-out: the first failure becomes the answer of
    /// the fan-out, otherwise the first success.
    pub fn part_answered(&mut self, id: FanoutId, answer: &Frame) {
        let Some(fanout) = self.fanouts.get_mut(&id) else { return self.absent(id) };
        let is_worse = answer.kind == FrameKind::Failure
            && fanout.answer.as_ref().is_none_or(|before| before.kind == FrameKind::Success);
        if is_worse || fanout.answer.is_none() {
            fanout.answer = Some(answer.detached());
        }
    }

    /// Takes a fan-out out of the tables; `None`: a part of it is not answered yet.
    pub fn take_fanout_if_over(&mut self, id: FanoutId) -> Option<Fanout> {
        self.fanouts.get(&id).filter(|fanout| fanout.parts.is_empty())?;
        let fanout = self.fanouts.remove(&id)?;
        if let Asker::Client(client, _) = &fanout.asker
            && let Some(client) = self.clients.get_mut(client)
        {
            client.fanouts.remove(&id);
        }
        Some(fanout)
    }

    /// Puts a call on a channel, or, with `None`, back among the calls that wait for one.
    pub fn move_call(&mut self, id: CallId, to: Option<ChannelId>) {
        let Some(call) = self.calls.get_mut(&id) else { return self.absent(id) };
        let from = std::mem::replace(&mut call.channel, to);
        self.unplaced.remove(&id);
        if let Some(from) = from.and_then(|from| self.channel_mut(from)) {
            from.calls.remove(&id);
        }
        match to {
            Some(to) => {
                if let Some(to) = self.channel_mut(to) {
                    to.calls.insert(id);
                }
            }
            None => {
                self.unplaced.insert(id);
                self.touched.placement = true;
                if let Some(Call { purpose: Purpose::Open(opening), .. }) = self.calls.get_mut(&id)
                {
                    opening.login = RepeatLogin::Unsent;
                }
            }
        }
        self.deadlines.forget(Due::Call(id));
        self.touched.rows.push(Due::Call(id));
    }

    /// Takes a call out of every table. It is over, or about to be answered.
    pub fn take_call(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.swap_remove(&id)?;
        self.deadlines.forget(Due::Call(id));
        self.unplaced.remove(&id);
        self.take_replay(id);
        if let Some((source, public)) = call.opening().and_then(Opening::restored_ids) {
            self.agent_mut(call.agent).aliases.end_restore(source, public, id);
        }
        if let Some(key) = call.opening().and_then(|opening| opening.revives) {
            self.revival_ended(key, id);
        }
        if let Some(id_of_client) = call.client()
            && let Some(client) = self.clients.get_mut(&id_of_client)
        {
            client.calls.remove(&id);
            if call.purpose == Purpose::Initialize {
                self.touched.clients.insert(id_of_client);
            }
        }
        // A restore of the same conversation may wait for this one, and room may be free.
        self.touched.placement = true;
        if let Some(place) = call.channel
            && let Some(channel) = self.channel_mut(place)
        {
            channel.calls.remove(&id);
            if call.is_overdue() {
                channel.overdue.remove(&id);
            }
            if !channel.questions.is_empty() {
                self.touched.ended_calls.push((place, id));
            }
        }
        if let Purpose::Part(id_of_request) = call.purpose
            && let Some(fanout) = self.fanouts.get_mut(&id_of_request)
        {
            fanout.parts.remove(&id);
            self.touched.fanouts.insert(id_of_request);
        }
        if let Some(key) = call.session {
            self.leave_session(id, key, call.channel);
        }
        Some(call)
    }

    /// Takes a call out of the row of a session, or out of its tombstone at this channel.
    fn leave_session(&mut self, id: CallId, key: SessionKey, channel: Option<ChannelId>) {
        if let Some(session) = self.session_mut(key) {
            session.calls.remove(&id);
            session.queue.retain(|queued| *queued != id);
        } else if let Some(place) = channel
            && let Some(channel) = self.channels.get_mut(&place)
            && channel.tombstones.drop_call(key, id)
        {
            // The session is closed, and its tombstone waited for this call alone.
            self.touched.quiet_tombstones.push((place, key));
        }
    }

    /// Whether a request about a passing id is with the agent.
    pub fn is_asked_about(&self, channel: ChannelId, agent_id: &str) -> bool {
        let calls = self.channel(channel).into_iter().flat_map(|row| &row.calls);
        calls.filter_map(|id| self.calls.get(id)).any(|call| {
            let names_it =
                matches!(&call.purpose, Purpose::PassedOn { id, .. } if **id == *agent_id);
            names_it && call.is_sent()
        })
    }

    /// Makes the time of the loads of a live session begin anew: an update shows that the agent
    /// is at work on its replay.
    pub fn renew_reloads(&mut self, key: SessionKey, now: Moment) {
        let Some(session) = self.sessions.get(&key) else { return self.absent(key) };
        let reloads = session.calls.iter().filter(|id| {
            let call = self.calls.get(*id);
            call.is_some_and(|call| matches!(call.purpose, Purpose::Reload { .. }))
        });
        let (channel, reloads) = (session.channel, reloads.copied().collect::<Vec<_>>());
        for id in reloads {
            let stage = self.sent_now(channel, now);
            if let Some(call) = self.calls.get_mut(&id) {
                call.stage = stage;
            }
        }
    }

    /// Makes the requests of a client that were passed on, about an id that an open has now
    /// made a session, requests in that session.
    pub fn adopt_calls(&mut self, key: SessionKey, client: ClientId) {
        let Some(session) = self.sessions.get(&key) else { return self.absent(key) };
        let (channel, agent_id) = (session.channel, session.agent_id.clone());
        for id in self.calls_on(channel) {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            let is_its = call.client() == Some(client)
                && matches!(&call.purpose, Purpose::PassedOn { id, kind, .. }
                    if *id == agent_id && !kind.ends());
            if is_its {
                if let Some(parent) = call.session.replace(key) {
                    self.leave_session(id, parent, Some(channel));
                }
                if let Some(session) = self.session_mut(key) {
                    session.calls.insert(id);
                }
            }
        }
    }

    /// Marks an open of this client, which has timed out, as overdue: its row stays, so that a
    /// late answer is recognised. `None`: the call is gone.
    pub fn mark_overdue(&mut self, id: CallId, client: Option<ClientId>) -> Option<&Call> {
        let call = self.calls.get_mut(&id)?;
        call.stage = Stage::Overdue { client };
        let channel = call.channel;
        self.deadlines.forget(Due::Call(id));
        self.touched.placement = true;
        if let Some(channel) = channel.and_then(|channel| self.channel_mut(channel)) {
            channel.overdue.insert(id);
        }
        self.calls.get(&id)
    }

    /// Takes the asker out of a call and returns it, because that client is gone or is
    /// refused now. The row stays, so that the agent's answer is recognised.
    pub fn disown_call(&mut self, id: CallId) -> Asker {
        let Some(call) = self.calls.get_mut(&id) else {
            self.absent(id);
            return Asker::Nobody;
        };
        let asker = std::mem::replace(&mut call.asker, Asker::Nobody);
        let revives = match &mut call.purpose {
            Purpose::Open(opening) => opening.revives.take(),
            _ => None,
        };
        if let Some(client) = asker.client().and_then(|client| self.clients.get_mut(&client)) {
            client.calls.remove(&id);
        }
        if let Some(channel) = call.channel {
            self.touched.channels.insert(channel);
        }
        self.touched.placement = true;
        if let Some(key) = revives {
            self.revival_ended(key, id);
        }
        asker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::Ids;
    use crate::bridge::books::tests::{
        AGENT, ALICE, add_call, add_channel, add_pool, add_prompt, add_session, at, books, frame,
    };
    use crate::bridge::books::tombstones::{Hold, Tombstone};

    fn numbers(ids: &Ids<CallId>) -> Vec<u64> {
        ids.iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_prompt_is_in_every_table_that_it_concerns_until_it_is_taken() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let key = add_session(&mut books, channel, "s", "s");
        let id = add_prompt(&mut books, key, ALICE, Stage::sent(at(0), 0));
        books.session_mut(key).unwrap().queue.push_back(id);
        let tables = |books: &Books| {
            let (client, session) = (books.client(ALICE).unwrap(), books.session(key).unwrap());
            let sets = [&client.calls, &books.channel(channel).unwrap().calls, &session.calls];
            (sets.map(Ids::len), session.queue.len(), books.calls().len())
        };
        assert_eq!(tables(&books), ([1, 1, 1], 1, 1));
        assert!(books.take_call(id).is_some());
        assert_eq!(tables(&books), ([0, 0, 0], 0, 0));
        assert!(books.take_call(id).is_none());
    }

    #[test]
    fn a_call_waits_for_a_channel_or_is_on_one() {
        let mut books = books();
        let channels = [(); 2].map(|()| add_channel(&mut books, AGENT));
        let id = books.wait_for_channel(ALICE, Purpose::Prompt, &frame(), at(0)).unwrap();
        let places = |books: &Books| {
            (
                numbers(books.unplaced()),
                channels.map(|id| numbers(&books.channel(id).unwrap().calls)),
            )
        };
        assert_eq!(places(&books), (vec![1], [vec![], vec![]]));
        for place in [0, 1] {
            books.move_call(id, Some(channels[place]));
            let mut expected = [vec![], vec![]];
            expected[place] = vec![1];
            assert_eq!(places(&books), (vec![], expected));
        }
        books.move_call(id, None);
        assert_eq!(places(&books), (vec![1], [vec![], vec![]]));
        assert_eq!(books.wait_for_channel(ClientId(9), Purpose::Prompt, &frame(), at(0)), None);
    }

    #[test]
    fn a_call_in_a_session_that_is_closed_is_dropped_from_its_tombstone() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let key = add_session(&mut books, channel, "s", "s");
        let id = add_prompt(&mut books, key, ALICE, Stage::sent(at(0), 0));
        let calls = books.remove_session(key).unwrap().calls;
        let row = Tombstone::new(key, "s", "s".into(), Hold::Husk, calls, at(0));
        books.channel_mut(channel).unwrap().tombstones.bury(row);
        books.take_call(id);
        let tombstones = &books.channel(channel).unwrap().tombstones;
        assert!(tombstones.get("s").unwrap().calls().is_empty() && tombstones.is_sound());
    }

    #[test]
    fn nobody_waits_for_a_call_that_was_disowned() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let id = add_call(&mut books, channel, Purpose::Prompt, Stage::sent(at(0), 0));
        assert_eq!(books.disown_call(id), Asker::Client(ALICE, frame().id()));
        assert_eq!(books.disown_call(id), Asker::Nobody);
        assert!(books.client(ALICE).unwrap().calls.is_empty());
        assert_eq!(books.calls_on(channel), [id]);
    }

    #[test]
    fn of_several_answers_the_first_failure_counts_or_else_the_first_success() {
        let success = |n| Frame::parse(format!(r#"{{"id":1,"result":{n}}}"#).into()).unwrap();
        let failure = |n| Frame::parse(format!(r#"{{"id":1,"error":{n}}}"#).into()).unwrap();
        for (answers, counts) in [
            ([success(1), success(2), success(3)], 0),
            ([success(1), failure(2), success(3)], 1),
            ([success(1), failure(2), failure(3)], 1),
            ([failure(1), success(2), failure(3)], 0),
        ] {
            let mut books = books();
            let (channel, pool) = (add_channel(&mut books, AGENT), add_pool(&mut books, AGENT));
            let (asker, parts) = (Asker::Client(ALICE, frame().id()), Ids::default());
            let request = frame();
            let fanout = Fanout { asker, pool, request, told: vec![], parts, answer: None };
            let id = books.add_fanout(fanout);
            let part = add_call(&mut books, channel, Purpose::Part(id), Stage::sent(at(0), 0));
            assert!(books.take_fanout_if_over(id).is_none(), "a part is to come");
            for answer in &answers {
                books.part_answered(id, answer);
            }
            books.take_call(part);
            let answer = books.take_fanout_if_over(id).unwrap().answer.unwrap();
            assert_eq!(answer.bytes(), answers[counts].bytes());
            assert!(books.client(ALICE).unwrap().fanouts.is_empty());
        }
    }
}

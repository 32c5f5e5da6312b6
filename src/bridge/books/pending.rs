//! Requests enter the tables and leave them: calls to agents, questions to clients.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Call, Opening, Purpose, Question};
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{CallId, ChannelId, QuestionId};

impl Books {
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
            }
        }
        if let Some(source) = call.opening().and_then(Opening::restores) {
            self.restoring.entry(source.into()).or_default().insert(id);
        }
        // A close belongs to the tombstone's `hold`, not to what waits in it.
        if !matches!(call.purpose, Purpose::Close(_))
            && let Some(session) = call.session.and_then(|key| self.session_mut(key))
        {
            session.calls.insert(id);
        }
        self.calls.insert(id, call);
        id
    }

    /// Gives a waiting call a channel, or takes it away again.
    pub fn move_call(&mut self, id: CallId, to: Option<ChannelId>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
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
            }
        }
        self.deadlines.forget(Due::Call(id));
    }

    /// Takes a call out of every table. It is over, or about to be answered.
    pub fn take_call(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.swap_remove(&id)?;
        self.deadlines.forget(Due::Call(id));
        self.unplaced.remove(&id);
        if let Some(source) = call.opening().and_then(Opening::restores)
            && let Some(same) = self.restoring.get_mut(source)
        {
            same.remove(&id);
            if same.is_empty() {
                self.restoring.remove(source);
            }
        }
        if let Some(client) = call.client().and_then(|client| self.clients.get_mut(&client)) {
            client.calls.remove(&id);
        }
        if let Some(channel) = call.channel.and_then(|channel| self.channel_mut(channel)) {
            channel.calls.remove(&id);
        }
        let Some(key) = call.session else { return Some(call) };
        if let Some(session) = self.session_mut(key) {
            session.calls.remove(&id);
            session.queue.retain(|queued| *queued != id);
        } else if let Some(channel) = call.channel.and_then(|id| self.channels.get_mut(&id)) {
            // Of a session that is gone, the tombstone keeps what waits.
            for tombstone in channel.tombstones.values_mut().filter(|tomb| tomb.key == key) {
                tombstone.calls.remove(&id);
            }
        }
        Some(call)
    }

    /// The asker is answered or gone; the call goes on for the bridge's sake.
    pub fn disown_call(&mut self, id: CallId) -> Asker {
        let Some(call) = self.calls.get_mut(&id) else { return Asker::Nobody };
        let asker = std::mem::replace(&mut call.asker, Asker::Nobody);
        if let Asker::Client(client, _) = &asker
            && let Some(client) = self.clients.get_mut(client)
        {
            client.calls.remove(&id);
        }
        if let Some(channel) = call.channel {
            self.touched_channels.insert(channel);
        }
        asker
    }

    pub fn add_question(&mut self, question: Question) -> QuestionId {
        let id = QuestionId(self.numbers.questions.next());
        if let Some(channel) = self.channel_mut(question.channel) {
            channel.questions.insert(id);
        }
        if let Some(session) = question.session.and_then(|key| self.session_mut(key)) {
            session.questions.insert(id);
        }
        for client in &question.asked {
            if let Some(client) = self.clients.get_mut(client) {
                client.questions.insert(id);
            }
        }
        self.questions.insert(id, question);
        id
    }

    pub fn take_question(&mut self, id: QuestionId) -> Option<Question> {
        let question = self.questions.remove(&id)?;
        self.deadlines.forget(Due::Question(id));
        if let Some(channel) = self.channel_mut(question.channel) {
            channel.questions.remove(&id);
        }
        if let Some(session) = question.session.and_then(|key| self.session_mut(key)) {
            session.questions.remove(&id);
        }
        for client in &question.asked {
            if let Some(client) = self.clients.get_mut(client) {
                client.questions.remove(&id);
            }
        }
        Some(question)
    }
}

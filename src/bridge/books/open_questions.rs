//! Questions that are open: each is entered and taken in one place, so that every table that
//! it concerns agrees.

use crate::bridge::books::Books;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::question::Question;
use crate::bridge::id::{ChannelId, ClientId, QuestionId, SessionKey};

impl Books {
    /// Makes the ids of questions begin behind `number`.
    pub fn number_questions_after(&mut self, number: u64) {
        self.numbers.questions.skip_to(number);
    }

    /// Enters a question into every table that it concerns.
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
        self.touched.rows.push(Due::Question(id));
        id
    }

    /// Adds a client to those that have a question open; `false`: it has the question already.
    pub fn ask_client(&mut self, id: QuestionId, client: ClientId) -> bool {
        let Some(question) = self.question_mut(id) else {
            self.absent(id);
            return false;
        };
        if question.asked.contains(&client) {
            return false;
        }
        question.asked.push(client);
        question.alone_since = None;
        if let Some(row) = self.clients.get_mut(&client) {
            row.questions.insert(id);
        }
        true
    }

    /// Takes a client out of those that have a question open.
    pub fn unask_client(&mut self, id: QuestionId, client: ClientId) {
        if let Some(row) = self.clients.get_mut(&client) {
            row.questions.remove(&id);
        }
        let Some(question) = self.question_mut(id) else { return self.absent(id) };
        question.asked.retain(|other| *other != client);
    }

    /// The open questions of a channel about a session that is being opened.
    pub fn questions_opening(&self, channel: ChannelId, agent_id: &str) -> Vec<QuestionId> {
        let asked = self.channel(channel).into_iter().flat_map(|row| &row.questions);
        let names_it = |id: &&QuestionId| {
            self.question(**id).is_some_and(|row| row.opening.as_deref() == Some(agent_id))
        };
        asked.filter(names_it).copied().collect()
    }

    /// Makes a question that named a session while that was being opened belong to it.
    pub fn adopt_question(&mut self, id: QuestionId, key: SessionKey) {
        let Some(question) = self.question_mut(id) else { return self.absent(id) };
        question.opening = None;
        let before = question.session.replace(key);
        if let Some(before) = before.and_then(|before| self.session_mut(before)) {
            before.questions.remove(&id);
        }
        if let Some(session) = self.session_mut(key) {
            session.questions.insert(id);
        }
    }

    /// Takes a question out of every table. It is over, or about to be answered.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::id_set::Ids;
    use crate::bridge::books::tests::{AGENT, ALICE, add_channel, add_session, at, books, frame};

    #[test]
    fn a_question_is_in_every_table_that_it_concerns_until_it_is_taken() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let key = add_session(&mut books, channel, "s", "s");
        let mut question = Question::new(channel, &frame(), vec![ALICE], at(0));
        question.session = Some(key);
        let id = books.add_question(question);
        let tables = |books: &Books| {
            let (client, session) = (books.client(ALICE).unwrap(), books.session(key).unwrap());
            let row = books.channel(channel).unwrap();
            [&client.questions, &row.questions, &session.questions].map(Ids::len)
        };
        assert_eq!(tables(&books), [1, 1, 1]);
        assert!(books.session(key).unwrap().is_busy());
        assert!(books.take_question(id).is_some());
        assert_eq!(tables(&books), [0, 0, 0]);
        assert!(books.questions().is_empty());
    }
}

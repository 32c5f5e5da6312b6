//! The messages of a trace, each with its session and its request.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::trace::{Direction, Entry, Line, Note, Sort};

/// A trace that was read.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) messages: Vec<Message>,
    /// The notes about the trace itself, each with the number of messages before it.
    pub(super) notes: Vec<(usize, Note)>,
    /// The requests that have no answer yet, by their place in `messages`.
    open: BTreeMap<Request, usize>,
}

/// A request: by whom it was received, and its id.
type Request = (bool, String, String);

/// A message.
pub(super) struct Message {
    pub(super) line: Line,
    /// The session that it belongs to; `None`: to none.
    pub(super) session: Option<String>,
    /// Of an answer: the method of its request, and the time since then in microseconds.
    pub(super) request: Option<(String, u64)>,
}

impl Trace {
    /// Adds the next line, with the contents of a message if they are to be shown.
    pub(super) fn add(&mut self, entry: Entry, with_contents: bool) {
        match entry {
            Entry::Note(note) => self.notes.push((self.messages.len(), note)),
            Entry::Line(line) if with_contents => self.message(line),
            Entry::Line(line) => self.message(Line { contents: None, ..line }),
        }
    }

    /// Whether a message belongs to a session.
    pub(super) fn has(&self, session: &str) -> bool {
        self.messages.iter().any(|message| message.session.as_deref() == Some(session))
    }

    /// The sessions in the order of their first messages, each with all its messages; `None`: what
    /// belongs to none.
    pub(super) fn sessions(&self) -> IndexMap<Option<&str>, Vec<&Message>> {
        let mut sessions: IndexMap<_, Vec<_>> = IndexMap::new();
        for message in &self.messages {
            sessions.entry(message.session.as_deref()).or_default().push(message);
        }
        sessions
    }

    /// The request that an answer is for. Some agents spell its id in another way.
    fn answered(&mut self, request: &Request) -> Option<usize> {
        if let Some(place) = self.open.remove(request) {
            return Some(place);
        }
        let (by_bridge, peer, id) = request;
        let number = number(id)?;
        let (found, _) = self.open.iter().find(|((by, whom, id), _)| {
            (by, whom) == (by_bridge, peer) && self::number(id) == Some(number)
        })?;
        let found = found.clone();
        self.open.remove(&found)
    }

    fn message(&mut self, line: Line) {
        let place = self.messages.len();
        let mut message = Message { session: line.session.clone(), request: None, line };
        match message.line.sort {
            Sort::Request => {
                if let Some(request) = request(&message.line) {
                    self.open.insert(request, place);
                }
            }
            Sort::Result | Sort::Error => {
                let asked = request(&message.line).and_then(|request| self.answered(&request));
                if let Some(asked) = asked.and_then(|place| self.messages.get_mut(place)) {
                    let took = message.line.at.saturating_sub(asked.line.at);
                    message.request = Some((asked.line.method.clone().unwrap_or_default(), took));
                    // A request that opens a session belongs to it, too.
                    message.session = message.session.or_else(|| asked.session.clone());
                    asked.session = asked.session.take().or_else(|| message.session.clone());
                }
            }
            Sort::Notification | Sort::Stray => {}
        }
        self.messages.push(message);
    }
}

/// The number that an id is, also one in a string or with a fraction of zero.
fn number(id: &str) -> Option<u64> {
    let bare = id.trim_matches('"');
    bare.strip_suffix(".0").unwrap_or(bare).parse().ok()
}

/// The request that a message is, or answers: those to agents and of agents, and those of clients
/// and to clients, are told apart by the one who has asked.
fn request(line: &Line) -> Option<Request> {
    let id = line.id.as_ref()?.get().to_owned();
    let is_answer = matches!(line.sort, Sort::Result | Sort::Error);
    let by_bridge = match line.direction {
        Direction::ToClient | Direction::ToAgent => !is_answer,
        Direction::FromClient | Direction::FromAgent => is_answer,
    };
    Some((by_bridge, line.peer.clone(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_request_and_its_session() {
        let mut trace = Trace::default();
        for text in [
            r#"{"at":1,"direction":"from_client","peer":"cl-1","sort":"request","id":1,"method":"session/new","bytes":9}"#,
            r#"{"at":2,"direction":"to_agent","peer":"ch-1","sort":"request","id":1,"method":"session/new","bytes":9}"#,
            r#"{"at":3,"direction":"from_agent","peer":"ch-1","sort":"request","id":1,"method":"fs/read_text_file","session":"b","bytes":9}"#,
            r#"{"at":5,"direction":"from_agent","peer":"ch-1","sort":"result","id":1,"session":"a","bytes":9}"#,
            r#"{"at":6,"direction":"to_client","peer":"cl-1","sort":"result","id":1,"session":"a","bytes":9}"#,
            r#"{"at":8,"direction":"to_agent","peer":"ch-1","sort":"error","id":"1","code":-1,"bytes":9}"#,
        ] {
            trace.add(Entry::read(text).expect("a line"), false);
        }
        let seen: Vec<_> =
            trace.messages.iter().map(|it| it.session.as_deref().unwrap_or("-")).collect();
        assert_eq!(seen, ["a", "a", "b", "a", "a", "b"]);
        let asked: Vec<_> = trace.messages.iter().filter_map(|it| it.request.clone()).collect();
        let of = |method: &str, took| (method.to_owned(), took);
        assert_eq!(asked, [of("session/new", 3), of("session/new", 5), of("fs/read_text_file", 5)]);
    }
}

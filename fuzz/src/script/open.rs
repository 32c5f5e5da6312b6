//! The requests of a peer that wait for an answer.

use drawbridge::wire::{Frame, FrameKind, Method};

use super::text::nth;

/// A request that waits for an answer.
pub struct Entry {
    /// Its id as it is spelled.
    pub id: String,
    pub method: Method,
    /// The name of the method.
    pub name: String,
    /// The number of its mark.
    pub mark: Option<usize>,
    /// The elicitation that it names.
    pub elicitation: Option<String>,
    /// Whether it was sent behind an `initialize` that had no answer.
    pub is_behind: bool,
}

impl Entry {
    pub fn new(frame: &Frame, mark: Option<usize>) -> Self {
        Entry {
            id: text(frame.id().as_bytes()),
            method: frame.method,
            name: frame.method_name().into_owned(),
            mark,
            elicitation: frame.find_text(&["elicitationId"]).map(|id| id.into_owned()),
            is_behind: false,
        }
    }

    /// A request of which only the id is known.
    pub fn unread(id: &[u8]) -> Self {
        Entry {
            id: text(id),
            method: Method::Other,
            name: String::new(),
            mark: None,
            elicitation: None,
            is_behind: false,
        }
    }
}

/// A line that is no message: it may be answered once, under `null` or an id in it.
struct Line {
    text: String,
    must_be_answered: bool,
}

/// Requests that wait for an answer; the same id may be in use more than once.
#[derive(Default)]
pub struct Open {
    pub entries: Vec<Entry>,
    lines: Vec<Line>,
}

impl Open {
    /// Notes a line that is no message. One that may be an answer needs none.
    pub fn line(&mut self, line: &[u8]) {
        let text = text(line);
        let must_be_answered = text.contains("\"method\"") || !text.contains("\"id\"");
        self.lines.push(Line { text, must_be_answered });
    }

    /// Notes a line that is no message and need not be answered.
    pub fn perhaps(&mut self, line: &[u8]) {
        self.lines.push(Line { text: text(line), must_be_answered: false });
    }

    /// Takes what an answer is for; `None` if that is a line.
    pub fn answered(&mut self, frame: &Frame) -> Option<Entry> {
        let id = text(frame.id().as_bytes());
        let is_failure = frame.kind == FrameKind::Failure;
        // An unreadable line is refused at once, under an id that a request may have, too.
        let kind = frame.find_text(&["data", "kind"]).unwrap_or_default();
        let is_of_line = matches!(&*kind, "not_json" | "not_a_message" | "batch" | "too_long");
        let line = self.lines.iter().position(|line| line.must_be_answered);
        let line = line.or((!self.lines.is_empty()).then_some(0));
        if let (true, Some(at)) = (is_of_line && id == "null", line) {
            self.lines.remove(at);
            return None;
        }
        if let Some(at) = self.entries.iter().position(|open| open.id == id) {
            return Some(self.entries.remove(at));
        }
        let may_be = |line: &Line| id == "null" || line.text.contains(&id);
        let at = self.lines.iter().position(|line| line.must_be_answered && may_be(line));
        let at = at.or_else(|| self.lines.iter().position(may_be));
        let at = at.filter(|_| is_failure);
        self.lines.remove(at.unwrap_or_else(|| panic!("nobody waits for {frame:?}")));
        None
    }

    /// The id of the `which`-th request, modulo their number; `None` if there is none.
    pub fn nth(&self, which: usize) -> Option<&String> {
        nth(&self.entries, which).map(|entry| &entry.id)
    }

    /// Whether the request with this mark waits.
    pub fn has(&self, mark: usize) -> bool {
        self.entries.iter().any(|entry| entry.mark == Some(mark))
    }

    /// Whether the request with this mark waits under an id that only it has. Several may
    /// have had `null`.
    pub fn has_alone(&self, mark: usize) -> bool {
        let marked = self.entries.iter().find(|entry| entry.mark == Some(mark));
        let has_its_id = |id: &str| self.entries.iter().filter(|entry| entry.id == id).count();
        marked.is_some_and(|entry| entry.id != "null" && has_its_id(&entry.id) == 1)
    }

    /// The ids of all requests and the texts of all lines that must be answered yet.
    pub fn unanswered(&self) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.must_be_answered);
        let ids = self.entries.iter().map(|entry| &*entry.id);
        ids.chain(lines.map(|line| &*line.text)).collect()
    }
}

/// Whether a frame is a request. With the id `null`, what can only be a notification is one.
pub fn wants_answer(frame: &Frame) -> bool {
    let name = frame.method_name();
    let is_notification = matches!(
        &*name,
        "session/cancel"
            | "$/cancel_request"
            | "session/update"
            | "elicitation/complete"
            | "nes/accept"
            | "nes/reject"
    ) || name.starts_with("document/");
    let is_null = frame.id().as_bytes() == b"null";
    frame.kind == FrameKind::Request && !(is_null && is_notification)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

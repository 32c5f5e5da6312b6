//! The memory of a shim: what must be said to the editor and to a later daemon when the daemon is
//! lost. It is pure: lines go in, and what follows for them comes out.

use std::collections::BTreeMap;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::bridge::Refusal;
use crate::bridge::lines;
use crate::bridge::refusal::Then;
use crate::link::control::{Kept, MOST_ADOPTED};
use crate::wire::{Frame, FrameKind, Method, OutgoingFrame, Token};

/// The id under which a later daemon gets the editor's `initialize`, which is answered already.
const AGAIN: &[u8] = b"\"drawbridge-connect\"";

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last `initialize` of the editor.
    initialize: Option<Frame>,
    /// Whether it has no answer yet.
    is_introducing: bool,
    /// The open requests of the editor, in their order, each with the session that it names.
    pending: IndexMap<Token, Option<String>>,
    /// The questions that the daemon has put to the editor, by number, and whether each was
    /// withdrawn.
    questions: BTreeMap<u64, bool>,
    /// The sessions of the editor, each with what a later daemon needs of it.
    kept: IndexMap<String, Kept>,
}

/// The fate of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Passes,
    /// It ends here.
    Dropped,
}

impl Memory {
    /// Handles a message of the editor that goes to the daemon.
    pub(super) fn note_of_editor(&mut self, frame: &Frame) -> Fate {
        match frame.kind {
            FrameKind::Request => {
                if frame.method == Method::Initialize {
                    self.introduces(frame);
                    return Fate::Passes;
                }
                let session = frame.session().map(|id| id.into_owned());
                self.pending.insert(frame.id(), session);
                Fate::Passes
            }
            FrameKind::Notification => Fate::Passes,
            // An answer to a question of a lost daemon must not meet a new one.
            FrameKind::Success | FrameKind::Failure => {
                let number = frame.id().as_number();
                match number.and_then(|number| self.questions.remove(&number)) {
                    Some(_) => Fate::Passes,
                    None => Fate::Dropped,
                }
            }
        }
    }

    /// Handles a message of the daemon that goes to the editor.
    pub(super) fn note_of_daemon(&mut self, frame: &Frame) -> Fate {
        match frame.kind {
            FrameKind::Request => {
                if let Some(number) = frame.id().as_number() {
                    self.questions.insert(number, false);
                }
            }
            FrameKind::Notification => {
                let withdrawn = frame.request().map(|(token, _)| token);
                let number = withdrawn.filter(|_| frame.method == Method::CancelRequest);
                let number = number.and_then(|token| token.as_number());
                if let Some(is_withdrawn) = number.and_then(|id| self.questions.get_mut(&id)) {
                    *is_withdrawn = true;
                }
            }
            FrameKind::Success | FrameKind::Failure => {
                if frame.id().as_bytes() == AGAIN {
                    return Fate::Dropped;
                }
                let answers_initialize =
                    self.initialize.as_ref().map(Frame::id) == Some(frame.id());
                if self.is_introducing && answers_initialize {
                    // A daemon that ends leaves the answer to the next one.
                    let kind = frame.find_text(&["data", "kind"]);
                    self.is_introducing = kind.as_deref() == Some(Refusal::ShuttingDown.kind());
                    return if self.is_introducing { Fate::Dropped } else { Fate::Passes };
                }
                self.pending.shift_remove(&frame.id());
            }
        }
        Fate::Passes
    }

    fn introduces(&mut self, initialize: &Frame) {
        self.initialize = Some(initialize.detached());
        self.is_introducing = true;
    }

    /// Whether the editor waits for the answer to its `initialize`.
    pub(super) fn is_introducing(&self) -> bool {
        self.is_introducing
    }

    /// The answer to an `initialize` that no daemon can answer now. A later daemon gets it all the
    /// same.
    pub(super) fn refuse_introduction(&mut self) -> Option<OutgoingFrame> {
        let is_waiting = std::mem::take(&mut self.is_introducing);
        let initialize = self.initialize.as_ref().filter(|_| is_waiting)?;
        Some(lines::failure(
            &initialize.id(),
            &Refusal::DaemonLost { session: None, then: Then::New },
        ))
    }

    /// Keeps a session.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.kept.insert(kept.session.clone(), kept);
    }

    /// Forgets a session.
    pub(super) fn forget(&mut self, session: &str) {
        self.kept.shift_remove(session);
    }

    /// Whether no request and no question is open.
    pub(super) fn is_quiet(&self) -> bool {
        let no_question = self.questions.values().all(|is_withdrawn| *is_withdrawn);
        self.pending.is_empty() && !self.is_introducing && no_question
    }

    /// Handles the loss of the daemon: the open questions are withdrawn, and the open requests
    /// answered, but for `initialize`, which a later daemon answers. Returns the messages for the
    /// editor.
    pub(super) fn lost(&mut self) -> Vec<OutgoingFrame> {
        let questions = std::mem::take(&mut self.questions).into_iter();
        let open = questions.filter(|(_, is_withdrawn)| !is_withdrawn);
        let withdrawn = open.map(|(number, _)| lines::cancel_request(number));
        let kept = &self.kept;
        let pending = std::mem::take(&mut self.pending).into_iter();
        let answered = pending
            .map(|(token, session)| lines::failure(&token, &refusal(kept, session.as_deref())));
        withdrawn.chain(answered).collect()
    }

    /// The answer to a message of the editor while there is no daemon; `None`: it gets none.
    pub(super) fn refused(&mut self, frame: &Frame) -> Option<OutgoingFrame> {
        let is_request = frame.kind == FrameKind::Request;
        if is_request && frame.method == Method::Initialize {
            // The next daemon answers it, or the next attempt that fails.
            self.introduces(frame);
            return None;
        }
        let session = frame.session();
        let refusal = refusal(&self.kept, session.as_deref());
        is_request.then(|| lines::failure(&frame.id(), &refusal))
    }

    /// The texts that a later daemon needs for the sessions: for the last ones, if they are too many.
    pub(super) fn blobs(&self) -> Vec<String> {
        let too_many = self.kept.len().saturating_sub(MOST_ADOPTED);
        self.kept.values().skip(too_many).map(|kept| kept.blob.clone()).collect()
    }

    /// The first message for a later daemon: the editor's `initialize`. If it is answered
    /// already, it goes under another id, and its answer is dropped.
    pub(super) fn introduction(&self) -> Option<Bytes> {
        let initialize = self.initialize.as_ref()?;
        Some(match self.is_introducing {
            true => initialize.bytes().clone(),
            false => initialize.with_id(Token::new(AGAIN)).to_bytes(),
        })
    }
}

/// Why a request has no answer: the daemon is lost, and with it this session, if the request
/// names one of the editor's.
fn refusal(kept: &IndexMap<String, Kept>, session: Option<&str>) -> Refusal {
    let kept = session.and_then(|id| kept.get(id));
    let is_restorable = kept.is_some_and(|kept| kept.restorable);
    let then = if is_restorable { Then::Kept } else { Then::Lost };
    Refusal::DaemonLost { session: kept.map(|kept| kept.session.clone()), then }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(line: &str) -> Frame {
        Frame::parse(line.to_owned().into()).unwrap()
    }

    fn says(memory: &mut Memory, line: &str) -> Fate {
        memory.note_of_editor(&frame(line))
    }

    fn gets(memory: &mut Memory, line: &str) -> Fate {
        memory.note_of_daemon(&frame(line))
    }

    fn texts(lines: &[OutgoingFrame]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8(line.to_bytes().to_vec()).unwrap()).collect()
    }

    /// An editor with the session `s`, whose `initialize` is answered.
    fn introduced() -> Memory {
        let mut memory = Memory::default();
        says(&mut memory, r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#);
        gets(&mut memory, r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
        memory.keep(Kept { session: "s".to_owned(), blob: "b".to_owned(), restorable: false });
        memory
    }

    #[test]
    fn what_is_open_at_a_loss_is_answered_once() {
        let mut memory = introduced();
        for line in [
            r#"{"id":1,"method":"session/prompt","params":{"sessionId":"s"}}"#,
            r#"{"id":"2","method":"session/new","params":{}}"#,
            r#"{"id":3,"method":"session/load","params":{"sessionId":"t"}}"#,
        ] {
            assert_eq!(says(&mut memory, line), Fate::Passes);
        }
        assert_eq!(gets(&mut memory, r#"{"id":3,"result":null}"#), Fate::Passes);
        assert!(!memory.is_quiet());
        let lines = texts(&memory.lost());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(r#""id":1,"#) && lines[0].contains("-32002"), "{lines:?}");
        assert!(lines[1].contains(r#""id":"2","#) && lines[1].contains("-32603"), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("daemon_lost") && line.contains("details")));
        assert!(memory.is_quiet() && memory.lost().is_empty());
        assert_eq!(memory.blobs(), ["b"]);
    }

    #[test]
    fn an_answer_reaches_only_the_daemon_that_asked() {
        let mut memory = introduced();
        gets(&mut memory, r#"{"id":7,"method":"session/request_permission","params":{}}"#);
        gets(&mut memory, r#"{"id":8,"method":"fs/read_text_file","params":{}}"#);
        gets(&mut memory, r#"{"id":9,"method":"fs/read_text_file","params":{}}"#);
        let withdrawn = r#"{"method":"$/cancel_request","params":{"requestId":9}}"#;
        gets(&mut memory, withdrawn);
        assert_eq!(says(&mut memory, r#"{"id":8.0,"result":{}}"#), Fate::Passes);
        let lines = texts(&memory.lost());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("$/cancel_request") && lines[0].contains(r#""requestId":7"#));
        for late in [7, 8, 9] {
            let line = format!(r#"{{"id":{late},"result":{{}}}}"#);
            assert_eq!(says(&mut memory, &line), Fate::Dropped, "{line}");
        }
    }

    #[test]
    fn a_later_daemon_gets_initialize_and_the_editor_one_answer() {
        let mut memory = Memory::default();
        let line = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"a":1.0}}"#;
        says(&mut memory, line);
        assert!(memory.lost().is_empty(), "it is answered by the later daemon");
        assert_eq!(memory.introduction().unwrap(), line);
        assert_eq!(gets(&mut memory, r#"{"id":0,"result":{}}"#), Fate::Passes);
        let again = memory.introduction().unwrap();
        assert_eq!(
            again,
            r#"{"jsonrpc":"2.0","id":"drawbridge-connect","method":"initialize","params":{"a":1.0}}"#
        );
        let answer = r#"{"id":"drawbridge-connect","result":{}}"#;
        assert_eq!(gets(&mut memory, answer), Fate::Dropped);
    }

    #[test]
    fn an_initialize_is_never_forgotten_and_answered_once() {
        let mut memory = Memory::default();
        let line = r#"{"id":0,"method":"initialize","params":{}}"#;
        assert!(memory.refused(&frame(line)).is_none());
        assert!(memory.is_introducing() && !memory.is_quiet());
        // A daemon that ends does not answer it.
        let ends =
            r#"{"id":0,"error":{"code":-32800,"message":"","data":{"kind":"shutting_down"}}}"#;
        assert_eq!(gets(&mut memory, ends), Fate::Dropped);
        assert_eq!(memory.introduction().unwrap(), line);
        assert!(memory.refuse_introduction().is_some() && memory.refuse_introduction().is_none());
        assert!(memory.introduction().unwrap().starts_with(br#"{"id":"drawbridge-connect""#));
        // Its id may be used again.
        says(&mut memory, r#"{"id":0,"method":"session/prompt","params":{"sessionId":"s"}}"#);
        assert_eq!(memory.lost().len(), 1);
    }

    #[test]
    fn without_a_daemon_requests_are_refused_and_the_rest_is_dropped() {
        let mut memory = introduced();
        let prompt = frame(r#"{"id":1,"method":"session/prompt","params":{"sessionId":"s"}}"#);
        assert!(memory.refused(&prompt).is_some());
        let cancel = frame(r#"{"method":"session/cancel","params":{"sessionId":"s"}}"#);
        assert!(memory.refused(&cancel).is_none());
    }
}

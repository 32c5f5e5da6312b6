//! The table of the turns that run or wait; every thread may read it and end turns.

use std::collections::{BTreeMap, VecDeque};

use crate::message::Request;

/// Why a turn ends before its script does.
#[derive(Clone)]
pub(crate) enum Ending {
    Cancelled,
    Closed,
    /// The prompt with this id was taken back.
    Request(String),
}

/// A turn; it stays in the table until its answer is written.
pub(crate) struct Turn {
    pub(crate) session: String,
    pub(crate) requests: Vec<Request>,
    pub(crate) lines: VecDeque<String>,
    pub(crate) ending: Option<Ending>,
    pub(crate) finishing: bool,
}

/// All turns, by number in the order in which they began.
#[derive(Default)]
pub(crate) struct Turns {
    rows: BTreeMap<u64, Turn>,
    next: u64,
}

impl Turns {
    /// Begins a turn and returns its number.
    pub(crate) fn begin(
        &mut self,
        session: &str,
        request: Request,
        lines: VecDeque<String>,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        let (session, requests) = (session.to_owned(), vec![request]);
        let turn = Turn { session, requests, lines, ending: None, finishing: false };
        self.rows.insert(number, turn);
        number
    }

    /// The turn with this number.
    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Turn> {
        self.rows.get_mut(&number)
    }

    /// A turn of the session that still takes lines.
    pub(crate) fn open(&mut self, session: &str) -> Option<&mut Turn> {
        self.rows.values_mut().find(|turn| turn.session == session && !turn.finishing)
    }

    /// Forgets a turn that is answered.
    pub(crate) fn remove(&mut self, number: u64) {
        self.rows.remove(&number);
    }

    /// Ends every turn of a session, running or queued.
    pub(crate) fn end_session(&mut self, session: &str, ending: &Ending) {
        for turn in self.rows.values_mut().filter(|turn| turn.session == session) {
            turn.ending.get_or_insert_with(|| ending.clone());
        }
    }

    /// Ends the turn that a request began.
    pub(crate) fn end_request(&mut self, id: &str) {
        let wanted = |turn: &&mut Turn| turn.requests.iter().any(|request| request.id == id);
        for turn in self.rows.values_mut().filter(wanted) {
            turn.ending.get_or_insert_with(|| Ending::Request(id.to_owned()));
        }
    }

    /// Whether the turn is to end before its script does; `true` also for a turn that is removed.
    pub(crate) fn is_ending(&self, number: u64) -> bool {
        self.rows.get(&number).is_none_or(|turn| turn.ending.is_some())
    }

    /// Whether a turn of the session is not answered yet.
    pub(crate) fn is_busy(&self, session: &str) -> bool {
        self.rows.values().any(|turn| turn.session == session)
    }

    /// Whether no turn of the session is older than this one.
    pub(crate) fn is_first(&self, number: u64, session: &str) -> bool {
        !self.rows.range(..number).any(|(_, turn)| turn.session == session)
    }
}

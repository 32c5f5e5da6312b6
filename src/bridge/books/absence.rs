//! The absence of clients from a session.

use crate::bridge::id::ClientId;
use crate::bridge::time::Moment;

/// The absence of all clients from a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// When the last client went.
    pub since: Moment,
    /// How it went.
    pub departure: Departure,
    /// When the turn that nobody watched was cancelled; `None`: it was not.
    pub cancelled_at: Option<Moment>,
}

/// How the last client of a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It left on purpose: the session is closed when no call is open in it.
    Left,
    /// Its connection is over, and it may come back. Also before the first client is attached.
    Lost {
        /// The client.
        client: Option<ClientId>,
        /// The knowledge of its editor.
        editor: Editor,
    },
}

/// The knowledge of the program that the person uses, at the other end of a lost connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// None.
    Unknown,
    /// The runtime was asked to look.
    Asked,
    /// It still lives: the chat was closed on purpose.
    Lives,
    /// It is gone, or cannot be found.
    Gone,
}

impl Absence {
    /// An absence that begins now, because the last client has left.
    pub fn left(now: Moment) -> Absence {
        Absence::of(now, Departure::Left)
    }

    /// An absence that begins now, because this client, the last one, is gone. `None`: there
    /// was none yet.
    pub fn lost(now: Moment, client: Option<ClientId>) -> Absence {
        Absence::of(now, Departure::Lost { client, editor: Editor::Unknown })
    }

    fn of(since: Moment, departure: Departure) -> Absence {
        Absence { since, departure, cancelled_at: None }
    }
}

//! The duties towards a session that no client is attached to: what becomes of a conversation,
//! and of a turn in it, that nobody watches.
//!
//! A client that is gone cannot be told from one that comes back: a quit, a crash and the reload
//! of a page look alike. So its sessions are kept for a while, and its turn goes on; both have
//! limits, since without a bridge the agent would have ended with its client.

use crate::bridge::books::Books;
use crate::bridge::books::absence::{Absence, Departure, Editor};
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::id::ClientId;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::time::Moment;

/// How long after the loss of a client it is looked whether its editor still lives (ms): a
/// quitting editor drops its connections first, and a page that is reloaded is back by then.
pub const EDITOR_GRACE: u64 = 15_000;

/// The next thing to do about a session that nobody is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Look whether the editor of this client lives.
    LookForEditor(ClientId),
    /// Cancel what the agent works on.
    CancelTurn,
    /// Close the session.
    Close,
}

impl Books {
    /// The next thing to do about a session, and when. `None`: a client is attached, or the
    /// limits leave it to the reaper.
    pub fn duty(&self, session: &Session) -> Option<(Moment, Duty)> {
        let Audience::Absent(absence) = &session.audience else { return None };
        if self.is_ending() {
            return None;
        }
        let Absence { since, departure, cancelled_at } = &**absence;
        let (at, duty) = match (departure, cancelled_at) {
            _ if !session.is_busy() => match departure {
                // Its end needs no deadline: it follows from the step in which it became quiet.
                Departure::Left => return None,
                Departure::Lost { .. } => {
                    (since.plus(self.limits.lost_client_timeout), Duty::Close)
                }
            },
            (_, Some(at)) => {
                let limit = self.agent(session.agent).config.session_close_timeout;
                (at.plus(limit), Duty::Close)
            }
            (Departure::Lost { editor: Editor::Lives, .. }, None) => {
                (Some(since.plus_millis(EDITOR_GRACE)), Duty::CancelTurn)
            }
            (departure, None) => self.unwatched(*since, *departure),
        };
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::LostTurnForEver) && duty != Duty::Close {
            return None;
        }
        Some((self.not_in_pause(at?)?, duty))
    }

    /// The duty towards a turn that nobody watches: it is cancelled at its limit, and before
    /// that it is looked whether its chat was closed on purpose.
    fn unwatched(&self, since: Moment, departure: Departure) -> (Option<Moment>, Duty) {
        let limit = since.plus(self.limits.lost_turn_timeout);
        let look = since.plus_millis(EDITOR_GRACE);
        match departure {
            Departure::Lost { client: Some(client), editor: Editor::Unknown }
                if limit.is_some_and(|limit| look < limit) =>
            {
                (Some(look), Duty::LookForEditor(client))
            }
            _ => (limit, Duty::CancelTurn),
        }
    }

    /// Notes whether the editor of a client that is gone still lives.
    pub fn editor_seen(&mut self, client: ClientId, lives: bool) {
        let found = if lives { Editor::Lives } else { Editor::Gone };
        let mut touched = Vec::new();
        for (key, session) in &mut self.sessions {
            if let Audience::Absent(absence) = &mut session.audience
                && let Departure::Lost { client: Some(lost), editor } = &mut absence.departure
                && *lost == client
            {
                *editor = found;
                touched.push(*key);
            }
        }
        self.touched.sessions.extend(touched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::call::Stage;
    use crate::bridge::books::tests::{
        AGENT, ALICE, add_channel, add_prompt, add_session, at, books,
    };
    use crate::bridge::time::Limit;

    /// The duty towards a session that was left at 7 in this way; with a turn or
    /// without.
    fn duty(
        departure: Departure,
        in_turn: bool,
        limits: [Limit; 2],
        cancelled_at: Option<u64>,
    ) -> Option<(u64, Duty)> {
        let mut books = books();
        (books.limits.lost_client_timeout, books.limits.lost_turn_timeout) = (limits[0], limits[1]);
        let channel = add_channel(&mut books, AGENT);
        let key = add_session(&mut books, channel, "s", "s");
        if in_turn {
            add_prompt(&mut books, key, ALICE, Stage::sent(at(0), 0));
        }
        let cancelled_at = cancelled_at.map(at);
        let session = books.session_mut(key).unwrap();
        let absence = Absence { since: at(7), departure, cancelled_at };
        session.audience = Audience::Absent(Box::new(absence));
        let duty = books.duty(books.session(key).unwrap());
        duty.map(|(at, duty)| (at.as_millis(), duty))
    }

    #[test]
    fn a_quiet_session_is_closed_and_a_turn_cancelled_each_at_its_limit() {
        let limits = [Limit::After(100), Limit::After(60_000)];
        let lost = |editor| Departure::Lost { client: Some(ALICE), editor };
        let look = Some((15_007, Duty::LookForEditor(ALICE)));
        for (departure, in_turn, cancelled_at, expected) in [
            (lost(Editor::Unknown), false, None, Some((107, Duty::Close))),
            (lost(Editor::Unknown), true, None, look),
            (lost(Editor::Asked), true, None, Some((60_007, Duty::CancelTurn))),
            (lost(Editor::Gone), true, None, Some((60_007, Duty::CancelTurn))),
            (lost(Editor::Lives), true, None, Some((15_007, Duty::CancelTurn))),
            (lost(Editor::Lives), true, Some(15_010), Some((25_010, Duty::Close))),
            (lost(Editor::Gone), false, Some(60_010), Some((107, Duty::Close))),
            (Departure::Left, false, None, None),
            (Departure::Left, true, None, Some((60_007, Duty::CancelTurn))),
        ] {
            assert_eq!(duty(departure, in_turn, limits, cancelled_at), expected, "{departure:?}");
        }
    }

    #[test]
    fn without_limits_nothing_is_done() {
        let lost = Departure::Lost { client: Some(ALICE), editor: Editor::Unknown };
        for in_turn in [false, true] {
            assert_eq!(duty(lost, in_turn, [Limit::Never; 2], None), None);
        }
        // A turn that is to be cancelled when it would be looked for the editor is not looked for.
        let at_once = [Limit::Never, Limit::After(EDITOR_GRACE)];
        assert_eq!(duty(lost, true, at_once, None), Some((15_007, Duty::CancelTurn)));
        let soon = [Limit::After(0), Limit::After(0)];
        assert_eq!(duty(lost, false, soon, None), Some((7, Duty::Close)));
        assert_eq!(duty(lost, true, soon, None), Some((7, Duty::CancelTurn)));
    }
}

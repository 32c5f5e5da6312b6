//! The wear of channels: when one is replaced for its age or for the sessions that it has served,
//! and when the sessions of one that takes no new ones may move on.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::books::session::{Background, Session};
use crate::bridge::id::ChannelId;
use crate::bridge::reason::StopReason;
use crate::bridge::time::{Limit, Moment};

/// How long after background work was found in a session it is looked for again (ms).
const LOOK_AGAIN: u64 = 60_000;

impl Books {
    /// Whether a channel may be replaced at some age.
    pub fn wears_out(&self, row: &Channel) -> bool {
        self.agent(row.agent).config.channel_max_age != Limit::Never
    }

    /// When a channel reaches the age at which it is replaced; `None`: never, or it is to be replaced
    /// already.
    pub fn worn_out_at(&self, id: ChannelId, row: &Channel) -> Option<Moment> {
        // The books do not know the sessions of a passthrough channel.
        let max_age = self.agent(row.agent).config.channel_max_age;
        let may_be = !self.is_passthrough(id) && !row.is_outdated();
        may_be.then(|| row.clock.born.plus(max_age)).flatten()
    }

    /// Whether a channel is to be replaced, for its age or its sessions.
    pub fn is_worn_out(&self, id: ChannelId, row: &Channel, now: Moment) -> bool {
        let most = self.agent(row.agent).config.channel_max_sessions;
        let has_served_enough = most > 0 && row.opened >= most && !row.is_outdated();
        has_served_enough || self.worn_out_at(id, row).is_some_and(|at| at <= now)
    }

    /// When a session moves on from a channel that takes no new ones: it is parked, and the next
    /// request brings it back elsewhere. `None`: it stays. From a worn-out channel it moves as soon
    /// as it is quiet; from another one after a while, if all that are left there can.
    pub fn moves_on_at(&self, session: &Session) -> Option<Moment> {
        let row = self.channel(session.channel)?;
        let may_move = |session: &Session| !session.is_busy() && self.is_safe_to_end(session);
        if self.is_ending() || !may_move(session) {
            return None;
        }
        // While its processes are looked at, nothing is due; after that not soon again.
        let looked_at = match session.background {
            Background::Asked { .. } => return None,
            Background::Working { at } => Some(at.plus_millis(LOOK_AGAIN)),
            Background::Unknown => None,
        };
        if row.outdated == Some(StopReason::WornOut) {
            return looked_at.or(Some(session.last_seen));
        }
        let ChannelState::Draining { since, .. } = &row.state else { return None };
        let at = since.plus(self.agent(row.agent).config.drain_timeout)?;
        let mut all = row.sessions.iter().filter_map(|key| self.session(*key));
        all.all(may_move).then(|| looked_at.map_or(at, |again| again.max(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::tests::{AGENT, add_channel, add_session, at, books};
    use crate::bridge::recipe::Recipe;

    #[test]
    fn a_channel_is_worn_out_at_its_age_or_by_its_sessions() {
        let mut books = books();
        let id = add_channel(&mut books, AGENT);
        let is_worn_out =
            |books: &Books, now| books.is_worn_out(id, books.channel(id).unwrap(), at(now));
        assert!(!is_worn_out(&books, u64::MAX));
        books.agent_mut(AGENT).config.channel_max_sessions = 2;
        assert!(!is_worn_out(&books, 0));
        books.channel_mut(id).unwrap().opened = 2;
        assert!(is_worn_out(&books, 0));
        books.agent_mut(AGENT).config.channel_max_sessions = 0;
        books.agent_mut(AGENT).config.channel_max_age = Limit::After(100);
        assert!(!is_worn_out(&books, 99) && is_worn_out(&books, 100));
    }

    #[test]
    fn sessions_move_on_at_once_or_when_all_that_are_left_can() {
        let mut books = books();
        let id = add_channel(&mut books, AGENT);
        let keys = ["a", "b"].map(|name| add_session(&mut books, id, name, name));
        let moves = |books: &Books| {
            keys.map(|key| books.moves_on_at(books.session(key).unwrap()).map(Moment::as_millis))
        };
        for key in keys {
            books.session_mut(key).unwrap().recipe =
                Some(Box::new(Recipe::new("{}".into(), false)));
        }
        assert_eq!(moves(&books), [None, None]);
        books.channel_mut(id).unwrap().outdated = Some(StopReason::WornOut);
        assert_eq!(moves(&books), [Some(0), Some(0)]);
        books.session_mut(keys[0]).unwrap().recipe.as_mut().unwrap().has_record = true;
        assert_eq!(moves(&books), [None, Some(0)], "nothing is known of its agent");
        books.channel_mut(id).unwrap().outdated = None;
        books.set_state(id, ChannelState::Draining { reason: StopReason::Husks, since: at(7) });
        assert_eq!(moves(&books), [None, None]);
        books.session_mut(keys[0]).unwrap().recipe.as_mut().unwrap().has_record = false;
        assert_eq!(moves(&books), [Some(600_007); 2]);
    }
}

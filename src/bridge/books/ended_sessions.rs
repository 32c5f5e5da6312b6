//! Sessions that ended while a client was attached, so that the client can be told why.

use crate::bridge::books::table::Table;
use crate::bridge::id::ChannelId;
use crate::bridge::reason::LossReason;

/// The most ended sessions that are remembered for a client.
const MAX_ENDED: usize = 256;

/// The last sessions that ended for a client, each with its channel, if this bridge had it, and
/// the reason, in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    sessions: Table<Box<str>, (Option<ChannelId>, LossReason)>,
}

impl Ended {
    /// Remembers a session; the oldest is forgotten if there are too many.
    pub fn remember(&mut self, id: &str, channel: Option<ChannelId>, reason: LossReason) {
        self.sessions.insert(id.into(), (channel, reason));
        if self.sessions.len() > MAX_ENDED {
            self.sessions.shift_remove_index(0);
        }
    }

    /// Forgets a session, because it was opened again.
    pub fn forget(&mut self, id: &str) {
        self.sessions.shift_remove(id);
    }

    /// The reason why a session ended, if it is remembered.
    pub fn reason(&self, id: &str) -> Option<LossReason> {
        self.sessions.get(id).map(|(_, reason)| *reason)
    }

    /// The last channel of a session that ended, if it is remembered.
    pub fn channel(&self, id: &str) -> Option<ChannelId> {
        self.sessions.get(id).and_then(|(channel, _)| *channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::reason::EndReason;

    const CHANNEL: Option<ChannelId> = Some(ChannelId(1));
    const KILLED: LossReason = LossReason::Ended(EndReason::Killed);
    const EVICTED: LossReason = LossReason::Ended(EndReason::Evicted);

    /// `count` sessions that ended one after the other.
    fn ended(count: usize) -> Ended {
        let mut ended = Ended::default();
        for number in 0..count {
            ended.remember(&format!("s{number}"), CHANNEL, KILLED);
        }
        ended
    }

    #[test]
    fn why_a_session_ended_is_known_of_that_one_alone() {
        let mut ended = ended(1);
        ended.remember("a", CHANNEL, EVICTED);
        assert_eq!(ended.reason("a"), Some(EVICTED));
        assert_eq!(ended.reason("s0"), Some(KILLED));
        assert_eq!(ended.reason("b"), None);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ended = ended(MAX_ENDED);
        assert_eq!(ended.reason("s0"), Some(KILLED));
        ended.remember("a", CHANNEL, EVICTED);
        assert_eq!(ended.reason("s0"), None);
        assert_eq!(ended.reason("s1"), Some(KILLED));
        assert_eq!(ended.reason("a"), Some(EVICTED));
        assert_eq!(ended.sessions.len(), MAX_ENDED);
    }

    #[test]
    fn one_that_is_open_again_is_forgotten_and_makes_room() {
        let mut ended = ended(MAX_ENDED);
        ended.forget("s9");
        ended.forget("unknown");
        assert_eq!(ended.reason("s9"), None);
        ended.remember("a", CHANNEL, EVICTED);
        assert_eq!(ended.reason("s0"), Some(KILLED));
        ended.remember("b", CHANNEL, EVICTED);
        assert_eq!(ended.reason("s0"), None);
    }

    #[test]
    fn one_that_ended_again_after_it_was_opened_is_the_newest() {
        let mut ended = ended(MAX_ENDED);
        ended.forget("s0");
        ended.remember("s0", CHANNEL, EVICTED);
        ended.remember("a", CHANNEL, EVICTED);
        assert_eq!(ended.reason("s0"), Some(EVICTED));
        assert_eq!(ended.reason("s1"), None);
    }

    #[test]
    fn of_several_reasons_the_latest_counts_and_takes_one_place() {
        let mut ended = ended(MAX_ENDED);
        ended.remember("s7", CHANNEL, EVICTED);
        assert_eq!(ended.reason("s7"), Some(EVICTED));
        assert_eq!(ended.reason("s0"), Some(KILLED), "nothing had to give way");
        ended.forget("s7");
        assert_eq!(ended.reason("s7"), None);
    }
}

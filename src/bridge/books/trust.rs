//! The trust in an agent to bring a session back in another process, for each of its versions.
//!
//! An agent that offers to restore sessions may lose the stored record all the same. So a session
//! is ended by choice only if a restore of the same version has succeeded before.

use std::collections::BTreeMap;

use crate::bridge::books::channel::Capabilities;
use crate::bridge::config::Restore;
use crate::bridge::restore::{Experience, Known, Record, Replay, Way};

/// The trust in one agent.
#[derive(Clone, Debug, Default)]
pub struct Trust(BTreeMap<Box<str>, Seen>);

/// The trust in one version.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    record: Record,
    /// The way that was refused last.
    refused: Option<Way>,
}

impl Trust {
    /// The experience with a version.
    pub fn record(&self, version: &str) -> Record {
        self.seen(version).record
    }

    fn seen(&self, version: &str) -> Seen {
        self.0.get(version).copied().unwrap_or_default()
    }

    /// Notes what the memory of all bridges says of a version. What was seen here stays, unless a
    /// person has found out something else by a check.
    pub fn recall(&mut self, version: &str, known: Known) {
        let record = &mut self.0.entry(version.into()).or_default().record;
        record.add(known.learned);
        record.correct(known.checked);
    }

    /// Notes an experience; says whether it is new.
    pub fn note(&mut self, version: &str, way: Way, experience: Experience) -> bool {
        let seen = self.0.entry(version.into()).or_default();
        if experience == Experience::Refused {
            seen.refused = Some(way);
        }
        seen.record.note(way, experience)
    }

    /// Notes when a version replays the history in a load; says whether that is new.
    pub fn note_replay(&mut self, version: &str, replay: Replay) -> bool {
        self.0.entry(version.into()).or_default().record.note_replay(replay)
    }

    /// The way in which sessions of this version are brought back, if its agent offers these
    /// capabilities: one that has succeeded, or one that was not tried yet, or at last one that was
    /// refused. A session whose process is gone has nothing to lose, and an agent that refused one
    /// may restore another. `None`: they are not brought back.
    pub fn way(&self, version: &str, offered: Capabilities, restore: Restore) -> Option<Way> {
        let Seen { record, refused } = self.seen(version);
        let is_offered = |way: &Way| match way {
            Way::Resume => offered.resume,
            Way::Load => offered.load,
        };
        let is_meant = |way: &Way| match restore {
            Restore::Auto => true,
            Restore::Resume => *way == Way::Resume,
            Restore::Load => *way == Way::Load,
            Restore::None => false,
        };
        let ways = Way::ALL.into_iter().filter(is_offered).filter(is_meant);
        ways.min_by_key(|way| match record.with(*way) {
            Experience::Succeeded => 0,
            Experience::None => 1,
            // Each in turn.
            Experience::Refused if refused != Some(*way) => 2,
            Experience::Refused => 3,
        })
    }

    /// Whether sessions of this version may be ended by choice, because it is known that they can
    /// be brought back in this way. A person who names the way vouches for it.
    pub fn is_proven(&self, version: &str, way: Way, restore: Restore) -> bool {
        restore != Restore::Auto || self.record(version).with(way) == Experience::Succeeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Capabilities = Capabilities {
        load: true,
        resume: true,
        fork: false,
        list: false,
        close: true,
        delete: false,
        status: false,
    };
    const LOAD: Capabilities = Capabilities { resume: false, ..BOTH };
    const NEITHER: Capabilities = Capabilities { load: false, ..LOAD };

    fn learned(record: Record) -> Known {
        Known { learned: record, ..Known::default() }
    }

    fn trust(resume: Experience, load: Experience) -> Trust {
        let mut trust = Trust::default();
        trust.recall("1", learned(Record { resume, load, ..Record::default() }));
        trust
    }

    #[test]
    fn the_way_is_rather_one_that_succeeded_and_at_last_one_that_was_refused() {
        use Experience::{None as Nothing, Refused, Succeeded};
        for (resume, load, offered, expected) in [
            (Nothing, Nothing, BOTH, Some(Way::Resume)),
            (Nothing, Succeeded, BOTH, Some(Way::Load)),
            (Succeeded, Succeeded, BOTH, Some(Way::Resume)),
            (Refused, Nothing, BOTH, Some(Way::Load)),
            (Refused, Refused, BOTH, Some(Way::Resume)),
            (Succeeded, Nothing, LOAD, Some(Way::Load)),
            (Nothing, Refused, LOAD, Some(Way::Load)),
            (Succeeded, Succeeded, NEITHER, None),
        ] {
            let way = trust(resume, load).way("1", offered, Restore::Auto);
            assert_eq!(way, expected, "{resume:?} {load:?} {offered:?}");
        }
    }

    #[test]
    fn of_two_ways_that_were_refused_each_is_tried_in_turn() {
        let mut trust = trust(Experience::Refused, Experience::Refused);
        for expected in [Way::Resume, Way::Load, Way::Resume] {
            assert_eq!(trust.way("1", BOTH, Restore::Auto), Some(expected));
            trust.note("1", expected, Experience::Refused);
        }
    }

    #[test]
    fn a_person_may_name_the_way() {
        let trust = trust(Experience::Refused, Experience::None);
        assert_eq!(trust.way("1", BOTH, Restore::Resume), Some(Way::Resume));
        assert_eq!(trust.way("1", BOTH, Restore::Load), Some(Way::Load));
        assert_eq!(trust.way("1", LOAD, Restore::Resume), None);
        assert_eq!(trust.way("1", BOTH, Restore::None), None);
        assert!(trust.is_proven("1", Way::Load, Restore::Load));
        assert!(!trust.is_proven("1", Way::Load, Restore::Auto));
    }

    #[test]
    fn what_is_known_of_one_version_says_nothing_of_another_and_a_refusal_stays() {
        let mut trust = Trust::default();
        assert!(trust.note("1", Way::Load, Experience::Succeeded));
        assert!(!trust.note("1", Way::Load, Experience::Succeeded));
        trust.recall("1", Known::default());
        assert!(trust.is_proven("1", Way::Load, Restore::Auto));
        assert!(!trust.is_proven("2", Way::Load, Restore::Auto));
        assert!(trust.note("1", Way::Load, Experience::Refused));
        assert!(!trust.note("1", Way::Load, Experience::Succeeded));
        assert_eq!(trust.way("1", LOAD, Restore::Auto), Some(Way::Load));
        assert!(!trust.is_proven("1", Way::Load, Restore::Auto));
        // The memory may not have it, where it could not be written; a check puts it right.
        let succeeded = Record::only(Way::Load, Experience::Succeeded);
        trust.recall("1", learned(succeeded));
        assert!(!trust.is_proven("1", Way::Load, Restore::Auto));
        trust.recall("1", Known { learned: succeeded, checked: succeeded });
        assert!(trust.is_proven("1", Way::Load, Restore::Auto));
    }
}

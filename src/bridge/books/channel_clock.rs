//! The clock of a channel: since when the channel is idle, since when its agent is
//! waited for, when the agent last gave a sign of life, and how much time it has lost,
//! because it waited for a client or was not read.

use crate::bridge::time::Moment;

/// A tree whose time on the processor is at most the interval divided by this has done
/// no work: the timers of a language runtime tick even in an idle process.
const WORK_PART: u64 = 1_000;

/// The findings of surveys about an agent that is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Silence {
    /// Nothing: there is no result of a survey.
    #[default]
    Unknown,
    /// A survey runs; with the result of the one before, if that still counts.
    Asked(Option<Survey>),
    /// The last survey had this result.
    Seen(Survey),
}

/// The result of one survey of a silent agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Survey {
    at: Moment,
    /// The time that the tree has spent on the processor until `at` (ms); `None`: it
    /// could not be seen.
    worked: Option<u64>,
    /// Strikes in a row until `at`.
    strikes: usize,
}

/// The times of one channel.
#[derive(Clone, Debug)]
pub struct ChannelClock {
    /// When the row was made.
    pub born: Moment,
    heard_at: Moment,
    idle_since: Option<Moment>,
    waited_for_since: Option<Moment>,
    silence: Silence,
    /// The time that the agent has lost, without the time since `standing_since` (ms).
    lost: u64,
    /// Since when the agent cannot work.
    standing_since: Option<Moment>,
}

impl ChannelClock {
    /// The clock of a channel whose row is made now.
    pub fn new(now: Moment) -> Self {
        ChannelClock {
            born: now,
            heard_at: now,
            idle_since: None,
            waited_for_since: None,
            silence: Silence::Unknown,
            lost: 0,
            standing_since: None,
        }
    }

    /// Notes at the end of a step whether the clock stands, because the agent cannot work;
    /// says whether it runs again since this step.
    pub fn set_standing(&mut self, stands: bool, now: Moment) -> bool {
        match (self.standing_since, stands) {
            (None, true) => self.standing_since = Some(now),
            (Some(since), false) => {
                self.lost = self.lost.saturating_add(now.since(since));
                self.standing_since = None;
                return true;
            }
            _ => {}
        }
        false
    }

    /// Whether the clock stands.
    pub fn stands(&self) -> bool {
        self.standing_since.is_some()
    }

    /// The time that the agent has lost in all until now (ms).
    pub fn lost(&self, now: Moment) -> u64 {
        self.lost.saturating_add(self.standing_since.map_or(0, |since| now.since(since)))
    }

    /// The time that the agent has lost in all (ms); `None`: the clock stands.
    pub fn lost_if_running(&self) -> Option<u64> {
        self.standing_since.is_none().then_some(self.lost)
    }

    /// Gives a time back in which the bridge did not run (ms).
    pub fn give_back(&mut self, millis: u64, now: Moment) {
        if self.standing_since.is_none() {
            self.lost = self.lost.saturating_add(millis);
        }
        self.forget_silence();
        self.waited_for_since = self.waited_for_since.map(|_| now);
    }

    /// Notes that the agent wrote a line.
    pub fn heard(&mut self, now: Moment) {
        self.heard_at = now;
    }

    /// Notes at the end of a step whether the channel is idle.
    pub fn set_idle(&mut self, is_idle: bool, now: Moment) {
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
    }

    /// Since when the channel is idle; `None`: it has work.
    pub fn idle_since(&self) -> Option<Moment> {
        self.idle_since
    }

    /// Notes at the end of a step whether the agent is waited for: it has a request to
    /// answer, and no question open.
    pub fn set_waited_for(&mut self, is_waited_for: bool, now: Moment) {
        self.waited_for_since = is_waited_for.then(|| self.waited_for_since.unwrap_or(now));
    }

    /// How long the agent has written nothing (ms).
    pub fn silent_for(&self, now: Moment) -> u64 {
        now.since(self.heard_at)
    }

    /// When the current interval of silence began: since then the agent is waited for, has
    /// written no line, and was not surveyed. `None`: it is not waited for, or a survey
    /// runs.
    pub fn silent_since(&self) -> Option<Moment> {
        let since = self.heard_at.max(self.waited_for_since?);
        match self.silence {
            Silence::Asked(_) => None,
            Silence::Seen(look) => Some(since.max(look.at)),
            Silence::Unknown => Some(since),
        }
    }

    /// Notes that the runtime is asked for a survey.
    pub fn survey_asked(&mut self) {
        // A survey before the agent was waited for, or before its last line, says nothing.
        let since = self.waited_for_since.map_or(self.heard_at, |since| since.max(self.heard_at));
        let before = match self.silence {
            Silence::Seen(look) if look.at > since => Some(look),
            _ => None,
        };
        self.silence = Silence::Asked(before);
    }

    /// Notes the result of a survey: `worked` is the time that the tree has spent on the
    /// processor in all (ms). Returns the number of strikes in a row if this survey adds
    /// one; `None` if it adds none, or if no survey was asked for.
    pub fn surveyed(&mut self, worked: Option<u64>, now: Moment) -> Option<usize> {
        let Silence::Asked(before) = self.silence else { return None };
        let before = before.filter(|look| look.at > self.heard_at);
        let so_far = before.map_or(0, |look| look.strikes);
        let strikes = match (before, worked) {
            (Some(Survey { at, worked: Some(then), .. }), Some(worked)) => {
                // Less processor time than at the last survey: a process of the tree has
                // ended, which is a sign of life.
                let idle =
                    worked.checked_sub(then).filter(|work| *work <= now.since(at) / WORK_PART);
                idle.map_or(0, |_| so_far + 1)
            }
            // Without two times to compare there is no new strike, and none is forgotten.
            _ => so_far,
        };
        self.silence = Silence::Seen(Survey { at: now, worked, strikes });
        (strikes > so_far).then_some(strikes)
    }

    /// Forgets all results of surveys, because the host stood still and no agent could
    /// give a sign of life.
    pub fn forget_silence(&mut self) {
        self.silence = match self.silence {
            Silence::Asked(_) => Silence::Asked(None),
            Silence::Seen(_) | Silence::Unknown => Silence::Unknown,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_loses_is_the_time_in_which_its_clock_stands() {
        let mut clock = ChannelClock::new(at(0));
        assert_eq!((clock.lost(at(50)), clock.lost_if_running()), (0, Some(0)));
        assert!(!clock.set_standing(false, at(50)));
        assert!(!clock.set_standing(true, at(100)));
        assert!(!clock.set_standing(true, at(110)));
        assert!(clock.stands());
        assert_eq!((clock.lost(at(130)), clock.lost_if_running()), (30, None));
        assert!(clock.set_standing(false, at(140)));
        assert_eq!((clock.lost(at(999)), clock.lost_if_running()), (40, Some(40)));
        clock.give_back(5, at(999));
        assert_eq!(clock.lost(at(999)), 45);
        clock.set_standing(true, at(1_000));
        clock.give_back(500, at(1_600));
        assert_eq!(clock.lost(at(1_600)), 645, "no time is lost twice");
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// The clock of a channel whose agent is waited for from the start.
    fn waited_for() -> ChannelClock {
        let mut clock = ChannelClock::new(at(0));
        clock.set_waited_for(true, at(0));
        clock
    }

    /// One survey, whose result comes at `now` (ms): `worked` goes in, the strikes come
    /// out.
    fn survey(clock: &mut ChannelClock, worked: Option<u64>, now: u64) -> Option<usize> {
        clock.survey_asked();
        clock.surveyed(worked, at(now))
    }

    #[test]
    fn a_channel_is_idle_since_it_became_so_and_not_since_it_was_last_seen_so() {
        let mut clock = ChannelClock::new(at(5));
        assert_eq!((clock.born, clock.idle_since()), (at(5), None));
        clock.set_idle(true, at(10));
        clock.set_idle(true, at(20));
        assert_eq!(clock.idle_since(), Some(at(10)));
        clock.set_idle(false, at(30));
        assert_eq!(clock.idle_since(), None);
        clock.set_idle(true, at(40));
        assert_eq!(clock.idle_since(), Some(at(40)));
    }

    #[test]
    fn silence_counts_from_the_last_line() {
        let mut clock = ChannelClock::new(at(5));
        assert_eq!(clock.silent_for(at(25)), 20);
        clock.heard(at(30));
        assert_eq!(clock.silent_for(at(30)), 0);
        assert_eq!(clock.silent_for(at(31)), 1);
    }

    #[test]
    fn an_agent_is_silent_only_while_it_is_waited_for() {
        let mut clock = ChannelClock::new(at(5));
        assert_eq!(clock.silent_since(), None);
        clock.set_waited_for(true, at(10));
        clock.set_waited_for(true, at(20));
        assert_eq!(clock.silent_since(), Some(at(10)));
        clock.heard(at(30));
        assert_eq!(clock.silent_since(), Some(at(30)));
        clock.set_waited_for(false, at(40));
        assert_eq!(clock.silent_since(), None);
        clock.set_waited_for(true, at(50));
        assert_eq!(clock.silent_since(), Some(at(50)));
    }

    #[test]
    fn the_next_interval_of_silence_begins_with_the_last_look() {
        let mut clock = waited_for();
        clock.survey_asked();
        assert_eq!(clock.silent_since(), None, "it is looked at");
        assert_eq!(clock.surveyed(Some(7), at(1_000)), None);
        assert_eq!(clock.silent_since(), Some(at(1_000)));
        clock.heard(at(1_500));
        assert_eq!(clock.silent_since(), Some(at(1_500)));
    }

    #[test]
    fn each_interval_without_work_is_a_strike() {
        let mut clock = waited_for();
        assert_eq!(survey(&mut clock, Some(7), 10_000), None, "there is nothing to compare with");
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        assert_eq!(survey(&mut clock, Some(17), 30_000), Some(2), "a thousandth is no work");
        assert_eq!(survey(&mut clock, Some(17), 40_000), Some(3));
    }

    #[test]
    fn work_begins_the_count_again() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        assert_eq!(survey(&mut clock, Some(18), 30_000), None);
        assert_eq!(survey(&mut clock, Some(18), 40_000), Some(1));
    }

    #[test]
    fn less_work_than_before_is_a_sign_of_life() {
        let mut clock = waited_for();
        survey(&mut clock, Some(700), 10_000);
        assert_eq!(survey(&mut clock, Some(700), 20_000), Some(1));
        assert_eq!(survey(&mut clock, Some(300), 30_000), None);
        assert_eq!(survey(&mut clock, Some(300), 40_000), Some(1));
    }

    #[test]
    fn without_evidence_there_is_no_strike_and_none_is_forgotten() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        assert_eq!(survey(&mut clock, None, 30_000), None);
        assert_eq!(survey(&mut clock, Some(7), 40_000), None, "the last look saw nothing");
        assert_eq!(survey(&mut clock, Some(7), 50_000), Some(2));
    }

    #[test]
    fn a_line_begins_the_count_again() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        clock.heard(at(25_000));
        assert_eq!(survey(&mut clock, Some(7), 30_000), None);
        assert_eq!(survey(&mut clock, Some(7), 40_000), Some(1));
    }

    #[test]
    fn a_line_during_a_look_begins_the_count_again() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        clock.survey_asked();
        clock.heard(at(30_000));
        assert_eq!(clock.surveyed(Some(7), at(30_001)), None);
        assert_eq!(survey(&mut clock, Some(7), 40_000), Some(1));
    }

    #[test]
    fn what_was_seen_before_it_was_waited_for_says_nothing() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        clock.set_waited_for(false, at(21_000));
        clock.set_waited_for(true, at(25_000));
        assert_eq!(survey(&mut clock, Some(7), 35_000), None);
        assert_eq!(survey(&mut clock, Some(7), 45_000), Some(1));
    }

    #[test]
    fn a_look_that_nobody_asked_for_says_nothing() {
        let mut clock = waited_for();
        assert_eq!(clock.surveyed(Some(7), at(10_000)), None);
        assert_eq!(clock.silent_since(), Some(at(0)));
        survey(&mut clock, Some(7), 20_000);
        assert_eq!(clock.surveyed(Some(7), at(30_000)), None);
        assert_eq!(survey(&mut clock, Some(7), 40_000), Some(1));
    }

    #[test]
    fn after_the_host_stood_still_the_count_begins_again() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        assert_eq!(survey(&mut clock, Some(7), 20_000), Some(1));
        clock.forget_silence();
        assert_eq!(survey(&mut clock, Some(7), 30_000), None);
        assert_eq!(survey(&mut clock, Some(7), 40_000), Some(1));
    }

    #[test]
    fn a_look_during_which_the_host_stood_still_is_the_first() {
        let mut clock = waited_for();
        survey(&mut clock, Some(7), 10_000);
        clock.survey_asked();
        clock.forget_silence();
        assert_eq!(clock.silent_since(), None, "it is still looked at");
        assert_eq!(clock.surveyed(Some(7), at(20_000)), None);
        assert_eq!(survey(&mut clock, Some(7), 30_000), Some(1));
    }
}

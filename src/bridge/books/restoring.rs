//! The last part of a revival: the agent has the session again, and its settings are made what they
//! were. Until then no request of a client reaches it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::bridge::recipe::Recipe;
use crate::bridge::settings::{Setting, Settings, Told};
use crate::bridge::time::Moment;

/// How long an agent that answers before its replay must be silent until the replay is over (ms).
const SILENCE: u64 = 300;

/// The longest time for such a replay (ms).
const LONGEST_REPLAY: u64 = 3_000;

/// The replay that may follow the answer to a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateReplay {
    began: Moment,
    heard_at: Moment,
    came: bool,
}

impl LateReplay {
    /// A replay that may begin now.
    pub fn new(now: Moment) -> LateReplay {
        LateReplay { began: now, heard_at: now, came: false }
    }

    /// Whether a part of it has come.
    pub fn came(self) -> bool {
        self.came
    }

    /// When it is over, if nothing more comes.
    fn ends_at(self) -> Moment {
        let quiet = self.heard_at.plus_millis(SILENCE);
        quiet.min(self.began.plus_millis(LONGEST_REPLAY))
    }
}

/// The next step towards the settings that a session had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This one is to be set.
    Set(Setting),
    /// A setting has this value although the agent has accepted another one.
    Contradiction(Setting),
    /// All are as they were.
    Done,
}

/// The state of a session that an agent has restored and whose settings are not yet what they
/// were.
#[derive(Clone, Debug)]
pub struct Restoring {
    /// The settings that are left to look at, the first one first.
    left: VecDeque<Setting>,
    /// The settings that it must have in the end.
    wanted: Vec<Setting>,
    /// The settings as the agent tells them.
    now: Settings,
    /// The result of the restore, which says what the agent offers.
    result: Bytes,
    /// The settings that it had and that the agent offers no more.
    pub dropped: Vec<Setting>,
    /// The options as the agent has told them last; `None`: it has told none.
    pub options: Option<Bytes>,
    /// The replay that may still come; `None`: none is waited for.
    pub replay: Option<LateReplay>,
}

impl Restoring {
    /// The beginning: the agent has restored the session with this result.
    pub fn new(recipe: &Recipe, result: Bytes, replay: Option<LateReplay>) -> Restoring {
        let told = Told::in_result(&result);
        let mut now = Settings::default();
        now.tell_all(&told);
        let options = told.options();
        let left = recipe.settings.iter().cloned().collect();
        let (wanted, dropped) = (Vec::new(), Vec::new());
        Restoring { left, wanted, now, result, dropped, options, replay }
    }

    /// The same, with what the agent has told before the result.
    #[must_use]
    pub fn told_before(mut self, told: &Settings) -> Restoring {
        for setting in told.iter() {
            if self.now.value_of(setting).is_none() {
                self.now.tell(setting.clone());
            }
        }
        self
    }

    /// Notes what the agent tells of its settings.
    pub fn tell(&mut self, told: &Told<'_>) {
        self.now.tell_all(told);
        self.options = told.options().or(self.options.take());
    }

    /// Notes that the agent has accepted a value.
    pub fn accepted(&mut self, setting: Setting) {
        self.now.tell(setting);
    }

    /// Notes a part of a replay.
    pub fn heard_replay(&mut self, at: Moment) {
        if let Some(replay) = &mut self.replay {
            (replay.heard_at, replay.came) = (at, true);
        }
    }

    /// When a replay that may still come is over.
    pub fn replay_ends_at(&self) -> Option<Moment> {
        self.replay.map(LateReplay::ends_at)
    }

    /// The next step. Settings that are as they were, or that the agent does not offer any more,
    /// need none.
    pub fn next(&mut self) -> Next {
        while let Some(setting) = self.left.pop_front() {
            let has = self.now.has(&setting);
            if Told::in_result(&self.result).offers(&setting) == Some(false) {
                self.dropped.extend((!has).then_some(setting));
                continue;
            }
            self.wanted.push(setting.clone());
            if !has {
                return Next::Set(setting);
            }
        }
        let differs =
            |wanted: &&Setting| self.now.value_of(wanted).is_some_and(|value| value != *wanted);
        match self.wanted.iter().find(differs) {
            Some(wanted) => Next::Contradiction(wanted.clone()),
            None => Next::Done,
        }
    }

    /// The value of the same setting now.
    pub fn value_of(&self, setting: &Setting) -> Option<&Setting> {
        self.now.value_of(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(id: &str) -> Setting {
        Setting::Mode(id.into())
    }

    fn restoring(wanted: &[Setting], result: &str) -> Restoring {
        let mut recipe = Recipe::new(Bytes::new(), true);
        wanted.iter().for_each(|setting| recipe.settings.set(setting.clone()));
        Restoring::new(&recipe, Bytes::copy_from_slice(result.as_bytes()), None)
    }

    const ASK: &str =
        r#"{"modes":{"currentModeId":"ask","availableModes":[{"id":"ask"},{"id":"code"}]}}"#;

    #[test]
    fn only_what_differs_is_set() {
        let mut restoring = restoring(&[mode("ask")], ASK);
        assert_eq!(restoring.next(), Next::Done);
    }

    #[test]
    fn a_mode_is_set_and_must_stay() {
        let mut stays = restoring(&[mode("code")], ASK);
        assert_eq!(stays.next(), Next::Set(mode("code")));
        stays.accepted(mode("code"));
        let mut changes = stays.clone();
        assert_eq!(stays.next(), Next::Done);
        changes.tell(&Told::in_result(ASK.as_bytes()));
        assert_eq!(changes.next(), Next::Contradiction(mode("code")));
    }

    #[test]
    fn what_is_offered_no_more_is_dropped_and_what_is_not_listed_is_tried() {
        let mut gone = restoring(&[mode("plan")], ASK);
        assert_eq!((gone.next(), gone.dropped), (Next::Done, vec![mode("plan")]));
        // An agent that has a value without offering it keeps it.
        let has = ASK.replace(r#""currentModeId":"ask""#, r#""currentModeId":"plan""#);
        let mut kept = restoring(&[mode("plan")], &has);
        assert_eq!((kept.next(), kept.dropped), (Next::Done, vec![]));
        let mut unlisted = restoring(&[mode("plan")], "{}");
        assert_eq!(unlisted.next(), Next::Set(mode("plan")));
    }

    #[test]
    fn a_late_replay_ends_with_silence_or_at_its_limit() {
        let at = Moment::from_millis;
        let mut restoring = restoring(&[], "{}");
        assert_eq!(restoring.replay_ends_at(), None);
        restoring.replay = Some(LateReplay::new(at(100)));
        assert_eq!(restoring.replay_ends_at(), Some(at(400)));
        restoring.heard_replay(at(350));
        assert_eq!(restoring.replay_ends_at(), Some(at(650)));
        restoring.heard_replay(at(3_000));
        assert_eq!(restoring.replay_ends_at(), Some(at(3_100)));
    }
}

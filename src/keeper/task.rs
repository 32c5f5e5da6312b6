//! What a keeper is started for, as its arguments say it.

use std::ffi::{OsStr, OsString};
use std::iter;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::ladder;
use crate::processes::Spare;

/// One agent, and how it is to be ended if nobody else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The number of the keeper's end of the link.
    pub link: RawFd,
    /// The steps of the ladder.
    pub graces: Graces,
    /// Processes that are left alone.
    pub spare: Spare,
    /// The variable that all descendants of the agent inherit, and its value.
    pub cookie: (String, String),
    /// The directory that the agent starts in.
    pub cwd: OsString,
    /// The agent's command and arguments.
    pub command: Vec<OsString>,
}

/// How long the keeper waits on each step of its own ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graces {
    /// From the bridge's end, and so that of the agent's stdin, to SIGTERM.
    pub stdin: Duration,
    /// From SIGTERM to SIGKILL.
    pub term: Duration,
}

impl Graces {
    /// The configured graces in milliseconds (`None`: for ever), fitted into the
    /// bound of a shutdown: a bridge that is gone without a word is one.
    pub fn fitted(stdin: Option<u64>, term: Option<u64>, shutdown: u64) -> Graces {
        let [stdin, term] = ladder::fitted([stdin, term], shutdown).map(Duration::from_millis);
        Graces { stdin, term }
    }
}

impl Task {
    /// The arguments behind the keeper's name.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> {
        let numbers = [
            self.link.to_string(),
            self.graces.stdin.as_millis().to_string(),
            self.graces.term.as_millis().to_string(),
        ];
        let words = [self.spare.list(), self.cookie.0.clone(), self.cookie.1.clone()];
        let words = numbers.into_iter().chain(words).map(OsString::from);
        words.chain(iter::once(self.cwd.clone())).chain(self.command.iter().cloned())
    }

    /// Reads the arguments behind the keeper's name.
    pub fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Task> {
        let mut next = || arguments.next()?.into_string().ok();
        let link = next()?.parse().ok()?;
        let stdin = Duration::from_millis(next()?.parse().ok()?);
        let term = Duration::from_millis(next()?.parse().ok()?);
        let spare = Spare::of(&next()?);
        let cookie = (next()?, next()?);
        let cwd = arguments.next()?;
        let command: Vec<OsString> = arguments.collect();
        let graces = Graces { stdin, term };
        (!command.is_empty()).then_some(Task { link, graces, spare, cookie, cwd, command })
    }

    /// The agent's program and its arguments.
    pub fn program(&self) -> (&OsStr, &[OsString]) {
        self.command.split_first().map_or((OsStr::new(""), &[]), |(program, rest)| (program, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let task = Task {
            link: 7,
            graces: Graces { stdin: Duration::from_millis(5), term: Duration::ZERO },
            spare: Spare::of("tmux,ssh"),
            cookie: ("MARK".into(), "a=b".into()),
            cwd: "/a b".into(),
            command: vec!["agent".into(), "".into(), "--".into()],
        };
        assert_eq!(Task::read(task.arguments()), Some(task.clone()));
        let bare = Task { spare: Spare::of(""), ..task };
        assert_eq!(Task::read(bare.arguments()), Some(bare.clone()));
        assert_eq!(Task::read(bare.arguments().take(7)), None, "no command");
        assert_eq!(Task::read(iter::empty()), None);
    }
}

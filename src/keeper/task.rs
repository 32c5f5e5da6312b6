//! The task of a keeper, and its form as command-line arguments.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::time::Duration;

use crate::ladder;
use crate::logs::{LogFilePath, LogFormat, LogPlace};
use crate::processes::Spare;

/// The number of arguments behind the agent's command.
const BEHIND_COMMAND: usize = 13;

/// The number in place of a descriptor of the daemon's process trees.
const NO_TREES: RawFd = -1;

/// The word in place of the format where there is no log file.
const NO_LOG: &str = "none";

/// The words for the kinds of [`LogFilePath`].
const OWN_LOG: &str = "own";
const NAMED_LOG: &str = "named";

/// The agent that a keeper starts, and how the keeper ends it by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The descriptor of the keeper's end of the lifeline.
    pub lifeline: RawFd,
    /// The descriptor of the lock of the daemon's process trees; `None`: there is no daemon.
    pub trees: Option<RawFd>,
    /// The graces of the keeper's own ladder.
    pub graces: Graces,
    /// The processes that are left alone when the tree is ended.
    pub spare: Spare,
    /// The variable that all descendants of the agent inherit, and its value.
    pub cookie: (String, String),
    /// The directory that the agent starts in.
    pub cwd: OsString,
    /// The agent's program, as an absolute path.
    pub program: OsString,
    /// The agent's command as it was given, and its arguments.
    pub command: Vec<OsString>,
    /// The process id of the bridge.
    pub bridge: u32,
    /// The log file of the bridge, if there is one.
    pub log: Option<LogPlace>,
}

/// How long the keeper waits on each rung when it goes down the ladder by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graces {
    /// From the end of the bridge, which also ends the agent's stdin, to SIGTERM.
    pub stdin: Duration,
    /// From SIGTERM to SIGKILL.
    pub term: Duration,
}

impl Graces {
    /// The configured graces in milliseconds (`None`: for ever), fitted into the
    /// bound of a shutdown (ms): the death of the bridge counts as a shutdown.
    pub fn fitted(stdin: Option<u64>, term: Option<u64>, shutdown: u64) -> Graces {
        let [stdin, term, _] = ladder::fitted([stdin, term, None], shutdown);
        Graces { stdin: Duration::from_millis(stdin), term: Duration::from_millis(term) }
    }
}

impl Task {
    /// The keeper's arguments, without its name. The agent's command comes first: it is what
    /// a person looks for in the process table.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> {
        let numbers = [
            self.lifeline.to_string(),
            self.trees.unwrap_or(NO_TREES).to_string(),
            self.graces.stdin.as_millis().to_string(),
            self.graces.term.as_millis().to_string(),
        ];
        let words = [self.spare.list(), self.cookie.0.clone(), self.cookie.1.clone()];
        let words = numbers.into_iter().chain(words).map(OsString::from);
        let paths = [self.cwd.clone(), self.program.clone(), self.bridge.to_string().into()];
        let log = log_arguments(self.log.as_ref());
        self.command.iter().cloned().chain(words).chain(paths).chain(log)
    }

    /// Reads the keeper's arguments, without its name; `None` if they are no task.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Option<Task> {
        let mut command: Vec<OsString> = arguments.collect();
        let rest = command.len().checked_sub(BEHIND_COMMAND).filter(|length| *length > 0)?;
        let mut arguments = command.split_off(rest).into_iter();
        let mut next = || arguments.next()?.into_string().ok();
        let lifeline = next()?.parse().ok()?;
        let trees = Some(next()?.parse().ok()?).filter(|number| *number != NO_TREES);
        let stdin = Duration::from_millis(next()?.parse().ok()?);
        let term = Duration::from_millis(next()?.parse().ok()?);
        let spare = Spare::of(&next()?);
        let cookie = (next()?, next()?);
        let (cwd, program) = (arguments.next()?, arguments.next()?);
        let bridge = arguments.next()?.into_string().ok()?.parse().ok()?;
        let log = read_log([arguments.next()?, arguments.next()?, arguments.next()?]);
        let graces = Graces { stdin, term };
        Some(Task { lifeline, trees, graces, spare, cookie, cwd, program, command, bridge, log })
    }

    /// The name under which the agent's program is started, and its arguments.
    pub fn name_and_arguments(&self) -> (&OsStr, &[OsString]) {
        self.command.split_first().map_or((OsStr::new(""), &[]), |(program, rest)| (program, rest))
    }
}

fn log_arguments(log: Option<&LogPlace>) -> [OsString; 3] {
    let Some(LogPlace { file, format }) = log else {
        return [NO_LOG.into(), OsString::new(), OsString::new()];
    };
    let word = LogFormat::WORDS.iter().find(|(_, known)| known == format);
    let (kind, path) = match file {
        LogFilePath::Own { directory: path } => (OWN_LOG, path),
        LogFilePath::Named(path) => (NAMED_LOG, path),
    };
    [word.map_or(NO_LOG, |(word, _)| word).into(), kind.into(), path.into()]
}

/// Reads what [`log_arguments`] has written; `None`: no log file.
fn read_log([word, kind, path]: [OsString; 3]) -> Option<LogPlace> {
    let (_, format) = LogFormat::WORDS.into_iter().find(|(known, _)| word == *known)?;
    let file = match kind.to_str()? {
        OWN_LOG => LogFilePath::Own { directory: path.into() },
        NAMED_LOG => LogFilePath::Named(path.into()),
        _ => return None,
    };
    Some(LogPlace { file, format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let task = Task {
            lifeline: 7,
            trees: Some(8),
            graces: Graces { stdin: Duration::from_millis(5), term: Duration::ZERO },
            spare: Spare::of("tmux,ssh"),
            cookie: ("MARK".into(), "a=b".into()),
            cwd: "/a b".into(),
            program: "/bin/agent".into(),
            command: vec!["agent".into(), "".into(), "--".into()],
            bridge: 7,
            log: Some(LogPlace {
                file: LogFilePath::Named("/a log".into()),
                format: LogFormat::Json,
            }),
        };
        assert_eq!(task.arguments().next(), Some("agent".into()), "what a person looks for");
        assert_eq!(Task::read(task.arguments()), Some(task.clone()));
        let own = LogPlace {
            file: LogFilePath::Own { directory: "/state".into() },
            format: LogFormat::Text,
        };
        let own = Task { log: Some(own), ..task.clone() };
        assert_eq!(Task::read(own.arguments()), Some(own));
        let bare = Task { spare: Spare::of(""), log: None, trees: None, ..task };
        assert_eq!(Task::read(bare.arguments()), Some(bare.clone()));
        assert_eq!(Task::read(bare.arguments().skip(3)), None, "no command");
        assert_eq!(Task::read(std::iter::empty()), None);
    }
}

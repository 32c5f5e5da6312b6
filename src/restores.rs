//! The memory of restores: a small file in the state directory, which all bridges of the user share.
//!
//! It holds no content of a conversation. One JSON object a line says what was learned of a version
//! of an agent that restores sessions, what a check by a person has found out of one, or that an
//! agent knows a session by another id than clients do. Lines are added under a lock and read in
//! their order. When the file has grown too large it is written anew.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use indexmap::IndexMap;
use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};

use crate::bridge::MAX_PAIRS;
use crate::bridge::restore::{Experience, Known, Pair, Record, Replay};
use crate::user_files::Directory;
use crate::wire::json::written;

/// The name of the file.
const NAME: &str = "restores.jsonl";

/// The name under which it is written anew.
const NEW: &str = "restores.jsonl.new";

/// The size from which it is written anew, in bytes.
const LARGE: u64 = 2 << 20;

/// Agents that were measured, by `drawbridge check --prompt` and in conversations through the daemon:
/// the ways in which each has brought a session back after its process was killed. One loses the
/// record of a session that it loads in its first minute, or twice.
const MEASURED: [(&str, Record); 7] = [
    ("@agentclientprotocol/claude-agent-acp 0.101.0", BOTH),
    ("@agentclientprotocol/codex-acp 2.6.0", BOTH),
    ("@mistralai/mistral-vibe 3.0.3", Record { replay: Replay::AfterAnswer, ..LOAD }),
    ("OpenCode 1.18.33", BOTH),
    ("codex-acp 0.16.0", BOTH),
    ("gemini-cli 0.61.0", Record { load: Experience::Refused, ..LOAD }),
    ("qwen-code 0.24.4", BOTH),
];

const LOAD: Record =
    Record { resume: Experience::None, load: Experience::Succeeded, replay: Replay::Unknown };

const BOTH: Record = Record { resume: Experience::Succeeded, ..LOAD };

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The experience of a bridge with a version of an agent. A refusal stays.
    Agent {
        /// Its name and version, as it gives them.
        version: Box<str>,
        #[serde(flatten)]
        record: Record,
    },
    /// The outcome of a check of one. It counts more than any line before.
    Checked {
        /// Its name and version, as it gives them.
        version: Box<str>,
        #[serde(flatten)]
        record: Record,
    },
    /// A session that was opened anew.
    Pair {
        /// The name of the agent in the configuration.
        agent: Box<str>,
        #[serde(flatten)]
        pair: Pair,
        /// When it was opened anew (ms since the epoch).
        at: u64,
    },
}

/// The memory of restores.
#[derive(Clone, Debug)]
pub struct RestoreMemory {
    /// The state directory; `None`: nothing is remembered beyond this bridge.
    state: Option<PathBuf>,
}

impl RestoreMemory {
    /// The memory in a state directory.
    pub fn in_state(state: Option<PathBuf>) -> RestoreMemory {
        RestoreMemory { state }
    }

    /// The knowledge of a version of an agent; `None`: there is none.
    pub fn known(&self, version: &str) -> Option<Known> {
        let measured = measured(version).map(|learned| Known { learned, ..Known::default() });
        let Some(said) = agents_of(&self.lines()).swap_remove(version) else { return measured };
        let mut known = measured.unwrap_or_default();
        known.learn(said.learned);
        known.check(said.checked);
        Some(known)
    }

    /// The pairs of an agent, the oldest first.
    pub fn pairs(&self, agent: &str) -> Vec<Pair> {
        let pairs = self.lines().into_iter().filter_map(|line| match line {
            Line::Pair { agent: its, pair, .. } if *its == *agent => Some(pair),
            _ => None,
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.drain(..pairs.len().saturating_sub(MAX_PAIRS));
        pairs
    }

    /// Remembers what a bridge has learned of a version of an agent. One that has no name cannot be
    /// told from others.
    pub fn note(&self, version: &str, record: Record) {
        if !version.is_empty() {
            self.add(&Line::Agent { version: version.into(), record });
        }
    }

    /// Remembers what a check by a person has found out of a version of an agent.
    pub fn note_checked(&self, version: &str, record: Record) {
        if !version.is_empty() {
            self.add(&Line::Checked { version: version.into(), record });
        }
    }

    /// Remembers that an agent knows a session by another id than clients do.
    pub fn remember_pair(&self, agent: &str, pair: Pair) {
        self.add(&Line::Pair { agent: agent.into(), pair, at: now() });
    }

    fn lines(&self) -> Vec<Line> {
        let Some(state) = &self.state else { return Vec::new() };
        let read = || -> io::Result<Vec<Line>> {
            let directory = Directory::own_existing(state)?;
            let file = directory.open_file(OsStr::new(NAME), OFlag::O_RDONLY)?;
            Ok(lines_of(&text_of(&file)?))
        };
        // Without the file nothing is known.
        read().unwrap_or_default()
    }

    fn add(&self, line: &Line) {
        let Some(state) = &self.state else { return };
        let added = Directory::own(state).and_then(|directory| add(&directory, line));
        if let Err(error) = added {
            tracing::warn!("what was learned of an agent could not be remembered: {error}");
        }
    }
}

fn add(directory: &Directory, line: &Line) -> io::Result<()> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT;
    let mut file = locked(directory, flags)?;
    // A line that was cut by a crash must not swallow this one.
    file.write_all(&[b"\n", &written(line)[..], b"\n"].concat())?;
    if file.metadata()?.len() > LARGE {
        let mut new = directory
            .open_file(OsStr::new(NEW), OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC)?;
        for line in condensed(lines_of(&text_of(&file)?)) {
            new.write_all(&[&written(&line)[..], b"\n"].concat())?;
        }
        directory.rename(OsStr::new(NEW), OsStr::new(NAME))?;
    }
    Ok(())
}

/// The file, under its lock. Another bridge may write it anew meanwhile.
fn locked(directory: &Directory, flags: OFlag) -> io::Result<Flock<File>> {
    loop {
        let file = directory.open_file(OsStr::new(NAME), flags)?;
        let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        if directory.leads_to(OsStr::new(NAME), &file.metadata()?) {
            return Ok(file);
        }
    }
}

/// The end of a file, from the first whole line there.
fn text_of(mut file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LARGE)))?;
    let mut text = Vec::new();
    file.take(2 * LARGE).read_to_end(&mut text)?;
    Ok(text)
}

/// The lines of a text. One that this version does not know says nothing to it.
fn lines_of(text: &[u8]) -> Vec<Line> {
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The record of a version that was measured.
fn measured(version: &str) -> Option<Record> {
    MEASURED.into_iter().find(|(its, _)| *its == version).map(|(_, record)| record)
}

/// The knowledge of each version in these lines.
fn agents_of(lines: &[Line]) -> IndexMap<&str, Known> {
    let mut agents = IndexMap::<_, Known>::new();
    for line in lines {
        match line {
            Line::Agent { version, record } => agents.entry(&**version).or_default().learn(*record),
            Line::Checked { version, record } => {
                agents.entry(&**version).or_default().check(*record);
            }
            Line::Pair { .. } => {}
        }
    }
    agents
}

/// The lines that still count.
fn condensed(lines: Vec<Line>) -> Vec<Line> {
    let agents = agents_of(&lines).into_iter().flat_map(|(version, known)| {
        let Known { learned, checked } = known;
        let of = || version.into();
        let all = Line::Agent { version: of(), record: learned };
        let found = Line::Checked { version: of(), record: checked };
        [Some(all), (checked != Record::default()).then_some(found)].into_iter().flatten()
    });
    let agents: Vec<Line> = agents.collect();
    let mut pairs = IndexMap::new();
    for line in lines {
        if let Line::Pair { agent, pair, .. } = &line {
            let key = (agent.clone(), pair.known_as.clone());
            pairs.shift_remove(&key);
            pairs.insert(key, line);
        }
    }
    let old = pairs.len().saturating_sub(MAX_PAIRS);
    agents.into_iter().chain(pairs.into_values().skip(old)).collect()
}

#[allow(clippy::disallowed_methods)] // the date is for a person who reads the file
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::restore::Way;

    fn record(load: Experience) -> Record {
        Record { load, ..Record::default() }
    }

    fn record_of(memory: &RestoreMemory, version: &str) -> Option<Record> {
        memory.known(version).map(|known| known.learned)
    }

    fn pair(known_as: &str, agent_id: &str) -> Pair {
        Pair { known_as: known_as.into(), agent_id: agent_id.into(), cwd: "/w".into() }
    }

    #[test]
    fn what_was_learned_adds_up_and_is_found_by_another_bridge() {
        let name = format!("drawbridge-restores-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        let memory = RestoreMemory::in_state(Some(state.clone()));
        assert_eq!(record_of(&memory, "a 1"), None);
        memory.note("a 1", record(Experience::Succeeded));
        memory.note("a 1", record(Experience::Refused));
        memory.note("a 1", record(Experience::Succeeded));
        memory.note("a 1", Record::only(Way::Resume, Experience::Succeeded));
        memory.note("", record(Experience::Succeeded));
        memory.remember_pair("a", pair("old", "new"));
        let other = RestoreMemory::in_state(Some(state.clone()));
        let known = Record { resume: Experience::Succeeded, ..record(Experience::Refused) };
        assert_eq!(record_of(&other, "a 1"), Some(known));
        other.note_checked("a 1", record(Experience::Succeeded));
        assert_eq!(record_of(&memory, "a 1").map(|it| it.load), Some(Experience::Succeeded));
        assert_eq!((record_of(&other, "a 2"), record_of(&other, "")), (None, None));
        assert_eq!(other.pairs("a"), [pair("old", "new")]);
        assert!(other.pairs("b").is_empty());
        // A line that is of another version, or was cut, hides nothing.
        let mut file = File::options().append(true).open(state.join(NAME)).unwrap();
        file.write_all(b"{\"later\":{}}\n{\"agent\":{\"ver").unwrap();
        memory.note("a 2", record(Experience::Succeeded));
        assert_eq!(record_of(&other, "a 2"), Some(record(Experience::Succeeded)));
        std::fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_measured_agent_is_known_until_it_refuses() {
        let (version, known) = MEASURED[0];
        let name = format!("drawbridge-measured-{}", std::process::id());
        let state = std::env::temp_dir().join(name);
        let memory = RestoreMemory::in_state(Some(state.clone()));
        assert_eq!(record_of(&memory, version), Some(known));
        memory.note(version, Record::only(Way::Load, Experience::Refused));
        assert_eq!(
            record_of(&memory, version),
            Some(Record { load: Experience::Refused, ..known })
        );
        // One that is known to lose sessions may be put right by a check, and refuse again.
        let (version, known) = MEASURED[5];
        assert_eq!(known.load, Experience::Refused);
        memory.note_checked(version, record(Experience::Succeeded));
        assert_eq!(record_of(&memory, version), Some(record(Experience::Succeeded)));
        memory.note(version, record(Experience::Refused));
        assert_eq!(record_of(&memory, version), Some(known));
        assert_eq!(memory.known(version).map(|it| it.checked), Some(Record::default()));
        std::fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn without_a_state_directory_nothing_is_remembered() {
        let memory = RestoreMemory::in_state(None);
        memory.note("a 1", record(Experience::Succeeded));
        assert_eq!(record_of(&memory, "a 1"), None);
    }

    #[test]
    fn of_a_large_file_what_counts_is_kept() {
        let agent = |load| Line::Agent { version: "a".into(), record: record(load) };
        let pair = |known_as: usize, agent_id: &str| Line::Pair {
            agent: "a".into(),
            pair: pair(&known_as.to_string(), agent_id),
            at: 0,
        };
        let mut lines = vec![agent(Experience::Succeeded), pair(0, "first")];
        lines.extend((0..=MAX_PAIRS).map(|number| pair(number, "second")));
        lines.push(agent(Experience::Refused));
        let found = Record::only(Way::Resume, Experience::Succeeded);
        lines.push(Line::Checked { version: "a".into(), record: found });
        let before = agents_of(&lines)["a"];
        let kept = condensed(lines);
        assert_eq!(agents_of(&kept)["a"], before);
        assert_eq!(kept.len(), MAX_PAIRS + 2);
        assert_eq!(kept[2], pair(1, "second"));
    }
}

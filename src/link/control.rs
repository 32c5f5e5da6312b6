//! Control lines: what a shim and the daemon say to each other. Each begins with `#`, which no
//! message of ACP does, and holds one JSON object with one member, whose name says what it is.
//!
//! `docs/socket.md` describes them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use crate::processes::ProcessIdentity;
use crate::wire::json::written;

/// The first byte of every control line.
pub const SIGN: u8 = b'#';

/// The longest control line, in bytes: an environment of 2 MiB that is no UTF-8 fits in.
pub const LONGEST: usize = 16 << 20;

/// The most sessions that a daemon takes over from one editor.
pub const MOST_ADOPTED: usize = 1024;

/// One control line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Shim → daemon, the first line: an editor wants an agent.
    Hello(Box<Hello>),
    /// Shim → daemon, behind `hello` if that says so: what a lost daemon has given to be kept.
    Adopt(Vec<String>),
    /// Daemon → shim: the connection carries ACP from here on.
    Welcome(Welcome),
    /// Daemon → shim: why the connection ends.
    Why(Why),
    /// Daemon → shim: the editor has this session.
    Keep(Kept),
    /// Daemon → shim: the editor has this session no longer.
    Forget(String),
    /// Command → daemon, the first line: read the configuration again.
    Reload,
    /// Shim of a newer wire → daemon, the first line: take no more editors, and end when the last
    /// is gone.
    Retire,
    /// Daemon → daemon, the first line: which conversations are held?
    Holds,
    /// Daemon → daemon: the ids of the conversations that are held.
    Held(Vec<String>),
    /// Daemon → command: it was done.
    Done,
}

/// The introduction of an editor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The number of the line protocol that the shim speaks.
    pub wire: u32,
    /// The version of the shim's program.
    pub version: String,
    /// The agent that the editor wants.
    pub agent: WantedAgent,
    /// The directory of the editor.
    pub directory: Text,
    /// The environment of the editor.
    pub environment: Vec<(Text, Text)>,
    /// The file mode creation mask of the editor.
    pub umask: u32,
    /// The program that the person uses; `None`: it is not known.
    pub editor: Option<ProcessIdentity>,
    /// The configuration file that the shim was told to use; `None`: none.
    pub config: Option<Text>,
    /// Whether an `adopt` line follows.
    pub adopts: bool,
    /// Whether the shim takes pipes in place of the socket.
    #[serde(default)]
    pub pipes: bool,
}

/// An environment may hold secrets: it is in no log.
impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The agent that an editor wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WantedAgent {
    /// An agent of the daemon's configuration file.
    Named {
        /// Its name.
        name: String,
        /// Further arguments for it.
        arguments: Vec<Text>,
    },
    /// A command.
    Command {
        /// The program and its arguments.
        words: Vec<Text>,
        /// Its name in messages; `None`: it is derived from the command.
        name: Option<String>,
    },
}

impl WantedAgent {
    /// The words that the editor has given for it.
    pub fn words(&self) -> &[Text] {
        match self {
            WantedAgent::Named { arguments, .. } => arguments,
            WantedAgent::Command { words, .. } => words,
        }
    }
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the daemon's program.
    pub version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// Whether the descriptors of two pipes come with this line.
    #[serde(default)]
    pub pipes: bool,
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The reason for programs.
    pub kind: WhyKind,
    /// The reason for people, a sentence.
    pub message: String,
}

/// The kinds of reasons why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyKind {
    /// The other side runs inside of an agent's process tree.
    InsideAgent,
    /// The other side is in other namespaces.
    OtherNamespace,
    /// Its ancestors or namespaces cannot be looked at.
    NotSeen,
    /// It speaks another line protocol.
    OtherWire,
    /// It uses another configuration file.
    ConfigDiffers,
    /// The configuration file has no such agent, or it cannot be read.
    NoSuchAgent,
    /// The line is no hello, or it is too large or came too late.
    BadHello,
    /// There are too many connections or agents.
    TooMany,
    /// The daemon takes no more editors.
    Retiring,
    /// The daemon shuts down.
    ShuttingDown,
    /// There is no agent for the editor: its `initialize` has failed.
    NoAgent,
    /// The editor did not read.
    ClientTooSlow,
    /// The command failed.
    Failed,
    /// Another reason, of a newer version.
    #[serde(other)]
    Other,
}

/// A session that an editor has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id, as the editor knows it.
    pub session: String,
    /// The text that a later daemon needs for it; it means nothing to the shim.
    pub blob: String,
    /// Whether a later daemon can bring it back.
    #[serde(default)]
    pub restorable: bool,
}

/// A text of the system, which may be no UTF-8: a string, or else the numbers of its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// UTF-8.
    Unicode(String),
    /// Other bytes.
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Text {
    fn from(text: &OsStr) -> Text {
        match text.to_str() {
            Some(text) => Text::Unicode(text.to_owned()),
            None => Text::Bytes(text.as_bytes().to_vec()),
        }
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> OsString {
        match text {
            Text::Unicode(text) => text.into(),
            Text::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

impl Text {
    /// Its length, in bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Text::Unicode(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }

    /// Whether it holds a NUL, which no text of the system does.
    pub fn has_nul(&self) -> bool {
        self.bytes().contains(&0)
    }

    /// Whether it holds `=`, which no name of a variable does.
    pub fn has_equals(&self) -> bool {
        self.bytes().contains(&b'=')
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        OsString::from(self.clone()).fmt(f)
    }
}

impl Control {
    /// Reads a line, without its line end; `None`: it is no control line, or none that this
    /// version knows.
    pub fn read(line: &[u8]) -> Option<Control> {
        serde_json::from_slice(line.strip_prefix(&[SIGN])?).ok()
    }

    /// The line, without its line end.
    pub fn line(&self) -> Vec<u8> {
        [&[SIGN][..], &written(self)].concat()
    }

    /// The line, with its line end.
    pub fn whole_line(&self) -> Vec<u8> {
        [self.line(), b"\n".to_vec()].concat()
    }

    /// The line that says why a connection ends.
    pub fn why(kind: WhyKind, message: impl Into<String>) -> Control {
        Control::Why(Why { kind, message: message.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Text {
        Text::from(OsStr::from_bytes(bytes))
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let hello = Hello {
            wire: 1,
            version: "0".to_owned(),
            agent: WantedAgent::Command { words: vec![text(b"a"), text(b"\xff b")], name: None },
            directory: text(b"/\xfe"),
            environment: vec![(text(b"A"), text(b"1\n#")), (text(b"B\xff"), text(b""))],
            umask: 0o22,
            editor: Some(ProcessIdentity { pid: 1, born_ticks: 2 }),
            config: None,
            adopts: false,
            pipes: false,
        };
        for line in [
            Control::Hello(Box::new(hello)),
            Control::Adopt(vec!["a\u{0}b".to_owned()]),
            Control::why(WhyKind::InsideAgent, "x"),
            Control::Keep(Kept { session: "s".to_owned(), blob: "b".to_owned(), restorable: true }),
            Control::Reload,
            Control::Held(vec![]),
        ] {
            let written = line.line();
            assert!(written.starts_with(b"#") && !written.contains(&b'\n'), "{written:?}");
            assert_eq!(Control::read(&written), Some(line));
        }
    }

    #[test]
    fn what_is_no_control_line_is_not_read() {
        for line in ["", "#", "#{}", "{\"reload\":null}", "#\"nothing\"", "#{\"keep\":1}"] {
            assert_eq!(Control::read(line.as_bytes()), None, "{line}");
        }
        let why = r##"#{"why":{"kind":"of_tomorrow","message":"x"}}"##;
        assert_eq!(Control::read(why.as_bytes()), Some(Control::why(WhyKind::Other, "x")));
    }

    #[test]
    fn an_environment_is_not_shown() {
        let hello = Hello {
            wire: 1,
            version: "0".to_owned(),
            agent: WantedAgent::Named { name: "a".to_owned(), arguments: vec![] },
            directory: text(b"/"),
            environment: vec![(text(b"KEY"), text(b"secret"))],
            umask: 0,
            editor: None,
            config: None,
            adopts: false,
            pipes: false,
        };
        assert!(!format!("{:?}", Control::Hello(Box::new(hello))).contains("secret"));
    }
}

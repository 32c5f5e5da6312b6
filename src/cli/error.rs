//! The errors of a configuration, as sentences for a person.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::mode::Mode;
use super::near::nearest;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The option is set nowhere.
    Default,
    /// The flag of this name, without its dashes.
    Flag(&'static str),
    /// The environment variable of this name.
    Variable(String),
    /// A key of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
    },
}

impl Origin {
    /// The origin as a column of `drawbridge config`, whose row names the option already.
    pub(super) fn short(&self) -> String {
        match self {
            Origin::Default => "default".to_owned(),
            Origin::Flag(_) => "flag".to_owned(),
            Origin::Variable(name) => name.clone(),
            Origin::File { path, line, .. } => format!("{}:{line}", path.display()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the default"),
            Origin::Flag(name) => write!(f, "--{name}"),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
        }
    }
}

/// Why the start was stopped. Its `Display` is the sentence for the person who
/// wrote the configuration and names the place to mend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that its option does not take.
    #[error("{origin}: \"{value}\" is refused: {reason}")]
    Value {
        /// Where the value stands.
        origin: Origin,
        /// The value.
        value: String,
        /// The values that the option takes, or why it does not take this one.
        reason: String,
    },
    /// An option that is set under both of its names in one place.
    #[error("{origin} and {other} are the same option; keep one of them")]
    Twice {
        /// The second name.
        origin: Origin,
        /// The first one.
        other: Origin,
    },
    /// Two values that exclude each other.
    #[error(
        "--max-channels {channels} (from {channels_origin}) is below --max-sessions {sessions} \
         (from {sessions_origin}): with --share session (from {share_origin}) every session needs \
         a channel of its own; raise the one, lower the other, or share differently"
    )]
    TooFewChannels {
        /// The limit on channels.
        channels: usize,
        /// Where that limit came from.
        channels_origin: Box<Origin>,
        /// The limit on sessions.
        sessions: usize,
        /// Where that limit came from.
        sessions_origin: Box<Origin>,
        /// Where the rule for sharing came from.
        share_origin: Box<Origin>,
    },
    /// Metrics that every machine of the network could read.
    #[error(
        "{origin}: {address} is no loopback address, so --metrics-token-file must name a file with \
         a token; or listen at 127.0.0.1"
    )]
    OpenMetrics {
        /// The address.
        address: SocketAddr,
        /// Where it came from.
        origin: Box<Origin>,
    },
    /// A file that cannot be read. A file at the default path may be absent.
    #[error("the configuration file {}{} is not read: {reason}", .path.display(), named_by(.origin))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where the file was named.
        origin: Origin,
        /// The message of the system, or why the file is not trusted.
        reason: String,
    },
    /// A file that is not TOML.
    #[error("{}:{line}: not valid TOML: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The message of the parser.
        message: String,
    },
    /// A key or table that the file may not have.
    #[error("{}:{line}: {what}{hint}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The name of the key or table, and why the file may not have it.
        what: String,
        /// Advice behind `what`, such as a near name, with its punctuation; may be empty.
        hint: String,
    },
    /// A flag of another command.
    #[error("--{name} has no effect on drawbridge {}{}", .mode.command(), of_daemon(*.mode))]
    NoEffect {
        /// The name of the flag, without its dashes.
        name: &'static str,
        /// The command.
        mode: Mode,
    },
    /// A name that no agent of the configuration file has.
    #[error("--agent: there is no agent {name}{}", agents_of(.name, .known, .file.as_deref()))]
    UnknownAgent {
        /// The name.
        name: String,
        /// The names of the agents that there are.
        known: Vec<String>,
        /// The configuration file; `None`: there is no place for one.
        file: Option<PathBuf>,
    },
    /// A command without an agent to run.
    #[error(
        "no agent was given: put its command after --, for example\n\n    \
         drawbridge -- npx -y @agentclientprotocol/claude-agent-acp\n\n\
         or name one of the configuration file with --agent; see drawbridge --help"
    )]
    NoAgent,
}

/// Where a limit belongs that is no option of a command.
fn of_daemon(mode: Mode) -> &'static str {
    match mode {
        Mode::Connect => {
            ": the daemon has the limits, for all editors; put it into [defaults] of the \
             configuration file (and run drawbridge reload, or restart for what is read at the \
             start only), or give it to drawbridge serve"
        }
        Mode::Run | Mode::Serve => "; it belongs to another command",
    }
}

/// What can be done about an unknown name.
fn agents_of(name: &str, known: &[String], file: Option<&Path>) -> String {
    let Some(file) = file else {
        return ": there is no configuration file; name one with --config".to_owned();
    };
    if known.is_empty() {
        return format!("; add the table [agents.{name}] with its command to {}", file.display());
    }
    let near = nearest(name, known.iter().map(String::as_str));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("{near} ({} has: {})", file.display(), known.join(", "))
}

fn named_by(origin: &Origin) -> String {
    match origin {
        Origin::Default => String::new(),
        named => format!(" (from {named})"),
    }
}

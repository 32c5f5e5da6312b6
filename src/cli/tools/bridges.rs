//! The bridges that a command is about.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::args::Which;
use crate::api::{BridgeMode, FaultData, FaultKind, Status};
use crate::cli::args::Flags;
use crate::cli::exit_code::{NO_BRIDGE, UNUSABLE};
use crate::cli::mode::Mode;
use crate::cli::print::failure;
use crate::cli::process_environment::ProcessEnvironment;
use crate::cli::resolve;
use crate::control::{BridgeSocket, ControlApiClient, Link, found, reach};
use crate::link::place::Place;

/// The time for the first answer of a bridge.
const ANSWER: Duration = Duration::from_secs(12);

/// A running bridge, and its state when it was reached.
pub(super) struct Bridge {
    /// Its process id, by the name of its socket.
    pid: u32,
    pub(super) link: Link,
    pub(super) status: Status,
}

impl Bridge {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_daemon(&self) -> bool {
        self.status.bridge.mode == BridgeMode::Daemon
    }
}

/// Why a command cannot do its work.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    pub(super) fn new(code: u8, why: impl Into<String>) -> Failure {
        Failure { code, why: why.into() }
    }

    /// Says why on stderr, and returns the exit code.
    pub(super) fn exit(self) -> ExitCode {
        failure(&self.why, self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// The refusal of a bridge.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::new(UNUSABLE, sentence(&error))
    }
}

/// The sentence for a person in what has failed.
pub(super) fn sentence(error: &ClientError) -> String {
    match error {
        ClientError::Call(refusal) => refusal.message().to_owned(),
        ClientError::RestartNeeded(inner) => sentence(inner),
        ClientError::Transport(inner) => inner.to_string(),
        ClientError::RequestTimeout => "the bridge does not answer".to_owned(),
        other => other.to_string(),
    }
}

/// The kind of the refusal of a bridge; `None`: something else has failed.
pub(super) fn fault_of(error: &ClientError) -> Option<FaultKind> {
    let ClientError::Call(refusal) = error else { return None };
    let data = serde_json::from_str::<FaultData>(refusal.data()?.get()).ok()?;
    Some(data.kind)
}

/// All bridges that can be asked, and why others cannot.
pub(super) struct Bridges {
    pub(super) all: Vec<Bridge>,
    pub(super) refusals: Vec<String>,
}

impl Bridges {
    /// Reaches all bridges of this user on this machine, the daemons first.
    pub(super) async fn reached() -> Bridges {
        Bridges::reached_within(ANSWER).await
    }

    /// The same, with so much time for the first answer of each.
    pub(super) async fn reached_within(limit: Duration) -> Bridges {
        let mut asked = JoinSet::new();
        for socket in found() {
            asked.spawn(ask(socket, limit));
        }
        let mut bridges = Bridges { all: Vec::new(), refusals: Vec::new() };
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Some(bridge))) => bridges.all.push(bridge),
                Ok(Ok(None)) => {}
                Ok(Err(refusal)) => bridges.refusals.push(refusal),
                Err(error) => bridges.refusals.push(error.to_string()),
            }
        }
        bridges.all.sort_by_key(|bridge| (!bridge.is_daemon(), bridge.pid()));
        bridges.refusals.sort();
        bridges
    }

    /// The bridges that are meant: one that is named, else the daemon of the user, else all others.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn meant(mut self, which: &Which) -> Result<Vec<Bridge>, Failure> {
        let wanted = Wanted::of(which)?;
        let has_daemon = self.all.iter().any(|bridge| wanted.is_daemon(bridge));
        self.all.retain(|bridge| match &wanted {
            Wanted::Process(pid) => bridge.pid() == *pid,
            Wanted::Daemon(_) => wanted.is_daemon(bridge),
            Wanted::Usual(_) => !has_daemon || wanted.is_daemon(bridge),
        });
        match self.all.is_empty() {
            false => Ok(self.all),
            true => Err(self.none(&wanted)),
        }
    }

    /// The daemon that is meant: at the socket that is named, else at that of `connect`.
    ///
    /// # Errors
    /// If it cannot be asked; `Ok(None)`: there is none.
    pub(super) fn daemon(mut self, socket: Option<OsString>) -> Result<Option<Bridge>, Failure> {
        let wanted = Wanted::of(&Which { bridge: None, socket })?;
        let place = self.all.iter().position(|bridge| wanted.is_daemon(bridge));
        if let Some(place) = place {
            return Ok(Some(self.all.swap_remove(place)));
        }
        let Some(path) = wanted.socket() else { return Ok(None) };
        // One without a control socket, or one that does not answer there.
        match Place::of(Some(path)).and_then(|place| place.connect()) {
            Err(_) => Ok(None),
            Ok(_) => {
                let path = path.display();
                let why = format!("the daemon at {path} serves, but cannot be asked");
                Err(self.none(&why))
            }
        }
    }

    fn none(self, wanted: &impl fmt::Display) -> Failure {
        let refusals = self.refusals.join("; ");
        match refusals.as_str() {
            "" => Failure::new(NO_BRIDGE, format!("{wanted}")),
            why => Failure::new(NO_BRIDGE, format!("{wanted} ({why})")),
        }
    }
}

/// Asks a bridge for its state; `None`: it has ended meanwhile. An error is the reason why it does
/// not answer.
async fn ask(socket: BridgeSocket, limit: Duration) -> Result<Option<Bridge>, String> {
    let pid = socket.pid();
    let link = match reach(&socket) {
        Ok(link) => link,
        Err(_) if !socket.lives() => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match timeout(limit, link.status()).await {
        Ok(Ok(status)) => Ok(Some(Bridge { pid, link, status })),
        Ok(Err(_)) if !socket.lives() => Ok(None),
        Ok(Err(error)) => Err(format!("the bridge {pid}: {}", sentence(&error))),
        Err(_) => Err(format!("the bridge {pid} does not answer")),
    }
}

/// The bridge that a command line asks for.
enum Wanted {
    /// The one with this process id.
    Process(u32),
    /// The daemon at this socket.
    Daemon(PathBuf),
    /// The daemon at the socket of `connect`, or what there is; `None`: it has no place for one.
    Usual(Option<PathBuf>),
}

impl Wanted {
    fn of(which: &Which) -> Result<Wanted, Failure> {
        let named = which.socket.as_deref().filter(|path| *path != OsStr::new("auto"));
        Ok(match (which.bridge, named) {
            (Some(pid), _) => Wanted::Process(pid),
            (None, Some(path)) => {
                let path = std::path::absolute(Path::new(path));
                let bad = |error| Failure::new(UNUSABLE, format!("--socket: {error}"));
                Wanted::Daemon(path.map_err(bad)?)
            }
            (None, None) => {
                let of_file = if which.socket.is_some() { None } else { socket_of_connect() };
                let of_user = || Place::of(None).ok().map(|place| place.socket());
                Wanted::Usual(of_file.or_else(of_user))
            }
        })
    }

    /// The socket of the daemon that is meant.
    fn socket(&self) -> Option<&Path> {
        match self {
            Wanted::Process(_) => None,
            Wanted::Daemon(path) => Some(path),
            Wanted::Usual(path) => path.as_deref(),
        }
    }

    /// Whether a bridge is the daemon that is meant.
    fn is_daemon(&self, bridge: &Bridge) -> bool {
        let socket = bridge.status.bridge.socket.as_deref().map(Path::new);
        socket.is_some() && socket == self.socket()
    }
}

/// The socket that `connect` would use, where the environment or the configuration file names one.
/// A configuration that is refused is no reason to see nothing.
pub(in crate::cli) fn socket_of_connect() -> Option<PathBuf> {
    let environment = ProcessEnvironment::of_process();
    let resolved = resolve::resolve(Mode::Connect, &Flags::default(), &environment).ok()?;
    std::path::absolute(resolved.settings.socket?).ok()
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Process(pid) => write!(f, "there is no bridge with the process id {pid}"),
            Wanted::Daemon(path) => write!(f, "there is no daemon at {}", path.display()),
            Wanted::Usual(_) => f.write_str("there is no bridge of this user on this machine"),
        }
    }
}

/// The one bridge that is meant.
///
/// # Errors
/// If there are several.
pub(super) fn only(mut bridges: Vec<Bridge>) -> Result<Bridge, Failure> {
    match (bridges.len(), bridges.pop()) {
        (1, Some(bridge)) => Ok(bridge),
        (count, last) => {
            let pids = bridges.iter().chain(&last).map(|bridge| bridge.pid().to_string());
            let pids = pids.collect::<Vec<_>>().join(", ");
            let why = format!("{count} bridges run ({pids}); name one: --bridge PID");
            Err(Failure::new(UNUSABLE, why))
        }
    }
}

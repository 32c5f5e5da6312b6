//! The start of one agent: what is started, from where, and for which agent of the
//! configuration.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::sys::stat::{Mode, umask};

use super::program::resolve;
use super::start_fault::not_started;
use crate::agent_environment::Variables;
use crate::own_process::set_descriptor_limit;
use crate::runtime::setup::AgentSetup;
use crate::runtime::surroundings::Surroundings;

/// The longest path that the system takes, in bytes.
pub(super) const LONGEST_PATH: usize = 4096;

/// The `PATH` of a client that has none, as `execvp` takes it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The start of one agent.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The agent that is started.
    pub(super) agent: Rc<AgentSetup>,
    /// The surroundings of the client that causes the start.
    pub(super) of_client: Rc<Surroundings>,
    /// The directory of that client, by which a relative command is found.
    pub(super) home: PathBuf,
    /// The directory in which the agent starts.
    pub(super) cwd: OsString,
    /// The cookie of its channel.
    pub(super) cookie: String,
    /// The limit on open descriptors that it gets; `None`: that of the bridge.
    pub(super) descriptor_limit: Option<u64>,
}

impl Start {
    /// The environment of the agent, without the cookie of its channel and `PWD`.
    pub(super) fn environment(&self) -> Variables {
        self.agent.passing.apply(&self.of_client.variables)
    }

    /// The absolute path of the agent's program.
    ///
    /// # Errors
    /// The message that says why it cannot be run.
    pub(super) fn program(&self) -> Result<PathBuf, String> {
        program(&self.agent, &self.of_client.variables, &self.home)
    }

    /// The absolute path of a program that the agent's own may run.
    ///
    /// # Errors
    /// The message that says why it cannot be run.
    pub(super) fn program_named(&self, name: &OsStr) -> Result<PathBuf, String> {
        located(name, &self.agent, &self.of_client.variables, &self.home)
    }

    /// Whether the files of this start are found as those of another are.
    pub(super) fn finds_the_same_as(&self, other: &Start) -> bool {
        Rc::ptr_eq(&self.agent, &other.agent)
            && Rc::ptr_eq(&self.of_client, &other.of_client)
            && (&self.home, &self.cwd) == (&other.home, &other.cwd)
    }

    /// The preparation of a forked process that is about to be the agent or its keeper: it gets
    /// the limits of the client, not those of the bridge. It allocates nothing.
    pub(super) fn preparation(&self) -> impl Fn() -> io::Result<()> + Send + Sync + use<> {
        let mask = self.of_client.umask.map(|bits| Mode::from_bits_truncate(bits as _));
        let descriptor_limit = self.descriptor_limit;
        move || {
            if let Some(mask) = mask {
                umask(mask);
            }
            descriptor_limit.map_or(Ok(()), set_descriptor_limit)
        }
    }

    /// The program as the command names it.
    #[cfg(target_os = "linux")]
    pub(super) fn name(&self) -> &OsStr {
        self.agent.command.first().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

/// The absolute path of the program of an agent, for a client with this environment in this
/// directory.
///
/// # Errors
/// The message that says why it cannot be run.
pub fn program(agent: &AgentSetup, of_client: &Variables, home: &Path) -> Result<PathBuf, String> {
    if let Some(program) = &agent.program {
        return located(program.as_os_str(), agent, of_client, home);
    }
    match agent.command.first() {
        Some(name) => located(name, agent, of_client, home),
        None => Err("no command was given".to_owned()),
    }
}

fn located(
    name: &OsStr,
    agent: &AgentSetup,
    of_client: &Variables,
    home: &Path,
) -> Result<PathBuf, String> {
    // A PATH that was set for the agent comes first.
    let own = agent.passing.apply(of_client);
    let set = path_of(&own).and_then(|path| resolve(name, home, path).ok());
    // Otherwise that of the client, whatever the agent gets.
    let path = path_of(of_client).unwrap_or(OsStr::new(DEFAULT_PATH));
    set.map_or_else(|| resolve(name, home, path), Ok)
        .map_err(|error| not_started(name, None, &error))
}

fn path_of(variables: &Variables) -> Option<&OsStr> {
    variables.iter().find(|(name, _)| *name == "PATH").map(|(_, path)| path.as_os_str())
}

//! A login in a terminal: this process is replaced by the agent.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::agent_environment::{self, EnvironmentRules};

/// Whether stdin and stdout are terminals, so that a person, and not an editor, uses this
/// process. For a login, editors run the bridge's own command line again in a terminal,
/// with more arguments.
pub(super) fn in_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Replaces this process by the agent, with the terminal, all arguments, and the environment
/// that the bridge would give it, so that a login is stored where a bridged agent looks for
/// it. Must be called before any thread is started.
///
/// # Errors
///
/// It returns only if the agent could not be started, and says why.
pub fn login_start(agent: &[OsString], rules: &EnvironmentRules) -> io::Error {
    let Some((program, arguments)) = agent.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command");
    };
    // `exec` starts no child that would have to be ended: this process is replaced.
    #[allow(clippy::disallowed_methods)]
    let mut command = Command::new(program);
    let variables = rules.apply_in_terminal(&agent_environment::of_process());
    command.args(arguments).env_clear().envs(variables).exec()
}

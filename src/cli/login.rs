//! A login in a terminal: this process is replaced by the agent.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Whether stdin and stdout are terminals, so that a person, and not an editor, uses this
/// process. For a login, editors run the bridge's own command line again in a terminal,
/// with more arguments.
pub(super) fn in_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Replaces this process by the agent, with the terminal, the environment and
/// all arguments as they are. Must be called before any thread is started.
///
/// # Errors
///
/// It returns only if the agent could not be started, and says why.
pub fn login_start(agent: &[OsString]) -> io::Error {
    let Some((program, arguments)) = agent.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command");
    };
    // `exec` starts no child that would have to be ended: this process is replaced.
    #[allow(clippy::disallowed_methods)]
    let mut command = Command::new(program);
    command.args(arguments).exec()
}

//! A login in a terminal: the agent takes our place.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Whether a person, not an editor, sits at the other end: editors log in by
/// running our command line again, with more arguments, in a terminal.
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
    // No child to look after comes of this: it is the process that we are.
    #[allow(clippy::disallowed_methods)]
    let mut command = Command::new(program);
    command.args(arguments).exec()
}

//! The output of commands other than `run`. They may use stdout, which in a bridge
//! carries ACP.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints the output of a command. If the reader has closed the pipe, it has read
/// enough: that is a success.
pub(super) fn output(bytes: &[u8]) -> ExitCode {
    part(bytes).err().unwrap_or(ExitCode::SUCCESS)
}

/// Prints a part of the output of a command that goes on.
///
/// # Errors
/// The exit code of the command if nobody reads any more, or if nothing can be written.
pub(super) fn part(bytes: &[u8]) -> Result<(), ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ExitCode::SUCCESS),
        Err(error) => Err(failure(&format_args!("the output cannot be written: {error}"), 1)),
    }
}

/// Says on stderr why the command fails, and returns the exit code `code`.
pub(super) fn failure(reason: &dyn Display, code: u8) -> ExitCode {
    // If stderr cannot be written either, the exit code alone must tell.
    let _ = writeln!(io::stderr().lock(), "error: {reason}");
    ExitCode::from(code)
}

/// Says on stderr what happens, and goes on.
pub(super) fn note(what: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "drawbridge: {what}");
}

/// Says on stderr what is probably wrong, and goes on.
pub(super) fn warning(reason: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "warning: {reason}");
}

//! What commands other than `run` say: to stdout, which is theirs.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints the output of a command. A reader that has left had enough of it.
pub(super) fn output(bytes: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(&format_args!("the output cannot be written: {error}"), 1),
    }
}

/// Says on stderr why the command ends here, and ends it with `code`.
pub(super) fn failure(reason: &dyn Display, code: u8) -> ExitCode {
    // If stderr is gone too, the exit code has to do.
    let _ = writeln!(io::stderr().lock(), "error: {reason}");
    ExitCode::from(code)
}

//! The life of the process: arguments → configuration → logs → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a keeper has other arguments, and needs nothing of the rest.
    #[cfg(target_os = "linux")]
    if drawbridge::keeper::is_called() {
        return drawbridge::keeper::main();
    }
    drawbridge::cli::main()
}

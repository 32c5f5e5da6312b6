//! The life of the process: arguments → configuration → logs → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a keeper is small, and has other arguments.
    #[cfg(target_os = "linux")]
    if drawbridge::keeper::is_called() {
        return drawbridge::keeper::main();
    }
    drawbridge::cli::main()
}

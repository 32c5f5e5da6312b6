//! The life of the process: arguments → configuration → logs → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    drawbridge::cli::main()
}

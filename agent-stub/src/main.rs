//! The program around the library: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_stub::run(std::env::args().skip(1))
}

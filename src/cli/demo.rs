//! `drawbridge demo`: a whole conversation in front of your eyes.
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the demonstration.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}

/// The demonstration's agent.
pub fn agent(arguments: Vec<OsString>) -> ExitCode {
    agent_stub::run(arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()))
}

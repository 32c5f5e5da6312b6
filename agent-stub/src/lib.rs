//! A deterministic agent that speaks the Agent Client Protocol (version 1) over stdio.
//!
//! It serves the tests of a bridge between editors and agents: the text of a prompt is a
//! script, one command a line, and flags give the agent its good and bad manners.
//! `agent-stub --help` lists both.
//!
//! The main thread reads stdin; every turn runs in a thread of its own; whatever a thread waits
//! for is a change of the one shared state. Frames leave through one locked writer.
#![allow(
    clippy::disallowed_methods,
    reason = "a test double starts processes, reads the clock and sleeps in its own plain way"
)]

mod agent;
mod commands;
mod errands;
mod faults;
mod help;
mod inbox;
mod manners;
mod message;
mod methods;
mod script;
mod speech;
mod store;
mod suggesting;
mod turn;
mod turns;
mod wire;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use agent::Agent;
use manners::{Invocation, Manners};
use wire::Wire;

/// Runs the agent with these arguments (the program's name left out) until it leaves.
///
/// It owns stdin and stdout of the process meanwhile. Turns may still be running when it
/// returns: the caller is expected to end the process with the code it gets.
pub fn run(args: impl Iterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.collect();
    match manners::parse(&args) {
        Ok(Invocation::Help) => print(&help::text()),
        Ok(Invocation::Version) => print(concat!("agent-stub ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Invocation::Grandchild(kind)) => faults::be_grandchild(&kind),
        Ok(Invocation::Serve(manners)) => {
            serve(*manners, faults::relaunch_prefix(&args)).unwrap_or_else(|e| complain(&e))
        }
        Err(complaint) => complain(&format!("{complaint} (--help lists all flags)")),
    }
}

/// Reads line after line until stdin ends.
fn serve(manners: Manners, relaunch: Vec<String>) -> Result<ExitCode, String> {
    let wire = Wire::open(manners.log.as_deref())?;
    wire.note(&format!("= start {}", std::process::id()));
    if manners.deaf_term {
        faults::ignore_sigterm();
    }
    for line in &manners.stderr {
        faults::stderr_line(line);
    }
    if manners.garbage_at_start {
        wire.send(faults::GARBAGE);
    }
    let agent = Arc::new(Agent::new(manners, relaunch, wire, inbox::handle)?);

    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    while matches!(stdin.read_until(b'\n', &mut line), Ok(1..)) {
        inbox::receive(&agent, &line);
        line.clear();
    }
    agent.wire.note("= eof");
    if agent.manners.deaf_stdin {
        loop {
            thread::park();
        }
    }
    thread::sleep(agent.manners.linger);
    agent.wire.note("= exit");
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(message: &str) -> ExitCode {
    faults::stderr_line(&format!("agent-stub: {message}"));
    ExitCode::from(2)
}

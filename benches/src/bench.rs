//! The measuring harness: what does a process in the middle cost?
//!
//! | role | what it is |
//! |---|---|
//! | `bench run` | the client, and the whole table; with `--out docs` it writes `docs/performance.md` |
//! | `bench agent` | a raw agent on stdio |
//! | `bench relay -- CMD…` | copies bytes between its client and a command |
//! | `bench host SOCKET SHARE` | a bridge for many clients, in front of a raw agent |
//! | `bench fairness` | round trips beside floods, alone: quick to look at |
//! | `bench speed` | round trips and floods on every path, alone: quick to look at |
//! | `bench core` | what an event costs in the core, alone: for a profiler to look at |
//! | `bench allocations` | counts what a frame costs on the hot path, and compares |
//! | `bench soak` | a long run with faults at random; looks at what is left, not at time |
//! | `bench town` | the same for the daemon: very many editors, and deaths of all kinds |
//!
//! It is never shipped. `docs/performance.md` says how it is measured.

// A tool: it reads the clock, starts programs, and tells a person what it found.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod agent;
mod allocations;
mod client;
mod host;
mod lines;
mod machine;
mod measure;
mod paths;
mod payload;
mod pictures;
mod process;
mod relay;
mod report;
mod soak;
mod stand;
mod stats;
mod targets;
mod text;
mod town;
mod units;

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use agent::Manners;
use measure::{Effort, Figures, Lab};
use paths::Programs;
use report::Report;

const USAGE: &str = "\
usage: bench run [--quick] [--out FOLDER] [--drawbridge PATH] [--conductor PATH] [--install-conductor]
       bench agent [--stuck]
       bench relay -- COMMAND…
       bench host SOCKET SHARE
       bench core [ROUNDS]
       bench fairness
       bench speed
       bench memory
       bench allocations [--write]
       bench soak [SECONDS [SEED]]
       bench town [SECONDS [SEED]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["agent"] => agent::run(Manners::Polite),
        ["agent", "--stuck"] => agent::run(Manners::Stuck),
        ["relay", "--", ..] => relay::run(&arguments[2..]),
        ["host", socket, share] => host::run(socket, share),
        ["fairness"] => fairness(),
        ["speed"] => speed(),
        ["memory"] => memory(),
        ["core"] => measure::core::look(1_000),
        ["core", rounds] => number(rounds).and_then(measure::core::look),
        ["allocations"] => allocations::run(false),
        ["allocations", "--write"] => allocations::run(true),
        ["soak"] => soak::run(600, 1),
        ["soak", seconds] => number(seconds).and_then(|seconds| soak::run(seconds, 1)),
        ["soak", seconds, seed] => {
            number(seconds).and_then(|seconds| soak::run(seconds, number(seed)?))
        }
        ["town"] => town::run(300, 1),
        ["town", seconds] => number(seconds).and_then(|seconds| town::run(seconds, 1)),
        ["town", seconds, seed] => {
            number(seconds).and_then(|seconds| town::run(seconds, number(seed)?))
        }
        ["run", ..] => Options::read(&arguments[1..]).and_then(|options| options.run()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures of fairness alone.
fn fairness() -> io::Result<()> {
    let programs = Programs::find(None, None)?;
    machine::pin()?;
    let lab = Lab { programs, effort: Effort::Quick };
    println!("{:#?}", measure::crowd::measure(&lab)?);
    println!("{:#?}", measure::fairness::measure(&lab)?);
    println!("{:#?}", measure::many::measure(&lab)?);
    Ok(())
}

/// Prints the round trips and floods on every path.
fn speed() -> io::Result<()> {
    let programs = Programs::find(None, None)?;
    machine::pin()?;
    let lab = Lab { programs, effort: Effort::Quick };
    println!("{:#?}", measure::speed::measure(&lab)?);
    Ok(())
}

/// Prints the figures of memory alone.
fn memory() -> io::Result<()> {
    let programs = Programs::find(None, None)?;
    machine::pin()?;
    let lab = Lab { programs, effort: Effort::Quick };
    println!("{:#?}", measure::memory::measure(&lab)?);
    Ok(())
}

fn number(word: &str) -> io::Result<u64> {
    word.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, USAGE))
}

/// The options of `bench run`.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    install: bool,
    drawbridge: Option<PathBuf>,
    conductor: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Options {
    fn read(arguments: &[String]) -> io::Result<Options> {
        let mut options = Options::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--install-conductor" => options.install = true,
                "--drawbridge" => options.drawbridge = rest.next().map(PathBuf::from),
                "--conductor" => options.conductor = rest.next().map(PathBuf::from),
                "--out" => options.out = rest.next().map(PathBuf::from),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, USAGE)),
            }
        }
        Ok(options)
    }

    fn run(self) -> io::Result<()> {
        if self.install {
            paths::install_conductor()?;
        }
        let programs = Programs::find(self.drawbridge, self.conductor)?;
        if programs.conductor.is_none() {
            eprintln!("no {}: left out (--install-conductor installs it)", paths::CONDUCTOR);
        }
        let cpu = machine::pin()?;
        let facts = machine::facts(&programs, cpu)?;
        let effort = if self.quick { Effort::Quick } else { Effort::Full };
        let lab = Lab { programs, effort };
        let figures = Figures::measure(&lab)?;
        let report = Report { facts, lines: targets::lines(&figures), figures: &figures };
        print!("{}", report.text());
        self.out.map_or(Ok(()), |folder| report.write(&folder))
    }
}

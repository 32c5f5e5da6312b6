//! The command line: from arguments to one command and its exit code.
//!
//! It knows every option and where its value came from, and hands on checked
//! [`Settings`]. Nothing here touches the protocol.

mod args;
pub mod demo;
mod error;
mod file;
mod kinds;
mod login;
mod manual;
mod near;
mod numbers;
mod options;
mod print;
mod process_environment;
mod resolve;
mod run;
mod settings;
mod show;
mod variable_kinds;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use self::args::{CommandLine, Flags, RunArgs, Subcommands};
pub use self::error::{ConfigError, Origin};
pub use self::login::login_start;
use self::process_environment::ProcessEnvironment;
use self::resolve::Resolved;
pub use self::settings::Settings;

/// The exit code of a command line or configuration that is refused.
const USAGE: u8 = 2;
/// The exit codes of shells for a command that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let mut arguments = env::args_os().peekable();
    let program = arguments.next().unwrap_or_else(|| "drawbridge".into());
    // `demo-agent` is for `drawbridge demo` alone; it reads its own arguments.
    if arguments.next_if(|first| first == "demo-agent").is_some() {
        return demo::agent(arguments.collect());
    }
    match CommandLine::try_parse_from([program].into_iter().chain(arguments)) {
        Ok(line) => dispatch(line),
        Err(error) => explain(&error),
    }
}

fn dispatch(line: CommandLine) -> ExitCode {
    match line.command {
        None => run_agent(line.run),
        Some(Subcommands::Run(run)) => run_agent(run),
        Some(Subcommands::Config(flags)) => show_config(&flags),
        Some(Subcommands::Demo) => demo::run(),
        Some(Subcommands::Completions { shell }) => completions(shell),
        Some(Subcommands::Man) => print_manual(),
    }
}

fn run_agent(run: RunArgs) -> ExitCode {
    let resolved = resolve::resolve(&run.flags, &ProcessEnvironment::of_process()).and_then(
        |Resolved { settings, unknown, .. }| Ok((settings.with_agent(run.agent)?, unknown)),
    );
    let (settings, unknown) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return print::failure(&error, USAGE),
    };
    if !run.acp && login::in_terminal() {
        return log_in(&settings.agent);
    }
    run::run(settings, &unknown)
}

fn log_in(agent: &[OsString]) -> ExitCode {
    let error = login_start(agent);
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    let program = agent.first().cloned().unwrap_or_default();
    print::failure(&format_args!("cannot start {}: {error}", program.display()), code)
}

fn show_config(flags: &Flags) -> ExitCode {
    match resolve::resolve(flags, &ProcessEnvironment::of_process()) {
        Ok(resolved) => {
            resolved.unknown.iter().for_each(|unknown| print::warning(unknown));
            print::output(show::table(&resolved).as_bytes())
        }
        Err(error) => print::failure(&error, USAGE),
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "drawbridge", &mut script);
    print::output(&script)
}

fn print_manual() -> ExitCode {
    match manual::page() {
        Ok(page) => print::output(&page),
        Err(error) => print::failure(&error, 1),
    }
}

/// Prints the error of the parser, or the help or version that was asked for.
fn explain(error: &clap::Error) -> ExitCode {
    // If the reader has closed the pipe, it has read enough.
    let _ = error.print();
    if let Some(tip) = args::tip(error) {
        let _ = io::stderr().lock().write_all(tip.as_bytes());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

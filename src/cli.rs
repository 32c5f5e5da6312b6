//! The command line: from arguments to one command and its exit code.
//!
//! It knows every option and where its value came from, and hands on checked
//! [`Settings`]. Nothing here touches the protocol.

mod address_kinds;
mod args;
mod check;
mod commands;
mod config_file;
mod connect;
mod control_socket;
pub mod demo;
mod editor;
mod end_signals;
mod error;
mod exit_code;
mod file;
mod file_text;
mod kinds;
mod login;
mod manual;
mod mode;
mod named_agents;
mod near;
mod numbers;
mod options;
mod or_without;
mod path_kinds;
mod print;
mod process_environment;
#[cfg(target_os = "linux")]
mod process_sight;
mod reload;
mod resolve;
mod run;
mod rust_log;
mod scratch;
mod serve;
mod settings;
mod show;
mod startup_line;
mod tools;
mod trace;
mod trace_file;
mod variable_kinds;
mod warning;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use nix::unistd::{geteuid, getuid};

use self::args::Flags;
use self::commands::{CommandLine, ConnectArgs, RunArgs, Subcommands};
pub use self::error::{ConfigError, Origin};
use self::exit_code::{NOT_FOUND, NOT_RUN, UNUSABLE, USAGE};
pub use self::login::login_start;
use self::mode::Mode;
use self::process_environment::ProcessEnvironment;
use self::resolve::Resolved;
pub use self::settings::Settings;
use crate::shim::start::{STARTER, starter};

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    if geteuid() != getuid() {
        // Its variables and files would be those of the one user, its rights of the other.
        return print::failure(&"drawbridge must not be a set-user-id program", UNUSABLE);
    }
    let mut arguments = env::args_os().peekable();
    let program = arguments.next().unwrap_or_else(|| "drawbridge".into());
    // `demo-agent` is for `drawbridge demo` alone; it reads its own arguments.
    if arguments.next_if(|first| first == "demo-agent").is_some() {
        return demo::agent(arguments.collect());
    }
    // That one is for `drawbridge connect` alone.
    if arguments.next_if(|first| first == STARTER).is_some() {
        return starter(&arguments.collect::<Vec<_>>());
    }
    let first = arguments.peek().cloned();
    let arguments = args::divided(arguments.collect());
    match CommandLine::try_parse_from([program].into_iter().chain(arguments)) {
        Ok(line) => dispatch(line),
        Err(error) => explain(&error, first.as_deref()),
    }
}

fn dispatch(line: CommandLine) -> ExitCode {
    match line.command {
        None => run_agent(line.run),
        Some(Subcommands::Run(run)) => run_agent(run),
        Some(Subcommands::Serve(serve)) => serve::serve(serve),
        Some(Subcommands::Connect(connect)) => connect_editor(connect),
        Some(Subcommands::Check(check)) => check::check(check),
        Some(Subcommands::Reload(reload)) => reload::reload(reload.socket),
        Some(Subcommands::Tool(tool)) => tools::run(tool),
        Some(Subcommands::Trace(arguments)) => trace::trace(&arguments),
        Some(Subcommands::Config(flags)) => show_config(&flags.0),
        Some(Subcommands::Demo) => demo::run(),
        Some(Subcommands::Completions { shell }) => completions(shell),
        Some(Subcommands::Man) => print_manual(),
    }
}

fn run_agent(run: RunArgs) -> ExitCode {
    let environment = ProcessEnvironment::of_process();
    let resolved = resolve::resolve(Mode::Run, &run.flags.0, &environment).and_then(
        |Resolved { settings, warnings, origins, .. }| {
            Ok((settings.with_agent(run.rest)?, warnings, origins))
        },
    );
    let (settings, warnings, origins) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return print::failure(&error, USAGE),
    };
    if !run.acp && login::in_terminal() {
        return log_in(&settings);
    }
    let values = show::values(Mode::Run, &settings, &origins);
    run::run(settings, &warnings, values)
}

fn connect_editor(arguments: ConnectArgs) -> ExitCode {
    let environment = ProcessEnvironment::of_process();
    let resolved = match resolve::resolve(Mode::Connect, &arguments.flags.0, &environment) {
        Ok(resolved) => resolved,
        Err(error) => return print::failure(&error, USAGE),
    };
    if !arguments.acp && login::in_terminal() {
        return match resolved.settings.with_agent(arguments.rest) {
            Ok(settings) => log_in(&settings),
            Err(error) => print::failure(&error, USAGE),
        };
    }
    connect::connect(resolved, arguments)
}

fn log_in(settings: &Settings) -> ExitCode {
    let agent = &settings.agent;
    print::note(&format_args!(
        "stdin and stdout are a terminal, so drawbridge steps aside for {}; with --acp it serves \
         an editor here",
        settings.config.agent.name
    ));
    let error = login_start(agent, &settings.passing);
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    let program = agent.first().cloned().unwrap_or_default();
    print::failure(&format_args!("cannot start {}: {error}", program.display()), code)
}

fn show_config(flags: &Flags) -> ExitCode {
    let environment = ProcessEnvironment::of_process();
    let of = |mode| resolve::resolve(mode, &flags.of(mode), &environment);
    match of(Mode::Run).and_then(|run| Ok((run, of(Mode::Serve)?))) {
        Ok((run, serve)) => {
            run.warnings.iter().for_each(|warning| print::warning(warning));
            print::output(show::table(&run, &serve).as_bytes())
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

/// Prints the error of the parser, or the help or version that was asked for. `first` is the
/// first argument.
fn explain(error: &clap::Error, first: Option<&OsStr>) -> ExitCode {
    // If the reader has closed the pipe, it has read enough.
    let _ = error.print();
    if let Some(tip) = commands::tip(error, first) {
        let _ = io::stderr().lock().write_all(tip.as_bytes());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

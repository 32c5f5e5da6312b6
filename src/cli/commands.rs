//! The command line: every command, with its arguments.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::args::{FlagsOf, OfConnect, OfRun, OfServe};
use super::near::nearest;
use super::numbers::millis;
use super::tools::args::Tool;

/// One ACP endpoint in front of many agent processes: shared, closed when idle,
/// never orphaned.
#[derive(Debug, Parser)]
#[command(
    name = "drawbridge",
    version,
    args_conflicts_with_subcommands = true,
    next_line_help = true,
    max_term_width = 100,
    override_usage = "drawbridge [OPTIONS] -- AGENT [ARGS]...\n       \
                      drawbridge [OPTIONS] --agent NAME [ARGS]...\n       \
                      drawbridge <COMMAND>",
    after_help = PRECEDENCE
)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Option<Subcommands>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// Ends the help, and is a section of the manual page.
pub(super) const PRECEDENCE: &str = "\
Every option except --acp and --agent is also an environment variable (DRAWBRIDGE_MAX_SESSIONS)
and, except --config, a key of the table [defaults] in the configuration file (max-sessions = 8).
A flag wins over a variable, a variable over the file. With --agent NAME the table [agents.NAME]
wins over [defaults]; it has command, args, env, and the options that are about one agent.
A DURATION has units (250ms, 30s, 1h30m, 5 minutes) or is a whole number of milliseconds.
An option that ends in -ms has an alias without it, as flag, variable and key.";

#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// Connect an editor on stdin and stdout with the agent; the same without `run`
    #[command(
        next_line_help = true,
        override_usage = "drawbridge run [OPTIONS] -- AGENT [ARGS]...\n       \
                          drawbridge run [OPTIONS] --agent NAME [ARGS]...",
        after_help = PRECEDENCE
    )]
    Run(RunArgs),
    /// Run the daemon, on whose agents the editors that use connect work together
    #[command(next_line_help = true, after_help = PRECEDENCE)]
    Serve(ServeArgs),
    /// Connect an editor on stdin and stdout with the daemon, which is started if there is none
    #[command(
        next_line_help = true,
        override_usage = "drawbridge connect [OPTIONS] -- AGENT [ARGS]...\n       \
                          drawbridge connect [OPTIONS] --agent NAME [ARGS]...",
        after_help = PRECEDENCE
    )]
    Connect(ConnectArgs),
    /// Check whether an agent works, and print the settings of editors for it
    #[command(
        next_line_help = true,
        override_usage = "drawbridge check [OPTIONS] -- AGENT [ARGS]...\n       \
                          drawbridge check [OPTIONS] --agent NAME [ARGS]...",
        after_help = PRECEDENCE
    )]
    Check(CheckArgs),
    /// Make the daemon read its configuration file again
    Reload(ReloadArgs),
    /// The commands that look at running bridges and steer them
    #[command(flatten)]
    Tool(Tool),
    /// Show the trace that --trace-frames has written, session by session
    Trace(TraceArgs),
    /// Print the value of every option and its origin
    #[command(next_line_help = true, after_help = PRECEDENCE)]
    Config(FlagsOf<OfRun>),
    /// Show a conversation with a built-in agent
    Demo,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// The arguments of `run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) flags: FlagsOf<OfRun>,
    /// Serve as a bridge also if stdin and stdout are terminals. Otherwise drawbridge runs the
    /// agent in its own place there, so that a person can log in [default: off]
    #[arg(long, help_heading = "Messages")]
    pub(super) acp: bool,
    /// The agent's command and its arguments; with --agent, more arguments
    #[arg(last = true, value_name = "AGENT")]
    pub(super) rest: Vec<OsString>,
}

/// The arguments of `connect`.
#[derive(Args, Debug)]
pub(super) struct ConnectArgs {
    #[command(flatten)]
    pub(super) flags: FlagsOf<OfConnect>,
    /// Serve an editor also if stdin and stdout are terminals. Otherwise drawbridge runs the
    /// agent in its own place there, so that a person can log in [default: off]
    #[arg(long, help_heading = "Messages")]
    pub(super) acp: bool,
    /// The agent's command and its arguments; with --agent, more arguments
    #[arg(last = true, value_name = "AGENT")]
    pub(super) rest: Vec<OsString>,
}

/// The arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) flags: FlagsOf<OfRun>,
    /// Also run a turn with this prompt, in an empty directory, and restore its session in another
    /// process of the agent. The turn may cost money; every request for a permission is rejected
    /// [default: no turn]
    #[arg(long, value_name = "TEXT", help_heading = "Check")]
    pub(super) prompt: Option<String>,
    /// Time for each answer of the agent [default: 10s for the first one, or 5m if a package may be
    /// fetched; 2m for the others]
    #[arg(long, value_name = "DURATION", value_parser = wait, help_heading = "Check")]
    pub(super) wait: Option<Duration>,
    /// The agent's command and its arguments; with --agent, more arguments
    #[arg(last = true, value_name = "AGENT")]
    pub(super) rest: Vec<OsString>,
}

/// The arguments of `trace`.
#[derive(Args, Debug)]
pub(super) struct TraceArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Only the session with this id
    #[arg(long, value_name = "SESSION")]
    pub(super) session: Option<String>,
    /// Also the messages, if the file holds them (--trace-payloads)
    #[arg(long)]
    pub(super) payloads: bool,
}

fn wait(text: &str) -> Result<Duration, &'static str> {
    let millis = millis(OsStr::new(text)).filter(|millis| *millis > 0);
    let refused = "give a duration of at least 1ms, such as 30s or 5m";
    millis.map(Duration::from_millis).ok_or(refused)
}

/// The arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) flags: FlagsOf<OfServe>,
    /// Started by `connect`: say on stdout when the socket is there, let go of stdio, and end when
    /// nobody uses the daemon for a while
    #[arg(long, hide = true)]
    pub(super) for_connect: bool,
}

/// The arguments of `reload`.
#[derive(Args, Debug)]
pub(super) struct ReloadArgs {
    /// The daemon at this socket [default: that of connect, by the configuration file or the user]
    #[arg(long, value_name = "PATH", env = "DRAWBRIDGE_SOCKET", hide_env_values = true)]
    pub(super) socket: Option<OsString>,
}

/// A tip behind an error of the parser, for the mistakes that the parser does not explain:
/// a misspelled command, a command behind options, and an agent without dashes. `first` is
/// the first argument.
pub(super) fn tip(error: &clap::Error, first: Option<&OsStr>) -> Option<String> {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return None,
    };
    let Some(ContextValue::String(stranger)) = error.get(kind) else { return None };
    if stranger.starts_with('-') {
        return None;
    }
    let mut commands = CommandLine::command();
    commands.build();
    let names: Vec<&str> = commands.get_subcommands().map(Command::get_name).collect();
    let is_first = first == Some(OsStr::new(stranger));
    match first.and_then(OsStr::to_str) {
        Some(command @ ("connect" | "check")) => Some(format!(
            "An agent's command stands after --: drawbridge {command} -- {stranger}\n"
        )),
        // Behind another command but `run` no agent can be meant.
        Some(command) if names.contains(&command) && command != "run" => None,
        _ if names.contains(&stranger.as_str()) => {
            Some(format!("A command stands before its options: drawbridge {stranger} [OPTIONS]\n"))
        }
        _ => Some(match nearest(stranger, names).filter(|_| is_first) {
            Some(near) => format!("Did you mean the command drawbridge {near}?\n"),
            None => format!("An agent's command stands after --: drawbridge -- {stranger}\n"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_left_alone() {
        let line =
            CommandLine::try_parse_from(["drawbridge", "--share", "cwd", "--", "a", "--", "-h"]);
        let agent = line.map(|line| line.run.rest).unwrap_or_default();
        assert_eq!(agent, ["a", "--", "-h"]);
        let line =
            CommandLine::try_parse_from(["drawbridge", "run", "--acp", "--", "run", "--acp"]);
        match line.map(|line| line.command) {
            Ok(Some(Subcommands::Run(run))) => {
                assert!(run.acp);
                assert_eq!(run.rest, ["run", "--acp"]);
            }
            other => assert!(other.is_err(), "not a run"),
        }
    }
}

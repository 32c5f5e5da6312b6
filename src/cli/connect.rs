//! `drawbridge connect`: the shim between an editor and the daemon.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::stat::{Mode as FileMode, umask};

use super::commands::ConnectArgs;
use super::exit_code::{NO_AGENT, UNUSABLE, USAGE};
use super::mode::Mode;
use super::print::failure;
use super::process_environment::default_config_file;
use super::resolve::{Presence, Resolved};
use super::run;
use super::settings::Settings;
use super::show;
use super::warning::ConfigWarning;
use crate::agent_environment::{self, EnvironmentRules, OWN_PREFIX, Variables};
use crate::link::WIRE;
use crate::link::control::{Hello, Text, WantedAgent};
use crate::link::place::Place;
use crate::link::streams::TAKES_PIPES;
use crate::logs::Logs;
use crate::own_process;
use crate::runtime::{AgentSetup, program_of};
use crate::shim::{self, End, Meeting, ShimSetup};

/// The time in which a daemon must have welcomed the editor. Otherwise it is served embedded.
const WELCOME: Duration = Duration::from_secs(4);

/// Connects the editor with the daemon, or serves it embedded where there is none for it.
pub(super) fn connect(resolved: Resolved, arguments: ConnectArgs) -> ExitCode {
    own_process::withhold_inherited_descriptors();
    let Resolved { settings, mut warnings, file, origins, .. } = resolved;
    let named = arguments.flags.0.agent().map(|name| name.to_string_lossy().into_owned());
    // A daemon finds the default file of the user's record, and has to be told of any other.
    let file = file.filter(|file| file.presence != Presence::Absent).map(|file| file.path);
    let config = file.filter(|path| Some(path) != default_config_file().as_ref());
    let config = config.map(PathBuf::into_os_string);
    let rest = arguments.rest.clone();
    let settings = match settings.with_agent(arguments.rest) {
        Ok(settings) => settings,
        Err(error) => return failure(&error, USAGE),
    };
    let met = meeting(&settings, named, &rest, config).and_then(|meeting| {
        let (daemon, welcome) = meeting.meet(WELCOME, &[]).map_err(|error| error.to_string())?;
        Ok((meeting, daemon, welcome))
    });
    let (meeting, daemon, welcome) = match met {
        Ok(met) => met,
        Err(reason) => {
            warnings.push(ConfigWarning::NoDaemon { reason });
            let values = show::values(Mode::Run, &settings, &origins);
            return run::run(settings, &warnings, values);
        }
    };
    // Only now: the daemon has looked at this process.
    own_process::fit();
    let logs = match Logs::start(&settings.log) {
        Ok(logs) => logs,
        Err(error) => {
            return failure(&format_args!("the logs cannot be started: {error}"), UNUSABLE);
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    tracing::info!(
        "drawbridge {own} connects an editor with `{}` by the daemon {} at {}",
        settings.config.agent.name,
        welcome.pid,
        meeting.place.socket().display()
    );
    if welcome.version != own {
        tracing::warn!("the daemon is drawbridge {}, and {own} is installed", welcome.version);
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let setup = ShimSetup {
        meeting,
        orphan_timeout: settings.config.limits.orphan_timeout,
        max_frame_bytes: settings.max_frame_bytes,
    };
    let end = shim::serve(setup, daemon);
    logs.flush();
    match end {
        Ok(End::EditorGone) => ExitCode::SUCCESS,
        // The last line on stderr: some editors show that one.
        Ok(End::Ended(sentence)) => failure(&sentence, NO_AGENT),
        // Nobody reads stdout any more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(&format_args!("the connection cannot be served: {error}"), UNUSABLE),
    }
}

/// The way to the daemon, for this editor. An error is the reason why there is none.
fn meeting(
    settings: &Settings,
    named: Option<String>,
    rest: &[OsString],
    config: Option<OsString>,
) -> Result<Meeting, String> {
    let place = Place::of(settings.socket.as_deref());
    let place = place.map_err(|error| format!("there is no place for its socket: {error}"))?;
    let directory = env::current_dir().unwrap_or_else(|_| "/".into());
    let of_process = agent_environment::of_process();
    let texts =
        |words: &[OsString]| words.iter().map(|word| Text::from(word.as_os_str())).collect();
    let agent = match named {
        Some(name) => WantedAgent::Named { name, arguments: texts(rest) },
        None => WantedAgent::Command {
            words: texts(&command(settings, &of_process, &directory)),
            name: settings.agent_name.clone(),
        },
    };
    let environment = given(&settings.passing, &of_process).into_iter();
    let pair = |(name, value): (OsString, OsString)| {
        (Text::from(name.as_os_str()), Text::from(value.as_os_str()))
    };
    let absolute = |path: OsString| std::path::absolute(path).unwrap_or_default();
    let hello = Hello {
        wire: WIRE,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent,
        directory: Text::from(directory.as_os_str()),
        environment: environment.map(pair).collect(),
        umask: own_umask(),
        editor: shim::editor(),
        config: config.map(absolute).map(|path| Text::from(path.as_os_str())),
        adopts: false,
        pipes: TAKES_PIPES,
    };
    Ok(Meeting { place, socket: settings.socket.clone(), hello })
}

/// The environment that the daemon is told: what an agent would get of this process's.
fn given(rules: &EnvironmentRules, of_process: &Variables) -> Variables {
    let is_own = |name: &OsString| name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes());
    rules.apply(of_process).into_iter().filter(|(name, _)| !is_own(name)).collect()
}

/// The command of the agent. If the daemon is not told where programs are, this process finds it.
fn command(settings: &Settings, of_process: &Variables, directory: &Path) -> Vec<OsString> {
    let mut command = settings.agent.clone();
    let has_path = given(&settings.passing, of_process).iter().any(|(name, _)| name == "PATH");
    let own = AgentSetup { command: command.clone(), ..AgentSetup::default() };
    if !has_path && let Ok(program) = program_of(&own, of_process, directory) {
        command[0] = program.into();
    }
    command
}

/// The file mode creation mask of this process.
fn own_umask() -> u32 {
    // It can only be asked for by setting it.
    let mask = umask(FileMode::empty());
    umask(mask);
    mask.bits() as _
}

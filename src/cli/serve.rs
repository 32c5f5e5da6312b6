//! `drawbridge serve`: the daemon.

use std::env;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::stat::{Mode as FileMode, umask};
use tokio::sync::watch;

use super::args::Flags;
use super::commands::ServeArgs;
use super::control_socket::{self, Values};
use super::error::{ConfigError, Origin};
use super::exit_code::{SERVED, SURVIVORS, UNUSABLE, USAGE};
use super::mode::Mode;
use super::print::failure;
use super::process_environment::ProcessEnvironment;
use super::resolve::{self, Resolved};
use super::settings::Settings;
use super::show;
use super::startup_line;
use super::trace_file;
use crate::api::ConfigValue;
use crate::bridge::Limit;
use crate::daemon::{
    Configuration, DaemonSetup, NoSocket, Socket, given_listener, serve as serve_socket,
};
use crate::link::peer::{Namespaces, runs_inside_agent};
use crate::link::place::Place;
use crate::logs::Logs;
use crate::own_process;
use crate::runtime::{AgentSetup, Outcome, Setup};
use crate::shim::start::READY;

/// The time without use after which a daemon ends that `connect` has started.
const IDLE_FOR_CONNECT: Limit = Limit::After(900_000);

/// The options that are read at the start only, beside those of the log.
const FIXED: [&str; 12] = [
    "otlp-endpoint",
    "trace-frames",
    "trace-payloads",
    "socket",
    "control",
    "metrics-listen",
    "metrics-token-file",
    "allow-foreign-namespaces",
    "max-frame-bytes",
    "outbox-bytes",
    "outbox-total-bytes",
    "no-keeper",
];

/// The files that a daemon makes are the user's alone. Agents get the mask of their editor.
const OWN_FILES: FileMode = FileMode::S_IRWXG.union(FileMode::S_IRWXO);

/// Runs the daemon until its end.
pub(super) fn serve(arguments: ServeArgs) -> ExitCode {
    // First of all: its number may be that of the next descriptor.
    let given = match given_listener() {
        Ok(given) => given,
        Err(error) => return failure(&format_args!("the daemon cannot run: {error}"), UNUSABLE),
    };
    own_process::fit();
    own_process::withhold_inherited_descriptors();
    if let Err(reason) = own_process::check_free_descriptors() {
        return failure(&format_args!("the daemon cannot run: {reason}"), UNUSABLE);
    }
    umask(OWN_FILES);
    own_process::set_name(c"drawbridge");
    let (flags, for_connect) = (arguments.flags.0, arguments.for_connect);
    let resolved = match resolved(&flags, for_connect) {
        Ok(resolved) => resolved,
        Err(error) => return failure(&error, USAGE),
    };
    // It is read again from another directory.
    let named = resolved.file.as_ref().filter(|file| file.origin != Origin::Default);
    let flags = match named {
        Some(file) => flags.reading(&file.path),
        None => flags,
    };
    if for_connect && runs_inside_agent() {
        return failure(&"a daemon must not run inside of the process tree of an agent", UNUSABLE);
    }
    let socket = match take_socket(&resolved.settings, given) {
        Ok(socket) => socket,
        // Another `connect` was faster.
        Err(NoSocket::Served(_)) if for_connect => {
            let _ = announce();
            return ExitCode::SUCCESS;
        }
        Err(error @ NoSocket::Served(_)) => return failure(&error, SERVED),
        Err(error) => return failure(&error, UNUSABLE),
    };
    let logs = match Logs::start(&resolved.settings.log) {
        Ok(logs) => logs,
        Err(error) => {
            return failure(&format_args!("the logs cannot be started: {error}"), UNUSABLE);
        }
    };
    let log = logs.place();
    let descriptor_limit = own_process::raise_descriptor_limit();
    tracing::info!(
        "{}",
        startup_line::served(&resolved.settings.config, &socket.path(), logs.file().as_deref())
    );
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let served = configuration(&resolved);
    let values = watch::Sender::new(values(&resolved));
    let place_of_socket = socket.path();
    let place = (Some(socket.path()), logs.file());
    let (_control, control) = control_socket::open(&resolved.settings, Mode::Serve, place, &values);
    let settings = resolved.settings;
    let trace = trace_file::open(&settings.trace, Mode::Serve);
    // The relative paths above are in the present directory, whose file system must not be kept
    // from being unmounted.
    let _ = env::set_current_dir("/");
    let bridge = Setup {
        restores: memory_of(&settings, &place_of_socket),
        state: settings.log.directory,
        limits: settings.config.limits,
        agents: Vec::new(),
        max_frame_bytes: settings.max_frame_bytes,
        outbox_bytes: settings.outbox_bytes,
        outbox_total_bytes: settings.outbox_total_bytes,
        descriptor_limit,
        trees: None,
        keeper: !settings.no_keeper,
        control,
        trace,
        log,
        stderr: logs.stderr(),
    };
    let namespaces = match settings.allow_foreign_namespaces {
        true => Namespaces::Any,
        false => Namespaces::Own,
    };
    let reload = Box::new(move || {
        let again = resolved_again(&flags, for_connect).map_err(|error| error.to_string())?;
        change(&values, self::values(&again));
        Ok(configuration(&again))
    });
    let setup = DaemonSetup { bridge, configuration: served, reload, namespaces };
    let outcome = serve_socket(setup, socket, || {
        if for_connect {
            let _ = announce();
        }
    });
    logs.flush();
    match outcome {
        Ok(Outcome::Clean | Outcome::NoAgent(_)) => ExitCode::SUCCESS,
        Ok(Outcome::Survivors) => ExitCode::from(SURVIVORS),
        Err(error) => failure(&format_args!("the daemon cannot run: {error}"), UNUSABLE),
    }
}

fn resolved(flags: &Flags, for_connect: bool) -> Result<Resolved, ConfigError> {
    let environment = ProcessEnvironment::of_process();
    // The options of a daemon that nobody has started by hand are those of the file alone: the
    // environment may be that of some login.
    let environment = if for_connect { environment.without_options() } else { environment };
    let mut resolved = resolve::resolve(Mode::Serve, flags, &environment)?;
    // Nobody has asked for a daemon that stays.
    if for_connect && resolved.is_default("daemon-idle-timeout-ms") {
        resolved.settings.config.limits.daemon_idle_timeout = IDLE_FOR_CONNECT;
    }
    Ok(resolved)
}

/// The same after a change of the file, which is said in the log.
fn resolved_again(flags: &Flags, for_connect: bool) -> Result<Resolved, ConfigError> {
    let resolved = resolved(flags, for_connect)?;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

fn values(resolved: &Resolved) -> Vec<ConfigValue> {
    show::values(Mode::Serve, &resolved.settings, &resolved.origins)
}

/// Changes the values that the control socket shows, but for those of options that are read at the
/// start only.
fn change(values: &Values, again: Vec<ConfigValue>) {
    let is_fixed = |name: &str| FIXED.contains(&name) || name.starts_with("log");
    values.send_modify(|values| {
        for (value, new) in values.iter_mut().zip(again) {
            if !is_fixed(&value.name) {
                *value = new;
            }
        }
    });
}

/// The directory of the memory of restores: the state directory, or, with `--socket`, that of the
/// socket.
fn memory_of(settings: &Settings, socket: &str) -> Option<PathBuf> {
    match &settings.socket {
        Some(_) => Path::new(socket).parent().map(Path::to_owned),
        None => settings.log.directory.clone(),
    }
}

fn take_socket(settings: &Settings, given: Option<UnixListener>) -> Result<Socket, NoSocket> {
    let named = settings.socket.as_deref();
    let name = named.map_or_else(|| "its default place".to_owned(), |it| it.display().to_string());
    Socket::take(Place::of(named).map_err(|error| NoSocket::Refused(name, error))?, given)
}

fn configuration(resolved: &Resolved) -> Configuration {
    let agent = |settings: &Settings| AgentSetup {
        config: settings.config.agent.clone(),
        command: settings.agent.clone(),
        program: None,
        passing: settings.passing.clone(),
        spare: settings.spare.clone(),
    };
    let named = resolved.served.iter().map(|(name, settings)| {
        let mut named = agent(settings);
        named.config.name = settings.agent_name.clone().unwrap_or_else(|| name.clone());
        (name.clone(), named)
    });
    let mut limits = resolved.settings.config.limits.clone();
    // An agent that needs a channel for each session may need more of them.
    let of_agents = resolved.served.iter().map(|(_, settings)| settings.config.limits.max_channels);
    limits.max_channels = match limits.max_channels {
        0 => 0,
        own => of_agents.fold(own, usize::max),
    };
    Configuration {
        limits,
        named: named.collect(),
        pattern: agent(&resolved.settings),
        file: resolved.file.as_ref().map(|file| PathBuf::from(&file.path)),
    }
}

/// Says on stdout that the socket is there, and lets go of stdio.
fn announce() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let said = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
    said.and(own_process::let_go_of_stdio())
}

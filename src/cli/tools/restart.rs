//! `restart`: another daemon in place of the one that runs.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::args::{RestartArgs, Which};
use super::bridges::{Bridges, Failure};
use super::orders::{has_ended, lost};
use crate::api::{Stop, Unfinished};
use crate::cli::exit_code::{UNFINISHED, UNUSABLE};
use crate::cli::print::output;
use crate::control::ControlApiClient;
use crate::processes;
use crate::shim::start::{FOR_CONNECT, start};

/// The time for the new daemon to serve.
const START: Duration = Duration::from_secs(10);

pub(super) async fn restart(args: RestartArgs) -> Result<ExitCode, Failure> {
    let which = Which { bridge: None, socket: args.socket.clone() };
    let meant = Bridges::reached().await.meant(&which);
    // With no daemon there is nothing to end.
    let daemon = meant.ok().and_then(|all| all.into_iter().find(|bridge| bridge.is_daemon()));
    let mut config = None;
    if let Some(daemon) = daemon {
        let pid = daemon.pid();
        let counts = daemon.status.counts;
        let Unfinished { turns, questions, sessions } = Unfinished {
            turns: counts.in_turn,
            questions: counts.questions,
            sessions: counts.sessions + counts.opening,
        };
        if sessions > 0 && !args.now {
            let what = lost(Unfinished { turns, questions, sessions });
            let why = format!(
                "the daemon {pid} goes on, since sessions end with it: {what}. --now restarts it \
                 all the same"
            );
            return Err(Failure::new(UNFINISHED, why));
        }
        config = config_of(pid)?;
        daemon.link.stop(Stop::Now).await?;
        if !has_ended(pid).await {
            return Err(Failure::new(UNUSABLE, format!("the daemon {pid} does not end")));
        }
    }
    let socket = args.socket.as_deref().filter(|path| *path != "auto").map(Path::new);
    start(socket, config.as_deref(), START).map_err(|why| Failure::new(UNUSABLE, why))?;
    Ok(output(b"The daemon runs.\n"))
}

/// The configuration file that a daemon was told to read; `None`: the default one.
///
/// # Errors
/// If it was not started by `drawbridge connect`: what it was started with and by is not known.
fn config_of(pid: u32) -> Result<Option<OsString>, Failure> {
    let arguments = processes::arguments(pid);
    if !arguments.iter().any(|argument| argument == FOR_CONNECT) {
        let why = format!(
            "the daemon {pid} was started by hand or by a unit ({}); end it with drawbridge stop, \
             and start it again in that way",
            arguments.join(" ")
        );
        return Err(Failure::new(UNUSABLE, why));
    }
    let place = arguments.iter().position(|argument| argument == "--config");
    Ok(place.and_then(|place| arguments.get(place + 1)).map(OsString::from))
}

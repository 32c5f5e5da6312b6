//! `restart`: another daemon in place of the one that runs.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::args::RestartArgs;
use super::bridges::{Bridges, Failure};
use super::orders::{has_ended, lost, order_stop};
use crate::api::{Stop, StoppedHow};
use crate::cli::exit_code::{UNFINISHED, UNUSABLE};
use crate::cli::print::output;
use crate::control::report::one_line;
use crate::processes;
use crate::shim::start::{FOR_CONNECT, start};

/// The time for the new daemon to serve.
const START: Duration = Duration::from_secs(10);

pub(super) async fn restart(args: RestartArgs) -> Result<ExitCode, Failure> {
    let RestartArgs { socket, now } = args;
    let daemon = Bridges::reached().await.daemon(socket.clone())?;
    // With no daemon there is nothing to end.
    let mut at = (socket.filter(|path| path != "auto"), None);
    if let Some(daemon) = daemon {
        let pid = daemon.pid();
        at = started_with(pid)?;
        let how = if now { Stop::Now } else { Stop::IfUnused };
        let stopped = order_stop(&daemon, how).await?;
        if stopped.how == StoppedHow::Refused {
            let what = lost(stopped.unfinished);
            let why = format!(
                "the daemon {pid} goes on, since sessions end with it: {what}. --now restarts it \
                 all the same"
            );
            return Err(Failure::new(UNFINISHED, why));
        }
        if !has_ended(pid).await {
            return Err(Failure::new(UNUSABLE, format!("the daemon {pid} does not end")));
        }
    }
    let (socket, config) = at;
    let started = start(socket.as_deref().map(Path::new), config.as_deref(), START);
    started.map_err(|why| Failure::new(UNUSABLE, why))?;
    Ok(output(b"The daemon runs.\n"))
}

/// The socket and the configuration file that a daemon was told to use; `None`: the default one.
///
/// # Errors
/// If it was not started by `drawbridge connect`: how it was started is not known.
fn started_with(pid: u32) -> Result<(Option<OsString>, Option<OsString>), Failure> {
    let arguments = processes::arguments(pid);
    if !arguments.iter().any(|argument| argument == FOR_CONNECT) {
        let why = format!(
            "the daemon {pid} was started by hand or by a unit ({}); end it with drawbridge stop, \
             and start it again in that way",
            one_line(&arguments.join(" "))
        );
        return Err(Failure::new(UNUSABLE, why));
    }
    let behind = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1).map(OsString::from)
    };
    Ok((behind("--socket"), behind("--config")))
}

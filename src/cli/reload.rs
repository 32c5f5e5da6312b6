//! `drawbridge reload`: makes the daemon read its configuration file again.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::exit_code::UNUSABLE;
use super::print::failure;
use super::tools::socket_of_connect;
use crate::link::ask::ask;
use crate::link::control::Control;
use crate::link::peer::check_user;
use crate::link::place::Place;

/// The time for the answer of the daemon.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks the daemon at this socket, or at that of `connect`, and says what it answers.
pub(super) fn reload(socket: Option<OsString>) -> ExitCode {
    match asked(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failure(&format_args!("the configuration was not read again: {why}"), UNUSABLE),
    }
}

fn asked(socket: Option<OsString>) -> Result<(), String> {
    let socket =
        socket.filter(|path| path != "auto").or_else(|| socket_of_connect().map(Into::into));
    let place = Place::of(socket.as_deref().map(Path::new));
    let place = place.map_err(|error| format!("there is no place for a socket: {error}"))?;
    let name = place.socket().display().to_string();
    let failed = |error| format!("no daemon answers at {name}: {error}");
    let stream = place.connect().map_err(failed)?;
    check_user(&stream).map_err(|stranger| stranger.message().to_owned())?;
    match ask(stream, &Control::Reload, ANSWER).map_err(failed)? {
        Some(Control::Done) => Ok(()),
        Some(Control::Why(why)) => Err(why.message),
        _ => Err(format!("the daemon at {name} gave no answer")),
    }
}

//! `drawbridge reload`: makes the daemon read its configuration file again.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::exit_code::UNUSABLE;
use super::print::failure;
use crate::link::control::{Control, LONGEST};
use crate::link::peer::check_user;
use crate::link::place::Place;

/// The time for the answer of the daemon.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks the daemon at this socket, or at that of the user, and says what it answers.
pub(super) fn reload(socket: Option<OsString>) -> ExitCode {
    match ask(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failure(&format_args!("the configuration was not read again: {why}"), UNUSABLE),
    }
}

fn ask(socket: Option<OsString>) -> Result<(), String> {
    let socket = socket.filter(|path| path != "auto");
    let place = match &socket {
        Some(path) => Place::named(Path::new(path)),
        None => Place::of_user(),
    };
    let place = place.map_err(|error| format!("there is no place for a socket: {error}"))?;
    let name = place.socket().display().to_string();
    let failed = |error| format!("no daemon answers at {name}: {error}");
    let mut stream = place.connect().map_err(failed)?;
    check_user(&stream).map_err(|stranger| stranger.message().to_owned())?;
    stream.set_read_timeout(Some(ANSWER)).map_err(failed)?;
    // A daemon that refuses this process reads nothing, and has said why.
    let _ = stream.write_all(&Control::Reload.whole_line());
    let mut line = Vec::new();
    let limited = std::io::Read::take(&stream, LONGEST as u64);
    BufReader::new(limited).read_until(b'\n', &mut line).map_err(failed)?;
    match Control::read(line.trim_ascii_end()) {
        Some(Control::Done) => Ok(()),
        Some(Control::Why(why)) => Err(why.message),
        _ => Err(format!("the daemon at {name} gave no answer")),
    }
}

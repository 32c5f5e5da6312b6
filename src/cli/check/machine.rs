//! Whether the user's service manager outlives the user's logins: a daemon that it has started ends
//! with it.

use std::io;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::report::Report;
use crate::shim::start::has_service_manager;

/// The directory with a file for each user whose service manager lingers.
const LINGER: &str = "/var/lib/systemd/linger";

/// Says what the daemon depends on.
pub(super) fn say(report: &mut Report) -> io::Result<()> {
    let name = User::from_uid(geteuid()).ok().flatten().map(|user| user.name);
    let lingers = name.is_some_and(|name| Path::new(LINGER).join(name).exists());
    report.say(
        "daemon",
        match (has_service_manager(), lingers) {
            (true, true) => {
                "your service manager starts it, and lingers: it goes on after your last logout"
            }
            (true, false) => {
                "your service manager starts it, and does not linger: it ends with your last login \
             session (`loginctl enable-linger` changes that)"
            }
            (false, _) => "you have no service manager that starts it: `drawbridge connect` does",
        },
    )
}

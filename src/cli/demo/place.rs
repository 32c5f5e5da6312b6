//! The place of the demonstration's daemon: a directory of its own, with a configuration in which
//! everything is over soon.

use std::time::Duration;
use std::{fs, io, thread};

use crate::cli::scratch::Scratch;

/// The configuration of the daemon.
const CONFIG: &str = "[defaults]
log-file = 'off'
lost-client-timeout = '200ms'
channel-idle-timeout = '200ms'
daemon-idle-timeout = '300ms'
";

/// The directory.
pub(super) struct Place(Scratch);

impl Place {
    /// Makes the directory and the configuration file.
    pub(super) fn new() -> io::Result<Place> {
        let place = Place(Scratch::new("demo")?);
        fs::write(place.0.path().join("config.toml"), CONFIG)?;
        Ok(place)
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Waits until the daemon has ended, which removes its socket.
    pub(super) fn wait_for_the_end(&self) -> io::Result<()> {
        for _ in 0..200 {
            if !self.0.path().join("socket").exists() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("the daemon is still there"))
    }
}

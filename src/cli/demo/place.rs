//! The place of the demonstration's daemon: a directory of its own, with a configuration in which
//! everything is over soon.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, io, process, thread};

/// The configuration of the daemon.
const CONFIG: &str = "[defaults]
log-file = 'off'
lost-client-timeout = '200ms'
channel-idle-timeout = '200ms'
daemon-idle-timeout = '300ms'
";

/// The directory, which is removed when this is dropped.
pub(super) struct Place(PathBuf);

impl Place {
    /// Makes the directory and the configuration file.
    pub(super) fn new() -> io::Result<Place> {
        let path = env::temp_dir().join(format!("drawbridge-demo-{}", process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let place = Place(path);
        fs::write(place.0.join("config.toml"), CONFIG)?;
        Ok(place)
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Waits until the daemon has ended, which removes its socket.
    pub(super) fn wait_for_the_end(&self) -> io::Result<()> {
        for _ in 0..200 {
            if !self.0.join("socket").exists() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("the daemon is still there"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

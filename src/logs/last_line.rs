//! A line of a process that has no log of its own, in the log file of another one.

use std::io::Write;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use tracing::Level;

use super::line_format::LineFormat;
use super::settings::LogFormat;
use crate::user_files::Directory;

/// A log file that exists, and the format of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlace {
    /// The path of the file.
    pub path: PathBuf,
    /// The format of its lines.
    pub format: LogFormat,
}

impl LogPlace {
    /// Appends one line at the level INFO. If the file cannot be written, nobody is told: the
    /// process has nobody to tell.
    pub fn append(&self, target: &str, message: &str) {
        let line = LineFormat::new(self.format).line(Level::INFO, target, message);
        if let Ok((directory, name)) = Directory::of_named(&self.path)
            && let Ok(mut file) = directory.open_file(name, OFlag::O_WRONLY | OFlag::O_APPEND)
        {
            let _ = file.write_all(&line);
        }
    }
}

//! A line of a process that has no log of its own, in the log file of another one.

use std::fs::File;
use std::io::{self, Write};

use nix::fcntl::OFlag;
use tracing::Level;

use super::line_format::LineFormat;
use super::settings::{LOG_NAME, LogFilePath, LogFormat};
use crate::user_files::Directory;

/// A log file that exists, and the format of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlace {
    /// The file.
    pub file: LogFilePath,
    /// The format of its lines.
    pub format: LogFormat,
}

impl LogPlace {
    /// Appends one line at the level INFO. If the file cannot be written, nobody is told: the
    /// process has nobody to tell.
    pub fn append(&self, target: &str, message: &str) {
        let line = LineFormat::new(self.format).line(Level::INFO, target, message);
        if let Ok(mut file) = self.open(OFlag::O_WRONLY | OFlag::O_APPEND) {
            let _ = file.write_all(&line);
        }
    }

    fn open(&self, flags: OFlag) -> io::Result<File> {
        match &self.file {
            LogFilePath::Own { directory } => {
                Directory::own_existing(directory)?.open_file(LOG_NAME.as_ref(), flags)
            }
            LogFilePath::Named(path) => {
                let (directory, name) = Directory::of_named(path)?;
                directory.open_file(name, flags)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_followed_only_if_the_user_has_named_the_file() {
        let directory = temp_dir().join(format!("last-line-{}", std::process::id()));
        Directory::own(&directory).unwrap();
        let target = directory.join("target");
        fs::write(&target, "").unwrap();
        let path = directory.join(LOG_NAME);
        symlink(&target, &path).unwrap();
        let lines = |file: LogFilePath| {
            LogPlace { file, format: LogFormat::Text }.append("here", "said");
            fs::read_to_string(&target).unwrap().lines().count()
        };
        let own = || LogFilePath::Own { directory: directory.clone() };
        assert_eq!([lines(own()), lines(LogFilePath::Named(path.clone()))], [0, 1]);
        fs::rename(&target, &path).unwrap();
        LogPlace { file: own(), format: LogFormat::Text }.append("here", "said");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        fs::remove_dir_all(&directory).unwrap();
    }
}

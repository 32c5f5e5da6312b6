//! A directory for the time of one command.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{env, io, process};

/// The most directories of one name.
const MOST: usize = 100;

/// The directory, which is removed with all that is in it when this is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory for a command of this name.
    pub(super) fn new(command: &str) -> io::Result<Scratch> {
        let name = format!("drawbridge-{command}-{}", process::id());
        let wrong = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        // A command that was killed, with the same process id, may have left one.
        let mut path = env::temp_dir().join(&name);
        for number in 1..MOST {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path.set_file_name(format!("{name}-{number}"));
                }
                made => {
                    made.map_err(|error| wrong(&path, error))?;
                    // Agents may spell it without links.
                    return path.canonicalize().map(Scratch).map_err(|error| wrong(&path, error));
                }
            }
        }
        Err(wrong(&path, io::ErrorKind::AlreadyExists.into()))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

//! A directory for the time of one command.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{env, io, process};

/// The directory, which is removed with all that is in it when this is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory for a command of this name.
    pub(super) fn new(command: &str) -> io::Result<Scratch> {
        let path = env::temp_dir().join(format!("drawbridge-{command}-{}", process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        // Agents may spell it without links.
        Ok(Scratch(path.canonicalize()?))
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

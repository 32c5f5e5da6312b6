//! A log file that several processes append to, and that any of them rotates.
//!
//! Every line is one write to a file opened for appending, so lines of
//! different processes do not mix. A process renames the file at the path only
//! while it holds the lock on it, so no two rotate the same file; the other
//! processes see that the path leads to another file, and open that.
//!
//! Written by hand: the rotation of tracing-appender expects that one process writes the
//! file.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use super::queue::Output;
use super::stderr::write_patiently;

/// The limit of one file, in bytes.
const LIMIT: u64 = 8 << 20;
/// How many old files are kept.
const KEPT: u32 = 3;

/// Makes the directory of the log file; only its user has access.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The log file, as the output of a writer thread.
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    limit: u64,
}

impl RotatingFile {
    /// Opens the file at `path`, or makes it; only its user has access to a new one.
    pub(super) fn open(path: &Path) -> io::Result<RotatingFile> {
        Ok(RotatingFile { path: path.to_owned(), file: append_to(path)?, limit: LIMIT })
    }

    /// Makes sure that the next line, of `coming` bytes, goes to the file at the path:
    /// opens it if it is another one, and rotates it if it is full.
    fn settle(&mut self, coming: usize) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if !mine.is_file() {
            return Ok(());
        }
        if !self.is_at_path() {
            self.file = append_to(&self.path)?;
        } else if mine.len() > 0 && mine.len().saturating_add(coming as u64) > self.limit {
            self.rotate()?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Ok(lock) = Flock::lock(self.file.try_clone()?, FlockArg::LockExclusiveNonblock) else {
            // Another process rotates the file; this line ends up in the old one.
            return Ok(());
        };
        // Another process may have rotated the file before the lock was taken.
        if self.is_at_path() {
            for number in (1..KEPT).rev() {
                match fs::rename(self.old(number), self.old(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.path, self.old(1))?;
        }
        let successor = append_to(&self.path)?;
        drop(lock);
        self.file = successor;
        Ok(())
    }

    /// Whether the path still leads to the file that is open.
    fn is_at_path(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(mine), Ok(there)) => identity(mine) == identity(there),
            _ => false,
        }
    }

    /// The path of an old file. Number 1 is the youngest: `drawbridge.log.1`.
    fn old(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

impl Output for RotatingFile {
    fn write_line(&mut self, line: &[u8]) {
        // If this fails, the open file is still written to. A failed write cannot be
        // reported anywhere.
        let _ = self.settle(line.len());
        write_patiently(&mut self.file, line);
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    // A named pipe without a reader must fail, not wait, and a terminal must not become
    // the controlling one.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::{env, process};

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> io::Result<Place> {
            let path = env::temp_dir().join(format!("drawbridge-{name}-{}", process::id()));
            make_directory(&path)?;
            Ok(Place(path))
        }

        fn open(&self, limit: u64) -> io::Result<RotatingFile> {
            Ok(RotatingFile { limit, ..RotatingFile::open(&self.0.join("log"))? })
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap_or_default()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_full_file_gives_way_and_three_old_ones_stay() -> io::Result<()> {
        let place = Place::new("rotate")?;
        let mut log = place.open(8)?;
        for line in ["1111\n", "2222\n", "3333\n", "4444\n", "5555\n"] {
            log.write_line(line.as_bytes());
        }
        let found = ["log", "log.1", "log.2", "log.3", "log.4"].map(|name| place.read(name));
        assert_eq!(found, ["5555\n", "4444\n", "3333\n", "2222\n", ""]);
        Ok(())
    }

    #[test]
    fn a_rotation_by_another_process_is_followed() -> io::Result<()> {
        let place = Place::new("follow")?;
        let (mut ours, mut theirs) = (place.open(8)?, place.open(8)?);
        ours.write_line(b"1111\n");
        theirs.write_line(b"2222\n");
        ours.write_line(b"33\n");
        theirs.write_line(b"4444\n");
        let found = ["log", "log.1", "log.2"].map(|name| place.read(name));
        assert_eq!(found, ["4444\n", "2222\n33\n", "1111\n"]);
        Ok(())
    }

    #[test]
    fn two_writers_lose_nothing_but_the_oldest() -> io::Result<()> {
        let place = Place::new("race")?;
        std::thread::scope(|scope| {
            for name in ["a", "b"] {
                let mut log = place.open(4000)?;
                scope.spawn(move || {
                    for number in 0..500 {
                        log.write_line(format!("{name} {number}\n").as_bytes());
                    }
                });
            }
            io::Result::Ok(())
        })?;
        let all = ["log.3", "log.2", "log.1", "log"].map(|name| place.read(name)).concat();
        for name in ["a", "b"] {
            let count = all.lines().filter(|line| line.starts_with(name)).count();
            assert_eq!(count, 500, "lines of {name}");
        }
        Ok(())
    }

    #[test]
    fn nobody_else_may_read_it_and_a_missing_one_is_made_again() -> io::Result<()> {
        let place = Place::new("modes")?;
        let mut log = place.open(100)?;
        let path = place.0.join("log");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&place.0)?.permissions().mode() & 0o777, 0o700);
        fs::remove_file(&path)?;
        log.write_line(b"again\n");
        assert_eq!(place.read("log"), "again\n");
        Ok(())
    }
}

//! A log file that several processes append to, and that any of them rotates.
//!
//! Every line is one write to a file opened for appending, so lines of
//! different processes do not mix. A process renames the file at the path only
//! while it holds the lock on it, so no two rotate the same file; the other
//! processes see that the path leads to another file, and open that.
//!
//! Written by hand: the rotation of tracing-appender expects that one process writes the
//! file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use super::queue::Output;
use super::stderr::write_patiently;
use crate::user_files::Directory;

/// The limit of one file, in bytes.
const LIMIT: u64 = 8 << 20;
/// How many old files are kept.
const KEPT: u32 = 3;

/// The log file, as the output of a writer thread.
pub(super) struct RotatingFile {
    directory: Directory,
    name: OsString,
    /// The path as a person knows it.
    path: PathBuf,
    file: File,
    limit: u64,
    trouble: Trouble,
}

/// Whether a person knows that lines are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// One warning was given; it is all that can be said.
    Told,
}

impl RotatingFile {
    /// Opens the file `name` in a directory of the user, or makes both; only the user has access
    /// to what is new.
    pub(super) fn open_own(folder: &Path, name: &OsStr) -> io::Result<RotatingFile> {
        RotatingFile::open(Directory::own(folder)?, name, folder.join(name))
    }

    /// Opens the file at a path that the user has named, or makes it.
    pub(super) fn open_named(path: &Path) -> io::Result<RotatingFile> {
        let (directory, name) = Directory::of_named(path)?;
        RotatingFile::open(directory, name, path.to_owned())
    }

    fn open(directory: Directory, name: &OsStr, path: PathBuf) -> io::Result<RotatingFile> {
        let file = append_to(&directory, name)?;
        let name = name.to_owned();
        Ok(RotatingFile { directory, name, path, file, limit: LIMIT, trouble: Trouble::None })
    }

    /// Makes sure that the next line, of `coming` bytes, goes to the file under the name:
    /// opens it if it is another one, and rotates it if it is full.
    fn settle(&mut self, coming: usize) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if !mine.is_file() {
            return Ok(());
        }
        if !self.is_at_name() {
            self.file = append_to(&self.directory, &self.name)?;
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
        if self.is_at_name() {
            for number in (1..KEPT).rev() {
                match self.directory.rename(&self.old(number), &self.old(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            self.directory.rename(&self.name, &self.old(1))?;
        }
        let successor = append_to(&self.directory, &self.name)?;
        drop(lock);
        self.file = successor;
        Ok(())
    }

    /// Whether the name still leads to the file that is open.
    fn is_at_name(&self) -> bool {
        self.file.metadata().is_ok_and(|mine| self.directory.leads_to(&self.name, &mine))
    }

    /// The name of an old file. Number 1 is the youngest: `drawbridge.log.1`.
    fn old(&self, number: u32) -> OsString {
        let mut name = self.name.clone();
        name.push(format!(".{number}"));
        name
    }

    /// Warns once that lines are lost. The warning goes to stderr; the file may not take it.
    fn tell(&mut self, error: &io::Error) {
        if self.trouble == Trouble::None {
            self.trouble = Trouble::Told;
            let path = self.path.display();
            tracing::warn!("lines are missing in the log file {path} from here on: {error}");
        }
    }
}

impl Output for RotatingFile {
    fn write_line(&mut self, line: &[u8]) {
        // A file that cannot be rotated must not grow: the line is lost.
        let written = self.settle(line.len()).and_then(|()| write_patiently(&mut self.file, line));
        if let Err(error) = written {
            self.tell(&error);
        }
    }
}

fn append_to(directory: &Directory, name: &OsStr) -> io::Result<File> {
    directory.open_file(name, OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::{env, fs, process};

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> io::Result<Place> {
            let path = env::temp_dir().join(format!("drawbridge-{name}-{}", process::id()));
            Directory::own(&path)?;
            Ok(Place(path))
        }

        fn open(&self, limit: u64) -> io::Result<RotatingFile> {
            Ok(RotatingFile { limit, ..RotatingFile::open_own(&self.0, "log".as_ref())? })
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

    #[test]
    fn a_file_that_cannot_be_rotated_stays_bounded() -> io::Result<()> {
        let place = Place::new("stuck")?;
        let mut log = place.open(8)?;
        log.write_line(b"1111\n");
        // A directory in the way of an old file.
        fs::create_dir_all(place.0.join("log.3/full"))?;
        fs::write(place.0.join("log.2"), "")?;
        for _ in 0..100 {
            log.write_line(b"2222\n");
        }
        assert_eq!((place.read("log"), log.trouble), ("1111\n".to_owned(), Trouble::Told));
        fs::remove_dir_all(place.0.join("log.3"))?;
        log.write_line(b"3333\n");
        assert_eq!(place.read("log"), "3333\n");
        Ok(())
    }
}

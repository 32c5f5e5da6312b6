//! The place where a shim and the daemon meet: the socket, and the files beside it.
//!
//! It depends on the user's id alone, not on the environment: editors start programs with a bare
//! one. The directory is the user's, and others may not write to it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{User, geteuid};

use super::{WIRE, machine};
use crate::user_files::Directory;

/// The longest path that a socket may be bound to or reached by, in bytes.
const LONGEST_PATH: usize = 107;

/// The beginning of the names of all files of daemons.
const PREFIX: &str = "daemon-";

/// The socket of a daemon.
#[derive(Debug)]
pub struct Place {
    directory: Directory,
    path: PathBuf,
    /// The names of the files of the daemons at this place begin so, whatever their wire.
    family: OsString,
    /// The name of the socket.
    name: OsString,
}

impl Place {
    /// The place that the user has named; `None`: that of the user's daemon on this machine.
    ///
    /// # Errors
    /// If there is no directory for it that is the user's alone, or if the path ends in no name.
    pub fn of(socket: Option<&Path>) -> io::Result<Place> {
        match socket {
            Some(path) => Place::named(path),
            None => Place::of_user(),
        }
    }

    fn of_user() -> io::Result<Place> {
        let (directory, path) = directory_of_user()?;
        let family = OsString::from(format!("{PREFIX}{}", machine::mark()));
        let name = with(&family, &format!("-{WIRE}.sock"));
        Ok(Place { directory, path, family, name })
    }

    fn named(path: &Path) -> io::Result<Place> {
        let path = std::path::absolute(path)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let directory = Directory::own_existing(&parent)?;
        Ok(Place { directory, path: parent, family: name.clone(), name })
    }

    /// A second handle of the same place.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn again(&self) -> io::Result<Place> {
        let (path, family) = (self.path.clone(), self.family.clone());
        Ok(Place { directory: self.directory.again()?, path, family, name: self.name.clone() })
    }

    /// The path of the socket, for people.
    pub fn socket(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// The directory of the socket.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// The name of the socket in its directory.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    fn way_to(&self, name: &OsStr) -> io::Result<PathBuf> {
        way(&self.directory, &self.path, name)
    }

    /// The name of the file of a daemon's process trees.
    pub fn trees_name(&self, of: &str) -> OsString {
        with(&self.family, &format!(".{of}.trees"))
    }

    /// The names of all such files, whatever wire their daemons speak.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names_of_trees(&self) -> io::Result<Vec<OsString>> {
        let family = with(&self.family, ".").to_string_lossy().into_owned();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let is_one = |name: &OsString| {
            let name = name.to_string_lossy();
            let of = name.strip_prefix(&family).and_then(|rest| rest.strip_suffix(".trees"));
            // Another place in the same directory may have a longer name.
            let of = of.and_then(|of| of.split_once('.'));
            of.is_some_and(|(pid, born)| is_number(pid) && is_number(born))
        };
        Ok(self.directory.names()?.into_iter().filter(is_one).collect())
    }

    /// Opens a file beside the socket.
    ///
    /// # Errors
    /// If it cannot be opened, or is not the user's alone.
    pub fn open(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        self.directory.open_file(name, flags)
    }

    /// Removes a file beside the socket.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.directory.remove(name)
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    /// If there is none, or if it does not take connections at this moment (`EAGAIN`).
    pub fn connect(&self) -> io::Result<UnixStream> {
        self.connect_to(&self.name)
    }

    /// Connects to a daemon whose socket has another name in the same directory.
    ///
    /// # Errors
    /// Those of [`Place::connect`].
    pub fn connect_to(&self, name: &OsStr) -> io::Result<UnixStream> {
        reach(&self.way_to(name)?)
    }

    /// Takes the lock of the daemon, which only one process holds; `None`: another one does.
    ///
    /// # Errors
    /// If the file of the lock cannot be made.
    pub fn lock(&self) -> io::Result<Option<Flock<File>>> {
        self.try_lock(&with(&self.name, ".lock"))
    }

    /// Takes the lock of those who start a daemon; `None`: another process does that.
    ///
    /// # Errors
    /// If the file of the lock cannot be made.
    pub fn lock_start(&self) -> io::Result<Option<Flock<File>>> {
        self.try_lock(&with(&self.name, ".start"))
    }

    fn try_lock(&self, name: &OsStr) -> io::Result<Option<Flock<File>>> {
        let file = self.open(name, OFlag::O_CREAT | OFlag::O_RDWR)?;
        let is_there = file.metadata()?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            // The name may lead to a newer file by now.
            Ok(lock) => Ok(Some(lock).filter(|_| self.directory.leads_to(name, &is_there))),
            Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Binds the socket; one that is left from another daemon gives way. Only for who holds the
    /// lock.
    ///
    /// # Errors
    /// If something else has its name, or those of the system.
    pub fn bind(&self) -> io::Result<UnixListener> {
        self.remove_socket()?;
        UnixListener::bind(self.way_to(&self.name)?)
    }

    /// Removes the socket, if there is one. Only for who holds the lock.
    ///
    /// # Errors
    /// If its name leads to something else than a socket of the user.
    pub fn remove_socket(&self) -> io::Result<()> {
        match self.directory.is_own_socket(&self.name) {
            Ok(true) => self.remove(&self.name),
            Ok(false) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else has the name of the socket",
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether this lock still keeps others from the socket: its name and its directory are where
    /// they were.
    pub fn is_locked_by(&self, lock: &File) -> bool {
        let name = with(&self.name, ".lock");
        let by_path = std::fs::symlink_metadata(self.path.join(&name));
        let own = lock.metadata();
        by_path
            .ok()
            .zip(own.ok())
            .is_some_and(|(found, own)| (found.dev(), found.ino()) == (own.dev(), own.ino()))
    }

    /// The device and number of the file that the name leads to, by its path.
    pub fn identity(&self) -> Option<(u64, u64)> {
        let found = std::fs::symlink_metadata(self.socket()).ok()?;
        Some((found.dev(), found.ino()))
    }
}

/// The path by which a socket in a directory, which has this path, is bound and reached: through the
/// descriptor of the directory where the system can do that.
///
/// # Errors
/// If it is too long.
pub fn way(directory: &Directory, path: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let way = match cfg!(target_os = "linux") {
        true => directory.way_to(name),
        false => path.join(name),
    };
    if way.as_os_str().len() > LONGEST_PATH {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path is too long"));
    }
    Ok(way)
}

/// Connects to the socket at a path.
///
/// # Errors
/// If nobody serves it, or takes no connections at this moment (`EAGAIN`).
pub fn reach(way: &Path) -> io::Result<UnixStream> {
    let address = UnixAddr::new(way)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let stream = UnixStream::from(fd);
    // A bridge that takes no connections must not hold up this process.
    stream.set_nonblocking(true)?;
    connect(stream.as_raw_fd(), &address)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The directories in which a socket of the user may be, with their paths: a process that was
/// started without a runtime directory uses the state directory.
pub fn directories_of_user() -> Vec<(Directory, PathBuf)> {
    let runtime = runtime_directory().join("drawbridge");
    let paths = [Some(runtime), state_directory().ok()].into_iter().flatten();
    paths.filter_map(|path| Some((Directory::own_existing(&path).ok()?, path))).collect()
}

/// The runtime directory of the user, if it exists and is the user's, else the state directory;
/// with its path.
///
/// # Errors
/// If neither can be used.
pub fn directory_of_user() -> io::Result<(Directory, PathBuf)> {
    let runtime = runtime_directory();
    if let Ok(directory) = Directory::own_existing(&runtime)
        && let Ok(directory) = directory.own_inside("drawbridge")
    {
        return Ok((directory, runtime.join("drawbridge")));
    }
    let state = state_directory()?;
    Ok((Directory::own(&state)?, state))
}

fn runtime_directory() -> PathBuf {
    PathBuf::from(format!("/run/user/{}", geteuid()))
}

fn state_directory() -> io::Result<PathBuf> {
    let user = geteuid();
    let home = User::from_uid(user)?.map(|user| user.dir);
    let home = home.ok_or_else(|| io::Error::other("the user has no record"))?;
    Ok(home.join(match cfg!(target_os = "macos") {
        true => "Library/Application Support/drawbridge",
        false => ".local/state/drawbridge",
    }))
}

/// A name with an ending.
fn with(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

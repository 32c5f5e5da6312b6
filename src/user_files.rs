//! Directories and files of the user alone: what stands in them was written by the user's own
//! programs, and nobody else can put a file, a link or a name in its place.
//!
//! A directory is opened once, and its files are opened relative to it, so that what was
//! checked is what is used. Otherwise a program that root runs with the home of another user
//! could be made to write, or to signal, what that user names.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{Gid, Group, Uid, UnlinkatFlags, User, geteuid, unlinkat};

/// Access for the user alone: to a directory, and to a file.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// How a directory is opened; how a file in one is, beside the flags of its use. A named pipe
/// without a reader must fail, not wait, and a terminal must not become the controlling one.
const TO_DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);
const TO_FILE: OFlag = OFlag::O_CLOEXEC.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// A directory that is held open.
#[derive(Debug)]
pub struct Directory {
    file: File,
    trust: Trust,
}

/// Which files of a directory may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Regular files of the user with one name, and no links.
    OwnFiles,
    /// Every file, but no link that another user has made.
    NamedFiles,
}

impl Directory {
    /// Opens a directory of the user, or makes it, and those that are missing above it.
    ///
    /// # Errors
    /// If it cannot be opened or made, is a link, belongs to another user, or may be written
    /// to by others.
    pub fn own(path: &Path) -> io::Result<Directory> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
        Self::own_existing(path)
    }

    /// Opens a directory of the user.
    ///
    /// # Errors
    /// Those of [`Directory::own`]; if it does not exist.
    pub fn own_existing(path: &Path) -> io::Result<Directory> {
        Self::checked(open(path, TO_DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())?)
    }

    /// Opens the directory of a file that the user has named, whoever it belongs to, and
    /// returns it with the name of the file.
    ///
    /// # Errors
    /// If it cannot be opened, or the path ends in no name.
    pub fn of_named(file: &Path) -> io::Result<(Directory, &OsStr)> {
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let opened = open(parent.unwrap_or(Path::new(".")), TO_DIRECTORY, Mode::empty())?;
        Ok((Directory { file: opened.into(), trust: Trust::NamedFiles }, name))
    }

    /// A second handle of the same directory.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn again(&self) -> io::Result<Directory> {
        Ok(Directory { file: self.file.try_clone()?, trust: self.trust })
    }

    /// Opens a directory of the user in this one, or makes it.
    ///
    /// # Errors
    /// Those of [`Directory::own`].
    pub fn own_inside(&self, name: &str) -> io::Result<Directory> {
        match mkdirat(&self.file, name, Mode::from_bits_truncate(DIRECTORY_MODE as _)) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = TO_DIRECTORY | OFlag::O_NOFOLLOW;
        Self::checked(openat(&self.file, name, flags, Mode::empty())?)
    }

    fn checked(fd: OwnedFd) -> io::Result<Directory> {
        let file = File::from(fd);
        let metadata = file.metadata()?;
        if metadata.uid() != geteuid().as_raw() {
            return Err(denied("the directory belongs to another user"));
        }
        if others_may_write(&metadata) {
            return Err(denied("other users may write to the directory"));
        }
        Ok(Directory { file, trust: Trust::OwnFiles })
    }

    /// Opens a file in the directory; a new one is for the user alone.
    ///
    /// # Errors
    /// If it cannot be opened, or may not be used.
    pub fn open_file(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        match self.trust {
            Trust::OwnFiles => {
                let flags = flags | TO_FILE | OFlag::O_NOFOLLOW;
                let opened =
                    openat(&self.file, name, flags, FILE_MODE).map_err(|error| match error {
                        nix::Error::ELOOP => {
                            denied("it is a link, which drawbridge does not follow")
                        }
                        nix::Error::ENXIO => denied("it is a named pipe, and no file"),
                        error => error.into(),
                    });
                let file = File::from(opened?);
                let metadata = file.metadata()?;
                let is_own = metadata.uid() == geteuid().as_raw();
                if metadata.is_file() && is_own && metadata.nlink() == 1 {
                    Ok(file)
                } else {
                    Err(denied("it is no file of this user with a single name"))
                }
            }
            Trust::NamedFiles => {
                if self.is_foreign_link(name) {
                    return Err(denied("it is a link of another user"));
                }
                Ok(File::from(openat(&self.file, name, flags | TO_FILE, FILE_MODE)?))
            }
        }
    }

    fn is_foreign_link(&self, name: &OsStr) -> bool {
        fstatat(&self.file, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| {
            let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
            kind == SFlag::S_IFLNK && !is_own_or_roots(found.st_uid)
        })
    }

    /// Whether the name in the directory leads to this file.
    pub fn leads_to(&self, name: &OsStr, file: &Metadata) -> bool {
        #[allow(clippy::unnecessary_cast)] // another type on macOS
        let identity = |found: FileStat| (found.st_dev as u64, found.st_ino);
        fstatat(&self.file, name, AtFlags::empty())
            .is_ok_and(|found| identity(found) == (file.dev(), file.ino()))
    }

    /// Renames a file in the directory.
    ///
    /// # Errors
    /// Those of the system.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.file, from, &self.file, to)?)
    }

    /// Removes a file from the directory.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// A path to a name in the directory, through its descriptor: it stays short, and leads
    /// there whatever the path of the directory leads to by now. On Linux only.
    pub fn way_to(&self, name: &OsStr) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd())).join(name)
    }

    /// Whether a name in the directory leads to a socket of the user.
    ///
    /// # Errors
    /// If it leads nowhere, or those of the system.
    pub fn is_own_socket(&self, name: &OsStr) -> io::Result<bool> {
        let found = fstatat(&self.file, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
        Ok(kind == SFlag::S_IFSOCK && found.st_uid == geteuid().as_raw())
    }

    /// The names in the directory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        // Another description of the directory: it has its own place in the list.
        let mut listed = Dir::openat(&self.file, ".", TO_DIRECTORY, Mode::empty())?;
        let names = listed.iter().filter_map(Result::ok);
        let names = names.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }
}

fn denied(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// Why a file that the user may have named is not to be believed; `None`: it may be used. Only
/// regular files can be written to by others meanwhile.
pub fn distrust(file: &Metadata) -> Option<&'static str> {
    if !file.is_file() {
        None
    } else if !is_own_or_roots(file.uid()) {
        Some("it belongs to another user")
    } else if others_may_write(file) {
        Some("other users may write to it")
    } else {
        None
    }
}

fn is_own_or_roots(uid: u32) -> bool {
    uid == geteuid().as_raw() || uid == 0
}

/// Whether others than its owner may write to a file. The group of the user's own name, which
/// many systems make for each user and allow to write, is no other.
fn others_may_write(file: &Metadata) -> bool {
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    file.mode() & OTHERS != 0 || (file.mode() & GROUP != 0 && !is_group_of_one(file.gid()))
}

fn is_group_of_one(gid: u32) -> bool {
    let user = User::from_uid(geteuid()).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    user.zip(group).is_some_and(|(user, group)| {
        user.gid == group.gid
            && user.name == group.name
            && group.mem.iter().all(|member| *member == user.name)
    })
}

/// Whether a path leads to a file or directory of another user.
pub fn belongs_to_another(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| Uid::from_raw(found.uid()) != geteuid())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn file(directory: &Directory, name: &str) -> io::Result<File> {
        directory.open_file(OsStr::new(name), OFlag::O_CREAT | OFlag::O_WRONLY)
    }

    #[test]
    fn new_ones_are_for_the_user_alone() {
        let scratch = Scratch::new("own-files");
        let place = scratch.0.join("a/b");
        let directory = Directory::own(&place).unwrap();
        let inside = directory.own_inside("c").unwrap();
        file(&inside, "d").unwrap().write_all(b"x").unwrap();
        let mode = |path: &str| fs::metadata(place.join(path)).unwrap().mode() & 0o777;
        assert_eq!([mode("."), mode("c"), mode("c/d")], [0o700, 0o700, 0o600]);
        assert_eq!(directory.names().unwrap(), ["c"]);
        inside.rename(OsStr::new("d"), OsStr::new("e")).unwrap();
        assert_eq!(inside.names().unwrap(), ["e"]);
        inside.remove(OsStr::new("e")).unwrap();
        assert!(inside.names().unwrap().is_empty() && directory.own_inside("c").is_ok());
    }

    #[test]
    fn links_and_second_names_are_refused_in_an_own_directory() {
        let scratch = Scratch::new("own-links");
        let directory = Directory::own(&scratch.0.join("own")).unwrap();
        let target = scratch.0.join("target");
        fs::write(&target, "kept").unwrap();
        symlink(&target, scratch.0.join("own/link")).unwrap();
        fs::hard_link(&target, scratch.0.join("own/second")).unwrap();
        symlink(scratch.0.join("own"), scratch.0.join("elsewhere")).unwrap();
        symlink("/tmp", scratch.0.join("own/inside")).unwrap();
        assert!(file(&directory, "link").is_err() && file(&directory, "second").is_err());
        assert!(Directory::own(&scratch.0.join("elsewhere")).is_err());
        assert!(directory.own_inside("inside").is_err());
        // The user may name any file.
        let path = scratch.0.join("elsewhere/link");
        let (named, name) = Directory::of_named(&path).unwrap();
        assert_eq!(name, "link");
        assert!(file(&named, "link").is_ok() && file(&named, "second").is_ok());
    }

    #[test]
    fn what_others_may_write_to_is_refused() {
        let scratch = Scratch::new("own-modes");
        let place = scratch.0.join("own");
        Directory::own(&place).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&place, 0o702);
        assert!(Directory::own(&place).is_err());
        set(&place, 0o755);
        assert!(Directory::own(&place).is_ok());
        let config = place.join("config");
        fs::write(&config, "").unwrap();
        for (mode, is_trusted) in [(0o644, true), (0o646, false), (0o600, true)] {
            set(&config, mode);
            assert_eq!(distrust(&config.metadata().unwrap()).is_none(), is_trusted, "{mode:o}");
        }
        assert!(distrust(&Path::new("/dev/null").metadata().unwrap()).is_none());
    }
}

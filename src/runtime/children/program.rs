//! The program that an agent's command names.
//!
//! It is found at each start by the directory and the `PATH` of the client that causes the
//! start, and never by the directory of a session: that may be a checked-out project, with a
//! program of the same name in it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// The absolute path of `program`, for a client in `directory` with this `PATH`.
///
/// # Errors
/// If there is no such program, or if it may not be executed.
pub(super) fn resolve(program: &OsStr, directory: &Path, path: &OsStr) -> io::Result<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return executable(directory.join(program));
    }
    let mut denied = None;
    // An empty entry of PATH is the directory itself.
    for entry in std::env::split_paths(path) {
        match executable(directory.join(entry).join(program)) {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(error),
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn executable(path: PathBuf) -> io::Result<PathBuf> {
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    access(&path, AccessFlags::X_OK)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with `bin/agent`, which may be executed, and `bin/notes`, which may not.
    fn scratch(name: &str) -> PathBuf {
        let number = std::process::id();
        let directory = std::env::temp_dir().join(format!("drawbridge-program-{name}-{number}"));
        fs::create_dir_all(directory.join("bin")).unwrap();
        for (file, mode) in [("agent", 0o755), ("notes", 0o644)] {
            let file = directory.join("bin").join(file);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        directory
    }

    #[test]
    fn a_program_is_found_by_the_directory_and_the_path_of_the_client() {
        let directory = scratch("found");
        let found = |program: &str, path: &str| {
            resolve(OsStr::new(program), &directory, OsStr::new(path)).map_err(|e| e.kind())
        };
        let (agent, missing) = (Ok(directory.join("bin/agent")), Err(io::ErrorKind::NotFound));
        let denied = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(found("bin/agent", ""), agent);
        assert_eq!(found("agent", "/nowhere:bin"), agent);
        let absolute = directory.join("bin").to_string_lossy().into_owned();
        assert_eq!(found("agent", &absolute), agent);
        assert_eq!(found("agent", "/nowhere"), missing);
        assert_eq!(found("agent", ""), missing, "an empty entry is the directory itself");
        assert_eq!(found("bin/nothing", "bin"), missing);
        assert_eq!(found("bin/notes", ""), denied);
        assert_eq!(found("notes", "bin:/nowhere"), denied);
        assert_eq!(found("./bin", ""), denied, "a directory is no program");
        fs::remove_dir_all(directory).unwrap();
    }
}

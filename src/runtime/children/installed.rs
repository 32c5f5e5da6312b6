//! The files that an agent is started from, as they are at a moment: a change of one shows that
//! the agent was updated.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::start::Start;
use crate::agent_command::Runs;

/// The file that describes a package of JavaScript; a new version of the package changes it.
const PACKAGE: &str = "package.json";

/// The files of an agent. A file that is not there, or was not found, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    /// The program of its command.
    program: Option<File>,
    /// The program or script that this one runs in the end, if that is another file.
    behind: Option<File>,
    /// The description of the package that it is a part of.
    package: Option<File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    mark: Mark,
}

/// By these a file is known apart from one that has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    /// The time of its last change: seconds and nanoseconds.
    modified: (i64, i64),
}

impl File {
    fn at(path: PathBuf) -> Option<File> {
        // A link is followed: an update may put another file behind it.
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mark = Mark {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        };
        Some(File { path, mark })
    }
}

impl Installed {
    /// The files that this start would use now.
    pub(super) fn now(start: &Start) -> Installed {
        let program = start.program().ok().and_then(File::at);
        let behind = match Runs::of(&start.agent.command) {
            Some(Runs::Program(name)) => start.program_named(name.as_ref()).ok(),
            Some(Runs::Script(path)) => Some(Path::new(&start.cwd).join(path)),
            Some(Runs::Module(_) | Runs::Package(_)) | None => None,
        };
        let behind = behind.and_then(File::at).filter(|file| Some(file) != program.as_ref());
        let package = behind.as_ref().or(program.as_ref()).and_then(|file| package(&file.path));
        Installed { program, behind, package }
    }

    /// The file by which these differ from those of a later moment. `None`: they are the same,
    /// or the later ones are no whole agent, for instance in the middle of an update.
    pub(super) fn changed(&self, later: &Installed) -> Option<PathBuf> {
        let pairs = [(&self.program, &later.program), (&self.behind, &later.behind)];
        if pairs.iter().any(|(before, now)| before.is_some() && now.is_none()) {
            return None;
        }
        let all = pairs.into_iter().chain([(&self.package, &later.package)]);
        let mut changed = all.filter(|(before, now)| before != now);
        changed.find_map(|(_, now)| Some(now.as_ref()?.path.clone()))
    }
}

/// The description of the package that a file is a part of.
fn package(file: &Path) -> Option<File> {
    let real = fs::canonicalize(file).ok()?;
    real.ancestors().skip(1).find_map(|folder| File::at(folder.join(PACKAGE)))
}

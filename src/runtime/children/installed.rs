//! The files that an agent is started from, as they are at a moment: a change of one shows that
//! the agent was updated.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::start::Start;
use crate::agent_command::Runs;

/// The file that describes a package of JavaScript; a new version of the package changes it.
const PACKAGE: &str = "package.json";

/// The folder in which the packages of JavaScript are installed.
const PACKAGES: &str = "node_modules";

/// The endings of scripts of JavaScript.
const SCRIPTS: [&str; 5] = ["js", "mjs", "cjs", "ts", "mts"];

/// The beginnings of options by which a launcher goes into another directory.
const INTO_DIRECTORY: [&str; 5] = ["-C", "--chdir", "--cwd", "--directory", "--prefix"];

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
        let behind = behind(start).and_then(File::at).filter(|file| Some(file) != program.as_ref());
        let package = behind.as_ref().or(program.as_ref()).and_then(|file| package(&file.path));
        Installed { program, behind, package }
    }

    /// The file by which these differ from those of a later moment. `None`: they are the same,
    /// or the later ones are no whole agent, for instance in the middle of an update.
    pub(super) fn changed<'a>(&self, later: &'a Installed) -> Option<&'a Path> {
        let pairs = [(&self.program, &later.program), (&self.behind, &later.behind)];
        if pairs.iter().any(|(before, now)| before.is_some() && now.is_none()) {
            return None;
        }
        let all = pairs.into_iter().chain([(&self.package, &later.package)]);
        let mut changed = all.filter(|(before, now)| before != now);
        changed.find_map(|(_, now)| Some(&*now.as_ref()?.path))
    }
}

/// The program or script that the program of a command runs in the end, if its place is known.
fn behind(start: &Start) -> Option<PathBuf> {
    let command = &start.agent.command;
    // A path within a longer word, the script of a shell, may be meant in any directory, and so
    // may one behind an option that goes into a directory.
    let goes = |word: &OsString| {
        INTO_DIRECTORY.iter().any(|option| word.as_encoded_bytes().starts_with(option.as_bytes()))
    };
    let moves = command.iter().any(goes);
    let is_word = |path: &str| !moves && command.iter().any(|word| word == path);
    let has_place = |path: &str| Path::new(path).is_absolute() || is_word(path);
    match Runs::of(command)? {
        Runs::Program(name) if !name.contains('/') => start.program_named(OsStr::new(&name)).ok(),
        // A script without a folder and without an ending is a name for a package manager.
        Runs::Script(path) if !path.contains(['/', '.']) => None,
        Runs::Program(path) | Runs::Script(path) => {
            has_place(&path).then(|| Path::new(&start.cwd).join(path))
        }
        Runs::Module(_) | Runs::Package(_) => None,
    }
}

/// The description of the package that a file is a part of, if that may be one of JavaScript.
fn package(file: &Path) -> Option<File> {
    let real = fs::canonicalize(file).ok()?;
    let is_script = real.extension().is_some_and(|ending| SCRIPTS.iter().any(|own| ending == *own));
    let is_installed = real.components().any(|part| part.as_os_str() == PACKAGES);
    let mut folders = real.ancestors().skip(1).filter(|_| is_script || is_installed);
    folders.find_map(|folder| File::at(folder.join(PACKAGE)))
}

/// The files of several starts at one moment; equal starts are looked at once.
#[derive(Default)]
pub(super) struct Latest<'a>(Vec<(&'a Start, Installed)>);

impl<'a> Latest<'a> {
    /// The files of this start.
    pub(super) fn of(&mut self, start: &'a Start) -> &Installed {
        let known = self.0.iter().position(|(other, _)| other.finds_the_same_as(start));
        let place = known.unwrap_or_else(|| {
            self.0.push((start, Installed::now(start)));
            self.0.len() - 1
        });
        &self.0[place].1
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::rc::Rc;

    use super::*;
    use crate::runtime::setup::AgentSetup;
    use crate::runtime::surroundings::Surroundings;

    /// A directory with files; it is removed when it is dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let number = std::process::id();
            let path = env::temp_dir().join(format!("drawbridge-installed-{name}-{number}"));
            fs::create_dir_all(&path).unwrap();
            Place(fs::canonicalize(path).unwrap())
        }

        fn put(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn start(&self, command: &[&str]) -> Start {
            let command = command.iter().map(Into::into).collect();
            let path = self.0.join("bin").into_os_string();
            Start {
                agent: Rc::new(AgentSetup { command, ..AgentSetup::default() }),
                of_client: Rc::new(Surroundings {
                    variables: vec![("PATH".into(), path)],
                    umask: None,
                }),
                home: self.0.clone(),
                cwd: self.0.join("project").into_os_string(),
                cookie: String::new(),
                descriptor_limit: None,
            }
        }

        /// The file by which an agent counts as updated when this one changes.
        fn told(&self, command: &[&str], file: &str) -> Option<String> {
            let start = self.start(command);
            self.put(file, "old");
            let before = Installed::now(&start);
            self.put(file, "newer");
            let later = Installed::now(&start);
            let changed = before.changed(&later)?;
            Some(changed.strip_prefix(&self.0).unwrap().display().to_string())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_files_of_an_agent_count_and_those_of_a_project_do_not() {
        let place = Place::new("files");
        for file in
            ["bin/agent", "bin/node", "bin/sh", "bin/npm", "bin/python3", "project/index.js"]
        {
            place.put(file, "");
        }
        place.put("lib/node_modules/a/index.js", "");
        let inside = place.0.join("lib/node_modules/a/index.js").display().to_string();
        let absolute = ["node", &inside, "--acp"];
        for (command, file, counts) in [
            (&["agent"][..], "bin/agent", true),
            (&["node", "./index.js"], "project/index.js", true),
            (&["node", "./index.js"], "bin/node", true),
            (&absolute, "lib/node_modules/a/index.js", true),
            (&absolute, "lib/node_modules/a/package.json", true),
            // A program that is no JavaScript has no such description.
            (&["agent"], "package.json", false),
            (&["agent"], "bin/package.json", false),
            (&["python3", "./agent.py"], "project/agent.py", true),
            (&["python3", "./agent.py"], "project/package.json", false),
            // Whatever the shell does before, the script is not known to be this one.
            (&["sh", "-c", "cd /srv && node ./index.js"], "project/index.js", false),
            (&["sh", "-c", "cd /srv && exec agent"], "bin/agent", true),
            (&["env", "-C", "/srv", "node", "./index.js"], "project/index.js", false),
            (&["env", "-C/srv", "node", "./index.js"], "project/index.js", false),
            (&["env", "--chdir=/srv", "node", "./index.js"], "project/index.js", false),
            (&["env", "-C", "/srv", "node", &inside], "lib/node_modules/a/index.js", true),
            (&["npm", "start"], "project/start", false),
        ] {
            assert_eq!(place.told(command, file).is_some(), counts, "{command:?} {file}");
        }
    }

    #[test]
    fn links_are_followed_and_half_an_update_is_none() {
        let place = Place::new("links");
        place.put("bin/node", "");
        place.put("1/agent", "one");
        place.put("2/agent", "another");
        place.put("project/index.js", "");
        symlink(place.0.join("1/agent"), place.0.join("bin/agent")).unwrap();
        let start = place.start(&["agent"]);
        let before = Installed::now(&start);
        fs::remove_file(place.0.join("bin/agent")).unwrap();
        assert_eq!(before.changed(&Installed::now(&start)), None);
        symlink(place.0.join("2/agent"), place.0.join("bin/agent")).unwrap();
        assert!(before.changed(&Installed::now(&start)).is_some());
        let start = place.start(&["node", "index.js"]);
        let before = Installed::now(&start);
        place.put("bin/node", "a newer one");
        fs::remove_file(place.0.join("project/index.js")).unwrap();
        assert_eq!(before.changed(&Installed::now(&start)), None, "its script is missing");
    }

    #[test]
    fn equal_starts_are_looked_at_once() {
        let place = Place::new("once");
        place.put("bin/agent", "");
        let start = place.start(&["agent"]);
        let (same, other) = (start.clone(), place.start(&["agent"]));
        let mut latest = Latest::default();
        for start in [&start, &same, &other, &start] {
            latest.of(start);
        }
        assert_eq!(latest.0.len(), 2);
    }
}

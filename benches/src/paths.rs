//! The paths that are compared, and the programs that they are made of.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

/// The version of the official process in the middle that we compare with.
const CONDUCTOR_VERSION: &str = "5.0.0";
/// The name of the conductor's crate and of its binary.
pub const CONDUCTOR: &str = "agent-client-protocol-conductor";

/// The name of the configuration file of the daemon.
const DAEMON: &str = "daemon.toml";

/// A way from the client to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// Two pipes: the floor.
    Direct,
    /// One process that copies bytes: the limit for any process in the middle.
    Relay,
    /// Two of them in a row: the limit for any two processes in the middle.
    TwoRelays,
    /// drawbridge with its defaults.
    Drawbridge,
    /// drawbridge connect, and the daemon behind it.
    Connect,
    /// The official process in the middle.
    Conductor,
}

impl Path {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Path; 6] = [
        Path::Direct,
        Path::Relay,
        Path::TwoRelays,
        Path::Drawbridge,
        Path::Connect,
        Path::Conductor,
    ];
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Path::Direct => "direct",
            Path::Relay => "bare relay",
            Path::TwoRelays => "two relays",
            Path::Drawbridge => "drawbridge",
            Path::Connect => "connect",
            Path::Conductor => "conductor",
        })
    }
}

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// This very program.
    bench: PathBuf,
    /// The release binary.
    pub drawbridge: PathBuf,
    /// The official conductor, if it is installed.
    pub conductor: Option<PathBuf>,
    /// A folder for logs; removed at the end.
    scratch: PathBuf,
}

impl Programs {
    /// The programs that are given, or those that are found: drawbridge beside this program,
    /// the conductor in `PATH` or in the cache.
    pub fn find(drawbridge: Option<PathBuf>, conductor: Option<PathBuf>) -> io::Result<Programs> {
        let bench = env::current_exe()?;
        let drawbridge = drawbridge.unwrap_or_else(|| bench.with_file_name("drawbridge"));
        if !drawbridge.is_file() {
            let hint = format!("{} is not there: cargo build --release", drawbridge.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, hint));
        }
        let scratch = env::temp_dir().join(format!("drawbridge-bench-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        let conductor = conductor.or_else(installed_conductor);
        let log = scratch.join("daemon.log").display().to_string();
        let text = format!(
            "[defaults]\nlog-file = '{log}'\nlost-client-timeout = 0\nmax-sessions = 0\n\
             daemon-idle-timeout = '200ms'\n"
        );
        fs::write(scratch.join(DAEMON), text)?;
        Ok(Programs { bench, drawbridge, conductor, scratch })
    }

    /// The paths that can be measured.
    pub fn paths(&self) -> Vec<Path> {
        let there = |path: &Path| *path != Path::Conductor || self.conductor.is_some();
        Path::ALL.into_iter().filter(there).collect()
    }

    /// The command that a client starts to talk to a polite agent over `path`.
    pub fn command(&self, path: Path) -> Command {
        match path {
            Path::Direct => self.agent(),
            Path::Relay => self.relays(1),
            Path::TwoRelays => self.relays(2),
            Path::Drawbridge => self.drawbridge(&[], &[]),
            Path::Connect => self.connect("socket-of-daemon"),
            Path::Conductor => {
                let mut agent = self.bench.clone().into_os_string();
                agent.push(" agent");
                let mut command = Command::new(self.conductor.as_deref().unwrap_or(&self.bench));
                command.arg("agent").arg(agent);
                command
            }
        }
    }

    /// So many relays in a row, in front of the agent.
    fn relays(&self, count: usize) -> Command {
        let mut command = Command::new(&self.bench);
        command.args(["relay", "--"]);
        for _ in 1..count {
            command.arg(&self.bench).args(["relay", "--"]);
        }
        command.arg(&self.bench).arg("agent");
        command
    }

    /// The agent alone.
    pub fn agent(&self) -> Command {
        let mut command = Command::new(&self.bench);
        command.arg("agent");
        command
    }

    /// A bridge for many clients in front of raw agents, and the socket that it makes.
    pub fn host(&self, share: &str) -> (Command, PathBuf) {
        let socket = self.scratch.join("socket");
        let mut command = Command::new(&self.bench);
        command.arg("host").arg(&socket).arg(share);
        (command, socket)
    }

    /// drawbridge connect, with a daemon at the socket of this name, which ends soon after its
    /// last client.
    pub fn connect(&self, socket: &str) -> Command {
        let mut command = Command::new(&self.drawbridge);
        command.arg("connect").arg("--socket").arg(self.scratch.join(socket));
        command.arg("--config").arg(self.scratch.join(DAEMON)).arg("--");
        command.arg(&self.bench).arg("agent");
        self.clean(&mut command);
        command
    }

    /// Whether a daemon is at the socket of this name.
    pub fn has_daemon(&self, socket: &str) -> bool {
        self.scratch.join(socket).exists()
    }

    /// drawbridge with `options`, in front of a raw agent with `agent_options`.
    ///
    /// Its log is written as by default, but into the scratch folder; the user's
    /// configuration and variables are not read.
    pub fn drawbridge(&self, options: &[&str], agent_options: &[&str]) -> Command {
        let mut command = Command::new(&self.drawbridge);
        command.args(options).arg("--").arg(&self.bench).arg("agent").args(agent_options);
        self.clean(&mut command);
        command
    }

    fn clean(&self, command: &mut Command) {
        for (name, _) in env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.env("XDG_STATE_HOME", &self.scratch).env("XDG_CONFIG_HOME", &self.scratch);
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // The daemon has its socket there for as long as it lives.
        let sockets = ["socket-of-daemon", "socket-of-start"];
        for _ in 0..100 {
            if !sockets.iter().any(|socket| self.has_daemon(socket)) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        // If this fails, a few kilobytes of logs stay in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("DRAWBRIDGE_") || name == "RUST_LOG"
}

/// The folder where `--install-conductor` installs: outside the tree, and kept. `None` if
/// neither XDG_CACHE_HOME nor HOME is set.
fn cache() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| FilePath::new(&home).join(".cache"));
    Some(cache.or_else(home)?.join("drawbridge-bench"))
}

fn installed_conductor() -> Option<PathBuf> {
    let search: OsString = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&search).collect();
    folders.extend(cache().map(|cache| cache.join("bin")));
    folders.into_iter().map(|folder| folder.join(CONDUCTOR)).find(|program| program.is_file())
}

/// Builds the conductor from the public registry into the cache.
pub fn install_conductor() -> io::Result<()> {
    let cache =
        cache().ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))?;
    let status = Command::new("cargo")
        .args(["install", "--version", CONDUCTOR_VERSION, "--root"])
        .arg(cache)
        .arg(CONDUCTOR)
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the conductor was not installed")) }
}

//! The start of a daemon, which must not be a descendant of the editor: editors end all of these.
//!
//! The user's service manager starts it, if there is one. Otherwise a process between this one
//! and the daemon starts it in a session of its own, waits until it serves, and ends, so that the
//! first process of the machine becomes its parent.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, geteuid, setsid};

use crate::agent_environment::COOKIE;
use crate::link::peer;
use crate::user_files::belongs_to_another;

/// The hidden command of the process in between.
pub const STARTER: &str = "start-daemon";

/// The line on the daemon's stdout that says that it serves.
pub const READY: &str = "ready";

/// The flag of a daemon that was started for a shim.
pub const FOR_CONNECT: &str = "--for-connect";

/// The time for the service manager, and for a daemon to say that it serves.
const MANAGER: Duration = Duration::from_secs(1);
const SERVES: Duration = Duration::from_secs(5);

/// The most that a daemon may say before it serves, in bytes.
const LONGEST_TALE: usize = 256 * 1024;

/// The pause between two looks at a process.
const PAUSE: Duration = Duration::from_millis(5);

/// The program that asks the service manager.
const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";

/// The properties of the daemon's unit, as in `contrib/systemd/drawbridge.service`.
pub const PROPERTIES: [&str; 6] = [
    "Type=notify",
    "KillMode=process",
    "OOMPolicy=continue",
    "ManagedOOMPreference=avoid",
    "TasksMax=infinity",
    "Delegate=yes",
];

/// The PATH of the daemon; agents get that of their editor.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts a daemon at this socket and with this configuration file, where they were named, and
/// waits until it serves.
///
/// # Errors
/// Why there is none, for people.
pub fn start(
    socket: Option<&Path>,
    config: Option<&OsStr>,
    mut within: Duration,
) -> Result<(), String> {
    let arguments = arguments(socket, config);
    let for_manager = within.min(MANAGER);
    if let Some(program) = manager_may_start() {
        if by_manager(&program, &arguments, for_manager) {
            return Ok(());
        }
        within = within.saturating_sub(for_manager);
    }
    if env::var_os(COOKIE).is_some() || peer::runs_inside_agent() {
        return Err("an agent has started this process, and its daemon would be the agent's".into());
    }
    by_starter(&arguments, within).map_err(|error| error.to_string())
}

fn arguments(socket: Option<&Path>, config: Option<&OsStr>) -> Vec<OsString> {
    let pair = |name: &str, value: &OsStr| [name.into(), value.to_owned()];
    let socket = socket.and_then(|path| std::path::absolute(path).ok());
    let socket = socket.iter().flat_map(|path| pair("--socket", path.as_os_str()));
    let config = config.iter().flat_map(|path| pair("--config", path));
    [OsString::from("serve"), FOR_CONNECT.into()].into_iter().chain(socket).chain(config).collect()
}

/// The environment of the daemon: nothing in it is the client's.
fn environment() -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> =
        vec![("PATH".into(), SYSTEM_PATH.into()), ("LANG".into(), "C.UTF-8".into())];
    if let Ok(Some(user)) = User::from_uid(geteuid()) {
        variables.extend([
            ("HOME".into(), user.dir.into()),
            ("USER".into(), user.name.clone().into()),
            ("LOGNAME".into(), user.name.into()),
            ("SHELL".into(), user.shell.into()),
        ]);
    }
    let runtime = runtime_directory();
    if runtime.is_dir() && !belongs_to_another(&runtime) {
        variables.push(("XDG_RUNTIME_DIR".into(), runtime.into()));
    }
    variables
}

fn runtime_directory() -> PathBuf {
    format!("/run/user/{}", geteuid()).into()
}

/// Whether the user has a service manager that starts the daemon.
pub fn has_service_manager() -> bool {
    manager_may_start().is_some()
}

/// The path of this program, if the user has a service manager that can start it.
fn manager_may_start() -> Option<PathBuf> {
    let manager = runtime_directory().join("systemd/private");
    if !Path::new(SYSTEMD_RUN).exists() || !manager.exists() || belongs_to_another(&manager) {
        return None;
    }
    // One that was replaced is not the one that runs here.
    env::current_exe().ok().filter(|path| path.exists())
}

/// Has the service manager start the daemon; `false`: it did not in time.
fn by_manager(program: &Path, arguments: &[OsString], within: Duration) -> bool {
    #[allow(clippy::disallowed_methods)] // it ends within a second
    let mut command = Command::new(SYSTEMD_RUN);
    command.args(["--user", "--collect", "--quiet"]);
    command.args(PROPERTIES.map(|property| format!("--property={property}")));
    // The manager may have imported these from a login.
    command.arg("--property=UnsetEnvironment=LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT RUST_LOG");
    command.arg("--").arg(program).args(arguments);
    command.env_clear().envs(environment()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let status = wait(&mut child, within);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status.is_some_and(|is_success| is_success)
}

/// Waits for the end of a process; `None`: it did not come in time.
#[allow(clippy::disallowed_methods)] // a bound for a blocking call
fn wait(child: &mut Child, within: Duration) -> Option<bool> {
    let until = Instant::now() + within;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Err(_) => return Some(false),
            Ok(None) if Instant::now() >= until => return None,
            Ok(None) => sleep(PAUSE),
        }
    }
}

/// Starts this program again as the process in between.
fn by_starter(arguments: &[OsString], within: Duration) -> io::Result<()> {
    let (image, _open) = image()?;
    #[allow(clippy::disallowed_methods)] // it ends as soon as the daemon serves
    let mut command = Command::new(image);
    command.arg0("drawbridge").arg(STARTER).args(arguments);
    command.env_clear().envs(environment()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut starter = command.spawn()?;
    let said = starter.stdout.take().map(|stdout| read_until_ready(stdout, within));
    let _ = starter.kill();
    let _ = starter.wait();
    match said {
        Some(said) if is_ready(&said) => Ok(()),
        Some(said) if said.is_empty() => Err(io::Error::other("it did not serve in time")),
        Some(said) => Err(io::Error::other(String::from_utf8_lossy(&said).trim().to_owned())),
        None => Err(io::Error::other("it could not be waited for")),
    }
}

/// The process in between: it starts the daemon with these arguments, and passes on what that
/// says.
pub fn starter(arguments: &[OsString]) -> ExitCode {
    let said = start_daemon(arguments).unwrap_or_else(|error| error.to_string().into_bytes());
    // Whoever has started this may be gone.
    let _ = io::stdout().lock().write_all(&said);
    if is_ready(&said) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start_daemon(arguments: &[OsString]) -> io::Result<Vec<u8>> {
    let (image, _open) = image()?;
    let (reader, writer) = io::pipe()?;
    #[allow(clippy::disallowed_methods)] // the one place that starts a daemon
    let mut command = Command::new(image);
    command.arg0("drawbridge").args(arguments);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let prepare = || {
        setsid()?;
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made, both of which are
    // async-signal-safe; nothing is allocated.
    #[allow(unsafe_code)] // the standard library has no safe way to call setsid
    unsafe {
        command.pre_exec(prepare);
    }
    // The daemon is left to itself.
    drop(command.spawn()?);
    drop(command);
    Ok(read_until_ready(reader, SERVES))
}

/// Reads what a process says until it serves, or ends, or the time is over.
#[allow(clippy::disallowed_methods)] // a bound for a blocking call
fn read_until_ready(mut from: impl Read + std::os::fd::AsFd, within: Duration) -> Vec<u8> {
    let until = Instant::now() + within;
    let (mut said, mut room) = (Vec::new(), [0; 4096]);
    while !is_ready(&said) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut source = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        match poll(&mut source, timeout) {
            Err(nix::Error::EINTR) => continue,
            Ok(1..) => {}
            _ => break,
        }
        match from.read(&mut room) {
            Ok(length @ 1..) if said.len() < LONGEST_TALE => {
                said.extend_from_slice(&room[..length]);
            }
            _ => break,
        }
    }
    said
}

/// Whether one of the lines says that the daemon serves; others may be warnings.
fn is_ready(said: &[u8]) -> bool {
    let mut lines = said.split_inclusive(|byte| *byte == b'\n');
    lines.any(|line| line.strip_suffix(b"\n") == Some(READY.as_bytes()))
}

/// The path of the running program for a child, and what must stay open for it: the file at its
/// usual path may be another one by now.
#[cfg(target_os = "linux")]
fn image() -> io::Result<(PathBuf, crate::keeper::Image)> {
    let image = crate::keeper::Image::of_process()?;
    Ok((image.path(), image))
}

/// The path of the program for a child.
#[cfg(not(target_os = "linux"))]
fn image() -> io::Result<(PathBuf, ())> {
    Ok((env::current_exe()?, ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_gets_nothing_of_the_clients_environment() {
        let names: Vec<_> = environment().into_iter().map(|(name, _)| name).collect();
        let known = ["PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR"];
        assert!(names.iter().all(|name| known.iter().any(|known| name == known)), "{names:?}");
    }

    #[test]
    fn a_whole_line_says_that_a_daemon_serves() {
        assert_eq!(READY, "ready");
        assert!(is_ready(b"ready\n") && is_ready(b"warning: x\nready\n"));
        assert!(is_ready(b"ready\nwarning: x\n") && is_ready(b"x\nready\nwarn"));
        assert!(!is_ready(b"ready") && !is_ready(b"not ready\n") && !is_ready(b""));
    }

    #[test]
    fn a_daemon_gets_only_where_it_is_and_what_it_reads() {
        let words = arguments(Some(Path::new("/a/s")), Some(OsStr::new("/c.toml")));
        assert_eq!(words, ["serve", FOR_CONNECT, "--socket", "/a/s", "--config", "/c.toml"]);
        assert_eq!(arguments(None, None), ["serve", FOR_CONNECT]);
    }
}

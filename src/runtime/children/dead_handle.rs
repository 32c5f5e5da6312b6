//! Login handles that lead nowhere: variables such as `SSH_AUTH_SOCK` that name a socket. After a
//! logout nobody listens there, and an agent that was started in that login goes on without it.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::agent_environment::{VariableClass, Variables};

/// The first handle of an agent on whose socket nobody listens, while somebody does on that of a
/// client: its name.
pub(super) fn dead_handle(of_agent: &Variables, of_client: &Variables) -> Option<String> {
    let mut handles =
        of_agent.iter().filter(|(name, _)| VariableClass::of(name) == VariableClass::Handle);
    let is_dead = |(name, value): &&(OsString, OsString)| {
        let Some(other) = value_of(of_client, name).filter(|other| other != value) else {
            return false;
        };
        let heard = |value, variables| Some(listening(&place(name, value, variables)?));
        heard(value, of_agent) == Some(Listening::Nobody)
            && heard(other, of_client) == Some(Listening::Somebody)
    };
    handles.find(is_dead).map(|(name, _)| name.to_string_lossy().into_owned())
}

fn value_of<'a>(variables: &'a Variables, name: &OsStr) -> Option<&'a OsStr> {
    variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_os_str())
}

/// The place of the socket that a handle names; `None`: it names none.
fn place(name: &OsStr, value: &OsStr, variables: &Variables) -> Option<PathBuf> {
    let (path, text) = (Path::new(value), value.to_str()?);
    match name.to_str()? {
        // A server that starts when somebody connects to it is not to be woken.
        "DISPLAY" => None,
        _ if path.is_absolute() => Some(path.to_owned()),
        "WAYLAND_DISPLAY" => {
            let folder = value_of(variables, OsStr::new("XDG_RUNTIME_DIR"))?;
            Some(Path::new(folder).join(text))
        }
        "DBUS_SESSION_BUS_ADDRESS" => {
            let address = text.split(';').find_map(|one| one.strip_prefix("unix:"))?;
            let path = address.split(',').find_map(|part| part.strip_prefix("path="))?;
            Some(path.into())
        }
        _ => None,
    }
}

/// The presence of a listener on a socket, as far as it can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    Somebody,
    Nobody,
    /// It may not be looked at, for instance.
    Unknown,
}

/// The result of one try to connect to a socket. It is not waited for.
fn listening(path: &Path) -> Listening {
    match connected(path) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Listening::Somebody,
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Listening::Nobody,
        Err(_) => Listening::Unknown,
    }
}

fn connected(path: &Path) -> Result<(), Errno> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(true).map_err(|_| Errno::last())?;
    connect(stream.as_raw_fd(), &address)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::{env, fs};

    use super::*;

    fn variables(pairs: &[(&str, &Path)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).into(), value.into())).collect()
    }

    #[test]
    fn a_handle_is_dead_if_nobody_listens_and_matters_if_the_newcomer_has_one_that_lives() {
        let folder = env::temp_dir().join(format!("drawbridge-handles-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [living, left, gone, plain] =
            ["living", "left", "gone", "plain"].map(|name| folder.join(name));
        let _listener = UnixListener::bind(&living).unwrap();
        // The file of a socket stays behind when its owner is killed.
        drop(UnixListener::bind(&left).unwrap());
        fs::write(&plain, "").unwrap();
        let dead = |name: &str, old: &Path, new: &Path| {
            dead_handle(&variables(&[(name, old)]), &variables(&[(name, new)])).is_some()
        };
        for old in [&left, &gone] {
            assert!(dead("SSH_AUTH_SOCK", old, &living), "{}", old.display());
            assert!(!dead("SSH_AUTH_SOCK", old, old) && !dead("SSH_AUTH_SOCK", old, &plain));
            assert!(!dead("MY_SOCKET", old, &living), "it is no handle");
        }
        assert!(!dead("SSH_AUTH_SOCK", &living, &left));
        let none = variables(&[]);
        assert_eq!(dead_handle(&variables(&[("SSH_AUTH_SOCK", &gone)]), &none), None);
        assert_eq!(dead_handle(&none, &variables(&[("SSH_AUTH_SOCK", &living)])), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn handles_name_their_sockets_in_several_ways() {
        let variables = variables(&[("XDG_RUNTIME_DIR", Path::new("/run/user/7"))]);
        for (name, value, expected) in [
            ("SSH_AUTH_SOCK", "/tmp/a", Some("/tmp/a")),
            ("WAYLAND_DISPLAY", "wayland-0", Some("/run/user/7/wayland-0")),
            ("WAYLAND_DISPLAY", "/run/wayland", Some("/run/wayland")),
            ("DISPLAY", ":1.0", None),
            ("DISPLAY", "/private/tmp/com.apple.launchd/org.xquartz:0", None),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus,guid=1", Some("/run/bus")),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=/tmp/x", None),
            ("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22", None),
        ] {
            let found = place(OsStr::new(name), OsStr::new(value), &variables);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{name}={value}");
        }
    }
}

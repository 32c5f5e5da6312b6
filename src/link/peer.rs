//! The process at the other end of a connection: whether it is let in.
//!
//! One user id is one person. But a program that an agent has started must not get at the daemon,
//! though it has the same user id: it could answer the permission that its own agent asks for,
//! read other conversations, or start programs outside of its sandbox. So the ancestors of the
//! peer are looked at, and the namespaces that it lives in.

use std::os::fd::AsFd;

use nix::unistd::{Uid, geteuid};

use super::control::WhyKind;

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It belongs to another user.
    OtherUser,
    /// It runs inside of the process tree of an agent.
    InsideAgent,
    /// It lives in other namespaces.
    OtherNamespace,
    /// Its ancestors or namespaces cannot be looked at.
    NotSeen,
}

impl Stranger {
    /// The reason for programs.
    pub const fn kind(self) -> WhyKind {
        match self {
            Stranger::InsideAgent => WhyKind::InsideAgent,
            Stranger::OtherNamespace => WhyKind::OtherNamespace,
            Stranger::OtherUser | Stranger::NotSeen => WhyKind::NotSeen,
        }
    }

    /// The reason for people.
    pub const fn message(self) -> &'static str {
        match self {
            Stranger::OtherUser => "The daemon belongs to another user.",
            Stranger::InsideAgent => {
                "This process was started by an agent, and programs of agents may not use the \
                 daemon (inside_agent)."
            }
            Stranger::OtherNamespace => {
                "This process lives in other namespaces than the daemon, as in a container or a \
                 sandbox (other_namespace). drawbridge serve --allow-foreign-namespaces lets it in."
            }
            Stranger::NotSeen => {
                "The daemon cannot see what this process is: its entry in /proc cannot be read."
            }
        }
    }
}

/// Makes sure that a connection leads to a process of this user. Both sides do so before their
/// first byte.
///
/// # Errors
/// If it does not, or if that cannot be told.
pub fn check_user(stream: &impl AsFd) -> Result<(), Stranger> {
    match user_of(stream) {
        Some(user) if user == geteuid() => Ok(()),
        _ => Err(Stranger::OtherUser),
    }
}

#[cfg(target_os = "linux")]
fn user_of(stream: &impl AsFd) -> Option<Uid> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(stream, PeerCredentials).ok().map(|peer| Uid::from_raw(peer.uid()))
}

#[cfg(not(target_os = "linux"))]
fn user_of(stream: &impl AsFd) -> Option<Uid> {
    nix::unistd::getpeereid(stream).ok().map(|(user, _)| user)
}

/// The namespaces that a peer may live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Those of this process.
    Own,
    /// Any.
    Any,
}

/// Makes sure that the process at the other end of a connection may use the daemon.
///
/// # Errors
/// If it may not, or if that cannot be told.
#[cfg(target_os = "linux")]
pub fn admit(stream: &impl AsFd, namespaces: Namespaces) -> Result<(), Stranger> {
    check_user(stream)?;
    process::admit(stream, namespaces)
}

/// Makes sure that the process at the other end of a connection may use the daemon. The system
/// does not show its ancestors.
///
/// # Errors
/// If it belongs to another user.
#[cfg(not(target_os = "linux"))]
pub fn admit(stream: &impl AsFd, _: Namespaces) -> Result<(), Stranger> {
    check_user(stream)
}

/// Whether this process itself was started by an agent, as far as that can be told.
#[cfg(target_os = "linux")]
pub fn runs_inside_agent() -> bool {
    process::is_inside_agent(std::process::id()) != Some(false)
}

/// Whether this process itself was started by an agent: the system does not show that.
#[cfg(not(target_os = "linux"))]
pub fn runs_inside_agent() -> bool {
    false
}

#[cfg(target_os = "linux")]
mod process {
    use std::fs;
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::getsockopt;
    use nix::sys::socket::sockopt::{PeerCredentials, PeerPidfd};

    use super::{Namespaces, Stranger};
    use crate::agent_environment::COOKIE;
    use crate::keeper;
    use crate::processes::{self, ProcessIdentity};

    /// The namespaces that are compared.
    const COMPARED: [&str; 3] = ["user", "mnt", "pid"];

    /// The longest line of ancestors.
    const GENERATIONS: usize = 256;

    /// How often the ancestors are looked for: one may end while they are, and its children get
    /// another parent.
    const TRIES: usize = 4;

    pub(super) fn admit(stream: &impl AsFd, namespaces: Namespaces) -> Result<(), Stranger> {
        // A handle of the peer, which shows at the end that it was the peer that was looked at.
        // Older kernels have none; then the birth of the process is compared.
        let handle = match getsockopt(stream, PeerPidfd) {
            Ok(handle) => Some(handle),
            Err(Errno::ENOPROTOOPT) => None,
            Err(_) => return Err(Stranger::NotSeen),
        };
        let peer = getsockopt(stream, PeerCredentials).map_err(|_| Stranger::NotSeen)?;
        let pid = match u32::try_from(peer.pid()) {
            // No process of this namespace has that number.
            Ok(0) | Err(_) if namespaces == Namespaces::Own => {
                return Err(Stranger::OtherNamespace);
            }
            Ok(0) | Err(_) => return Ok(()),
            Ok(pid) => pid,
        };
        let before = ProcessIdentity::of(pid).ok_or(Stranger::NotSeen)?;
        if namespaces == Namespaces::Own {
            for name in COMPARED {
                let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{name}"));
                let (own, its) = (of("self"), of(&pid.to_string()));
                match own.ok().zip(its.ok()) {
                    None => return Err(Stranger::NotSeen),
                    Some((own, its)) if own != its => return Err(Stranger::OtherNamespace),
                    Some(_) => {}
                }
            }
        }
        let is_inside = (0..TRIES).find_map(|_| is_inside_agent(pid)).ok_or(Stranger::NotSeen)?;
        if is_inside {
            return Err(Stranger::InsideAgent);
        }
        // Otherwise another process was looked at.
        let has_ended = handle.is_some_and(|handle| {
            let mut end = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
            poll(&mut end, PollTimeout::ZERO) != Ok(0)
        });
        if before.lives() && !has_ended { Ok(()) } else { Err(Stranger::NotSeen) }
    }

    /// Whether a process or one of its ancestors was started by an agent; `None`: one of them
    /// ended meanwhile.
    ///
    /// An agent with a keeper cannot get a process out of its tree, since the keeper adopts
    /// orphans; one without has left its cookie in the environment of what it starts.
    pub(super) fn is_inside_agent(pid: u32) -> Option<bool> {
        let mut next = pid;
        for _ in 0..GENERATIONS {
            let entry = processes::at(next)?;
            let is_keeper = entry.name.as_bytes() == keeper::NAME.to_bytes();
            if is_keeper || processes::has_variable_named(next, COOKIE.as_bytes()) {
                return Some(true);
            }
            if next == 1 || entry.parent == 0 {
                return Some(false);
            }
            next = entry.parent;
        }
        Some(true)
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::net::UnixStream;

        use super::*;

        #[test]
        fn this_process_is_its_own_peer() {
            let (one, _other) = UnixStream::pair().unwrap();
            assert_eq!(super::super::check_user(&one), Ok(()));
            assert_eq!(admit(&one, Namespaces::Own), Ok(()));
        }
    }
}

//! The service manager, if it has started this process: the socket that it has bound, and the
//! news that it waits for.

pub use self::system::listener;
pub(super) use self::system::tell;

/// The news for the service manager.
#[derive(Clone, Copy, Debug)]
pub(super) enum Readiness {
    /// The daemon can be connected to.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It ends.
    Stopping,
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixListener;

    use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
    use sd_notify::NotifyState;

    use super::Readiness;

    /// The socket that the service manager has bound; `None`: it has bound none. To be called
    /// before this process opens any descriptor.
    ///
    /// # Errors
    /// If it has bound something else than one Unix socket for streams.
    pub fn listener() -> io::Result<Option<UnixListener>> {
        let mut given = sd_notify::listen_fds()?;
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        match (given.next(), given.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(wrong("the service manager has given more than one socket")),
            (Some(number), None) => {
                // SAFETY: the descriptor is open, as the call above has made sure.
                #[allow(unsafe_code)] // it has no owner yet
                let fd = unsafe { BorrowedFd::borrow_raw(number) };
                let is_stream = getsockopt(&fd, sockopt::SockType) == Ok(SockType::Stream);
                let is_unix = getsockname::<UnixAddr>(number).is_ok();
                let listens = getsockopt(&fd, sockopt::AcceptConn) == Ok(true);
                if !(is_stream && is_unix && listens) {
                    return Err(wrong("the service manager has given no listening Unix socket"));
                }
                // SAFETY: the service manager has opened the descriptor for this process, which
                // has opened none of its own yet.
                #[allow(unsafe_code)] // an inherited descriptor has no owner yet
                let fd = unsafe { OwnedFd::from_raw_fd(number) };
                Ok(Some(UnixListener::from(fd)))
            }
        }
    }

    /// Tells the service manager, if it waits for that.
    pub(in crate::daemon) fn tell(readiness: Readiness) {
        let told = match readiness {
            Readiness::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Readiness::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Readiness::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        };
        if let Err(error) = told {
            tracing::warn!("the service manager cannot be told of the daemon's state: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::unix::net::UnixListener;

    use super::Readiness;

    /// There is no socket of a service manager here.
    ///
    /// # Errors
    /// None.
    pub fn listener() -> io::Result<Option<UnixListener>> {
        Ok(None)
    }

    pub(in crate::daemon) fn tell(_: Readiness) {}
}

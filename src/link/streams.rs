//! The streams of a connection that is welcomed: pipes where the shim takes them, since a message
//! through a pipe costs a third less than one through a socket; otherwise the socket itself.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::control::{Control, Welcome};

/// Whether a shim on this system takes pipes: where it cannot wait for them, a socket is better.
pub const TAKES_PIPES: bool = cfg!(target_os = "linux");

/// The streams at one end of a connection.
#[derive(Debug)]
pub enum Streams {
    /// One socket for both directions.
    Socket(UnixStream),
    /// A pipe for each direction.
    Pipes {
        /// The one from the other end.
        from: OwnedFd,
        /// The one to the other end.
        to: OwnedFd,
    },
}

impl Streams {
    /// Welcomes the shim at the other end of a socket, by this line: with pipes only if it says so.
    ///
    /// # Errors
    /// If the shim is gone.
    pub fn welcome(socket: UnixStream, welcome: &Welcome) -> io::Result<Streams> {
        let line = |pipes| Control::Welcome(Welcome { pipes, ..welcome.clone() }).whole_line();
        // Where descriptors cannot be made, or not be sent, the socket does.
        if welcome.pipes
            && let (Ok((from, its_to)), Ok((its_from, to))) = (pipe(), pipe())
            && send(&socket, &line(true), &[its_from.as_fd(), its_to.as_fd()]).is_ok()
        {
            return Ok(Streams::Pipes { from, to });
        }
        send(&socket, &line(false), &[])?;
        Ok(Streams::Socket(socket))
    }

    /// The streams at the end of a shim that has been welcomed on a socket, with these
    /// descriptors.
    ///
    /// # Errors
    /// If not all descriptors have arrived that were sent.
    pub fn welcomed(
        socket: UnixStream,
        welcome: &Welcome,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<Streams> {
        if !welcome.pipes {
            return Ok(Streams::Socket(socket));
        }
        let pipes = <[OwnedFd; 2]>::try_from(descriptors);
        let [from, to] = pipes.map_err(|_| io::Error::other("its descriptors do not arrive"))?;
        Ok(Streams::Pipes { from, to })
    }
}

/// The ends of a pipe for reading and for writing, which no program inherits.
fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    #[cfg(target_os = "linux")]
    return nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    Err(nix::Error::ENOSYS)
}

/// Sends a line, which the buffer of a fresh socket holds, and these descriptors with it.
fn send(socket: &UnixStream, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let sent = sendmsg(socket, &[IoSlice::new(line)], &mut control, SendFlags::empty())?;
    if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Reads one byte, and the descriptors that come with it; `None`: the end.
///
/// # Errors
/// Those of the system.
pub fn receive(socket: &UnixStream, descriptors: &mut Vec<OwnedFd>) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    let read = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?.bytes;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok((read > 0).then_some(byte[0]))
}

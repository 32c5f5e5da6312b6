//! Byte streams: the bridge's own stdio, and the agents'.
//!
//! Where the system allows it, streams do not block, and epoll tells when they are
//! ready. The bridge's own stdin and stdout are shared with the process that started
//! it, so no flag may be set on them: a pipe is opened anew (a file description of
//! the bridge's own), a socket is read and written with `MSG_DONTWAIT`, and where
//! neither works (files, terminals) a thread blocks in place of the loop.

use std::cell::RefCell;
use std::fs::File;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc as blocking;

use bytes::{BufMut, Bytes, BytesMut};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use nix::sys::stat::{SFlag, fstat};
use rustix::net::{RecvFlags, recv};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::link::streams::Streams;

/// The least free memory in the buffer for one read, in bytes.
const LEAST_FREE: usize = 64 * 1024;
/// The memory that is added when there is less, in bytes.
const CHUNK: usize = 256 * 1024;
/// The most memory that is added at once for the rest of a long line, in bytes.
const LARGEST_STEP: usize = 1024 * 1024;

/// The directions of a connection, to be read and written.
pub(crate) fn open(streams: Streams) -> io::Result<(Source, Sink)> {
    match streams {
        Streams::Socket(socket) => {
            socket.set_nonblocking(true)?;
            let again = socket.try_clone()?;
            Ok((Source::of_socket(again.into())?, Sink::of_socket(socket.into())?))
        }
        Streams::Pipes { from, to } => Ok((Source::of_pipe(from)?, Sink::of_pipe(to)?)),
    }
}

/// A stream that is read.
pub(crate) enum Source {
    Pipe(pipe::Receiver),
    Socket(AsyncFd<OwnedFd>),
    Thread(mpsc::Receiver<Bytes>),
}

impl Source {
    /// The bridge's own stdin.
    pub(crate) fn own() -> io::Result<Source> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        match kind(&fd) {
            // A named pipe whose writers are gone: opened anew, it would not show its end,
            // but wait for another writer.
            SFlag::S_IFIFO if has_hung_up(&fd) => Source::threaded(fd),
            SFlag::S_IFIFO => match pipe::OpenOptions::new().open_receiver("/proc/self/fd/0") {
                Ok(pipe) => Ok(Source::Pipe(pipe)),
                Err(_) => Source::threaded(fd),
            },
            SFlag::S_IFSOCK => Source::of_socket(fd),
            _ => Source::threaded(fd),
        }
    }

    /// One direction of a socket.
    fn of_socket(fd: OwnedFd) -> io::Result<Source> {
        Ok(Source::Socket(watched(fd, Interest::READABLE)?))
    }

    /// The reading end of a pipe that is the bridge's own.
    pub(crate) fn of_pipe(fd: OwnedFd) -> io::Result<Source> {
        Ok(Source::Pipe(pipe::Receiver::from_owned_fd(fd)?))
    }

    #[allow(clippy::disallowed_methods)] // a read that cannot be waited for otherwise
    fn threaded(fd: OwnedFd) -> io::Result<Source> {
        let (sender, receiver) = mpsc::channel(1);
        std::thread::Builder::new().name("stdin".into()).spawn(move || {
            let mut file = File::from(fd);
            let mut chunk = vec![0; CHUNK];
            while let Ok(read @ 1..) = file.read(&mut chunk) {
                if sender.blocking_send(Bytes::copy_from_slice(&chunk[..read])).is_err() {
                    return;
                }
            }
        })?;
        Ok(Source::Thread(receiver))
    }

    /// Waits until there is something to read, or the end. Does not wait if a thread
    /// reads.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        match self {
            Source::Pipe(pipe) => poll_fn(|context| pipe.poll_read_ready(context)).await,
            Source::Socket(socket) => {
                poll_fn(|context| socket.poll_read_ready(context)).await?.retain_ready();
                Ok(())
            }
            Source::Thread(_) => Ok(()),
        }
    }

    /// Waits until the peer has closed its end, even if bytes are still to be read;
    /// for ever where the system does not tell that before the bytes are read.
    pub(crate) async fn hung_up(&self) {
        #[cfg(target_os = "linux")]
        match self {
            // No urgent data ever comes, so this waits for the end alone.
            Source::Pipe(pipe) => return drop(pipe.ready(Interest::PRIORITY).await),
            Source::Socket(socket) => return drop(socket.ready(Interest::PRIORITY).await),
            Source::Thread(_) => {}
        }
        pending::<()>().await;
    }

    /// Appends the bytes that are there to `buffer`, and waits for the first. Takes at most
    /// `longest` of a pipe or socket. Returns their number; 0: the end.
    pub(crate) async fn read(
        &mut self,
        buffer: &mut BytesMut,
        longest: usize,
    ) -> io::Result<usize> {
        if buffer.capacity() - buffer.len() < LEAST_FREE {
            // The buffer grows by its length, so that a long line is copied less often.
            buffer.reserve(buffer.len().clamp(CHUNK, LARGEST_STEP));
        }
        match self {
            // tokio takes a read that does not fill the buffer as having emptied the pipe.
            Source::Pipe(pipe) => pipe.read_buf(&mut buffer.limit(longest)).await,
            Source::Socket(socket) => loop {
                let mut guard = socket.readable().await?;
                if let Ok(read) = guard.try_io(|socket| receive(socket.get_ref(), buffer, longest))
                {
                    let (read, is_all) = read?;
                    if is_all {
                        // It is empty now: a further look would only say so. Its end is kept.
                        guard.clear_ready();
                    }
                    return Ok(read);
                }
            },
            Source::Thread(chunks) => {
                let Some(chunk) = chunks.recv().await else { return Ok(0) };
                buffer.extend_from_slice(&chunk);
                Ok(chunk.len())
            }
        }
    }
}

/// Appends at most `longest` bytes of those that a socket has to `buffer`, within its capacity.
/// Returns their number, and whether there was room for more.
fn receive(socket: &OwnedFd, buffer: &mut BytesMut, longest: usize) -> io::Result<(usize, bool)> {
    let free = buffer.spare_capacity_mut();
    let room = free.len().min(longest);
    let ((received, _), _) = recv(socket, &mut free[..room], RecvFlags::DONTWAIT)?;
    let read = received.len();
    // SAFETY: the first `read` bytes behind the length are initialised, and within the capacity.
    #[allow(unsafe_code)] // to fill the room with zeros first costs more than the read
    unsafe {
        buffer.set_len(buffer.len() + read);
    }
    Ok((read, read < room))
}

/// A stream that is written.
pub(crate) enum Sink {
    Pipe(pipe::Sender),
    Socket(AsyncFd<OwnedFd>),
    Thread(ThreadSink),
}

/// A thread that writes. It confirms each piece, so that the outbox counts the bytes
/// that are not written yet.
pub(crate) struct ThreadSink {
    pieces: blocking::SyncSender<Bytes>,
    written: RefCell<mpsc::Receiver<()>>,
    /// A pipe that the bridge may not open anew, because it belongs to another user.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "its end is not told"))]
    pipe: Option<AsyncFd<OwnedFd>>,
}

impl Sink {
    /// The bridge's own stdout.
    pub(crate) fn own() -> io::Result<Sink> {
        let fd = io::stdout().as_fd().try_clone_to_owned()?;
        match kind(&fd) {
            SFlag::S_IFIFO => match pipe::OpenOptions::new().open_sender("/proc/self/fd/1") {
                Ok(pipe) => Ok(Sink::Pipe(pipe)),
                Err(_) => {
                    let pipe = watched(fd.try_clone()?, Interest::WRITABLE).ok();
                    Sink::threaded(fd, pipe)
                }
            },
            SFlag::S_IFSOCK => Sink::of_socket(fd),
            _ => Sink::threaded(fd, None),
        }
    }

    /// One direction of a socket. It is not watched for room: the system would tell that after
    /// each message which the peer has read, and each time wake this process for nothing.
    fn of_socket(fd: OwnedFd) -> io::Result<Sink> {
        // Errors are always told, and asking for them would ask for what can be read, too.
        #[cfg(target_os = "linux")]
        let end = Interest::PRIORITY;
        #[cfg(not(target_os = "linux"))]
        let end = Interest::WRITABLE;
        Ok(Sink::Socket(watched(fd, end)?))
    }

    /// The writing end of a pipe that is the bridge's own.
    pub(crate) fn of_pipe(fd: OwnedFd) -> io::Result<Sink> {
        Ok(Sink::Pipe(pipe::Sender::from_owned_fd(fd)?))
    }

    #[allow(clippy::disallowed_methods)] // a write that cannot be waited for otherwise
    fn threaded(fd: OwnedFd, pipe: Option<AsyncFd<OwnedFd>>) -> io::Result<Sink> {
        let (pieces, work) = blocking::sync_channel::<Bytes>(1);
        let (done, written) = mpsc::channel(1);
        std::thread::Builder::new().name("stdout".into()).spawn(move || {
            let mut file = File::from(fd);
            while let Ok(piece) = work.recv() {
                if file.write_all(&piece).is_err() || done.blocking_send(()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Sink::Thread(ThreadSink { pieces, written: written.into(), pipe }))
    }

    /// Ends the stream: the peer reads what was written, and then its end.
    pub(crate) fn end(self) {
        if let Sink::Socket(socket) = self {
            // The peer may have ended it first.
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
        }
    }

    /// Writes all `pieces`, waiting for the peer to take them.
    pub(crate) async fn write_all(&self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Removes empty pieces at the front.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let written = self.write(pieces).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut pieces, written);
        }
        Ok(())
    }

    async fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match self.write_now(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            match self {
                Sink::Pipe(pipe) => pipe.writable().await?,
                Sink::Socket(socket) => {
                    let again = watched(socket.get_ref().try_clone()?, Interest::WRITABLE)?;
                    again.writable().await?.retain_ready();
                }
                Sink::Thread(thread) => return thread.write(first(pieces)).await,
            }
        }
    }

    /// Waits until nobody reads the stream any more; for ever where the system does not tell
    /// that before a write.
    pub(crate) async fn reader_gone(&self) {
        #[cfg(target_os = "linux")]
        {
            // Neither comes for a stream that is read: the end of the readers of a pipe is an
            // error, and that of the peer of a socket also closes the other direction.
            let gone = Interest::ERROR | Interest::PRIORITY;
            match self {
                Sink::Pipe(pipe) => return drop(pipe.ready(gone).await),
                Sink::Socket(socket) => return drop(socket.ready(gone).await),
                Sink::Thread(ThreadSink { pipe: Some(pipe), .. }) => {
                    return drop(pipe.ready(gone).await);
                }
                Sink::Thread(_) => {}
            }
        }
        pending::<()>().await;
    }

    /// Writes as much as the peer takes at once, and returns the number of bytes;
    /// `WouldBlock`: none.
    pub(crate) fn write_now(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Sink::Pipe(pipe) => match pieces {
                [piece] => pipe.try_write(piece),
                pieces => pipe.try_write_vectored(pieces),
            },
            // A write to a peer that is gone is an error only: Rust ignores SIGPIPE.
            Sink::Socket(socket) => {
                Ok(send(socket.as_raw_fd(), first(pieces), MsgFlags::MSG_DONTWAIT)?)
            }
            Sink::Thread(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl ThreadSink {
    async fn write(&self, piece: &[u8]) -> io::Result<usize> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        // The thread is idle here: each piece is confirmed before the next.
        self.pieces.try_send(Bytes::copy_from_slice(piece)).map_err(|_| gone())?;
        let confirmed = poll_fn(|context| self.written.borrow_mut().poll_recv(context)).await;
        confirmed.map(|()| piece.len()).ok_or_else(gone)
    }
}

/// The first of the pieces, for sinks that write only one at once.
fn first<'a>(pieces: &'a [IoSlice<'_>]) -> &'a [u8] {
    pieces.first().map_or(&[], |piece| piece)
}

/// Registers a descriptor with tokio, which tells when it is ready.
pub(crate) fn watched<T: AsRawFd>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor is owned by what is registered, is never replaced
    // in it, and so stays open and the same for as long as it is registered.
    #[allow(unsafe_code)] // the safe constructor is deprecated in favour of this one
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    watched.map_err(|error| error.into_parts().1)
}

fn has_hung_up(fd: &OwnedFd) -> bool {
    let mut state = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let seen = poll(&mut state, PollTimeout::ZERO).ok().and_then(|_| state[0].revents());
    seen.is_some_and(|seen| seen.contains(PollFlags::POLLHUP))
}

fn kind(fd: &OwnedFd) -> SFlag {
    let mode = fstat(fd).map_or(0, |stat| stat.st_mode);
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_readers_of_a_pipe_is_noticed_where_a_thread_writes_to_it()
    -> io::Result<()> {
        let (reader, writer) = nix::unistd::pipe()?;
        let pipe = watched(writer.try_clone()?, Interest::WRITABLE)?;
        let sink = Sink::threaded(writer, Some(pipe))?;
        let mut gone = std::pin::pin!(sink.reader_gone());
        tokio::select! {
            biased;
            () = &mut gone => panic!("it is still read"),
            () = tokio::task::yield_now() => {}
        }
        drop(reader);
        gone.await;
        Ok(())
    }
}

//! Lines of a stream, read in large pieces with blocking reads.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memchr::memchr;

/// The least room for a read, in bytes: what a pipe holds.
const ROOM: usize = 64 * 1024;

/// The lines of a stream.
#[derive(Debug)]
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    start: usize,
    /// There is no line end between `start` and here.
    searched: usize,
    end: usize,
    /// Where the line lies that was taken last.
    last: Range<usize>,
}

impl Lines {
    /// The lines of what comes out of `fd`.
    pub fn new(fd: OwnedFd) -> Self {
        let buffer = vec![0; 4 * ROOM];
        Lines { file: fd.into(), buffer, start: 0, searched: 0, end: 0, last: 0..0 }
    }

    /// The next line, if it was read already.
    pub fn take(&mut self) -> Option<&[u8]> {
        let Some(offset) = memchr(b'\n', &self.buffer[self.searched..self.end]) else {
            self.searched = self.end;
            return None;
        };
        self.last = self.start..self.searched + offset;
        self.start = self.last.end + 1;
        self.searched = self.start;
        Some(self.last())
    }

    /// The line that was taken last, until more is read.
    pub fn last(&self) -> &[u8] {
        &self.buffer[self.last.clone()]
    }

    /// Reads once; `false` at the end of the stream.
    pub fn fill(&mut self) -> io::Result<bool> {
        if self.buffer.len() - self.end < ROOM {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
            if self.buffer.len() - self.end < ROOM {
                self.buffer.resize(2 * self.buffer.len(), 0);
            }
        }
        let read = self.file.read(&mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read > 0)
    }

    /// Waits for the next line; the end of the stream is an error.
    pub fn next(&mut self) -> io::Result<&[u8]> {
        while memchr(b'\n', &self.buffer[self.searched..self.end]).is_none() {
            self.searched = self.end;
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.take().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

//! A run: updates of one session that an agent wrote one behind the other.
//!
//! An agent that streams says the same again and again, and only the text is new. Lines that
//! begin as the one before them, and are alike in everything that the bridge must know, are read
//! as one run, so that whatever is decided about the first of them is decided about all.

use bytes::Bytes;

use super::frame::{Frame, Malformed};

/// The next lines of a peer that are handed on together.
#[derive(Clone, Debug)]
pub enum Lines {
    /// One line: the message, or what is wrong with it.
    One(Result<Frame, Malformed>),
    /// Several updates of one session.
    Run(Run),
}

impl Lines {
    /// How many they are.
    pub fn count(&self) -> usize {
        match self {
            Lines::One(_) => 1,
            Lines::Run(run) => run.count,
        }
    }
}

/// Two or more notifications `session/update`: all of one session and of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// In a box, so that what holds a run or a frame is no larger for it.
    first: Box<Frame>,
    /// All of them, with one `\n` between two.
    bytes: Bytes,
    count: usize,
}

impl Run {
    /// A run of `count` lines, the first of which is read.
    pub(super) fn new(first: Frame, bytes: Bytes, count: usize) -> Run {
        Run { first: Box::new(first), bytes, count }
    }

    /// The first of them, which says of what session and of what kind they are.
    pub fn first(&self) -> &Frame {
        &self.first
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bytes of all of them, with one `\n` between two.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Each of `count` lines with one `\n` between two.
pub fn each(count: usize, mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..count).rev().map(move |left| {
        let end = if left == 0 { None } else { memchr::memchr(b'\n', lines) };
        let (line, rest) = lines.split_at(end.unwrap_or(lines.len()));
        lines = rest.get(1..).unwrap_or_default();
        line
    })
}

//! Reads the lines of one peer, and remembers how the last ones began.
//!
//! An agent that streams writes the same beginning again and again: the method, the
//! session, the kind of update; only the text in it is new. A line that begins as one
//! before it is not walked over from its start, but from the last string in the part that
//! they share. The result is the same.

use bytes::Bytes;

use super::frame::{Frame, Malformed, is_unicode};
use super::walk::{Halt, Walk};

/// How much of the beginning of a line is remembered, in bytes.
const HEAD: usize = 512;
/// The least offset at which a walk is taken up, in bytes: less would save nothing.
const LEAST: usize = 32;
/// After this many lines with the same beginning, the next one is walked over from its
/// start, to find out whether they share more.
const LEARN_EVERY: u32 = 64;

/// Reads lines one after the other. Each is read as [`Frame::parse`] reads it.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// The beginning of the line that was last walked over from its start.
    head: Vec<u8>,
    /// Where in `head` a walk can be taken up; `None`: nowhere.
    halt: Option<Halt>,
    /// How many lines were taken up at `halt` since then.
    hits: u32,
}

impl FrameReader {
    /// Reads the next line.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong with a line that is no message.
    pub fn read(&mut self, line: Bytes) -> Result<Frame, Malformed> {
        match &self.halt {
            // The quote at `halt.at` must be the same, too: with white space before it
            // the string would begin later.
            Some(halt) if self.hits < LEARN_EVERY && line.starts_with(&self.head[..=halt.at]) => {
                self.hits += 1;
                let rest = &line[halt.at..];
                let places = if is_unicode(rest) { halt.resume(&line).ok() } else { None };
                Frame::walked(line, places)
            }
            _ => self.learn(line),
        }
    }

    fn learn(&mut self, line: Bytes) -> Result<Frame, Malformed> {
        let pairs = self.head.iter().zip(line.iter());
        let shared = pairs.take_while(|(old, new)| old == new).count();
        self.head.clear();
        self.head.extend_from_slice(&line[..line.len().min(HEAD)]);
        self.hits = 0;
        let mut walk = Walk::default();
        let walked = if is_unicode(&line) { walk.halting(&line, shared).ok() } else { None };
        let places = walked.as_ref().map(|_| walk.places);
        self.halt = walked.flatten().filter(|halt| halt.at >= LEAST);
        Frame::walked(line, places)
    }
}

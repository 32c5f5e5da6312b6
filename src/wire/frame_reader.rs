//! Reads the lines of one peer, and remembers how the last ones began.
//!
//! An agent that streams writes the same beginning again and again: the method, the
//! session, the kind of update; only the text in it is new. A line that begins as one
//! before it is not walked over from its start, but from the last string in the part that
//! they share. The result is the same. Lines that differ only behind that place are read as a
//! [`Run`], if they are updates of one session.

use bytes::Bytes;

use super::acp::Method;
use super::frame::{Frame, FrameKind, Malformed, is_unicode};
use super::line::{Line, LineSplitter};
use super::run::{self, Lines, Run};
use super::walk::{Halt, Places, Walk};

/// How much of the beginning of a line is remembered, in bytes.
const HEAD: usize = 512;
/// The least offset at which a walk is taken up, in bytes: less would save nothing.
const LEAST: usize = 32;
/// After this many lines with the same beginning, the next one is walked over from its
/// start, to find out whether they share more.
const LEARN_EVERY: u32 = 256;
/// The same, as long as nothing shows that these lines may be runs.
const LEARN_SOON: u32 = 8;
/// No line is added to a run of so many bytes: a peer with several lanes takes turns of this size.
const LONGEST_RUN: usize = 8 * 1024;

/// Reads lines one after the other. Each is read as [`Frame::parse`] reads it.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// The beginning of the line that was last walked over from its start.
    head: Vec<u8>,
    /// Where in `head` a walk can be taken up; `None`: nowhere.
    halt: Option<Halt>,
    /// How many lines were taken up at `halt` since then.
    hits: u32,
    /// Whether a line that is taken up at `halt` may be a part of a run, if it tells the bridge
    /// nothing new behind that place.
    begins_run: bool,
}

impl FrameReader {
    /// Reads the next lines that are complete, at most so many. `None`: there is none.
    pub fn next(&mut self, lines: &mut LineSplitter, most: usize) -> Option<Lines> {
        if self.begins_run
            && let Some((run, count)) =
                lines.next_lines((most, LONGEST_RUN), |line| self.goes_on(line))
        {
            let end = memchr::memchr(b'\n', &run).unwrap_or(run.len());
            return Some(match self.read(run.slice(..end)) {
                Ok(first) => Lines::Run(Run::new(first, run, count)),
                malformed => Lines::One(malformed),
            });
        }
        lines.next_line().map(|line| Lines::One(self.read_line(line)))
    }

    /// Reads a line, which may be too long.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong with a line that is no message.
    pub fn read_line(&mut self, line: Line) -> Result<Frame, Malformed> {
        match line {
            Line::Whole(bytes) => self.read(bytes),
            Line::TooLong { beginning, end, length } => {
                Err(Malformed::TooLong { length, glimpse: Frame::glimpse(&beginning, &end) })
            }
        }
    }

    /// Whether a line goes on with a run: it is the same message as the line that `halt` was
    /// learned from, but for what stands behind that place.
    fn goes_on(&mut self, line: &[u8]) -> bool {
        let Some(halt) = &self.halt else { return false };
        // The `\r` of a line end is no part of a line.
        if self.is_to_learn() || !self.is_alike(halt, line) || line.ends_with(b"\r") {
            return false;
        }
        self.hits += 1;
        Self::resume(halt, line).is_some_and(|places| halt.tells_all_of(&places))
    }

    fn is_to_learn(&self) -> bool {
        self.hits >= if self.begins_run { LEARN_EVERY } else { LEARN_SOON }
    }

    /// Whether a line begins as the one that `halt` was learned from.
    fn is_alike(&self, halt: &Halt, line: &[u8]) -> bool {
        // The quote at `halt.at` must be the same, too: with white space before it the string
        // would begin later.
        line.starts_with(&self.head[..=halt.at])
    }

    fn resume(halt: &Halt, line: &[u8]) -> Option<Places> {
        if is_unicode(&line[halt.at..]) { halt.resume(line).ok() } else { None }
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong with a line that is no message.
    pub fn read(&mut self, line: Bytes) -> Result<Frame, Malformed> {
        match &self.halt {
            Some(halt) if !self.is_to_learn() && self.is_alike(halt, &line) => {
                self.hits += 1;
                let places = Self::resume(halt, &line);
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
        let frame = Frame::walked(line, places);
        let is_update = |frame: &Frame| {
            frame.kind == FrameKind::Notification
                && frame.method == Method::SessionUpdate
                && frame.session_place().is_some()
                && frame.child_session_place().is_none()
        };
        let halt = self.halt.as_ref().zip(places);
        self.begins_run = halt.is_some_and(|(halt, places)| halt.tells_all_of(&places))
            && frame.as_ref().is_ok_and(is_update);
        frame
    }
}

impl Run {
    /// All its messages, each read by itself.
    pub fn frames(&self) -> impl Iterator<Item = Result<Frame, Malformed>> {
        let mut reader = FrameReader::default();
        run::each(self.count(), self.bytes())
            .map(move |line| reader.read(self.bytes().slice_ref(line)))
    }
}

//! The file of a trace, and the thread that writes it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{
    Receiver, RecvError, RecvTimeoutError, SyncSender, TrySendError, sync_channel,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use nix::fcntl::OFlag;

use super::line::{Direction, Entry, Line, Note};
use crate::wire::run::each;
use crate::wire::{Frame, Lines, Malformed, OutgoingFrame};

/// The most messages, and the most bytes, that wait to be written; further ones are lost.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 64 << 20;

/// The largest file, in bytes.
const LONGEST: u64 = 1 << 30;

/// The time for the last lines at the end of the bridge.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The time without a message after which all lines are handed to the system.
const PAUSE: Duration = Duration::from_millis(200);

/// The part of a file's name that stands for the process id of the bridge.
const PID: &str = "{pid}";

/// A piece that passes.
#[derive(Debug)]
pub enum Passing {
    /// A message that has come.
    Frame(Frame),
    /// Messages that have come, with one `\n` between two, and their number.
    Run(Bytes, usize),
    /// Messages that go out in one piece.
    Out(OutgoingFrame),
    /// A line that is no message.
    Stray(Malformed),
}

impl From<&Lines> for Passing {
    fn from(lines: &Lines) -> Passing {
        match lines {
            Lines::One(Ok(frame)) if frame.bytes().len() <= COPIED => {
                Passing::Frame(frame.detached())
            }
            Lines::One(Ok(frame)) => Passing::Frame(frame.clone()),
            Lines::One(Err(fault)) => Passing::Stray(fault.clone()),
            Lines::Run(run) if run.bytes().len() <= COPIED => {
                Passing::Run(Bytes::copy_from_slice(run.bytes()), run.count())
            }
            Lines::Run(run) => Passing::Run(run.bytes().clone(), run.count()),
        }
    }
}

impl From<&OutgoingFrame> for Passing {
    fn from(frame: &OutgoingFrame) -> Passing {
        match frame.len() {
            0..=COPIED => Passing::Run(frame.to_bytes(), frame.count()),
            _ => Passing::Out(frame.clone()),
        }
    }
}

impl Passing {
    fn len(&self) -> usize {
        match self {
            Passing::Frame(frame) => frame.bytes().len(),
            Passing::Run(bytes, _) => bytes.len(),
            Passing::Out(frame) => frame.len(),
            Passing::Stray(_) => 0,
        }
    }

    /// The number of messages.
    fn count(&self) -> u64 {
        match self {
            Passing::Frame(_) | Passing::Stray(_) => 1,
            Passing::Run(_, count) => *count as u64,
            Passing::Out(frame) => frame.count() as u64,
        }
    }
}

/// A message with its head.
struct Passed {
    at: u64,
    direction: Direction,
    peer: String,
    passing: Passing,
}

/// The things that the loop and the thread both count.
#[derive(Debug, Default)]
struct Counts {
    /// The bytes that wait to be written.
    waiting: AtomicUsize,
    /// The messages that were lost since the last line.
    lost: AtomicU64,
}

/// The longest piece that is copied for the trace: a small part of a read buffer would keep all of
/// it alive.
const COPIED: usize = 64 << 10;

/// The file of a trace. When it is dropped, the last lines are written.
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    to_thread: Option<SyncSender<Passed>>,
    counts: Arc<Counts>,
    /// Closed when the thread has ended.
    over: Receiver<()>,
}

impl TraceFile {
    /// Makes a new file, for the user alone; `{pid}` in its name is the process id.
    ///
    /// # Errors
    /// If there is such a file already, or none can be made.
    #[allow(clippy::disallowed_methods)] // a slow disk must not hold the loop
    pub fn create(path: &Path, has_contents: bool) -> io::Result<TraceFile> {
        let pid = std::process::id();
        let path = PathBuf::from(path.to_string_lossy().replace(PID, &pid.to_string()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
            .open(&path)
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        let (to_thread, messages) = sync_channel(MOST);
        let (is_over, over) = sync_channel(0);
        let counts = Arc::<Counts>::default();
        let file = BufWriter::new(file);
        let mut writer = Writer { file, written: 0, counts: counts.clone(), has_contents };
        std::thread::Builder::new().name("trace".into()).spawn(move || {
            let _is_over: SyncSender<()> = is_over;
            if let Err(error) = writer.write_all(&messages) {
                tracing::warn!("the trace ends here: {error}");
            }
        })?;
        Ok(TraceFile { path, to_thread: Some(to_thread), counts, over })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what passes. Never waits: what finds no room is counted.
    pub fn note(&mut self, direction: Direction, peer: String, passing: impl Into<Passing>) {
        let Some(to_thread) = &self.to_thread else { return };
        let passing = passing.into();
        let (length, count) = (passing.len(), passing.count());
        let is_full =
            self.counts.waiting.load(Ordering::Relaxed).saturating_add(length) > MOST_BYTES;
        if is_full {
            self.counts.lost.fetch_add(count, Ordering::Relaxed);
            return;
        }
        self.counts.waiting.fetch_add(length, Ordering::Relaxed);
        match to_thread.try_send(Passed { at: micros(), direction, peer, passing }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
                self.counts.lost.fetch_add(count, Ordering::Relaxed);
            }
            // The file is full, or the disk.
            Err(TrySendError::Disconnected(_)) => self.to_thread = None,
        }
    }
}

impl Drop for TraceFile {
    fn drop(&mut self) {
        drop(self.to_thread.take());
        let _ = self.over.recv_timeout(LAST_LINES);
    }
}

struct Writer {
    file: BufWriter<File>,
    written: u64,
    counts: Arc<Counts>,
    has_contents: bool,
}

impl Writer {
    fn write_all(&mut self, messages: &Receiver<Passed>) -> io::Result<()> {
        let drawbridge = env!("CARGO_PKG_VERSION").to_owned();
        self.note(Note::Begin { drawbridge, pid: std::process::id(), began: micros() })?;
        loop {
            let passed = match messages.recv_timeout(PAUSE) {
                Ok(passed) => passed,
                Err(RecvTimeoutError::Disconnected) => return self.end(),
                Err(RecvTimeoutError::Timeout) => {
                    self.file.flush()?;
                    match messages.recv() {
                        Ok(passed) => passed,
                        Err(RecvError) => return self.end(),
                    }
                }
            };
            self.counts.waiting.fetch_sub(passed.passing.len(), Ordering::Relaxed);
            self.passed(&passed)?;
            if self.written > LONGEST {
                let end = format!("the file has reached {LONGEST} bytes");
                self.note(Note::End { end: end.clone() })?;
                self.file.flush()?;
                return Err(io::Error::other(end));
            }
        }
    }

    fn passed(&mut self, passed: &Passed) -> io::Result<()> {
        self.lost()?;
        let head = (passed.at, passed.direction, passed.peer.as_str());
        match &passed.passing {
            Passing::Frame(frame) => self.line(Line::of(head, frame, self.has_contents)),
            Passing::Stray(fault) => self.line(Line::of_stray(head, fault, self.has_contents)),
            Passing::Run(bytes, count) => self.lines(head, bytes, *count),
            Passing::Out(frame) => self.lines(head, &frame.to_bytes(), frame.count()),
        }
    }

    /// Notes how many messages are missing here.
    fn lost(&mut self) -> io::Result<()> {
        match self.counts.lost.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            lost => self.note(Note::Lost { lost }),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.lost()?;
        self.file.flush()
    }

    fn lines(
        &mut self,
        head: (u64, Direction, &str),
        bytes: &Bytes,
        count: usize,
    ) -> io::Result<()> {
        for line in each(count, bytes) {
            self.line(match Frame::parse(bytes.slice_ref(line)) {
                Ok(frame) => Line::of(head, &frame, self.has_contents),
                Err(fault) => Line::of_stray(head, &fault, self.has_contents),
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: Line) -> io::Result<()> {
        self.entry(&Entry::Line(line))
    }

    fn note(&mut self, note: Note) -> io::Result<()> {
        self.entry(&Entry::Note(note))
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let mut text = serde_json::to_vec(entry)?;
        text.push(b'\n');
        self.written += text.len() as u64;
        self.file.write_all(&text)
    }
}

/// The time, in microseconds since 1970.
#[allow(clippy::disallowed_methods)] // nothing depends on it: a person compares it with a log
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

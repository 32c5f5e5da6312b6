//! The relay: lines from the editor to the daemon and back, and what happens when the daemon is
//! lost.
//!
//! Each direction waits only for itself. What goes to the editor goes in whole lines.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memrchr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

use super::meeting::{Meeting, NoDaemon};
use super::memory::{Fate, Memory};
use super::orphan::{Heard, orphaned};
use super::plain::PlainLines;
use super::to_editor::ToEditor;
use crate::bridge::{Limit, Refusal, lines};
use crate::link::control::{Control, SIGN, Why, WhyKind};
use crate::link::streams::Streams;
use crate::own_process::{self, is_ignored};
use crate::runtime::parent;
use crate::runtime::stdio::{self, Sink, Source};
use crate::wire::line::{Line, LineSplitter};
use crate::wire::{Frame, FrameReader, Glimpse};

/// The time of one attempt to reach a daemon again.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The pauses between attempts: each is twice as long as the one before it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the last lines of the daemon may take when the editor has closed its stdin.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The most bytes of one read.
const READ: usize = 64 * 1024;

/// How a shim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The editor is gone.
    EditorGone,
    /// The daemon has ended the connection for good; the sentence says why.
    Ended(String),
}

/// The relay of one editor.
pub(super) struct Relay {
    meeting: Arc<Meeting>,
    orphan_timeout: Limit,
    editor: EditorLines,
    to_editor: ToEditor,
    memory: RefCell<Memory>,
    heard: Heard,
    signals: [Option<Signal>; 3],
}

/// The lines of the editor, which outlive a daemon.
struct EditorLines {
    source: Source,
    lines: LineSplitter,
    reader: FrameReader,
}

impl EditorLines {
    /// Reads what is there, and waits for it. Returns the number of bytes; 0: the end.
    async fn fill(&mut self) -> usize {
        self.source.read(self.lines.buffer(), READ).await.unwrap_or(0)
    }

    /// The next line that was read; at the end of the stream also one without a line end.
    fn next(&mut self, is_over: bool) -> Option<Line> {
        match self.lines.next_line() {
            None if is_over => self.lines.finish(),
            line => line,
        }
    }
}

/// How the time with one daemon ended.
enum Parted {
    /// The editor is gone.
    EditorGone,
    /// The daemon is gone; it may have said why.
    DaemonGone(Option<Why>),
}

impl Relay {
    pub(super) fn new(
        meeting: Arc<Meeting>,
        orphan_timeout: Limit,
        limit: usize,
    ) -> io::Result<Relay> {
        let hang_up = match is_ignored(nix::sys::signal::Signal::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        let signals = [
            Some(signal(SignalKind::terminate())?),
            Some(signal(SignalKind::interrupt())?),
            hang_up,
        ];
        let source = Source::own()?;
        let (lines, reader) = (LineSplitter::new(limit), FrameReader::default());
        Ok(Relay {
            meeting,
            orphan_timeout,
            editor: EditorLines { source, lines, reader },
            to_editor: ToEditor::new(Sink::own()?),
            memory: RefCell::default(),
            heard: Heard::default(),
            signals,
        })
    }

    /// Serves the editor, by this daemon first.
    pub(super) async fn run(self, daemon: Streams) -> io::Result<End> {
        let Relay { meeting, orphan_timeout, editor, to_editor, memory, heard, signals } = self;
        let is_quiet = || memory.borrow().is_quiet();
        let parent_gone = parent::gone();
        let gone = async {
            tokio::select! {
                () = signalled(signals) => {}
                () = to_editor.reader_gone() => {}
                () = orphaned(parent_gone, orphan_timeout, heard.clone(), is_quiet) => {}
            }
        };
        let mut write = pin!(to_editor.write());
        let plain = PlainLines::new();
        let shared =
            Shared { plain, to_editor: &to_editor, memory: &memory, heard: &heard, meeting };
        let end = tokio::select! {
            biased;
            () = gone => return Ok(End::EditorGone),
            end = shared.serve(editor, daemon) => end?,
            // The editor takes nothing any more.
            failed = &mut write => return failed.map(|()| End::EditorGone),
        };
        let emptied = tokio::time::timeout(LAST_LINES, to_editor.emptied());
        tokio::select! {
            _ = emptied => {}
            _ = write => {}
        }
        Ok(end)
    }
}

/// The state that both directions have in common.
struct Shared<'a> {
    plain: PlainLines,
    to_editor: &'a ToEditor,
    memory: &'a RefCell<Memory>,
    heard: &'a Heard,
    meeting: Arc<Meeting>,
}

impl Shared<'_> {
    /// Serves the editor by one daemon after the other, until the editor is gone or a daemon has
    /// ended the connection for good.
    async fn serve(&self, mut editor: EditorLines, first: Streams) -> io::Result<End> {
        let mut daemon = first;
        loop {
            let why = match self.relay(&mut editor, daemon).await? {
                Parted::EditorGone => return Ok(End::EditorGone),
                Parted::DaemonGone(why) => why,
            };
            let kind = why.as_ref().map(|why| why.kind);
            if let Some(Why { message, .. }) =
                why.filter(|why| matches!(why.kind, WhyKind::NoAgent | WhyKind::ClientTooSlow))
            {
                return Ok(End::Ended(message));
            }
            tracing::warn!("the daemon is gone; another one is looked for");
            self.memory.borrow_mut().lost().iter().for_each(|answer| self.to_editor.say(answer));
            match self.look_for_another(&mut editor, kind).await? {
                Some(other) => daemon = other,
                None => return Ok(End::EditorGone),
            }
        }
    }

    async fn relay(&self, editor: &mut EditorLines, daemon: Streams) -> io::Result<Parted> {
        let (from, to) = stdio::open(daemon)?;
        let introduction = self.memory.borrow().introduction();
        if let Some(introduction) = introduction {
            let mut parts = [IoSlice::new(&introduction), IoSlice::new(b"\n")];
            // A loss is noticed where its lines are read.
            let _ = to.write_all(&mut parts).await;
        }
        let mut down = pin!(self.down(from));
        tokio::select! {
            biased;
            why = &mut down => return Ok(Parted::DaemonGone(why?)),
            ended = self.up(editor, &to) => ended?,
        }
        // The editor has closed its stdin, and may still read what is on its way.
        to.end();
        let _ = tokio::time::timeout(LAST_LINES, down).await;
        Ok(Parted::EditorGone)
    }

    /// Carries lines from the editor to the daemon, until the editor ends its stream.
    async fn up(&self, editor: &mut EditorLines, to: &Sink) -> io::Result<()> {
        let mut out = BytesMut::new();
        let mut is_over = false;
        loop {
            while let Some(line) = editor.next(is_over) {
                self.heard.note();
                self.take(&mut editor.reader, line, &mut out);
            }
            if to.write_all(&mut [IoSlice::new(&out)]).await.is_err() {
                // The other direction brings the last lines of the daemon, and then its end.
                return pending().await;
            }
            out.clear();
            if is_over {
                return Ok(());
            }
            is_over = editor.fill().await == 0;
        }
    }

    /// Takes a line of the editor: it goes to the daemon, or is dropped, or answered here.
    fn take(&self, reader: &mut FrameReader, line: Line, out: &mut BytesMut) {
        let Some(bytes) = self.whole(line) else { return };
        if bytes.first() == Some(&SIGN) {
            // No editor says control lines: it is what is wrong with the line that counts.
            out.put_u8(b' ');
        }
        if let Ok(frame) = reader.read(bytes.clone())
            && self.memory.borrow_mut().note_of_editor(&frame) == Fate::Dropped
        {
            return;
        }
        out.put_slice(&bytes);
        out.put_u8(b'\n');
    }

    /// The bytes of a line of the editor; one that is too long is refused as the daemon would.
    fn whole(&self, line: Line) -> Option<Bytes> {
        match line {
            Line::Whole(bytes) => Some(bytes),
            Line::TooLong { beginning, end, length } => {
                if let Glimpse::Request(token) = Frame::glimpse(&beginning, &end) {
                    self.to_editor.say(&lines::failure(&token, &Refusal::TooLong { length }));
                }
                None
            }
        }
    }

    /// Carries lines from the daemon to the editor, until the daemon is gone.
    async fn down(&self, mut from: Source) -> io::Result<Option<Why>> {
        let (mut read, mut why) = (BytesMut::new(), None);
        let mut reader = FrameReader::default();
        loop {
            // A line that is cut off at the end of the stream is dropped.
            let fresh = from.read(&mut read, READ).await.unwrap_or(0);
            if fresh == 0 {
                return Ok(why);
            }
            // The rest of a line that has come in part has no line end.
            let Some(end) = memrchr(b'\n', &read[read.len() - fresh..]) else { continue };
            let lines = read.split_to(read.len() - fresh + end + 1);
            self.to_editor.room().await;
            if self.plain.is_plain(&lines) {
                self.to_editor.pass(&lines);
                continue;
            }
            let mut lines = lines.freeze();
            while let Some(end) = memchr(b'\n', &lines) {
                let line = lines.split_to(end + 1);
                if line.first() == Some(&SIGN) {
                    why = self.heed(&line).or(why);
                } else if self.passes(&mut reader, line.slice(..end)) {
                    self.to_editor.push(&line);
                }
            }
            self.to_editor.flush();
        }
    }

    /// Heeds a control line of the daemon; returns why it ends the connection, if it says that.
    fn heed(&self, line: &[u8]) -> Option<Why> {
        match Control::read(line.trim_ascii_end()) {
            Some(Control::Keep(kept)) => self.memory.borrow_mut().keep(kept),
            Some(Control::Forget(id)) => self.memory.borrow_mut().forget(&id),
            Some(Control::Why(why)) => return Some(why),
            // A newer daemon may say more.
            _ => {}
        }
        None
    }

    /// Notes a message of the daemon; `false`: it does not go to the editor.
    fn passes(&self, reader: &mut FrameReader, line: Bytes) -> bool {
        let frame = reader.read(line);
        frame.map_or(true, |frame| self.memory.borrow_mut().note_of_daemon(&frame) == Fate::Passes)
    }

    /// Looks for another daemon, which is started if there is none; `None`: the editor is gone.
    /// After a daemon that was ended on purpose, the next one waits for a line of the editor.
    async fn look_for_another(
        &self,
        editor: &mut EditorLines,
        why: Option<WhyKind>,
    ) -> io::Result<Option<Streams>> {
        let is_introducing = self.memory.borrow().is_introducing();
        if why == Some(WhyKind::ShuttingDown) && !is_introducing && editor.fill().await == 0 {
            return Ok(None);
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let (meeting, adopted) = (self.meeting.clone(), self.memory.borrow().blobs());
            let met = spawn_blocking(move || {
                // The daemon looks at this process before it says anything.
                own_process::show_memory(true);
                let met = meeting.meet(ATTEMPT, &adopted);
                own_process::show_memory(false);
                met
            });
            match met.await.unwrap_or_else(|error| Err(NoDaemon::lost(&error))) {
                Ok((daemon, welcome)) => {
                    tracing::info!("connected to the daemon {}", welcome.pid);
                    return Ok(Some(daemon));
                }
                Err(error) => tracing::warn!("no daemon can be reached: {error}"),
            }
            // An editor that waits for its first answer is told, and may try again.
            let introduction = self.memory.borrow_mut().refuse_introduction();
            introduction.iter().for_each(|answer| self.to_editor.say(answer));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.refuse_all(editor) => return Ok(None),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Refuses what the editor asks, until it ends its stream. It may be given up at any time.
    async fn refuse_all(&self, editor: &mut EditorLines) {
        loop {
            while let Some(line) = editor.next(false) {
                self.heard.note();
                if let Some(bytes) = self.whole(line)
                    && let Ok(frame) = editor.reader.read(bytes)
                    && let Some(answer) = self.memory.borrow_mut().refused(&frame)
                {
                    self.to_editor.say(&answer);
                }
            }
            if editor.fill().await == 0 {
                return;
            }
        }
    }
}

/// Waits for a signal that asks for the end.
async fn signalled(mut signals: [Option<Signal>; 3]) {
    let [terminate, interrupt, hang_up] = &mut signals;
    tokio::select! {
        () = received(terminate) => {}
        () = received(interrupt) => {}
        () = received(hang_up) => {}
    }
}

/// Waits for a signal; for ever if it is ignored.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

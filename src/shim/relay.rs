//! The relay: lines from the editor to the daemon and back, and what happens when the daemon is
//! lost.
//!
//! Each direction waits only for itself. What goes to the editor goes in whole lines.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, IoSlice};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memrchr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

use super::meeting::{Meeting, NoDaemon, descriptor};
use super::memory::{Fate, Memory};
use super::orphan::{Heard, orphaned};
use super::plain::PlainLines;
use crate::bridge::{Limit, Refusal, lines};
use crate::link::control::{Control, SIGN, Why, WhyKind};
use crate::own_process::{self, is_ignored};
use crate::runtime::parent;
use crate::runtime::stdio::{Sink, Source};
use crate::wire::line::{Line, LineSplitter};
use crate::wire::{Frame, FrameReader, Glimpse, OutgoingFrame};

/// The time of one attempt to reach a daemon again.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The pauses between attempts: each is twice as long as the one before it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the last lines of the daemon may take when the editor has closed its stdin.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The most bytes of one read.
const READ: usize = 256 * 1024;

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
    stdout: Sink,
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
            stdout: Sink::own()?,
            memory: RefCell::default(),
            heard: Heard::default(),
            signals,
        })
    }

    /// Serves the editor, by this daemon first.
    pub(super) async fn run(self, daemon: UnixStream) -> io::Result<End> {
        let Relay { meeting, orphan_timeout, mut editor, stdout, memory, heard, signals } = self;
        let is_quiet = || memory.borrow().is_quiet();
        let parent_gone = parent::gone();
        let gone = async {
            tokio::select! {
                () = signalled(signals) => {}
                () = stdout.reader_gone() => {}
                () = orphaned(parent_gone, orphan_timeout, heard.clone(), is_quiet) => {}
            }
        };
        let mut gone = pin!(gone);
        let plain = PlainLines::new();
        let shared = Shared { plain, stdout: &stdout, memory: &memory, heard: &heard };
        let mut daemon = Some(daemon);
        loop {
            let parted = match daemon.take() {
                Some(daemon) => tokio::select! {
                    biased;
                    () = &mut gone => return Ok(End::EditorGone),
                    parted = shared.relay(&mut editor, daemon) => parted?,
                },
                None => Parted::DaemonGone(None),
            };
            let why = match parted {
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
            let answers = memory.borrow_mut().lost();
            shared.say(&answers).await?;
            daemon = tokio::select! {
                biased;
                () = &mut gone => return Ok(End::EditorGone),
                daemon = shared.look_for_another(&mut editor, &meeting, kind) => daemon?,
            };
            if daemon.is_none() {
                return Ok(End::EditorGone);
            }
        }
    }
}

/// What both directions have in common.
struct Shared<'a> {
    plain: PlainLines,
    stdout: &'a Sink,
    memory: &'a RefCell<Memory>,
    heard: &'a Heard,
}

impl Shared<'_> {
    /// Writes messages of the shim itself to the editor.
    async fn say(&self, messages: &[OutgoingFrame]) -> io::Result<()> {
        let mut text = BytesMut::new();
        messages.iter().for_each(|message| message.write_line_to(&mut text));
        self.stdout.write_all(&mut [IoSlice::new(&text)]).await
    }

    async fn relay(&self, editor: &mut EditorLines, daemon: UnixStream) -> io::Result<Parted> {
        let (again, daemon) = (daemon.try_clone()?, descriptor(daemon)?);
        let (from, to) = (Source::of_socket(descriptor(again)?)?, Sink::of_socket(daemon)?);
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
        to.end_socket();
        let _ = tokio::time::timeout(LAST_LINES, down).await;
        Ok(Parted::EditorGone)
    }

    /// Carries lines from the editor to the daemon, until the editor ends its stream.
    async fn up(&self, editor: &mut EditorLines, to: &Sink) -> io::Result<()> {
        let (mut out, mut refused) = (BytesMut::new(), Vec::new());
        let mut is_over = false;
        loop {
            while let Some(line) = editor.next(is_over) {
                self.heard.note();
                self.take(&mut editor.reader, line, &mut out, &mut refused);
            }
            self.say(&std::mem::take(&mut refused)).await?;
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
    fn take(
        &self,
        reader: &mut FrameReader,
        line: Line,
        out: &mut BytesMut,
        refused: &mut Vec<OutgoingFrame>,
    ) {
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { beginning, end, length } => {
                // The daemon would refuse it, too.
                if let Glimpse::Request(token) = Frame::glimpse(&beginning, &end) {
                    refused.push(lines::failure(&token, &Refusal::TooLong { length }));
                }
                return;
            }
        };
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

    /// Carries lines from the daemon to the editor, until the daemon is gone.
    async fn down(&self, mut from: Source) -> io::Result<Option<Why>> {
        let (mut read, mut out, mut why) = (BytesMut::new(), BytesMut::new(), None);
        let mut reader = FrameReader::default();
        loop {
            // What is cut off at the end of the stream is dropped.
            let fresh = from.read(&mut read, READ).await.unwrap_or(0);
            if fresh == 0 {
                return Ok(why);
            }
            // The rest of a line that has come in part has no line end.
            let Some(end) = memrchr(b'\n', &read[read.len() - fresh..]) else { continue };
            let lines = read.split_to(read.len() - fresh + end + 1);
            if self.plain.is_plain(&lines) {
                self.stdout.write_all(&mut [IoSlice::new(&lines)]).await?;
                continue;
            }
            let mut lines = lines.freeze();
            while let Some(end) = memchr(b'\n', &lines) {
                let line = lines.split_to(end + 1);
                if line.first() == Some(&SIGN) {
                    why = self.heed(&line).or(why);
                } else if self.passes(&mut reader, line.slice(..end)) {
                    out.put_slice(&line);
                }
            }
            self.stdout.write_all(&mut [IoSlice::new(&out)]).await?;
            out.clear();
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
        meeting: &Arc<Meeting>,
        why: Option<WhyKind>,
    ) -> io::Result<Option<UnixStream>> {
        if why == Some(WhyKind::ShuttingDown) && editor.fill().await == 0 {
            return Ok(None);
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let (meeting, adopted) = (meeting.clone(), self.memory.borrow().blobs());
            let met = spawn_blocking(move || {
                // The daemon looks at this process before it says anything.
                own_process::show_memory(true);
                let met = meeting.meet(ATTEMPT, &adopted);
                own_process::show_memory(false);
                met
            });
            let met = met.await;
            match met.unwrap_or_else(|error| Err(NoDaemon::lost(&error))) {
                Ok((daemon, welcome)) => {
                    tracing::info!("connected to the daemon {}", welcome.pid);
                    return Ok(Some(daemon));
                }
                Err(error) => tracing::warn!("no daemon can be reached: {error}"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                ended = self.refuse_all(editor) => return ended.map(|()| None),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Refuses what the editor asks, until it ends its stream.
    async fn refuse_all(&self, editor: &mut EditorLines) -> io::Result<()> {
        loop {
            let mut refused = Vec::new();
            while let Some(line) = editor.next(false) {
                self.heard.note();
                if let Line::Whole(bytes) = line
                    && let Ok(frame) = editor.reader.read(bytes)
                {
                    refused.extend(self.memory.borrow().refused(&frame));
                }
            }
            self.say(&refused).await?;
            if editor.fill().await == 0 {
                return Ok(());
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

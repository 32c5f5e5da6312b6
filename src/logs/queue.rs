//! A bounded, lossy queue of lines in front of an output that may be slow.
//!
//! Pushing never waits for the output: a line that finds no room is dropped.
//! Where lines are missing, one line says how many, in their place. The writer
//! thread is never joined; before the process exits, [`Queue::flush`] gives it time
//! to write the rest.
//!
//! Written by hand: the queue of tracing-appender counts lines, not bytes, and does not say
//! in the log where lines are missing.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::line_format::LineFormat;

/// The bytes that each line counts for beyond its own, so that the limit also bounds
/// the number of short lines.
const LINE_COST: usize = 64;

/// Where the lines of a queue end up.
pub(super) trait Output: Send + 'static {
    /// Writes one line, which has its line end, or a part of one. May block; what cannot be
    /// written is lost.
    fn write_line(&mut self, line: &[u8]);
}

/// A handle on the queue.
#[derive(Clone)]
pub(super) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// The cost of all queued lines and of the line that is being written, in bytes.
    cost: usize,
    writer: Writer,
}

/// The state of the writer thread.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Waiting,
    Writing,
}

enum Entry {
    Line(Box<[u8]>),
    /// A part of a line, as it is: the beginning, or what follows it.
    Part(Box<[u8]>),
    /// The number of lines that were dropped at this place.
    Lost(u64),
}

impl Queue {
    /// Starts a queue of at most `limit` bytes, and a thread called `name` that writes
    /// it to `output`. `notices` formats the lines that stand in for dropped ones.
    pub(super) fn start(
        name: &str,
        limit: usize,
        output: impl Output,
        notices: LineFormat,
    ) -> io::Result<Queue> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            limit,
        });
        let queue = Queue { shared: Arc::clone(&shared) };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || shared.drain(output, notices))?;
        Ok(queue)
    }

    /// Queues a line, with a line end if it has none, or drops it if there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        self.queue(cost(line) + usize::from(!line.ends_with(b"\n")), || {
            Entry::Line(with_end(line))
        });
    }

    /// Queues a part of a line as it is, or drops it if there is no room. A line that is queued
    /// behind a part without a line end begins a new line all the same.
    pub(super) fn push_part(&self, part: &[u8]) {
        self.queue(cost(part), || Entry::Part(part.into()));
    }

    fn queue(&self, cost: usize, entry: impl FnOnce() -> Entry) {
        let mut state = self.shared.lock();
        if state.cost.saturating_add(cost) > self.shared.limit {
            state.lose();
        } else {
            state.cost += cost;
            state.entries.push_back(entry());
        }
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Waits until every line is written, but not longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        let state = self.shared.lock();
        let busy = |state: &mut State| state.writer == Writer::Writing || !state.entries.is_empty();
        // The caller need not know whether the time was enough.
        drop(self.shared.emptied.wait_timeout_while(state, timeout, busy));
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("limit", &self.shared.limit).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before anything could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, mut output: impl Output, notices: LineFormat) {
        let mut is_mid_line = false;
        loop {
            let entry = self.next();
            if is_mid_line && !matches!(entry, Entry::Part(_)) {
                output.write_line(b"\n");
            }
            is_mid_line = matches!(&entry, Entry::Part(part) if !part.ends_with(b"\n"));
            match entry {
                Entry::Line(bytes) | Entry::Part(bytes) => {
                    output.write_line(&bytes);
                    self.lock().cost -= cost(&bytes);
                }
                Entry::Lost(count) => output.write_line(&notices.notice(count)),
            }
        }
    }

    /// Takes the next entry out of the queue; waits for one.
    fn next(&self) -> Entry {
        let mut state = self.lock();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.writer = Writer::Writing;
                return entry;
            }
            state.writer = Writer::Waiting;
            self.emptied.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn lose(&mut self) {
        match self.entries.back_mut() {
            Some(Entry::Lost(count)) => *count += 1,
            _ => self.entries.push_back(Entry::Lost(1)),
        }
    }
}

fn cost(line: &[u8]) -> usize {
    line.len() + LINE_COST
}

fn with_end(line: &[u8]) -> Box<[u8]> {
    if line.ends_with(b"\n") {
        return line.into();
    }
    let mut ended = Vec::with_capacity(line.len() + 1);
    ended.extend_from_slice(line);
    ended.push(b'\n');
    ended.into_boxed_slice()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests wait, and collect what they see
mod tests {
    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;
    use crate::logs::LogFormat;

    /// Hands each line out, and waits until the test takes it.
    struct Slow(SyncSender<Vec<u8>>);

    impl Output for Slow {
        fn write_line(&mut self, line: &[u8]) {
            let _ = self.0.send(line.to_vec());
        }
    }

    fn slow(limit: usize) -> io::Result<(Queue, Receiver<Vec<u8>>)> {
        let (sender, receiver) = mpsc::sync_channel(0);
        let queue = Queue::start("slow", limit, Slow(sender), LineFormat::new(LogFormat::Text))?;
        Ok((queue, receiver))
    }

    fn next(lines: &Receiver<Vec<u8>>) -> String {
        let line = lines.recv_timeout(Duration::from_secs(10)).unwrap_or_default();
        String::from_utf8(line).unwrap_or_default()
    }

    #[test]
    fn a_full_queue_drops_and_says_so_in_place() -> io::Result<()> {
        let (queue, lines) = slow(3 * (LINE_COST + 2))?;
        for line in ["1", "2", "3", "4", "5"] {
            queue.push(line.as_bytes());
        }
        assert_eq!([next(&lines), next(&lines), next(&lines)], ["1\n", "2\n", "3\n"]);
        let notice = next(&lines);
        assert!(notice.contains("2 lines were lost here"), "{notice}");
        queue.push(b"6\n");
        assert_eq!(next(&lines), "6\n");
        Ok(())
    }

    #[test]
    fn a_line_behind_half_a_line_begins_a_new_one() -> io::Result<()> {
        let (queue, lines) = slow(1000)?;
        queue.push_part(b"Name: ");
        queue.push_part(b"Ada\n");
        queue.push_part(b"Age: ");
        queue.push(b"a warning");
        queue.push_part(b"36\n");
        let all: String = (0..6).map(|_| next(&lines)).collect();
        assert_eq!(all, "Name: Ada\nAge: \na warning\n36\n");
        Ok(())
    }

    #[test]
    fn a_line_larger_than_the_queue_is_lost() -> io::Result<()> {
        let (queue, lines) = slow(100)?;
        queue.push(&[b'x'; 101]);
        assert!(next(&lines).contains("1 line was lost here"));
        Ok(())
    }

    #[test]
    fn flush_waits_for_a_reader_only_so_long() -> io::Result<()> {
        let (queue, lines) = slow(1000)?;
        queue.push(b"stuck");
        queue.flush(Duration::from_millis(10));
        let reader = thread::spawn(move || next(&lines));
        queue.flush(Duration::from_secs(10));
        assert_eq!(reader.join().unwrap_or_default(), "stuck\n");
        Ok(())
    }
}

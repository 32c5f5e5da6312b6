//! The agents' stderr: each line is passed on, and the last bytes are kept for the
//! message that tells a person why an agent died.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use crate::agent_environment::Variables;
use crate::logs::StderrSink;
use crate::runtime::stdio::Source;
use crate::secrets::Secrets;

/// How much of an agent's stderr is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// The most bytes of the tail that an error quotes as the agent's last words.
const SHOWN: usize = 1024;
/// With this many bytes of a line in the buffer and no line end, they are passed on as
/// a line of their own.
const LONGEST_LINE: usize = 64 * 1024;
/// The longest read, in bytes: an agent that floods its stderr leaves room for other tasks.
const LONGEST_READ: usize = 16 * 1024;
/// How long the beginning of a line waits for its end.
const HALF_LINE: Duration = Duration::from_millis(200);

/// The last bytes that an agent wrote to stderr.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Rc<RefCell<VecDeque<u8>>>);

impl Tail {
    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.borrow_mut();
        kept.extend(bytes);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }

    /// The end of the tail, at most [`SHOWN`] bytes of it, after `mask` has been applied.
    pub(super) fn shown(&self, mask: impl FnOnce(&str) -> String) -> String {
        let kept: Vec<u8> = self.0.borrow().iter().copied().collect();
        let text = mask(&String::from_utf8_lossy(&kept));
        let mut start = text.len().saturating_sub(SHOWN);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].trim_end().to_owned()
    }
}

/// Reads an agent's stderr to its end, and passes it on to `sink`. Each line begins with the
/// `prefix`, which names the channel while more than one agent runs. The beginning of a line
/// passes after [`HALF_LINE`]: it may be a question, and the agent waits for the answer.
pub(super) async fn forward(
    mut source: Source,
    tail: Tail,
    sink: StderrSink,
    prefix: impl Fn() -> String,
) {
    let mut buffer = BytesMut::new();
    let mut lines = Lines { tail, sink, is_mid_line: false };
    loop {
        let is_waiting = !buffer.is_empty();
        let read = source.read(&mut buffer, LONGEST_READ);
        let read = if is_waiting { timeout(HALF_LINE, read).await } else { Ok(read.await) };
        match read {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => break,
            Err(_) => {
                lines.pass_part(&buffer.split(), &prefix());
                continue;
            }
        }
        loop {
            let end = memchr::memchr(b'\n', &buffer);
            let length = match end {
                Some(end) => end + 1,
                None if buffer.len() >= LONGEST_LINE => buffer.len(),
                None => break,
            };
            lines.pass(&buffer.split_to(length), &prefix());
        }
        // The next bytes may be there already: the other tasks come first.
        tokio::task::yield_now().await;
    }
    if !buffer.is_empty() {
        lines.pass(&buffer, &prefix());
    }
}

/// The lines of one agent's stderr, on their way.
struct Lines {
    tail: Tail,
    sink: StderrSink,
    /// Whether the beginning of the current line has passed.
    is_mid_line: bool,
}

impl Lines {
    /// Passes a line on, or the rest of one.
    fn pass(&mut self, line: &[u8], prefix: &str) {
        if self.is_mid_line {
            self.pass_part(line, "");
            return;
        }
        self.tail.keep(line);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.sink.write_line(&[prefix.as_bytes(), line].concat());
    }

    /// Passes a part of a line on, as it is.
    fn pass_part(&mut self, part: &[u8], prefix: &str) {
        self.tail.keep(part);
        let prefix = if self.is_mid_line { "" } else { prefix };
        self.sink.write_part(&[prefix.as_bytes(), part].concat());
        self.is_mid_line = !part.ends_with(b"\n");
    }
}

/// The secrets in an agent's environment.
pub(super) fn secrets(environment: &Variables) -> Secrets {
    let text = |(name, value): &'_ (OsString, OsString)| {
        Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
    };
    let variables: Vec<(String, String)> = environment.iter().filter_map(text).collect();
    Secrets::of_environment(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

//! The agents' stderr: each line is passed on, and the last bytes are kept for the
//! message that tells a person why an agent died.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;

use crate::agent_environment::Variables;
use crate::logs::StderrSink;
use crate::runtime::stdio::Source;

/// How much of an agent's stderr is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// The most bytes of the tail that an error quotes as the agent's last words.
const SHOWN: usize = 1024;
/// With this many bytes of a line in the buffer and no line end, they are passed on as
/// a line of their own.
const LONGEST_LINE: usize = 8 * 1024;
/// Values of variables that are shorter than this are no secrets, in bytes.
const SHORTEST_SECRET: usize = 8;
/// The same for variables whose names tell that they are secrets, such as `API_KEY`.
const SHORTEST_NAMED_SECRET: usize = 4;

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

    /// The end of the tail, at most [`SHOWN`] bytes, with `***` in place of these secrets.
    pub(super) fn shown<'a>(&self, secrets: impl Iterator<Item = &'a str>) -> String {
        let kept: Vec<u8> = self.0.borrow().iter().copied().collect();
        let mut text = String::from_utf8_lossy(&kept).into_owned();
        let mut secrets: Vec<&str> = secrets.collect();
        // The longest secret first: it may contain another.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        for secret in secrets {
            text = text.replace(secret, "***");
        }
        let mut start = text.len().saturating_sub(SHOWN);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].trim_end().to_owned()
    }
}

/// Reads an agent's stderr to its end, and passes it on to `sink`. Each line begins
/// with the `prefix`, which names the channel while more than one agent runs.
pub(super) async fn forward(
    mut source: Source,
    tail: Tail,
    sink: StderrSink,
    prefix: impl Fn() -> String,
) {
    let mut buffer = BytesMut::new();
    let pass = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        sink.write_line(&[prefix().as_bytes(), line].concat());
    };
    while let Ok(1..) = source.read(&mut buffer).await {
        loop {
            let end = memchr::memchr(b'\n', &buffer);
            let length = match end {
                Some(end) => end + 1,
                None if buffer.len() >= LONGEST_LINE => buffer.len(),
                None => break,
            };
            let line = buffer.split_to(length);
            tail.keep(&line);
            pass(line.strip_suffix(b"\n").unwrap_or(&line));
        }
    }
    if !buffer.is_empty() {
        tail.keep(&buffer);
        pass(&buffer);
    }
}

/// The values in an agent's environment that no message may show. Paths, user names
/// and preferences are no secrets: a message with all of them cut out says nothing.
pub(super) fn secrets(environment: &Variables) -> Vec<String> {
    const OPEN: [&str; 14] = [
        "HOME", "PATH", "PWD", "OLDPWD", "SHELL", "USER", "LOGNAME", "LANG", "TMPDIR", "HOSTNAME",
        "EDITOR", "VISUAL", "PAGER", "DISPLAY",
    ];
    const OPEN_FAMILIES: [&str; 8] =
        ["LC_", "XDG_", "TERM", "CARGO", "RUST", "DRAWBRIDGE_", "NPM_CONFIG_", "npm_"];
    // A name with one of these words is a secret's, even if it is in the lists above.
    const TELLING: [&str; 6] = ["TOKEN", "AUTH", "KEY", "SECRET", "PASS", "CREDENTIAL"];
    environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())))
        .filter(|(name, value)| {
            let is_open = OPEN.contains(&name.as_str())
                || OPEN_FAMILIES.iter().any(|family| name.starts_with(family));
            let upper = name.to_ascii_uppercase();
            let is_named = TELLING.iter().any(|word| upper.contains(word));
            value.len() >= if is_named { SHORTEST_NAMED_SECRET } else { SHORTEST_SECRET }
                && (is_named || !is_open)
        })
        .map(|(_, value)| value)
        .collect()
}

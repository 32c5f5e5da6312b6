//! A connection that has not said yet whose it is: the look at its process, and its first lines.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::link::WIRE;
use crate::link::control::{Control, Hello, LONGEST, MOST_ADOPTED, Text, WhyKind};
use crate::link::peer::{self, Namespaces, Stranger};

/// The time for the first lines.
const HELLO: Duration = Duration::from_secs(5);

/// The time that a peer gets to read why it is not let in.
const LAST_LINE: Duration = Duration::from_secs(1);

/// The largest environment, in variables and in bytes.
const MOST_VARIABLES: usize = 4096;
const LARGEST_ENVIRONMENT: usize = 2 << 20;

/// The most words of a command.
const MOST_WORDS: usize = 4096;

/// A connection, with what it wants.
pub(super) struct Introduced {
    pub(super) stream: StdStream,
    pub(super) wish: Wish,
}

/// The purpose of a connection.
pub(super) enum Wish {
    /// An editor wants an agent. The texts are those that a lost daemon has given to be kept.
    Agent(Box<Hello>, Vec<String>),
    /// The configuration is to be read again.
    Reload,
    /// The daemon is to take no more editors.
    Retire,
    /// The conversations are to be named that are held.
    Holds,
}

/// Looks at the process at the other end, and reads its first lines; `None`: it was not let in,
/// and the connection is over.
pub(super) async fn introduced(
    mut stream: UnixStream,
    namespaces: Namespaces,
) -> Option<Introduced> {
    match peer::admit(&stream, namespaces) {
        Ok(()) => {}
        // Another user gets no byte.
        Err(Stranger::OtherUser) => {
            tracing::warn!("a process of another user was refused at the socket");
            return None;
        }
        Err(stranger) => {
            tracing::warn!("a connection was refused at the socket: {}", stranger.message());
            refuse(stream, stranger.kind(), stranger.message()).await;
            return None;
        }
    }
    match timeout(HELLO, wish(&mut stream)).await {
        Ok(Ok(wish)) => Some(Introduced { stream: stream.into_std().ok()?, wish }),
        Ok(Err(Unread::Gone)) => None,
        Ok(Err(Unread::Refused(kind, why))) => {
            tracing::warn!("a connection was refused at the socket: {why}");
            refuse(stream, kind, why).await;
            None
        }
        Err(_) => {
            refuse(stream, WhyKind::BadHello, "No whole hello came within 5 seconds.").await;
            None
        }
    }
}

/// Says why a connection ends, and ends it.
pub(super) async fn refuse(stream: UnixStream, kind: WhyKind, why: impl Into<String>) {
    say_last(stream, &Control::why(kind, why)).await;
}

/// Says one line, and ends the connection.
pub(super) async fn say_last(mut stream: UnixStream, line: &Control) {
    // A peer that does not read it is not waited for.
    let _ = timeout(LAST_LINE, stream.write_all(&line.whole_line())).await;
}

/// Why the first lines of a connection are not read.
enum Unread {
    /// It is over.
    Gone,
    /// They are refused.
    Refused(WhyKind, String),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Unread::Gone
    }
}

fn bad(why: &str) -> Unread {
    Unread::Refused(WhyKind::BadHello, why.to_owned())
}

async fn wish(stream: &mut UnixStream) -> Result<Wish, Unread> {
    let mut lines = BufReader::new(stream);
    let wish = match next(&mut lines).await? {
        Some(Control::Hello(hello)) => {
            check(&hello)?;
            let adopted = match hello.adopts {
                false => Vec::new(),
                true => match next(&mut lines).await? {
                    Some(Control::Adopt(adopted)) if adopted.len() <= MOST_ADOPTED => adopted,
                    _ => return Err(bad("The line behind the hello adopts no sessions.")),
                },
            };
            Wish::Agent(hello, adopted)
        }
        Some(Control::Reload) => Wish::Reload,
        Some(Control::Retire) => Wish::Retire,
        Some(Control::Holds) => Wish::Holds,
        _ => return Err(bad("The first line is no hello (docs/socket.md).")),
    };
    // Bytes behind the first lines belong to the bridge, which is not there yet.
    if lines.buffer().is_empty() { Ok(wish) } else { Err(bad("Wait for the welcome.")) }
}

/// The next line; `None`: it is no control line.
async fn next(lines: &mut BufReader<&mut UnixStream>) -> Result<Option<Control>, Unread> {
    let mut line = Vec::new();
    let read = (&mut *lines).take(LONGEST as u64).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Control::read(&line)),
        _ if read == LONGEST => Err(bad("The line is too long.")),
        _ => Err(Unread::Gone),
    }
}

/// Checks the sizes in a hello, and that the system can take its texts.
fn check(hello: &Hello) -> Result<(), Unread> {
    if hello.wire != WIRE {
        let why = format!(
            "The daemon is drawbridge {} and speaks another line protocol than drawbridge {}.",
            env!("CARGO_PKG_VERSION"),
            hello.version
        );
        return Err(Unread::Refused(WhyKind::OtherWire, why));
    }
    let pairs = &hello.environment;
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if pairs.len() > MOST_VARIABLES || bytes > LARGEST_ENVIRONMENT {
        return Err(bad("The environment is over 2 MiB or 4096 variables."));
    }
    let words = hello.agent.words();
    if words.len() > MOST_WORDS {
        return Err(bad("The command has too many words."));
    }
    let is_name = |name: &Text| !name.is_empty() && !name.has_equals();
    let mut texts = pairs.iter().flat_map(|(name, value)| [name, value]);
    if texts.any(Text::has_nul) || words.iter().any(Text::has_nul) || hello.directory.has_nul() {
        return Err(bad("A text in the hello holds a NUL."));
    }
    if !pairs.iter().all(|(name, _)| is_name(name)) {
        return Err(bad("A variable in the hello has no name."));
    }
    Ok(())
}

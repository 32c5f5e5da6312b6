//! One question to a daemon, in a connection of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::control::{Control, LONGEST};

/// Says one line to the daemon at the other end, and reads its answer; `None`: it gave none that
/// this version knows.
///
/// # Errors
/// Those of the system, and if the answer does not come within this time.
pub fn ask(
    mut stream: UnixStream,
    line: &Control,
    within: Duration,
) -> io::Result<Option<Control>> {
    stream.set_read_timeout(Some(within))?;
    // A daemon that refuses this process reads nothing, and has said why.
    let _ = stream.write_all(&line.whole_line());
    let mut answer = Vec::new();
    BufReader::new(stream.take(LONGEST as u64)).read_until(b'\n', &mut answer)?;
    Ok(Control::read(answer.trim_ascii_end()))
}

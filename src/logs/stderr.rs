//! Stderr as an output, which may block.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use super::queue::Output;

/// The bridge's stderr, as the output of a writer thread.
///
/// **Hazard:** not through the standard library's handle. Its lock would be held
/// while a write blocks, and a panic in another thread would wait for that lock
/// before it ends the agents.
pub(super) struct Stderr(File);

impl Stderr {
    /// Opens it: a duplicate of the descriptor 2.
    pub(super) fn open() -> io::Result<Stderr> {
        Ok(Stderr(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
    }
}

impl Output for Stderr {
    fn write_line(&mut self, line: &[u8]) {
        // If stderr is broken, nobody is left to be told.
        let _ = write_patiently(&mut self.0, line);
    }
}

/// Writes all of `line`.
///
/// **Hazard:** whether writes to stderr block is a flag that all processes share
/// which have inherited it, and some of them make it non-blocking.
pub(super) fn write_patiently(output: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    while !line.is_empty() {
        match output.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_does_not_block_gets_the_whole_line() {
        struct Reluctant(Vec<u8>, bool);
        impl Write for Reluctant {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.0.push(bytes[0]);
                Ok(1)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Reluctant(Vec::new(), false);
        assert!(write_patiently(&mut output, b"ab\n").is_ok());
        assert_eq!(output.0, b"ab\n");
    }
}

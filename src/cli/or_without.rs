//! Things that a bridge goes on without if they cannot be had.

use std::io;

use super::mode::Mode;

/// The thing that was opened; `None`: it could not be, and the log says why. `what` completes the
/// sentence "there is …".
pub(super) fn or_without<T>(mode: Mode, what: &str, opened: io::Result<T>) -> Option<T> {
    match opened {
        Ok(opened) => Some(opened),
        Err(error) => {
            match mode {
                Mode::Serve => tracing::warn!("there is {what}: {error}"),
                // An editor may show a warning as an error.
                Mode::Run | Mode::Connect => tracing::info!("there is {what}: {error}"),
            }
            None
        }
    }
}

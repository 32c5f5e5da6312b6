//! The shim: the process that an editor starts to use the daemon. It carries lines between the
//! editor and the daemon, and remembers what must be said again when the daemon is lost.
//!
//! It does not know what a session is beyond the ids that the daemon tells it to keep.

mod ancestors;
mod meeting;
mod memory;
mod orphan;
mod plain;
mod relay;
pub mod start;
mod to_editor;

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;

pub use self::ancestors::editor;
pub use self::meeting::{Meeting, NoDaemon};
pub use self::relay::End;
use self::relay::Relay;
use crate::bridge::Limit;
use crate::link::streams::Streams;
use crate::runtime::start_over::release_memory_of_start;

/// The settings of a shim.
#[derive(Debug)]
pub struct ShimSetup {
    /// How the daemon is met, now and after a loss.
    pub meeting: Meeting,
    /// How long the editor may be silent after the end of the process that started the shim.
    pub orphan_timeout: Limit,
    /// The longest message, in bytes: a longer one is the daemon's to refuse.
    pub max_frame_bytes: usize,
}

/// Serves the editor at this process's stdio by the daemon at the other end of this stream, which
/// has welcomed it, and by those that come after it.
///
/// # Errors
/// If the stdio or the system's signals cannot be used at all.
pub fn serve(setup: ShimSetup, daemon: Streams) -> io::Result<End> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let ShimSetup { meeting, orphan_timeout, max_frame_bytes } = setup;
    let end = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        tasks.spawn_local(release_memory_of_start());
        Relay::new(Arc::new(meeting), orphan_timeout, max_frame_bytes)?.run(daemon).await
    });
    // A thread may still block in a read of stdin; it is not waited for.
    runtime.shutdown_background();
    end
}

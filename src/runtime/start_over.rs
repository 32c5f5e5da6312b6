//! The end of the start of this process.

use std::time::Duration;

use crate::own_process::release_file_pages;

/// The time after which the start is over. Nothing waits for it.
const START: Duration = Duration::from_secs(1);

/// Waits until the start is over, and gives back the memory that it alone has needed.
pub(crate) async fn release_memory_of_start() {
    tokio::time::sleep(START).await;
    release_file_pages();
}

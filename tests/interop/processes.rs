//! The processes of one test: marked, so that none is left behind unseen.
//!
//! Every process that a test starts inherits a mark of that test in its
//! environment, through the bridge to the agent. On Linux the mark is looked
//! up in `/proc`; elsewhere nothing is found, and only the guards that the
//! processes have of their own apply.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The environment variable that carries the mark.
pub(crate) const MARK: &str = "INTEROP_TEST_MARK";

/// The mark of one test. Dropped, it kills whatever still carries it.
pub(crate) struct Marked {
    pub(crate) mark: String,
}

impl Marked {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { mark: format!("{}-{count}", std::process::id()) }
    }

    /// Returns when no process carries the mark any more.
    pub(crate) async fn gone(&self) {
        while !self.alive().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ids of the processes that carry the mark.
    fn alive(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| carries(path, wanted.as_bytes()))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .collect()
    }
}

fn carries(process: &Path, wanted: &[u8]) -> bool {
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == wanted)
}

impl Drop for Marked {
    fn drop(&mut self) {
        for process in self.alive() {
            let name = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let name = String::from_utf8_lossy(&name).replace('\0', " ");
            eprintln!("left behind, killed: {process} {name}");
            let mut kill = Command::new("kill");
            let kill = kill.args(["-9", &process]).stderr(Stdio::null());
            drop(kill.status());
        }
    }
}

//! The way out: one locked writer to stdout, and the log of what went in and out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stdout without a buffer, so that one frame is one write, and the optional log.
pub(crate) struct Wire {
    out: Mutex<File>,
    log: Option<Mutex<File>>,
}

impl Wire {
    /// Takes stdout and opens the log, if one is wanted.
    pub(crate) fn open(log: Option<&Path>) -> Result<Self, String> {
        let out = io::stdout().as_fd().try_clone_to_owned();
        let out = out.map_err(|e| format!("no stdout: {e}"))?;
        let log = log
            .map(|path| {
                let file = OpenOptions::new().create(true).append(true).open(path);
                file.map(Mutex::new)
                    .map_err(|e| format!("cannot open the log {}: {e}", path.display()))
            })
            .transpose()?;
        Ok(Self { out: Mutex::new(File::from(out)), log })
    }

    /// Sends one line. A peer that is gone is no error: stdin's end tells us soon enough.
    pub(crate) fn send(&self, line: &str) {
        let mut out = lock(&self.out);
        self.note_with('>', line);
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
    }

    /// Sends text that does not end a line.
    pub(crate) fn send_unfinished(&self, text: &str) {
        let mut out = lock(&self.out);
        self.note_with('>', text);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Logs a line that came in.
    pub(crate) fn received(&self, line: &str) {
        self.note_with('<', line);
    }

    /// Logs an event.
    pub(crate) fn note(&self, text: &str) {
        if let Some(log) = &self.log {
            let _ = lock(log).write_all(format!("{text}\n").as_bytes());
        }
    }

    /// Logs the exit and ends the process.
    pub(crate) fn exit(&self, code: i32) -> ! {
        self.note("= exit");
        process::exit(code)
    }

    fn note_with(&self, mark: char, line: &str) {
        if self.log.is_some() {
            self.note(&format!("{mark} {line}"));
        }
    }
}

/// Locks a mutex, even if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

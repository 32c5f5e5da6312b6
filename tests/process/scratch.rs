//! A directory of its own for each bridge under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A directory that is removed with its contents when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("drawbridge-test-{}-{number}", process::id()));
        fs::create_dir(&path).expect("a directory for the test");
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a directory in it.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(&path).expect("a directory in the scratch directory");
        path
    }
}

/// Writes a script that can be executed. Another process writes it: a file that this one has open
/// for writing may be open in a child of another test too, and then cannot be executed.
pub(crate) fn write_script(file: &Path, text: &str) {
    // Not in its place: a shell may be reading it.
    let write = r#"printf %s "$2" > "$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1""#;
    let written = Command::new("sh").args(["-c", write, "sh"]).arg(file).arg(text).status();
    assert!(written.is_ok_and(|status| status.success()), "{} is not written", file.display());
}

/// Copies a program, for the same reason by another process.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} is not copied", from.display());
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

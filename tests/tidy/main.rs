//! The house rules: what no compiler checks.

// Tests: a panic is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod api;
mod code;
mod cycles;
mod docs;
mod imports;
mod lexer;
mod rooms;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// All Rust files below the given folders.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut open: Vec<PathBuf> =
        folders.iter().map(|folder| Path::new(ROOT).join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "there is something in {folders:?}");
    found
}

/// The path of a file from the root of the repository.
fn from_root(path: &Path) -> String {
    path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned()
}

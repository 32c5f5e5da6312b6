//! What the fuzzer has learnt, as an ordinary test.
//!
//! Every file of `fuzz/corpus/` and `fuzz/regressions/` is given to the same code
//! that the fuzz targets run; the first is what they set out from, the second
//! what once failed. The corpus of the core is mixed to random scripts, too.

// Tests: a panic is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

mod scripts;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The files of a target, in the order of their names.
fn files(target: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["corpus", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
        files.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

/// Gives every file of a target to it.
fn replay(target: &str, run: fn(&[u8])) {
    let files = files(target);
    let fails = |file: &&PathBuf| {
        let bytes = fs::read(file).unwrap();
        catch_unwind(|| run(&bytes)).is_err()
    };
    let failed: Vec<&PathBuf> = files.iter().filter(fails).collect();
    assert!(files.len() > 5, "there are files for {target}");
    assert!(failed.is_empty(), "what is above went wrong with {failed:#?}");
}

#[test]
fn lines_do_not_depend_on_where_chunks_end() {
    replay("lines", targets::lines);
}

#[test]
fn frames_are_read_as_a_library_reads_them() {
    replay("frames", targets::frames);
}

#[test]
fn the_core_keeps_its_rules_whatever_it_is_told() {
    replay("core", targets::core);
}

//! Arbitrary bytes for the targets in `fuzz/`, one after the other.
//!
//! New inputs that reach new code go to `fuzz/work/`, which is not committed; the
//! committed corpus is only read. An input on which a target fails is written to
//! `fuzz/artifacts/`, and the next target runs all the same.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::take;

/// The targets, in the order in which they run.
const TARGETS: [&str; 3] = ["lines", "frames", "core"];
/// How long each target runs, unless the environment says otherwise (s).
const SECONDS: &str = "600";

/// Runs every target; `false` if one of them found something.
pub fn run() -> bool {
    if !is_installed() {
        eprintln!("this needs cargo-fuzz, which is not here: `cargo install cargo-fuzz --locked`");
        return false;
    }
    let seconds = env::var("DRAWBRIDGE_FUZZ_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
    let held = TARGETS.map(|target| runs(target, &root, &seconds));
    held == [true; TARGETS.len()]
}

fn is_installed() -> bool {
    let mut asked = Command::new("cargo");
    asked.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn runs(target: &str, root: &Path, seconds: &str) -> bool {
    let [work, corpus] = ["work", "corpus"].map(|folder| root.join(folder).join(target));
    if let Err(error) = fs::create_dir_all(&work) {
        eprintln!("{} cannot be made: {error}", work.display());
        return false;
    }
    let (root, work, corpus) =
        (root.to_string_lossy(), work.to_string_lossy(), corpus.to_string_lossy());
    let time = format!("-max_total_time={seconds}");
    // Our code has no `unsafe`, so what is looked for is a panic, and for that no
    // sanitizer is needed, and no nightly compiler.
    let step = [
        "cargo",
        "fuzz",
        "run",
        "--fuzz-dir",
        &root,
        "--sanitizer",
        "none",
        target,
        &work,
        &corpus,
        "--",
        &time,
        "-max_len=1024",
    ];
    take(&step, [].into_iter())
}

//! Rules of the code: what it may name and import, and how long a file is.

use crate::cycles::cycles;
use crate::imports::imports_of_crates;
use crate::{from_root, sources};

/// Whether a file is that of one of these rooms, or stands below it.
pub fn is_in(path: &str, rooms: &[&str]) -> bool {
    let rest = |room: &&str| path.strip_prefix(*room);
    rooms.iter().filter_map(rest).any(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The lines of a file that are code.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

#[test]
fn the_core_and_the_wire_are_pure() {
    let banned = [
        "tokio",
        "async ",
        ".await",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "std::env",
        // A duration is no clock.
        "std::time::Instant",
        "std::time::{",
        "std::io",
        "Instant::now",
        "SystemTime",
        "rand::",
        "nix::",
        "tracing",
        "println!",
        "crate::runtime",
        "crate::cli",
        "crate::logs",
    ];
    for (path, text) in sources(&["src/bridge.rs", "src/bridge", "src/wire.rs", "src/wire"]) {
        for line in code(&text) {
            for word in banned {
                assert!(!line.contains(word), "{}: `{word}` in `{line}`", path.display());
            }
        }
    }
    for (path, text) in sources(&["src/wire.rs", "src/wire"]) {
        assert!(!code(&text).any(|line| line.contains("crate::bridge")), "{}", path.display());
    }
}

#[test]
fn the_keeper_and_the_ladder_know_nothing_of_the_bridge() {
    let is_theirs = |path: &str| is_in(path, &["src/keeper", "src/ladder"]);
    for (path, imported) in imports_of_crates().iter().filter(|(path, _)| is_theirs(path)) {
        for file in imported {
            let is_foreign = is_in(file, &["src/bridge", "src/runtime", "src/cli"]);
            assert!(!is_foreign, "{path} imports {file}");
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let cycles = cycles(&imports_of_crates());
    assert!(cycles.is_empty(), "{}", cycles.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_hash_map_of_the_core_is_walked() {
    // Their order is random: a walk would make two runs of one history differ.
    let files = sources(&["src/bridge"]);
    let lines = files.iter().flat_map(|(_, text)| code(text));
    let fields = lines.filter_map(|line| Some(line.split_once(": HashMap<")?.0));
    let maps: Vec<&str> = fields.filter_map(|field| field.split_whitespace().last()).collect();
    assert!(maps.len() > 3, "{maps:?}");
    for (path, text) in &files {
        if path.ends_with("check.rs") {
            continue;
        }
        // What is asked of each row, and a count, have the same answer in any order.
        let is_unordered = |line: &str| {
            line.contains(".values().all(")
                || line.contains(".iter().all(")
                || (line.contains(".values().filter(") && line.ends_with(".count();"))
        };
        for line in code(text).filter(|line| !is_unordered(line)) {
            for map in &maps {
                for walk in [".iter()", ".keys()", ".values()", ".drain("] {
                    let walked = format!("{map}{walk}");
                    assert!(!line.contains(&walked), "{}: {line}", path.display());
                }
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_is_not_too_long() {
    let tools =
        ["agent-stub/tests", "tests", "xtask/src", "benches/src", "fuzz/src", "fuzz/fuzz_targets"];
    for (folders, longest) in [(&["src", "agent-stub/src"][..], 400), (&tools, 600)] {
        for (path, text) in sources(folders) {
            let path = from_root(&path);
            assert!(text.starts_with("//!"), "{path} begins with what it is for");
            let lines = text.lines().count();
            assert!(lines <= longest, "{path} has {lines} lines, and {longest} are allowed");
        }
    }
}

#[test]
fn nothing_is_left_open() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ign", "ore"].concat()];
    for (path, text) in
        sources(&["src", "agent-stub", "tests", "xtask/src", "benches/src", "fuzz/src"])
    {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", path.display());
        }
    }
}

//! The rooms of the core. An event goes down through them and never up: a file
//! imports files of its own room and of those below.

use crate::code::is_in;
use crate::imports::{Imports, imports, imports_of_crates};
use crate::{from_root, sources};

/// From the face down. What stands in none of them is the vocabulary, at the bottom.
const ROOMS: [&[&str]; 10] = [
    &["src/bridge.rs"],
    &["src/bridge/settle"],
    &["src/bridge/due"],
    &["src/bridge/shutdown", "src/bridge/operator", "src/bridge/view", "src/bridge/check"],
    &["src/bridge/routing"],
    &["src/bridge/channels"],
    &["src/bridge/sessions"],
    &["src/bridge/outgoing"],
    &["src/bridge/step"],
    &["src/bridge/books"],
];

fn depth(file: &str) -> usize {
    let is_its = |room: &&[&str]| room.iter().any(|room| file == *room || is_in(file, &[room]));
    ROOMS.iter().position(is_its).unwrap_or(ROOMS.len())
}

/// The imports that lead up. The mistakes that tests switch on may be asked for from
/// anywhere.
fn upward(imports: &Imports) -> Vec<String> {
    let is_core = |file: &str| is_in(file, &["src/bridge"]) && file != "src/bridge/seeded.rs";
    let mut found = Vec::new();
    for (file, imported) in imports.iter().filter(|(file, _)| is_core(file)) {
        for target in imported.iter().filter(|target| is_core(target)) {
            if depth(target) < depth(file) {
                found.push(format!("{file} imports {target}, which stands above it"));
            }
        }
    }
    found
}

#[test]
fn in_the_core_no_file_imports_one_of_a_room_above_its_own() {
    let found = upward(&imports_of_crates());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn functions_of_the_rooms_belong_to_no_type() {
    // With them as methods of one type, a call from file to file could not be seen.
    let homes = [
        ("impl Bridge", "src/bridge.rs"),
        ("impl Step", "src/bridge/step"),
        ("impl Books", "src/bridge/books"),
    ];
    for (path, text) in sources(&["src/bridge.rs", "src/bridge"]) {
        let path = from_root(&path);
        for (methods, home) in homes {
            let is_home = path == home || is_in(&path, &[home]);
            assert!(is_home || !text.contains(methods), "{path} has `{methods}`");
        }
    }
}

#[test]
fn every_room_of_the_core_is_there() {
    let imports = imports_of_crates();
    for (place, _) in ROOMS.iter().enumerate() {
        assert!(imports.keys().any(|file| depth(file) == place), "{:?}", ROOMS[place]);
    }
}

#[test]
fn an_import_that_leads_up_is_found() {
    let files = [
        ("src/bridge.rs", "mod books; mod channels; mod sessions;"),
        ("src/bridge/channels.rs", "pub mod stop;"),
        ("src/bridge/channels/stop.rs", "use crate::bridge::sessions::close;"),
        ("src/bridge/sessions.rs", "pub mod close;"),
        ("src/bridge/sessions/close.rs", "fn end() { crate::bridge::channels::stop::drain(); }"),
    ];
    let found = upward(&imports(files.into_iter()));
    let expected = "src/bridge/sessions/close.rs imports src/bridge/channels/stop.rs, \
                    which stands above it";
    assert_eq!(found, [expected]);
}

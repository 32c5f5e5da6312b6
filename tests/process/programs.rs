//! The program of the agent, and a start that fails alone.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bridge::{Bridge, Setup, stub};
use crate::client::refusal;
use crate::scratch::{Scratch, write_script};

/// Puts a script in a directory that sets `ORIGIN` and becomes the stub.
pub(crate) fn plant(directory: &Path, file: &str, origin: &str) {
    let file = directory.join(file);
    let script = format!("#!/bin/sh\nORIGIN={origin} exec '{}' \"$@\"\n", stub().display());
    write_script(&file, &script);
}

/// Starts bridges in a directory with `bin/my-agent` in front of this command; another
/// program of the same name lies in the directory of the second session. Both must be
/// served by the first one.
fn both_are_ours(command: &str, variables: &[(&str, &str)], options: &[&str]) {
    for keeper in [&[][..], &["--no-keeper"]] {
        let options = [&["--share", "session"], keeper, options].concat();
        let mut setup = Setup::with_command(&options, &[command]);
        for (name, value) in variables {
            setup = setup.variable(name, value);
        }
        let ours = setup.scratch().directory("bin");
        let project = setup.scratch().directory("project");
        plant(&ours, "my-agent", "ours");
        fs::create_dir(project.join("bin")).expect("a directory in the project");
        plant(&project, "my-agent", "planted");
        plant(&project.join("bin"), "my-agent", "planted");
        let mut bridge = setup.start();
        bridge.initialize();
        let sessions = [bridge.new_session(), bridge.new_session_in(&project.to_string_lossy())];
        for session in sessions {
            assert_eq!(bridge.turn(&session, "env ORIGIN"), ["ours"], "{command} {options:?}");
        }
        bridge.end();
    }
}

#[test]
fn a_relative_program_is_the_same_one_for_every_session() {
    both_are_ours("./bin/my-agent", &[], &[]);
}

#[test]
fn so_is_one_that_a_relative_path_names() {
    both_are_ours("my-agent", &[("PATH", "bin:/usr/bin:/bin")], &[]);
}

#[test]
fn the_path_counts_that_the_agent_does_not_get() {
    both_are_ours("my-agent", &[("PATH", "bin:/usr/bin:/bin")], &["--env-pass", "BRIDGE_TEST_*"]);
}

#[test]
fn a_path_that_is_set_for_the_agent_comes_first() {
    let set = "PATH=bin:/usr/bin:/bin";
    both_are_ours("my-agent", &[("PATH", "/usr/bin:/bin")], &["--env-set", set]);
}

#[test]
fn a_directory_in_which_nothing_can_start_fails_alone() {
    let options = ["--share", "cwd", "--channel-idle-timeout-ms", "0"];
    for odd in ["/tmp\u{0}x".to_owned(), format!("/{}", "x".repeat(200_000))] {
        let mut bridge = Bridge::ready(&options, &[]);
        let first = bridge.new_session();
        let keepers = bridge.keepers().len();
        let refused = bridge.call("session/new", &json!({ "cwd": odd, "mcpServers": [] }));
        assert_eq!(refusal(&refused).0, -32603, "{refused}");
        let directory = bridge.scratch.directory("other").display().to_string();
        let second = bridge.new_session_in(&directory);
        assert_eq!(bridge.turn(&second, "say as before"), ["as before"]);
        assert_eq!(bridge.turn(&first, "say so do I"), ["so do I"]);
        assert_eq!(bridge.keepers().len(), 2 * keepers, "later agents have keepers, too");
        bridge.end();
    }
}

#[test]
fn an_agent_that_is_named_has_its_command_its_variables_and_more_arguments() {
    let scratch = Scratch::new();
    let file = scratch.file("config.toml");
    let table = format!(
        "[agents.mine]\ncommand = '{}'\nargs = ['--session-ids', 'fixed:named']\nenv = {{ ROLE = \
         'tester' }}\n",
        stub().display()
    );
    fs::write(&file, table).expect("the configuration");
    let options = ["--config", &file.display().to_string(), "--agent", "mine"];
    let store = scratch.directory("store").display().to_string();
    let mut bridge = Setup::with_command(&options, &["--state-dir", &store]).start();
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(session, "named");
    assert_eq!(bridge.turn(&session, "env ROLE"), ["tester"]);
    assert!(fs::read_dir(&store).expect("the store").next().is_some(), "the argument behind --");
    bridge.logs("in front of `mine`");
    bridge.end();
}

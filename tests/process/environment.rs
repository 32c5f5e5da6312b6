//! What an agent finds in its environment.

use crate::bridge::Setup;

/// What the agent sees of these variables, in the way that agents are run with
/// these options.
fn seen(options: &[&str], names: &[&str]) -> Vec<String> {
    let mut bridge = Setup::new(options, &[])
        .variable("TERM", "xterm-of-the-editor")
        .variable("SHLVL", "7")
        .variable("ACME_REGION", "north")
        .start();
    bridge.initialize();
    let session = bridge.new_session();
    let script: Vec<String> = names.iter().map(|name| format!("env {name}")).collect();
    let said = bridge.turn(&session, &script.join("\n"));
    bridge.end();
    said
}

#[test]
fn everything_but_what_belongs_to_a_terminal() {
    for keeper in [&[][..], &["--no-keeper"]] {
        let said = seen(keeper, &["ACME_REGION", "TERM", "SHLVL"]);
        assert_eq!(said, ["north", "", ""]);
    }
}

#[test]
fn only_what_is_named() {
    // The mark is how a test finds its processes.
    let said = seen(&["--env-pass", "PATH,BRIDGE_TEST_*"], &["ACME_REGION", "PATH"]);
    assert_eq!(said[0], "");
    assert!(!said[1].is_empty());
}

#[test]
fn what_is_wanted_of_the_terminal_and_what_is_set() {
    let options = ["--env-ignore", "none", "--env-set", "ACME_REGION=south,ACME_LIST=a,b"];
    let said = seen(&options, &["TERM", "ACME_REGION", "ACME_LIST"]);
    assert_eq!(said, ["xterm-of-the-editor", "south", "a,b"]);
}

#[test]
fn what_is_set_is_not_quoted_either() {
    let mut bridge = Setup::new(&["--env-set", "ACME_KEY=set-for-the-agent"], &[]).start();
    bridge.initialize();
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "stderr see set-for-the-agent\nexit 9");
    let answer = bridge.answer(turn);
    assert_eq!(answer["error"]["data"]["stderrTail"], "see ***");
    assert!(!bridge.log().contains("set-for"), "{bridge}");
    bridge.end();
}

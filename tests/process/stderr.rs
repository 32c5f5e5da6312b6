//! What agents say on stderr: passed on, kept for errors, and never in the way.

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::eventually;

fn says(bridge: &Bridge, line: &str) {
    eventually(line, || bridge.stderr().lines().any(|one| one == line));
}

#[test]
fn lines_of_one_agent_are_passed_on_as_they_are() {
    let mut bridge = Bridge::ready(&[], &["--stderr", "ready when you are"]);
    let session = bridge.new_session();
    says(&bridge, "ready when you are");
    bridge.turn(&session, "stderr two words  and spaces");
    says(&bridge, "two words  and spaces");
    let long = "x".repeat(40_000);
    bridge.turn(&session, &format!("stderr {long}"));
    says(&bridge, &long);
    bridge.end();
}

#[test]
fn lines_of_several_agents_say_whose_they_are() {
    let mut bridge = Bridge::ready(&["--share", "session"], &[]);
    let [one, two] = [bridge.new_session(), bridge.new_session()];
    bridge.turn(&one, "stderr of one");
    bridge.turn(&two, "stderr of two");
    let prefix = |words: &str| {
        let mut prefix = None;
        eventually(words, || {
            let stderr = bridge.stderr();
            let found = stderr.lines().find_map(|line| line.strip_suffix(words));
            prefix = found.map(str::to_owned);
            prefix.is_some()
        });
        prefix.expect("it was found")
    };
    let prefixes = [prefix("of one"), prefix("of two")];
    assert!(prefixes.iter().all(|one| one.starts_with("ch-") && one.ends_with(": ")));
    assert_ne!(prefixes[0], prefixes[1]);
    bridge.end();
}

#[test]
fn a_last_line_without_an_end_is_passed_on_too() {
    let mut bridge = Setup::with_command(&[], &["sh", "-c", "printf 'no end' >&2; exit 3"]).start();
    let answer = bridge.initialize();
    assert_eq!(answer["error"]["data"]["stderrTail"], "no end");
    says(&bridge, "no end");
    bridge.gives_up();
}

#[test]
fn secrets_of_the_environment_are_in_no_error_and_no_log() {
    let mut bridge = Setup::new(&[], &["--exit-on", "initialize"])
        .wrapped(r#"echo "refused: $ACME_API_KEY at $HOME" >&2; exec "$@""#)
        .variable("ACME_API_KEY", "sk-0123456789abcdef")
        .start();
    let answer = bridge.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    let tail = answer["error"]["data"]["stderrTail"].as_str().expect("a tail");
    assert!(tail.starts_with("refused: *** at /"), "{tail}");
    assert!(!answer.to_string().contains("sk-0123"), "{answer}");
    bridge.logs("refused: ***");
    assert!(!bridge.log().contains("sk-0123"), "{bridge}");
    bridge.gives_up();
}

#[test]
fn the_tail_is_short_and_the_end_of_what_was_said() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "flood-stderr 5000\nexit 1");
    let answer = bridge.answer(turn);
    let tail = answer["error"]["data"]["stderrTail"].as_str().expect("a tail");
    assert!(tail.len() <= 1024 && tail.ends_with("flood 5000 of 5000"), "{tail}");
    bridge.end();
}

#[test]
fn a_flood_that_nobody_reads_does_not_hold_up_the_conversation() {
    let mut bridge = Setup::new(&[], &[]).deaf().start();
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "flood-stderr 100000\nsay done"), ["done"]);
    assert_eq!(bridge.turn(&session, "say and on"), ["and on"]);
    bridge.end();
}

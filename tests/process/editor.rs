//! The end of the editor, however it comes, and signs that are none.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::{LIMIT, eventually};

/// The time of silence after which an orphan ends, in these tests.
const SILENCE: Duration = Duration::from_millis(400);

/// A bridge whose parent is a shell that runs this script, in which its command is `"$@"`.
/// The test holds the other ends of its pipes, as a sibling of the bridge may.
fn launched(script: &str) -> Bridge {
    let options = ["--orphan-timeout-ms", "400"];
    Setup::new(&options, &[]).launched(script).start()
}

/// A script whose shell stays as long as the bridge.
const WRAPPER: &str = r#""$@"; exit $?"#;

/// Waits for the end of everything that was started, and for this reason in the log.
fn ends(mut bridge: Bridge, reason: &str) {
    bridge.exit();
    eventually("the end of the bridge and of its agents", || bridge.left().is_empty());
    bridge.logs(reason);
    bridge.is_killed();
}

#[test]
fn nobody_reads_stdout_any_more() {
    let mut bridge = Setup::new(&["--preheat"], &[]).unread().start();
    bridge.ask_to_initialize();
    bridge.logs("ready after");
    bridge.hang_up();
    bridge.is_gone();
    bridge.logs("nobody reads the bridge's stdout");
}

#[test]
fn a_shell_is_terminated_in_front_of_a_bridge_whose_pipes_stay_open() {
    let mut bridge = launched(WRAPPER);
    bridge.initialize();
    bridge.new_session();
    bridge.signal(Signal::SIGTERM);
    ends(bridge, "parent_gone");
}

#[test]
fn an_editor_is_killed_while_another_process_holds_its_pipes() {
    let mut bridge = launched(WRAPPER);
    bridge.initialize();
    let session = bridge.new_session();
    bridge.turn(&session, "say hello");
    bridge.signal(Signal::SIGKILL);
    ends(bridge, "parent_gone");
}

#[test]
fn a_launcher_leaves_on_purpose() {
    let mut bridge = launched(r#"exec 3<&0; "$@" <&3 3<&- &"#);
    bridge.exit();
    bridge.initialize();
    sleep(2 * SILENCE);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.close_stdin();
    ends(bridge, "closed the bridge's stdin");
}

#[test]
fn a_line_after_the_end_of_the_parent_is_a_sign_of_life() {
    let mut bridge = launched(WRAPPER);
    bridge.initialize();
    bridge.signal(Signal::SIGKILL);
    bridge.exit();
    let session = bridge.new_session();
    sleep(2 * SILENCE);
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.close_stdin();
    ends(bridge, "closed the bridge's stdin");
}

#[test]
fn an_orphan_at_work_says_why_it_stays() {
    let mut bridge = launched(WRAPPER);
    bridge.initialize();
    let session = bridge.new_session();
    bridge.prompt(&session, "ask-permission");
    bridge.signal(Signal::SIGKILL);
    bridge.exit();
    bridge.logs("a turn or a question is open; drawbridge stays for now");
    bridge.close_stdin();
    ends(bridge, "closed the bridge's stdin");
}

#[test]
fn a_hang_up_that_was_ignored_at_the_start_means_nothing() {
    let mut bridge = launched(r#"trap "" HUP; exec "$@""#);
    bridge.initialize();
    bridge.signal(Signal::SIGHUP);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.end();
}

#[test]
fn a_hang_up_ends_the_bridge_otherwise() {
    let mut bridge = Bridge::ready(&[], &[]);
    bridge.signal(Signal::SIGHUP);
    bridge.is_gone();
    bridge.logs("because SIGHUP came");
}

/// The answers to `initialize` and to what was sent behind it, the exit code, and the last
/// line on stderr.
fn without_agent(command: &[&str]) -> (Vec<String>, Option<i32>, String) {
    let mut bridge = Setup::with_command(&[], command).start();
    let asked = [bridge.ask_to_initialize(), bridge.ask_for_session()];
    let answers = asked.map(|id| bridge.answer(id));
    let begun = Instant::now();
    let code = bridge.exit().code();
    assert!(begun.elapsed() < LIMIT / 4, "an editor does not wait: {:?}", begun.elapsed());
    let kinds = answers.iter().map(|answer| refusal(answer).1.to_owned()).collect();
    let sentence = answers[0]["error"]["message"].as_str().expect("a sentence").to_owned();
    assert_eq!(answers[1]["error"]["message"], sentence, "the same for what came behind it");
    eventually("the sentence on stderr", || bridge.stderr().contains(&sentence));
    let last = bridge.stderr().lines().last().unwrap_or_default().to_owned();
    assert_eq!(last, format!("error: {sentence}"));
    bridge.is_killed();
    (kinds, code, last)
}

#[test]
fn where_there_is_no_agent_the_bridge_says_so_and_ends() {
    let twice = |kind: &str| vec![kind.to_owned(); 2];
    for (command, kind) in [
        (&["/nowhere/agent"][..], "agent_spawn_failed"),
        (&["sh", "-c", "exit 3"], "agent_exited"),
        (&["true"], "not_an_acp_agent"),
        (&["cat"], "not_an_acp_agent"),
        (&["sh", "-c", "trap '' TERM; cat; while :; do sleep 1; done"], "not_an_acp_agent"),
    ] {
        let (kinds, code, _) = without_agent(command);
        assert_eq!((kinds, code), (twice(kind), Some(1)), "{command:?}");
    }
}

#[test]
fn an_agents_own_refusal_ends_nothing_and_the_client_tries_again() {
    // The agent refuses the first `initialize` and answers the next one.
    let script =
        r#"if mkdir once 2>/dev/null; then exec "$@" --refuse initialize=-32000; fi; exec "$@""#;
    let mut bridge = Setup::new(&[], &[]).wrapped(script).start();
    let first = bridge.ask_to_initialize();
    assert_eq!(refusal(&bridge.answer(first)).0, -32_000);
    let second = bridge.ask_to_initialize();
    assert!(bridge.answer(second)["result"].is_object());
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say welcome"), ["welcome"]);
    bridge.end();
}

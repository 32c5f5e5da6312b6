//! How processes are ended: step by step, and with everything they started.

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::{eventually, is_alive};

const STEEP: [&str; 6] =
    ["--channel-idle-timeout-ms", "0", "--stdin-grace-ms", "100", "--term-grace-ms", "100"];

/// The same with time enough on each step.
const FLAT: [&str; 4] = ["--channel-idle-timeout-ms", "0", "--stdin-grace-ms", "60000"];

/// A bridge whose idle agent is told to go; the agent's log tells how it went.
fn leaving(options: &[&str], flags: &[&str]) -> (Bridge, u32) {
    let mut bridge = Setup::new(options, flags).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    bridge.call_about("session/close", &session);
    eventually("the end of the agent", || !is_alive(agent));
    assert!(bridge.log_of(agent).contains("= eof"), "the first step is the end of its stdin");
    (bridge, agent)
}

#[test]
fn the_end_of_stdin_is_enough_for_most() {
    let (bridge, agent) = leaving(&FLAT, &[]);
    assert!(bridge.log_of(agent).contains("= exit"));
    bridge.logs("the agent exited: exit code 0");
    assert!(!bridge.log().contains("SIGTERM sent"), "{bridge}");
    bridge.end();
}

#[test]
fn whoever_stays_gets_sigterm() {
    let options = [&STEEP[..4], &["--term-grace-ms", "60000"]].concat();
    let (bridge, _) = leaving(&options, &["--deaf-stdin"]);
    bridge.logs("SIGTERM sent");
    assert!(!bridge.log().contains("SIGKILL sent"), "{bridge}");
    bridge.end();
}

#[test]
fn whoever_stays_even_then_is_killed() {
    let (bridge, _) = leaving(&STEEP, &["--deaf-stdin", "--deaf-term"]);
    bridge.logs("SIGTERM sent");
    bridge.logs("SIGKILL sent");
    bridge.end();
}

#[test]
fn a_stopped_agent_is_killed_too() {
    let mut bridge =
        Bridge::ready(&[&STEEP[..], &["--session-close-timeout-ms", "100"]].concat(), &[]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    bridge.prompt(&session, "stop-self");
    eventually("the stop", || crate::processes::is_stopped(agent));
    bridge.call_about("session/close", &session);
    eventually("the end of the agent", || !is_alive(agent));
    bridge.end();
}

/// An agent, in a shell that waits for it, and a child of its own: all go, with
/// a keeper and without one.
fn with_grandchild(kind: &str) {
    for switch in ["--no-keeper=false", "--no-keeper"] {
        goes_with_its_grandchild(&[&STEEP[..], &[switch]].concat(), kind);
    }
}

fn goes_with_its_grandchild(options: &[&str], kind: &str) {
    let wrapper = r#""$@"; exit $?"#;
    // When the agent leaves by itself.
    let mut bridge = Setup::new(options, &[]).wrapped(wrapper).start();
    bridge.initialize();
    let session = bridge.new_session();
    bridge.starts(&session, &format!("grandchild {kind}"));
    assert_eq!(bridge.others().len(), 3, "shell, agent, grandchild");
    bridge.call_about("session/close", &session);
    eventually("the end of the tree", || bridge.others().is_empty());

    // When it crashes.
    let session = bridge.new_session();
    bridge.starts(&session, &format!("grandchild {kind}"));
    let turn = bridge.prompt(&session, "exit 5");
    let answer = bridge.answer(turn);
    assert_eq!(answer["error"]["data"]["exitCode"], 5, "{answer}");
    eventually("the end of the crashed tree", || bridge.others().is_empty());

    // When the bridge ends, with no crash to wait for.
    bridge.end();
    let mut bridge = Setup::new(options, &["--deaf-stdin"]).wrapped(wrapper).start();
    bridge.initialize();
    let session = bridge.new_session();
    bridge.starts(&session, &format!("grandchild {kind}"));
    bridge.end();
}

#[test]
fn a_grandchild_that_holds_the_pipe_goes_with_its_agent() {
    with_grandchild("hold-pipe");
}

#[test]
fn a_grandchild_that_ignores_sigterm_goes_with_its_agent() {
    with_grandchild("ignore-term");
}

#[test]
fn a_grandchild_in_a_session_of_its_own_goes_with_its_agent() {
    with_grandchild("setsid");
}

#[test]
fn a_launcher_that_leaves_its_agent_behind_has_not_got_away() {
    // The shell ends at once; what it started holds the pipes.
    for switch in ["--no-keeper=false", "--no-keeper"] {
        let options = [&STEEP[..], &[switch]].concat();
        let mut bridge = Setup::new(&options, &[]).wrapped(r#""$@" <&0 & exit 3"#).start();
        let answer = bridge.initialize();
        assert_eq!(refusal(&answer), (-32603, "agent_exited"));
        bridge.gives_up();
    }
}

#[test]
fn what_an_agent_leaves_behind_gets_sigterm_before_sigkill() {
    // One leaves in order, one is deaf; both have left the agent's group.
    let script = r#"
        setsid sh -c 'trap "echo bye >farewell; exit" TERM; echo >polite
            while :; do sleep 0.02; done' </dev/null >/dev/null 2>&1 &
        setsid sh -c 'trap "" TERM; echo >deaf
            while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &
        until [ -f polite ] && [ -f deaf ]; do sleep 0.01; done
        exec "$@""#;
    for way in ["--no-keeper=false", "--no-keeper"] {
        for flags in [&[][..], &["--deaf-stdin"]] {
            let mut bridge = Setup::new(&[way], flags).wrapped(script).start();
            bridge.initialize();
            bridge.close_stdin();
            bridge.is_gone();
            let farewell = std::fs::read_to_string(bridge.scratch.file("farewell"));
            assert_eq!(farewell.ok().as_deref(), Some("bye\n"), "{way} {flags:?}");
        }
    }
}

#[test]
fn nothing_outlives_a_shutdown_however_deaf_it_is() {
    // The agent is deaf, and so is a child of it that has left its group.
    let script = r#"
        setsid sh -c 'trap "" TERM; echo $$ >deaf
            while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &
        until [ -s deaf ]; do sleep 0.01; done
        exec "$@""#;
    for way in ["--no-keeper=false", "--no-keeper"] {
        for bound in ["0", "600"] {
            let options = [way, "--shutdown-timeout-ms", bound];
            let setup = Setup::new(&options, &["--deaf-stdin", "--deaf-term"]).wrapped(script);
            let mut bridge = setup.start();
            bridge.initialize();
            let child = std::fs::read_to_string(bridge.scratch.file("deaf")).expect("it has begun");
            let child = child.trim().parse().expect("a process id");
            bridge.close_stdin();
            bridge.exit();
            eventually("the end of the child", || !is_alive(child));
            bridge.is_killed();
        }
    }
}

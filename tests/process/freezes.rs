//! A host that stands still: a paused virtual machine or container, a suspended laptop.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bridge::Setup;
use crate::processes::{eventually, send_signal};

/// Puts the requests through to the agent; one for a session only after work in steps, of
/// which a freeze leaves some undone.
const SLOW: &str = r#"
while IFS= read -r line; do
  case $line in *session/new*) for step in 1 2 3 4 5 6; do sleep 0.1; done;; esac
  printf '%s\n' "$line"
done | "$@""#;

#[test]
fn a_host_that_stood_still_is_nobodys_fault() {
    // The agent has some work left for a session that must be open within a second.
    let options = ["--session-open-timeout-ms", "1000"];
    let mut bridge = Setup::new(&options, &[]).wrapped(SLOW).start();
    bridge.initialize();
    let idle = bridge.others();
    let stopped = [vec![bridge.pid()], idle.clone(), bridge.keepers()].concat();
    let asked = bridge.ask_for_session();
    eventually("the beginning of the work", || bridge.others().len() > idle.len());
    for pid in &stopped {
        send_signal(*pid, Signal::SIGSTOP);
    }
    sleep(Duration::from_millis(3000));
    for pid in &stopped {
        send_signal(*pid, Signal::SIGCONT);
    }
    let session = bridge.opened(asked);
    assert_eq!(bridge.turn(&session, "say awake"), ["awake"]);
    bridge.end();
}

/// Puts the requests through to the agent; a prompt only after a moment.
const SLOW_PROMPT: &str = r#"
while IFS= read -r line; do
  case $line in *session/prompt*) sleep 0.3;; esac
  printf '%s\n' "$line"
done | "$@""#;

#[test]
fn an_answer_behind_a_flood_is_in_time_if_the_bridge_alone_stood_still() {
    let options = ["--session-open-timeout-ms", "500", "--sessions-per-channel", "2"];
    let mut bridge = Setup::new(&options, &[]).wrapped(SLOW_PROMPT).start();
    bridge.initialize();
    let [_, first, second] = std::array::from_fn(|_| bridge.new_session());
    let idle = bridge.others().len();
    // The pipe of each agent holds a flood, and that of the second the answer behind it.
    let flooding = [&first, &second].map(|session| bridge.prompt(session, "stream 300 10"));
    let asked = bridge.ask_for_session();
    eventually("the moment of the prompt", || bridge.others().len() > idle);
    send_signal(bridge.pid(), Signal::SIGSTOP);
    sleep(Duration::from_millis(1700));
    send_signal(bridge.pid(), Signal::SIGCONT);
    bridge.opened(asked);
    for turn in flooding {
        bridge.answer(turn);
    }
    bridge.end();
}

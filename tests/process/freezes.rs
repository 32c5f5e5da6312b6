//! A host that stands still: a paused virtual machine or container, a suspended laptop.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bridge::Setup;
use crate::processes::send_signal;

/// Puts the requests through to the agent; one for a session only after work in steps, of
/// which a freeze leaves some undone.
const SLOW: &str = r#"
while IFS= read -r line; do
  case $line in *session/new*) for step in 1 2 3 4 5 6; do sleep 0.1; done;; esac
  printf '%s\n' "$line"
done | "$@""#;

/// Stops the bridge, and with it all its processes if `everything`, while the agent has
/// some work left for a session that must be open within a second.
fn opens_after_a_freeze(everything: bool) {
    let options = ["--session-open-timeout-ms", "1000"];
    let mut bridge = Setup::new(&options, &[]).wrapped(SLOW).start();
    bridge.initialize();
    let mut stopped = vec![bridge.pid()];
    if everything {
        stopped.extend(bridge.others());
        stopped.extend(bridge.keepers());
    }
    let asked = bridge.ask_for_session();
    sleep(Duration::from_millis(100));
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

#[test]
fn a_bridge_that_was_stopped_blames_nobody() {
    opens_after_a_freeze(false);
}

#[test]
fn a_host_that_stood_still_is_nobodys_fault() {
    opens_after_a_freeze(true);
}

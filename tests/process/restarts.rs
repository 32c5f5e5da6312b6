//! After a crash: a new process, soon, but not for ever.

use std::time::{Duration, Instant};

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;

/// Lets the agent end itself in the middle of a turn.
fn crash(bridge: &mut Bridge, words: &str) {
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, &format!("stderr {words}\nexit 9"));
    assert_eq!(refusal(&bridge.answer(turn)), (-32603, "agent_exited"));
}

#[test]
fn a_crashed_agent_is_started_again_after_a_pause() {
    let mut bridge = Bridge::ready(&[], &[]);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        crash(&mut bridge, "oh");
        let crashed = Instant::now();
        let session = bridge.new_session();
        pauses.push(crashed.elapsed());
        assert_eq!(bridge.turn(&session, "say again"), ["again"]);
    }
    // Each is twice as long as the one before; the crash itself was a little earlier.
    let at_least = [100, 350, 850].map(Duration::from_millis);
    assert!(pauses.iter().zip(at_least).all(|(pause, least)| *pause >= least), "{pauses:?}");
    bridge.end();
}

#[test]
fn too_many_crashes_end_in_a_refusal_with_the_last_words() {
    let options = ["--restart-limit", "2", "--restart-window-ms", "2000"];
    let mut bridge = Bridge::ready(&options, &[]);
    crash(&mut bridge, "first words");
    crash(&mut bridge, "the disk is full");
    let asked = bridge.ask_for_session();
    let answer = bridge.answer(asked);
    assert_eq!(refusal(&answer), (-32603, "restart_limit"));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains("exit code 9") && message.contains("the disk is full"), "{message}");
    let wait = answer["error"]["data"]["retryAfterMs"].as_u64().expect("a time");
    assert!((1..=2000).contains(&wait), "{wait}");

    std::thread::sleep(Duration::from_millis(wait + 20));
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say again"), ["again"]);
    bridge.end();
}

#[test]
fn crashes_in_the_handshake_count_too() {
    // The first process is well.
    let script =
        r#"if mkdir once 2>/dev/null; then exec "$@"; fi; exec "$@" --exit-on initialize=4"#;
    let options = ["--restart-limit", "1", "--share", "session"];
    let mut bridge = Setup::new(&options, &[]).wrapped(script).start();
    bridge.initialize();
    bridge.new_session();
    for kind in ["agent_exited", "restart_limit"] {
        let asked = bridge.ask_for_session();
        assert_eq!(refusal(&bridge.answer(asked)), (-32603, kind));
    }
    assert_eq!(bridge.others().len(), 1);
    bridge.end();
}

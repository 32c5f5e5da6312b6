//! The end of the bridge: in order, in time, and with nothing left.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::eventually;

/// A bridge with a session in which a turn runs; the turn's id.
fn working(options: &[&str], flags: &[&str]) -> (Bridge, u64) {
    let mut bridge = Setup::new(options, flags).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say here\nsleep 60000");
    bridge.hears(&session);
    (bridge, turn)
}

/// What is open is answered, the agent is told, and everything ends well.
fn ends_in_order(ask: impl FnOnce(&mut Bridge)) {
    let (mut bridge, turn) = working(&[], &[]);
    let agent = bridge.agent();
    ask(&mut bridge);
    let event = bridge.message("_drawbridge/session_died");
    assert_eq!(event["params"]["reason"], "shutdown");
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "cancelled");
    bridge.is_gone();
    let log = bridge.log_of(agent);
    let places = ["session/cancel", "session/close", "= eof", "= exit"]
        .map(|word| log.find(word).unwrap_or_else(|| panic!("no {word} in {log}")));
    assert!(places.is_sorted(), "{log}");
}

#[test]
fn the_end_of_stdin_is_the_end() {
    ends_in_order(|bridge| bridge.close_stdin());
}

#[test]
fn sigterm_is_the_end() {
    ends_in_order(|bridge| bridge.signal(Signal::SIGTERM));
}

#[test]
fn sigint_is_the_end() {
    ends_in_order(|bridge| bridge.signal(Signal::SIGINT));
}

#[test]
fn sighup_is_the_end() {
    ends_in_order(|bridge| bridge.signal(Signal::SIGHUP));
}

#[test]
fn a_client_that_closes_our_stdout_is_gone() {
    let mut bridge = Setup::new(&[], &[]).unread().start();
    bridge.hang_up();
    bridge.ask_to_initialize();
    bridge.is_gone();
}

#[test]
fn an_open_question_is_withdrawn_at_the_end() {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let turn = bridge.prompt(&session, "ask-permission");
    let question = bridge.message("session/request_permission");
    bridge.close_stdin();
    let withdrawn = bridge.message("$/cancel_request");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let answer = bridge.answer(turn);
    assert!(answer["result"]["stopReason"].is_string(), "{answer}");
    bridge.is_gone();
    assert!(bridge.log_of(agent).contains(r#""outcome":"cancelled""#), "{bridge}");
}

#[test]
fn a_turn_that_does_not_end_is_answered_all_the_same() {
    let options = ["--shutdown-timeout-ms", "800"];
    let (mut bridge, turn) = working(&options, &["--ignore-cancel", "--never", "session/close"]);
    bridge.close_stdin();
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32800, "shutting_down"));
    bridge.is_gone();
}

#[test]
fn new_requests_are_refused_at_the_end() {
    let (mut bridge, _) = working(&[], &["--deaf-stdin"]);
    bridge.signal(Signal::SIGTERM);
    bridge.logs("shutting down");
    let asked = bridge.ask_for_session();
    assert_eq!(refusal(&bridge.answer(asked)), (-32800, "shutting_down"));
    bridge.close_stdin();
    bridge.signal(Signal::SIGTERM);
    bridge.is_gone();
}

#[test]
fn a_handshake_under_way_is_no_reason_to_stay() {
    let mut bridge = Setup::new(&[], &["--silent"]).start();
    let id = bridge.ask_to_initialize();
    eventually("the agent", || bridge.others().len() == 1);
    bridge.close_stdin();
    assert_eq!(refusal(&bridge.answer(id)), (-32800, "shutting_down"));
    bridge.is_gone();
}

#[test]
fn a_preheated_process_that_nobody_used_ends_too() {
    let mut bridge = Setup::new(&["--preheat"], &["--deaf-stdin"]).start();
    eventually("the agent", || bridge.others().len() == 1);
    bridge.signal(Signal::SIGTERM);
    bridge.signal(Signal::SIGTERM);
    bridge.is_gone();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let options = ["--share", "session", "--shutdown-timeout-ms", "20000"];
    let flags = ["--deaf-stdin", "--deaf-term", "--linger", "60000"];
    let mut bridge = Bridge::ready(&options, &flags);
    let leaving = bridge.new_session();
    bridge.new_session();
    bridge.call_about("session/close", &leaving);
    bridge.signal(Signal::SIGINT);
    bridge.logs("shutting down");
    // A signal within a second is the same wish.
    sleep(Duration::from_millis(1_200));
    let begun = Instant::now();
    bridge.signal(Signal::SIGINT);
    bridge.is_gone();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_shutdown_keeps_to_its_bound() {
    for (bound, limit) in [("0", 1_000), ("800", 1_800)] {
        let options = ["--shutdown-timeout-ms", bound];
        let (mut bridge, _) = working(&options, &["--deaf-stdin", "--deaf-term"]);
        let begun = Instant::now();
        bridge.close_stdin();
        bridge.is_gone();
        assert!(begun.elapsed() < Duration::from_millis(limit), "{:?}", begun.elapsed());
    }
}

/// Hosts close stdin, send SIGTERM a second later, and SIGKILL after two more.
fn the_usual_host(flags: &[&str]) {
    let (mut bridge, _) = working(&[], flags);
    let begun = Instant::now();
    bridge.close_stdin();
    sleep(Duration::from_secs(1));
    if bridge.is_running() {
        bridge.signal(Signal::SIGTERM);
    }
    bridge.is_gone();
    assert!(begun.elapsed() < Duration::from_millis(2_900), "{:?}", begun.elapsed());
}

#[test]
fn a_host_in_a_hurry_leaves_no_agent_that_is_deaf_to_the_end_of_stdin() {
    the_usual_host(&["--deaf-stdin"]);
}

#[test]
fn a_host_in_a_hurry_leaves_no_agent_that_is_deaf_to_everything() {
    the_usual_host(&["--deaf-stdin", "--deaf-term"]);
}

#[test]
fn agents_end_by_themselves_when_the_bridge_is_killed() {
    for flags in [&[][..], &["--deaf-stdin"], &["--deaf-term"]] {
        let (mut bridge, _) = working(&[], flags);
        bridge.signal(Signal::SIGKILL);
        bridge.is_killed();
    }
}

#[test]
fn whatever_was_asked_is_answered_once_before_the_end() {
    let mut bridge = Bridge::ready(&[], &["--delay", "_slow=60000"]);
    let session = bridge.new_session();
    let about = json!({ "sessionId": session });
    let asked: Vec<u64> = (0..10)
        .map(|n| match n % 3 {
            0 => bridge.request("_slow", &about),
            1 => bridge.request("_slow", &Value::Null),
            _ => bridge.prompt(&session, "sleep 60000"),
        })
        .collect();
    bridge.close_stdin();
    for id in asked {
        bridge.answer(id);
    }
    bridge.is_gone();
    let rest = bridge.leftovers();
    assert!(rest.iter().all(|line| line.contains("_drawbridge/")), "{rest:?}");
}

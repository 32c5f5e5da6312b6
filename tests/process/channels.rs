//! When an agent's process is there, and when it is not.

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::{eventually, is_alive};

use std::thread::sleep;
use std::time::Duration;

#[test]
fn no_process_is_started_before_it_is_needed() {
    let mut bridge = Setup::new(&[], &[]).start();
    bridge.logs("in front of `agent-stub`");
    assert!(bridge.others().is_empty());
    bridge.initialize();
    assert_eq!(bridge.others().len(), 1);
    bridge.end();
}

#[test]
fn one_process_is_started_for_many_who_wait() {
    let mut bridge = Setup::new(&[], &["--delay", "initialize=200"]).start();
    bridge.initialize();
    let asked = [(); 8].map(|()| bridge.ask_for_session());
    let sessions = asked.map(|id| bridge.opened(id));
    let agent = bridge.agent();
    for session in &sessions {
        assert_eq!(bridge.pid_of(session), agent);
    }
    bridge.end();
}

#[test]
fn a_preheated_process_waits_for_its_first_client() {
    let options = ["--preheat", "--channel-idle-timeout-ms", "0"];
    let mut bridge = Setup::new(&options, &[]).logged().start();
    let mut agent = 0;
    eventually("the preheated agent", || {
        let others = bridge.others();
        agent = others.first().copied().unwrap_or_default();
        bridge.log_of(agent).contains("= start")
    });
    sleep(Duration::from_millis(200));
    assert!(!bridge.log_of(agent).contains("< "), "it hears nothing before the client does");
    bridge.initialize();
    sleep(Duration::from_millis(200));
    assert_eq!(bridge.agent(), agent, "it is taken, and kept until it is used");
    let session = bridge.new_session();
    assert_eq!(bridge.pid_of(&session), agent);
    bridge.call_about("session/close", &session);
    eventually("the end of the used process", || !is_alive(agent));
    bridge.end();
}

#[test]
fn new_work_keeps_a_process() {
    let mut bridge = Bridge::ready(&["--channel-idle-timeout-ms", "800"], &[]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    bridge.call_about("session/close", &session);
    sleep(Duration::from_millis(200));
    let session = bridge.new_session();
    sleep(Duration::from_millis(800));
    assert_eq!(bridge.pid_of(&session), agent);
    bridge.end();
}

#[test]
fn a_process_that_ends_while_it_is_idle_is_replaced_when_it_is_needed() {
    let mut bridge = Bridge::ready(&[], &[]);
    let first = bridge.agent();
    crate::processes::send_signal(first, nix::sys::signal::Signal::SIGKILL);
    eventually("its end", || !is_alive(first));
    bridge.logs("the agent exited unexpectedly");
    let session = bridge.new_session();
    assert_ne!(bridge.pid_of(&session), first);
    bridge.end();
}

#[test]
fn a_handshake_that_takes_too_long_ends_the_whole_tree() {
    let options = ["--initialize-timeout-ms", "700", "--stdin-grace-ms", "100"];
    let flags = ["--silent", "--deaf-stdin"];
    let mut bridge = Setup::new(&options, &flags).wrapped(r#"sleep 600 & "$@""#).start();
    let id = bridge.ask_to_initialize();
    eventually("the tree", || bridge.others().len() == 3);
    let answer = bridge.answer(id);
    assert_eq!(refusal(&answer), (-32603, "handshake_timeout"));
    bridge.gives_up();
}

#[test]
fn a_handshake_with_another_version_of_the_protocol_is_carried() {
    let mut bridge = Setup::new(&[], &["--protocol-version", "2"]).start();
    assert_eq!(bridge.initialize()["result"]["protocolVersion"], 2);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say two"), ["two"]);
    bridge.end();
}

#[test]
fn the_processes_and_the_sessions_have_their_caps() {
    let options = ["--share", "session", "--max-sessions", "1", "--max-channels", "1"];
    let options = [&options[..], &["--at-capacity", "refuse"]].concat();
    let mut bridge = Bridge::ready(&options, &[]);
    let session = bridge.new_session();
    let asked = bridge.ask_for_session();
    assert_eq!(refusal(&bridge.answer(asked)), (-32603, "session_limit"));
    assert_eq!(bridge.turn(&session, "say healthy"), ["healthy"]);
    let first = bridge.pid_of(&session);
    bridge.call_about("session/close", &session);
    let session = bridge.new_session();
    assert_eq!(bridge.pid_of(&session), first);
    bridge.end();
}

//! Agents that are waited for and give no sign of life.

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::{eventually, is_alive, is_stopped};

/// Looks often, gives up soon, and is quick with those who are given up.
const WATCHED: [&str; 10] = [
    "--liveness-interval-ms",
    "150",
    "--liveness-strikes",
    "2",
    "--stdin-grace-ms",
    "50",
    "--term-grace-ms",
    "50",
    "--share",
    "session",
];

/// The agent of one of two sessions does this and is replaced; the other one is
/// not disturbed.
fn is_replaced(flags: &[&str], script: &str) -> u32 {
    let mut bridge = Bridge::ready(&WATCHED, flags);
    let [lost, kept] = [bridge.new_session(), bridge.new_session()];
    let agent = bridge.pid_of(&lost);
    let turn = bridge.prompt(&lost, script);
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32603, "agent_stopped"));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("no sign of life"), "{message}");
    let event = bridge.message("_drawbridge/session_died");
    assert_eq!(event["params"]["sessionId"], lost.as_str());
    assert_eq!(event["params"]["reason"], "killed");
    eventually("the end of the agent", || !is_alive(agent));
    bridge.logs("(strike 2 of 2)");
    assert_eq!(bridge.turn(&kept, "say undisturbed"), ["undisturbed"]);
    let fresh = bridge.new_session();
    assert_eq!(bridge.turn(&fresh, "say fresh"), ["fresh"]);
    bridge.end();
    agent
}

#[test]
fn a_stopped_agent_is_replaced() {
    let agent = is_replaced(&[], "stop-self");
    assert!(!is_stopped(agent));
}

#[test]
fn an_agent_that_hangs_is_replaced() {
    is_replaced(&[], "sleep 600000");
}

#[test]
fn one_whose_processes_work_is_not() {
    let busy = r#"while :; do :; done & "$@""#;
    let mut bridge = Setup::new(&WATCHED, &[]).wrapped(busy).start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let turn = bridge.prompt(&session, "sleep 1500");
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    assert!(is_alive(agent));
    bridge.end();
}

#[test]
fn one_that_waits_for_a_person_is_not() {
    let mut bridge = Bridge::ready(&WATCHED, &[]);
    let [asks, hangs] = [bridge.new_session(), bridge.new_session()];
    let open = bridge.prompt(&asks, "ask-permission");
    let question = bridge.message("session/request_permission");
    // As long as another one needs to be given up.
    let lost = bridge.prompt(&hangs, "sleep 600000");
    assert_eq!(refusal(&bridge.answer(lost)), (-32603, "agent_stopped"));
    let allowed = json!({ "outcome": { "outcome": "selected", "optionId": "allow" } });
    bridge.reply(&question, &allowed);
    assert_eq!(bridge.answer(open)["result"]["stopReason"], "end_turn");
    bridge.end();
}

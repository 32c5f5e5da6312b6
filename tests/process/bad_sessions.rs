//! Agents with bad manners about sessions, logins and turns: what the bridge does
//! about each, or leaves to client and agent.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::{eventually, is_alive};

fn close(bridge: &mut Bridge, session: &str) {
    assert_eq!(bridge.call_about("session/close", session)["result"], json!({}));
}

fn allow(bridge: &mut Bridge, question: &Value) {
    let allowed = json!({ "outcome": { "outcome": "selected", "optionId": "allow" } });
    bridge.reply(question, &allowed);
}

/// Agents of this kind keep their sessions in a folder that they share.
fn with_store(options: &[&str], flags: &[&str]) -> Bridge {
    let flags = [flags, &["--session-ids", "random"]].concat();
    let mut bridge = Setup::new(options, &flags).stored().start();
    bridge.initialize();
    bridge
}

#[test]
fn a_session_that_its_agent_locks_is_let_go_before_another_process_loads_it() {
    let options = ["--share", "session", "--channel-idle-timeout-ms", "0"];
    let mut bridge = with_store(&options, &["--lock-sessions"]);
    let session = bridge.new_session();
    bridge.turn(&session, "say once");
    for round in 0..5 {
        // The load does not wait for the answer of the close.
        let closing = bridge.request("session/close", &json!({ "sessionId": session }));
        let loaded = bridge.restore("session/load", &session);
        assert!(loaded["error"].is_null(), "round {round}: {loaded}");
        assert_eq!(bridge.answer(closing)["result"], json!({}));
    }
    bridge.end();
}

#[test]
fn one_that_forgets_what_was_never_prompted_is_believed() {
    let mut bridge = with_store(&[], &["--forget-unprompted"]);
    let session = bridge.new_session();
    close(&mut bridge, &session);
    let loaded = bridge.restore("session/load", &session);
    assert_eq!(loaded["error"]["code"], -32602, "the agent's own words: {loaded}");
    assert!(loaded["error"]["data"]["kind"].is_null(), "{loaded}");
    let other = bridge.new_session();
    assert_eq!(bridge.turn(&other, "say fine"), ["fine"]);
    bridge.end();
}

#[test]
fn one_that_loses_its_store_disturbs_nobody_else() {
    let mut bridge = with_store(&[], &["--lose-store"]);
    let [lost, kept] = [bridge.new_session(), bridge.new_session()];
    bridge.turn(&lost, "say something");
    close(&mut bridge, &lost);
    for method in ["session/load", "session/resume"] {
        assert_eq!(bridge.restore(method, &lost)["error"]["code"], -32002);
    }
    assert_eq!(bridge.turn(&kept, "say fine"), ["fine"]);
    bridge.end();
}

#[test]
fn the_mode_in_which_it_comes_back_is_told_as_it_is() {
    let mut bridge = with_store(&[], &["--load-mode", "code"]);
    let session = bridge.new_session();
    bridge.turn(&session, "say something");
    close(&mut bridge, &session);
    let loaded = bridge.restore("session/load", &session);
    assert_eq!(loaded["result"]["modes"]["currentModeId"], "code", "{loaded}");
    bridge.end();
}

#[test]
fn a_replay_that_goes_on_behind_its_answer_arrives_whole_and_in_order() {
    let mut bridge = with_store(&[], &["--late-replay"]);
    let session = bridge.new_session();
    let script = "say 1\nsay 2\nsay 3\nsay 4\nsay 5\nsay 6";
    let said = bridge.turn(&session, script);
    close(&mut bridge, &session);
    let loaded = bridge.restore("session/load", &session);
    assert!(loaded["error"].is_null(), "{loaded}");
    // What is said next comes behind the whole replay.
    let heard = bridge.turn(&session, "say and on");
    assert_eq!(heard, [&said[..], &["and on".to_owned()]].concat());
    bridge.end();
}

#[test]
fn a_login_is_wanted_by_the_agent_and_kept_where_it_was_made() {
    let mut bridge = Bridge::ready(&[], &["--needs-login"]);
    let refused = bridge.restore("session/load", "none");
    let opening = bridge.ask_for_session();
    let answer = bridge.answer(opening);
    assert_eq!(answer["error"]["code"], -32000, "passed through: {answer}");
    assert!(refused["error"].is_object());
    bridge.call("authenticate", &json!({ "methodId": "stub" }));
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let other = bridge.new_session();
    assert_eq!(bridge.pid_of(&other), agent, "where the login is");
    bridge.end();
}

#[test]
fn a_login_counts_for_every_process_of_the_agent() {
    let mut bridge = Setup::new(&["--share", "session"], &["--needs-login"]).logged().start();
    bridge.initialize();
    let answer = bridge.call("authenticate", &json!({ "methodId": "stub" }));
    assert!(answer["error"].is_null(), "{answer}");
    let sessions = [(); 3].map(|()| bridge.new_session());
    let agents = sessions.map(|session| bridge.pid_of(&session));
    assert_eq!(BTreeSet::from(agents).len(), 3);
    for agent in agents {
        let log = bridge.log_of(agent);
        assert_eq!(log.matches(r#""authenticate""#).count(), 1, "one login each: {log}");
    }
    // The client sees one login, which it made itself.
    let seen = bridge.leftovers();
    assert!(!seen.iter().any(|line| line.contains("methodId")), "{seen:?}");
    bridge.end();
}

#[test]
fn a_question_inside_an_opening_is_put_to_the_one_who_opens() {
    let mut bridge = Bridge::ready(&[], &["--ask-in-new"]);
    let opening = bridge.ask_for_session();
    let question = bridge.message("session/request_permission");
    allow(&mut bridge, &question);
    let session = bridge.opened(opening);
    assert_eq!(bridge.turn(&session, "say open"), ["open"]);
    bridge.end();
}

#[test]
fn one_that_answers_nothing_while_it_asks_blocks_only_its_own_process() {
    let options = ["--sessions-per-channel", "2"];
    let mut bridge = Bridge::ready(&options, &["--block-while-asking"]);
    let [asks, waits, elsewhere] =
        [bridge.new_session(), bridge.new_session(), bridge.new_session()];
    let open = bridge.prompt(&asks, "ask-permission\nsay allowed");
    bridge.message("session/request_permission");
    let waiting = bridge.prompt(&waits, "say at last");
    assert_eq!(bridge.turn(&elsewhere, "say undisturbed"), ["undisturbed"]);
    // A close withdraws the question first, so that the agent can hear it.
    close(&mut bridge, &asks);
    assert_eq!(bridge.answer(open)["result"]["stopReason"], "cancelled");
    assert_eq!(bridge.answer(waiting)["result"]["stopReason"], "end_turn");
    bridge.end();
}

#[test]
fn a_second_prompt_of_a_client_is_the_agents_own_business() {
    for (manner, second) in
        [("refuse", None), ("queue", Some("end_turn")), ("merge", Some("end_turn"))]
    {
        let mut bridge = Bridge::ready(&[], &["--second-prompt", manner]);
        let session = bridge.new_session();
        let first = bridge.prompt(&session, "say here\nsleep 300");
        bridge.hears(&session);
        let next = bridge.prompt(&session, "say and here");
        assert_eq!(bridge.answer(first)["result"]["stopReason"], "end_turn", "{manner}");
        let answer = bridge.answer(next);
        assert_eq!(answer["result"]["stopReason"].as_str(), second, "{manner}: {answer}");
        if second.is_none() {
            assert_eq!(answer["error"]["code"], -32600, "the agent's own: {answer}");
            assert!(answer["error"]["data"]["kind"].is_null(), "{answer}");
        }
        bridge.end();
    }
}

#[test]
fn a_cancelled_turn_that_claims_its_end_is_passed_on_as_it_is() {
    let mut bridge = Bridge::ready(&[], &["--cancel-means-end-turn"]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say here\nsleep 600000");
    bridge.hears(&session);
    bridge.notify("session/cancel", &json!({ "sessionId": session }));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    bridge.end();
}

#[test]
fn what_leaks_is_given_back_with_its_last_session() {
    let options = ["--channel-idle-timeout-ms", "0"];
    let mut bridge = Bridge::ready(&options, &["--leak", "1000000"]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    for _ in 0..10 {
        bridge.turn(&session, "say more");
    }
    assert!(is_alive(agent));
    close(&mut bridge, &session);
    eventually("the end of the agent", || !is_alive(agent));
    assert_eq!(refusal(&bridge.call_about("session/cancel", &session)).0, -32002);
    bridge.end();
}

//! A whole conversation, method by method.

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::{parsed, refusal};
use crate::processes::eventually;

#[test]
fn the_handshake_is_the_agents_with_our_mark_in_it() {
    let mut bridge = Setup::new(&[], &["--without", "close"]).start();
    let answer = bridge.initialize();
    let result = &answer["result"];
    assert_eq!(result["agentInfo"]["name"], "agent-stub");
    assert_eq!(result["agentCapabilities"]["loadSession"], true);
    assert_eq!(result["agentCapabilities"]["sessionCapabilities"]["close"], json!({}));
    assert_eq!(result["_meta"]["drawbridge"]["version"], env!("CARGO_PKG_VERSION"));
    bridge.end();
}

#[test]
fn a_turn_brings_its_updates_and_then_its_answer() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say one\nthink two\nplan\ntool three\nusage\nhello");
    let mut kinds = Vec::new();
    let answer = loop {
        let frame = parsed(&bridge.incoming());
        if frame["id"] == turn {
            break frame;
        }
        let kind = &frame["params"]["update"]["sessionUpdate"];
        kinds.push(kind.as_str().expect("an update").to_owned());
    };
    assert_eq!(answer["result"]["stopReason"], "end_turn");
    let expected = [
        "agent_message_chunk",
        "agent_thought_chunk",
        "plan",
        "tool_call",
        "tool_call_update",
        "usage_update",
        "agent_message_chunk",
    ];
    assert_eq!(kinds, expected);
    bridge.end();
}

#[test]
fn a_permission_is_asked_and_its_answer_reaches_the_agent() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "ask-permission");
    let question = bridge.message("session/request_permission");
    assert_eq!(question["params"]["sessionId"], session.as_str());
    bridge.reply(&question, &json!({ "outcome": { "outcome": "selected", "optionId": "allow" } }));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    assert_eq!(bridge.said(&session), ["permission: selected allow"]);
    bridge.end();
}

#[test]
fn files_terminals_and_vendor_requests_are_asked_of_the_client() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "read a.txt\nwrite b.txt hello\nrequest _vendor/thing {}");
    let read = bridge.message("fs/read_text_file");
    bridge.reply(&read, &json!({ "content": "what is in it" }));
    let write = bridge.message("fs/write_text_file");
    assert_eq!(write["params"]["content"], "hello");
    bridge.reply(&write, &json!({}));
    let thing = bridge.message("_vendor/thing");
    bridge.reply(&thing, &json!(42));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    assert_eq!(bridge.said(&session), ["read: what is in it", "write: ok", "answer: 42"]);
    bridge.end();
}

#[test]
fn a_cancel_ends_the_turn_and_its_open_question() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say here\nsleep 60000");
    assert_eq!(bridge.hears(&session), "here");
    bridge.notify("session/cancel", &json!({ "sessionId": session }));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "cancelled");

    let turn = bridge.prompt(&session, "ask-permission");
    let question = bridge.message("session/request_permission");
    bridge.notify("session/cancel", &json!({ "sessionId": session }));
    bridge.reply(&question, &json!({ "outcome": { "outcome": "cancelled" } }));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "cancelled");
    bridge.end();
}

#[test]
fn a_request_that_is_taken_back_is_taken_back_at_the_agent() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say here\nsleep 60000");
    bridge.hears(&session);
    bridge.notify("$/cancel_request", &json!({ "requestId": turn }));
    assert_eq!(refusal(&bridge.answer(turn)).0, -32800);
    bridge.end();
}

#[test]
fn modes_and_options_are_set_at_the_agent() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let answer =
        bridge.call("session/set_mode", &json!({ "sessionId": session, "modeId": "code" }));
    assert_eq!(answer["result"], json!({}));
    let params = json!({ "sessionId": session, "configId": "model", "value": "stub-2" });
    let answer = bridge.call("session/set_config_option", &params);
    assert_eq!(answer["result"]["configOptions"][0]["currentValue"], "stub-2");
    bridge.end();
}

#[test]
fn a_close_is_told_to_the_agent_and_is_final() {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let turn = bridge.prompt(&session, "say here\nsleep 60000");
    bridge.hears(&session);

    let close = bridge.request("session/close", &json!({ "sessionId": session }));
    let order = [bridge.incoming(), bridge.incoming(), bridge.incoming()];
    let order = order.map(|line| parsed(&line));
    assert_eq!(order[0]["method"], "_drawbridge/session_closed");
    assert_eq!(order[0]["params"]["reason"], "client_close");
    assert_eq!(order[1]["id"], turn);
    assert_eq!(order[1]["result"]["stopReason"], "cancelled");
    assert_eq!(order[2]["id"], close);
    assert_eq!(order[2]["result"], json!({}));
    let log = bridge.log_of(agent);
    let cancel = log.find("session/cancel").expect("the turn is cancelled");
    assert!(cancel < log.find("session/close").expect("then the session is closed"));

    // Whoever had it once and closes it again gets what he wants.
    assert_eq!(bridge.call_about("session/close", &session)["result"], json!({}));
    let prompt = bridge.prompt(&session, "say anything");
    let refused = bridge.answer(prompt);
    assert_eq!(refusal(&refused).0, -32002);
    assert_eq!(refused["error"]["data"]["sessionId"], session.as_str());
    bridge.end();
}

#[test]
fn a_session_is_loaded_again_with_its_replay_first() {
    let setup = Setup::new(&[], &[]);
    let state = setup.scratch().directory("state").display().to_string();
    let setup = Setup::new(&["--channel-idle-timeout-ms", "0"], &["--state-dir", &state]);
    let mut bridge = setup.start();
    bridge.initialize();
    let session = bridge.new_session();
    let first = bridge.pid_of(&session);
    bridge.turn(&session, "say remember me");
    bridge.call_about("session/close", &session);
    eventually("the end of the idle agent", || bridge.others().is_empty());

    let answer = bridge.restore("session/load", &session);
    assert_eq!(answer["result"]["modes"]["currentModeId"], "ask");
    let replayed = bridge.said(&session);
    assert_eq!(replayed.last().map(String::as_str), Some("remember me"));
    assert_ne!(bridge.pid_of(&session), first);
    bridge.end();
}

#[test]
fn stored_sessions_are_listed_resumed_and_deleted() {
    let mut bridge = Bridge::ready(&[], &[]);
    let (first, second) = (bridge.new_session(), bridge.new_session());
    bridge.turn(&first, "say one");
    bridge.call_about("session/close", &first);
    let listed = bridge.call("session/list", &json!({}));
    let ids = listed["result"]["sessions"].as_array().expect("a list").iter();
    let ids: Vec<_> = ids.map(|entry| entry["sessionId"].clone()).collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);

    let answer = bridge.restore("session/resume", &first);
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(bridge.turn(&first, "say back"), ["back"]);

    let answer = bridge.call_about("session/delete", &first);
    assert_eq!(answer["result"], json!({}), "{answer}");
    let event = bridge.find(|frame| frame["params"]["reason"] == "deleted");
    assert_eq!(event["params"]["sessionId"], first.as_str());
    assert_eq!(refusal(&bridge.restore("session/load", &first)).0, -32602);
    assert_eq!(bridge.turn(&second, "say still here"), ["still here"]);
    bridge.end();
}

#[test]
fn a_fork_is_a_session_of_its_own() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let answer = bridge.restore("session/fork", &session);
    let fork = answer["result"]["sessionId"].as_str().expect("a fork").to_owned();
    assert_ne!(fork, session);
    bridge.call_about("session/close", &session);
    assert_eq!(bridge.turn(&fork, "say alive"), ["alive"]);
    bridge.end();
}

#[test]
fn a_bridge_may_stand_in_front_of_a_bridge() {
    let own = env!("CARGO_BIN_EXE_drawbridge");
    let script = format!(r#"exec {own} --log-file off -- "$@""#);
    let mut bridge = Setup::new(&[], &[]).wrapped(&script).start();
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say far away"), ["far away"]);
    assert_eq!(bridge.others().len(), 2, "the other bridge and the agent");
    bridge.end();
}

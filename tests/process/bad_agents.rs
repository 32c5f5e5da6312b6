//! What an agent may do wrong: whoever waits for it is told, the rest lives on.

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::{parsed, refusal};
use crate::processes::{eventually, name};

#[test]
fn a_command_that_is_not_there_is_named() {
    let mut bridge = Setup::with_command(&[], &["no-such-agent-anywhere"]).start();
    let answer = bridge.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_spawn_failed"));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains("`no-such-agent-anywhere` was not found"), "{message}");
    bridge.gives_up();
}

#[test]
fn a_file_that_is_no_program_is_named() {
    let setup = Setup::with_command(&[], &[]);
    let file = setup.scratch().file("text").display().to_string();
    std::fs::write(&file, "no program").expect("a file");
    let mut bridge = Setup::with_command(&[], &[&file]).start();
    let answer = bridge.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_spawn_failed"));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains("may not be executed"), "{message}");
    bridge.gives_up();
}

#[test]
fn an_exit_in_the_handshake_is_told_with_code_and_last_words() {
    let flags = ["--exit-on", "initialize=7", "--stderr", "first", "--stderr", "no key was found"];
    let mut bridge = Setup::new(&[], &flags).start();
    let answer = bridge.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    let error = &answer["error"];
    assert_eq!(error["data"]["exitCode"], 7);
    assert_eq!(error["data"]["stderrTail"], "first\nno key was found");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("exit code 7") && message.contains("no key was found"), "{message}");
    bridge.gives_up();
}

#[test]
fn an_abort_in_the_handshake_is_told_with_its_signal() {
    let mut bridge = Setup::new(&[], &["--abort-on", "initialize"]).start();
    let answer = bridge.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    assert_eq!(answer["error"]["data"]["signal"], 6);
    bridge.gives_up();
}

#[test]
fn a_death_in_a_turn_ends_that_process_only() {
    let mut bridge = Bridge::ready(&["--share", "session"], &[]);
    let [dies, lives] = [bridge.new_session(), bridge.new_session()];
    let [turn, open] = ["sleep 60000", "stderr out of paper\nsay last\nexit 3"]
        .map(|script| bridge.prompt(&dies, script));
    for id in [turn, open] {
        let answer = bridge.answer(id);
        assert_eq!(refusal(&answer), (-32603, "agent_exited"));
        assert_eq!(answer["error"]["data"]["exitCode"], 3);
        assert_eq!(answer["error"]["data"]["stderrTail"], "out of paper");
    }
    assert_eq!(bridge.said(&dies), ["last"], "what it said is not lost");
    let event = bridge.message("_drawbridge/session_died");
    assert_eq!(event["params"]["sessionId"], dies.as_str());
    assert_eq!(event["params"]["reason"], "channel_closed");
    assert_eq!(event["params"]["exitCode"], 3);
    assert_eq!(bridge.turn(&lives, "say healthy"), ["healthy"]);
    bridge.end();
}

#[test]
fn a_death_does_not_overtake_what_was_said_before() {
    let mut bridge = Bridge::ready(&["--restart-limit", "0"], &[]);
    for _ in 0..3 {
        let session = bridge.new_session();
        let turn = bridge.prompt(&session, "stream 500 2000\nexit 1");
        let mut heard = 0;
        while parsed(&bridge.incoming())["method"] == "session/update" {
            heard += 1;
        }
        assert_eq!(heard, 500);
        assert_eq!(refusal(&bridge.answer(turn)), (-32603, "agent_exited"));
    }
    bridge.end();
}

#[test]
fn garbage_on_stdout_is_dropped_and_logged() {
    let mut bridge = Bridge::ready(&[], &["--garbage-at-start"]);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "garbage\nsay on\nraw []\nraw 7\ngarbage"), ["on"]);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.logs("a line on the agent's stdout is no message");
    bridge.end();
}

#[test]
fn half_a_line_at_the_end_is_dropped() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "say before\nhalf-line");
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    assert_eq!(bridge.said(&session), ["before"]);
    bridge.message("_drawbridge/session_died");
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn an_answer_given_twice_is_passed_on_once() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    bridge.turn(&session, "answer-twice");
    assert_eq!(bridge.turn(&session, "say on"), ["on"]);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn what_names_another_process_s_session_comes_under_an_alias() {
    let mut bridge = Bridge::ready(&["--share", "session"], &["--session-ids", "random"]);
    let [one, two] = [bridge.new_session(), bridge.new_session()];
    let script = format!("update-other {two} forged\nask-other {two}\nsay on");
    let turn = bridge.prompt(&one, &script);
    let question = bridge.message("session/request_permission");
    let alias = format!("~1~{two}");
    assert_eq!(question["params"]["sessionId"], *alias, "no other process asks for a session");
    let allowed = json!({ "outcome": { "outcome": "selected", "optionId": "allow" } });
    bridge.reply(&question, &allowed);
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    assert_eq!(bridge.said(&two), [""; 0], "and none speaks for it");
    assert_eq!(bridge.said(&alias).first().map(String::as_str), Some("forged"));
    bridge.end();
}

#[test]
fn late_words_about_a_closed_session_reach_nobody() {
    let flags = ["--updates-at-close", "3", "--updates-after-close", "3", "--ask-after-close"];
    let mut bridge = Setup::new(&[], &flags).logged().start();
    bridge.initialize();
    let [closed, open] = [bridge.new_session(), bridge.new_session()];
    let agent = bridge.pid_of(&open);
    bridge.call_about("session/close", &closed);
    // The question about it is answered in the client's place.
    eventually("the answer to the late question", || {
        let log = bridge.log_of(agent);
        log.lines().any(|line| line.starts_with("< ") && line.contains(r#""cancelled""#))
    });
    assert_eq!(bridge.turn(&open, "say on"), ["on"]);
    bridge.message("_drawbridge/session_closed");
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn early_words_about_a_session_come_after_its_opening() {
    let mut bridge = Bridge::ready(&[], &["--early-update"]);
    let asked = bridge.ask_for_session();
    let first = parsed(&bridge.incoming());
    assert_eq!(first["id"], asked);
    let second = parsed(&bridge.incoming());
    assert_eq!(second["params"]["sessionId"], first["result"]["sessionId"]);
    bridge.end();
}

#[test]
fn an_agent_that_closes_its_stdout_and_stays_is_ended() {
    let script = r#"
        IFS= read -r line
        printf '%s\n' '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
        exec >&-
        while IFS= read -r line; do :; done"#;
    let mut bridge = Setup::with_command(&[], &["sh", "-c", script]).start();
    let id = bridge.ask_to_initialize();
    bridge.find(|frame| frame["id"] == id);
    let asked = bridge.ask_for_session();
    let answer = bridge.answer(asked);
    assert!(answer["error"].is_object(), "{answer}");
    eventually("the end of the agent", || bridge.others().is_empty());
    bridge.end();
}

#[test]
fn an_agent_that_closes_its_stdin_and_stays_is_ended() {
    let script = r#"
        IFS= read -r line
        printf '%s\n' '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
        exec sleep 600 <&-"#;
    let mut bridge = Setup::with_command(&[], &["sh", "-c", script]).start();
    let id = bridge.ask_to_initialize();
    bridge.find(|frame| frame["id"] == id);
    eventually("the agent without a stdin", || {
        bridge.others().iter().any(|agent| name(*agent) == "sleep")
    });
    let asked = bridge.ask_for_session();
    let answer = bridge.answer(asked);
    assert!(answer["error"].is_object(), "{answer}");
    bridge.end();
}

#[test]
fn a_late_opening_is_closed_again() {
    let options = ["--session-open-timeout-ms", "100"];
    // A slow request keeps the process, which would be ended at once otherwise.
    let flags = ["--delay", "session/new=400", "--delay", "_vendor/state=1200"];
    let mut bridge = Setup::new(&options, &flags).logged().start();
    bridge.initialize();
    let agent = bridge.agent();
    let slow = bridge.request("_vendor/state", &json!({}));
    let asked = bridge.ask_for_session();
    let answer = bridge.answer(asked);
    assert_eq!(refusal(&answer), (-32603, "open_timeout"));
    eventually("the close of the late session", || {
        let log = bridge.log_of(agent);
        log.lines().any(|line| line.contains("session/close") && line.contains("sess-1"))
    });
    bridge.answer(slow);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn a_refused_session_leaves_nothing_behind() {
    let flags = ["--refuse", "session/new=-32000:log in first"];
    let mut bridge = Bridge::ready(&[], &flags);
    let asked = bridge.ask_for_session();
    let answer = bridge.answer(asked);
    assert_eq!(answer["error"], json!({ "code": -32000, "message": "log in first" }));
    bridge.end();
}

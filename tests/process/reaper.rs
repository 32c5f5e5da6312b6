//! Idle sessions are closed, and idle processes ended; nothing that works is.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::client::{parsed, refusal};
use crate::processes::{eventually, is_alive};

/// A bridge that closes sessions after so many milliseconds, whoever is attached, and brings none
/// back.
fn reaping(limit: &str, more: &[&str], flags: &[&str]) -> Bridge {
    let options =
        ["--idle-policy", "all", "--session-reap-interval-ms", "100", "--restore", "none"];
    let options = [&options[..], &["--attached-idle-timeout-ms", limit], more].concat();
    let mut bridge = Setup::new(&options, flags).logged().start();
    bridge.initialize();
    bridge
}

fn closed(bridge: &mut Bridge, session: &str) -> Value {
    bridge.find(|frame| {
        frame["method"] == "_drawbridge/session_closed" && frame["params"]["sessionId"] == session
    })
}

/// Time passes in which nothing may happen.
fn let_pass(millis: u64) {
    sleep(Duration::from_millis(millis));
}

#[test]
fn an_idle_session_is_closed_and_then_its_process_ended() {
    let mut bridge = reaping("200", &["--channel-idle-timeout-ms", "500"], &[]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let event = closed(&mut bridge, &session);
    assert_eq!(event["params"]["reason"], "idle_timeout");
    eventually("the close at the agent", || bridge.log_of(agent).contains("session/close"));
    assert!(is_alive(agent), "a process is kept a while longer than its sessions");
    eventually("the end of the idle process", || !is_alive(agent));
    assert!(bridge.log_of(agent).contains("= exit"), "it left by itself");

    let turn = bridge.prompt(&session, "say anything");
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32002, "session_closed"));
    assert_eq!(answer["error"]["data"]["reason"], "idle_timeout");
    bridge.end();
}

#[test]
fn several_sessions_may_be_closed_in_one_tick() {
    let mut bridge = reaping("200", &[], &[]);
    let sessions = [(); 3].map(|()| bridge.new_session());
    for session in &sessions {
        assert_eq!(closed(&mut bridge, session)["params"]["reason"], "idle_timeout");
    }
    bridge.end();
}

#[test]
fn a_running_prompt_and_an_open_question_keep_a_session() {
    let mut bridge = reaping("200", &[], &[]);
    let [working, asking] = [bridge.new_session(), bridge.new_session()];
    let turn = bridge.prompt(&working, "sleep 600");
    let asked = bridge.prompt(&asking, "ask-permission");
    let question = bridge.message("session/request_permission");
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    bridge.reply(&question, &json!({ "outcome": { "outcome": "cancelled" } }));
    assert_eq!(bridge.answer(asked)["result"]["stopReason"], "end_turn");
    for session in [&working, &asking] {
        closed(&mut bridge, session);
    }
    bridge.end();
}

#[test]
fn a_heartbeat_keeps_a_session() {
    let mut bridge = reaping("600", &[], &[]);
    let [kept, left] = [bridge.new_session(), bridge.new_session()];
    for _ in 0..9 {
        let beat = bridge.call_about("_drawbridge/heartbeat", &kept);
        assert_eq!(beat["result"]["sessions"][0]["state"], "idle", "{beat}");
        let_pass(100);
    }
    closed(&mut bridge, &left);
    assert_eq!(bridge.leftovers(), [""; 0], "the other one is still there");
    closed(&mut bridge, &kept);
    bridge.end();
}

#[test]
fn words_of_the_agent_keep_a_session() {
    let mut bridge = reaping("500", &[], &[]);
    let session = bridge.new_session();
    let later: Vec<String> = (1..9).map(|n| format!("update-later {} word", n * 100)).collect();
    bridge.turn(&session, &later.join("\n"));
    let mut words = 0;
    loop {
        let frame = parsed(&bridge.incoming());
        match frame["method"].as_str() {
            Some("session/update") => words += 1,
            other => break assert_eq!(other, Some("_drawbridge/session_closed")),
        }
    }
    assert_eq!(words, 8, "all came before the session was idle for long enough");
    bridge.end();
}

#[test]
fn work_in_the_background_keeps_a_session() {
    let mut bridge = reaping("200", &["--background-work", "keep"], &[]);
    let session = bridge.new_session();
    let work = bridge.starts(&session, "background 900");
    bridge.logs("not closed, because processes of its turns still run");
    assert!(is_alive(work));
    closed(&mut bridge, &session);
    assert!(!is_alive(work), "closed only after the work was done");
    bridge.end();
}

#[test]
fn work_in_the_background_may_be_ignored() {
    let mut bridge = reaping("200", &["--background-work", "ignore"], &[]);
    let session = bridge.new_session();
    let work = bridge.starts(&session, "background 3000");
    assert_eq!(closed(&mut bridge, &session)["params"]["reason"], "idle_timeout");
    assert!(is_alive(work), "closed although it still works");
    bridge.end();
}

#[test]
fn an_attached_client_keeps_its_sessions_by_default() {
    let options = ["--session-idle-timeout-ms", "100", "--session-reap-interval-ms", "50"];
    let options = [&options[..], &["--attached-idle-timeout-ms", "100"]].concat();
    let mut bridge = Bridge::ready(&options, &[]);
    let session = bridge.new_session();
    let_pass(400);
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.end();
}

#[test]
fn zero_switches_the_reaper_off() {
    let limits =
        ["--session-reap-interval-ms", "--session-idle-timeout-ms", "--attached-idle-timeout-ms"];
    let bridges = limits.map(|off| {
        let values = limits.map(|limit| if limit == off { "0" } else { "50" });
        let options = limits.iter().zip(values).flat_map(|(limit, value)| [*limit, value]);
        let mut options: Vec<&str> = options.collect();
        options.extend(["--idle-policy", "all"]);
        let mut bridge = Bridge::ready(&options, &[]);
        let session = bridge.new_session();
        (bridge, session, off)
    });
    let_pass(400);
    for (mut bridge, session, off) in bridges {
        assert_eq!(bridge.turn(&session, "say still here"), ["still here"], "{off}");
        bridge.end();
    }
}

#[test]
fn the_last_detach_closes_a_session() {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    bridge.initialize();
    let [left, kept] = [bridge.new_session(), bridge.new_session()];
    let agent = bridge.pid_of(&kept);
    let answer = bridge.call_about("_drawbridge/detach", &left);
    assert_eq!(answer["result"], json!({}));
    bridge.logs("because its last client left it");
    eventually("the close at the agent", || bridge.log_of(agent).contains("session/close"));
    let turn = bridge.prompt(&left, "say anything");
    assert_eq!(refusal(&bridge.answer(turn)).0, -32002);
    assert_eq!(bridge.turn(&kept, "say still here"), ["still here"]);
    bridge.end();
}

#[test]
fn a_detach_in_a_turn_closes_the_session_when_the_turn_ends() {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    bridge.prompt(&session, "say here\nsleep 800");
    bridge.hears(&session);
    bridge.call_about("_drawbridge/detach", &session);
    assert!(!bridge.log_of(agent).contains("session/close"));
    eventually("the close at the agent", || bridge.log_of(agent).contains("session/close"));
    let log = bridge.log_of(agent);
    let stop = log.rfind(r#""stopReason":"end_turn""#).expect("the turn ended");
    assert!(stop < log.find("session/close").expect("it was closed"), "{log}");
    bridge.end();
}

#[test]
fn an_agent_without_close_is_told_nothing_and_the_client_all_the_same() {
    let mut bridge = reaping("200", &[], &["--without", "close"]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    assert_eq!(closed(&mut bridge, &session)["params"]["reason"], "idle_timeout");
    assert!(!bridge.log_of(agent).contains("session/close"));
    bridge.end();
}

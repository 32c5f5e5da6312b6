//! Lines over `--max-frame-bytes`: what they carried fails, nothing else does.

use serde_json::json;

use crate::bridge::Bridge;
use crate::client::refusal;
use crate::processes::peak_memory;

const OPTIONS: [&str; 2] = ["--max-frame-bytes", "4096"];

#[test]
fn a_long_notification_of_an_agent_is_dropped() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say a\nlong-line 5000\nsay b"), ["a", "b"]);
    bridge.logs("a line of 5000 bytes is over --max-frame-bytes");
    bridge.end();
}

#[test]
fn a_line_of_just_the_limit_passes() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let session = bridge.new_session();
    bridge.prompt(&session, "long-line 4096");
    assert_eq!(bridge.find_line(|line| line.contains("xxxx")).len(), 4096);
    bridge.end();
}

#[test]
fn whoever_waits_for_a_long_answer_is_told() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let sessions = [(); 80].map(|()| bridge.new_session());
    let answer = bridge.call("session/list", &json!({}));
    assert_eq!(refusal(&answer), (-32603, "answer_too_long"));
    assert_eq!(bridge.turn(&sessions[0], "say on"), ["on"]);
    bridge.end();
}

#[test]
fn a_long_request_of_an_agent_is_refused_at_the_agent() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let part = "x".repeat(2100);
    // The agent asks for the two in one.
    let session = bridge.new_session_in(&format!("/{part}"));
    assert_eq!(
        bridge.turn(&session, &format!("read {part}\nsay on")),
        ["read: error -32600", "on"]
    );
    bridge.end();
}

#[test]
fn a_long_request_of_a_client_is_refused_by_its_id() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, &"x".repeat(10_000));
    assert_eq!(refusal(&bridge.answer(turn)), (-32600, "frame_too_long"));
    let text = "x".repeat(10_000);
    bridge
        .send(&format!(r#"{{"jsonrpc":"2.0","method":"_x","params":"{text}","id":"at the end"}}"#));
    let answer = bridge.find(|frame| frame["id"] == "at the end");
    assert_eq!(refusal(&answer), (-32600, "frame_too_long"));
    // A notification is nobody's loss.
    bridge.notify("_x", &json!({ "text": text }));
    assert_eq!(bridge.turn(&session, "say on"), ["on"]);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn a_long_answer_of_a_client_fails_the_agents_request() {
    let mut bridge = Bridge::ready(&OPTIONS, &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "read a.txt\nsay on");
    let question = bridge.message("fs/read_text_file");
    bridge.reply(&question, &json!({ "content": "x".repeat(10_000) }));
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    assert_eq!(bridge.said(&session), ["read: error -32603", "on"]);
    bridge.end();
}

#[test]
fn a_very_long_line_is_not_kept_in_memory() {
    let mut bridge = Bridge::ready(&["--max-frame-bytes", "65536"], &[]);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "long-line 60000000\nsay on"), ["on"]);
    let peak = peak_memory(bridge.pid());
    assert!(peak < 40 * 1024, "{peak} KiB");
    bridge.end();
}

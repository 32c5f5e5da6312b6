//! What a client may do wrong: the defined error, and everything lives on.

use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::client::{parsed, refusal};

/// A healthy session, that some bad lines must not harm, and what they are answered with.
fn answers(lines: &[&[u8]], answers: usize) -> Vec<Value> {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    for line in lines {
        bridge.write(line);
    }
    let answers = (0..answers).map(|_| bridge.find(|frame| frame["error"].is_object())).collect();
    assert_eq!(bridge.turn(&session, "say healthy"), ["healthy"]);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
    answers
}

#[test]
fn what_is_not_json_is_answered_with_its_id_or_null() {
    let lines: [(&[u8], Value); 7] = [
        (b"nonsense\n", Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"x\",}\n", json!(5)),
        (b"{\"jsonrpc\":\"2.0\"\n", Value::Null),
        (b"{\"a\":\"\xff\xfe\"}\n", Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"x\"}\n", Value::Null),
        (b"\0\n", Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"} trailing\n", json!(1)),
    ];
    let (lines, ids): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    for (answer, id) in answers(&lines, lines.len()).into_iter().zip(ids) {
        assert_eq!(refusal(&answer).0, -32700, "{answer}");
        assert_eq!(answer.get("id"), Some(&id), "{answer}");
    }
}

#[test]
fn what_is_json_but_no_message_is_refused() {
    let lines: [&[u8]; 6] = [
        b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]\n",
        b"[]\n",
        b"42\n",
        b"null\n",
        b"\"initialize\"\n",
        b"{}\n",
    ];
    for answer in answers(&lines, lines.len()) {
        assert_eq!(refusal(&answer).0, -32600, "{answer}");
        assert_eq!(answer.get("id"), Some(&Value::Null), "{answer}");
    }
}

#[test]
fn an_answer_without_a_result_that_nobody_waits_for_is_let_pass() {
    assert_eq!(answers(&[b"{\"jsonrpc\":\"2.0\",\"id\":\"mine\"}\n"], 0), [Value::Null; 0]);
}

#[test]
fn blank_lines_and_carriage_returns_are_let_pass() {
    let mut bridge = Bridge::ready(&[], &[]);
    bridge.write(b"\n\r\n   \n\t\r\n");
    bridge.write(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"_x\",\"params\":[1]}\r\n\r\n");
    assert_eq!(bridge.incoming(), r#"{"jsonrpc":"2.0","id":9,"result":{"echo":[1]}}"#);
    bridge.end();
}

#[test]
fn a_line_may_come_in_pieces_and_many_lines_in_one_piece() {
    let mut bridge = Bridge::ready(&[], &[]);
    for byte in b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"_x\",\"params\":[\"\xc3\xa9\"]}\n" {
        bridge.write(&[*byte]);
    }
    assert_eq!(bridge.incoming(), r#"{"jsonrpc":"2.0","id":1,"result":{"echo":["é"]}}"#);
    let lines: String = (0..500)
        .map(|id| {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"_x\",\"params\":[{id}]}}\n")
        })
        .collect();
    bridge.write(lines.as_bytes());
    for id in 0..500 {
        let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"echo":[{id}]}}}}"#);
        assert_eq!(bridge.incoming(), expected);
    }
    bridge.end();
}

#[test]
fn an_unknown_method_is_for_the_agent_to_refuse() {
    let mut bridge = Bridge::ready(&[], &[]);
    let answer = bridge.call("no/such/method", &json!({}));
    assert_eq!(answer["error"]["message"], "method not found: no/such/method");
    let ours = bridge.call("_drawbridge/nonsense", &json!({}));
    assert_eq!(refusal(&ours), (-32601, "no_route"));
    bridge.end();
}

#[test]
fn an_unknown_session_is_for_the_agent_to_refuse() {
    let mut bridge = Bridge::ready(&[], &[]);
    for method in ["session/prompt", "session/close", "session/set_mode"] {
        let answer = bridge.call_about(method, "nobody");
        assert_eq!(answer["error"]["message"], "unknown session: nobody", "{method}: {answer}");
        assert_eq!(answer["error"]["data"]["sessionId"], "nobody", "{method}: {answer}");
    }
    bridge.notify("session/cancel", &json!({ "sessionId": "nobody" }));
    let answer = bridge.call("session/prompt", &json!({ "prompt": [] }));
    assert_eq!(refusal(&answer), (-32602, "missing_field"));
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say healthy"), ["healthy"]);
    bridge.end();
}

#[test]
fn nothing_but_initialize_comes_first() {
    let mut bridge = Setup::new(&[], &[]).start();
    let asked = bridge.ask_for_session();
    assert_eq!(refusal(&bridge.answer(asked)), (-32600, "before_initialize"));
    let answer = bridge.call_about("session/prompt", "x");
    assert_eq!(refusal(&answer), (-32600, "before_initialize"));
    bridge.notify("session/cancel", &json!({ "sessionId": "x" }));
    assert!(bridge.others().is_empty(), "no agent was started for that");
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say healthy"), ["healthy"]);
    bridge.end();
}

#[test]
fn answers_that_nobody_waits_for_are_dropped() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    for id in ["0", "1", "77", "\"x\"", "null"] {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    assert_eq!(bridge.turn(&session, "say healthy"), ["healthy"]);
    assert_eq!(bridge.leftovers(), [""; 0]);
    bridge.end();
}

#[test]
fn as_many_lines_as_one_likes_in_one_go_are_all_answered() {
    let mut bridge = Bridge::ready(&[], &[]);
    // Fewer than a batch holds, as many, one more; and several batches to the full.
    for count in [127, 128, 129, 256, 1_000] {
        // So short that they are read together.
        bridge.write("1\n".repeat(count).as_bytes());
        for _ in 0..count {
            let refused = parsed(&bridge.incoming());
            assert_eq!(refused["error"]["code"], -32600, "{refused}");
        }
    }
    bridge.end();
}

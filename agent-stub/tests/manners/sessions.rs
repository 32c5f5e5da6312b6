//! Conversations: turns, questions, the store, and who may prompt when.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stub::{Stub, kinds, said, scratch};

#[test]
fn a_conversation() {
    let mut stub = Stub::start(&[]);
    let hello = stub.call("initialize", json!({ "protocolVersion": 1, "clientCapabilities": {} }));
    assert_eq!(hello["result"]["protocolVersion"], 1);
    assert_eq!(hello["result"]["agentCapabilities"]["sessionCapabilities"]["close"], json!({}));
    let new = stub.call("session/new", json!({ "cwd": "/tmp", "mcpServers": [] }));
    assert_eq!(new["result"]["modes"]["currentModeId"], "ask");
    assert_eq!(new["result"]["configOptions"][0]["currentValue"], "stub-1");

    let id = stub.prompt("think hm\nplan\ntool hammer\nusage\nsay done\nstop max_tokens");
    let frames = stub.until(id);
    let expected = [
        "agent_thought_chunk",
        "plan",
        "tool_call",
        "tool_call_update",
        "usage_update",
        "agent_message_chunk",
        "answer",
    ];
    assert_eq!(kinds(&frames), expected);
    assert_eq!(frames[6]["result"]["stopReason"], "max_tokens");

    let (said, reason) = stub.play("hello there\nstream 3 4\nenv STUB_TEST\nsleep soon");
    assert_eq!(
        said,
        ["you said: hello there", "xxxx", "xxxx", "xxxx", "from outside", "you said: sleep soon"]
    );
    assert_eq!(reason, "end_turn");

    let mode = json!({ "sessionId": "sess-1", "modeId": "code" });
    assert_eq!(stub.call("session/set_mode", mode)["result"], json!({}));
    let option = json!({ "sessionId": "sess-1", "configId": "model", "value": "stub-2" });
    let options = stub.call("session/set_config_option", option);
    assert_eq!(options["result"]["configOptions"][0]["currentValue"], "stub-2");
    assert_eq!(stub.call("_x/y", json!({ "a": 1.5 }))["result"], json!({ "echo": { "a": 1.5 } }));
    assert_eq!(stub.call("what/ever", json!({}))["error"]["code"], -32601);

    let sessions = stub.call("session/list", json!({}));
    assert_eq!(sessions["result"]["sessions"][0]["sessionId"], "sess-1");
    let fork = stub.call("session/fork", json!({ "sessionId": "sess-1", "cwd": "/" }));
    assert_eq!(fork["result"]["sessionId"], "sess-2");
    assert_eq!(stub.call("session/close", json!({ "sessionId": "sess-1" }))["result"], json!({}));
    let id = stub.prompt("say no");
    let refusal = &stub.until(id)[0]["error"];
    assert_eq!(
        (&refusal["code"], &refusal["data"]["sessionId"]),
        (&json!(-32602), &json!("sess-1"))
    );
    drop(stub.stdin.take());
    assert_eq!(stub.exit_status().code(), Some(0));
}

#[test]
fn ids_and_params_keep_their_spelling() {
    let mut stub = Stub::with_session(&[]);
    stub.write(
        r#"{"jsonrpc":"2.0","id":1.0e+2,"method":"_e","params":{"n":12345678901234567890123}}"#,
    );
    let expected =
        r#"{"jsonrpc":"2.0","id":1.0e+2,"result":{"echo":{"n":12345678901234567890123}}}"#;
    assert_eq!(stub.line(), expected);
    stub.write("");
    assert_eq!(stub.frame()["error"]["code"], -32700);
    stub.write("[]");
    assert_eq!(stub.frame()["error"]["code"], -32600);
    let (said, _) = stub.play("echo-params");
    assert!(said[0].starts_with(r#"{"sessionId":"sess-1","prompt":["#));
    stub.prompt(r#"raw {"of":"$SESSION","n":1e0}"#);
    assert_eq!(stub.line(), r#"{"of":"sess-1","n":1e0}"#);
}

#[test]
fn a_cancel_ends_a_turn_that_sleeps_and_one_that_asks() {
    let mut stub = Stub::with_session(&[]);
    for script in ["say first\nsleep 60000", "say first\nask-permission"] {
        let id = stub.prompt(script);
        stub.frame();
        stub.cancel();
        let start = Instant::now();
        assert_eq!(stub.until(id).pop().unwrap()["result"]["stopReason"], "cancelled");
        assert!(start.elapsed() < Duration::from_secs(1));
    }
    let id = stub.prompt("say first\nsleep 60000");
    stub.frame();
    stub.write(
        &json!({ "jsonrpc": "2.0", "method": "$/cancel_request", "params": { "requestId": id } })
            .to_string(),
    );
    assert_eq!(stub.frame()["error"]["code"], -32800);
}

#[test]
fn a_close_ends_the_turn_first() {
    let mut stub = Stub::with_session(&[
        "--updates-at-close",
        "1",
        "--updates-after-close",
        "1",
        "--ask-after-close",
    ]);
    let prompt = stub.prompt("say first\nsleep 60000");
    stub.frame();
    let close = stub.request("session/close", json!({ "sessionId": "sess-1" }));
    let frames = stub.until(close);
    let turn = frames.iter().find(|frame| frame["id"] == prompt).unwrap();
    assert_eq!(turn["result"]["stopReason"], "cancelled");
    assert_eq!(said(&frames), ["late update 1"]);
    assert_eq!(said(&[stub.frame()]), ["late update 1"]);
    assert_eq!(stub.frame()["method"], "session/request_permission");
}

#[test]
fn it_asks_the_client() {
    let mut stub = Stub::with_session(&[]);
    let id = stub.prompt("ask-permission\nread a.txt\nwrite /b.txt some text\nterminal echo hi\nelicit\nrequest _x {\"s\":\"$SESSION\"}\nask-other nobody");
    let mut texts = Vec::new();
    let mut asked = Vec::new();
    loop {
        let frame = stub.frame();
        texts.extend(said(std::slice::from_ref(&frame)));
        let params = &frame["params"];
        let result = match frame["method"].as_str() {
            Some("session/update") => continue,
            None => break assert_eq!(frame["id"], id),
            Some("session/request_permission") if params["sessionId"] == "nobody" => {
                json!({ "outcome": { "outcome": "cancelled" } })
            }
            Some("session/request_permission") => {
                json!({ "outcome": { "outcome": "selected", "optionId": "allow" } })
            }
            Some("fs/read_text_file") => json!({ "content": params["path"] }),
            Some("terminal/create") => json!({ "terminalId": "t" }),
            Some("terminal/wait_for_exit") => json!({ "exitCode": 3 }),
            Some("terminal/output") => {
                json!({ "output": params["terminalId"], "truncated": false })
            }
            Some("elicitation/create") => json!({ "action": "accept", "content": { "name": "N" } }),
            Some("_x") => params.clone(),
            Some(_) => json!({}),
        };
        asked.push(frame["id"].as_u64().unwrap());
        stub.answer(&frame["id"], result);
    }
    let expected = [
        "permission: selected allow",
        "read: /tmp/a.txt",
        "write: ok",
        "terminal: exit 3: t",
        "elicit: accept {\"name\":\"N\"}",
        "answer: {\"s\":\"sess-1\"}",
        "permission: cancelled",
    ];
    assert_eq!(texts, expected);
    assert_eq!(asked, (0..10).collect::<Vec<u64>>());
    let id = stub.prompt("ask-permission");
    let ask = stub.frame();
    stub.write(
        &json!({ "jsonrpc": "2.0", "id": ask["id"], "error": { "code": -5, "message": "" } })
            .to_string(),
    );
    assert_eq!(said(&stub.until(id)), ["permission: error -5"]);
}

#[test]
fn it_says_what_is_spelled_out_for_it() {
    let mut stub = Stub::with_session(&[]);
    let id = stub.prompt(concat!(
        "update {\"n\":1.0e+2}\nnotify x/y [\"$SESSION\", 1.0]\n",
        r#"ask-raw { "id":"\u0061", "method":"x/ask", "params":{"requestId":$REQUEST}}"#,
    ));
    let lines = [
        r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"sess-1","update":{"n":1.0e+2}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"x/y","params":["sess-1", 1.0]}"#.to_owned(),
        format!(r#"{{ "id":"\u0061", "method":"x/ask", "params":{{"requestId":{id}}}}}"#),
    ];
    for line in lines {
        assert_eq!(stub.line(), line);
    }
    stub.write(r#"{"jsonrpc":"2.0","id":"\u0061","result":7}"#);
    assert_eq!(said(&stub.until(id)), ["answer: 7"]);
    stub.write(r#"{"jsonrpc":"2.0","id":1.0,"method":"_x","params":{"answer":{ "error":{"code":-1,"data":[1.0]}}}}"#);
    assert_eq!(stub.line(), r#"{"id" : 1.0, "error":{"code":-1,"data":[1.0]}}"#);
}

#[test]
fn it_archives_and_names_sessions_and_suggests_edits() {
    let mut stub = Stub::with_session(&[]);
    let session = json!({ "sessionId": "sess-1" });
    let title = json!({ "sessionId": "sess-1", "title": "A title" });
    let id = stub.request("session/set_title", title);
    assert_eq!(kinds(&stub.until(id)), ["session_info_update", "answer"]);
    let listed =
        |stub: &mut Stub| stub.call("session/list", json!({}))["result"]["sessions"].take();
    assert_eq!(listed(&mut stub)[0]["title"], "A title");
    let status = |stub: &mut Stub| stub.call("session/status", session.clone())["result"].take();
    assert_eq!(status(&mut stub)["status"], "open");
    for method in ["session/close", "session/archive"] {
        assert_eq!(stub.call(method, session.clone())["result"], json!({}));
    }
    assert_eq!(status(&mut stub)["status"], "saved");
    assert_eq!(listed(&mut stub), json!([]));
    assert_eq!(stub.call("session/unarchive", session.clone())["result"], json!({}));
    assert_eq!(listed(&mut stub)[0]["sessionId"], "sess-1");

    let nes = json!({ "sessionId": "nes-1" });
    assert_eq!(stub.call("nes/start", json!({}))["result"], nes);
    let suggested = stub.call("nes/suggest", nes.clone());
    assert_eq!(suggested["result"]["suggestions"][0]["kind"], "edit");
    assert_eq!(stub.call("nes/close", nes.clone())["result"], json!({}));
    assert_eq!(stub.call("nes/suggest", nes)["error"]["code"], -32602);
}

#[test]
fn a_session_is_loaded_after_a_restart_but_not_while_another_holds_it() {
    let dir = scratch("restart");
    let flags = ["--state-dir", dir.to_str().unwrap(), "--lock-sessions"];
    let mut first = Stub::with_session(&flags);
    first.play("say kept");
    let restore = json!({ "sessionId": "sess-1", "cwd": "/tmp", "mcpServers": [] });

    let mut second = Stub::start(&flags);
    assert_eq!(second.call("session/load", restore.clone())["error"]["code"], -32603);
    first.child.kill().unwrap();
    first.exit_status();
    let id = second.request("session/load", restore.clone());
    let frames = second.until(id);
    assert_eq!(kinds(&frames), ["user_message_chunk", "agent_message_chunk", "answer"]);
    assert_eq!(frames[0]["params"]["update"]["content"]["text"], "say kept");
    let new = second.call("session/new", json!({ "cwd": "/tmp", "mcpServers": [] }));
    assert_eq!(new["result"]["sessionId"], "sess-2");
    drop(second);

    let flags =
        [&flags[..2], &["--late-replay", "--forget-unprompted", "--load-mode", "code"]].concat();
    let mut third = Stub::start(&flags);
    let id = third.request("session/load", restore.clone());
    let frames = third.until(id);
    assert_eq!(kinds(&frames), ["user_message_chunk", "answer"]);
    assert_eq!(frames[1]["result"]["modes"]["currentModeId"], "code");
    assert_eq!(kinds(&[third.frame()]), ["agent_message_chunk"]);
    let unprompted = json!({ "sessionId": "sess-2", "cwd": "/tmp" });
    assert_eq!(third.call("session/resume", unprompted)["error"]["code"], -32602);
    assert_eq!(
        third.call("session/list", json!({}))["result"]["sessions"].as_array().unwrap().len(),
        1
    );
    assert_eq!(third.call("session/delete", json!({ "sessionId": "sess-1" }))["result"], json!({}));
    assert_eq!(third.call("session/load", restore.clone())["error"]["code"], -32602);
    let mut fourth = Stub::start(&["--lose-store"]);
    assert_eq!(fourth.call("session/load", restore)["error"]["code"], -32002);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_opening_of_a_session_has_surprises() {
    let mut stub = Stub::start(&["--early-update", "--ask-in-new", "--needs-login"]);
    let new = json!({ "cwd": "/tmp", "mcpServers": [] });
    assert_eq!(stub.call("session/new", new.clone())["error"]["code"], -32000);
    stub.call("authenticate", json!({ "methodId": "stub-login" }));
    let id = stub.request("session/new", new);
    assert_eq!(kinds(&[stub.frame()]), ["available_commands_update"]);
    let ask = stub.frame();
    assert_eq!((&ask["method"], &ask["id"]), (&json!("session/request_permission"), &json!(0)));
    assert!(stub.lines.recv_timeout(Duration::from_millis(30)).is_err());
    stub.answer(&ask["id"], json!({ "outcome": { "outcome": "cancelled" } }));
    assert_eq!(stub.frame()["id"], id);
}

#[test]
fn a_second_prompt_runs_beside_waits_is_refused_or_merged() {
    let order = |manner: &str| {
        let mut stub = Stub::with_session(&["--second-prompt", manner]);
        let first = stub.prompt("say a\nsleep 60\nsay b");
        let mut frames = vec![stub.frame()];
        let second = stub.prompt("say c");
        let both = |frames: &[Value]| {
            [first, second].iter().all(|id| frames.iter().any(|frame| frame["id"] == *id))
        };
        while !both(&frames) {
            frames.push(stub.frame());
        }
        let show = |frame: &Value| match &frame["error"]["code"] {
            Value::Null if frame["id"] == first => "1".to_owned(),
            Value::Null if frame["id"] == second => "2".to_owned(),
            Value::Null => said(std::slice::from_ref(frame)).concat(),
            _ => "refused".to_owned(),
        };
        frames.iter().map(show).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order("concurrent"), "a c 2 b 1");
    assert_eq!(order("queue"), "a b 1 c 2");
    assert_eq!(order("refuse"), "a refused b 1");
    assert_eq!(order("merge"), "a b c 1 2");
}

#[test]
fn cancel_can_be_ignored_or_called_something_else() {
    let mut stub = Stub::with_session(&["--ignore-cancel"]);
    let id = stub.prompt("say a\nsleep 40\nsay b");
    stub.frame();
    stub.cancel();
    assert_eq!(said(&stub.until(id)), ["b"]);
    let mut stub = Stub::with_session(&["--cancel-means-end-turn"]);
    let id = stub.prompt("say a\nsleep 60000");
    stub.frame();
    stub.cancel();
    assert_eq!(stub.until(id)[0]["result"]["stopReason"], "end_turn");
}

#[test]
fn an_open_permission_can_block_everything() {
    let mut stub = Stub::with_session(&["--block-while-asking"]);
    let prompt = stub.prompt("ask-permission");
    let ask = stub.frame();
    let other = stub.request("_x", json!({}));
    assert!(stub.lines.recv_timeout(Duration::from_millis(30)).is_err());
    stub.answer(&ask["id"], json!({ "outcome": { "outcome": "selected", "optionId": "reject" } }));
    let mut frames = vec![stub.frame(), stub.frame(), stub.frame()];
    assert_eq!(said(&frames), ["permission: selected reject"]);
    frames.retain(|frame| frame["id"] == prompt || frame["id"] == other);
    assert_eq!(frames.len(), 2);
}

//! What an agent says arrives byte for byte, but for the ids that are ours to give.

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::bytes::{ODD, received};
use crate::client::parsed;

#[test]
fn notifications_arrive_as_they_were_sent() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let lines = [
        // Unknown updates, in odd spelling.
        format!(
            r#"{{"method":"session/update" , "params":{{"update":{{"sessionUpdate":"x_unknown",{ODD}}}, "sessionId":"{session}"}},"jsonrpc":"2.0"}}"#
        ),
        // A known one with unknown fields, and a session id that needs decoding.
        format!(
            r#" {{"jsonrpc":"2.0","x-beside":[1.0],"method":"session\/update","params":{{"sessionId":"\u0073{}","update":{{"sessionUpdate":"plan","entries":[ ],{ODD}}}}}}}"#,
            &session[1..]
        ),
        // The vendor's own: with a session and without one, underscored and not.
        format!(
            r#"{{"jsonrpc":"2.0","method":"_vendor/note","params":{{"sessionId":"{session}",{ODD}}}}}"#
        ),
        format!(r#"{{"jsonrpc":"2.0","method":"_auth/status_update","params":{{{ODD}}}}}"#),
        r#"{"jsonrpc":"2.0","method":"qwen/notify/thing"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"vendor/list","params":[ 1.0e+2 ,null]}"#.to_owned(),
        // Either of two equal names may be meant; what is passed on is both.
        format!(
            r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"a","sessionUpdate":"b"}}}}}}"#
        ),
    ];
    let script: Vec<String> = lines.iter().map(|line| format!("raw {line}")).collect();
    bridge.prompt(&session, &script.join("\n"));
    for line in &lines {
        assert_eq!(bridge.incoming(), *line);
    }
    bridge.end();
}

#[test]
fn a_request_of_the_agent_arrives_as_it_was_sent_but_for_its_id() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let with_session = format!(r#"{{"sessionId":"{session}",{ODD}}}"#);
    let without = format!("{{{ODD}}}");
    for id in ["\"a\\u0062\"", "1.0", "null", "123456789012345678901234567890"] {
        for (method, params) in [
            ("_vendor/ask", &with_session),
            ("vendor/ask", &with_session),
            ("vendor/ask", &without),
        ] {
            let head =
                format!(r#"{{ "jsonrpc":"2.0" ,"method":"{method}","params":{params},"id" : "#);
            let tail = r#","x":[-0] }"#;
            bridge.turn(&session, &format!("raw {head}{id}{tail}"));
            let question = bridge.find_line(|line| line.contains("/ask"));
            let own = question.strip_prefix(&head).and_then(|rest| rest.strip_suffix(tail));
            let own = own.unwrap_or_else(|| panic!("{question}"));
            assert!(own.parse::<u64>().is_ok(), "{own}");
            bridge.reply(&parsed(&question), &json!({}));
        }
    }
    bridge.end();
}

#[test]
fn answers_of_the_agent_keep_their_odd_spelling() {
    let mut bridge = Setup::new(&[], &["--exotic"]).logged().start();
    let first = bridge.initialize();
    assert_eq!(first["result"]["_meta"]["exotic"][0], 100.0);
    assert_eq!(first["result"]["_meta"]["drawbridge"]["version"], env!("CARGO_PKG_VERSION"));
    let agent = bridge.agent();
    let cwd = bridge.scratch.path().display().to_string();
    let new = json!({ "cwd": cwd, "mcpServers": [] });
    let session = bridge.new_session();
    let prompt = json!({ "sessionId": session, "prompt": [{ "type": "text", "text": "" }] });
    for (method, params) in [("session/new", new), ("session/prompt", prompt)] {
        let id = r#""my\u0020id""#;
        bridge.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
        let answer = bridge.find_line(|line| line.contains(id));
        let log = bridge.log_of(agent);
        let mut said = log.lines().filter_map(|line| line.strip_prefix("> "));
        let said = said.rfind(|line| line.contains("exotic")).expect("an exotic answer");
        let (head, tail) = answer.split_once(id).expect("the id");
        let own = said.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        let own = own.unwrap_or_else(|| panic!("said:  {said}\ncame:  {answer}"));
        assert!(own.parse::<u64>().is_ok(), "{own}");
    }
    bridge.end();
}

#[test]
fn results_and_errors_of_every_shape_pass_as_they_are() {
    let mut bridge =
        Setup::new(&[], &["--never", "_ask", "--never", "session/set_mode"]).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let values = [
        (r#""result":null"#.to_owned(), "_ask"),
        (format!(r#""result":{{{ODD}}}"#), "_ask"),
        (r#""result": [ ] "#.to_owned(), "session/set_mode"),
        (r#""result":0.10"#.to_owned(), "_ask"),
        (format!(r#""error":{{ "message":"n\u006f" ,"code": -32000,"data":{{{ODD}}}}}"#), "_ask"),
        (r#""error":{"code":1e3,"message":"odd"}"#.to_owned(), "session/set_mode"),
    ];
    for (place, (value, method)) in values.iter().enumerate() {
        let head = r#"{"jsonrpc":"2.0","id":"#;
        let tail =
            format!(r#","method":"{method}","params":{{"sessionId":"{session}","n":{place}}}}}"#);
        let id = format!("\"ask-{place}\"");
        bridge.send(&format!("{head}{id}{tail}"));
        let number = received(&bridge, agent, head, &tail);
        let (head, tail) = (format!(r#" {{{value} ,"id" :"#), r#","jsonrpc": "2.0" }"#);
        bridge.turn(&session, &format!("raw {head}{number}{tail}"));
        assert_eq!(bridge.find_line(|line| line.contains("ask-")), format!("{head}{id}{tail}"));
    }
    bridge.end();
}

#[test]
fn carriage_returns_and_blank_lines_of_an_agent_are_no_messages() {
    let mut bridge = Setup::new(&[], &[]).wrapped(r#"printf '\n\r\n\n'; exec "$@""#).start();
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say on"), ["on"]);
    assert!(!bridge.log().contains("WARN"), "{bridge}");
    bridge.end();
}

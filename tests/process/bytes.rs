//! What a client says arrives byte for byte, but for the ids that are ours to give.

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::processes::eventually;

/// Fields that a careless bridge would drop, reorder or spell in another way.
pub(crate) const ODD: &str = concat!(
    r#""n" :1.0e+2 , "tiny":-0.0E-7,"long":123456789012345678901234567890,  "minus":-0,"#,
    r#""letter":"\u0041\/\ud83d\ude00","tab":"\t", "k\u0065y":"twice","key":"twice","#,
    r#""nothing":null,"deep":{"list":[ 1 ,2.50,[] ,{ }],"id":7,"sessionIds":["x"]}"#
);

fn logged() -> (Bridge, String, u32) {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    (bridge, session, agent)
}

/// Waits until the agent has got a line that begins and ends like this; what stands between.
pub(crate) fn received(bridge: &Bridge, agent: u32, head: &str, tail: &str) -> String {
    let mut between = None;
    eventually(&format!("{head} … {tail} at the agent"), || {
        let log = bridge.log_of(agent);
        let mut lines = log.lines().filter_map(|line| line.strip_prefix("< "));
        let found = lines.find_map(|line| line.strip_prefix(head)?.strip_suffix(tail));
        between = found.map(str::to_owned);
        between.is_some()
    });
    between.expect("it was found")
}

fn is_number(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn a_notification_of_a_session_arrives_as_it_was_sent() {
    let (mut bridge, session, agent) = logged();
    for method in ["_vendor/note", "vendor/note"] {
        let line = format!(
            r#"  {{ "params":{{{ODD} ,"sessionId" : "{session}"}},"x-unknown":[1.0],"method":"{method}" ,"jsonrpc":"2.0" }}"#
        );
        bridge.send(&line);
        assert_eq!(received(&bridge, agent, &line, ""), "");
    }
    bridge.end();
}

#[test]
fn a_notification_without_a_session_arrives_as_it_was_sent() {
    let (mut bridge, _, agent) = logged();
    let line = format!(r#"{{"jsonrpc":"2.0","method":"_vendor\/note","params":{{{ODD}}}}}"#);
    bridge.send(&line);
    assert_eq!(received(&bridge, agent, &line, ""), "");
    bridge.end();
}

#[test]
fn a_request_arrives_as_it_was_sent_but_for_its_id() {
    let (mut bridge, session, agent) = logged();
    let with_session = format!(r#"{{"sessionId":"{session}",{ODD}}}"#);
    let without = format!(r#"{{{ODD}}}"#);
    for (id, method) in [("\"a\\u0062 \\\" c\"", "_vendor/ask"), ("1.0", "vendor/ask")] {
        for params in [&with_session, &without, &"[ 1.0e+2 ]".to_owned()] {
            let head =
                format!(r#"{{ "jsonrpc" : "2.0","method":"{method}","params":{params},"id": "#);
            let tail = r#" , "x-beside":-0}"#;
            bridge.send(&format!("{head}{id}{tail}"));
            assert!(is_number(&received(&bridge, agent, &head, tail)));
            let answer = bridge.find_line(|line| !line.contains("session/update"));
            let expected = match method {
                "_vendor/ask" => {
                    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"echo":{params}}}}}"#)
                }
                _ => format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"method not found: {method}"}}}}"#
                ),
            };
            assert_eq!(answer, expected);
        }
    }
    bridge.end();
}

#[test]
fn the_methods_that_the_bridge_knows_keep_their_bytes_too() {
    let mut bridge = Setup::new(&[], &[]).logged().start();
    let cwd = bridge.scratch.path().display().to_string();
    let mut agent = None;
    let mut asked = |bridge: &mut Bridge, method: &str, params: &str| {
        let head = r#"{"id": "#;
        let tail = format!(r#" ,"method" :"{method}","params":{params} ,"jsonrpc":"2.0"}}"#);
        bridge.send(&format!("{head}77{tail}"));
        let answer = bridge.find(|frame| frame["id"] == 77);
        assert!(answer["error"].is_null(), "{answer}");
        let agent = *agent.get_or_insert_with(|| bridge.agent());
        assert!(is_number(&received(bridge, agent, head, &tail)));
        answer["result"]["sessionId"].as_str().map(str::to_owned)
    };
    asked(&mut bridge, "initialize", &format!(r#"{{"protocolVersion":1,{ODD}}}"#));
    asked(&mut bridge, "authenticate", &format!(r#"{{"methodId":"stub-login",{ODD}}}"#));
    let new = format!(r#"{{"cwd":"{cwd}","mcpServers":[ ],{ODD}}}"#);
    let session = asked(&mut bridge, "session/new", &new).expect("a session");
    let about = |rest: &str| format!(r#"{{{ODD},{rest} , "sessionId":"{session}"}}"#);
    asked(&mut bridge, "session/set_mode", &about(r#""modeId":"code""#));
    asked(
        &mut bridge,
        "session/prompt",
        &about(r#""prompt":[{"type":"text","text":"say \u0041"}]"#),
    );
    asked(&mut bridge, "session/list", &format!("{{{ODD}}}"));
    asked(&mut bridge, "session/fork", &about(r#""mcpServers":[]"#));
    bridge.end();
}

#[test]
fn every_kind_of_id_comes_back_in_its_own_spelling() {
    let (mut bridge, _, _) = logged();
    let ids = [
        "1",
        "1.0",
        "\"1\"",
        "null",
        "-0",
        "0",
        "123456789012345678901234567890",
        "1e2",
        "100",
        r#""\u0041""#,
        r#""A""#,
        r#""a \"quoted\" \\ id\n""#,
        "\"\"",
        "\"é\u{1F600}\"",
    ];
    // All are open at once: none may be taken for another.
    for (place, id) in ids.iter().enumerate() {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"_echo","params":[{place}]}}"#);
        bridge.send(&line);
    }
    for (place, id) in ids.iter().enumerate() {
        let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"echo":[{place}]}}}}"#);
        assert_eq!(bridge.incoming(), expected);
    }
    bridge.end();
}

#[test]
fn an_answer_to_the_agent_arrives_as_it_was_sent_but_for_its_id() {
    let (mut bridge, session, agent) = logged();
    let answers = [
        ("result".to_owned(), format!("{{{ODD}}}")),
        ("result".to_owned(), "null".to_owned()),
        ("result".to_owned(), "[1.0e+2]".to_owned()),
        ("error".to_owned(), format!(r#"{{ "code":-7,"message":"n\u006f","data":{{{ODD}}} }}"#)),
    ];
    let asked_as = [r#""q-1""#, r#""q\u0041""#, "7.0", "null"];
    for ((member, value), id) in answers.iter().zip(asked_as) {
        let ask = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/ask","params":{{"sessionId":"{session}"}}}}"#
        );
        bridge.turn(&session, &format!("raw {ask}"));
        let question = bridge.message("vendor/ask");
        let head = format!(r#" {{"{member}" : {value},"id" :"#);
        let tail = r#", "jsonrpc":"2.0", "_meta":{} }"#;
        bridge.send(&format!("{head}{}{tail}", question["id"]));
        assert_eq!(received(&bridge, agent, &head, tail), id);
    }
    bridge.end();
}

#[test]
fn what_is_taken_back_is_named_in_the_agents_own_ids() {
    let (mut bridge, session, agent) = logged();
    let prompt =
        json!({ "sessionId": session, "prompt": [{ "type": "text", "text": "sleep 60000" }] });
    let head = r#"{"jsonrpc":"2.0","id":"#;
    let tail = format!(r#","method":"session/prompt","params":{prompt}}}"#);
    bridge.send(&format!(r#"{head}"my\u0020id"{tail}"#));
    let number = received(&bridge, agent, head, &tail);
    let head =
        r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"why":1.0e+2,"requestId": "#;
    bridge.send(&format!(r#"{head}"my\u0020id" }}}}"#));
    assert_eq!(received(&bridge, agent, head, " }}"), number);
    let answer = bridge.find_line(|line| line.contains("-32800"));
    assert!(answer.contains(r#""id":"my\u0020id""#), "{answer}");
    bridge.end();
}

//! Many clients of one agent process: what is one client's reaches no other, and one that does
//! not read disturbs nobody.

use std::collections::BTreeSet;
use std::io::Write;
use std::thread;

use serde_json::{Value, json};

use crate::client::{Client, numbered, parsed};
use crate::many::{Connected, Host};
use crate::processes;

/// What each client has its agent do, and how it answers the question that comes of it.
const ERRANDS: [(&str, &str, &str); 4] = [
    ("ask-permission", "session/request_permission", "permission: selected"),
    ("read /tmp/of-client", "fs/read_text_file", "read: text of"),
    ("write /tmp/of-client text", "fs/write_text_file", "write: ok"),
    ("terminal sh", "terminal/create", "terminal: exit"),
];

/// Answers everything that an agent asks, until the prompt is answered. Returns the methods and
/// the sessions of the questions, and the texts.
fn attends(client: &mut Client, prompt: u64, mark: &str) -> (Vec<(String, Value)>, Vec<String>) {
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    loop {
        let frame = parsed(&client.incoming());
        let params = &frame["params"];
        let Some(method) = frame["method"].as_str() else {
            assert_eq!(frame["id"], prompt, "{mark}: {frame}");
            return (asked, said);
        };
        if frame["id"].is_null() {
            said.extend(params["update"]["content"]["text"].as_str().map(str::to_owned));
            continue;
        }
        asked.push((method.to_owned(), params["sessionId"].clone()));
        let result = match method {
            "session/request_permission" => {
                let option = params["options"][0]["optionId"].clone();
                json!({ "outcome": { "outcome": "selected", "optionId": option } })
            }
            "fs/read_text_file" => json!({ "content": format!("text of {mark}") }),
            "terminal/create" => json!({ "terminalId": format!("term of {mark}") }),
            "terminal/wait_for_exit" => json!({ "exitCode": 0, "signal": null }),
            "terminal/output" => json!({ "output": format!("out of {mark}"), "truncated": false }),
            _ => json!({}),
        };
        if let Some(terminal) = params["terminalId"].as_str() {
            assert_eq!(terminal, format!("term of {mark}"), "{mark}: {frame}");
        }
        client.reply(&frame, &result);
    }
}

#[test]
fn questions_tool_calls_and_logins_stay_with_their_client() {
    let host = Host::start(&json!({}), &["--needs-login"]);
    let mut clients: Vec<Connected> = (0..4).map(|_| host.client()).collect();
    let answer = clients[0].call("authenticate", &json!({ "methodId": "stub" }));
    assert!(answer["error"].is_null(), "{answer}");
    for client in &mut clients[1..] {
        assert_eq!(client.leftovers(), Vec::<String>::new(), "the login is that of the first");
    }
    let sessions: Vec<String> = clients.iter_mut().map(|client| client.new_session()).collect();
    let pids: BTreeSet<u32> = clients.iter_mut().zip(&sessions).map(|(c, s)| c.pid_of(s)).collect();
    assert_eq!(pids.len(), 1, "one agent for all");
    clients.iter_mut().for_each(|client| drop(client.leftovers()));
    // All at the same time, each with every errand.
    let work = |(place, (mut client, session)): (usize, (Connected, String))| {
        thread::spawn(move || {
            let mark = format!("client {place}");
            for round in 0..10 {
                let (script, method, said) = ERRANDS[(round + place) % ERRANDS.len()];
                let prompt = client.prompt(&session, script);
                let (asked, texts) = attends(&mut client, prompt, &mark);
                assert!(asked.iter().any(|(name, _)| name == method), "{mark}: {asked:?}");
                assert!(asked.iter().all(|(_, of)| *of == session.as_str()), "{mark}: {asked:?}");
                let text = texts.concat();
                assert!(text.contains(said), "{mark}: {text}");
                let is_foreign = |other: &usize| text.contains(&format!("client {other}"));
                assert!(!(0..4).filter(|other| *other != place).any(|o| is_foreign(&o)), "{text}");
            }
            client
        })
    };
    let threads: Vec<_> = clients.into_iter().zip(sessions).enumerate().map(work).collect();
    for thread in threads {
        let mut client = thread.join().expect("every errand is done");
        assert_eq!(client.leftovers(), Vec::<String>::new());
    }
    host.end();
}

#[test]
fn a_client_that_never_reads_is_dropped_and_the_others_never_notice() {
    let limits = json!({ "outbox_bytes": 1 << 20, "saturation_grace": 300, "replay_bytes": 65536 });
    let host = Host::start(&limits, &[]);
    let mut other = host.client();
    let session = other.new_session();
    let pid = other.pid_of(&session);
    // It asks for a hundred megabytes, and reads none.
    let silent = host.stream(&host.hello());
    let open = json!({ "cwd": host.scratch.path(), "mcpServers": [] });
    let prompt = json!({
        "sessionId": "sess-2",
        "prompt": [{ "type": "text", "text": "stream 100000 1000" }],
    });
    for (id, (method, params)) in
        [("initialize", numbered()), ("session/new", open), ("session/prompt", prompt)]
            .into_iter()
            .enumerate()
    {
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(&silent, "{line}").expect("the bridge reads");
    }
    for round in 0..40 {
        let word = format!("round {round}");
        assert_eq!(other.turn(&session, &format!("say {word}")), [word]);
    }
    host.logs("does not read, and other clients wait for the same agent");
    assert_eq!(other.pid_of(&session), pid, "the same agent serves on");
    let peak = processes::peak_memory(host.pid());
    assert!(peak < 60_000, "the bridge has taken {peak} kB");
    // It is told so, if it looks at last.
    let mut silent = silent;
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut silent, &mut rest).expect("the end of the stream");
    assert!(rest.contains("client_too_slow"), "{} bytes", rest.len());
    host.end();
}

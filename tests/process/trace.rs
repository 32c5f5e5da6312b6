//! Traces: the file, what is in it and what is not, and how it is shown.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::processes::eventually;
use crate::scratch::Scratch;
use crate::site::{DRAWBRIDGE, SHORT, Site};

fn traced(file: &Path, options: &[&str]) -> Bridge {
    let path = file.to_string_lossy().into_owned();
    let options = [&["--trace-frames", &path], options].concat();
    let mut bridge = Setup::new(&options, &[]).start();
    bridge.initialize();
    bridge
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn shown(file: &Path, options: &[&str]) -> Output {
    Command::new(DRAWBRIDGE).arg("trace").arg(file).args(options).output().expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The parameters of a session with secrets for its MCP servers.
fn with_secrets() -> Value {
    let env = json!([{"name": "MODE", "value": "hidden-value"}]);
    let headers = json!([{"name": "X-Any", "value": "hidden-header"}]);
    let local = json!({"name": "a", "command": "/bin/false", "args": [], "env": env});
    let remote = json!({"type": "http", "name": "b", "url": "http://x", "headers": headers});
    json!({"cwd": "/tmp", "mcpServers": [local, remote]})
}

#[test]
fn a_trace_has_the_head_of_each_message_and_nothing_else() {
    let scratch = Scratch::new();
    let file = scratch.file("trace");
    let mut bridge = traced(&file, &[]);
    let opened = bridge.call("session/new", &with_secrets());
    let session = opened["result"]["sessionId"].as_str().expect("an id").to_owned();
    bridge.turn(&session, "say a secret word\nstream 50 20");
    bridge.call_about("session/close", &session);
    bridge.end();
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let lines = lines(&file);
    assert!(lines[0]["drawbridge"].is_string(), "{}", lines[0]);
    for (direction, method) in [
        ("from_client", "initialize"),
        ("to_agent", "session/new"),
        ("from_client", "session/prompt"),
        ("to_agent", "session/close"),
    ] {
        let is_it = |line: &&Value| line["direction"] == direction && line["method"] == method;
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{direction} {method}");
    }
    // Each message of a stream has its own line, on both sides.
    for direction in ["from_agent", "to_client"] {
        let is_it = |line: &&Value| {
            line["direction"] == direction && line["update"] == "agent_message_chunk"
        };
        assert_eq!(lines.iter().filter(is_it).count(), 51, "{direction}");
    }
    let raw = fs::read_to_string(&file).expect("a file");
    for content in ["secret word", "hidden", "mcpServers", "/tmp"] {
        assert!(!raw.contains(content), "{content}");
    }
    let output = shown(&file, &["--session", &session]);
    let text = text(&output);
    for expected in [
        format!("session {session}\n"),
        "cl-1 ──▶              session/new".to_owned(),
        "◀── ch-1     session/update agent_message_chunk ×51, ".to_owned(),
        "◀── ch-1     answer to session/prompt".to_owned(),
        "cl-1 ◀──              answer to session/close".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}: {text}");
    }
    assert!(!text.contains("initialize"), "{text}");
    assert!(self::text(&shown(&file, &[])).contains("initialize"));
}

#[test]
fn payloads_come_without_the_values_of_environments_and_headers() {
    let scratch = Scratch::new();
    let file = scratch.file("trace");
    let mut bridge = traced(&file, &["--trace-payloads"]);
    let opened = bridge.call("session/new", &with_secrets());
    let session = opened["result"]["sessionId"].as_str().expect("an id").to_owned();
    bridge.turn(&session, "say a plain word");
    bridge.send("no message, with sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAA in it");
    bridge.find_line(|line| line.contains("-32700"));
    bridge.end();
    let raw = fs::read_to_string(&file).expect("a file");
    for expected in ["a plain word", "X-Any", "MODE", "/bin/false", "no message, with"] {
        assert!(raw.contains(expected), "{expected}");
    }
    assert!(!raw.contains("hidden") && !raw.contains("sk-ant-api03"), "{raw}");
    assert!(text(&shown(&file, &["--payloads"])).contains("a plain word"));
    assert!(!text(&shown(&file, &[])).contains("a plain word"));
}

#[test]
fn only_a_new_file_is_written() {
    let scratch = Scratch::new();
    let (old, link) = (scratch.file("old"), scratch.file("link"));
    fs::write(&old, "mine").expect("a file");
    symlink(scratch.file("elsewhere"), &link).expect("a link");
    for file in [&old, &link] {
        let mut bridge = traced(file, &[]);
        bridge.new_session();
        bridge.logs("there is no trace: ");
        bridge.end();
    }
    assert_eq!(fs::read_to_string(&old).expect("a file"), "mine");
    assert!(!scratch.file("elsewhere").exists());
    // Each bridge has its own, where the name says so.
    let bridge = traced(&scratch.file("{pid}.jsonl"), &[]);
    let own = scratch.file(&format!("{}.jsonl", bridge.pid()));
    eventually("there is a file", || own.exists());
    bridge.end();
}

#[test]
fn a_trace_of_a_daemon_has_no_environment() {
    let mut site = Site::new(SHORT);
    let file = site.scratch.file("trace");
    // Relative to the directory in which it is started.
    site.serve(&["--trace-frames", "trace", "--trace-payloads"]);
    let mut command = site.connect(&[]);
    command.env("PLAIN_VARIABLE", "value-of-the-editor");
    let mut editor = crate::site::Editor::start(command);
    editor.initialize();
    let session = editor.new_session();
    editor.turn(&session, "say a plain word");
    editor.leave();
    let raw = || fs::read_to_string(&file).unwrap_or_default();
    eventually("it is written", || raw().contains("a plain word"));
    assert!(!raw().contains("value-of-the-editor"));
    site.end();
}

#[test]
fn what_is_no_trace_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.file("notes");
    fs::write(&file, "some\nnotes\n").expect("a file");
    for output in [shown(&file, &[]), shown(&scratch.file("nothing"), &[])] {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    // Half a line at the end, as of a bridge that was killed, is left out.
    let line = r#"{"at":1,"direction":"from_client","peer":"cl-1","sort":"request","id":1e400,"method":"a\u001bb","bytes":9}"#;
    fs::write(&file, format!("{line}\n{}", &line[..40])).expect("a file");
    let output = shown(&file, &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 2 lines"), "{output:?}");
    let text = text(&output);
    assert!(text.contains("a\u{fffd}b 1e400, 9 B"), "{text}");
}

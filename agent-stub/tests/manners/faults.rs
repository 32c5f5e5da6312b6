//! Processes: late and missing answers, odd frames, signals, ends and children.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stub::{Stub, said, scratch};

#[test]
fn answers_come_late_never_refused_or_not_at_all() {
    let flags = [
        "--delay",
        "_slow=60",
        "--never",
        "_never",
        "--refuse",
        "_no=-7:not today",
        "--refuse",
        "_no2",
        "--exit-on",
        "_exit=9",
        "--without",
        "load",
        "--protocol-version=7",
    ];
    let mut stub = Stub::start(&flags);
    stub.request("_never", json!({}));
    let slow = stub.request("_slow", json!({}));
    let error = &stub.call("_no", json!({}))["error"];
    assert_eq!(*error, json!({ "code": -7, "message": "not today" }));
    assert_eq!(stub.call("_no2", json!({}))["error"]["code"], -32603);
    let hello = stub.call("initialize", json!({}));
    assert_eq!(hello["result"]["protocolVersion"], 7);
    assert_eq!(hello["result"]["agentCapabilities"]["loadSession"], false);
    assert_eq!(stub.call("session/load", json!({}))["error"]["code"], -32601);
    assert_eq!(stub.frame()["id"], slow);
    stub.request("_exit", json!({}));
    assert_eq!(stub.exit_status().code(), Some(9));

    let mut stub = Stub::start(&["--silent", "--abort-on", "_abort"]);
    stub.request("initialize", json!({}));
    assert!(stub.lines.recv_timeout(Duration::from_millis(50)).is_err());
    let mut stub = Stub::start(&["--abort-on", "_abort"]);
    stub.request("_abort", json!({}));
    assert_eq!(stub.exit_status().signal(), Some(6));
}

#[test]
fn frames_can_be_odd() {
    let mut stub = Stub::start(&["--garbage-at-start", "--exotic"]);
    assert!(serde_json::from_str::<Value>(&stub.line()).is_err());
    stub.request("session/new", json!({ "cwd": "/tmp", "mcpServers": [] }));
    let line = stub.line();
    for oddity in
        [r#""sessionId" :"\u0073ess-1""#, "12345678901234567890123", "1.0e+2", r"\u0041\/"]
    {
        assert!(line.contains(oddity), "{oddity} in {line}");
    }
    let (_, reason) = stub.play("");
    assert_eq!(reason, "end_turn");
    stub.prompt(
        "garbage\nlong-line 5000\nupdate-other else where\nanswer-twice\nupdate-later 10 late",
    );
    assert!(serde_json::from_str::<Value>(&stub.line()).is_err());
    assert_eq!(stub.line().len(), 5000);
    assert_eq!(stub.frame()["params"]["sessionId"], "else");
    assert_eq!(stub.frame(), stub.frame());
    assert_eq!(said(&[stub.frame()]), ["late"]);
    stub.prompt("half-line");
    assert!(serde_json::from_str::<Value>(&stub.line()).is_err());
    assert_eq!(stub.exit_status().code(), Some(1));
}

#[test]
fn the_end_of_stdin_and_sigterm() {
    let mut stub = Stub::with_session(&[]);
    stub.prompt("sleep 60000");
    drop(stub.stdin.take());
    assert_eq!(stub.exit_status().code(), Some(0));

    let dir = scratch("log");
    let log = dir.join("log");
    let mut stub = Stub::start(&["--linger", "50", "--log", log.to_str().unwrap()]);
    stub.call("_x", json!(null));
    let start = Instant::now();
    drop(stub.stdin.take());
    assert_eq!(stub.exit_status().code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(45));
    let log = std::fs::read_to_string(log).unwrap();
    let marks: Vec<&str> = log.lines().map(|line| &line[..3]).collect();
    assert_eq!(marks, ["= s", "< {", "> {", "= e", "= e"]);
    std::fs::remove_dir_all(dir).unwrap();

    let mut stub = Stub::with_session(&[]);
    stub.term();
    assert_eq!(stub.exit_status().signal(), Some(15));

    let mut stub = Stub::with_session(&["--deaf-term", "--deaf-stdin"]);
    stub.term();
    drop(stub.stdin.take());
    std::thread::sleep(Duration::from_millis(60));
    assert!(stub.is_there());
}

#[test]
fn a_turn_can_end_the_process_stop_it_or_leave_children() {
    for (script, code, signal) in [("exit 3", Some(3), None), ("abort", None, Some(6))] {
        let mut stub = Stub::with_session(&[]);
        stub.prompt(script);
        let status = stub.exit_status();
        assert_eq!((status.code(), status.signal()), (code, signal));
    }
    let mut stub = Stub::with_session(&[]);
    let stat = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit(") ").next().unwrap().split(' ');
        fields.map(str::to_owned).collect::<Vec<_>>()
    };
    let (texts, _) = stub.play(
        "pid\ngrandchild setsid\ngrandchild ignore-term\ngrandchild hold-pipe\nbackground 900",
    );
    let pids: Vec<&str> = texts.iter().map(|text| text.split(' ').next_back().unwrap()).collect();
    assert_eq!(pids[0], stub.child.id().to_string());
    assert_eq!(stat(pids[1])[3], pids[1], "leads a session of its own");
    assert_eq!(stat(pids[4])[2], stat(pids[0])[2], "is in the stub's group");
    Command::new("kill").args(&pids[1..4]).status().unwrap();
    let there = |pid: &str| std::path::Path::new(&format!("/proc/{pid}")).exists();
    while there(pids[1]) || there(pids[3]) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(there(pids[2]), "is deaf to SIGTERM");
    Command::new("kill").args(["-9", pids[2]]).status().unwrap();

    let id = stub.prompt("stop-self\nsay woken");
    while stat(pids[0])[0] != "T" {
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-CONT", pids[0]]).status().unwrap();
    assert_eq!(said(&stub.until(id)), ["woken"]);
}

#[test]
fn stderr_and_odd_flags() {
    let mut stub = Stub::with_session(&["--stderr", "at start"]);
    stub.play("stderr a word\nflood-stderr 3");
    drop(stub.stdin.take());
    let mut text = String::new();
    stub.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "at start\na word\nflood 1 of 3\nflood 2 of 3\nflood 3 of 3\n");

    for flags in
        [&["--nonsense"][..], &["--delay", "x"], &["--silent=yes"], &["--log"], &["--without", "x"]]
    {
        assert_eq!(Stub::start(flags).exit_status().code(), Some(2));
    }
    let mut help = Stub::start(&["--help"]);
    assert!(help.line().starts_with("agent-stub 0."));
    assert_eq!(help.exit_status().code(), Some(0));
}

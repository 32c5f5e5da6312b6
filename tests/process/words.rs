//! The words of the bridge: errors that a person can act on, and what the log and the process
//! table answer.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::processes::eventually;
use crate::scratch::{Scratch, write_script};

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[test]
fn an_error_carries_its_sentence_twice() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    for answer in
        [bridge.call("_drawbridge/nothing", &json!({})), bridge.call("session/load", &json!({}))]
    {
        assert_eq!(answer["error"]["data"]["details"], message(&answer), "{answer}");
    }
    let turn = bridge.prompt(&session, "exit 7");
    let answer = bridge.answer(turn);
    assert_eq!(answer["error"]["data"]["details"], message(&answer), "{answer}");
    bridge.end();
}

#[test]
fn the_agent_is_called_by_what_its_command_runs() {
    for (options, name) in
        [(&[][..], "`agent-stub`"), (&["--agent-name", "The Stub"], "`The Stub`")]
    {
        let mut bridge = Setup::new(options, &[]).wrapped(r#"cd . && exec "$@""#).start();
        bridge.initialize();
        let session = bridge.new_session();
        let turn = bridge.prompt(&session, "exit 7");
        let answer = bridge.answer(turn);
        assert!(message(&answer).contains(name), "{answer}");
        bridge.logs(&format!("in front of {name}"));
        bridge.end();
    }
}

#[test]
fn what_a_command_lacks_is_named() {
    for (way, first, named) in [
        ("--no-keeper=false", "#!/opt/node22/bin/node\n", "the interpreter /opt/node22/bin/node"),
        ("--no-keeper", "#!/opt/node22/bin/node\n", "the interpreter /opt/node22/bin/node"),
        ("--no-keeper=false", "#!/bin/sh\r\n", "ends with a carriage return"),
    ] {
        let scratch = Scratch::new();
        let file = scratch.file("my-agent");
        write_script(&file, &format!("{first}exit 0\n"));
        let mut bridge = Setup::with_command(&[way], &[file.to_str().expect("UTF-8")]).start();
        let answer = bridge.initialize();
        assert_eq!(refusal(&answer), (-32603, "agent_spawn_failed"));
        assert!(
            message(&answer).contains(named) && message(&answer).contains("my-agent"),
            "{answer}"
        );
        bridge.gives_up();
    }
}

#[test]
fn the_line_that_looks_like_a_reason_is_quoted() {
    let script = r#"
        echo "npm error notarget No matching version found for x@9.9.9." >&2
        echo "npm error A complete log of this run can be found in: /tmp/log" >&2
        exit 1"#;
    let mut bridge = Setup::with_command(&[], &["sh", "-c", script]).start();
    let answer = bridge.initialize();
    assert!(
        message(&answer).contains("Its last words: npm error notarget No matching"),
        "{answer}"
    );
    bridge.gives_up();
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "stderr listening on stdio\nsleep 60000");
    eventually("its words", || bridge.stderr().contains("listening"));
    let agent = bridge.agent();
    crate::processes::send_signal(agent, Signal::SIGKILL);
    let answer = bridge.answer(turn);
    assert!(message(&answer).contains("signal 9 (SIGKILL)."), "{answer}");
    assert!(!message(&answer).contains("listening"), "{answer}");
    bridge.end();
}

#[test]
fn secrets_are_masked_and_the_rest_stays_readable() {
    let open = [
        ("NODE_ENV", "production"),
        ("ANTHROPIC_MODEL", "claude-opus-4-5-20250929"),
        ("VIRTUAL_ENV", "/home/jo/.venv"),
        ("NODE_EXTRA_CA_CERTS", "/etc/ssl/corp.pem"),
    ];
    let secret = [("OPENAI_API_KEY", "sk-abcdefgh1234"), ("DB_PASSWORD", "hunter2x")];
    let mut setup = Setup::new(&[], &[]);
    for (name, value) in open.iter().chain(&secret) {
        setup = setup.variable(name, value);
    }
    let mut bridge = setup.start();
    bridge.initialize();
    let servers = json!([{ "name": "a", "command": "x", "args": [],
        "env": [{ "name": "Q", "value": "sec\"ret\\of-4" }] },
        { "name": "b", "type": "http", "url": "https://x/",
          "headers": [{ "name": "Authorization", "value": "Bearer secret-of-header" }] }]);
    let opened = bridge.call("session/new", &json!({ "cwd": "/tmp", "mcpServers": servers }));
    let session = opened["result"]["sessionId"].as_str().expect("a session").to_owned();
    let values: Vec<&str> = open.iter().chain(&secret).map(|(_, value)| *value).collect();
    let json = r#"as json "sec\"ret\\of-4" and secret-of-header"#;
    let mut script: Vec<String> = values.iter().map(|value| format!("stderr {value}")).collect();
    script.push(format!("stderr {json}"));
    // The same on stdout, as lines that are no messages.
    script.push(format!("raw see {} and {json}", values.join(" ")));
    script.push("exit 9".to_owned());
    let turn = bridge.prompt(&session, &script.join("\n"));
    let answer = bridge.answer(turn);
    let tail = answer["error"]["data"]["stderrTail"].as_str().expect("a tail").to_owned();
    bridge.logs("is no message");
    let log = bridge.log();
    for (name, value) in open {
        assert!(tail.contains(value) && log.contains(value), "{name}: {tail}\n{log}");
    }
    for hidden in ["sk-abcdefgh1234", "hunter2x", r"ret\\of-4", "secret-of-header"] {
        assert!(!tail.contains(hidden) && !log.contains(hidden), "{hidden}: {tail}\n{log}");
    }
    bridge.end();
}

#[test]
fn half_a_line_of_stderr_may_be_a_question() {
    let script = r#"printf 'Open https://login.example and enter ABCD: ' >&2; exec "$@""#;
    let mut bridge = Setup::new(&["--preheat"], &[]).wrapped(script).start();
    eventually("the question", || bridge.stderr().ends_with("enter ABCD: "));
    bridge.initialize();
    bridge.end();
}

#[test]
fn nothing_stands_on_stderr_if_nothing_is_wrong() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    bridge.turn(&session, "say fine");
    bridge.call_about("session/close", &session);
    bridge.close_stdin();
    bridge.is_gone();
    assert_eq!(bridge.stderr(), "");
    bridge.logs("in front of `agent-stub`");
}

#[test]
fn the_log_says_what_was_refused_or_dropped_and_why() {
    let options = ["--log", "debug"];
    let mut bridge = Setup::new(&options, &["--updates-after-close", "1"]).start();
    bridge.notify("session/cancel", &json!({"sessionId": "early"}));
    bridge.logs(
        "cl-1: session/cancel in session early is dropped, because no initialize has succeeded \
         before it",
    );
    bridge.initialize();
    let session = bridge.new_session();
    bridge.asked = 76;
    bridge.call("_drawbridge/nothing", &json!({}));
    bridge.logs("cl-1: _drawbridge/nothing (id 77) is refused: drawbridge has no method");
    bridge.notify("_drawbridge/nothing", &json!({}));
    bridge.logs("cl-1: _drawbridge/nothing is dropped, because nobody but drawbridge may send it");
    bridge.call_about("session/close", &session);
    let late =
        format!("session/update in session {session} is dropped, because its session is closed");
    bridge.logs(&late);
    bridge.end();
}

#[test]
fn the_log_says_how_a_session_came_and_why_it_went() {
    let options = [
        "--idle-policy",
        "all",
        "--background-work",
        "ignore",
        "--session-reap-interval-ms",
        "50",
        "--attached-idle-timeout-ms",
        "300",
    ];
    let mut bridge = Setup::new(&options, &[]).stored().start();
    bridge.initialize();
    let session = bridge.new_session();
    bridge.turn(&session, "say remember");
    bridge.logs("because it was idle for too long (idle_timeout; it was idle for 3");
    bridge.restore("session/load", &session);
    bridge.logs(&format!("({session}): loaded on"));
    bridge.logs("because it was idle for too long");
    eventually("its end", || bridge.log().matches("idle for too long").count() == 2);
    bridge.restore("session/resume", &session);
    bridge.logs(&format!("({session}): resumed on"));
    bridge.signal(Signal::SIGTERM);
    bridge.is_gone();
    bridge.logs("because SIGTERM came");
}

#[test]
fn a_keeper_writes_the_last_line_of_a_bridge_that_is_killed() {
    for (format, quoted) in [("text", ""), ("json", "\"message\":\"")] {
        let options = ["--log-format", format, "--shutdown-timeout-ms", "600"];
        let mut bridge = Bridge::ready(&options, &["--deaf-stdin"]);
        let (pid, agent) = (bridge.pid(), bridge.agent());
        bridge.signal(Signal::SIGKILL);
        bridge.is_killed();
        let line = format!(
            "{quoted}the bridge {pid} is gone; its agent {agent} ended by SIGTERM after 0."
        );
        bridge.logs(&line);
        let log = bridge.log();
        let last = log.lines().last().expect("a line");
        assert!(last.contains(&line) && last.contains("drawbridge::keeper"), "{last}");
    }
}

#[test]
fn a_keeper_writes_nothing_while_its_bridge_lives() {
    let mut bridge = Bridge::ready(&["--share", "session"], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "exit 7");
    bridge.answer(turn);
    bridge.close_stdin();
    bridge.is_gone();
    assert!(!bridge.log().contains("is gone; its agent"), "{bridge}");
}

#[test]
fn the_process_table_shows_the_agents_command_first() {
    let mut bridge = Bridge::ready(&[], &["--linger", "1"]);
    let keeper = bridge.keepers()[0];
    let line = fs::read_to_string(format!("/proc/{keeper}/cmdline")).expect("it lives");
    let mut words = line.split('\0');
    assert_eq!(words.next(), Some("channel-keeper"));
    assert!(words.next().is_some_and(|program| program.ends_with("agent-stub")), "{line:?}");
    assert_eq!([words.next(), words.next()], [Some("--linger"), Some("1")]);
    bridge.close_stdin();
    bridge.is_gone();
}

#[test]
fn in_a_terminal_drawbridge_says_that_it_steps_aside() {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let ends = [&pty.slave, &pty.slave].map(|end| end.try_clone().expect("one more descriptor"));
    let [stdin, stdout] = ends;
    let script = r#"echo "home of the agent: $ACME_HOME, terminal: $TERM""#;
    let mut bridge =
        Setup::with_command(&["--env-set", "ACME_HOME=/srv/acme"], &["sh", "-c", script])
            .variable("TERM", "xterm")
            .stdio(stdin.into(), stdout.into())
            .start();
    drop(pty.slave);
    let begun = Instant::now();
    bridge.read_from(fs::File::from(pty.master));
    assert_eq!(bridge.exit().code(), Some(0));
    let said = bridge.incoming();
    assert!(said.contains("home of the agent: /srv/acme, terminal: xterm"), "{said}");
    eventually("a word about it", || bridge.stderr().contains("drawbridge steps aside for"));
    assert!(begun.elapsed() < Duration::from_secs(10));
    bridge.is_killed();
}

//! The loss of a daemon: what is open is answered once, no agent survives, no conversation is
//! opened while an old agent may hold it, and one new daemon serves the editors.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::{parsed, refusal};
use crate::processes::{self, eventually};
use crate::site::{Editor, Site};

/// A place whose agents are ended within a second, and live on without a session.
fn site() -> Site {
    Site::new("shutdown-timeout = '1s'\n")
}

/// Kills the daemon; no agent of it survives.
fn kill_daemon(site: &Site) -> u32 {
    let daemon = site.daemon();
    processes::send_signal(daemon, Signal::SIGKILL);
    eventually("its end", || !processes::is_alive(daemon));
    daemon
}

#[test]
fn what_is_open_is_answered_once_and_an_old_answer_reaches_nobody() {
    let site = site();
    let store = site.scratch.directory("store").display().to_string();
    let mut editor = site.editor(&["--state-dir", &store]);
    let mut other = site.editor(&["--state-dir", &store]);
    let (session, others) = (editor.new_session(), other.new_session());
    let prompt = editor.prompt(&session, "ask-permission");
    let question = editor.message("session/request_permission");
    let old = site.agents();
    let killed = kill_daemon(&site);

    let answer = editor.answer(prompt);
    assert_eq!(refusal(&answer), (-32603, "daemon_lost"), "{answer}");
    let details = answer["error"]["data"]["details"].as_str().unwrap_or_default();
    assert!(details.contains("not repeated") && details.contains("is kept"), "{answer}");
    let withdrawn = editor.message("$/cancel_request");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);

    // The sessions of the lost daemon go on at the next one.
    for (client, lost) in [(&mut editor, &session), (&mut other, &others)] {
        let mode = json!({ "sessionId": lost, "modeId": "code" });
        assert!(client.call("session/set_mode", &mode)["result"].is_object(), "{site}");
    }
    let daemon = site.daemon();
    assert_ne!(daemon, killed);
    eventually("the end of the old agents", || !old.iter().any(|pid| processes::is_alive(*pid)));

    // A late "allow" meets no question of the new daemon, whatever its number.
    let answer = editor.restore("session/load", &session);
    assert!(answer["result"].is_object(), "{answer}\n{site}");
    let prompt = editor.prompt(&session, "ask-permission");
    let asked = editor.message("session/request_permission");
    assert_ne!(asked["id"], question["id"]);
    let allow = json!({ "outcome": { "outcome": "selected", "optionId": "allow" } });
    editor.reply(&question, &allow);
    let reject = json!({ "outcome": { "outcome": "selected", "optionId": "reject" } });
    editor.reply(&asked, &reject);
    assert!(editor.answer(prompt)["result"].is_object());
    assert!(editor.said(&session).concat().contains("reject"), "{site}");

    // Everything was answered once.
    for client in [&mut editor, &mut other] {
        client.new_session();
        let ids = client.leftovers().into_iter().map(|line| parsed(&line));
        let answers: Vec<_> = ids.filter(|frame| frame["method"].is_null()).collect();
        assert!(answers.is_empty(), "{answers:?}");
    }
    assert_eq!(site.daemon(), daemon);
    editor.leave();
    other.leave();
    site.end();
}

#[test]
fn no_conversation_is_opened_while_the_old_agent_may_hold_it() {
    let site = site();
    let store = site.scratch.directory("store").display().to_string();
    let flags = ["--state-dir", &*store, "--lock-sessions", "--deaf-stdin", "--deaf-term"];
    let mut editor = site.editor(&flags);
    let session = editor.new_session();
    editor.turn(&session, "say hello");
    let old = editor.pid_of(&session);
    kill_daemon(&site);
    // A new session does not wait.
    let begun = Instant::now();
    eventually("a new session", || editor.call("session/new", &new(&site))["result"].is_object());
    assert!(processes::is_alive(old), "after {:?}: the old one is deaf", begun.elapsed());
    let answer = editor.restore("session/load", &session);
    assert!(!processes::is_alive(old), "the old one was waited for");
    assert!(answer["result"].is_object(), "{answer}\n{site}");
    site.logs("restores wait for them");
    editor.leave();
    site.end();
}

fn new(site: &Site) -> serde_json::Value {
    json!({ "cwd": site.scratch.path(), "mcpServers": [] })
}

#[test]
fn nothing_but_whole_lines_reaches_an_editor_when_the_daemon_dies_in_the_middle() {
    let site = site();
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    let prompt = editor.prompt(&session, "stream 400 100000");
    for _ in 0..20 {
        editor.incoming();
    }
    kill_daemon(&site);
    loop {
        // Every line is read as JSON.
        let frame = parsed(&editor.incoming());
        if frame["id"] == prompt {
            assert_eq!(refusal(&frame), (-32603, "daemon_lost"));
            break;
        }
    }
    editor.new_session();
    editor.leave();
    site.end();
}

#[test]
fn an_editor_that_waits_for_initialize_gets_the_answer_of_the_next_daemon() {
    let site = site();
    let started = site.scratch.file("started");
    let script = site.scratch.file("agent");
    let stub = crate::bridge::stub().display().to_string();
    // The first process of this agent answers nothing.
    crate::scratch::write_script(
        &script,
        &format!(
            "#!/bin/sh\nif [ -e {0} ]; then exec {stub}; fi\ntouch {0}\nexec cat > /dev/null\n",
            started.display()
        ),
    );
    let mut shim = site.command("connect");
    shim.arg("--").arg(&script);
    let mut editor = Editor::start(shim);
    let asked = editor.ask_to_initialize();
    eventually("its agent", || Path::new(&started).exists());
    kill_daemon(&site);
    assert_eq!(editor.answer(asked)["result"]["protocolVersion"], 1, "{site}");
    editor.new_session();
    assert!(editor.leftovers().is_empty());
    editor.leave();
    site.end();
}

#[test]
fn after_an_end_in_order_the_next_daemon_waits_for_the_editor() {
    let site = site();
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    processes::send_signal(site.daemon(), Signal::SIGTERM);
    let died = editor.message("_drawbridge/session_died");
    assert_eq!(died["params"]["sessionId"], session);
    eventually("its end", || site.daemons().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    assert!(site.daemons().is_empty(), "nobody has asked for another one");
    assert_eq!(died["params"]["restorable"], true);
    let mode = json!({ "sessionId": session, "modeId": "code" });
    assert!(editor.call("session/set_mode", &mode)["result"].is_object(), "{site}");
    site.daemon();
    editor.new_session();
    editor.leave();
    site.end();
}

#[test]
fn while_no_daemon_can_be_started_requests_are_refused_and_it_is_tried_again() {
    let site = site();
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    let config = site.scratch.file("config.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, "this is no configuration").expect("it is written");
    kill_daemon(&site);
    eventually("a refusal", || {
        let answer = editor.call("session/new", &new(&site));
        refusal(&answer).1 == "daemon_lost"
    });
    let answer = editor.call_about("session/set_mode", &session);
    assert_eq!(refusal(&answer), (-32603, "daemon_lost"), "{answer}");
    site.logs("no daemon can be reached");
    fs::write(&config, text).expect("it is written");
    eventually("another daemon", || editor.call("session/new", &new(&site))["result"].is_object());
    editor.leave();
    site.end();
}

#[test]
fn agents_without_keepers_are_ended_before_anything_is_restored() {
    let mut site = Site::new("shutdown-timeout = '1s'\nno-keeper = true\n");
    let store = site.scratch.directory("store").display().to_string();
    // One that a shim has started would keep its ledger in the home of the user's record.
    site.serve(&[]);
    let flags = ["--state-dir", &*store, "--lock-sessions", "--deaf-stdin", "--deaf-term"];
    let mut editor = site.editor(&flags);
    let session = editor.new_session();
    editor.turn(&session, "say hello");
    let old = editor.pid_of(&session);
    editor.leave();
    kill_daemon(&site);
    site.ended();
    assert!(processes::is_alive(old), "nobody ends it");
    fs::remove_file(site.socket()).expect("it is left");
    site.serve(&[]);
    let mut editor = site.editor(&flags);
    let answer = editor.restore("session/load", &session);
    assert!(!processes::is_alive(old), "the old one was ended first");
    assert!(answer["result"].is_object(), "{answer}\n{site}");
    editor.leave();
    site.end();
}

/// Root may look into any process; an ordinary user may not look into a shim that hides its memory.
#[test]
fn a_shim_of_an_ordinary_user_is_let_in_again() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let site = site().of_user(65_534);
    let mut editor = site.editor(&[]);
    editor.new_session();
    let daemon = kill_daemon(&site);
    eventually(&format!("another daemon\n{site}"), || {
        editor.call("session/new", &new(&site))["result"].is_object()
    });
    assert_ne!(site.daemon(), daemon);
    let owner = fs::metadata(format!("/proc/{}/environ", editor.pid())).expect("the shim");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0, "its memory is hidden again");
    editor.leave();
    site.end();
}

#[test]
fn a_daemon_that_waits_for_old_agents_ends_when_it_is_told_to() {
    let slow = "shutdown-timeout = '20s'\nstdin-grace = '10s'\nterm-grace = '10s'\n";
    let site = Site::new(slow);
    let mut editor = site.editor(&["--deaf-stdin", "--deaf-term"]);
    let session = editor.new_session();
    let old = editor.pid_of(&session);
    kill_daemon(&site);
    eventually("a new session", || editor.call("session/new", &new(&site))["result"].is_object());
    let daemon = site.daemon();
    editor.leave();
    let begun = Instant::now();
    processes::send_signal(daemon, Signal::SIGTERM);
    // Its own agent is deaf, too, and gets its graces; the lock of the old one is no reason to wait.
    eventually("its end", || !site.socket().exists());
    for pid in site.agents() {
        processes::send_signal(pid, Signal::SIGKILL);
    }
    eventually("its end", || !processes::is_alive(daemon));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(!processes::is_alive(old));
    site.end();
}

#[test]
fn an_editor_that_does_not_read_while_there_is_no_daemon_loses_no_answer() {
    const REQUESTS: u64 = 3000;
    let site = site();
    let mut shim = Editor::start_unread(site.connect(&[]));
    let asked = shim.ask_to_initialize();
    eventually("a daemon", || !site.daemons().is_empty() && !site.agents().is_empty());
    let config = site.scratch.file("config.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, "this is no configuration").expect("it is written");
    kill_daemon(&site);
    site.logs("no daemon can be reached");
    let ids: Vec<u64> = (0..REQUESTS).map(|_| shim.request("session/new", &new(&site))).collect();
    std::thread::sleep(Duration::from_millis(1500));
    shim.read_from_now_on();
    shim.answer(asked);
    for id in ids {
        // Every line is whole, and every request is answered, in order.
        assert_eq!(refusal(&shim.answer(id)).1, "daemon_lost");
    }
    fs::write(&config, text).expect("it is written");
    shim.leave();
    for daemon in site.daemons() {
        processes::send_signal(daemon, Signal::SIGTERM);
    }
    let _ = fs::remove_file(site.socket());
    site.end();
}

//! Sessions that outlive their processes: whatever ends the agent of one, its next prompt is answered
//! as if nothing had been, under the same id, and nothing is shown twice.

use std::ops::DerefMut;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup, stub};
use crate::client::{Client, refusal};
use crate::processes::{self, eventually, is_alive};
use crate::site::{Editor, Site};

/// A client with a session in the mode `code` that was prompted once.
fn begun(client: &mut Client) -> String {
    let session = client.new_session();
    assert_eq!(client.turn(&session, "say one"), ["one"]);
    let mode = json!({ "sessionId": session, "modeId": "code" });
    assert!(client.call("session/set_mode", &mode)["result"].is_object());
    session
}

/// The session answers as if nothing had been, and its client has heard nothing twice.
fn goes_on(client: &mut Client, session: &str, prompts: usize) {
    client.leftovers();
    let recalled = format!("{prompts} prompts, mode code");
    assert_eq!(client.turn(session, "recall"), [recalled]);
    let heard = client.leftovers().into_iter().filter(|line| !line.contains("_drawbridge/"));
    let heard: Vec<String> = heard.collect();
    assert!(heard.is_empty(), "{heard:#?}");
}

/// The word that a session is not live any more.
fn parked(client: &mut Client, session: &str, reason: &str) {
    let event = client.find(|frame| {
        let params = &frame["params"];
        let is_end = frame["method"].as_str().is_some_and(|name| name.starts_with("_drawbridge/"));
        is_end && params["sessionId"] == session && params["reason"] == reason
    });
    assert_eq!(event["params"]["restorable"], true, "{event}");
}

/// The agent of a session gets a signal, and is gone.
fn kill_agent(client: &mut Client, session: &str) {
    let agent = client.pid_of(session);
    processes::send_signal(agent, Signal::SIGKILL);
    parked(client, session, "channel_closed");
}

/// The session of an idle client is not closed.
fn stays(client: &mut Client) {
    std::thread::sleep(Duration::from_millis(600));
    let heard = client.leftovers();
    assert!(!heard.iter().any(|line| line.contains("session_closed")), "{heard:?}");
}

/// An embedded bridge whose agent stores its sessions.
fn embedded(options: &[&str], flags: &[&str]) -> Bridge {
    let mut bridge = Setup::new(options, flags).stored().start();
    bridge.initialize();
    bridge
}

/// An editor of a daemon with these options, whose agent stores its sessions.
fn connected(options: &[&str], flags: &[&str]) -> (Site, Editor) {
    let defaults: Vec<String> = options
        .chunks(2)
        .map(|pair| format!("{} = \"{}\"", pair[0].trim_start_matches("--"), pair[1]))
        .collect();
    let site = Site::new(&defaults.join("\n"));
    let store = site.scratch.directory("store").display().to_string();
    let editor = site.editor(&[&["--state-dir", &store], flags].concat());
    (site, editor)
}

/// Makes this true of a client of an embedded bridge, and of one of a daemon.
fn for_both(options: &[&str], flags: &[&str], holds: impl Fn(&mut Client)) {
    let mut bridge = embedded(options, flags);
    holds(bridge.deref_mut());
    bridge.end();
    let (site, mut editor) = connected(options, flags);
    holds(&mut editor);
    editor.leave();
    site.end();
}

#[test]
fn after_a_crash() {
    for flags in [&[][..], &["--without", "resume"], &["--without", "resume", "--late-replay"]] {
        for_both(&["--restore", "auto"], flags, |client| {
            let session = begun(client);
            kill_agent(client, &session);
            goes_on(client, &session, 3);
        });
    }
}

#[test]
fn after_a_crash_in_a_turn_which_is_not_repeated() {
    for_both(&["--restore", "auto"], &[], |client| {
        let session = begun(client);
        let agent = client.pid_of(&session);
        let turn = client.prompt(&session, "say in the middle\nsleep 600000");
        client.hears(&session);
        processes::send_signal(agent, Signal::SIGKILL);
        let answer = client.answer(turn);
        assert_eq!(refusal(&answer), (-32603, "agent_exited"));
        let details = answer["error"]["data"]["details"].as_str().unwrap_or_default();
        assert!(details.contains("not repeated") && details.contains("brings it back"), "{answer}");
        goes_on(client, &session, 4);
    });
}

#[test]
fn when_the_agent_hangs() {
    let options = ["--liveness-interval-ms", "150", "--liveness-strikes", "2"];
    let options = [&options[..], &["--stdin-grace-ms", "50", "--term-grace-ms", "50"]].concat();
    for_both(&options, &[], |client| {
        let session = begun(client);
        let turn = client.prompt(&session, "stop-self");
        assert_eq!(refusal(&client.answer(turn)), (-32603, "agent_stopped"));
        parked(client, &session, "killed");
        goes_on(client, &session, 3);
    });
}

/// Short limits under which an attached session that is proven to come back is reaped.
const REAPED: [&str; 8] = [
    "--idle-policy",
    "restorable",
    "--attached-idle-timeout-ms",
    "200",
    "--session-reap-interval-ms",
    "100",
    "--channel-idle-timeout-ms",
    "0",
];

#[test]
fn when_it_was_idle_and_nobody_prompted_it() {
    for_both(&REAPED, &[], |client| {
        let session = client.new_session();
        parked(client, &session, "idle_timeout");
        assert_eq!(client.turn(&session, "recall"), ["1 prompts, mode ask"]);
    });
}

#[test]
fn when_thousands_are_parked_and_one_is_needed() {
    let room = ["--max-parked-sessions", "20000", "--parked-bytes", "67108864"];
    let mut bridge = Setup::new(&[&REAPED[..], &room].concat(), &[]).start();
    bridge.initialize();
    let mut sessions = Vec::new();
    for _ in 0..100 {
        let asked: Vec<u64> = (0..20).map(|_| bridge.ask_for_session()).collect();
        sessions.extend(asked.into_iter().map(|id| bridge.opened(id)));
        bridge.leftovers();
    }
    eventually("the end of the idle agent", || bridge.others().is_empty());
    // One process for those that are needed again.
    let fresh = bridge.pid_of(&sessions[0]);
    assert_eq!(bridge.pid_of(&sessions[1_999]), fresh);
    assert_eq!(bridge.turn(&sessions[0], "recall"), ["2 prompts, mode ask"]);
    bridge.end();
}

#[test]
fn when_it_was_idle_and_its_agent_is_proven() {
    for_both(&REAPED, &[], |client| {
        let session = begun(client);
        // Nothing is proven yet, so it stays.
        stays(client);
        let agent = client.pid_of(&session);
        // A restore that a client asks for is the proof.
        let stored = client.new_session();
        client.turn(&stored, "say two");
        client.call_about("session/close", &stored);
        assert!(client.restore("session/resume", &stored)["result"].is_object());
        parked(client, &session, "idle_timeout");
        eventually("the end of the idle agent", || !is_alive(agent));
        goes_on(client, &session, 3);
        parked(client, &session, "idle_timeout");
        goes_on(client, &session, 4);
    });
}

#[test]
fn when_it_was_idle_and_a_check_has_proven_its_agent() {
    let site = Site::new("");
    let home = site.scratch.path().display().to_string();
    // The version was distrusted before; what a person finds out counts more.
    let state = site.scratch.directory(".local/state/drawbridge");
    let refused = r#"{"agent":{"version":"agent-stub 0.1.0","resume":"refused"}}"#;
    std::fs::write(state.join("restores.jsonl"), refused).expect("the memory");
    let setup = Setup::new(&REAPED, &["--session-ids", "random"]).stored();
    let store = setup.scratch().directory("store").display().to_string();
    // A daemon has no XDG_STATE_HOME either; the check has one.
    let mut bridge = setup.variable("HOME", &home).variable("XDG_STATE_HOME", "").start();
    bridge.initialize();
    let session = begun(&mut bridge);
    stays(&mut bridge);
    goes_on(&mut bridge, &session, 2);
    let mut check = site.program();
    check.args(["check", "--prompt", "say two", "--"]).arg(stub());
    check.args(["--session-ids", "random", "--state-dir", &store]);
    let said = check.output().expect("the check runs");
    assert!(said.status.success(), "{said:?}");
    // It counts for processes that are started from then on.
    kill_agent(&mut bridge, &session);
    goes_on(&mut bridge, &session, 4);
    parked(&mut bridge, &session, "idle_timeout");
    goes_on(&mut bridge, &session, 5);
    bridge.end();
    site.end();
}

#[test]
fn ten_prompts_at_once_are_answered_in_their_order_behind_one_restore() {
    for_both(&["--restore", "auto"], &[], |client| {
        let session = begun(client);
        kill_agent(client, &session);
        let turns: Vec<u64> = (0..10).map(|_| client.prompt(&session, "recall")).collect();
        for turn in &turns {
            assert!(client.answer(*turn)["result"].is_object());
        }
        let expected: Vec<String> = (3..13).map(|n| format!("{n} prompts, mode code")).collect();
        assert_eq!(client.said(&session), expected);
    });
}

#[test]
fn after_the_death_of_the_daemon() {
    let (site, mut editor) = connected(&[], &[]);
    let session = begun(&mut editor);
    let never_prompted = editor.new_session();
    for prompts in 2..4 {
        site.lose_daemon();
        goes_on(&mut editor, &session, prompts);
    }
    assert_eq!(editor.turn(&never_prompted, "recall"), ["1 prompts, mode ask"]);
    editor.leave();
    site.end();
}

#[test]
fn one_that_was_opened_anew_is_found_by_the_next_bridge() {
    let (site, mut editor) = connected(&["--restore", "auto"], &["--session-ids", "random"]);
    let session = editor.new_session();
    site.lose_daemon();
    editor.turn(&session, "say one");
    editor.leave();
    let daemon = site.daemon();
    processes::send_signal(daemon, Signal::SIGTERM);
    eventually("its end", || !is_alive(daemon));
    let store = site.scratch.directory("store").display().to_string();
    let mut later = site.editor(&["--state-dir", &store, "--session-ids", "random"]);
    assert!(later.restore("session/load", &session)["result"].is_object(), "{site}");
    assert_eq!(later.said(&session), ["one"]);
    assert_eq!(later.turn(&session, "recall"), ["2 prompts, mode ask"]);
    later.leave();
    site.end();
}

#[test]
fn an_agent_that_loses_its_record_costs_one_session_where_a_person_asked_for_it() {
    let options = [&REAPED[..], &["--restore", "load"]].concat();
    for_both(&options, &["--lose-store"], |client| {
        let session = begun(client);
        parked(client, &session, "idle_timeout");
        let turn = client.prompt(&session, "recall");
        assert_eq!(refusal(&client.answer(turn)), (-32603, "restore_failed"));
    });
    // Where nobody has vouched for it, nothing is lost.
    for_both(&REAPED, &["--lose-store"], |client| {
        let session = begun(client);
        stays(client);
        goes_on(client, &session, 2);
    });
}

#[test]
fn an_agent_that_comes_back_in_another_mode_gets_no_prompt_in_it() {
    for_both(&["--restore", "auto"], &["--load-mode", "ask"], |client| {
        let session = begun(client);
        kill_agent(client, &session);
        goes_on(client, &session, 3);
    });
    let flags = ["--load-mode", "ask", "--refuse", "session/set_config_option"];
    for_both(&["--restore", "auto"], &flags, |client| {
        let session = begun(client);
        kill_agent(client, &session);
        goes_on(client, &session, 3);
    });
}

#[test]
fn a_login_is_asked_of_the_client_that_waits() {
    for_both(&["--restore", "auto"], &["--needs-login"], |client| {
        let login = json!({ "methodId": "stub-login" });
        assert!(client.call("authenticate", &login)["result"].is_object());
        let session = begun(client);
        kill_agent(client, &session);
        let turn = client.prompt(&session, "recall");
        let answer: Value = client.answer(turn);
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
        assert!(client.call("authenticate", &login)["result"].is_object());
        goes_on(client, &session, 3);
    });
}

/// The agent gets its proof: a restore that a client asks for.
fn prove(client: &mut Client) {
    let stored = client.new_session();
    client.turn(&stored, "say proof");
    client.call_about("session/close", &stored);
    assert!(client.restore("session/resume", &stored)["result"].is_object());
    client.call_about("session/close", &stored);
}

#[test]
fn when_a_newer_session_took_its_place() {
    let options = ["--idle-policy", "restorable", "--max-sessions", "2"];
    for_both(&options, &[], |client| {
        prove(client);
        let first = begun(client);
        let second = begun(client);
        let third = begun(client);
        parked(client, &first, "evicted");
        for session in [&first, &second, &third, &first] {
            client.leftovers();
            client.turn(session, "recall");
        }
        goes_on(client, &first, 4);
    });
}

#[test]
fn when_the_agents_take_too_much_memory() {
    let options = ["--idle-policy", "restorable", "--memory-high-mb", "1"];
    for_both(&options, &[], |client| {
        prove(client);
        let session = begun(client);
        let agent = client.pid_of(&session);
        parked(client, &session, "memory_pressure");
        eventually("the end of the agent", || !is_alive(agent));
        goes_on(client, &session, 3);
    });
}

#[test]
fn when_its_process_was_replaced() {
    let options = ["--channel-max-age-ms", "1500", "--restore", "resume"];
    for_both(&options, &[], |client| {
        let session = begun(client);
        let agent = client.pid_of(&session);
        parked(client, &session, "recycled");
        eventually("the end of the old agent", || !is_alive(agent));
        goes_on(client, &session, 3);
    });
}

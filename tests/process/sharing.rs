//! Which sessions share a process, and what happens while an old process is
//! still leaving when a new one serves already.

use std::collections::BTreeSet;

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::processes::{eventually, is_alive};

fn pids(bridge: &mut Bridge, sessions: &[String]) -> Vec<u32> {
    sessions.iter().map(|session| bridge.pid_of(session)).collect()
}

fn distinct(pids: &[u32]) -> usize {
    pids.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn two_sessions_share_one_process() {
    let mut bridge = Bridge::ready(&[], &[]);
    let sessions = [bridge.new_session(), bridge.new_session()];
    assert_ne!(sessions[0], sessions[1]);
    assert_eq!(distinct(&pids(&mut bridge, &sessions)), 1);
    bridge.end();
}

#[test]
fn three_sessions_have_three_processes_if_they_share_none() {
    let mut bridge = Bridge::ready(&["--share", "session"], &[]);
    let asked = [(); 3].map(|()| bridge.ask_for_session());
    let sessions = asked.map(|id| bridge.opened(id));
    // Each agent counts its own: the second and third get an alias.
    assert_eq!(sessions.iter().collect::<BTreeSet<_>>().len(), 3, "{sessions:?}");
    let pids = pids(&mut bridge, &sessions);
    assert_eq!(distinct(&pids), 3);
    assert_eq!(bridge.others().len(), 3);

    bridge.call_about("session/close", &sessions[1]);
    assert_eq!(bridge.turn(&sessions[0], "say one"), ["one"]);
    assert_eq!(bridge.turn(&sessions[2], "say three"), ["three"]);
    bridge.end();
}

#[test]
fn sessions_of_one_directory_share_a_process_that_runs_there() {
    let mut bridge = Bridge::ready(&["--share", "cwd"], &[]);
    let [one, two] = ["one", "two"].map(|name| bridge.scratch.directory(name));
    let cwds = [&one, &two, &one].map(|path| path.display().to_string());
    let sessions = cwds.clone().map(|cwd| bridge.new_session_in(&cwd));
    let pids = pids(&mut bridge, &sessions);
    assert_eq!(pids[0], pids[2]);
    assert_ne!(pids[0], pids[1]);
    assert_eq!(bridge.turn(&sessions[1], "env PWD"), [cwds[1].as_str()]);
    bridge.end();
}

#[test]
fn a_full_process_gets_no_further_sessions() {
    let mut bridge = Bridge::ready(&["--sessions-per-channel", "1"], &[]);
    let sessions = [bridge.new_session(), bridge.new_session()];
    assert_eq!(distinct(&pids(&mut bridge, &sessions)), 2);
    bridge.end();
}

#[test]
fn a_newcomer_gets_a_fresh_process_while_the_old_one_is_leaving() {
    let options = ["--channel-idle-timeout-ms", "0", "--stdin-grace-ms", "20000"];
    let mut bridge = Setup::new(&options, &["--linger", "1200"]).logged().start();
    bridge.initialize();
    let first = bridge.new_session();
    let old = bridge.pid_of(&first);
    bridge.call_about("session/close", &first);
    eventually("the end of the old one's stdin", || bridge.log_of(old).contains("= eof"));

    let second = bridge.new_session();
    let new = bridge.pid_of(&second);
    assert_ne!(new, old);
    assert!(is_alive(old), "both are there at once");
    assert_eq!(bridge.turn(&second, "say on the new one"), ["on the new one"]);
    // The old one leaves by itself, and takes nothing of the new one with it.
    eventually("the end of the old one", || !is_alive(old));
    assert_eq!(bridge.turn(&second, "say still"), ["still"]);
    assert_eq!(bridge.pid_of(&second), new);
    let close = bridge.call_about("session/close", &second);
    assert_eq!(close["result"], json!({}));

    let log = bridge.log_of(old);
    let (before, after) = log.split_once("= eof").expect("its stdin ended");
    assert!(before.contains("session/close") && !after.contains("< "), "{log}");
    assert!(!log.contains("on the new one"), "{log}");
    let log = bridge.log_of(new);
    assert!(log.contains("on the new one") && log.contains("session/close"), "{log}");
    bridge.end();
}

#[test]
fn sessions_of_a_process_that_takes_no_more_stay_with_it() {
    // The agent never answers a close: its process is retired, and only that.
    let options = ["--session-close-timeout-ms", "100", "--channel-idle-timeout-ms", "0"];
    let flags = ["--never", "session/close", "--session-ids", "random"];
    let mut bridge = Setup::new(&options, &flags).logged().start();
    bridge.initialize();
    let [closed, stays] = [bridge.new_session(), bridge.new_session()];
    let old = bridge.pid_of(&stays);
    bridge.call_about("session/close", &closed);
    bridge.logs("takes no new sessions");

    let newcomer = bridge.new_session();
    let new = bridge.pid_of(&newcomer);
    assert_ne!(new, old);
    assert_eq!(bridge.pid_of(&stays), old);
    let [one, two] = [(&stays, "say old"), (&newcomer, "say new")]
        .map(|(session, script)| bridge.turn(session, script));
    assert_eq!((one.concat().as_str(), two.concat().as_str()), ("old", "new"));
    bridge.call_about("session/close", &stays);
    eventually("the end of the old one", || !is_alive(old));
    assert_eq!(bridge.pid_of(&newcomer), new);
    assert!(!bridge.log_of(old).contains(&newcomer) && !bridge.log_of(new).contains(&stays));
    bridge.end();
}

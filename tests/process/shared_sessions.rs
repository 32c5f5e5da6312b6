//! Several clients of one bridge: sessions that they share, and what a lost one leaves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, parsed, spoken};
use crate::many::{Hello, Host};

/// The numbers of all notifications in a session, from those left aside on, until the agent
/// says this.
fn numbers_until(client: &mut Client, session: &str, text: &str) -> Vec<u64> {
    let mut lines = std::mem::take(&mut client.stash).into_iter();
    let mut numbers = Vec::new();
    loop {
        let frame = parsed(&lines.next().unwrap_or_else(|| client.incoming()));
        numbers.extend(frame["params"]["_meta"]["drawbridge"]["seq"].as_u64());
        if spoken(&frame, session).as_deref() == Some(text) {
            client.stash = lines.collect();
            return numbers;
        }
    }
}

/// Reads some lines, those left aside first, and adds the numbers in them; says whether the
/// agent has said this text.
fn hears_some(client: &mut Client, session: &str, text: &str, numbers: &mut Vec<u64>) -> bool {
    let aside = std::mem::take(&mut client.stash);
    let count = aside.len().max(500);
    let mut aside = aside.into_iter();
    (0..count).any(|_| {
        let frame = parsed(&aside.next().unwrap_or_else(|| client.incoming()));
        numbers.extend(frame["params"]["_meta"]["drawbridge"]["seq"].as_u64());
        spoken(&frame, session).as_deref() == Some(text)
    })
}

/// Checks that a session is not open any more.
fn is_closed(host: &Host, session: &str) {
    let answer = host.client().call_about("_drawbridge/attach", session);
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
}

fn load(client: &mut Client, session: &str, cwd: &str) -> Value {
    client.call("session/load", &json!({ "sessionId": session, "cwd": cwd, "mcpServers": [] }))
}

#[test]
fn two_clients_share_one_session_and_one_of_them_is_lost_and_comes_back() {
    let host = Host::start(&json!({}), &[]);
    let cwd = host.scratch.path().display().to_string();
    let mut first = host.client();
    let mut second = host.client();
    let session = first.new_session();
    first.turn(&session, "say one");
    assert!(load(&mut second, &session, &cwd)["result"].is_object());
    assert_eq!(host.agents().len(), 1, "one agent for both");
    assert_eq!(second.said(&session), ["one"]);
    // Both see a turn of the first.
    first.prompt(&session, "say two\nsleep 600\nsay three\nsleep 600\nsay four");
    let seen = numbers_until(&mut first, &session, "two");
    assert_eq!(numbers_until(&mut second, &session, "two").last(), seen.last());
    drop(first);
    // The other one is undisturbed.
    assert_eq!(second.hears(&session), "three");
    // The first one comes back in mid-turn: nothing is lost and nothing comes twice.
    let mut again = host.client();
    let params = json!({ "sessionId": session, "afterSeq": seen.last() });
    let answer = again.call("_drawbridge/attach", &params);
    assert_eq!(answer["result"], json!({ "replayed": 1, "gap": false }), "{answer}");
    let mut all = seen;
    all.extend(numbers_until(&mut again, &session, "three"));
    all.extend(numbers_until(&mut again, &session, "four"));
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
    assert_eq!(second.hears(&session), "four");
    let idle = again.message("_drawbridge/turn");
    assert_eq!(
        (&idle["params"]["state"], &idle["params"]["stopReason"]),
        (&json!("idle"), &json!("end_turn"))
    );
    host.end();
}

#[test]
fn a_page_that_is_loaded_again_in_mid_turn_has_lost_nothing() {
    let host = Host::start(&json!({}), &[]);
    let cwd = host.scratch.path().display().to_string();
    let mut page = host.client();
    let session = page.new_session();
    page.prompt(&session, "say one\nsleep 300\nsay two\nsleep 3000\nsay three");
    assert_eq!(page.hears(&session), "one");
    drop(page);
    std::thread::sleep(Duration::from_secs(2));
    let mut page = host.client();
    let answer = load(&mut page, &session, &cwd);
    assert!(answer["result"].is_object(), "{answer}");
    let texts = page.said(&session);
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(page.hears(&session), "three");
    host.end();
}

#[test]
fn every_number_comes_once_and_in_order_whenever_a_client_returns() {
    let host = Host::start(&json!({}), &[]);
    let mut client = host.client();
    let session = client.new_session();
    client.prompt(&session, "say 0\nstream 2000 10\nsleep 300\nstream 2000 100\nsay last");
    let mut all = Vec::new();
    let mut lives = 1;
    // Each life of the client reads some of it, what was left aside first.
    while !hears_some(&mut client, &session, "last", &mut all) {
        drop(client);
        client = host.client();
        let params = json!({ "sessionId": session, "afterSeq": all.last() });
        let answer = client.call("_drawbridge/attach", &params);
        assert_eq!(answer["result"]["gap"], false, "{answer}");
        lives += 1;
    }
    assert!(lives > 3, "{lives}");
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
    assert!(all.len() > 4000, "{}", all.len());
    host.end();
}

#[test]
fn a_lost_clients_session_is_closed_after_its_limit() {
    let host = Host::start(&json!({ "lost_client_timeout": 500 }), &[]);
    let mut client = host.client();
    let session = client.new_session();
    drop(client);
    host.logs("(client_lost)");
    is_closed(&host, &session);
    host.end();
}

#[test]
fn without_that_limit_the_reaper_closes_it() {
    let limits = json!({
        "lost_client_timeout": -1,
        "session_idle_timeout": 300,
        "session_reap_interval": 100,
    });
    let host = Host::start(&limits, &[]);
    let mut client = host.client();
    let session = client.new_session();
    drop(client);
    host.logs("(idle_timeout; it was idle for");
    is_closed(&host, &session);
    host.end();
}

#[test]
fn the_last_detach_closes_at_once() {
    let host = Host::start(&json!({}), &[]);
    let (mut first, mut second) = (host.client(), host.client());
    let cwd = host.scratch.path().display().to_string();
    let session = first.new_session();
    load(&mut second, &session, &cwd);
    assert_eq!(first.call_about("_drawbridge/detach", &session)["result"], json!({}));
    assert_eq!(second.turn(&session, "say still here"), ["still here"]);
    assert_eq!(second.call_about("_drawbridge/detach", &session)["result"], json!({}));
    host.logs("(last_client_detached)");
    is_closed(&host, &session);
    host.end();
}

#[test]
fn a_turn_that_nobody_watches_is_cancelled_at_its_limit() {
    let limits = json!({ "lost_turn_timeout": 700, "lost_client_timeout": 100 });
    let host = Host::start(&limits, &[]);
    let mut client = host.client();
    let session = client.new_session();
    client.prompt(&session, "say begun\nsleep 600000");
    client.hears(&session);
    drop(client);
    host.logs("its turn is cancelled, because no client has watched it for 7");
    host.logs("(client_lost)");
    is_closed(&host, &session);
    host.end();
}

#[test]
fn clients_of_other_agents_directories_and_environments_share_no_process_and_no_message() {
    let host = Host::with(&json!({}), &[&[], &["--session-ids", "fixed:same"]], "cwd");
    let plain = host.hello();
    let other = |change: fn(&mut Hello)| {
        let mut hello = plain.clone();
        change(&mut hello);
        hello
    };
    let mut there = plain.clone();
    there.directory = host.scratch.directory("elsewhere");
    let hellos = [
        plain.clone(),
        there,
        other(|hello| drop(hello.variables.insert("API_KEY".into(), "one".into()))),
        other(|hello| drop(hello.variables.insert("API_KEY".into(), "two".into()))),
        other(|hello| hello.agent = 1),
    ];
    let mut clients: Vec<_> = hellos.iter().map(|hello| host.client_with(hello)).collect();
    let cwd = |hello: &Hello| hello.directory.display().to_string();
    let mut sessions = Vec::new();
    for (client, hello) in clients.iter_mut().zip(&hellos) {
        sessions.push(client.new_session_in(&cwd(hello)));
    }
    let mut pids = Vec::new();
    let keys = ["", "", "one", "two", ""];
    for ((client, session), key) in clients.iter_mut().zip(&sessions).zip(keys) {
        pids.push(client.pid_of(session));
        assert_eq!(client.turn(session, "env API_KEY").concat(), key);
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 5, "{host}");
    for (place, (client, session)) in clients.iter_mut().zip(&sessions).enumerate() {
        let secret = format!("word {place}");
        assert_eq!(client.turn(session, &format!("say {secret}")), [secret]);
    }
    for (place, client) in clients.iter_mut().enumerate() {
        let strange: Vec<String> = client.leftovers();
        assert!(strange.iter().all(|line| !line.contains("word")), "{place}: {strange:?}");
    }
    host.end();
}

#[test]
fn the_turn_of_a_chat_that_was_closed_on_purpose_does_not_go_on_for_long() {
    let host = Host::start(&json!({}), &[]);
    // The editor lives on; that its chat is closed is seen by that.
    let mut editor = std::process::Command::new("sleep").arg("600").spawn().expect("an editor");
    let mut hello = host.hello();
    hello.editor = Some(editor.id());
    let mut client = host.client_with(&hello);
    let session = client.new_session();
    client.prompt(&session, "say begun\nsleep 600000");
    client.hears(&session);
    drop(client);
    host.logs("its turn is cancelled, because no client has watched it for 15s");
    editor.kill().expect("it lives");
    editor.wait().expect("our child");
    host.end();
}

//! What is nobody else's business: secrets in what we write, files of ours, and
//! descriptors that an agent gets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;

const PLANTED: [&str; 4] = [
    "planted-in-the-environment",
    "planted-in-an-mcp-environment",
    "planted-in-a-header",
    "planted-in-a-login",
];

/// Everything that is said in `folder`, at any depth.
fn written(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            all += &written(&path);
        } else {
            all += &String::from_utf8_lossy(&fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// The agent repeats every secret in its last words.
#[test]
fn planted_secrets_are_in_nothing_that_we_write() {
    let setup = Setup::new(&["--log", "trace"], &[]).variable("ACME_TOKEN", PLANTED[0]);
    let scratch = setup.scratch().path().to_owned();
    let mut bridge = setup.start();
    bridge.initialize();
    let login = json!({ "methodId": "stub", "_meta": { "gateway": { "key": PLANTED[3] } } });
    bridge.call("authenticate", &login);
    let servers = json!([
        { "name": "a", "command": "/bin/true", "args": [], "env": [{ "name": "K", "value": PLANTED[1] }] },
        { "type": "http", "name": "b", "url": "http://localhost:1/",
          "headers": [{ "name": "Authorization", "value": PLANTED[2] }] }
    ]);
    let opened = bridge.call("session/new", &json!({ "cwd": "/", "mcpServers": servers }));
    let session = opened["result"]["sessionId"].as_str().expect("a session").to_owned();
    let words: Vec<String> = PLANTED.iter().map(|word| format!("stderr see {word}")).collect();
    let turn = bridge.prompt(&session, &format!("{}\nexit 9", words.join("\n")));
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    assert_eq!(answer["error"]["data"]["stderrTail"], "see ***\nsee ***\nsee ***\nsee ***");
    bridge.logs("its last words: see ***");
    let (error, log, files) = (answer.to_string(), bridge.log(), written(&scratch));
    bridge.end();
    for secret in PLANTED {
        assert!(!error.contains(secret), "{secret} in {error}");
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!files.contains(secret), "{secret} in a file of ours");
    }
}

#[test]
fn the_log_is_for_its_owner_alone() {
    let setup = Setup::new(&[], &[]);
    let scratch = setup.scratch().path().to_owned();
    let mut bridge = setup.start();
    bridge.initialize();
    bridge.logs("agent started");
    let mut seen = 0;
    let mut folders = vec![scratch];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            let (path, mode) =
                (entry.path(), entry.metadata().expect("a file").permissions().mode());
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "log") {
                assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "there is a log");
    bridge.end();
}

#[test]
fn an_agent_gets_its_stdio_and_no_other_descriptor_of_ours() {
    // What this test was started with, by whomever, is passed on by everybody.
    let strangers = descriptors(std::process::id());
    let mut bridge = Bridge::ready(&["--share", "session"], &[]);
    // The second agent starts while the pipes of the first one are open.
    let sessions = [bridge.new_session(), bridge.new_session()];
    for session in sessions {
        let agent = bridge.pid_of(&session);
        // An agent may copy its own stdio.
        let (stdio, others): (Vec<_>, Vec<_>) =
            descriptors(agent).into_iter().partition(|(number, _)| *number <= 2);
        let is_known = |target| stdio.iter().chain(&strangers).any(|(_, known)| known == target);
        let ours: Vec<_> = others.iter().filter(|(_, target)| !is_known(target)).collect();
        assert_eq!(stdio.len(), 3);
        assert!(ours.is_empty(), "{ours:?}");
    }
    bridge.end();
}

/// The open descriptors of a process: number and what it is.
fn descriptors(pid: u32) -> Vec<(u32, PathBuf)> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, fs::read_link(&path).ok()?))
        })
        .collect()
}

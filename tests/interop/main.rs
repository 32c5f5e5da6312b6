//! The bridge between peers that others wrote: the official Rust and
//! TypeScript SDKs, in all four combinations, and an SDK's own examples.
//!
//! Every test starts the real binary in place of the agent and compares what
//! the client saw with what it would have seen without a bridge. The Rust
//! agent is the example target `sdk_agent`, built by a plain `cargo test`; the
//! TypeScript peers need `npm ci --prefix tests/interop/node` once, and their
//! tests are skipped, visibly, without it (a failure where `CI=true` is set).
//!
//! The TypeScript SDK ships its example client and agent up to release 1.9.0;
//! they are run from there, unchanged.

// Tests: a panic is how they fail, and what they print is for the reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod processes;
mod rust_client;

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use agent_client_protocol::AcpAgentConfig;
use processes::{MARK, Marked};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const BRIDGE: &str = env!("CARGO_BIN_EXE_drawbridge");
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/node");

/// The limit of one test, the end of all its processes included.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn rust_client_to_rust_agent() {
    let seen = rust_client_sees(&[rust_agent()]).await;
    assert_eq!(seen, expected("rust-agent"));
}

#[tokio::test]
async fn typescript_client_to_typescript_agent() {
    if node_is_ready() {
        let seen = typescript_client_sees(&typescript_agent()).await;
        assert_eq!(seen, expected("typescript-agent"));
    }
}

#[tokio::test]
async fn rust_client_to_typescript_agent() {
    if node_is_ready() {
        let seen = rust_client_sees(&typescript_agent()).await;
        assert_eq!(seen, expected("typescript-agent"));
    }
}

#[tokio::test]
async fn typescript_client_to_rust_agent() {
    if node_is_ready() {
        let seen = typescript_client_sees(&[rust_agent()]).await;
        assert_eq!(seen, expected("rust-agent"));
    }
}

/// The client of an official SDK does not notice that each of its turns has a process of its own.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn rust_client_sees_no_difference_when_its_session_outlives_processes() {
    let store = Scratch::new("outlives");
    let words = "--restore resume --idle-policy restorable --attached-idle-timeout-ms 50 \
                 --session-reap-interval-ms 20 --channel-idle-timeout-ms 0";
    let (turns, processes) = limited(async |marked: &Marked| {
        let bridge = AcpAgentConfig::new(BRIDGE).args(words.split_whitespace()).arg("--");
        let stub = beside_this_test("agent-stub");
        let bridge = bridge.arg(stub).arg("--state-dir").arg(store.0.display().to_string());
        rust_client::outlives(bridge.env(MARK, &marked.mark), env!("CARGO_MANIFEST_DIR"), 3)
            .await
            .expect("the conversation goes through")
    })
    .await;
    let turn = |prompts: usize| {
        let said = format!("agent: {prompts} prompts, mode ask");
        json!({ "stop": "end_turn", "seen": [said] })
    };
    assert_eq!(turns, [turn(1), turn(3), turn(5)]);
    let all: std::collections::BTreeSet<&String> = processes.iter().collect();
    assert_eq!(all.len(), 3, "{processes:?}");
}

/// The client of an official SDK, which knows nothing of a daemon, through `connect`.
#[tokio::test]
async fn rust_client_through_the_daemon() {
    let daemon = Daemon::new("rust");
    let seen = limited(async |marked: &Marked| {
        let shim = AcpAgentConfig::new(BRIDGE).args(daemon.connect()).arg("--").arg(rust_agent());
        rust_client::converse(shim.env(MARK, &marked.mark), env!("CARGO_MANIFEST_DIR"))
            .await
            .expect("the conversation goes through")
    })
    .await;
    assert_eq!(seen, expected("rust-agent"));
    daemon.served();
}

#[tokio::test]
async fn typescript_client_through_the_daemon() {
    if !node_is_ready() {
        return;
    }
    let daemon = Daemon::new("typescript");
    let output = limited(async |marked: &Marked| {
        let mut client = Command::new("node");
        client.arg(node("client.mjs")).arg(BRIDGE).args(daemon.connect()).arg("--");
        client.args(typescript_agent());
        run(client, "", marked).await
    })
    .await;
    let seen: Value = serde_json::from_slice(&output.stdout).expect("the client prints its report");
    assert_eq!(seen, expected("typescript-agent"));
    daemon.served();
}

/// The bridge offers `session/close` for an agent that does not know it.
#[tokio::test]
async fn close_without_the_agent() {
    if node_is_ready() {
        let mut agent = typescript_agent();
        agent.push("--without-close".to_owned());
        let seen = rust_client_sees(&agent).await;
        assert_eq!(seen, expected("typescript-agent"));
    }
}

/// The SDK's example client, which asks a person, and its example agent.
#[cfg(unix)]
#[tokio::test]
async fn example_client_to_example_agent() {
    if !node_is_ready() {
        return;
    }
    let examples = node("node_modules/sdk-with-examples/dist/examples");
    let output = limited(async |marked: &Marked| {
        let path = std::env::var("PATH").unwrap();
        let mut client = Command::new("node");
        client
            .arg(format!("{examples}/client.js"))
            .env("PATH", format!("{}:{path}", node("bin")))
            .env("INTEROP_BRIDGE", BRIDGE)
            .env("INTEROP_EXAMPLE_AGENT", format!("{examples}/agent.js"));
        // The first option that it lists allows the change.
        run(client, "1\n", marked).await
    })
    .await;
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut rest = printed.as_str();
    for landmark in [
        "protocol v1",
        "Created session",
        "`call_1` updated: completed",
        "Permission requested",
        "1. ",
        "(allow_once)",
        "`call_2` updated: completed",
        "completed with: end_turn",
    ] {
        let at = rest.find(landmark);
        let at = at.unwrap_or_else(|| panic!("no {landmark:?} in its place in:\n{printed}"));
        rest = &rest[at..];
    }
}

/// What a client sees of the conversation, whatever it was written with.
fn expected(agent: &str) -> Value {
    let edit = |status: &str, option: &str| {
        json!({
            "stop": "end_turn",
            "seen": [
                "agent: one change is needed",
                "tool edit-1: Change settings",
                "question edit-1: reject_once or allow_once",
                format!("tool edit-1: {status}"),
                format!("agent: the answer was {option}"),
            ],
        })
    };
    json!({
        "protocolVersion": 1,
        "agent": agent,
        "bridge": true,
        "load": true,
        "close": true,
        "allowed": edit("completed", "yes"),
        "rejected": edit("failed", "no"),
        "cancelled": { "stop": "cancelled", "seen": ["agent: waiting"] },
        "replayed": ["user: an old question", "agent: an old answer"],
        "loaded": { "stop": "end_turn", "seen": ["agent: heard and now?"] },
        "again": { "stop": "end_turn", "seen": ["agent: heard still there?"] },
        "refused": -32002,
    })
}

/// A directory of one test, removed at its end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("drawbridge-interop-{}-{name}", std::process::id());
        let place = std::env::temp_dir().join(name);
        std::fs::create_dir(&place).unwrap();
        Scratch(place)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A place for a daemon, which ends soon after its last client.
struct Daemon(Scratch);

impl Daemon {
    fn new(name: &str) -> Daemon {
        let scratch = Scratch::new(name);
        let place = &scratch.0;
        let log = place.join("log").display().to_string();
        let text = format!(
            "[defaults]\nlog-file = '{log}'\nlost-client-timeout = 0\nchannel-idle-timeout = 0\n\
             daemon-idle-timeout = '100ms'\n"
        );
        std::fs::write(place.join("config.toml"), text).unwrap();
        Daemon(scratch)
    }

    /// The arguments of the bridge in front of the agent's command.
    fn connect(&self) -> Vec<String> {
        let file = |name: &str| self.0.0.join(name).display().to_string();
        let words = ["connect", "--socket", &file("socket"), "--config", &file("config.toml")];
        words.map(str::to_owned).into()
    }

    /// Looks whether a daemon has served, and waits for its end.
    fn served(&self) {
        let log = std::fs::read_to_string(self.0.0.join("log")).unwrap();
        assert!(log.contains("connects an editor") && !log.contains("served without"), "{log}");
        for _ in 0..1000 {
            if !self.0.0.join("socket").exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the daemon has not ended: {log}");
    }
}

/// The report of the Rust client, run here.
async fn rust_client_sees(agent: &[String]) -> Value {
    limited(async |marked: &Marked| {
        let bridge = AcpAgentConfig::new(BRIDGE).arg("--").args(agent).env(MARK, &marked.mark);
        rust_client::converse(bridge, env!("CARGO_MANIFEST_DIR"))
            .await
            .expect("the conversation goes through")
    })
    .await
}

/// The report of the TypeScript client, a process of its own.
async fn typescript_client_sees(agent: &[String]) -> Value {
    let output = limited(async |marked: &Marked| {
        let mut client = Command::new("node");
        client.arg(node("client.mjs")).args([BRIDGE, "--"]).args(agent);
        run(client, "", marked).await
    })
    .await;
    serde_json::from_slice(&output.stdout).expect("the client prints its report")
}

/// Runs a client to its end. Its stdin holds `input` and stays open.
async fn run(mut client: Command, input: &str, marked: &Marked) -> Output {
    let mut client = client
        .env(MARK, &marked.mark)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the client starts");
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    let output = client.wait_with_output().await.unwrap();
    drop(stdin);
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the client: {}", output.status);
    output
}

/// Runs one test within the limit, and does not return before its processes
/// have ended.
async fn limited<T>(test: impl AsyncFnOnce(&Marked) -> T) -> T {
    let marked = Marked::new();
    let whole = async {
        let result = test(&marked).await;
        marked.gone().await;
        result
    };
    tokio::time::timeout(LIMIT, whole)
        .await
        .expect("the test and its processes end within the limit")
}

/// The Rust agent.
fn rust_agent() -> String {
    beside_this_test("examples/sdk_agent")
}

/// A program that cargo puts next to the directory of this test.
fn beside_this_test(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: cargo build --bins --examples", path.display());
    path.to_str().unwrap().to_owned()
}

fn typescript_agent() -> Vec<String> {
    vec!["node".to_owned(), node("agent.mjs")]
}

/// A path among the TypeScript peers.
fn node(path: &str) -> String {
    format!("{NODE}/{path}")
}

/// Whether the TypeScript peers can run; says so where they cannot.
fn node_is_ready() -> bool {
    let version = std::process::Command::new("node").arg("--version").output();
    let ready = version.is_ok() && Path::new(&node("node_modules/.package-lock.json")).exists();
    if !ready {
        let notice = "SKIPPED: needs node and `npm ci --prefix tests/interop/node`";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{notice}");
        // Past the harness, which would keep it for itself in a passing test.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "\n{notice}").unwrap();
    }
    ready
}

//! The bridge for many clients that the tests drive: it listens on a socket, and each client
//! begins with a line that says who it is.
//!
//! Its one argument is a file with the settings, as JSON: `socket`, `log`, `agents` (each a list
//! of words), `limits` (in milliseconds or bytes, by the names of the fields; -1 is `never`) and
//! `share`. The first line of a client is an object with `agent` (a number), `directory`,
//! `variables` and `editor` (a process id, or null). It ends with SIGTERM, as the daemon does.

// A program for tests: a panic in it is a failed test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;

use drawbridge::agent_environment::EnvironmentRules;
use drawbridge::bridge::config::{AgentConfig, Limits, Share};
use drawbridge::bridge::time::Limit;
#[cfg(target_os = "linux")]
use drawbridge::keeper;
use drawbridge::logs::{LogFile, LogSettings, Logs};
use drawbridge::own_process;
use drawbridge::processes::{ProcessIdentity, Spare};
use drawbridge::runtime::{
    AgentSetup, Arrival, Connection, DoorOrder, Host, Outcome, Setup, run_for_many,
};
use serde_json::Value;
use tokio::sync::mpsc;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if keeper::is_called() {
        return keeper::main();
    }
    own_process::fit();
    let file = std::env::args().nth(1).expect("the file with the settings");
    let text = std::fs::read_to_string(file).expect("the settings");
    let settings: Value = serde_json::from_str(&text).expect("JSON");
    let word = |name: &str| settings[name].as_str().expect(name).to_owned();

    let log = LogSettings { file: LogFile::At(word("log").into()), ..LogSettings::default() };
    let logs = Logs::start(&log).expect("a log");
    let limits = &settings["limits"];
    let outbox = |name: &str, default| limits[name].as_u64().map_or(default, |n| n as usize);
    let agents = settings["agents"].as_array().expect("agents");
    let setup = Setup {
        limits: bridge_limits(limits),
        agents: agents.iter().map(|words| agent(words, &settings)).collect(),
        max_frame_bytes: 64 << 20,
        outbox_bytes: outbox("outbox_bytes", 64 << 20),
        outbox_total_bytes: outbox("outbox_total_bytes", 256 << 20),
        descriptor_limit: None,
        trees: None,
        keeper: true,
        state: None,
        restores: None,
        control: None,
        trace: None,
        log: logs.place(),
        stderr: logs.stderr(),
    };
    let listener = UnixListener::bind(word("socket")).expect("a socket");
    let (connections, arrivals) = mpsc::channel(64);
    let (orders, _orders): (_, mpsc::Receiver<DoorOrder>) = mpsc::channel(1);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connections = connections.clone();
            std::thread::spawn(move || {
                if let Some(connection) = introduced(stream.expect("a client")) {
                    let _ = connections.blocking_send(Arrival::Client(Box::new(connection)));
                }
            });
        }
    });
    let outcome = run_for_many(setup, Host::new(arrivals, orders, false));
    logs.flush();
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        other => {
            eprintln!("{other:?}");
            ExitCode::FAILURE
        }
    }
}

fn limit(value: &Value, default: Limit) -> Limit {
    match value.as_i64() {
        Some(-1) => Limit::Never,
        Some(millis) => Limit::After(millis.unsigned_abs()),
        None => default,
    }
}

fn bridge_limits(limits: &Value) -> Limits {
    let default = Limits::for_many_clients();
    let number = |name: &str, default: usize| limits[name].as_u64().map_or(default, |n| n as usize);
    Limits {
        session_reap_interval: limit(
            &limits["session_reap_interval"],
            default.session_reap_interval,
        ),
        lost_client_timeout: limit(&limits["lost_client_timeout"], default.lost_client_timeout),
        lost_turn_timeout: limit(&limits["lost_turn_timeout"], default.lost_turn_timeout),
        saturation_grace: limit(&limits["saturation_grace"], default.saturation_grace),
        replay_bytes: number("replay_bytes", default.replay_bytes),
        replay_total_bytes: number("replay_total_bytes", default.replay_total_bytes),
        max_sessions: number("max_sessions", 0),
        max_channels: number("max_channels", 0),
        ..default
    }
}

fn agent(words: &Value, settings: &Value) -> AgentSetup {
    let words = words.as_array().expect("a command").iter();
    let limits = &settings["limits"];
    let default = AgentConfig::default();
    let share = match settings["share"].as_str() {
        Some("agent") => Share::Agent,
        Some("session") => Share::Session,
        _ => Share::Cwd,
    };
    AgentSetup {
        config: AgentConfig {
            name: "agent-stub".to_owned(),
            share,
            session_idle_timeout: limit(
                &limits["session_idle_timeout"],
                default.session_idle_timeout,
            ),
            channel_idle_timeout: limit(
                &limits["channel_idle_timeout"],
                default.channel_idle_timeout,
            ),
            ..default
        },
        command: words.map(|word| word.as_str().expect("a word").into()).collect(),
        program: None,
        passing: EnvironmentRules::default(),
        spare: Spare::default(),
    }
}

/// Reads the first line of a client, and nothing behind it.
fn introduced(mut stream: UnixStream) -> Option<Connection> {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        line.push(byte[0]);
    }
    let hello: Value = serde_json::from_slice(&line).ok()?;
    let variables: BTreeMap<String, String> =
        serde_json::from_value(hello["variables"].clone()).expect("variables");
    Some(Connection {
        stream,
        agent: hello["agent"].as_u64().unwrap_or_default() as usize,
        variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: PathBuf::from(hello["directory"].as_str().expect("a directory")),
        umask: None,
        link: None,
        editor: hello["editor"].as_u64().and_then(|pid| ProcessIdentity::of(pid as u32)),
    })
}

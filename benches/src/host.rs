//! A bridge for many clients at a Unix socket, with a raw agent: the process that the
//! measurements of many clients talk to. It ends with SIGTERM.

use std::env;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use drawbridge::agent_environment::EnvironmentRules;
use drawbridge::bridge::config::{AgentConfig, Limits, Share};
use drawbridge::logs::{LogFile, LogSettings, Logs};
use drawbridge::own_process;
use drawbridge::processes::Spare;
use drawbridge::runtime::{AgentSetup, Connection, Setup, run_for_connections};
use tokio::sync::mpsc;

/// The limit of the outbox of one client or agent, in bytes.
pub const OUTBOX: usize = 8 << 20;

/// Serves clients at this socket; `share` is the word of the option.
pub fn run(socket: &str, share: &str) -> io::Result<()> {
    own_process::fit();
    let file = LogFile::Off;
    let logs = Logs::start(&LogSettings { file, ..LogSettings::default() })?;
    let share = if share == "session" { Share::Session } else { Share::Agent };
    let setup = Setup {
        limits: Limits { max_sessions: 0, ..Limits::for_many_clients() },
        agents: vec![AgentSetup {
            config: AgentConfig { share, ..AgentConfig::default() },
            command: vec![env::current_exe()?.into(), "agent".into()],
            passing: EnvironmentRules::default(),
            spare: Spare::default(),
        }],
        max_frame_bytes: 64 << 20,
        outbox_bytes: OUTBOX,
        outbox_total_bytes: 4 * OUTBOX,
        keeper: false,
        state: None,
        log: logs.place(),
        stderr: logs.stderr(),
    };
    let listener = UnixListener::bind(socket)?;
    let (connections, to_bridge) = mpsc::channel(64);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if connections.blocking_send(connection(stream)).is_err() {
                return;
            }
        }
    });
    let outcome = run_for_connections(setup, to_bridge);
    logs.flush(Duration::from_millis(200));
    outcome.map(drop)
}

fn connection(stream: UnixStream) -> Connection {
    let (directory, variables) = (PathBuf::from("/"), env::vars_os().collect());
    Connection { stream, agent: 0, variables, directory, editor: None }
}

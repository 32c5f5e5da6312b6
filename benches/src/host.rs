//! A bridge for many clients at a Unix socket, with a raw agent: the process that the
//! measurements of many clients talk to. It ends with SIGTERM.

use std::env;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use drawbridge::agent_environment::EnvironmentRules;
use drawbridge::bridge::config::{AgentConfig, Limits, Share};
use drawbridge::logs::{LogFile, LogSettings, Logs};
use drawbridge::own_process;
use drawbridge::processes::Spare;
use drawbridge::runtime::{AgentSetup, Arrival, Connection, Host, Setup, run_for_many};
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
            program: None,
            passing: EnvironmentRules::default(),
            spare: Spare::default(),
        }],
        max_frame_bytes: 64 << 20,
        outbox_bytes: OUTBOX,
        outbox_total_bytes: 4 * OUTBOX,
        descriptor_limit: None,
        trees: None,
        control: None,
        trace: None,
        keeper: false,
        state: None,
        restores: None,
        log: logs.place(),
        stderr: logs.stderr(),
    };
    let listener = UnixListener::bind(socket)?;
    let (connections, arrivals) = mpsc::channel(64);
    let (orders, _orders) = mpsc::channel(1);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let arrival = Arrival::Client(Box::new(connection(stream)));
            if connections.blocking_send(arrival).is_err() {
                return;
            }
        }
    });
    let outcome = run_for_many(setup, Host::new(arrivals, orders, false));
    logs.flush();
    outcome.map(drop)
}

fn connection(stream: UnixStream) -> Connection {
    let (directory, variables) = (PathBuf::from("/"), env::vars_os().collect());
    Connection { stream, agent: 0, variables, umask: None, directory, editor: None, link: None }
}

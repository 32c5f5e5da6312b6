//! The arguments of the commands that look at running bridges and steer them.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// The commands.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Tool {
    /// Show the bridge, its agents and what becomes of them
    Status(StatusArgs),
    /// Watch the bridges, their agents and sessions, and steer them by keys
    Top(TopArgs),
    /// Show the sessions
    Sessions(SessionsArgs),
    /// Close a session
    Close(CloseArgs),
    /// Cancel the turn of a session
    Cancel(CancelArgs),
    /// Take a channel (an agent process) out of service
    Retire(RetireArgs),
    /// End a bridge
    Stop(StopArgs),
    /// End the daemon and start it again
    Restart(RestartArgs),
    /// Show the log
    Logs(LogsArgs),
    /// Show every event from now on
    Events(EventsArgs),
    /// Print the metrics of the bridge in the text format of Prometheus
    Metrics(Which),
    /// Show all bridges of this user on this machine
    Ls(LsArgs),
}

/// The bridge that is meant.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct Which {
    /// The bridge with this process id [default: the daemon, or every bridge if there is none; close
    /// and cancel: the one that has the session; stop: the daemon alone]
    #[arg(long, value_name = "PID", conflicts_with = "socket")]
    pub(in crate::cli) bridge: Option<u32>,
    /// The daemon at this socket [default: that of connect, by the variable DRAWBRIDGE_SOCKET, the
    /// configuration file, or the user]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<OsString>,
}

/// The arguments of `status`.
#[derive(Args, Debug)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// A JSON array with an object for each bridge, as bridge_status gives it (docs/control.md); with
    /// --explain each has the bridge's pid, and its channels as bridge_explain gives them
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// For each process: its sessions, clients and requests, the reasons why it stays, and its future
    #[arg(long)]
    pub(in crate::cli) explain: bool,
    /// Again every second, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) watch: bool,
    /// With --explain: this channel alone, such as ch-3
    #[arg(value_name = "CHANNEL", requires = "explain")]
    pub(in crate::cli) channel: Option<String>,
}

/// The arguments of `top`.
#[derive(Args, Debug)]
pub(in crate::cli) struct TopArgs {
    /// The bridge with this process id [default: all]
    #[arg(long, value_name = "PID", conflicts_with = "socket")]
    pub(in crate::cli) bridge: Option<u32>,
    /// The daemon at this socket [default: all bridges]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<OsString>,
    /// Print the view once, in this size [default: that of the terminal, or 80x24]
    #[arg(long, value_name = "COLUMNSxROWS", num_args = 0..=1, require_equals = true, value_parser = view_size)]
    pub(in crate::cli) once: Option<Option<(u16, u16)>>,
}

fn view_size(text: &str) -> Result<(u16, u16), &'static str> {
    let size = text.split_once('x').and_then(|(columns, rows)| {
        Some((columns.parse::<u16>().ok()?, rows.parse::<u16>().ok()?))
    });
    let fits =
        |(columns, rows): &(u16, u16)| (20..=1000).contains(columns) && (8..=1000).contains(rows);
    size.filter(fits).ok_or("give columns and rows, such as 80x24")
}

/// The arguments of `sessions`.
#[derive(Args, Debug)]
pub(in crate::cli) struct SessionsArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// A JSON array with an object for each bridge: its pid, and its sessions as bridge_sessions gives
    /// them (docs/control.md)
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// The arguments of `close`.
#[derive(Args, Debug)]
pub(in crate::cli) struct CloseArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// The id of the session, or its name in the bridge, such as s-7
    #[arg(value_name = "SESSION")]
    pub(in crate::cli) session: String,
}

/// The arguments of `cancel`.
#[derive(Args, Debug)]
pub(in crate::cli) struct CancelArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// The id of the session, or its name in the bridge, such as s-7
    #[arg(value_name = "SESSION", required_unless_present = "all", conflicts_with = "all")]
    pub(in crate::cli) session: Option<String>,
    /// The turns of all sessions
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

/// The arguments of `retire`.
#[derive(Args, Debug)]
pub(in crate::cli) struct RetireArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// The channel, such as ch-3. It gets no new sessions, and stops after its last one
    #[arg(value_name = "CHANNEL")]
    pub(in crate::cli) channel: String,
    /// Stop it at once: its sessions end, and running turns are lost
    #[arg(long)]
    pub(in crate::cli) now: bool,
}

/// The arguments of `stop`.
#[derive(Args, Debug)]
pub(in crate::cli) struct StopArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// As soon as no turn, no question and no other request is open
    #[arg(long, conflicts_with = "now")]
    pub(in crate::cli) when_idle: bool,
    /// At once: running turns are lost
    #[arg(long)]
    pub(in crate::cli) now: bool,
    /// All bridges of this user on this machine
    #[arg(long, conflicts_with_all = ["bridge", "socket"])]
    pub(in crate::cli) all: bool,
}

/// The arguments of `restart`.
#[derive(Args, Debug)]
pub(in crate::cli) struct RestartArgs {
    /// The daemon at this socket [default: that of connect, by the variable DRAWBRIDGE_SOCKET, the
    /// configuration file, or the user]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<OsString>,
    /// Also while sessions are open: they end, and running turns are lost
    #[arg(long)]
    pub(in crate::cli) now: bool,
}

/// The arguments of `logs`.
#[derive(Args, Debug)]
pub(in crate::cli) struct LogsArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// Go on with the lines that are written from now on, until Ctrl-C
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// Only lines that name this session, by its id or its name in the bridge, such as s-7
    #[arg(long, value_name = "SESSION")]
    pub(in crate::cli) session: Option<String>,
    /// The log file [default: that of the bridge, or drawbridge.log in the state directory]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) file: Option<OsString>,
}

/// The arguments of `events`.
#[derive(Args, Debug)]
pub(in crate::cli) struct EventsArgs {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// One JSON object a line (docs/control.md)
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// The arguments of `ls`.
#[derive(Args, Debug)]
pub(in crate::cli) struct LsArgs {
    /// A JSON array with an object for each bridge, as bridge_status gives it (docs/control.md)
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

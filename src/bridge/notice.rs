//! Notices: the lines of the log that the core writes, one for each thing that happened.
//!
//! The core publishes them, and the runtime logs each at its [`Level`]. They hold names,
//! numbers and reasons, never the content of messages.

mod stray;
mod text;

pub use self::stray::Stray;
use super::event::{ExitStatus, ShutdownCause};
use super::id::{ChannelId, ClientId, SessionKey};
use super::reason::{DropReason, EndReason, StopReason};
use crate::wire::FrameKind;

/// The level of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A detail that helps to find a fault.
    Debug,
    /// A change of state that a person notices.
    Info,
    /// A fault that a person should look at.
    Warn,
    /// A failure that the bridge cannot mend.
    Error,
}

/// One thing that happened and that a person may want to know.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the texts below say what each field is
pub enum Notice {
    ChannelSpawning {
        channel: ChannelId,
    },
    ChannelStarted {
        channel: ChannelId,
        pid: u32,
    },
    ChannelReady {
        channel: ChannelId,
        after_ms: u64,
    },
    HandshakeSlow {
        channel: ChannelId,
        after_ms: u64,
    },
    ChannelDraining {
        channel: ChannelId,
        reason: StopReason,
    },
    ChannelStopping {
        channel: ChannelId,
        reason: StopReason,
    },
    ChannelTerminated {
        channel: ChannelId,
    },
    ChannelKilled {
        channel: ChannelId,
    },
    ChannelStuck {
        channel: ChannelId,
    },
    ChannelExited {
        channel: ChannelId,
        status: ExitStatus,
        is_crash: bool,
        tail: String,
    },
    SpawnFailed {
        channel: ChannelId,
        error: String,
    },
    SessionOpened {
        session: SessionKey,
        id: String,
        channel: ChannelId,
        how: &'static str,
    },
    SessionEnded {
        session: SessionKey,
        id: String,
        channel: ChannelId,
        reason: EndReason,
        idle_ms: u64,
        restorable: bool,
    },
    /// A parked session was brought back, and is as it was.
    SessionRestored {
        session: SessionKey,
        id: String,
        channel: ChannelId,
    },
    /// A client brings a session that it had in an earlier bridge.
    SessionAdopted {
        session: SessionKey,
        id: String,
        client: ClientId,
    },
    /// A client brings a session that another one has here, and that was opened in another way.
    AdoptionRefused {
        client: ClientId,
        id: String,
    },
    /// A session was brought back, but not as it was; `what`: the difference.
    RestoreFailed {
        session: SessionKey,
        id: String,
        what: String,
    },
    /// A setting of a session is offered no more.
    SettingDropped {
        session: SessionKey,
        id: String,
        what: String,
    },
    /// An agent has refused to restore a session that had a record.
    RestoreDistrusted {
        channel: ChannelId,
        agent: String,
        method: &'static str,
    },
    /// A parked session is kept no longer, at the limits of what is kept.
    ParkedGaveWay {
        session: SessionKey,
        id: String,
        clients: usize,
    },
    /// A turn began. Told only while somebody follows.
    TurnBegan {
        session: SessionKey,
        client: Option<ClientId>,
    },
    /// A turn ended. Told only while somebody follows. `how`: the kind of the agent's answer;
    /// `None`: it did not answer in time.
    TurnEnded {
        session: SessionKey,
        how: Option<FrameKind>,
        after_ms: u64,
    },
    Refused {
        from: String,
        method: String,
        id: String,
        why: String,
    },
    Dropped {
        from: String,
        method: String,
        session: Option<String>,
        why: DropReason,
    },
    CloseRefused {
        channel: ChannelId,
        id: String,
        code: i64,
    },
    CloseUnanswered {
        channel: ChannelId,
        id: String,
    },
    OpenUnanswered {
        channel: ChannelId,
    },
    LateOpenClosed {
        channel: ChannelId,
        id: String,
    },
    BackgroundWork {
        session: SessionKey,
        id: String,
        processes: String,
    },
    CapabilitiesChanged {
        channel: ChannelId,
        before: String,
        after: String,
    },
    ClientPassthrough {
        client: ClientId,
        version: String,
    },
    StrayLine {
        channel: ChannelId,
        what: Stray,
    },
    StrayAnswer {
        channel: ChannelId,
        id: String,
        method: &'static str,
    },
    TextIds {
        channel: ChannelId,
    },
    PassingIdsOver {
        channel: ChannelId,
    },
    NoAddressee {
        channel: ChannelId,
        method: String,
    },
    SuccessorFailed {
        channel: ChannelId,
    },
    OverlongLine {
        from: String,
        length: u64,
    },
    AgentNotReading {
        channel: ChannelId,
    },
    NoSignOfLife {
        channel: ChannelId,
        silent_ms: u64,
        strikes: usize,
        limit: usize,
    },
    HostPaused,
    /// The agents take more memory than they should, or programs of the machine wait for memory.
    MemoryHigh {
        bytes: u64,
        stalls: bool,
    },
    /// A client wanted a live session to work with other things, and it keeps its own.
    SessionKept {
        session: SessionKey,
        id: String,
        client: ClientId,
        kept: String,
    },
    /// A client did not read while others waited for the same agent: its connection is ended.
    ClientDropped {
        client: ClientId,
    },
    /// A client is gone, and left this number of sessions without a client.
    ClientGone {
        client: ClientId,
        sessions: usize,
    },
    /// The turn of a session is cancelled that no client was attached to for this time.
    UnwatchedTurn {
        session: SessionKey,
        id: String,
        unwatched_ms: u64,
    },
    /// The parent process is gone, but a turn or a question of the client is open.
    OrphanStays {
        client: ClientId,
    },
    ShuttingDown {
        cause: ShutdownCause,
        channels: usize,
        sessions: usize,
    },
    ShutdownForced,
    Survivors {
        channels: Vec<ChannelId>,
    },
    RowAbsent {
        row: String,
    },
}

impl Notice {
    /// The level to log it at.
    pub fn level(&self) -> Level {
        use Notice::*;
        match self {
            ChannelSpawning { .. }
            | TurnBegan { .. }
            | TurnEnded { .. }
            | CloseRefused { .. }
            | LateOpenClosed { .. }
            | Refused { .. }
            | Dropped { .. } => Level::Debug,
            ChannelExited { is_crash: true, .. }
            | HandshakeSlow { .. }
            | ChannelKilled { .. }
            | SpawnFailed { .. }
            | CloseUnanswered { .. }
            | OpenUnanswered { .. }
            | CapabilitiesChanged { .. }
            | StrayLine { .. }
            | StrayAnswer { .. }
            | TextIds { .. }
            | PassingIdsOver { .. }
            | NoAddressee { .. }
            | SuccessorFailed { .. }
            | SessionKept { .. }
            | RestoreFailed { .. }
            | AdoptionRefused { .. }
            | SettingDropped { .. }
            | RestoreDistrusted { .. }
            | ParkedGaveWay { .. }
            | ClientDropped { .. }
            | OverlongLine { .. }
            | AgentNotReading { .. }
            | NoSignOfLife { .. }
            | ShutdownForced => Level::Warn,
            ChannelStuck { .. } | Survivors { .. } | RowAbsent { .. } => Level::Error,
            ChannelStopping { reason, .. } if reason.is_fault() => Level::Warn,
            ChannelDraining {
                reason: StopReason::CloseUnanswered | StopReason::OpenUnanswered,
                ..
            } => Level::Warn,
            _ => Level::Info,
        }
    }
}

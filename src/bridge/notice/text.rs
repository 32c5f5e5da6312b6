//! The text of each notice.

use std::fmt;

use super::Notice;
use crate::bridge::last_words;
use crate::bridge::reason::EndReason;
use crate::bridge::time::spelled;
use crate::bridge::words::counted;

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Notice::*;
        match self {
            ChannelSpawning { channel } => write!(f, "{channel}: starting an agent"),
            ChannelStarted { channel, pid } => {
                write!(f, "{channel}: agent started, process id {pid}")
            }
            ChannelReady { channel, after_ms } => {
                write!(f, "{channel}: ready after {}", spelled(*after_ms))
            }
            HandshakeSlow { channel, after_ms } => write!(
                f,
                "{channel}: still waiting for the answer to initialize after {} \
                 (a first start with npx or uvx downloads the agent)",
                spelled(*after_ms)
            ),
            ChannelDraining { channel, reason } => write!(
                f,
                "{channel}: takes no new sessions and stops after its last one, because {reason}"
            ),
            ChannelStopping { channel, reason } => {
                write!(f, "{channel}: stopping, because {reason}")
            }
            ChannelTerminated { channel } => {
                write!(f, "{channel}: the agent did not exit at the end of its stdin, SIGTERM sent")
            }
            ChannelKilled { channel } => {
                write!(f, "{channel}: the agent did not exit, SIGKILL sent")
            }
            ChannelStuck { channel } => write!(
                f,
                "{channel}: the agent still exists after SIGKILL (is it in uninterruptible sleep?)"
            ),
            ChannelExited { channel, status, is_crash, tail } => {
                let how = if *is_crash { "exited unexpectedly" } else { "exited" };
                write!(f, "{channel}: the agent {how}: {status}")?;
                match last_words::chosen(*status, tail) {
                    Some(line) if *is_crash => write!(f, "; its last words: {line}"),
                    _ => Ok(()),
                }
            }
            SpawnFailed { channel, error } => {
                write!(f, "{channel}: the agent could not be started: {error}")
            }
            SessionOpened { session, id, channel, how } => {
                write!(f, "{session} ({id}): {how} on {channel}")
            }
            SessionEnded { session, id, channel, reason, idle_ms, restorable } => {
                let (why, word) = (reason.phrase(), reason.word());
                let how = if *restorable { "parked" } else { "ended" };
                write!(f, "{session} ({id}): {how} on {channel}, because {why} ({word}")?;
                match reason {
                    EndReason::IdleTimeout | EndReason::Evicted | EndReason::MemoryPressure => {
                        write!(f, "; it was idle for {})", spelled(*idle_ms))
                    }
                    _ => f.write_str(")"),
                }
            }
            SessionRestored { session, id, channel } => {
                write!(f, "{session} ({id}): as it was before, on {channel}")
            }
            SessionAdopted { session, id, client } => {
                write!(f, "{session} ({id}): {client} had it in an earlier bridge")
            }
            AdoptionRefused { client, id } => write!(
                f,
                "{client}: had the session {id} in an earlier bridge, and another client has one of \
                 that id here"
            ),
            RestoreFailed { session, id, what } => {
                write!(f, "{session} ({id}): not brought back as it was: the agent {what}")
            }
            SettingDropped { session, id, what } => {
                write!(f, "{session} ({id}): {what} is not offered any more by the agent")
            }
            RestoreDistrusted { channel, agent, method } => write!(
                f,
                "{channel}: `{agent}` refused {method} of a session that it had stored; from now on \
                 none of its sessions is closed for being idle while a client has it"
            ),
            ParkedGaveWay { session, id, clients } => write!(
                f,
                "{session} ({id}): not kept any longer for {}, because of --max-parked-sessions or \
                 --parked-bytes",
                counted(*clients, "client", "clients")
            ),
            TurnBegan { session, .. } => write!(f, "{session}: a turn began"),
            TurnEnded { session, after_ms, .. } => {
                write!(f, "{session}: a turn ended after {}", spelled(*after_ms))
            }
            Refused { from, method, id, why } => {
                write!(f, "{from}: {method} (id {id}) is refused: {why}")
            }
            Dropped { from, method, session, why } => {
                write!(f, "{from}: {method}")?;
                if let Some(session) = session {
                    write!(f, " in session {session}")?;
                }
                write!(f, " is dropped, because {}", why.phrase())
            }
            CloseRefused { channel, id, code } => {
                write!(f, "{channel}: the agent refused to close session {id} (error {code})")
            }
            CloseUnanswered { channel, id } => write!(
                f,
                "{channel}: no answer to the close of session {id} within --session-close-timeout-ms"
            ),
            OpenUnanswered { channel } => {
                write!(f, "{channel}: a session was not opened within --session-open-timeout-ms")
            }
            LateOpenClosed { channel, id } => write!(
                f,
                "{channel}: session {id} was opened, and no client waits for it; closed again"
            ),
            BackgroundWork { session, id, processes } => write!(
                f,
                "{session} ({id}): not closed, because processes of its turns still run: {processes}"
            ),
            CapabilitiesChanged { channel, before, after } => write!(
                f,
                "{channel}: the agent was updated while the editor was open: \
                 its capabilities were {before}, and are {after} now"
            ),
            ClientPassthrough { client, version } => write!(
                f,
                "{client}: speaks protocol version {version}; its messages pass to an agent of its \
                 own, with nothing but request ids exchanged, without sharing and without a reaper"
            ),
            StrayLine { channel, what } => {
                write!(f, "{channel}: a line on the agent's stdout is no message: {what}")
            }
            StrayAnswer { channel, id, method } => write!(
                f,
                "{channel}: the agent answered under the id {id}, which no request has; \
                 the oldest one that waits is {method}"
            ),
            TextIds { channel } => write!(
                f,
                "{channel}: the agent answers under ids that are strings, such as \"7\" for 7; \
                 they are taken for the numbers"
            ),
            PassingIdsOver { channel } => write!(
                f,
                "{channel}: the agent uses very many session ids of sub-agents or extensions; \
                 the oldest ones are forgotten"
            ),
            NoAddressee { channel, method } => write!(
                f,
                "{channel}: {method} of the agent does not say which client it is for, and several \
                 may be meant, so it goes to none; with share = \"session\" each session has an \
                 agent of its own"
            ),
            SuccessorFailed { channel } => write!(
                f,
                "{channel}: the agent holds --max-husks closed sessions, but no new process could \
                 take its place; it is kept"
            ),
            OverlongLine { from, length } => write!(
                f,
                "{from}: a line of {length} bytes is over --max-frame-bytes and was dropped"
            ),
            AgentNotReading { channel } => write!(
                f,
                "{channel}: the agent does not read its stdin; further requests are refused"
            ),
            NoSignOfLife { channel, silent_ms, strikes, limit } => {
                write!(
                    f,
                    "{channel}: no sign of life for {} while requests wait (strike {strikes}",
                    spelled(*silent_ms)
                )?;
                if *limit > 0 { write!(f, " of {limit})") } else { f.write_str(")") }
            }
            SessionKept { session, id, client, kept } => write!(
                f,
                "{session} ({id}): {client} joins with other values of {kept}; the session keeps \
                 those that it was opened with"
            ),
            ClientDropped { client } => write!(
                f,
                "{client}: does not read, and other clients wait for the same agent; its connection \
                 is ended"
            ),
            ClientGone { client, sessions: 0 } => write!(f, "{client}: gone"),
            ClientGone { client, sessions } => {
                let left = counted(*sessions, "session", "sessions");
                write!(f, "{client}: gone, and {left} kept for a while without a client")
            }
            UnwatchedTurn { session, id, unwatched_ms } => write!(
                f,
                "{session} ({id}): its turn is cancelled, because no client has watched it for {}",
                spelled(*unwatched_ms)
            ),
            MemoryHigh { bytes, stalls } => {
                let mib = bytes >> 20;
                let why = if *stalls {
                    "programs of this machine wait for memory"
                } else {
                    "that is over --memory-high-mb"
                };
                write!(f, "the agents take {mib} MiB, and {why}; idle ones end before their time")
            }
            HostPaused => f.write_str(
                "the machine or drawbridge was suspended; no timeout passes in the next 60s",
            ),
            OrphanStays { client } => write!(
                f,
                "{client}: the process that started drawbridge is gone, but a turn or a question \
                 is open; drawbridge stays for now (--orphan-timeout-ms)"
            ),
            ShuttingDown { cause, channels, sessions } => write!(
                f,
                "shutting down, because {}: {}, {}",
                cause.phrase(),
                counted(*sessions, "session", "sessions"),
                counted(*channels, "channel", "channels")
            ),
            ShutdownForced => f.write_str("shutting down at once: SIGKILL to every agent"),
            RowAbsent { row } => write!(
                f,
                "a bug in drawbridge: its books lack a row that must be there ({row}); \
                 please report it"
            ),
            Survivors { channels } => {
                let names: Vec<String> = channels.iter().map(ToString::to_string).collect();
                write!(f, "channels whose agents still exist after SIGKILL: {}", names.join(", "))
            }
        }
    }
}

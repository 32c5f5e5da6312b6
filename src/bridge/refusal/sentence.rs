//! The sentences of refusals, for a person: what is wrong, and what to do.

use super::{Refusal, Then};
use crate::bridge::last_words;
use crate::bridge::time::spelled;

impl Refusal {
    /// The sentence for a person.
    pub fn message(&self) -> String {
        match self {
            Refusal::NotJson => {
                "The line is not valid JSON (one JSON-RPC message a line, UTF-8).".into()
            }
            Refusal::Batch => {
                "Batches are not part of the Agent Client Protocol; send one message a line.".into()
            }
            Refusal::NotMessage => {
                "The line is neither a request, a notification nor an answer of JSON-RPC 2.0."
                    .into()
            }
            Refusal::TooLong { length } => format!(
                "The request has {length} bytes, which is over the frame limit; raise --max-frame-bytes."
            ),
            Refusal::BeforeInitialize => {
                "An `initialize` must succeed before any other request.".into()
            }
            Refusal::Reinitialize => "`initialize` was answered already and work has begun; open a new connection to begin \
                 anew."
                    .into(),
            Refusal::NoRoute { method } => format!(
                "drawbridge has no method `{method}`; docs/protocol.md lists those that it has."
            ),
            Refusal::MissingField { field } => {
                format!("The request needs `{field}`, and it is missing or not a string.")
            }
            Refusal::StaleCursor => {
                "The agent process that gave this cursor is gone; ask for the first page again."
                    .into()
            }
            Refusal::UnknownSession { id } => {
                format!(
                    "There is no session `{id}` for this client; open a new one, or load it if the \
                     agent has stored it."
                )
            }
            Refusal::SessionEnded { id, reason } => format!(
                "The session `{id}` is not open any more, because {}; load or resume it, or open a \
                 new one.",
                reason.phrase()
            ),
            Refusal::Cancelled => "The request was cancelled.".into(),
            Refusal::SessionClosing => {
                "The session was closed while the request was open; open or load one to go on."
                    .into()
            }
            Refusal::ShuttingDown => {
                "drawbridge is shutting down; start it again to go on.".into()
            }
            Refusal::SessionLimit { count } => format!(
                "Sessions open: {count}, which is the limit, and none of them may be closed for a new \
                 one. Close one (drawbridge sessions shows them), or raise --max-sessions."
            ),
            Refusal::ChannelLimit { count } => format!(
                "Agent processes: {count}, which is the limit, and none of them is without work. \
                 Close a session, or raise --max-channels."
            ),
            Refusal::PromptQueueFull { limit } => format!(
                "Prompts that wait for the running turn: {limit}, which is the limit. Wait, or raise \
                 --max-queued-prompts."
            ),
            Refusal::TooManyRequests => {
                "Too many requests of this connection are open; wait for answers.".into()
            }
            Refusal::AgentNotReading { agent } => format!(
                "The agent `{agent}` does not read what it is sent; try again later or close its sessions."
            ),
            Refusal::SpawnFailed { agent, error } => format!(
                "The agent `{agent}` could not be started: {error}. \
                 Check the command behind `--` in the editor's settings."
            ),
            Refusal::AgentExited { agent, status, stderr_tail, in_handshake, then } => {
                let how = if *in_handshake { "while it was starting" } else { "unexpectedly" };
                let words = last_words::chosen(*status, stderr_tail)
                    .map_or_else(String::new, |line| {
                        format!(" Its last words: {}.", line.trim_end_matches('.'))
                    });
                let advice = if *in_handshake {
                    "Check the command behind `--` in the editor's settings."
                } else {
                    then.advice()
                };
                format!("The agent `{agent}` exited {how}: {status}.{words} {advice}")
            }
            Refusal::NotAcpAgent { agent, sign } => format!(
                "The program `{agent}` does not speak ACP on stdin and stdout: it {}. Check the \
                 command behind `--` in the editor's settings: many agents need a flag, such as \
                 `gemini --acp`.",
                sign.phrase()
            ),
            Refusal::AgentStopped { agent, reason, then } => {
                format!("The agent `{agent}` was stopped, because {reason}. {}", then.advice())
            }
            Refusal::AgentGone { agent } => {
                format!("The process of the agent `{agent}` has ended; open a new connection.")
            }
            Refusal::HandshakeTimeout { agent, millis } => format!(
                "The agent `{agent}` did not answer `initialize` within {}; \
                 look at it with `drawbridge check`, or raise --initialize-timeout-ms.",
                spelled(*millis)
            ),
            Refusal::ProtocolBroken { agent, what } => {
                format!(
                    "The agent `{agent}` broke the protocol: {what}. Report it to the makers of the agent."
                )
            }
            Refusal::RestartLimit { agent, last, retry_after_ms } => format!(
                "The agent `{agent}` crashed too often and is not started again for {}. The last \
                 crash: {}.",
                spelled(*retry_after_ms),
                last.trim_end_matches('.')
            ),
            Refusal::OpenTimeout { agent } => format!(
                "The agent `{agent}` did not open the session in time; \
                 try again, or raise --session-open-timeout-ms."
            ),
            Refusal::AnswerTimeout { agent } => format!(
                "A process of the agent `{agent}` did not answer in time; try again, or raise \
                 --session-open-timeout-ms."
            ),
            Refusal::PromptTimeout { agent } => format!(
                "The agent `{agent}` did not end the turn within --prompt-timeout-ms; it was cancelled. \
                 Prompt again, or raise the limit."
            ),
            Refusal::RestoreUnderWay { id } => {
                format!(
                    "The session `{id}` is being restored in another way at this moment; try again \
                     when that is over."
                )
            }
            Refusal::SessionFenced { id } => format!(
                "An agent process still holds the session `{id}` and has not closed it; try again later."
            ),
            Refusal::SessionInUse { id } => format!(
                "Another client works in the session `{id}` at this moment; try again when its turn \
                 is over."
            ),
            Refusal::ClientTooSlow => {
                "The editor did not read the agent's messages for too long while another one waited \
                 for the same agent, so its connection was ended; what runs goes on: open the \
                 conversation again."
                    .to_owned()
            }
            Refusal::SessionElsewhere { id, names } => format!(
                "The conversation `{id}` is open in another window with another environment (they \
                 differ in {names}); close it there first."
            ),
            Refusal::RestoreFailed { agent, id, what, .. } => format!(
                "The session `{id}` could not be brought back: the agent `{agent}` {what}. Nothing \
                 else was sent to it; try again, or open a new session."
            ),
            Refusal::SessionBusy { id } => format!(
                "The session `{id}` is open, and a turn or another request in it is under way; load it when that is over."
            ),
            Refusal::AnswerUnreadable { fault } => {
                format!(
                    "The request was answered, but the answer could not be read: it {fault}. Try \
                     again; if it stays so, report it to the makers of the agent."
                )
            }
            Refusal::AnswerTooLong { length } => format!(
                "The answer has {length} bytes, which is over the frame limit; raise --max-frame-bytes."
            ),
            Refusal::DaemonLost { session: None, .. } => {
                "The drawbridge daemon was lost while the request was open, or cannot be reached; \
                 try again."
                    .to_owned()
            }
            Refusal::DaemonLost { session: Some(id), then: Then::Kept } => format!(
                "The drawbridge daemon was lost, or cannot be reached. What was under way in the \
                 session `{id}` is not repeated; the session is kept, and your next message brings \
                 it back."
            ),
            Refusal::DaemonLost { session: Some(id), .. } => format!(
                "The session `{id}` is not open any more, because the drawbridge daemon that \
                 served it is gone; load or resume it, or open a new one."
            ),
            Refusal::NobodyToAsk { method } => {
                format!("No client is there that could answer `{method}`.")
            }
        }
    }
}

impl Then {
    /// A sentence that says it.
    const fn advice(self) -> &'static str {
        match self {
            Then::New => "A new session starts it again.",
            Then::Kept => {
                "The turn was cut off and is not repeated; the session is kept, and your next message \
                 brings it back."
            }
            Then::Lost => {
                "The turn was cut off and is not repeated, and drawbridge cannot bring the session \
                 back with this agent; open a new session, or load this one if the agent has stored \
                 it."
            }
        }
    }
}

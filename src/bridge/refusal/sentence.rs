//! The sentences of refusals, for a person: what is wrong, and what to do.

use super::Refusal;
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
            Refusal::BeforeInitialize => "The first request must be `initialize`.".into(),
            Refusal::Reinitialize => "`initialize` was answered already and work has begun.".into(),
            Refusal::NoRoute { method } => format!("Nothing here answers `{method}`."),
            Refusal::MissingField { field } => {
                format!("The request needs `{field}`, and it is missing or not a string.")
            }
            Refusal::StaleCursor => {
                "The agent process that gave this cursor is gone; ask for the first page again."
                    .into()
            }
            Refusal::UnknownSession { id } => {
                format!("There is no session `{id}` for this client.")
            }
            Refusal::SessionEnded { id, reason } => format!(
                "The session `{id}` is not open any more, because {}; load or resume it, or open a \
                 new one.",
                reason.phrase()
            ),
            Refusal::Cancelled => "The request was cancelled.".into(),
            Refusal::SessionClosing => "The session was closed while the request was open.".into(),
            Refusal::ShuttingDown => "drawbridge is shutting down.".into(),
            Refusal::SessionLimit { count } => format!(
                "Sessions open: {count}, which is the limit, and none of them may be closed for a new \
                 one. Close one, or raise --max-sessions."
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
            Refusal::AgentExited { agent, status, stderr_tail, in_handshake } => {
                let how = if *in_handshake { "while it was starting" } else { "unexpectedly" };
                let words = stderr_tail
                    .lines()
                    .rfind(|line| !line.trim().is_empty())
                    .map_or_else(String::new, |line| format!(" Its last words: {line}"));
                format!("The agent `{agent}` exited {how}: {status}.{words}")
            }
            Refusal::NotAcpAgent { agent, sign } => format!(
                "The program `{agent}` does not speak ACP on stdin and stdout: it {}. Check the \
                 command behind `--` in the editor's settings: many agents need a flag, such as \
                 `gemini --acp`.",
                sign.phrase()
            ),
            Refusal::AgentStopped { agent, reason } => {
                format!("The agent `{agent}` was stopped, because {reason}.")
            }
            Refusal::AgentGone { agent } => {
                format!("The process of the agent `{agent}` has ended; open a new connection.")
            }
            Refusal::HandshakeTimeout { agent, millis } => format!(
                "The agent `{agent}` did not answer `initialize` within {}; \
                 start it by hand to see what it does, or raise --initialize-timeout-ms.",
                spelled(*millis)
            ),
            Refusal::ProtocolBroken { agent, what } => {
                format!("The agent `{agent}` broke the protocol: {what}.")
            }
            Refusal::RestartLimit { agent, last, .. } => format!(
                "The agent `{agent}` crashed too often and is not started for a while. The last \
                 crash: {}.",
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
                "The agent `{agent}` did not end the turn within --prompt-timeout-ms; it was cancelled."
            ),
            Refusal::RestoreUnderWay { id } => {
                format!("The session `{id}` is being restored in another way at this moment.")
            }
            Refusal::SessionFenced { id } => format!(
                "An agent process still holds the session `{id}` and has not closed it; try again later."
            ),
            Refusal::SessionInUse { id } => format!(
                "Another client works in the session `{id}` at this moment; try again when its turn \
                 is over."
            ),
            Refusal::SessionBusy { id } => format!(
                "The session `{id}` is open, and a turn or another request in it is under way; load it when that is over."
            ),
            Refusal::AnswerUnreadable { fault } => {
                format!("The request was answered, but the answer could not be read: it {fault}.")
            }
            Refusal::AnswerTooLong { length } => format!(
                "The answer has {length} bytes, which is over the frame limit; raise --max-frame-bytes."
            ),
            Refusal::NobodyToAsk { method } => {
                format!("No client is there that could answer `{method}`.")
            }
        }
    }
}

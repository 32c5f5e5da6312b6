//! The last line in the log of a bridge that is gone: the end of the agent that it left.

use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::task::Task;
use crate::logs::LogPlace;
use crate::processes::Swept;
use crate::processes::dead::End;

/// The report of the end of a bridge and its agent.
#[derive(Debug)]
pub(super) struct Obituary<'a> {
    log: Option<&'a LogPlace>,
    bridge: u32,
    agent: Pid,
    /// When the bridge was found to be gone, while the agent lived.
    bridge_gone_at: Option<Instant>,
    /// How the agent ended after that, and when.
    agent_end: Option<(End, Instant)>,
}

impl<'a> Obituary<'a> {
    pub(super) fn new(agent: Pid, task: &'a Task) -> Self {
        let (log, bridge) = (task.log.as_ref(), task.bridge);
        Obituary { log, bridge, agent, bridge_gone_at: None, agent_end: None }
    }

    /// Notes that the bridge is gone, and has left the agent.
    pub(super) fn bridge_gone(&mut self, now: Instant) {
        self.bridge_gone_at = Some(now);
    }

    /// Notes the end of the agent.
    pub(super) fn agent_ended(&mut self, end: End, now: Instant) {
        self.agent_end = Some((end, now));
    }

    /// Writes the line, if the bridge was gone before the agent.
    pub(super) fn write(&self, swept: &Swept) {
        if let (Some(log), Some(line)) = (self.log, self.line(swept)) {
            log.append("drawbridge::keeper", &line);
        }
    }

    fn line(&self, swept: &Swept) -> Option<String> {
        let (gone_at, (end, ended_at)) = self.bridge_gone_at.zip(self.agent_end)?;
        let how = match end {
            End::Code(code) => format!("exited with code {code}"),
            End::Signal(signal) => format!("ended by {}", signal_name(signal)),
        };
        let seconds = ended_at.saturating_duration_since(gone_at).as_secs_f64();
        let mut line = format!(
            "the bridge {} is gone; its agent {} {how} after {seconds:.1} s",
            self.bridge, self.agent
        );
        if swept.ended > 0 {
            line += &format!("; processes that it left and that were ended: {}", swept.ended);
        }
        if !swept.spared.is_empty() {
            line += &format!("; left running: {}", swept.spared.join(", "));
        }
        Some(line)
    }
}

fn signal_name(number: i32) -> String {
    let known = Signal::try_from(number).map(Signal::as_str);
    known.map_or_else(|_| format!("signal {number}"), str::to_owned)
}

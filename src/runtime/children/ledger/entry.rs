//! The lines of a ledger: one agent each.

use crate::processes::ProcessIdentity;

/// An agent in a ledger, which is listed before it is started.
///
/// `leader` is its process, the leader of its group; `None` until that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LedgerAgent {
    pub(super) cookie: String,
    pub(super) leader: Option<ProcessIdentity>,
}

impl LedgerAgent {
    /// The line of the agent, with its line end.
    pub(super) fn line(&self) -> String {
        let leader = self.leader.unwrap_or(ProcessIdentity { pid: 0, born_ticks: 0 });
        format!("agent {} {} {}\n", leader.pid, leader.born_ticks, self.cookie)
    }

    /// Reads a line without its line end; `None`: it is none of an agent.
    pub(super) fn read(line: &str) -> Option<LedgerAgent> {
        let mut words = line.strip_prefix("agent ")?.split(' ');
        let pid = words.next()?.parse().ok()?;
        let leader = ProcessIdentity { pid, born_ticks: words.next()?.parse().ok()? };
        let cookie = words.next().filter(|cookie| !cookie.is_empty())?.to_owned();
        Some(LedgerAgent { cookie, leader: Some(leader).filter(|leader| leader.pid > 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let leader = Some(ProcessIdentity { pid: 7, born_ticks: 70 });
        for leader in [leader, None] {
            let agent = LedgerAgent { cookie: "a-b".to_owned(), leader };
            assert_eq!(LedgerAgent::read(agent.line().trim_end()), Some(agent));
        }
        for broken in
            ["", "agent", "agent 7", "agent 7 70", "agent 7 70 ", "bridge 1 1", "gent 7 70 a"]
        {
            assert_eq!(LedgerAgent::read(broken), None, "{broken}");
        }
    }
}

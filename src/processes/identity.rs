//! The identity of a process: its id alone may be that of another process later.

use serde::{Deserialize, Serialize};

use super::at;

/// A process, told by its birth from others that have the same process id later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// Clock ticks from the machine's start to the start of the process.
    pub born_ticks: u64,
}

impl ProcessIdentity {
    /// The identity of a process in the table; `None`: there is none with this id.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        at(pid).map(|entry| ProcessIdentity { pid, born_ticks: entry.born_ticks })
    }

    /// Whether the process has not ended.
    pub fn lives(self) -> bool {
        let is_it =
            |entry: super::ProcessEntry| entry.born_ticks == self.born_ticks && !entry.is_zombie;
        at(self.pid).is_some_and(is_it)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_that_has_the_same_id_and_the_same_birth() {
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(own.lives());
        assert!(!ProcessIdentity { born_ticks: own.born_ticks + 1, ..own }.lives());
        assert!(!ProcessIdentity { pid: 0, ..own }.lives());
    }
}

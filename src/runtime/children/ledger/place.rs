//! The place of ledgers: their folder, and their names, which say whose they are.

use std::ffi::{OsStr, OsString};
use std::fs;

/// The name of the folder of all ledgers, in the state directory.
pub(super) const FOLDER: &str = "agents";

/// The machine and its start, as far as they tell ledgers apart.
pub(super) struct Machine {
    id: String,
    start: String,
}

impl Machine {
    /// The name of a ledger of the bridge with this process id.
    pub(super) fn file_name(&self, pid: u32, number: u32) -> OsString {
        format!("{}_{}_{pid}_{number}", self.id, self.start).into()
    }

    /// When the file of this name was made; `None`: not by this machine.
    pub(super) fn made(&self, name: &OsStr) -> Option<Made> {
        let rest = name.to_str()?.strip_prefix(self.id.as_str())?.strip_prefix('_')?;
        let start = rest.split('_').next()?;
        Some(if start == self.start { Made::SinceStart } else { Made::Before })
    }
}

/// When a ledger of this machine was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Since the machine was started.
    SinceStart,
    /// Before that: its processes are gone.
    Before,
}

/// This machine; `None` where the system does not tell its start.
pub(super) fn machine() -> Option<Machine> {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // Where the machine has no id, the start alone tells it from others.
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = Some(id.trim()).filter(|id| !id.is_empty()).unwrap_or("machine").to_owned();
    Some(Machine { id: id.replace(['/', '_'], "-"), start: start.trim().replace('_', "-") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_ledger_says_whose_it_is() {
        let machine =
            |id: &str, start: &str| Machine { id: id.to_owned(), start: start.to_owned() };
        let own = machine("a1", "s1");
        assert_eq!(own.made(&own.file_name(7, 0)), Some(Made::SinceStart));
        assert_eq!(own.made(&machine("a1", "s2").file_name(7, 0)), Some(Made::Before));
        assert_eq!(own.made(&machine("a11", "s1").file_name(7, 0)), None);
        assert_eq!(own.made(OsStr::new("7-70")), None);
    }
}

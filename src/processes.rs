//! The process table, as `/proc` shows it, and the names of processes that are left
//! alone.
//!
//! Shared by the keeper and the runtime. Where there is no `/proc`, the table is
//! empty.
//!
//! Written by hand, because a keeper must stay small: a few fields of one line are read for
//! each process.

use std::fs;
use std::path::Path;

/// The most bytes of a program's name that the process table shows.
const SHOWN_NAME: usize = 15;

/// A process in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// The process id.
    pub pid: u32,
    /// The process id of its parent.
    pub parent: u32,
    /// The id of its process group.
    pub group: u32,
    /// The name of its program, or the name that it gave itself.
    pub name: String,
    /// Clock ticks from the machine's start to the start of the process.
    pub born_ticks: u64,
    /// Clock ticks that it has spent on the processor, with those of its reaped
    /// children, so that their work still counts.
    pub worked_ticks: u64,
    /// Whether it has ended and is not reaped.
    pub is_zombie: bool,
}

/// Every process in the table.
pub fn all() -> impl Iterator<Item = ProcessEntry> {
    numbers().filter_map(at)
}

/// The process with this id; `None` if there is none.
pub fn at(pid: u32) -> Option<ProcessEntry> {
    entry(pid, &place(pid))
}

/// Every process below another one: its children, theirs, and so on.
pub fn below(ancestor: u32) -> Vec<ProcessEntry> {
    below_but(ancestor, |_| true)
}

/// Like [`below`], but without what is below a process for which `descend` is false;
/// that process itself is included.
pub fn below_but(
    ancestor: u32,
    mut descend: impl FnMut(&ProcessEntry) -> bool,
) -> Vec<ProcessEntry> {
    let mut others: Vec<ProcessEntry> = all().collect();
    let mut found = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in others.extract_if(.., |entry| entry.parent == parent) {
            if descend(&child) {
                parents.push(child.pid);
            }
            found.push(child);
        }
    }
    found
}

/// Every process whose environment holds this pair (`NAME=VALUE`), as far as this
/// process may read it.
pub fn with_variable(pair: &[u8]) -> impl Iterator<Item = ProcessEntry> {
    numbers().filter_map(move |pid| {
        let place = place(pid);
        // It cannot be read: the process belongs to another user, or is gone.
        let environment = fs::read(place.join("environ")).ok()?;
        let carries = environment.split(|byte| *byte == 0).any(|one| one == pair);
        carries.then(|| entry(pid, &place))?
    })
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn place(pid: u32) -> std::path::PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn entry(pid: u32, place: &Path) -> Option<ProcessEntry> {
    // The name in it need not be UTF-8.
    let stat = fs::read(place.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name stands in parentheses, and may itself hold parentheses and spaces.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let mut next = |skipped| fields.nth(skipped)?.parse::<u64>().ok();
    // `utime`, `stime`, `cutime` and `cstime` (the last two of reaped children), and
    // then `starttime`; see proc(5).
    let worked_ticks = next(8)? + next(0)? + next(0)? + next(0)?;
    let born_ticks = next(4)?;
    Some(ProcessEntry { pid, parent, group, name, born_ticks, worked_ticks, is_zombie })
}

/// Names of programs that are left alone when a tree is ended: daemons that serve
/// other programs, too, even if an agent is the first to start them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spare(Vec<String>);

impl Default for Spare {
    fn default() -> Self {
        Spare::of("tmux,gpg-agent,ssh,watchman,gradle,adb,dbus-daemon")
    }
}

impl Spare {
    /// Reads a list of names with commas between them.
    pub fn of(list: &str) -> Spare {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Spare(names.map(str::to_owned).collect())
    }

    /// The names, with commas between them.
    pub fn list(&self) -> String {
        self.0.join(",")
    }

    /// Whether a process with this name is left alone. A role behind the program's
    /// name does not matter, as in `tmux: server`.
    pub fn holds(&self, name: &str) -> bool {
        let program = name.split_once(':').map_or(name, |(program, _)| program);
        self.0.iter().any(|spared| {
            let shown = spared.as_bytes().get(..SHOWN_NAME).unwrap_or(spared.as_bytes());
            program.as_bytes() == shown || name == spared
        })
    }
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many processes were ended, beside the agent and its group; where the bridge
    /// of the agent is gone (ledger), the agent itself counts, too.
    pub ended: u32,
    /// The names of the processes that were left alone.
    pub spared: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spared_with_what_it_says_of_itself() {
        let spare = Spare::of("tmux, a-rather-long-program ,");
        assert_eq!(spare.list(), "tmux,a-rather-long-program");
        assert!(spare.holds("tmux"));
        assert!(spare.holds("tmux: server"));
        assert!(spare.holds("a-rather-long-p"));
        assert!(!spare.holds("tmuxinator"));
        assert!(!spare.holds(""));
        assert!(!Spare::of("").holds("tmux"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_below_its_parent() {
        let parent = std::os::unix::process::parent_id();
        let own = std::process::id();
        let found = below(parent).into_iter().find(|entry| entry.pid == own);
        assert!(found.is_some_and(|entry| entry.parent == parent && !entry.is_zombie));
        assert!(!below(own).iter().any(|entry| entry.pid == own));
    }
}

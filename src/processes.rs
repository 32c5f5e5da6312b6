//! The process table, as `/proc` shows it, signals to processes in it, and the programs that
//! are left alone.
//!
//! Shared by the keeper and the runtime. Where there is no `/proc`, the table is
//! empty.
//!
//! Written by hand, because a keeper must stay small: a few fields of one line are read for
//! each process.

#[cfg(target_os = "linux")]
pub mod dead;
mod identity;
pub mod signal;
mod spare;

use std::fs;
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

pub use self::identity::ProcessIdentity;
pub use self::spare::Spare;

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

impl ProcessEntry {
    /// When it was born, in milliseconds from the machine's start.
    pub fn born_ms(&self) -> u64 {
        millis(self.born_ticks)
    }

    /// The time that it has spent on the processor, with its reaped children (ms).
    pub fn worked_ms(&self) -> u64 {
        millis(self.worked_ticks)
    }
}

fn millis(ticks: u64) -> u64 {
    let per_second = configured(SysconfVar::CLK_TCK).filter(|ticks| *ticks > 0);
    ticks.saturating_mul(1_000) / per_second.unwrap_or(100)
}

fn configured(variable: SysconfVar) -> Option<u64> {
    sysconf(variable).ok().flatten().and_then(|value| u64::try_from(value).ok())
}

/// The resident memory of a process, in bytes; `None`: it is gone.
pub fn memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(place(pid).join("statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(configured(SysconfVar::PAGE_SIZE)?))
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
pub fn below_but(ancestor: u32, descend: impl FnMut(&ProcessEntry) -> bool) -> Vec<ProcessEntry> {
    let others = all().collect();
    descend_in(others, ancestor, descend)
}

/// Like [`below`], in a table that was read before.
pub fn below_in(table: &[ProcessEntry], ancestor: u32) -> Vec<ProcessEntry> {
    descend_in(table.to_vec(), ancestor, |_| true)
}

fn descend_in(
    mut others: Vec<ProcessEntry>,
    ancestor: u32,
    mut descend: impl FnMut(&ProcessEntry) -> bool,
) -> Vec<ProcessEntry> {
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

/// The arguments of a process, the name that it was started under first; empty if it is gone.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = fs::read(place(pid).join("cmdline")).unwrap_or_default();
    let arguments = text.strip_suffix(b"\0").unwrap_or(&text).split(|byte| *byte == 0);
    arguments.map(|one| String::from_utf8_lossy(one).into_owned()).collect()
}

/// The real user of a process; `None` if it is gone.
pub fn real_user(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(place(pid).join("status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_ascii_whitespace().next()?.parse().ok()
}

/// Whether the environment of a process holds this pair (`NAME=VALUE`), as far as this process
/// may read it.
pub fn has_variable(pid: u32, pair: &[u8]) -> bool {
    // It cannot be read: the process belongs to another user, or is gone.
    let environment = fs::read(place(pid).join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == pair)
}

/// Whether the environment that a process was started with holds a variable of this name, as far
/// as this process may read it.
pub fn has_variable_named(pid: u32, name: &[u8]) -> bool {
    let environment = fs::read(place(pid).join("environ")).unwrap_or_default();
    let is_it = |one: &[u8]| one.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="));
    environment.split(|byte| *byte == 0).any(is_it)
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

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many processes were ended, beside the agent and its group; where the bridge
    /// of the agent is gone (ledger), the agent itself counts, too.
    pub ended: u32,
    /// The names of the processes that were left alone.
    pub spared: Vec<String>,
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = std::os::unix::process::parent_id();
        let own = std::process::id();
        let found = below(parent).into_iter().find(|entry| entry.pid == own);
        assert!(found.is_some_and(|entry| entry.parent == parent && !entry.is_zombie));
        assert!(!below(own).iter().any(|entry| entry.pid == own));
    }
}

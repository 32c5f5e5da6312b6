//! Figures of a process, as the system knows them.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// The memory figures of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now, in bytes.
    pub resident: u64,
    /// The most that was ever resident, in bytes.
    pub peak: u64,
}

/// The memory of a process.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |name| number(&status, name) * 1024;
    Ok(Memory { resident: bytes("VmRSS:"), peak: bytes("VmHWM:") })
}

/// Memory of a process that shares much of it with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Private memory plus the process's share of shared memory (PSS), in bytes.
    pub proportional: u64,
    /// Memory that no file backs, in bytes.
    pub anonymous: u64,
}

/// The memory of a process, from `/proc/PID/smaps_rollup`.
pub fn shared(pid: u32) -> io::Result<Shared> {
    let status = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |name| number(&status, name) * 1024;
    Ok(Shared { proportional: bytes("Pss:"), anonymous: bytes("Anonymous:") })
}

/// The children of a process, and their names.
pub fn children(pid: u32) -> io::Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let numbers = fs::read_to_string(thread?.path().join("children"))?;
        for child in numbers.split_whitespace().filter_map(|child| child.parse().ok()) {
            let name = fs::read_to_string(format!("/proc/{child}/comm"))?;
            found.push((child, name.trim_end().to_owned()));
        }
    }
    Ok(found)
}

/// The context switches of all threads of a process so far.
pub fn switches(pid: u32) -> io::Result<u64> {
    let mut switches = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        switches += number(&status, "voluntary_ctxt_switches:");
        switches += number(&status, "nonvoluntary_ctxt_switches:");
    }
    Ok(switches)
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Waits until a process is gone from the process table.
pub fn wait_until_gone(pid: u32) {
    let place = format!("/proc/{pid}");
    while Path::new(&place).exists() {
        thread::sleep(Duration::from_micros(100));
    }
}

/// Waits until the peak memory of a process has not grown for `while_`, or `at_most` has
/// passed.
pub fn wait_until_calm(pid: u32, while_: Duration, at_most: Duration) -> io::Result<Memory> {
    let start = Instant::now();
    let mut last = memory(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < while_ && start.elapsed() < at_most {
        thread::sleep(Duration::from_millis(20));
        let now = memory(pid)?;
        if now.peak > last.peak {
            since = Instant::now();
        }
        last = now;
    }
    Ok(last)
}

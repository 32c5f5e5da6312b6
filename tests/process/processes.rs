//! The process table, as `/proc` shows it, and waiting for what it will show.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take that is expected to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The variable that marks everything a test has started.
pub(crate) const MARK: &str = "BRIDGE_TEST_MARK";

/// Waits until `condition` holds; panics with `what` if it does not in time.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "in vain waited for: {what}");
        sleep(Duration::from_millis(3));
    }
}

/// All living processes with this mark.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let pair = format!("{MARK}={mark}");
    let carries = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == pair.as_bytes()))
    };
    fs::read_dir("/proc")
        .expect("a process table")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(carries)
        .filter(|pid| is_alive(*pid))
        .collect()
}

/// Whether a process is a keeper of the bridge.
pub(crate) fn is_keeper(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(b"channel-keeper\0")
}

/// The processes below another one, in whatever group, session or environment.
pub(crate) fn below(ancestor: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("a process table")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = Vec::new();
    let mut open = vec![ancestor];
    while let Some(parent) = open.pop() {
        let children = all.iter().filter(|(_, its)| *its == parent).map(|(pid, _)| *pid);
        let children: Vec<u32> = children.collect();
        open.extend(&children);
        found.extend(children);
    }
    found
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    field(pid, 1)
}

/// The session of a process.
pub(crate) fn session(pid: u32) -> Option<u32> {
    field(pid, 3)
}

/// A number in `/proc/PID/stat`, counted from the state behind the name.
fn field(pid: u32, place: usize) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(place)?.parse().ok()
}

/// The open descriptors of a process and what they are, in order.
pub(crate) fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let directory = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&directory).expect("a living process of ours");
    let mut found: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
        })
        .collect();
    found.sort();
    found
}

/// Whether a process is there and not merely unburied.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Whether a process has ended and is not reaped.
pub(crate) fn is_zombie(pid: u32) -> bool {
    state(pid) == Some('Z')
}

/// Whether this user may look into a process: a bridge and a keeper show nothing to any but
/// root.
pub(crate) fn may_look_into(pid: u32) -> bool {
    let may = fs::read_dir(format!("/proc/{pid}/fd")).is_ok();
    if !may {
        eprintln!("skipped in part: only root may look into a bridge or keeper");
    }
    may
}

/// Living keepers of this bridge: the cookies in their arguments begin with its number.
pub(crate) fn keepers_of(bridge: u32) -> Vec<u32> {
    let cookie = format!("{bridge}-");
    let is_its = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.any(|one| one.starts_with(cookie.as_bytes()))
    };
    fs::read_dir("/proc")
        .expect("a process table")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_keeper(*pid) && is_alive(*pid))
        .filter(is_its)
        .collect()
}

/// Whether a process is stopped by a signal.
pub(crate) fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// What a process is called in the table.
pub(crate) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// A figure of `/proc/PID/status`, such as `VmHWM` in kB.
pub(crate) fn figure(status: &str, name: &str) -> u64 {
    let of_line = |line: &str| {
        let rest = line.strip_prefix(name)?.strip_prefix(':')?;
        rest.split_whitespace().next()?.parse().ok()
    };
    status.lines().find_map(of_line).unwrap_or_else(|| panic!("{name} is not in {status}"))
}

/// The most memory that a process has held so far, in KiB.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    figure(&status, "VmHWM")
}

/// The bytes that a process has written so far, to whatever it was.
pub(crate) fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("a living process");
    figure(&io, "wchar")
}

/// How often the threads of a process were given a processor and left it again.
pub(crate) fn context_switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a living process");
    threads
        .map(|thread| {
            let path = thread.expect("a thread").path().join("status");
            let status = fs::read_to_string(path).expect("a living thread");
            figure(&status, "voluntary_ctxt_switches")
                + figure(&status, "nonvoluntary_ctxt_switches")
        })
        .sum()
}

/// Sends a signal to a process of ours.
pub(crate) fn send_signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    kill(pid, signal).expect("the signal is sent");
}

/// Ends everything with this mark, whatever state it is in.
pub(crate) fn end_marked(mark: &str) {
    for pid in marked(mark) {
        if let Ok(pid) = i32::try_from(pid) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

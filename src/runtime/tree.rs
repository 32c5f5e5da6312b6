//! The process tree of a channel, as far as the system shows it.
//!
//! Every agent gets a cookie in its environment, which its descendants inherit
//! wherever they go: into groups or sessions of their own, or to another parent.
//! Where there is no `/proc`, only the process group is known.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that holds the cookie.
pub(super) const COOKIE: &str = "DRAWBRIDGE_CHANNEL";

/// Per-user daemons that an agent may happen to start first. They serve others
/// too, and are left alone.
const SPARED: [&str; 8] =
    ["tmux: server", "tmux", "gpg-agent", "ssh", "watchman", "gradle", "adb", "dbus-daemon"];

/// The pause between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A process with the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) pid: u32,
    pub(super) name: String,
    /// Milliseconds from the machine's start to its own.
    pub(super) born: u64,
    /// Milliseconds that it has spent on the processor.
    pub(super) worked: u64,
    is_zombie: bool,
}

/// All living processes that carry this cookie.
pub(super) fn carrying(cookie: &str) -> Vec<Found> {
    let wanted = format!("{COOKIE}={cookie}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // Somebody else's, or gone: not ours.
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let carries =
                environment.split(|byte| *byte == 0).any(|pair| pair == wanted.as_bytes());
            carries.then(|| stat(pid, &entry.path()))?
        })
        .filter(|found| !found.is_zombie)
        .collect()
}

/// Ends what carries this cookie, whatever it became; per-user daemons are left.
/// Says how many were ended. Blocks for a moment: not for the loop.
pub(super) fn sweep(cookie: &str) -> usize {
    let mut ended = 0;
    let mut empty_looks = 0;
    // What is born while we look is found by the next look; a process that is
    // just becoming another program shows no environment for a moment, so one
    // empty look proves nothing.
    for _ in 0..16 {
        let left: Vec<Found> = carrying(cookie)
            .into_iter()
            .filter(|found| !SPARED.contains(&found.name.as_str()))
            .collect();
        empty_looks = if left.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == 2 {
            break;
        }
        for found in left {
            if let Ok(pid) = i32::try_from(found.pid)
                && kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
            {
                ended += 1;
            }
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    ended
}

fn stat(pid: u32, directory: &Path) -> Option<Found> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // The name stands in parentheses and may hold any character itself.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let is_zombie = matches!(*fields.first()?, "Z" | "X");
    let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let millis = |ticks: u64| ticks.saturating_mul(1_000) / ticks_per_second();
    let (born, worked) = (millis(field(19)?), millis(field(11)? + field(12)?));
    Some(Found { pid, name, born, worked, is_zombie })
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .filter(|t| *t > 0)
        .unwrap_or(100)
}

//! A long run with thousands of sessions, hundreds of agents, and faults at random.
//!
//! It looks at no figure of speed. At its end it asks: is every request answered,
//! once? Is no process left? Has the bridge as many descriptors as before, and
//! about as much memory? It fails if one of the answers is no.

pub mod chance;
mod client;
mod deeds;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use chance::Chance;
use client::SoakClient;

use crate::paths::Programs;
use crate::process::memory;

/// Sessions that the client tries to keep open.
const SESSIONS: usize = 600;
/// Requests that the client keeps open.
const OPEN: usize = 200;
/// Working directories: agents are shared by directory, four sessions on each agent.
const FOLDERS: u64 = 60;
/// The time between two kills of an agent from outside.
const BETWEEN_KILLS: Duration = Duration::from_millis(400);
/// How long the last answers, and the last agents, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most by which the bridge's resident memory may have grown in the end, in bytes.
const GROWTH: u64 = 4 << 20;
/// Settings with which glibc's allocator returns free memory to the system: memory that it
/// keeps would look like a leak.
const ALLOCATOR: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

const OPTIONS: [&str; 28] = [
    "--share",
    "cwd",
    "--sessions-per-channel",
    "4",
    "--channel-idle-timeout-ms",
    "500",
    "--session-open-timeout-ms",
    "10s",
    "--session-close-timeout-ms",
    "1s",
    "--initialize-timeout-ms",
    "10s",
    "--liveness-interval-ms",
    "4s",
    "--liveness-strikes",
    "2",
    "--stdin-grace-ms",
    "500",
    "--term-grace-ms",
    "500",
    "--restart-limit",
    "0",
    "--outbox-bytes",
    "4194304",
    "--max-frame-bytes",
    "1048576",
    "--log",
    "off",
];

/// The environment variable that marks all processes of a run.
const MARK: &str = "DRAWBRIDGE_SOAK";

/// The bridge at one moment.
#[derive(Clone, Copy, Debug)]
struct State {
    resident: u64,
    descriptors: usize,
}

/// Runs for `seconds` and prints the counts; an error if one of the conditions does not hold.
pub fn run(seconds: u64, seed: u64) -> io::Result<()> {
    let programs = Programs::find(None, None)?;
    let folder = std::env::temp_dir().join(format!("drawbridge-soak-{}", std::process::id()));
    let folders: Vec<PathBuf> = (0..FOLDERS).map(|name| folder.join(name.to_string())).collect();
    folders.iter().try_for_each(fs::create_dir_all)?;
    let mark = std::process::id().to_string();
    let mut bridge = Command::new(&programs.drawbridge);
    bridge.envs(ALLOCATOR).args(OPTIONS).args(["--log-file", "off", "--"]);
    bridge.arg(programs.drawbridge.with_file_name("agent-stub"));
    bridge.args(["--session-ids", "random", "--leak", "100"]).env(MARK, &mark);
    let mut seat = SoakClient::take(bridge, folders, Chance::new(seed))?;

    let pid = seat.bridge();
    seat.warm_up()?;
    await_agents(&mark, pid, 0)?;
    let before = state(pid)?;
    let begun = Instant::now();
    let mut killed = Instant::now();
    let (mut most_agents, mut kills, mut peak) = (0, 0, before.resident);
    while begun.elapsed() < Duration::from_secs(seconds) {
        seat.keep_busy(SESSIONS, OPEN)?;
        seat.listen(Duration::from_millis(5))?;
        if killed.elapsed() > BETWEEN_KILLS {
            killed = Instant::now();
            let agents = agents(&mark, pid)?;
            most_agents = most_agents.max(agents.len());
            kills += usize::from(seat.kill_one_of(&agents));
            peak = peak.max(state(pid)?.resident);
        }
    }
    seat.wind_down(PATIENCE)?;
    await_agents(&mark, pid, 0)?;
    let after = state(pid)?;
    let unanswered = seat.open();
    let report = seat.report();
    let exit = seat.leave(PATIENCE)?;
    // A process on its way out is still in the table for a moment.
    let begun_to_end = Instant::now();
    while !marked(&mark)?.is_empty() && begun_to_end.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let left = marked(&mark)?;
    fs::remove_dir_all(&folder)?;

    println!("soak: {} s, seed {seed}", begun.elapsed().as_secs());
    for (what, count) in &report.counts {
        println!("  {what:<34}{count:>10}");
    }
    println!("  {:<34}{kills:>10}", "agents killed from outside");
    println!("  {:<34}{most_agents:>10}", "agents at once, at most");
    println!("  {:<34}{:>10}", "unanswered requests", unanswered);
    println!("  {:<34}{:>10}", "answered twice, or unasked", report.stray);
    println!(
        "  {:<34}{:>4} → {:>3}",
        "descriptors of the bridge", before.descriptors, after.descriptors
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "  {:<34}{:.1} → {:.1} MiB, at most {:.1}",
        "memory of the bridge",
        mib(before.resident),
        mib(after.resident),
        mib(peak)
    );
    println!("  {:<34}{:>10}", "exit code", exit.map_or("none".into(), |code| code.to_string()));
    println!("  {:<34}{:>10}", "processes left", left.len());

    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &'static str| {
        if !holds {
            wrong.push(what);
        }
    };
    must(unanswered == 0, "a request was not answered");
    must(report.stray == 0, "an answer came twice, or unasked");
    must(left.is_empty(), "a process is left");
    must(exit == Some(0), "the bridge did not leave with 0");
    must(after.descriptors <= before.descriptors, "descriptors are left open");
    must(after.resident <= before.resident + GROWTH, "memory has grown");
    if wrong.is_empty() { Ok(()) } else { Err(io::Error::other(wrong.join("; "))) }
}

fn state(pid: u32) -> io::Result<State> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(State { resident: memory(pid)?.resident, descriptors })
}

/// Every living process of this run, and its name.
fn marked(mark: &str) -> io::Result<BTreeMap<u32, String>> {
    let pair = format!("{MARK}={mark}");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let place = entry?.path();
        let number = place.file_name().and_then(|name| name.to_str()?.parse().ok());
        // A process that has ended meanwhile is left out.
        let (Some(pid), Ok(environment)) = (number, fs::read(place.join("environ"))) else {
            continue;
        };
        if environment.split(|byte| *byte == 0).any(|one| one == pair.as_bytes()) {
            let name = fs::read_to_string(place.join("comm")).unwrap_or_default();
            found.insert(pid, name.trim_end().to_owned());
        }
    }
    Ok(found)
}

/// The processes of this run that are called `agent-stub`: the agents, and the
/// grandchildren that some prompts start.
fn agents(mark: &str, bridge: u32) -> io::Result<Vec<u32>> {
    let all = marked(mark)?;
    Ok(all
        .into_iter()
        .filter(|(pid, name)| *pid != bridge && name == "agent-stub")
        .map(|(pid, _)| pid)
        .collect())
}

/// Waits until at most `count` agents are left; an error if that takes longer than
/// [`PATIENCE`].
fn await_agents(mark: &str, bridge: u32, count: usize) -> io::Result<()> {
    let begun = Instant::now();
    while agents(mark, bridge)?.len() > count {
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::other("agents without work are not stopped"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

//! Bad manners of a process: ends, signals, children that stay, and noise.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, raise, signal};
use nix::unistd::setsid;

use crate::message::{chunk, update};
use crate::script::{Known, Script};

/// A line on stdout that is no frame.
pub(crate) const GARBAGE: &str = "this is not JSON: <garbage>";

/// A grandchild never stays longer than this.
const GRANDCHILD_LIFE: Duration = Duration::from_secs(600);

/// Runs the line if it is one of these commands; `false` if it is not.
pub(crate) fn command(script: &Script<'_>, word: &str, rest: &str) -> Known {
    let wire = &script.agent.wire;
    let save = || script.agent.lock().store.save(&script.session);
    match (word, rest.trim()) {
        ("exit", code) => {
            let Ok(code) = code.parse() else {
                return Ok(false);
            };
            save();
            wire.exit(code);
        }
        ("abort", "") => {
            save();
            abort();
        }
        ("half-line", "") => {
            save();
            let frame = update(&script.session, &chunk("agent_message_chunk", "never finished"));
            wire.send_unfinished(&frame[..frame.len() / 2]);
            wire.exit(1);
        }
        ("garbage", "") => wire.send(GARBAGE),
        ("long-line", bytes) => {
            let Ok(bytes) = bytes.parse::<usize>() else {
                return Ok(false);
            };
            let frame = |text: &str| update(&script.session, &chunk("agent_message_chunk", text));
            let padding = bytes.saturating_sub(frame("").len());
            wire.send(&frame(&"x".repeat(padding)));
        }
        ("stderr", text) => stderr_line(text),
        ("flood-stderr", lines) => {
            let Ok(lines) = lines.parse::<u64>() else {
                return Ok(false);
            };
            for n in 1..=lines {
                script.go_on()?;
                stderr_line(&format!("flood {n} of {lines}"));
            }
        }
        ("stop-self", "") => {
            let _ = raise(Signal::SIGSTOP);
        }
        ("background", ms) => {
            let Ok(ms) = ms.parse::<u64>() else {
                return Ok(false);
            };
            let mut sleep = Command::new("sleep");
            sleep.arg(format!("{}.{:03}", ms / 1000, ms % 1000)).stdout(Stdio::null());
            script.say(&format!("background: {}", told(spawn(&mut sleep, false))));
        }
        ("grandchild", kind @ ("hold-pipe" | "ignore-term" | "setsid")) => {
            let child = grandchild(&script.agent.relaunch, kind);
            script.say(&format!("grandchild: {}", told(child)));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn told(pid: io::Result<u32>) -> String {
    pid.map_or_else(|e| format!("error {e}"), |pid| pid.to_string())
}

/// Starts a child and reaps it when it ends; returns its process id. With `ready` waits for the
/// child's first byte on stdout, which says that it is set up.
fn spawn(command: &mut Command, ready: bool) -> io::Result<u32> {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = child.id();
    if let Some(mut pipe) = child.stdout.take().filter(|_| ready) {
        let _ = pipe.read(&mut [0]);
    }
    thread::spawn(move || child.wait());
    Ok(pid)
}

fn grandchild(relaunch: &[String], kind: &str) -> io::Result<u32> {
    let hold = kind == "hold-pipe";
    let mut command = Command::new(std::env::current_exe()?);
    command.args(relaunch).args(["--grandchild", kind]);
    command.stdout(if hold { Stdio::inherit() } else { Stdio::piped() });
    spawn(&mut command, !hold)
}

/// The life of a grandchild: this is what the process does that was started with `--grandchild`.
pub(crate) fn be_grandchild(kind: &str) -> ExitCode {
    match kind {
        "ignore-term" => ignore_sigterm(),
        "setsid" => drop(setsid()),
        _ => {}
    }
    if kind != "hold-pipe" {
        let _ = io::stdout().lock().write_all(b"\n");
    }
    thread::sleep(GRANDCHILD_LIFE);
    ExitCode::SUCCESS
}

/// The arguments before the agent's own: a program that embeds this library needs them to
/// reach `run`.
pub(crate) fn relaunch_prefix(ours: &[String]) -> Vec<String> {
    let all: Vec<String> = std::env::args().skip(1).collect();
    all.strip_suffix(ours).unwrap_or_default().to_vec()
}

/// Makes this process deaf to SIGTERM.
#[allow(unsafe_code, reason = "changing a signal's action is unsafe because of handlers")]
pub(crate) fn ignore_sigterm() {
    // SAFETY: no handler is installed, the signal is just ignored.
    let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
}

/// Ends the process with SIGABRT.
pub(crate) fn abort() -> ! {
    std::process::abort()
}

/// Writes one line to stderr; blocks while the pipe is full.
pub(crate) fn stderr_line(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Takes memory, uses it, and never gives it back.
pub(crate) fn leak(bytes: usize) {
    if bytes > 0 {
        Box::leak(vec![1_u8; bytes].into_boxed_slice());
    }
}

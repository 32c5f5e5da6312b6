//! `drawbridge top`, in a terminal and without one.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bridge::Bridge;
use crate::processes::eventually;
use crate::site::DRAWBRIDGE;

/// The sequence by which a program gives the terminal back.
const GIVEN_BACK: &str = "\u{1b}[?1049l";

/// A terminal with `drawbridge top` in it.
struct Screen {
    top: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Screen {
    fn of(pid: u32) -> Screen {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(terminal.slave.try_clone().expect("a descriptor"));
        let mut command = Command::new(DRAWBRIDGE);
        command.args(["top", "--bridge", &pid.to_string()]).env("TERM", "xterm-256color");
        let top = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
        let keys = File::from(terminal.master);
        let mut drawn = keys.try_clone().expect("a descriptor");
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = drawn.read(&mut piece) {
                let _ = sender.send(piece[..length].to_vec());
            }
        });
        Screen { top, keys, shown, text: String::new() }
    }

    /// Waits until something was drawn since the last wait.
    fn shows(&mut self, expected: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.text.contains(expected) {
            let left = end.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(piece) => self.text += &String::from_utf8_lossy(&piece),
                Err(_) => panic!("{expected:?} is not shown: {:?}", self.text),
            }
        }
        self.text.clear();
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.top.kill();
        let _ = self.top.wait();
    }
}

fn once(pid: u32, size: &str) -> String {
    let mut command = Command::new(DRAWBRIDGE);
    let output = command.args(["top", &format!("--once={size}"), "--bridge", &pid.to_string()]);
    let output = output.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_tree_is_printed_once_in_any_size() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    bridge.prompt(&session, "ask-permission");
    bridge.message("session/request_permission");
    for (size, columns, rows) in
        [("80x24", 80, 24), ("120x40", 120, 40), ("200x60", 200, 60), ("24x10", 24, 10)]
    {
        let text = once(bridge.pid(), size);
        assert_eq!(text.lines().count(), rows, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        for expected in ["ch-1", "s-1", "drawbridge"] {
            assert!(text.contains(expected), "{expected} in {size}: {text}");
        }
    }
    let text = once(bridge.pid(), "200x60");
    for expected in [
        "1 session, 1 turn, 1 question, 1 channel, 1 client",
        "ready, 1 question",
        "waits for the answer of cl-1 to session/request_permission in s-1",
        "%",
        "MiB",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    bridge.end();
}

#[test]
fn keys_steer_what_is_chosen() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let prompt = bridge.prompt(&session, "sleep 60000");
    let mut screen = Screen::of(bridge.pid());
    screen.shows("ch-1");
    screen.press("x");
    screen.shows("choose a session first");
    // The last row is the session.
    screen.press("G");
    screen.press("e");
    screen.shows("kept by: 1 session");
    screen.press("\u{1b}");
    screen.shows("CPU");
    screen.press("c");
    screen.shows("Cancel the turn of s-1 ");
    screen.press("n");
    screen.shows("q quit");
    screen.press("c");
    screen.shows("Cancel the turn of s-1 ");
    screen.press("y");
    assert_eq!(bridge.answer(prompt)["result"]["stopReason"], "cancelled");
    screen.shows("cancelled what goes on in s-1");
    screen.press("x");
    screen.shows("Close s-1 ");
    screen.press("y");
    screen.shows("s-1 is closed");
    let asked = bridge.prompt(&session, "say still here?");
    // The chat does not lose it: it comes back.
    assert_eq!(bridge.answer(asked)["result"]["stopReason"], "end_turn");
    screen.press("q");
    screen.shows(GIVEN_BACK);
    eventually("top has ended", || screen.top.try_wait().expect("a child").is_some());
    bridge.end();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let bridge = Bridge::ready(&[], &[]);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut screen = Screen::of(bridge.pid());
        screen.shows("ch-1");
        kill(Pid::from_raw(screen.top.id() as i32), signal).expect("it lives");
        screen.shows(GIVEN_BACK);
        eventually("top has ended", || screen.top.try_wait().expect("a child").is_some());
    }
    bridge.end();
}

#[test]
fn a_bridge_that_hangs_is_named_and_holds_up_nothing() {
    let (hanging, bridge) = (Bridge::ready(&[], &[]), Bridge::ready(&[], &[]));
    hanging.signal(Signal::SIGSTOP);
    let output = Command::new(DRAWBRIDGE).args(["top", "--once=200x60"]).output().expect("it runs");
    hanging.signal(Signal::SIGCONT);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(&format!("the bridge {} does not answer", hanging.pid())), "{text}");
    assert!(text.contains(&format!("{} ", bridge.pid())), "{text}");
    hanging.end();
    bridge.end();
    let output = Command::new(DRAWBRIDGE).args(["top", "--once", "--bridge", "1"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(4));
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = Command::new(DRAWBRIDGE).arg("top").stdout(Stdio::piped()).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--once"), "{output:?}");
}

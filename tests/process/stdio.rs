//! Whatever the bridge's own stdio is: it works, and is left as it was found.

use std::fs::{self, File};
use std::io::{Write, pipe};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::bridge::{Bridge, Setup};
use crate::client::parsed;

/// Whether somebody has set a description, which others share, to "do not wait".
fn is_nonblocking(end: impl AsFd) -> bool {
    let flags = fcntl(end, FcntlArg::F_GETFL).expect("its flags");
    OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK)
}

fn dup(end: impl AsFd) -> OwnedFd {
    end.as_fd().try_clone_to_owned().expect("one more descriptor")
}

/// A conversation, with more in it than fits into any buffer.
fn talk(bridge: &mut Bridge) {
    bridge.initialize();
    let session = bridge.new_session();
    let said = bridge.turn(&session, "stream 300 10000");
    assert_eq!(said.iter().map(String::len).sum::<usize>(), 3_000_000);
    let long = "y".repeat(3_000_000);
    assert_eq!(bridge.turn(&session, &format!("say {long}")), [long]);
}

#[test]
fn pipes_will_do() {
    let (stdin, to_bridge) = pipe().expect("a pipe");
    let (from_bridge, stdout) = pipe().expect("a pipe");
    let ends = [dup(&stdin), dup(&stdout)];
    let mut bridge = Setup::new(&[], &[]).stdio(stdin.into(), stdout.into()).start();
    bridge.write_to(to_bridge);
    bridge.read_from(from_bridge);
    talk(&mut bridge);
    assert_eq!(ends.each_ref().map(is_nonblocking), [false; 2]);
    bridge.end();
    assert_eq!(ends.each_ref().map(is_nonblocking), [false; 2]);
}

#[test]
fn a_socket_each_way_will_do() {
    let (stdin, to_bridge) = UnixStream::pair().expect("a socket pair");
    let (from_bridge, stdout) = UnixStream::pair().expect("a socket pair");
    let ends = [dup(&stdin), dup(&stdout)];
    let (stdin, stdout) = (OwnedFd::from(stdin), OwnedFd::from(stdout));
    let mut bridge = Setup::new(&[], &[]).stdio(stdin.into(), stdout.into()).start();
    bridge.write_to(to_bridge);
    bridge.read_from(from_bridge);
    talk(&mut bridge);
    assert_eq!(ends.each_ref().map(is_nonblocking), [false; 2]);
    bridge.end();
    assert_eq!(ends.each_ref().map(is_nonblocking), [false; 2]);
}

#[test]
fn one_socket_for_both_ways_will_do() {
    let (theirs, ours) = UnixStream::pair().expect("a socket pair");
    let end = dup(&theirs);
    let (stdin, stdout) = (dup(&theirs), OwnedFd::from(theirs));
    let mut bridge = Setup::new(&[], &[]).stdio(stdin.into(), stdout.into()).start();
    bridge.write_to(ours.try_clone().expect("one more descriptor"));
    bridge.read_from(ours.try_clone().expect("one more descriptor"));
    talk(&mut bridge);
    assert!(!is_nonblocking(&end));
    ours.shutdown(Shutdown::Write).expect("an end of our words");
    bridge.is_gone();
    assert!(!is_nonblocking(&end));
}

#[test]
fn files_will_do() {
    let setup = Setup::new(&[], &[]);
    let [requests, answers] = ["requests", "answers"].map(|name| setup.scratch().file(name));
    let mut file = File::create(&requests).expect("a file");
    for id in 0..3 {
        writeln!(file, r#"{{"jsonrpc":"2.0","id":{id},"method":"session/list"}}"#).expect("a line");
    }
    let stdin = File::open(&requests).expect("the requests");
    let stdout = File::create(&answers).expect("a place for the answers");
    let ends = [dup(&stdin), dup(&stdout)];
    let mut bridge = setup.stdio(stdin.into(), stdout.into()).start();
    bridge.is_gone();
    let answers = fs::read_to_string(&answers).expect("the answers");
    let ids: Vec<u64> = answers.lines().filter_map(|line| parsed(line)["id"].as_u64()).collect();
    assert_eq!(ids, [0, 1, 2], "{answers}");
    assert_eq!(ends.each_ref().map(is_nonblocking), [false; 2]);
}

#[test]
fn a_client_that_says_all_at_once_and_leaves_is_answered() {
    let setup = Setup::new(&[], &[]);
    let requests = setup.scratch().file("requests");
    let line =
        r#"{"jsonrpc":"2.0","id":"only","method":"initialize","params":{"protocolVersion":1}}"#;
    fs::write(&requests, format!("{line}\n")).expect("a file");
    let stdin = File::open(&requests).expect("the request");
    let (from_bridge, stdout) = pipe().expect("a pipe");
    let mut bridge = setup.stdio(stdin.into(), stdout.into()).start();
    bridge.read_from(from_bridge);
    assert_eq!(parsed(&bridge.incoming())["id"], "only");
    bridge.is_gone();
}

#[test]
fn nothing_to_read_is_the_end() {
    let mut bridge = Setup::new(&["--preheat"], &[]).stdio(Stdio::null(), Stdio::null()).start();
    bridge.is_gone();
}

#[test]
fn the_last_line_needs_no_line_end() {
    let mut bridge = Bridge::ready(&[], &[]);
    bridge.write(br#"{"jsonrpc":"2.0","id":1,"method":"_x"}"#);
    bridge.close_stdin();
    assert_eq!(bridge.incoming(), r#"{"jsonrpc":"2.0","id":1,"result":{"echo":null}}"#);
    bridge.is_gone();
    assert_eq!(bridge.leftovers(), [""; 0]);
}

#[test]
fn an_agent_gets_pipes_that_wait() {
    let bridge = Bridge::ready(&[], &[]);
    let agent = bridge.agent();
    let flags = |end: u32| {
        let info = fs::read_to_string(format!("/proc/{agent}/fdinfo/{end}")).expect("its end");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        i32::from_str_radix(flags.trim(), 8).expect("an octal number")
    };
    for end in 0..3 {
        let is_nonblocking = OFlag::from_bits_truncate(flags(end)).contains(OFlag::O_NONBLOCK);
        assert!(!is_nonblocking, "descriptor {end} of the agent");
    }
    bridge.end();
}

#[test]
fn the_end_of_a_named_pipe_is_seen_even_if_it_came_before_the_start() {
    let setup = Setup::new(&[], &[]);
    let place = setup.scratch().file("fifo");
    mkfifo(&place, Mode::S_IRWXU).expect("a named pipe");
    // Both ways, so that opening it waits for nobody.
    let mut writer = File::options().read(true).write(true).open(&place).expect("it is opened");
    let stdin = File::open(&place).expect("it is opened for reading");
    writer.write_all(b"nonsense\n").expect("it is written");
    drop(writer);
    let (from_bridge, stdout) = pipe().expect("a pipe");
    let mut bridge = setup.stdio(stdin.into(), stdout.into()).start();
    bridge.read_from(from_bridge);
    assert_eq!(parsed(&bridge.incoming())["error"]["code"], -32700);
    bridge.is_gone();
}

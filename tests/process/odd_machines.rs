//! Machines that are not a developer's own: limits, containers, names, inherited descriptors.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::bridge::{Bridge, Setup, stub};
use crate::client::parsed;
use crate::processes::{self, descriptors, eventually};
use crate::scratch::copy_program;

/// Both ways in which agents are run.
const WAYS: [&str; 2] = ["--no-keeper=false", "--no-keeper"];

#[test]
fn a_limit_on_the_size_of_files_ends_the_log_and_nothing_else() {
    for way in WAYS {
        let options = ["--log", "debug", "--share", "session", way];
        let setup = Setup::new(&options, &[]).launched(r#"ulimit -f 8; exec "$@""#);
        let mut bridge = setup.start();
        bridge.initialize();
        let mut last = bridge.new_session();
        for _ in 0..30 {
            bridge.call_about("session/close", &last);
            last = bridge.new_session();
        }
        let size = fs::metadata(bridge.scratch.file("bridge.log")).expect("a log").size();
        assert!(size <= 8 * 1024, "{size}");
        assert_eq!(bridge.turn(&last, "say undisturbed"), ["undisturbed"]);
        eventually("a word about it", || bridge.stderr().contains("lines are missing in the log"));
        // SIGXFSZ is signal 25: the agent neither ignores nor catches it.
        let agent = bridge.pid_of(&last);
        let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("it lives");
        for field in ["SigIgn:", "SigCgt:"] {
            let mask = status.lines().find_map(|line| line.strip_prefix(field)).expect("a mask");
            let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask");
            assert_eq!(mask & (1 << 24), 0, "{field} {way}");
        }
        bridge.end();
    }
}

#[test]
fn an_agent_inherits_no_descriptor_of_the_editor() {
    for way in WAYS {
        let script = r#"exec 7</dev/zero 9</etc/passwd; exec "$@""#;
        let mut bridge = Setup::new(&[way], &[]).launched(script).start();
        bridge.initialize();
        let session = bridge.new_session();
        let found = descriptors(bridge.pid_of(&session));
        let is_foreign =
            |(_, target): &(u32, String)| target == "/dev/zero" || target == "/etc/passwd";
        assert!(!found.iter().any(is_foreign), "{way}: {found:?}");
        bridge.end();
    }
}

#[test]
fn a_directory_whose_name_is_not_utf_8_is_a_directory() {
    for way in WAYS {
        let script = r#"d="$(printf 'caf\351')"; mkdir "$d"; cd "$d"; exec "$@""#;
        let mut bridge = Setup::new(&[way], &[]).launched(script).start();
        assert!(bridge.initialize()["result"].is_object());
        let session = bridge.new_session();
        let agent = bridge.pid_of(&session);
        let cwd = fs::read_link(format!("/proc/{agent}/cwd")).expect("it lives");
        assert!(cwd.as_os_str().as_encoded_bytes().ends_with(b"caf\xe9"), "{}", cwd.display());
        bridge.end();
    }
}

#[test]
fn with_too_few_descriptors_the_bridge_works_or_says_so() {
    // With fewer the system cannot even load the program.
    for number in 4..48 {
        let script = format!(r#"ulimit -n {number}; exec "$@""#);
        let mut bridge = Setup::new(&[], &[]).launched(&script).start();
        let ask =
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}"#;
        let answer = if bridge.try_send(ask) { bridge.try_incoming() } else { None };
        let code = match answer.map(|answer| parsed(&answer)) {
            Some(answer) if answer["result"].is_object() => {
                bridge.close_stdin();
                0
            }
            _ => 1,
        };
        assert_eq!(bridge.exit().code(), Some(code), "{number}: {}", bridge.stderr());
        if code == 1 {
            let has_sentence =
                || bridge.stderr().lines().last().is_some_and(|line| line.len() > 20);
            eventually("a sentence", has_sentence);
        }
        assert!(!bridge.stderr().contains("panicked"), "{number}: {}", bridge.stderr());
        bridge.is_killed();
    }
}

#[test]
fn the_first_process_of_a_container_reaps_orphans() {
    let mut probe = Command::new("unshare");
    if !probe.args(["-rpf", "--mount-proc", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system makes no containers for this user");
        return;
    }
    // The subshell leaves its child behind.
    let agent = r#"(sleep 0.3 & sleep 0.1 &); exec "$@""#;
    let script = r#"exec unshare -rpf --mount-proc --kill-child "$@""#;
    let setup = Setup::new(&["--no-keeper"], &[]).wrapped(agent).launched(script);
    let mut bridge = setup.start();
    bridge.initialize();
    let first = processes::below(bridge.pid()).first().copied().expect("the bridge itself");
    let zombies = || {
        let children = processes::below(first);
        children.into_iter().filter(|pid| processes::is_zombie(*pid)).count()
    };
    let sleepers =
        || processes::below(first).into_iter().filter(|pid| processes::name(*pid) == "sleep");
    eventually("the end of the orphans", || sleepers().count() == 0);
    assert_eq!(zombies(), 0);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say undisturbed"), ["undisturbed"]);
    bridge.end();
}

/// A bridge that runs as a user without rights, if this one can become such a user.
fn as_somebody(options: &[&str]) -> Bridge {
    const NOBODY: u32 = 65_534;
    let setup = Setup::with_command(options, &["./stub"]);
    let place = setup.scratch().path().to_owned();
    copy_program(&stub(), &place.join("stub"));
    copy_program(Path::new(env!("CARGO_BIN_EXE_drawbridge")), &place.join("bridge"));
    let setup = setup.binary(&place.join("bridge"));
    if std::os::unix::fs::chown(&place, Some(NOBODY), Some(NOBODY)).is_err() {
        return setup.start();
    }
    let become_nobody = |command: &mut Command| {
        command.uid(NOBODY).gid(NOBODY);
    };
    setup.prepared(become_nobody).start()
}

#[test]
fn nobody_reads_the_memory_of_a_bridge_or_keeper() {
    let mut bridge = as_somebody(&[]);
    bridge.initialize();
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/environ")).expect("it lives").uid();
    // What a process is not to show belongs to root.
    let keeper = processes::parent(agent).expect("its keeper");
    assert_eq!([owner(bridge.pid()), owner(keeper)], [0, 0]);
    assert_eq!(owner(agent), fs::metadata(bridge.scratch.path()).expect("its directory").uid());
    bridge.end();
}

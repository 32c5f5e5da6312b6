//! The keeper of an agent: what it holds, what it reports, and how it goes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::refusal;
use crate::confinement::Keepers;
use crate::memory::gives_back;
use crate::processes::{
    below, context_switches, descriptors, eventually, figure, is_alive, is_keeper, may_look_into,
    name, parent, send_signal, session,
};
use crate::scratch::copy_program;

/// The one keeper.
fn keeper(bridge: &Bridge) -> u32 {
    let keepers = bridge.keepers();
    assert_eq!(keepers.len(), 1, "one keeper\n{bridge}");
    keepers[0]
}

#[test]
fn a_keeper_stands_between_the_bridge_and_the_agent() {
    let bridge = Bridge::ready(&[], &[]);
    let (keeper, agent) = (keeper(&bridge), bridge.agent());
    assert_eq!(parent(keeper), Some(bridge.pid()));
    assert_eq!(parent(agent), Some(keeper));
    assert_eq!(session(keeper), Some(keeper), "out of reach of whoever ends our group");
    assert_eq!(session(agent), Some(agent));
    assert_eq!(name(keeper), "channel-keeper");
    bridge.end();
}

#[test]
fn an_agent_has_its_stdio_and_nothing_else() {
    // A descriptor that we leave open for whatever is started.
    let inherited = nix::unistd::dup(std::io::stdin()).expect("a descriptor");
    let agent = r#"
        read -r line
        printf '%s\n' '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
        while read -r line; do :; done"#;
    let mut bridge = Setup::with_command(&[], &["sh", "-c", agent]).start();
    bridge.initialize();
    drop(inherited);
    let numbers = |pid| descriptors(pid).into_iter().map(|(number, _)| number);
    let agent = bridge.agent();
    assert_eq!(numbers(agent).collect::<Vec<_>>(), [0, 1, 2], "{:?}", descriptors(agent));

    if !may_look_into(keeper(&bridge)) {
        return bridge.end();
    }
    let held = descriptors(keeper(&bridge));
    let names: Vec<&str> = held.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(names[..3], ["/dev/null"; 3], "{held:?}");
    let mut rest: Vec<&str> = names[3..].iter().filter_map(|name| name.split(':').next()).collect();
    rest.sort_unstable();
    assert_eq!(rest, ["anon_inode", "socket"], "the line and the signals: {held:?}");
    let place = fs::read_link(format!("/proc/{}/cwd", keeper(&bridge))).expect("ours");
    assert_eq!(place, Path::new("/"));
    bridge.end();
}

#[test]
fn signals_reach_the_agent_as_without_a_keeper() {
    let ignored_and_blocked = |options: &[&str]| {
        let bridge = Bridge::ready(options, &[]);
        let status = fs::read_to_string(format!("/proc/{}/status", bridge.agent())).expect("ours");
        let lines = status.lines().filter(|line| line.starts_with("Sig") && !line.contains("SigQ"));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        bridge.end();
        lines
    };
    assert_eq!(ignored_and_blocked(&[]), ignored_and_blocked(&["--no-keeper"]));
}

#[test]
fn an_idle_keeper_does_not_wake_up() {
    let mut bridge = Bridge::ready(&[], &[]);
    let keeper = keeper(&bridge);
    let session = bridge.new_session();
    gives_back(keeper);
    let before = context_switches(keeper);
    bridge.turn(&session, "stream 100 100");
    sleep(Duration::from_millis(300));
    assert_eq!(context_switches(keeper), before, "no message passes through it");
    bridge.end();
}

#[test]
fn a_keeper_is_small() {
    let bridge = Bridge::ready(&[], &[]);
    if !may_look_into(keeper(&bridge)) {
        return bridge.end();
    }
    let path = format!("/proc/{}/smaps_rollup", keeper(&bridge));
    let memory = fs::read_to_string(path).expect("ours");
    // What is promised holds for a release; other builds have larger tables.
    let (anonymous, proportional) =
        if cfg!(debug_assertions) { (1_536, 8_192) } else { (512, 2_048) };
    assert!(figure(&memory, "Anonymous") <= anonymous, "{memory}");
    assert!(figure(&memory, "Pss") <= proportional, "{memory}");
    bridge.end();
}

#[test]
fn orphans_that_end_are_buried_while_the_agent_lives() {
    let wrapper = r#"(sleep 0.05 & echo $! >orphan); exec "$@""#;
    let mut bridge = Setup::new(&[], &[]).wrapped(wrapper).start();
    bridge.initialize();
    let orphan = fs::read_to_string(bridge.scratch.file("orphan")).expect("its number");
    let orphan = Path::new("/proc").join(orphan.trim());
    eventually("its burial", || !orphan.exists());
    assert_eq!(below(keeper(&bridge)), [bridge.agent()]);
    bridge.end();
}

#[test]
fn the_agents_end_is_told_as_its_own() {
    for options in [&[][..], &["--no-keeper"]] {
        let mut bridge = Bridge::ready(options, &[]);
        let [failed, aborted, killed] =
            ["exit 5", "abort", "say here\nsleep 60000"].map(|script| {
                let session = bridge.new_session();
                let agent = bridge.pid_of(&session);
                let turn = bridge.prompt(&session, script);
                if script.starts_with("say") {
                    bridge.hears(&session);
                    // A signal that has no name.
                    let agent = agent.to_string();
                    Command::new("kill").args(["-40", &agent]).status().expect("a signal is sent");
                }
                bridge.answer(turn)["error"]["data"].clone()
            });
        assert_eq!(failed["exitCode"], 5, "{failed}");
        assert_eq!(aborted["signal"], 6, "{aborted}");
        assert_eq!(killed["signal"], 40, "{killed}");
        bridge.end();
    }
}

#[test]
fn a_start_that_fails_is_told_in_the_same_words() {
    let words = |keeper: &str, command: &str, cwd: Option<&str>| {
        let switch = format!("--no-keeper={keeper}");
        let options = [switch.as_str(), "--share", "cwd"];
        let mut setup = Setup::with_command(&options, &[command]);
        if cwd.is_some() {
            setup = Setup::new(&options, &[]);
        }
        let mut bridge = setup.start();
        let mut answer = bridge.initialize();
        if let Some(cwd) = cwd {
            bridge.new_session();
            answer = bridge.call("session/new", &json!({ "cwd": cwd, "mcpServers": [] }));
        }
        assert_eq!(refusal(&answer), (-32603, "agent_spawn_failed"));
        eventually("the end of the keeper", || {
            bridge.keepers().len() == usize::from(cwd.is_some() && keeper == "false")
        });
        match cwd {
            Some(_) => bridge.end(),
            None => bridge.gives_up(),
        }
        answer["error"]["message"].as_str().expect("a message").to_owned()
    };
    let scratch = crate::scratch::Scratch::new();
    let text = scratch.file("text");
    fs::write(&text, "no program").expect("a file");
    let text = text.display().to_string();
    for (command, cwd, wanted) in [
        ("no-such-agent", None, "`no-such-agent` was not found"),
        (text.as_str(), None, "may not be executed"),
        ("", Some("/no/such/directory"), "/no/such/directory does not exist"),
    ] {
        let with = words("false", command, cwd);
        assert!(with.contains(wanted), "{with}");
        assert_eq!(with, words("true", command, cwd));
    }
}

#[test]
fn a_replaced_program_is_no_reason_to_fail() {
    let setup = Setup::new(&["--share", "session"], &[]);
    let copy = setup.scratch().file("program");
    copy_program(Path::new(env!("CARGO_BIN_EXE_drawbridge")), &copy);
    let mut bridge = setup.binary(&copy).start();
    bridge.initialize();
    bridge.new_session();
    // Replaced as installers do it, and then removed.
    fs::remove_file(&copy).expect("it is removed");
    fs::write(&copy, "something else").expect("it is replaced");
    bridge.new_session();
    fs::remove_file(&copy).expect("it is removed again");
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say here"), ["here"]);
    assert_eq!(bridge.keepers().len(), 3, "{bridge}");
    bridge.end();
}

#[test]
fn an_agent_goes_with_a_keeper_that_is_killed() {
    let wrapper = r#"trap "" TERM; "$@"; exit $?"#;
    let mut bridge = Setup::new(&[], &["--deaf-stdin"]).wrapped(wrapper).start();
    bridge.initialize();
    let session = bridge.new_session();
    bridge.starts(&session, "grandchild setsid");
    bridge.starts(&session, "grandchild ignore-term");
    let turn = bridge.prompt(&session, "sleep 60000");
    let before = bridge.others();
    assert_eq!(before.len(), 4, "shell, agent, grandchildren");
    send_signal(keeper(&bridge), Signal::SIGKILL);
    let answer = bridge.answer(turn);
    assert_eq!(refusal(&answer), (-32603, "agent_exited"));
    eventually("the end of the tree", || before.iter().all(|pid| !is_alive(*pid)));
    bridge.logs("the keeper was killed");

    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say again"), ["again"]);
    keeper(&bridge);
    // Deaf to the end of its stdin: the ladder's second rung is for it.
    bridge.close_stdin();
    bridge.is_gone();
}

#[test]
fn a_keeper_that_is_stopped_is_woken_to_do_its_work() {
    let options = ["--shutdown-timeout-ms", "800"];
    let mut bridge = Bridge::ready(&options, &["--deaf-stdin", "--deaf-term"]);
    let session = bridge.new_session();
    bridge.starts(&session, "grandchild setsid");
    send_signal(keeper(&bridge), Signal::SIGSTOP);
    bridge.end();
}

#[test]
fn a_system_that_refuses_keepers_is_warned_of_once_and_served_without() {
    let mut bridge = Setup::new(&["--share", "session"], &[]).confined(Keepers::Refused).start();
    bridge.initialize();
    for _ in 0..2 {
        let session = bridge.new_session();
        assert_eq!(bridge.turn(&session, "say here"), ["here"]);
    }
    assert!(bridge.keepers().is_empty());
    assert!(bridge.others().iter().all(|agent| parent(*agent) == Some(bridge.pid())));
    let log = bridge.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("without keepers")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("WARN") && warnings[0].contains("not permitted"), "{log}");
    bridge.end();
}

#[test]
fn nobody_is_a_keeper_who_is_not_wanted() {
    let mut bridge = Bridge::ready(&["--no-keeper"], &[]);
    assert_eq!(parent(bridge.agent()), Some(bridge.pid()));
    assert!(bridge.keepers().is_empty());
    bridge.signal(Signal::SIGKILL);
    bridge.is_killed();
}

#[test]
fn a_keeper_that_a_person_starts_ends_at_once() {
    use std::os::unix::process::CommandExt;
    for arguments in [&[][..], &["--help"], &["900", "0", "0", "", "A", "b", "/", "true"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        let status = command.arg0("channel-keeper").args(arguments).status().expect("it starts");
        assert_eq!(status.code(), Some(2), "{arguments:?}");
    }
}

/// A daemon with a name that is spared, and one below it that is not.
struct Spared(Vec<u32>);

impl Spared {
    const SCRIPT: &str = r#"
        cp "$(command -v sleep)" ./lasting-daemon-of-others
        cat >./adb <<'END'
#!/bin/sh
./lasting-daemon-of-others 600 & echo $! >one
sleep 600 & echo $! >two
wait
END
        chmod +x ./adb
        ( env -i DRAWBRIDGE_CHANNEL="$DRAWBRIDGE_CHANNEL" setsid ./adb </dev/null >/dev/null 2>&1 &
          echo $! >three )
        until [ -s one ] && [ -s two ] && [ -s three ]; do sleep 0.01; done
        exec "$@""#;

    fn of(bridge: &Bridge) -> Spared {
        let number = |file| {
            let text = fs::read_to_string(bridge.scratch.file(file)).expect("its number");
            text.trim().parse().expect("a number")
        };
        let spared = Spared(["one", "two", "three"].map(number).to_vec());
        assert!(spared.0.iter().all(|pid| is_alive(*pid) && !is_keeper(*pid)));
        spared
    }

    fn living(&self) -> [bool; 3] {
        [0, 1, 2].map(|place| is_alive(self.0[place]))
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        for pid in self.0.iter().filter(|pid| is_alive(**pid)) {
            send_signal(*pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn whoever_is_spared_is_left_alone_with_what_it_started() {
    let mut bridge = Setup::new(&[], &[]).wrapped(Spared::SCRIPT).start();
    bridge.initialize();
    let spared = Spared::of(&bridge);
    bridge.close_stdin();
    bridge.is_gone();
    assert_eq!(spared.living(), [true; 3]);
    bridge.logs("left 1 process running: adb");
}

#[test]
fn whoever_is_spared_is_left_alone_when_the_bridge_is_killed() {
    let mut bridge = Setup::new(&[], &[]).wrapped(Spared::SCRIPT).start();
    bridge.initialize();
    let spared = Spared::of(&bridge);
    bridge.signal(Signal::SIGKILL);
    bridge.is_killed();
    assert_eq!(spared.living(), [true; 3]);
}

#[test]
fn whoever_stayed_in_the_agents_group_is_not_spared() {
    for switch in ["--no-keeper=false", "--no-keeper"] {
        let options = ["--spare", "sleep", switch];
        let mut bridge = Setup::new(&options, &[]).wrapped(r#"sleep 600 & exec "$@""#).start();
        bridge.initialize();
        assert_eq!(bridge.others().len(), 2, "{bridge}");
        bridge.close_stdin();
        bridge.is_gone();
        assert!(!bridge.log().contains("alone"), "{bridge}");
    }
}

#[test]
fn a_daemon_in_a_runtime_is_spared_by_its_command_line() {
    let script = r#"
        ln -s "$(command -v sh)" java
        for class in org.gradle.launcher.daemon.bootstrap.GradleDaemon GradleWrapperMain; do
            setsid ./java -c 'echo $$ >"$0"; while :; do sleep 1; done' $class 8.14 \
                </dev/null >/dev/null 2>&1 &
        done
        until [ -s GradleWrapperMain ] && [ -s org.gradle.*.GradleDaemon ]; do sleep 0.01; done
        exec "$@""#;
    for way in ["--no-keeper=false", "--no-keeper"] {
        let mut bridge = Setup::new(&[way], &[]).wrapped(script).start();
        bridge.initialize();
        let names = ["org.gradle.launcher.daemon.bootstrap.GradleDaemon", "GradleWrapperMain"];
        let [daemon, client] = names.map(|name| {
            let number = fs::read_to_string(bridge.scratch.file(name)).expect("its number");
            number.trim().parse::<u32>().expect("a number")
        });
        bridge.close_stdin();
        bridge.exit();
        assert_eq!((is_alive(daemon), is_alive(client)), (true, false), "{way}");
        bridge.logs("left 1 process running: gradle (java)");
        send_signal(daemon, Signal::SIGKILL);
        bridge.is_killed();
    }
}

#[test]
fn only_those_who_are_named_are_spared() {
    let options = ["--spare", "tmux,lasting-daemon-of-others"];
    for switch in ["--no-keeper=false", "--no-keeper"] {
        let options = [&options[..], &[switch]].concat();
        let mut bridge = Setup::new(&options, &[]).wrapped(Spared::SCRIPT).start();
        bridge.initialize();
        let spared = Spared::of(&bridge);
        bridge.close_stdin();
        bridge.is_gone();
        assert_eq!(spared.living(), [true, false, false], "{switch}");
        bridge.logs("ended 2 processes that the agent left behind");
        bridge.logs("left 1 process running: lasting-daemon-");
    }
    let mut bridge = Setup::new(&["--spare", "none"], &[]).wrapped(Spared::SCRIPT).start();
    bridge.initialize();
    let spared = Spared::of(&bridge);
    bridge.close_stdin();
    bridge.is_gone();
    assert_eq!(spared.living(), [false; 3]);
}

#[test]
fn keepers_that_are_killed_at_birth_are_missed_by_their_own_agents_alone() {
    let setup = Setup::new(&["--share", "session"], &[]).confined(Keepers::Killed);
    let mut bridge = setup.start();
    bridge.initialize();
    for count in 1..=2 {
        let session = bridge.new_session();
        assert_eq!(bridge.turn(&session, "say here"), ["here"]);
        let agent = bridge.pid_of(&session);
        assert_eq!(parent(agent), Some(bridge.pid()));
        // Each time one was tried.
        let log = bridge.log();
        let warnings = log.lines().filter(|line| line.contains("before it started the agent"));
        assert_eq!(warnings.filter(|line| line.contains("WARN")).count(), count, "{log}");
    }
    bridge.end();
}

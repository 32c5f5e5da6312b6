//! A tree of processes that hold on to life, and the ways in which its bridge may go.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::bridge::{Bridge, Setup};
use crate::processes::{below, eventually, is_alive, name, send_signal};

const OPTIONS: [&str; 4] = ["--stdin-grace-ms", "200", "--term-grace-ms", "200"];

/// How long the ladder may take with these options, and a busy machine beside it.
const BOUND: Duration = Duration::from_millis(3_000);

/// A launcher, a shell and the agent, which all ignore SIGTERM as what they
/// start does; and a daemon: its parent gone, in a session of its own, with
/// nothing in its environment.
const LAUNCHER: &str = r#"
    trap "" TERM
    (env -i setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $! >daemon)
    sh -c '"$@"; exit $?' sh "$@"
    exit $?"#;

/// A bridge and all that is below the keeper of its agent.
struct Tree {
    bridge: Bridge,
    keeper: u32,
    pids: Vec<u32>,
}

impl Tree {
    fn grown(setup: impl FnOnce(Setup) -> Setup) -> Tree {
        let setup = setup(Setup::new(&OPTIONS, &["--deaf-stdin"]).wrapped(LAUNCHER));
        let mut bridge = setup.start();
        bridge.initialize();
        let session = bridge.new_session();
        bridge.starts(&session, "grandchild ignore-term");
        bridge.starts(&session, "grandchild setsid");
        let keepers = bridge.keepers();
        assert_eq!(keepers.len(), 1, "one keeper\n{bridge}");
        let keeper = keepers[0];
        let pids = below(keeper);
        let daemon = fs::read_to_string(bridge.scratch.file("daemon")).expect("its number");
        let daemon = daemon.trim().parse().expect("a number");
        assert!(pids.contains(&daemon), "the keeper has adopted it\n{bridge}");
        eventually("the daemon", || name(daemon) == "sleep");
        let tree = Tree { bridge, keeper, pids };
        assert_eq!(tree.living(), 6, "launcher, shell, agent, three more\n{}", tree.bridge);
        tree
    }

    fn living(&self) -> usize {
        self.pids.iter().filter(|pid| is_alive(**pid)).count()
    }

    /// The bridge is killed; then the rest goes by itself.
    fn falls(mut self, kill: impl FnOnce(&mut Bridge)) {
        let begun = Instant::now();
        kill(&mut self.bridge);
        self.bridge.exit();
        eventually("the end of the tree", || self.living() == 0);
        eventually("the end of the keeper", || !is_alive(self.keeper));
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        self.bridge.is_killed();
    }

    /// The bridge ends itself, and nothing is left when it is gone.
    fn ends_well(mut self, ask: impl FnOnce(&mut Bridge)) {
        let begun = Instant::now();
        ask(&mut self.bridge);
        self.bridge.is_gone();
        assert_eq!(self.living(), 0, "left when the bridge exited");
        assert!(!is_alive(self.keeper), "the keeper stayed");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    }
}

impl Drop for Tree {
    /// The daemon carries no mark by which the bridge's guard would find it.
    fn drop(&mut self) {
        for pid in self.pids.iter().filter(|pid| is_alive(**pid)) {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}

#[test]
fn nothing_outlives_a_bridge_that_is_killed() {
    Tree::grown(|setup| setup).falls(|bridge| bridge.signal(Signal::SIGKILL));
}

#[test]
fn nothing_outlives_a_bridge_whose_whole_group_is_killed() {
    Tree::grown(Setup::grouped).falls(|bridge| {
        killpg(Pid::from_raw(bridge.pid().cast_signed()), Signal::SIGKILL).expect("its group");
    });
}

#[test]
fn nothing_is_left_after_the_end_of_stdin() {
    Tree::grown(|setup| setup).ends_well(|bridge| bridge.close_stdin());
}

#[test]
fn nothing_is_left_after_sigterm() {
    Tree::grown(|setup| setup).ends_well(|bridge| bridge.signal(Signal::SIGTERM));
}

#[test]
fn nothing_is_left_after_sigint_twice() {
    Tree::grown(|setup| setup).ends_well(|bridge| {
        bridge.signal(Signal::SIGINT);
        bridge.logs("shutting down");
        bridge.signal(Signal::SIGINT);
    });
}

#[test]
fn nothing_is_left_after_sighup() {
    Tree::grown(|setup| setup).ends_well(|bridge| bridge.signal(Signal::SIGHUP));
}

#[test]
fn nothing_outlives_a_keeper_that_is_told_to_go() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut tree = Tree::grown(|setup| setup);
        send_signal(tree.keeper, signal);
        eventually("the end of the tree", || tree.living() == 0);
        tree.bridge.logs("the agent exited unexpectedly: signal 9");
        tree.bridge.close_stdin();
        tree.bridge.is_gone();
    }
}

#[test]
fn a_keeper_that_is_told_to_go_before_its_bridge_is_killed_goes_on() {
    let tree = Tree::grown(|setup| setup);
    send_signal(tree.keeper, Signal::SIGTERM);
    tree.falls(|bridge| bridge.signal(Signal::SIGKILL));
}

#[test]
fn whoever_runs_from_process_to_process_is_caught() {
    // Each one starts the next and leaves; none has a mark.
    let launcher = r#"
        cat >hop <<'END'
echo >>hops
sleep 0.01
setsid sh hop &
END
        env -i setsid sh hop </dev/null >/dev/null 2>&1 &
        exec "$@""#;
    // They run too fast to be counted one by one.
    let hops =
        |bridge: &Bridge| fs::metadata(bridge.scratch.file("hops")).map_or(0, |file| file.len());
    for kill in [false, true] {
        let mut bridge = Setup::new(&OPTIONS, &[]).wrapped(launcher).start();
        bridge.initialize();
        eventually("the runners", || hops(&bridge) > 3);
        if kill {
            bridge.signal(Signal::SIGKILL);
            bridge.is_killed();
        } else {
            bridge.close_stdin();
            bridge.is_gone();
        }
        let before = hops(&bridge);
        sleep(Duration::from_millis(300));
        assert_eq!(hops(&bridge), before, "they run on\n{bridge}");
    }
}

#[test]
fn a_bridge_that_is_killed_in_a_handshake_leaves_nothing() {
    let flags = ["--silent", "--deaf-stdin", "--deaf-term"];
    let mut bridge = Setup::new(&OPTIONS, &flags).start();
    bridge.ask_to_initialize();
    eventually("the agent", || bridge.others().len() == 1);
    bridge.signal(Signal::SIGKILL);
    bridge.is_killed();
}

#[test]
fn a_bridge_that_is_killed_while_it_stops_an_agent_leaves_nothing() {
    let options = ["--channel-idle-timeout-ms", "0", "--stdin-grace-ms", "0"];
    let options = [&options[..], &["--term-grace-ms", "500"]].concat();
    let mut bridge = Bridge::ready(&options, &["--deaf-stdin", "--deaf-term"]);
    let session = bridge.new_session();
    bridge.call_about("session/close", &session);
    bridge.logs("SIGTERM sent");
    bridge.signal(Signal::SIGKILL);
    bridge.is_killed();
}

//! What a bridge that was killed could not end, where agents have no keepers: the
//! next bridge ends it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bridge::{Bridge, Setup};
use crate::processes::{eventually, is_alive};
use crate::scratch::Scratch;

/// A bridge without keepers, in front of an agent that is deaf to everything but
/// SIGKILL, with its state in this folder.
fn deaf(state: &Scratch) -> Bridge {
    let flags = ["--deaf-stdin", "--deaf-term"];
    let state = state.path().to_str().expect("a name in UTF-8");
    let options = ["--no-keeper", "--shutdown-timeout-ms", "400"];
    let setup = Setup::new(&options, &flags).variable("XDG_STATE_HOME", state);
    let mut bridge = setup.start();
    bridge.initialize();
    bridge
}

fn ledgers(state: &Scratch) -> Vec<std::path::PathBuf> {
    let folder = state.file("drawbridge/agents");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Kills a bridge, and says which agent and which of its children stayed.
fn killed(mut bridge: Bridge) -> (Bridge, Vec<u32>) {
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let child = bridge.starts(&session, "grandchild setsid");
    bridge.signal(Signal::SIGKILL);
    assert_eq!(bridge.exit().code(), None);
    assert!(is_alive(agent) && is_alive(child), "nobody was there to end them");
    (bridge, vec![agent, child])
}

#[test]
fn what_a_killed_bridge_left_is_ended_by_the_next_one() {
    let state = Scratch::new();
    let (mut first, left) = killed(deaf(&state));
    let [ledger] = &ledgers(&state)[..] else { panic!("a ledger is left") };
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(ledger), mode(ledger.parent().expect("a folder"))), (0o600, 0o700));

    let next = deaf(&state);
    eventually("the end of what was left", || left.iter().all(|pid| !is_alive(*pid)));
    next.logs("a bridge that was killed: ended 2 processes");
    eventually("the ledger of the next one alone", || !ledgers(&state).contains(ledger));
    next.end();
    assert_eq!(ledgers(&state).len(), 0, "who leaves in order leaves none");
    first.is_killed();
}

#[test]
fn the_agents_of_a_bridge_that_lives_are_left_alone() {
    let state = Scratch::new();
    let mut first = deaf(&state);
    let session = first.new_session();
    let agent = first.pid_of(&session);
    let second = deaf(&state);
    second.logs("agent started");
    second.end();
    assert!(is_alive(agent));
    assert_eq!(first.turn(&session, "say undisturbed"), ["undisturbed"]);
    first.end();
}

#[test]
fn a_number_that_was_given_away_again_is_not_signalled() {
    let state = Scratch::new();
    let (mut first, left) = killed(deaf(&state));
    let [ledger] = &ledgers(&state)[..] else { panic!("a ledger is left") };
    // As if the agent's number belonged to somebody who was born at another time,
    // and its tree were gone.
    let text = fs::read_to_string(ledger).expect("a ledger");
    let agent = format!("agent {} ", left[0]);
    let line = text.lines().find(|line| line.starts_with(&agent)).expect("the agent");
    let strange = text.replace(line, &format!("{agent}1 no-such-cookie"));
    fs::write(ledger, strange).expect("the ledger is written");
    let next = deaf(&state);
    eventually("the sweep", || !ledgers(&state).contains(ledger));
    assert!(left.iter().all(|pid| is_alive(*pid)));
    next.end();
    for pid in left {
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
    }
    first.is_killed();
}

#[test]
fn a_ledger_of_another_start_of_the_machine_or_of_nonsense_harms_nobody() {
    let state = Scratch::new();
    let folder = state.directory("drawbridge/agents");
    let mut bystander = Command::new("sleep").arg("600").process_group(0).spawn().expect("sleep");
    let pid = bystander.id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
    let fields = stat.rsplit_once(')').expect("its name").1;
    let born = fields.split_whitespace().nth(19).expect("the time of its birth");
    for (name, text) in [
        ("old", format!("machine another\nbridge 1 1\nagent {pid} {born} cookie\n")),
        ("odd", "what is this?".to_owned()),
        ("empty", String::new()),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let bridge = deaf(&state);
    eventually("the sweep", || !folder.join("old").exists());
    assert!(is_alive(pid), "its number and its birth are right, but not the machine's start");
    bystander.kill().expect("it is there");
    bystander.wait().expect("it is our child");
    bridge.end();
}

//! What a bridge that was killed could not end, where agents have no keepers: the
//! next bridge ends it.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
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

/// The name of a ledger of this machine, made since this start of it.
fn ledger_name(start: &str) -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = Some(id.trim()).filter(|id| !id.is_empty()).unwrap_or("machine").to_owned();
    format!("{id}_{start}_1_0")
}

fn this_start() -> String {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the machine's start");
    start.trim().to_owned()
}

#[test]
fn a_ledger_of_another_start_of_the_machine_or_of_nonsense_harms_nobody() {
    let state = Scratch::new();
    let folder = state.directory("drawbridge/agents");
    for folder in [&folder, &state.file("drawbridge")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }
    let mut bystander = Command::new("sleep")
        .arg("600")
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sleep");
    let pid = bystander.id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
    let fields = stat.rsplit_once(')').expect("its name").1;
    let born = fields.split_whitespace().nth(19).expect("the time of its birth");
    let agent = format!("agent {pid} {born} cookie\n");
    let (before, nonsense) = (ledger_name("another"), ledger_name(&this_start()));
    for (name, text) in [
        (before.as_str(), agent.as_str()),
        (&nonsense, "what is this?\nagent\nagent x y z\n"),
        ("of-somebody-else", &agent),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let bridge = deaf(&state);
    eventually("the sweep", || !folder.join(&before).exists() && !folder.join(&nonsense).exists());
    assert!(folder.join("of-somebody-else").exists(), "another machine may share the directory");
    assert!(is_alive(pid), "its number and its birth are right, but not the machine's start");
    bystander.kill().expect("it is there");
    bystander.wait().expect("it is our child");
    bridge.end();
}

#[test]
fn the_agents_of_a_bridge_that_holds_its_lock_are_left_alone_whatever_its_number_means() {
    let state = Scratch::new();
    let (mut first, left) = killed(deaf(&state));
    let [ledger] = &ledgers(&state)[..] else { panic!("a ledger is left") };
    // As if the bridge lived in another container: here no process has its number.
    let file = File::options().write(true).open(ledger).expect("the ledger");
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).expect("nobody holds it");
    let second = deaf(&state);
    second.logs("agent started");
    second.end();
    assert!(ledger.exists() && left.iter().all(|pid| is_alive(*pid)));
    drop(lock);
    let third = deaf(&state);
    eventually("the end of what was left", || left.iter().all(|pid| !is_alive(*pid)));
    third.end();
    first.is_killed();
}

#[test]
fn a_planted_ledger_is_not_believed() {
    let state = Scratch::new();
    let (mut first, left) = killed(deaf(&state));
    let [ledger] = &ledgers(&state)[..] else { panic!("a ledger is left") };
    let elsewhere = state.file("elsewhere");
    fs::rename(ledger, &elsewhere).expect("it is moved");
    for plant in [|from, to| symlink(from, to), |from, to| fs::hard_link(from, to)] {
        plant(elsewhere.clone(), ledger.clone()).expect("a planted file");
        let bridge = deaf(&state);
        bridge.logs("agent started");
        bridge.end();
        assert!(left.iter().all(|pid| is_alive(*pid)), "the file is not the bridge's own");
        fs::remove_file(ledger).expect("it is still there");
    }
    // A directory into which others can write.
    fs::rename(&elsewhere, ledger).expect("it is moved back");
    let folder = ledger.parent().expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let bridge = deaf(&state);
    bridge.logs("no ledger in");
    bridge.end();
    assert!(left.iter().all(|pid| is_alive(*pid)));
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let bridge = deaf(&state);
    eventually("the end of what was left", || left.iter().all(|pid| !is_alive(*pid)));
    bridge.end();
    first.is_killed();
}

//! An agent that was updated, or whose login is over, while it runs: its sessions go on, and new
//! ones get a process that is up to date.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::json;

use crate::bridge::{Bridge, Setup, stub};
use crate::many::{Connected, Host};
use crate::processes::eventually;
use crate::programs::plant;
use crate::scratch::write_script;

/// A bridge in front of this command, for which files are laid out in its directory first.
fn bridge_with(options: &[&str], command: &[&str], lay_out: impl FnOnce(&Path)) -> Bridge {
    let setup = Setup::with_command(options, command);
    lay_out(setup.scratch().path());
    let mut bridge = setup.start();
    bridge.initialize();
    bridge
}

#[test]
fn an_updated_program_serves_new_sessions_and_the_old_one_those_that_it_has() {
    for keeper in [&[][..], &["--no-keeper"]] {
        let mut bridge =
            bridge_with(keeper, &["./my-agent"], |path| plant(path, "my-agent", "old"));
        let first = bridge.new_session();
        let second = bridge.new_session();
        assert_eq!(bridge.pid_of(&first), bridge.pid_of(&second), "nothing has changed");
        plant(bridge.scratch.path(), "my-agent", "newer");
        let third = bridge.new_session();
        assert_eq!(bridge.turn(&third, "env ORIGIN"), ["newer"]);
        assert_eq!(bridge.turn(&first, "env ORIGIN"), ["old"]);
        bridge.logs("my-agent has changed since its start (agent_updated)");
        let fourth = bridge.new_session();
        assert_eq!(bridge.pid_of(&third), bridge.pid_of(&fourth));
        let old = bridge.pid_of(&first);
        for session in [&first, &second] {
            bridge.call_about("session/close", session);
        }
        eventually("the end of the old agent", || !bridge.others().contains(&old));
        assert_eq!(bridge.turn(&fourth, "say all is well"), ["all is well"]);
        bridge.end();
    }
}

#[test]
fn in_the_middle_of_an_update_the_running_agent_serves_on() {
    let mut bridge = bridge_with(&[], &["./my-agent"], |path| plant(path, "my-agent", "old"));
    let first = bridge.new_session();
    fs::remove_file(bridge.scratch.file("my-agent")).expect("the program");
    let second = bridge.new_session();
    assert_eq!(bridge.pid_of(&first), bridge.pid_of(&second));
    plant(bridge.scratch.path(), "my-agent", "new");
    let third = bridge.new_session();
    assert_eq!(bridge.turn(&third, "env ORIGIN"), ["new"]);
    bridge.end();
}

/// The script of a package that becomes the stub.
fn script() -> String {
    format!("exec '{}' \"$@\"\n", stub().display())
}

#[test]
fn a_script_and_the_description_of_its_package_count_too() {
    let command = ["env", "A=b", "sh", "package/dist/agent.js"];
    let mut bridge = bridge_with(&[], &command, |path| {
        fs::create_dir_all(path.join("package/dist")).expect("the package");
        fs::write(path.join("package/package.json"), "{}").expect("its description");
        fs::write(path.join("package/dist/agent.js"), script()).expect("its script");
    });
    let first = bridge.new_session();
    let mut before = bridge.pid_of(&first);
    for (file, text) in [
        ("package/package.json", r#"{"version":"2"}"#.to_owned()),
        ("package/dist/agent.js", format!("# 2\n{}", script())),
    ] {
        fs::write(bridge.scratch.file(file), text).expect("a newer file");
        let sessions = [bridge.new_session(), bridge.new_session()];
        let pids = sessions.map(|session| bridge.pid_of(&session));
        assert!(pids[0] != before && pids[0] == pids[1], "{file}");
        bridge.logs(&format!("{file} has changed"));
        before = pids[0];
    }
    bridge.end();
}

#[test]
fn an_agent_whose_start_changes_its_files_is_shared_all_the_same() {
    // The launcher installs the newest version, and then runs it.
    let install = r#"cp newest other && mv other my-agent && exec "$@""#;
    let setup = Setup::with_command(&[], &["./my-agent"]).wrapped(install);
    plant(setup.scratch().path(), "newest", "one");
    let mut bridge = setup.start();
    bridge.initialize();
    let sessions = [(); 3].map(|()| bridge.new_session());
    let pids = sessions.each_ref().map(|session| bridge.pid_of(session));
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    // A version that is installed later is another matter.
    plant(bridge.scratch.path(), "my-agent", "two");
    let later = bridge.new_session();
    assert_ne!(bridge.pid_of(&later), pids[0]);
    bridge.end();
}

#[test]
fn an_update_that_does_not_start_takes_no_service_away() {
    let mut bridge = bridge_with(&[], &["./my-agent"], |path| plant(path, "my-agent", "old"));
    let first = bridge.new_session();
    let broken = bridge.scratch.file("my-agent");
    write_script(&broken, "#!/bin/sh\necho broken >&2; exit 3\n");
    let sessions = [bridge.new_session(), bridge.new_session()];
    let old = bridge.pid_of(&first);
    for session in &sessions {
        assert_eq!(bridge.pid_of(session), old);
    }
    bridge.logs("broken");
    plant(bridge.scratch.path(), "my-agent", "mended");
    // The crash was a moment ago: a start may have to wait, and the old agent serves meanwhile.
    eventually("the mended agent", || {
        let session = bridge.new_session();
        bridge.turn(&session, "env ORIGIN") == ["mended"]
    });
    bridge.end();
}

#[test]
fn an_update_that_cannot_be_run_is_tried_once() {
    let mut bridge = bridge_with(&[], &["./my-agent"], |path| plant(path, "my-agent", "old"));
    let first = bridge.new_session();
    write_script(&bridge.scratch.file("my-agent"), "#!/no/such/interpreter\n");
    let sessions = [(); 3].map(|()| bridge.new_session());
    let old = bridge.pid_of(&first);
    assert!(sessions.iter().all(|session| bridge.pid_of(session) == old));
    assert_eq!(bridge.log().matches("could not be started").count(), 1, "{}", bridge.log());
    bridge.end();
}

/// A client whose keys are behind this socket.
fn with_keys(host: &Host, socket: &Path) -> Connected {
    let mut hello = host.hello();
    hello.variables.insert("SSH_AUTH_SOCK".to_owned(), socket.display().to_string());
    host.client_with(&hello)
}

#[test]
fn an_agent_whose_login_is_over_gets_no_new_sessions_from_one_that_lives() {
    let host = Host::start(&json!({}), &[]);
    let [old, new] = ["old", "new"].map(|name| host.scratch.file(name));
    let listener = UnixListener::bind(&old).expect("a socket");
    let mut first = with_keys(&host, &old);
    let one = first.new_session();
    let _other = UnixListener::bind(&new).expect("a socket");
    // Both logins live: they share the process.
    let mut second = with_keys(&host, &new);
    let two = second.new_session();
    assert_eq!(first.pid_of(&one), second.pid_of(&two));
    drop(listener);
    let three = second.new_session();
    assert_ne!(first.pid_of(&one), second.pid_of(&three));
    assert_eq!(second.turn(&three, "env SSH_AUTH_SOCK"), [new.display().to_string()]);
    host.logs("SSH_AUTH_SOCK");
    assert_eq!(first.turn(&one, "say still here"), ["still here"]);
    host.end();
}

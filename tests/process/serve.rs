//! `drawbridge serve`: one daemon for each place, how it is started and told things, and when it
//! ends by itself.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use drawbridge::link::control::Control;
use drawbridge::link::streams::{Streams, receive};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::dup2_raw;
use serde_json::json;

use crate::processes::{self, eventually};
use crate::scratch::copy_program;
use crate::site::{SHORT, Site, wrapped};

#[test]
fn a_second_daemon_leaves_the_first_one_alone() {
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&[]);
    let output = site.command("serve").output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("serves") && said.contains("already"), "{said}");
    assert_eq!(site.daemon(), daemon);
    site.editor(&[]).leave();
    site.end();
}

#[test]
fn a_stale_socket_gives_way() {
    let mut site = Site::new(SHORT);
    drop(UnixListener::bind(site.socket()).expect("a socket"));
    let daemon = site.serve(&[]);
    eventually("the daemon", || site.command("reload").status().is_ok_and(|it| it.success()));
    processes::send_signal(daemon, Signal::SIGKILL);
    site.ended();
    assert!(site.socket().exists(), "it was killed");
    // The next editor starts another one in its place.
    site.editor(&[]).leave();
    site.end();
}

#[test]
fn a_daemon_that_nobody_uses_ends() {
    let mut site = Site::new(SHORT);
    site.serve(&["--daemon-idle-timeout", "400ms"]);
    let mut editor = site.editor(&[]);
    editor.new_session();
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(site.daemons().len(), 1);
    editor.leave();
    assert!(site.ended().success());
    site.logs("neither a client nor a session");
    site.end();
}

#[test]
fn its_configuration_is_read_again_and_a_wrong_one_changes_nothing() {
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&[]);
    let named = |name: &str| {
        let mut shim = site.command("connect");
        shim.args(["--agent", name]);
        crate::site::Editor::start(shim)
    };
    let file = site.scratch.file("config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let stub = crate::bridge::stub().display().to_string();
    let flag = site.scratch.file("first.log").display().to_string();
    fs::write(
        &file,
        format!("{text}\n[agents.new]\ncommand = '{stub}'\nargs = ['--log', '{flag}']\n"),
    )
    .expect("the configuration");
    // The shim knows the new agent, the daemon does not yet.
    let mut early = named("new");
    early.initialize();
    site.logs("has no agent new");
    early.leave();
    let reload = |site: &Site| {
        let output = site.command("reload").output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(reload(&site), (Some(0), String::new()));
    let mut editor = named("new");
    editor.initialize();
    let session = editor.new_session();
    let first = editor.pid_of(&session);
    assert!(Path::new(&flag).exists());

    // An agent whose command has changed is replaced with the next session.
    let flag = site.scratch.file("second.log").display().to_string();
    fs::write(
        &file,
        format!("{text}\n[agents.new]\ncommand = '{stub}'\nargs = ['--log', '{flag}']\n"),
    )
    .expect("the configuration");
    processes::send_signal(daemon, Signal::SIGHUP);
    eventually("the news", || site.log().matches("was read again").count() == 2);
    let other = editor.new_session();
    assert_ne!(editor.pid_of(&other), first, "{site}");
    assert!(Path::new(&flag).exists());
    assert_eq!(editor.turn(&session, "say old"), ["old"]);

    fs::write(&file, "[defaults]\nno-such = 1\n").expect("the configuration");
    let (code, said) = reload(&site);
    assert_eq!(code, Some(1));
    assert!(said.contains("unknown key no-such"), "{said}");
    fs::write(&file, text).expect("the configuration");
    editor.leave();
    assert_eq!(site.daemon(), daemon);
    // The wrong file is an error in the log, and the one that is expected.
    let log = site.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    fs::write(site.scratch.file("log"), "").expect("the log");
    site.end();
}

#[test]
fn a_socket_that_is_removed_is_bound_again() {
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&[]);
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    fs::remove_file(site.socket()).expect("the socket");
    eventually("the socket", || site.socket().exists());
    site.editor(&[]).leave();
    assert_eq!(site.daemon(), daemon);
    assert_eq!(editor.turn(&session, "say on"), ["on"]);
    editor.leave();
    site.end();
}

#[test]
fn a_daemon_whose_directory_is_gone_ends_with_its_last_editor() {
    let site = Site::new(SHORT);
    let place = site.scratch.directory("runtime");
    let socket = place.join("socket");
    let config = site.scratch.file("config.toml");
    let mut daemon = site.command_with("serve", &socket, &config);
    daemon.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = daemon.spawn().expect("it is started");
    eventually("its socket", || socket.exists());
    let mut shim = site.command_with("connect", &socket, &config);
    shim.arg("--").arg(crate::bridge::stub());
    let mut editor = crate::site::Editor::start(shim);
    editor.initialize();
    let session = editor.new_session();
    fs::remove_dir_all(&place).expect("the directory");
    site.logs("ends when nobody uses it");
    assert_eq!(editor.turn(&session, "say on"), ["on"]);
    editor.leave();
    let mut status = None;
    eventually("its end", || {
        status = child.try_wait().expect("our child");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()));
    site.end();
}

#[test]
fn a_daemon_whose_program_was_replaced_ends_when_nothing_is_under_way() {
    let mut site = Site::new(SHORT);
    let program = site.scratch.directory("bin").join("drawbridge");
    copy_program(Path::new(crate::site::DRAWBRIDGE), &program);
    let usual = site.command("serve");
    let mut daemon = Command::new(&program);
    daemon.args(usual.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    daemon.env("HOME", site.scratch.path()).env_remove("RUST_LOG");
    site.serve_by(daemon);
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    let newer = site.scratch.file("newer");
    copy_program(Path::new(crate::site::DRAWBRIDGE), &newer);
    fs::rename(&newer, &program).expect("an update");
    assert_eq!(editor.turn(&session, "say on"), ["on"]);
    editor.leave();
    assert!(site.ended().success());
    site.logs("another daemon takes its place");
    site.end();
}

#[test]
fn a_service_manager_may_bind_the_socket_and_is_told_that_it_serves() {
    let mut site = Site::new(SHORT);
    let listener = UnixListener::bind(site.socket()).expect("a socket");
    let notices = UnixDatagram::bind(site.scratch.file("notify")).expect("a socket");
    notices.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@""#;
    let mut daemon = wrapped(&site.command("serve"), script);
    daemon.env("NOTIFY_SOCKET", site.scratch.file("notify"));
    daemon.stdin(Stdio::null()).stdout(Stdio::null());
    let number = listener.as_raw_fd();
    // SAFETY: only a system call is made, which is async-signal-safe.
    #[allow(unsafe_code)] // the daemon finds the socket at this number
    unsafe {
        daemon.pre_exec(move || {
            let given = BorrowedFd::borrow_raw(number);
            if number == 3 {
                fcntl(given, FcntlArg::F_SETFD(FdFlag::empty()))?;
            } else {
                std::mem::forget(dup2_raw(given, 3)?);
            }
            Ok(())
        });
    }
    site.serve_by(daemon);
    let heard = || {
        let mut text = [0; 256];
        let length = notices.recv(&mut text).expect("a notice");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert_eq!(heard().trim_end(), "READY=1");
    let mut editor = site.editor(&[]);
    editor.new_session();
    assert!(site.command("reload").status().expect("it runs").success());
    assert!(heard().starts_with("RELOADING=1"));
    assert_eq!(heard().trim_end(), "READY=1");
    editor.leave();
    let daemon = site.daemon();
    processes::send_signal(daemon, Signal::SIGTERM);
    assert!(site.ended().success());
    assert_eq!(heard().trim_end(), "STOPPING=1");
    assert!(site.socket().exists(), "the service manager keeps it");
    fs::remove_file(site.socket()).expect("the socket");
    site.end();
}

#[test]
fn a_file_that_others_can_write_is_fatal_if_it_was_named() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(SHORT);
    let file = site.scratch.file("config.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("a mode");
    let output = site.command("serve").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("other users may write to it"), "{said}");
    site.end();
}

/// Where the tool is there that reads units as the service manager does.
#[test]
fn the_units_are_sound() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    let scratch = crate::scratch::Scratch::new();
    for name in ["drawbridge.service", "drawbridge.socket"] {
        let text = fs::read_to_string(units.join(name)).expect("a unit");
        let text = text.replace("%h/.cargo/bin/drawbridge", crate::site::DRAWBRIDGE);
        fs::write(scratch.file(name), text).expect("a unit");
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "verify"]).arg(scratch.file("drawbridge.socket"));
    verify.arg(scratch.file("drawbridge.service")).env("XDG_RUNTIME_DIR", scratch.path());
    match verify.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let of_ours: Vec<&str> = said.lines().filter(|it| it.contains("drawbridge")).collect();
            assert!(output.status.success() && of_ours.is_empty(), "{said}");
        }
        Err(error) => eprintln!("skipped: there is no systemd-analyze: {error}"),
    }
    // The properties that connect asks the service manager for are those of the unit.
    let unit = fs::read_to_string(units.join("drawbridge.service")).expect("the unit");
    for property in drawbridge::shim::start::PROPERTIES {
        assert!(unit.lines().any(|line| line == property), "{property}");
    }
}

#[test]
fn a_place_with_a_longer_name_in_the_same_directory_is_another_one() {
    let mut site = Site::new(SHORT);
    let other = site.scratch.file("socket.work");
    let mut work = site.command_with("serve", &other, &site.scratch.file("config.toml"));
    let mut work = work.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it is started");
    eventually("its socket", || other.exists());
    site.serve(&[]);
    let mut editor = site.editor(&[]);
    let answer = editor.restore("session/load", "stored");
    assert!(answer["error"].is_object(), "it does not wait: {answer}");
    assert!(work.try_wait().expect("our child").is_none(), "{site}");
    editor.leave();
    processes::send_signal(work.id(), Signal::SIGTERM);
    assert!(work.wait().expect("our child").success());
    site.end();
}

#[test]
fn a_relative_configuration_file_is_found_again() {
    let mut site = Site::new(SHORT);
    let daemon = site.command_with("serve", &site.socket(), Path::new("config.toml"));
    let mut daemon = daemon;
    daemon.stdin(Stdio::null()).stdout(Stdio::null());
    site.serve_by(daemon);
    let output = site.command("reload").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    // The same file under another path is the same file.
    let mut editor = site.editor(&[]);
    editor.new_session();
    assert!(!site.log().contains("config_differs"), "{site}");
    editor.leave();
    site.end();
}

#[test]
fn a_connection_goes_on_through_its_socket_or_through_pipes_if_they_are_taken() {
    let mut site = Site::new(SHORT);
    site.serve(&[]);
    for takes_pipes in [false, true] {
        let mut socket = UnixStream::connect(site.socket()).expect("it listens");
        let hello = json!({"hello": {
            "wire": 1, "version": "0", "agent": {"named": {"name": "stub", "arguments": []}},
            "directory": site.scratch.path(), "environment": [["PATH", "/usr/bin:/bin"]],
            "umask": 18, "editor": null, "config": null, "adopts": false, "pipes": takes_pipes,
        }});
        socket.write_all(format!("#{hello}\n").as_bytes()).expect("it is read");
        let (mut line, mut descriptors) = (String::new(), Vec::new());
        while let Some(byte) = receive(&socket, &mut descriptors).expect("an answer")
            && byte != b'\n'
        {
            line.push(byte.into());
        }
        let is_taken = takes_pipes && cfg!(target_os = "linux");
        assert_eq!(descriptors.len(), if is_taken { 2 } else { 0 });
        let Some(Control::Welcome(welcome)) = Control::read(line.as_bytes()) else {
            panic!("{line}")
        };
        let streams = Streams::welcomed(socket, &welcome, descriptors).expect("streams");
        let (from, mut to): (File, File) = match streams {
            Streams::Pipes { from, to } => (from.into(), to.into()),
            Streams::Socket(socket) => {
                let again = socket.try_clone().expect("a descriptor");
                (OwnedFd::from(again).into(), OwnedFd::from(socket).into())
            }
        };
        let mut lines = BufReader::new(from).lines().map_while(Result::ok);
        let cwd = site.scratch.path();
        for (id, method, params) in [
            (1, "initialize", json!({"protocolVersion": 1, "clientCapabilities": {}})),
            (2, "session/new", json!({"cwd": cwd, "mcpServers": []})),
        ] {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            to.write_all(format!("{request}\n").as_bytes()).expect("it is read");
            let answer = lines.by_ref().find(|line| line.contains(&format!("\"id\":{id}")));
            assert!(answer.is_some_and(|answer| answer.contains("\"result\"")), "{site}");
        }
        // A socket has one end for both directions.
        let _ = shutdown(to.as_raw_fd(), Shutdown::Write);
        drop(to);
        assert_eq!(lines.next(), None, "the daemon ends the connection, too");
    }
    eventually("the end of the agents", || site.agents().is_empty());
    site.end();
}

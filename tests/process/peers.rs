//! Who is let in at the socket, and what a stranger can do there: nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::bridge::stub;
use crate::processes::{self, eventually};
use crate::scratch::write_script;
use crate::site::{DRAWBRIDGE, Editor, SHORT, Site};

/// Whether another tool is there that a test needs; without it a part is skipped.
fn has(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("skipped in part: there is no {tool}");
    }
    is_there
}

#[test]
fn a_tool_of_an_agent_is_refused_however_it_was_forked() {
    let mut site = Site::new(SHORT);
    site.serve(&[]);
    let seen = site.scratch.directory("seen");
    let script = site.scratch.file("agent");
    let reload = format!("{DRAWBRIDGE} reload --socket {}", site.socket().display());
    let ask =
        |name: &str| format!("{reload} > {0}/{name} 2>&1; touch {0}/{name}.done", seen.display());
    let ways = [
        ask("child"),
        format!("setsid sh -c '{}'", ask("session")),
        // An orphan: its parent has ended before it asks.
        format!("(sh -c 'sleep 0.3; {}' &)", ask("orphan")),
        format!("(setsid sh -c 'sleep 0.3; {}' &) &", ask("daemon")),
        format!("env -i sh -c '{}'", ask("bare")),
        // A daemon with the name of a program that is spared.
        format!("(exec -a tmux setsid sh -c 'sleep 0.3; {}' &)", ask("spared")),
    ];
    let text = format!("#!/bin/bash\n{}\nexec {}\n", ways.join("\n"), stub().display());
    write_script(&script, &text);
    let mut shim = site.command("connect");
    shim.arg("--").arg(&script);
    let mut editor = Editor::start(shim);
    editor.initialize();
    for name in ["child", "session", "orphan", "daemon", "bare", "spared"] {
        eventually(&format!("{name}\n{site}"), || seen.join(format!("{name}.done")).exists());
        let said = fs::read_to_string(seen.join(name)).expect("what it got");
        assert!(said.contains("inside_agent"), "{name}: {said}");
    }
    editor.leave();
    site.end();
}

/// The first line of an editor.
const HELLO: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}"#;

/// A shell command that stands for an editor of this place.
fn connects(site: &Site) -> String {
    let (socket, config) = (site.socket(), site.scratch.file("config.toml"));
    let (socket, config, stub) = (socket.display(), config.display(), stub());
    format!("{DRAWBRIDGE} connect --socket {socket} --config {config} -- {}", stub.display())
}

#[test]
fn a_chat_inside_of_an_agent_is_served_alone() {
    let mut site = Site::new(SHORT);
    site.serve(&[]);
    let (answer, script) = (site.scratch.file("answer"), site.scratch.file("agent"));
    let inner = connects(&site);
    write_script(
        &script,
        &format!(
            "#!/bin/sh\n(echo '{HELLO}'; sleep 1) | {inner} > {}\nexec {}\n",
            answer.display(),
            stub().display()
        ),
    );
    let mut shim = site.command("connect");
    shim.arg("--").arg(&script);
    let mut editor = Editor::start(shim);
    editor.initialize();
    let text = fs::read_to_string(&answer).expect("its answer");
    assert!(text.contains(r#""protocolVersion":1"#), "{text}\n{site}");
    site.logs("this editor is served without the daemon: This process was started by an agent");
    editor.leave();
    site.end();
}

#[test]
fn another_user_and_another_namespace_are_refused() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root may be another user");
        return;
    }
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&[]);
    let mode = fs::metadata(site.socket()).expect("the socket").mode();
    assert_eq!(mode & 0o077, 0, "it is for the user alone");
    // Whoever opens it to others by hand still lets nobody in.
    fs::set_permissions(site.socket(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let mut other = Command::new(env::current_exe().expect("this test"));
    other.args(["--exact", "peers::a_process_of_another_user", "--nocapture"]);
    let other = other.env("SOCKET", site.socket()).uid(65_534).gid(65_534).output();
    let said = String::from_utf8_lossy(&other.expect("it runs").stderr).into_owned();
    assert!(said.contains("it said []"), "{said}\n{site}");
    site.logs("a process of another user was refused");
    assert!(site.command("reload").status().expect("it runs").success(), "{site}");
    if has("unshare") {
        for flag in ["--mount", "--pid", "--user"] {
            let mut command = Command::new("unshare");
            command.args([flag, "--fork", DRAWBRIDGE, "reload", "--socket"]).arg(site.socket());
            let output = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if said.contains("unshare") {
                eprintln!("skipped in part: {said}");
                continue;
            }
            assert!(said.contains("other_namespace"), "{flag}: {said}\n{site}");
        }
    }
    processes::send_signal(daemon, nix::sys::signal::Signal::SIGTERM);
    assert!(site.ended().success());
    if has("unshare") {
        fs::remove_file(site.scratch.file("log")).expect("the log");
        site.serve(&["--allow-foreign-namespaces"]);
        let mut command = Command::new("unshare");
        command.args(["--mount", DRAWBRIDGE, "reload", "--socket"]).arg(site.socket());
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("unshare"), "{said}\n{site}");
    }
    site.end();
}

/// A part of the test above, which runs it as another user.
#[test]
fn a_process_of_another_user() {
    let Some(socket) = env::var_os("SOCKET") else { return };
    let mut stream = UnixStream::connect(socket).expect("it is open to all");
    let _ = stream.write_all(b"#\"holds\"\n");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    eprintln!("it said {said:?}");
}

#[test]
fn planted_links_and_files_are_not_followed_and_not_removed() {
    let site = Site::new(SHORT);
    let target = site.scratch.file("target");
    fs::write(&target, "kept").expect("a file");
    for name in ["socket", "socket.lock"] {
        let planted = site.scratch.file(name);
        symlink(&target, &planted).expect("a link");
        let output = site.command("serve").stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        fs::remove_file(&planted).expect("it is still there");
        let _ = fs::remove_file(site.scratch.file("socket.lock"));
    }
    assert_eq!(fs::read_to_string(&target).expect("it is there"), "kept");
    // A file of process trees that was planted is read as none.
    let planted = site.scratch.file("socket.1.1.trees");
    symlink(&target, &planted).expect("a link");
    let mut editor = site.editor(&[]);
    let answer = editor.restore("session/load", "stored");
    assert!(answer["error"].is_object(), "it does not wait: {answer}");
    assert!(planted.symlink_metadata().is_ok());
    assert_eq!(fs::read_to_string(&target).expect("it is there"), "kept");
    editor.leave();
    site.end();
}

#[test]
fn connections_that_say_nothing_or_nonsense_disturb_nobody() {
    let mut site = Site::new(SHORT);
    site.serve(&[]);
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a higher limit");
    let amount = (hard / 2).min(10_000) as usize;
    let socket = site.socket();
    let mut silent = Vec::new();
    for number in 0..amount {
        if let Ok(stream) = UnixStream::connect(&socket) {
            silent.push(stream);
        }
        if number % 1000 == 0 {
            assert_eq!(editor.turn(&session, "say on"), ["on"]);
        }
    }
    let begun = Instant::now();
    let mut late = site.editor(&[]);
    late.new_session();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(site.log().matches("served without").count() == 0, "{site}");
    let open = fs::read_dir(format!("/proc/{}/fd", site.daemon())).map_or(0, Iterator::count);
    assert!(open < 150, "{open} descriptors");
    drop(silent);

    // Half a hello gets its answer after five seconds, nonsense at once.
    let mut half = UnixStream::connect(&socket).expect("it listens");
    half.write_all(b"#{\"hello\":{\"wire\"").expect("it is written");
    let big = "x".repeat(3 << 20);
    let hello = |environment: &str| {
        format!(
            "#{{\"hello\":{{\"wire\":1,\"version\":\"0\",\"agent\":{{\"command\":{{\"words\":[\"x\"],\
             \"name\":null}}}},\"directory\":\"/\",\"environment\":[{environment}],\"umask\":18,\
             \"editor\":null,\"config\":null,\"adopts\":false}}}}"
        )
    };
    for (line, kind) in [
        ("hello".to_owned(), "bad_hello"),
        ("#{\"hello\":1}".to_owned(), "bad_hello"),
        (hello(&format!("[\"A\",\"{big}\"]")), "bad_hello"),
        (hello("[\"A=B\",\"x\"]"), "bad_hello"),
        (hello("[\"\",\"x\"]"), "bad_hello"),
        (hello("[\"A\",\"\\u0000\"]"), "bad_hello"),
        (hello("").replace("\"wire\":1", "\"wire\":99"), "other_wire"),
        (hello("").replace("\"adopts\":false", "\"adopts\":true") + "\n#\"reload\"", "bad_hello"),
    ] {
        assert_eq!(answered(&socket, &line), kind, "{}", &line[..line.len().min(80)]);
    }
    let mut text = String::new();
    half.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    half.read_to_string(&mut text).expect("an answer");
    assert!(text.contains("bad_hello"), "{text}");
    assert_eq!(editor.turn(&session, "say on"), ["on"]);
    late.leave();
    editor.leave();
    site.end();
}

/// The kind of the reason why a connection ends that begins with this line.
fn answered(socket: &std::path::Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let _ = stream.write_all(format!("{line}\n").as_bytes());
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).expect("an answer");
    let json = answer.trim_end().strip_prefix('#').unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    json["why"]["kind"].as_str().unwrap_or(&answer).to_owned()
}

#[test]
fn a_socket_in_a_directory_that_others_can_write_to_is_refused() {
    let site = Site::new(SHORT);
    let socket = env::temp_dir().join(format!("drawbridge-{}", std::process::id()));
    let config = site.scratch.file("config.toml");
    let output = site.command_with("serve", &socket, &config).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("other users may write to the directory"), "{said}");
    assert!(!socket.exists());
    site.end();
}

#[test]
fn no_environment_is_in_the_log_or_in_the_memory_that_others_can_see() {
    let site = Site::new("log = 'trace'\nshutdown-timeout = '1s'\n");
    let mut shim = site.connect(&[]);
    shim.env("OF_THE_EDITOR", "hidden-value-4711");
    let mut editor = Editor::start(shim);
    editor.initialize();
    let session = editor.new_session();
    editor.turn(&session, "say hello");
    assert!(!site.log().contains("hidden-value-4711"), "{site}");
    // Neither the daemon nor the shim can be looked into, but by root.
    for pid in [site.daemon(), editor.pid()] {
        let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("a process").uid();
        assert_eq!(owner, 0, "what is not dumpable belongs to root");
    }
    let environment = fs::read(format!("/proc/{}/environ", site.daemon())).unwrap_or_default();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(!environment.contains("OF_THE_EDITOR"), "{environment}");
    assert!(!environment.contains("DRAWBRIDGE_"), "{environment}");
    let answer = editor.call("session/list", &json!({}));
    assert!(answer["id"].is_number());
    editor.leave();
    site.end();
}

#[test]
fn no_daemon_is_started_inside_of_an_agent() {
    let site = Site::new(SHORT);
    let (answer, script) = (site.scratch.file("answer"), site.scratch.file("agent"));
    let inner = format!("env -i {}", connects(&site));
    let text = format!(
        "#!/bin/sh\n(echo '{HELLO}'; sleep 1) | {inner} > {}\nexec {}\n",
        answer.display(),
        stub().display()
    );
    write_script(&script, &text);
    // This one has no daemon either.
    let mut run = site.command("connect");
    run.arg("--").arg(&script);
    let mut bridge = Command::new(DRAWBRIDGE);
    bridge.args(["--log-file"]).arg(site.scratch.file("log")).arg("--").arg(&script);
    run.get_envs().for_each(|(name, value)| {
        value.map(|value| bridge.env(name, value));
    });
    bridge.current_dir(site.scratch.path());
    let mut editor = Editor::start(bridge);
    editor.initialize();
    let text = fs::read_to_string(&answer).expect("its answer");
    assert!(text.contains(r#""protocolVersion":1"#), "{text}\n{site}");
    assert!(site.daemons().is_empty());
    site.logs("its daemon would be the agent's");
    editor.leave();
    site.end();
}

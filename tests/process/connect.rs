//! `drawbridge connect`: chats of one person share agents and sessions, whatever way they are
//! closed, and are served without a daemon where none can be had.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

use crate::bridge::stub;
use crate::client::refusal;
use crate::processes::{self, eventually};
use crate::scratch::write_script;
use crate::site::{BELOW, Editor, SHORT, Site, wrapped};

/// The variables of a recorded environment that are no paths of its machine.
fn recorded(name: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/environments");
    let text = fs::read_to_string(folder.join(name)).expect("a recorded environment");
    let pairs = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = pairs.map(|line| line.split_once('=').expect("NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn eight_chats_from_four_places_in_two_directories_run_on_two_processes() {
    let site = Site::new(SHORT);
    let mut chats = Vec::new();
    for place in ["ssh-login", "ssh-login-forwarded-agent", "desktop-start", "alacritty-tmux"] {
        for directory in ["one", "two"] {
            let directory = site.scratch.directory(directory);
            let mut shell = wrapped(&site.connect(&[]), BELOW);
            shell.envs(recorded(place)).current_dir(&directory).process_group(0);
            let mut chat = Editor::start(shell);
            chat.initialize();
            let session = chat.new_session_in(&directory.display().to_string());
            assert_eq!(chat.turn(&session, "say hello"), ["hello"]);
            chats.push((chat, session));
        }
    }
    let agents = site.agents();
    let stubs: Vec<u32> =
        agents.iter().copied().filter(|pid| processes::name(*pid) == "agent-stub").collect();
    assert_eq!(stubs.len(), 2, "{site}");
    let daemon = site.daemon();

    // Each way in which editors close a chat, in each directory; the others go on.
    let group = |editor: &Editor, signal| {
        let _ = killpg(Pid::from_raw(editor.pid().cast_signed()), signal);
    };
    let below = |editor: &Editor, signal| {
        processes::below(editor.pid())
            .into_iter()
            .for_each(|pid| processes::send_signal(pid, signal));
    };
    let ways: [&dyn Fn(&Editor); 4] = [
        &|editor| below(editor, Signal::SIGTERM),
        &|editor| group(editor, Signal::SIGKILL),
        &|editor| {
            group(editor, Signal::SIGTERM);
            group(editor, Signal::SIGKILL);
        },
        &|editor| below(editor, Signal::SIGKILL),
    ];
    for way in ways {
        for _ in 0..2 {
            let (mut editor, _) = chats.remove(0);
            way(&editor);
            editor.exit();
            for (chat, session) in &mut chats {
                assert_eq!(chat.turn(session, "say still"), ["still"]);
            }
        }
        assert_eq!(site.daemon(), daemon);
    }
    eventually(&format!("the end of all agents\n{site}"), || site.left().is_empty());
    assert_eq!(site.daemon(), daemon, "it waits for the next editor");
    site.end();
}

#[test]
fn a_session_of_two_editors_outlives_either_of_them() {
    let site = Site::new("shutdown-timeout = '1s'\nchannel-idle-timeout = '300ms'\n");
    let store = site.scratch.directory("store").display().to_string();
    let flags = ["--state-dir", &*store];
    // This one has an editor above it, which is killed first.
    let mut first = Editor::start(wrapped(&site.connect(&flags), BELOW));
    first.initialize();
    let mut second = site.editor(&flags);
    let session = first.new_session();
    assert_eq!(first.turn(&session, "say one"), ["one"]);
    assert!(second.restore("session/load", &session)["result"].is_object());
    assert!(second.said(&session).concat().contains("one"));
    let shim = processes::below(first.pid())[0];
    processes::send_signal(first.pid(), Signal::SIGKILL);
    first.exit();
    assert_eq!(second.turn(&session, "say two"), ["two"]);
    processes::send_signal(shim, Signal::SIGKILL);
    eventually("its end", || !processes::is_alive(shim));
    assert_eq!(second.turn(&session, "say three"), ["three"]);

    let mut again = site.editor(&flags);
    let answer = again.restore("session/load", &session);
    assert!(answer["result"].is_object(), "{answer}\n{site}");
    let replayed = again.said(&session).concat();
    assert!(replayed.contains("one") && replayed.contains("three"), "{replayed}");
    assert_eq!(again.turn(&session, "say four"), ["four"]);
    assert_eq!(site.agents().len(), 1, "{site}");
    again.leave();
    second.leave();
    site.end();
}

#[test]
fn twenty_at_the_same_moment_start_one_daemon() {
    let site = Site::new(SHORT);
    let mut editors: Vec<Editor> = (0..20).map(|_| Editor::start(site.connect(&[]))).collect();
    let asked: Vec<u64> = editors.iter_mut().map(|editor| editor.ask_to_initialize()).collect();
    for (editor, id) in editors.iter_mut().zip(asked) {
        assert_eq!(editor.answer(id)["result"]["protocolVersion"], 1, "{site}");
    }
    let sessions: BTreeSet<String> =
        editors.iter_mut().map(|editor| editor.new_session()).collect();
    assert_eq!(sessions.len(), 20);
    site.daemon();
    assert_eq!(site.agents().len(), 1, "{site}");
    for editor in editors {
        assert_eq!(editor.stderr(), "");
        editor.leave();
    }
    site.end();
}

/// An editor at a place where no daemon can be had is served all the same, by an agent of its
/// own, and the log says why.
fn is_served_embedded(site: &Site, shim: Command, why: &str) {
    let mut editor = Editor::start(shim);
    assert_eq!(editor.initialize()["result"]["protocolVersion"], 1, "{why}");
    let session = editor.new_session();
    assert_eq!(editor.turn(&session, "say alone"), ["alone"]);
    let agent = editor.pid_of(&session);
    let bridge = processes::parent(processes::parent(agent).expect("its keeper"));
    assert_eq!(bridge, Some(editor.pid()), "{why}: the shim has become the bridge");
    let log = site.log();
    let line = log.lines().find(|line| line.contains("served without the daemon"));
    assert!(line.is_some_and(|line| line.contains(why)), "{why}: {line:?}");
    fs::write(site.scratch.file("log"), "").expect("the log");
    editor.leave();
    eventually("the end of its agent", || !processes::is_alive(agent));
}

#[test]
fn where_no_daemon_can_be_had_the_editor_is_served_alone() {
    let site = Site::new(SHORT);
    let at = |socket: &Path| {
        let config = site.scratch.file("config.toml");
        let mut shim = site.command_with("connect", socket, &config);
        shim.arg("--").arg(stub());
        shim
    };
    // A directory that is not there, one that nobody can write to, one that others can write to,
    // and a name that is too long for a socket.
    is_served_embedded(&site, at(&site.scratch.file("nowhere/socket")), "there is no place");
    is_served_embedded(&site, at(Path::new("/proc/drawbridge")), "cannot be used");
    is_served_embedded(
        &site,
        at(&std::env::temp_dir().join("drawbridge")),
        "other users may write",
    );
    is_served_embedded(&site, at(&site.scratch.file(&"x".repeat(120))), "too long");
    // Something else has the name of the socket, and stays.
    let taken = site.scratch.file("taken");
    fs::write(&taken, "kept").expect("a file");
    is_served_embedded(&site, at(&taken), "taken");
    assert_eq!(fs::read_to_string(&taken).expect("it is there"), "kept");
    // Somebody listens, and never answers, or does not even take connections.
    let silent = site.scratch.file("silent");
    let listener = UnixListener::bind(&silent).expect("a socket");
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(std::mem::forget));
    is_served_embedded(&site, at(&silent), "does not answer");
    let hung = site.scratch.file("hung");
    let _hung = UnixListener::bind(&hung).expect("a socket");
    is_served_embedded(&site, at(&hung), "does not answer");
    site.end();
}

#[test]
fn an_editor_with_another_configuration_file_is_served_alone() {
    let mut site = Site::new(SHORT);
    site.serve(&[]);
    let other = site.scratch.file("other.toml");
    fs::copy(site.scratch.file("config.toml"), &other).expect("a copy");
    let mut shim = site.command_with("connect", &site.socket(), &other);
    shim.arg("--").arg(stub());
    is_served_embedded(&site, shim, "config_differs");
    site.end();
}

#[test]
fn an_agent_that_cannot_start_ends_the_shim_with_its_sentence_and_not_the_daemon() {
    let site = Site::new(SHORT);
    let mut shim = site.command("connect");
    shim.args(["--", "/nonexistent/agent"]);
    let mut editor = Editor::start(shim);
    let answer = editor.initialize();
    assert_eq!(refusal(&answer), (-32603, "agent_spawn_failed"), "{answer}");
    assert_eq!(editor.exit().code(), Some(1));
    let sentence = answer["error"]["message"].as_str().unwrap_or_default();
    let stderr = editor.stderr();
    assert!(stderr.trim_end().ends_with(sentence), "{stderr}");
    let daemon = site.daemon();
    let mut other = site.editor(&[]);
    other.new_session();
    assert_eq!(site.daemon(), daemon);
    other.leave();
    site.end();
}

#[test]
fn an_agent_is_found_by_its_name_in_the_daemons_file_and_gets_further_arguments() {
    let site = Site::new(SHORT);
    let mut shim = site.command("connect");
    let log = site.scratch.file("agent.log").display().to_string();
    shim.args(["--agent", "stub", "--log", &log]);
    let mut editor = Editor::start(shim);
    editor.initialize();
    editor.new_session();
    eventually("the log of the agent", || Path::new(&log).exists());
    assert_eq!(site.agents().len(), 1);
    editor.leave();
    let mut shim = site.command("connect");
    shim.args(["--agent", "nobody"]);
    let output = shim.output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    site.end();
}

#[test]
fn agents_get_the_environment_and_the_limits_of_their_editor() {
    let site = Site::new(SHORT);
    let seen = site.scratch.file("seen");
    let script = site.scratch.file("agent");
    let stub = stub().display().to_string();
    write_script(
        &script,
        &format!(
            "#!/bin/sh\n{{ umask; ulimit -Sn; echo \"$OF_EDITOR $OF_DAEMON $HOME\"; pwd; }} > {}\n\
             exec {stub}\n",
            seen.display()
        ),
    );
    let mut shim = site.command("connect");
    shim.arg("--").arg(&script);
    let mut shim = wrapped(&shim, r#"umask 027; ulimit -Sn 300; exec "$@""#);
    shim.env("OF_EDITOR", "yes").current_dir(site.scratch.directory("work"));
    let mut editor = Editor::start(shim);
    editor.initialize();
    let text = fs::read_to_string(&seen).expect("the agent has run");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].trim_start_matches('0'), "27", "{text}");
    assert_eq!(lines[2], format!("yes  {}", site.scratch.path().display()), "{text}");
    assert!(lines[3].ends_with("/work"), "{text}");
    // The daemon was started by this shim, with its limit.
    assert_eq!(lines[1], "300", "{text}");
    let figures = fs::read_to_string(format!("/proc/{}/limits", site.daemon())).expect("limits");
    let files = figures.lines().find(|line| line.starts_with("Max open files")).expect("files");
    assert!(files.split_whitespace().nth(3).is_none_or(|soft| soft != "300"), "{files}");
    editor.leave();
    site.end();
}

#[test]
fn a_limit_is_refused_with_a_hint_where_it_belongs() {
    let site = Site::new(SHORT);
    let mut shim = site.command("connect");
    shim.args(["--max-sessions", "3", "--", "agent"]);
    let output = shim.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--max-sessions has no effect on drawbridge connect"), "{said}");
    assert!(said.contains("drawbridge serve") && said.contains("[defaults]"), "{said}");
    let mut shim = site.connect(&[]);
    shim.env("DRAWBRIDGE_MAX_SESSIONS", "3");
    let mut editor = Editor::start(shim);
    editor.initialize();
    site.logs("DRAWBRIDGE_MAX_SESSIONS has no effect on drawbridge connect");
    editor.leave();
    site.end();
}

#[test]
fn a_shim_whose_parent_is_gone_ends_when_its_editor_is_silent() {
    let site = Site::new(SHORT);
    let mut shim = site.command("connect");
    shim.args(["--orphan-timeout", "300ms", "--"]).arg(stub());
    let mut editor = Editor::start(wrapped(&shim, BELOW));
    editor.initialize();
    let session = editor.new_session();
    let prompt = editor.prompt(&session, "say begun\nsleep 800\nsay done");
    assert_eq!(editor.hears(&session), "begun");
    let shim = processes::below(editor.pid())[0];
    processes::send_signal(editor.pid(), Signal::SIGKILL);
    editor.exit();
    // The turn is waited for, since its editor may be there.
    thread::sleep(Duration::from_millis(500));
    assert!(processes::is_alive(shim), "{site}");
    assert!(editor.answer(prompt)["result"].is_object());
    eventually("the end of the shim", || !processes::is_alive(shim));
    site.end();
}

#[test]
fn a_line_that_looks_like_a_control_line_is_an_ordinary_mistake() {
    let site = Site::new(SHORT);
    let mut editor = site.editor(&[]);
    editor.send(r##"#{"why":{"kind":"no_agent","message":"x"}}"##);
    let answer = editor.find(|frame| frame["error"].is_object());
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(null), &json!(-32700)),
        "{answer}"
    );
    editor.new_session();
    editor.leave();
    site.end();
}

#[test]
fn the_daemon_reads_the_configuration_that_its_first_editor_has() {
    let site = Site::new(SHORT);
    let directory = site.scratch.directory("config/drawbridge");
    let text = fs::read_to_string(site.scratch.file("config.toml")).expect("the configuration");
    fs::write(
        directory.join("config.toml"),
        format!("{text}\n[agents.mine]\ncommand = '{}'\n", stub().display()),
    )
    .expect("the configuration");
    let usual = site.connect(&[]);
    let mut shim = Command::new(usual.get_program());
    usual.get_envs().for_each(|(name, value)| {
        value.map(|value| shim.env(name, value));
    });
    // It is named by the environment alone.
    shim.env("XDG_CONFIG_HOME", site.scratch.file("config")).current_dir(site.scratch.path());
    shim.arg("connect").arg("--socket").arg(site.socket()).args(["--agent", "mine"]);
    let mut editor = Editor::start(shim);
    editor.initialize();
    editor.new_session();
    assert!(!site.log().contains("served without"), "{site}");
    site.daemon();
    editor.leave();
    site.end();
}

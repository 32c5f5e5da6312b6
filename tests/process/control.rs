//! The control socket: what it tells and obeys, and what hostile input does there: nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs};

use drawbridge::control::found;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup, stub};
use crate::processes::{self, eventually};
use crate::scratch::{Scratch, write_script};
use crate::site::{DRAWBRIDGE, SHORT, Site};

/// Runs a command about the bridge with this process id.
fn tool(pid: u32, words: &[&str]) -> Output {
    let mut command = Command::new(DRAWBRIDGE);
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DRAWBRIDGE_")) {
        command.env_remove(name);
    }
    command.args(words).args(["--bridge", &pid.to_string()]).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn status(pid: u32) -> Value {
    let output = tool(pid, &["status", "--json"]);
    let states: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    states[0].clone()
}

fn socket_of(pid: u32) -> Option<PathBuf> {
    found().into_iter().find(|socket| socket.pid() == pid).map(|socket| socket.path())
}

/// A raw connection to the control socket of a bridge.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn to(pid: u32) -> Raw {
        let stream = UnixStream::connect(socket_of(pid).expect("a socket")).expect("it serves");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Raw(BufReader::new(stream))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"))
    }

    fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        self.hear()
    }

    fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        // It may have been closed with bytes unread.
        self.0.read_to_end(&mut rest).is_err() || rest.is_empty()
    }
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

#[test]
fn a_bridge_tells_what_it_has_and_what_keeps_it() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let other = bridge.new_session();
    let prompt = bridge.prompt(&session, "ask-permission");
    let question = bridge.message("session/request_permission");
    let pid = bridge.pid();
    let state = status(pid);
    assert_eq!(state["bridge"]["mode"], "embedded");
    assert_eq!(state["counts"]["sessions"], 2);
    let channel = &state["channels"][0];
    assert_eq!((&channel["inTurn"], &channel["questions"]), (&json!(1), &json!(1)));
    assert_eq!(channel["tree"]["pid"], bridge.agent());
    assert!(channel["tree"]["memoryBytes"].as_u64() > Some(100_000), "{channel}");
    assert_eq!(state["agents"][0]["saving"]["processes"], 1);
    assert!(state["bridge"]["memoryBytes"].as_u64() > Some(100_000));
    let text = said(&tool(pid, &["status"]));
    assert!(text.contains("2 sessions (1 in a turn, 1 open question)"), "{text}");
    let text = said(&tool(pid, &["status", "--explain", "ch-1"]));
    assert!(text.contains("kept by: 2 sessions") && text.contains("request_permission"), "{text}");
    let text = said(&tool(pid, &["sessions"]));
    assert!(text.contains(&session) && text.contains(&other), "{text}");
    let text = said(&Command::new(DRAWBRIDGE).arg("ls").output().expect("it runs"));
    assert!(text.contains(&pid.to_string()), "{text}");
    bridge.reply(&question, &json!({"outcome": {"outcome": "cancelled"}}));
    bridge.answer(prompt);
    let socket = socket_of(pid).expect("a socket");
    bridge.end();
    assert!(!socket.exists(), "it is removed at the end");
}

#[test]
fn a_person_closes_cancels_and_retires() {
    let mut bridge = Bridge::ready(&[], &[]);
    let [one, other] = [bridge.new_session(), bridge.new_session()];
    let pid = bridge.pid();
    let (first, second) =
        (bridge.prompt(&one, "sleep 60000"), bridge.prompt(&other, "sleep 60000"));
    let output = tool(pid, &["close", &one]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bridge.answer(first)["error"]["data"]["reason"], "operator");
    let output = tool(pid, &["cancel", "--all"]);
    assert!(said(&output).contains("s-2"), "{}", said(&output));
    assert_eq!(bridge.answer(second)["result"]["stopReason"], "cancelled");
    // It was parked, since its agent may bring it back; now it is forgotten.
    let output = tool(pid, &["close", &one]);
    assert!(output.status.success(), "{}", said(&output));
    let output = tool(pid, &["close", &one]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no bridge has a live session"), "{}", said(&output));
    let agent = bridge.agent();
    let output = tool(pid, &["retire", "ch-1"]);
    assert!(said(&output).contains("draining"), "{}", said(&output));
    let third = bridge.new_session();
    assert_eq!(bridge.turn(&third, "say on another process"), ["on another process"]);
    let output = tool(pid, &["retire", "ch-1", "--now"]);
    assert!(output.status.success(), "{}", said(&output));
    eventually("the end of the first agent", || !processes::is_alive(agent));
    assert_eq!(tool(pid, &["retire", "ch-9"]).status.code(), Some(1));
    bridge.end();
}

#[test]
fn a_stop_says_what_would_be_lost() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let prompt = bridge.prompt(&session, "sleep 1500");
    let pid = bridge.pid();
    let output = tool(pid, &["stop"]);
    assert_eq!(output.status.code(), Some(5));
    let text = said(&output);
    assert!(text.contains("1 running turn") && text.contains("--when-idle"), "{text}");
    let output = tool(pid, &["stop", "--when-idle"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bridge.answer(prompt)["result"]["stopReason"], "end_turn");
    bridge.exit();
    bridge.logs("it was asked to by drawbridge stop");
    bridge.is_gone();
    assert_eq!(tool(pid, &["status"]).status.code(), Some(4));
}

/// The value of a series, such as `drawbridge_sessions{state="quiet"}`.
fn series(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
}

#[test]
fn measures_are_those_of_what_happened() {
    let mut bridge = Bridge::ready(&["--channel-idle-timeout", "0"], &[]);
    let [one, other] = [bridge.new_session(), bridge.new_session()];
    bridge.turn(&one, "stream 100 50");
    assert_eq!(bridge.call_about("session/close", &other)["result"], json!({}));
    let text = said(&tool(bridge.pid(), &["metrics"]));
    let is = |name: &str, value: f64| {
        assert!((series(&text, name) - value).abs() < 0.5, "{name}: {text}");
    };
    is("drawbridge_sessions{state=\"quiet\"}", 1.0);
    is("drawbridge_channels{state=\"ready\"}", 1.0);
    is("drawbridge_clients", 1.0);
    is("drawbridge_session_closes_total{reason=\"client_close\"}", 1.0);
    is("drawbridge_open_seconds_count", 2.0);
    is("drawbridge_turn_seconds_count", 1.0);
    is("drawbridge_turn_seconds_bucket{le=\"+Inf\"}", 1.0);
    is("drawbridge_close_seconds_count", 1.0);
    is("drawbridge_handshake_seconds_count", 1.0);
    is("drawbridge_reaper_closed_total", 0.0);
    // initialize, two opens, a prompt and a close, and their answers with the updates.
    is("drawbridge_frames_total{direction=\"from_clients\"}", 5.0);
    is("drawbridge_frames_total{direction=\"to_agents\"}", 5.0);
    let updates = series(&text, "drawbridge_frames_total{direction=\"from_agents\"}");
    assert!(updates >= 105.0, "{text}");
    // One more tells of the close.
    is("drawbridge_frames_total{direction=\"to_clients\"}", updates + 1.0);
    assert!(series(&text, "drawbridge_bytes_total{direction=\"to_clients\"}") > 5_000.0);
    assert!(series(&text, "drawbridge_agent_rss_bytes") > 100_000.0, "{text}");
    // Nothing tells whose sessions they are.
    assert!(!text.contains(&one) && !text.contains("agent-stub"), "{text}");
    bridge.end();
}

/// A command that finds no daemon, wherever one may be.
fn without_daemon(scratch: &Scratch, words: &[&str]) -> Output {
    let mut command = Command::new(DRAWBRIDGE);
    command.args(words).env("DRAWBRIDGE_SOCKET", scratch.file("no-socket"));
    command.output().expect("it runs")
}

#[test]
fn a_stop_without_a_name_ends_no_bridge_of_one_editor() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let scratch = Scratch::new();
    for words in [&["stop", "--now"][..], &["stop"], &["stop", "--when-idle"]] {
        let output = without_daemon(&scratch, words);
        assert_eq!(output.status.code(), Some(4), "{words:?}: {}", said(&output));
    }
    // A socket in the environment is no reason to refuse another name.
    let pid = bridge.pid().to_string();
    let output = without_daemon(&scratch, &["status", "--bridge", &pid]);
    assert!(said(&output).contains(&format!("process {pid}")), "{}", said(&output));
    assert_eq!(bridge.turn(&session, "say alive"), ["alive"]);
    bridge.end();
}

#[test]
fn a_command_that_goes_on_ends_with_its_reader() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let pid = bridge.pid().to_string();
    for words in [&["events"][..], &["status", "--watch"]] {
        let mut command = Command::new(DRAWBRIDGE);
        command.args(words).args(["--bridge", &pid]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout"));
        // A command that follows is told of the turns that begin when it does.
        let mut line = String::new();
        let first = std::thread::scope(|scope| {
            let read = scope.spawn(|| stdout.read_line(&mut line));
            while !read.is_finished() {
                bridge.turn(&session, "say x");
            }
            read.join().expect("a reader")
        });
        assert!(first.is_ok_and(|length| length > 0), "{words:?}");
        drop(stdout);
        eventually("its end", || {
            bridge.turn(&session, "say x");
            child.try_wait().expect("its state").is_some()
        });
        assert!(child.wait().expect("its status").success(), "{words:?}");
    }
    bridge.end();
}

#[test]
fn those_who_have_stopped_to_follow_take_no_place() {
    let mut bridge = Bridge::ready(&[], &[]);
    let pid = bridge.pid();
    // Nothing happens here that an event could tell.
    for _ in 0..70 {
        let Raw(mut gone) = Raw::to(pid);
        // Those beyond the limit may be refused before they have said anything.
        let _ = writeln!(gone.get_mut(), "{}", request(1, "bridge_subscribeEvents", &json!([])));
        let _ = gone.read_line(&mut String::new());
    }
    eventually("a place", || tool(pid, &["status"]).status.success());
    bridge.new_session();
    bridge.end();
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let mut bridge = Bridge::ready(&[], &[]);
    let mut follower = Raw::to(bridge.pid());
    let answer = follower.ask(&request(1, "bridge_subscribeEvents", &json!([])));
    let subscription = answer["result"].clone();
    let session = bridge.new_session();
    bridge.turn(&session, "say hello");
    let mut events = Vec::new();
    while events.last().is_none_or(|event| event != "turn_ended") {
        let told = follower.hear();
        assert_eq!(told["method"], "bridge_events");
        assert_eq!(told["params"]["subscription"], subscription);
        events.push(told["params"]["result"]["event"].as_str().expect("an event").to_owned());
    }
    let expected = ["client_attached", "session_opened", "turn_began", "turn_ended"];
    let mut told: Vec<&str> = events.iter().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, expected);
    let answer = follower.ask(&request(2, "bridge_unsubscribeEvents", &json!([subscription])));
    assert_eq!(answer["result"], true);
    bridge.end();
}

#[test]
fn hostile_input_disturbs_no_session() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let pid = bridge.pid();
    let mut raw = Raw::to(pid);
    for (line, code) in [
        ("{".to_owned(), -32700),
        ("7".to_owned(), -32700),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"bridge_status"}]"#.to_owned(), -32600),
        (request(1, "bridge_nothing", &json!([])), -32601),
        (request(1, "bridge_closeSession", &json!({"session": 7})), -32602),
        (request(1, "bridge_closeSession", &json!({})), -32602),
        (request(1, "bridge_retireChannel", &json!({"channel": "ch-1", "how": "soon"})), -32602),
        (request(1, "bridge_closeSession", &json!({"session": "\u{0}\u{1b}[2J"})), -32000),
        (request(1, "bridge_explain", &json!({"channel": "ch-99999999999999999999"})), -32000),
        (request(1, "bridge_reload", &json!([])), -32000),
        (
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"bridge_closeSession","params":{}}}"#,
                "[".repeat(30_000) + &"]".repeat(30_000)
            ),
            -32602,
        ),
    ] {
        let answer = raw.ask(&line);
        let shown: String = line.chars().take(80).collect();
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
    }
    // A notification gets no answer, and the connection goes on.
    raw.say(r#"{"jsonrpc":"2.0","method":"bridge_stop","params":{"how":"now"}}"#);
    assert!(raw.ask(&request(2, "bridge_status", &json!([])))["result"].is_object());
    // A line that never ends, and one that is no UTF-8, end their connections alone.
    let mut long = Raw::to(pid);
    let _ = long.0.get_mut().write_all("x".repeat(70_000).as_bytes());
    assert_eq!(long.hear()["error"]["code"], -32007);
    assert!(long.is_over());
    let mut bad = Raw::to(pid);
    bad.0.get_mut().write_all(b"\xff\xfe\n").expect("it reads");
    assert!(bad.is_over());
    // A flood of requests whose answers nobody reads.
    let flood = Raw::to(pid);
    flood.0.get_ref().set_nonblocking(true).expect("a flag");
    let line = request(1, "bridge_explain", &json!({})) + "\n";
    for _ in 0..20_000 {
        if flood.0.get_ref().write(line.as_bytes()).is_err() {
            break;
        }
    }
    // More connections than there are places.
    let crowd: Vec<Raw> = (0..80).map(|_| Raw::to(pid)).collect();
    assert_eq!(bridge.turn(&session, "say undisturbed"), ["undisturbed"]);
    drop((flood, crowd));
    eventually("a place", || tool(pid, &["status"]).status.success());
    bridge.end();
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    let mut bridge = Bridge::ready(&[], &[]);
    let mut deaf = Raw::to(bridge.pid());
    assert!(deaf.ask(&request(1, "bridge_subscribeEvents", &json!([])))["result"].is_number());
    let session = bridge.new_session();
    // Each turn is two events of more than 100 bytes; a socket holds some hundred KiB.
    for _ in 0..3_000 {
        bridge.turn(&session, "say x");
    }
    sleep(Duration::from_millis(5_500));
    let mut rest = String::new();
    deaf.0.read_to_string(&mut rest).expect("its end");
    let events = rest.lines().count();
    assert!(events < 6_000, "{events}");
    assert_eq!(bridge.turn(&session, "say undisturbed"), ["undisturbed"]);
    assert!(tool(bridge.pid(), &["status"]).status.success());
    bridge.end();
}

#[test]
fn a_tool_of_an_agent_gets_nothing() {
    let scratch = Scratch::new();
    let (script, seen) = (scratch.file("agent"), scratch.file("seen"));
    let ask = format!("{DRAWBRIDGE} ls > {0}.part 2>&1; mv {0}.part {0}", seen.display());
    write_script(&script, &format!("#!/bin/sh\n{ask}\nexec {}\n", stub().display()));
    let setup = Setup::with_command(&[], &[&script.display().to_string()]);
    let mut bridge = setup.start();
    bridge.initialize();
    eventually("the answer", || seen.exists());
    let text = fs::read_to_string(&seen).expect("what it got");
    let own = format!("the bridge {}: This process was started by an agent", bridge.pid());
    assert!(text.contains(&own) && text.contains("inside_agent"), "{text}");
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say alive"), ["alive"]);
    bridge.end();
}

#[test]
fn without_a_control_socket_there_is_none() {
    let mut bridge = Bridge::ready(&["--control=false"], &[]);
    bridge.new_session();
    assert_eq!(socket_of(bridge.pid()), None);
    assert_eq!(tool(bridge.pid(), &["status"]).status.code(), Some(4));
    bridge.end();
}

#[test]
fn what_a_killed_bridge_has_left_is_swept() {
    let mut bridge = Bridge::ready(&[], &[]);
    let socket = socket_of(bridge.pid()).expect("a socket");
    bridge.signal(Signal::SIGKILL);
    bridge.exit();
    eventually("the end of its agents", || bridge.left().is_empty());
    assert!(socket_of(bridge.pid()).is_none() && !socket.exists());
    bridge.is_killed();
}

#[test]
fn a_daemon_tells_whose_chats_it_has_and_is_restarted() {
    let site = Site::new(SHORT);
    // The editor starts it.
    let mut editor = site.editor(&[]);
    let session = editor.new_session();
    // From now on there is something to lose.
    editor.turn(&session, "say one");
    let first = site.daemon();
    let run = |words: &[&str]| site.tool(words).stdin(Stdio::null()).output().expect("it runs");
    let states: Value = serde_json::from_slice(&run(&["status", "--json"]).stdout).expect("JSON");
    let state = &states[0];
    assert_eq!(state["bridge"]["mode"], "daemon");
    assert_eq!(state["clients"][0]["sessions"], 1);
    assert!(state["clients"][0]["program"]["pid"].is_number(), "{state}");
    let output = run(&["restart"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert_eq!(site.daemon(), first);
    let output = run(&["close", &session]);
    assert!(output.status.success(), "{}", said(&output));
    editor.leave();
    let output = run(&["restart"]);
    assert!(output.status.success(), "{}", said(&output));
    let second = site.daemon();
    assert_ne!(second, first);
    // It has the same configuration file.
    let arguments = fs::read_to_string(format!("/proc/{second}/cmdline")).expect("its command");
    assert!(arguments.contains("config.toml"), "{arguments}");
    site.editor(&[]).leave();
    let output = run(&["stop"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(site.daemons().is_empty());
    assert_eq!(site.tool(&["stop"]).output().expect("it runs").status.code(), Some(4));
    site.end();
}

#[test]
fn a_daemon_that_was_started_by_hand_is_not_restarted() {
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&[]);
    let output = site.tool(&["restart", "--now"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("by hand or by a unit"), "{}", said(&output));
    assert_eq!(site.daemon(), daemon);
    site.end();
}

#[test]
fn a_daemon_that_cannot_be_asked_is_not_taken_for_none() {
    let mut site = Site::new(SHORT);
    let daemon = site.serve(&["--control=false"]);
    for words in [&["stop", "--now"][..], &["restart"]] {
        let output = site.tool(words).output().expect("it runs");
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("serves, but cannot be asked"), "{}", said(&output));
    }
    assert_eq!(site.daemon(), daemon);
    site.end();
}

#[test]
fn another_user_gets_nothing() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root may be another user");
        return;
    }
    let bridge = Bridge::ready(&[], &[]);
    let path = socket_of(bridge.pid()).expect("a socket");
    let mode = |mode| fs::Permissions::from_mode(mode);
    assert_eq!(fs::metadata(&path).expect("the socket").mode() & 0o077, 0, "the user's alone");
    // A person may open it to others by hand, and show them the way: it lets nobody in.
    fs::set_permissions(&path, mode(0o777)).expect("a mode");
    let way = nix::fcntl::open(&path, OFlag::O_PATH, Mode::empty()).expect("it is there");
    let mut other = Command::new(env::current_exe().expect("this test"));
    other.args(["--exact", "peers::a_process_of_another_user", "--nocapture"]);
    other.env("SOCKET", format!("/proc/self/fd/{}", way.as_raw_fd()));
    let output = other.uid(65_534).gid(65_534).output().expect("it runs");
    assert!(said(&output).contains("it said []"), "{}", said(&output));
    bridge.logs("a connection to the control socket was refused");
    assert!(tool(bridge.pid(), &["status"]).status.success());
    bridge.end();
}

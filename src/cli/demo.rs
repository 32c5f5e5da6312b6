//! `drawbridge demo`: shows a whole conversation, step by step.
//!
//! The demonstration is a small editor. It starts this very program as a bridge
//! in front of the stub agent, with short idle times, and prints what happens.

mod place;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};

use self::place::Place;
use super::editor::Editor;
use super::print::failure;
#[cfg(target_os = "linux")]
use super::process_sight::Sight;

/// The options of the bridge, with idle times short enough to watch.
const OPTIONS: [&str; 12] = [
    "--idle-policy=all",
    "--background-work=ignore",
    "--session-idle-timeout=700ms",
    "--attached-idle-timeout=700ms",
    "--session-reap-interval=100ms",
    "--channel-idle-timeout=400ms",
    "--session-close-timeout=2s",
    "--stdin-grace=1s",
    "--term-grace=1s",
    "--kill-grace=1s",
    "--log=warn",
    "--log-file=off",
];

/// The demonstration fails if the bridge sends no message for this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demonstration's agent, the stub: `drawbridge demo-agent`.
pub fn agent(arguments: Vec<OsString>) -> ExitCode {
    agent_stub::run(arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()))
}

/// Runs the demonstration.
pub fn run() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(&format_args!("the demonstration failed: {error}"), 1),
    }
}

fn play() -> io::Result<()> {
    say("This is an editor. It starts `drawbridge -- AGENT` in place of the agent.\n")?;
    let mut editor = in_front(&OPTIONS, &[])?;
    introduce(&mut editor)?;
    let first = open(&mut editor)?;
    let second = open(&mut editor)?;
    let process = share(&mut editor, &first, &second)?;
    permit(&mut editor, &first)?;
    close_in_a_turn(&mut editor, &second)?;
    wait_for_reaper(&mut editor, &first)?;
    wait_for_process(process)?;
    quit(&mut editor)?;
    #[cfg(target_os = "linux")]
    kill_the_bridge()?;
    let place = Place::new()?;
    let shown = two_editors(&place);
    drop(place);
    shown
}

/// An editor in front of a bridge with these options, whose agent is the stub with these flags.
fn in_front(options: &[&str], flags: &[&str]) -> io::Result<Editor> {
    let program = env::current_exe()?;
    let agent = [OsStr::new("--"), program.as_os_str(), OsStr::new("demo-agent")];
    let (options, flags) = (options.iter().map(OsStr::new), flags.iter().map(OsStr::new));
    Editor::start(options.chain(agent).chain(flags), Stdio::inherit(), PATIENCE)
}

/// Shows two editors on one agent by a daemon of their own, and kills the first one.
fn two_editors(place: &Place) -> io::Result<()> {
    say("\n8. Two editors, each in front of `drawbridge connect`. The first one starts a daemon:")?;
    let (socket, config) = (place.file("socket"), place.file("config.toml"));
    let options = ["connect", "--socket", &socket, "--config", &config];
    let mut first = in_front(&options, &[])?;
    introduce_silently(&mut first)?;
    let session = open(&mut first)?;
    let mut second = in_front(&options, &[])?;
    introduce_silently(&mut second)?;
    let other = open(&mut second)?;
    let agents = [agent_of(&mut first, &session)?, agent_of(&mut second, &other)?];
    say(&format!("   {session} is served by process {}, {other} by {}.", agents[0], agents[1]))?;
    if agents[0] != agents[1] {
        // As where an agent runs the demonstration.
        return say("   No daemon may be used here, so each is served alone (the log says why).");
    }
    say("   Two editors, one agent. The first editor and its connect are killed:")?;
    first.kill()?;
    let id = prompt(&mut second, &other, "say I am still here.")?;
    for text in heard(&mut second, id)? {
        say(&format!("   {other} says   {text}"))?;
    }
    second.quit()?;
    place.wait_for_the_end()?;
    say("   Then the second one quits. Shortly after, the agent and the daemon are gone.")
}

/// The process that serves a session.
fn agent_of(editor: &mut Editor, session: &str) -> io::Result<String> {
    let id = prompt(editor, session, "pid")?;
    Ok(heard(editor, id)?.concat())
}

/// The texts of an agent until the answer to a prompt.
fn heard(editor: &mut Editor, prompt: u64) -> io::Result<Vec<String>> {
    let mut said = Vec::new();
    loop {
        let message = editor.next()?;
        if message["id"] == prompt {
            return Ok(said);
        }
        said.extend(chunk(&message));
    }
}

/// Quits the editor in order, with an agent that runs, and looks at what is left.
fn quit(editor: &mut Editor) -> io::Result<()> {
    open(editor)?;
    say("\n6. The editor quits while an agent runs: it closes the bridge's stdin.")?;
    #[cfg(target_os = "linux")]
    let before = Sight::of(editor.bridge());
    let status = editor.quit()?;
    say(&format!("   The bridge ended with {status}."))?;
    #[cfg(target_os = "linux")]
    say_end(&before)?;
    Ok(())
}

/// Kills the bridge in front of an agent that ignores the end of its stdin and SIGTERM, and
/// that has a child in a session of its own.
#[cfg(target_os = "linux")]
fn kill_the_bridge() -> io::Result<()> {
    say("\n7. An agent that is deaf to the end of its stdin and to SIGTERM starts a child in a")?;
    say("   session of its own. Then the bridge is killed with SIGKILL. Before:")?;
    let mut editor = in_front(&OPTIONS, &["--deaf-stdin", "--deaf-term"])?;
    introduce_silently(&mut editor)?;
    let cwd = env::current_dir()?;
    let id = editor.ask("session/new", &json!({"cwd": cwd, "mcpServers": []}))?;
    let session = text(&editor.result(id)?["sessionId"]);
    let id = prompt(&mut editor, &session, "grandchild setsid")?;
    editor.result(id)?;
    let before = Sight::of(editor.bridge());
    for line in before.lines() {
        say(&line)?;
    }
    editor.kill()?;
    say("   After:")?;
    say_end(&before)
}

/// Looks whether these processes are gone, and says so.
#[cfg(target_os = "linux")]
fn say_end(before: &Sight) -> io::Result<()> {
    let (count, memory) = (before.count(), before.memory());
    match before.ends() {
        Some(took) => say(&format!(
            "   None of these {count} processes is left after {:.1} s; they held {memory}.",
            took.as_secs_f64()
        )),
        None => {
            let left = format!("processes are left: {:?}", before.left());
            Err(io::Error::other(left))
        }
    }
}

fn introduce(editor: &mut Editor) -> io::Result<()> {
    let answer = introduce_silently(editor)?;
    let agent = text(&answer["agentInfo"]["name"]);
    let bridge = text(&answer["_meta"]["drawbridge"]["version"]);
    say(&format!("1. initialize: {agent} answers, through drawbridge {bridge}"))
}

fn introduce_silently(editor: &mut Editor) -> io::Result<Value> {
    let offer = json!({"_meta": {"drawbridge": {"events": true}}});
    let id =
        editor.ask("initialize", &json!({"protocolVersion": 1, "clientCapabilities": offer}))?;
    Ok(editor.result(id)?)
}

fn open(editor: &mut Editor) -> io::Result<String> {
    let cwd = env::current_dir()?;
    let id = editor.ask("session/new", &json!({"cwd": cwd, "mcpServers": []}))?;
    let session = text(&editor.result(id)?["sessionId"]);
    say(&format!("   session/new: {session}"))?;
    Ok(session)
}

fn prompt(editor: &mut Editor, session: &str, script: &str) -> io::Result<u64> {
    let content = json!([{"type": "text", "text": script}]);
    Ok(editor.ask("session/prompt", &json!({"sessionId": session, "prompt": content}))?)
}

/// Asks both sessions for the process that serves them, and returns its id.
fn share(editor: &mut Editor, first: &str, second: &str) -> io::Result<i32> {
    let said = [agent_of(editor, first)?, agent_of(editor, second)?];
    say("\n2. Each session is asked for the process that serves it:")?;
    say(&format!("   {first} says {}, {second} says {}", said[0], said[1]))?;
    if said[0] != said[1] {
        return Err(io::Error::other("two sessions should share one process"));
    }
    say("   Two conversations, one process.")?;
    said[0].parse().map_err(io::Error::other)
}

/// Runs a turn in which the agent asks for a permission.
fn permit(editor: &mut Editor, session: &str) -> io::Result<()> {
    say(&format!("\n3. A turn in {session}, in which the agent asks for a permission:"))?;
    let id = prompt(editor, session, "say I need to edit a file.\nask-permission\nsay Done.")?;
    loop {
        let message = editor.next()?;
        if message["method"] == "session/request_permission" {
            let option = &message["params"]["options"][0]["optionId"];
            say(&format!("   agent asks   {}", message["params"]["toolCall"]["title"]))?;
            say(&format!("   person says  {option}"))?;
            let outcome = json!({"outcome": {"outcome": "selected", "optionId": option}});
            editor.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": outcome}))?;
        } else if message["id"] == id {
            return say(&format!("   turn ends    {}", message["result"]["stopReason"]));
        } else if let Some(chunk) = chunk(&message) {
            say(&format!("   agent says   {chunk}"))?;
        }
    }
}

/// Closes a session in the middle of a turn, and shows in which order messages come.
fn close_in_a_turn(editor: &mut Editor, session: &str) -> io::Result<()> {
    say(&format!(
        "\n4. {session} is closed in the middle of a turn. What the editor hears, in order:"
    ))?;
    let turn = prompt(editor, session, "sleep 60000")?;
    let close = editor.ask("session/close", &json!({"sessionId": session}))?;
    loop {
        let message = editor.next()?;
        if message["method"] == "_drawbridge/session_closed" {
            say(&format!("   session_closed, reason {}", message["params"]["reason"]))?;
        } else if message["id"] == turn {
            say(&format!("   the prompt's answer: {}", message["result"]))?;
        } else if message["id"] == close {
            return say(&format!("   the close's answer: {}", message["result"]));
        }
    }
}

fn wait_for_reaper(editor: &mut Editor, session: &str) -> io::Result<()> {
    say(&format!("\n5. Nobody uses {session} any more (idle sessions end after 0.7 s here)."))?;
    loop {
        let message = editor.next()?;
        if message["method"] == "_drawbridge/session_closed" {
            return say(&format!("   session_closed, reason {}", message["params"]["reason"]));
        }
    }
}

fn wait_for_process(process: i32) -> io::Result<()> {
    for _ in 0..200 {
        if kill(Pid::from_raw(process), None).is_err() {
            return say(&format!("   Its process had no session left: {process} is gone."));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::other(format!("process {process} is still there")))
}

/// The text of an `agent_message_chunk`; `None` for other messages.
fn chunk(message: &Value) -> Option<String> {
    let update = &message["params"]["update"];
    (update["sessionUpdate"] == "agent_message_chunk").then(|| text(&update["content"]["text"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
